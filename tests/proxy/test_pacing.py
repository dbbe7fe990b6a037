"""What is costly may take its share of the time and no more; what is sent keeps its order."""

from __future__ import annotations

from mitmproxy.proxy import commands
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.test import tflow

from s2_mitm.proxy.pacing import BURST, MOST_LOGS, SHARE, Budget, _in_few


def test_a_burst_need_not_wait() -> None:
    budget = Budget()
    budget.charge(BURST, now=100.0)

    assert budget.wait(100.0) <= 0


def test_what_is_more_waits_until_its_share_is_due() -> None:
    budget = Budget()
    budget.charge(BURST + 1.0, now=100.0)

    assert budget.wait(100.0) == 1.0 / SHARE
    assert budget.wait(100.0 + 1.0 / SHARE) <= 0


def test_what_was_not_used_is_not_saved_up() -> None:
    budget = Budget()
    budget.charge(0.1, now=100.0)
    budget.charge(BURST + 1.0, now=100_000.0)

    assert budget.wait(100_000.0) == 1.0 / SHARE


def test_what_goes_to_one_peer_goes_at_once_and_in_order() -> None:
    client, server = tflow.tclient_conn(), tflow.tserver_conn()

    def send() -> CommandGenerator[None]:
        for number, peer in enumerate((client, client, server, client)):
            yield commands.SendData(peer, b"%d" % number)
        yield commands.CloseConnection(client)
        yield commands.SendData(server, b"4")

    few = [
        (each.connection, each.data) if isinstance(each, commands.SendData) else type(each).__name__
        for each in _in_few(send())
    ]

    assert few == [
        (client, b"01"),
        (server, b"2"),
        (client, b"3"),
        "CloseConnection",
        (server, b"4"),
    ]


def test_not_every_ping_of_a_piece_is_logged() -> None:
    def log() -> CommandGenerator[None]:
        for _ in range(1000):
            yield commands.Log("a ping")

    assert len(list(_in_few(log()))) == MOST_LOGS
