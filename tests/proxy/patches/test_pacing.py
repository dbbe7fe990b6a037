"""What is costly may take its share of the time and no more; what is sent keeps its order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import websocket
from mitmproxy.test import tflow
from websocket_layer import in_place

from s2_mitm.proxy.patches.pacing import BURST, MOST_LOGS, SHARE, Budget

PING = b"\x89\x80\0\0\0\0"
A_MESSAGE = b"\x81\x82\0\0\0\0{}"


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


@pytest.fixture
def open_websocket() -> Iterator[websocket.WebsocketLayer]:
    """mitmproxy's layer with our watch over it, after the hook of its start."""
    with in_place("frames", "pacing"):
        yield _opened()


def _opened() -> websocket.WebsocketLayer:
    flow = tflow.twebsocketflow(messages=False)
    context = Context(flow.client_conn, Options())
    context.server = flow.server_conn
    layer = websocket.WebsocketLayer(context, flow)
    for command in layer.handle_event(events.Start()):
        assert isinstance(command, commands.StartHook)
        assert [*layer.handle_event(events.HookCompleted(command, None))] == []
    return layer


def received(layer: websocket.WebsocketLayer, data: bytes) -> tuple[int, bytes]:
    """How many lines are logged of data that the client sends, and what the server gets."""
    logs, sent = 0, b""
    for command in layer.handle_event(events.DataReceived(layer.context.client, data)):
        if isinstance(command, commands.Log):
            logs += 1
        elif isinstance(command, commands.SendData):
            assert command.connection is layer.context.server
            sent += command.data
    return logs, sent


@pytest.mark.parametrize("pings", [0, 1, MOST_LOGS, MOST_LOGS + 1, 1000])
def test_of_what_comes_at_once_a_few_lines_are_logged(
    open_websocket: websocket.WebsocketLayer, pings: int
) -> None:
    logs, sent = received(open_websocket, PING * pings)
    assert logs == min(pings, MOST_LOGS)
    # They are handed on all the same: two bytes, and four of a mask that differs.
    assert sent[::6] == b"\x89" * pings


def test_what_comes_next_is_logged_again(open_websocket: websocket.WebsocketLayer) -> None:
    received(open_websocket, PING * 1000)
    assert received(open_websocket, PING * 3)[0] == 3


def test_messages_among_pings_are_not_lost(open_websocket: websocket.WebsocketLayer) -> None:
    data = PING * 20 + A_MESSAGE + PING * 20
    done = [*open_websocket.handle_event(events.DataReceived(open_websocket.context.client, data))]
    assert isinstance(done[-1], websocket.WebsocketMessageHook)
    done += open_websocket.handle_event(events.HookCompleted(done[-1], None))
    assert sum(isinstance(command, commands.Log) for command in done) <= 2 * MOST_LOGS
    assert sum(isinstance(command, commands.SendData) for command in done) == 41
