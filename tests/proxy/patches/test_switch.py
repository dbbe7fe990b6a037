"""The user says which patches there are; they come and go in the order of the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy import mode_servers
from mitmproxy.proxy.layers import websocket
from mitmproxy.test import taddons, tflow
from websocket_frames import CLOSE, TEXT, Frame
from websocket_layer import Proxy, in_place

from s2_mitm.proxy.patches import idle
from s2_mitm.proxy.patches.switch import Switch, parse_names
from s2_mitm.proxy.patches.table import NAMES, PATCHES

AT_START = [patch.name for patch in PATCHES if not patch.when_running]


@pytest.fixture
def master() -> Iterator[Any]:
    with taddons.context(Proxyserver(), loadcore=False) as context:
        yield context.master


def classes() -> tuple[object, ...]:
    return (
        websocket.WebsocketLayer,
        websocket.WebsocketConnection,
        websocket.Fragmentizer,
        mode_servers.ProxyConnectionHandler,
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", {*NAMES}),
        ("all", {*NAMES}),
        ("none", set()),
        ("frames", {"frames"}),
        ("frames, idle", {"frames", "idle"}),
        ("-frames", {*NAMES} - {"frames"}),
        ("-frames,-idle", {*NAMES} - {"frames", "idle"}),
    ],
)
def test_which_are_wanted(text: str, names: set[str]) -> None:
    assert parse_names(text) == names


@pytest.mark.parametrize("text", ["frame", "-frame", "frames,", "-", "-all"])
def test_a_wrong_name_is_refused_with_those_that_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"there is no patch .*frames, "):
        parse_names(text)


def test_it_is_either_these_or_all_but_these() -> None:
    with pytest.raises(ValueError, match="not both"):
        parse_names("frames,-idle")
    with pytest.raises(ValueError, match="stands alone"):
        parse_names("all,none")


def test_they_come_and_go(master: Any, caplog: pytest.LogCaptureFixture) -> None:
    own = classes()
    switch = Switch()
    switch.choose(master, frozenset(NAMES))
    assert switch.in_place == AT_START
    assert not {*classes()} & {*own}
    switch.choose(master, frozenset({"closing", "delivery"}))
    assert switch.in_place == ["closing", "delivery"]
    switch.choose(master, frozenset())
    assert classes() == own
    switch.choose(master, frozenset({"fast_path"}))
    switch.done()
    assert classes() == own
    assert caplog.records == []


def test_one_whose_base_is_not_wanted_is_left_out(
    master: Any, caplog: pytest.LogCaptureFixture
) -> None:
    switch = Switch()
    switch.choose(master, parse_names("-frames"))
    assert {*AT_START} - {*switch.in_place} == {"frames", "pacing"}
    (record,) = caplog.records
    assert " without its patch 'pacing' (it needs frames): " in record.message
    switch.done()


def test_one_that_fails_later_is_left_out_from_then_on(
    master: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise AttributeError("it is gone")

    switch = Switch()
    switch.choose(master, frozenset(NAMES))
    monkeypatch.setattr(idle, "websocket_start", fail)
    for _ in range(2):
        switch.websocket_start(tflow.twebsocketflow())
    assert {*AT_START} - {*switch.in_place} == {"idle"}
    switch.done()
    (record,) = caplog.records
    assert "'idle' (AttributeError: it is gone)" in record.message


def test_a_websocket_that_is_open_goes_on_as_it_began() -> None:
    own = Proxy()
    with in_place("frames"):
        assert own.send(Frame(TEXT, "ä".encode())) == [Frame(TEXT, "ä".encode())]
        proxy = Proxy()
    assert proxy.send(Frame(TEXT, "ä".encode())) == [Frame(TEXT, "ä".encode())]
    assert [frame.opcode for frame in own.send(Frame(TEXT, b"\xff"))] == [CLOSE]
