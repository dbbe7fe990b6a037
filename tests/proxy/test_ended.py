"""Flows of ended sessions are kept as long as there is room; the oldest ones go first."""

from __future__ import annotations

import gc
from pathlib import Path

from mitmproxy import io
from mitmproxy.http import HTTPFlow
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.proxy.ended import KEPT_MESSAGES, Ended
from s2_mitm.proxy.flow_findings import FINDINGS
from s2_mitm.render.summary import SUMMARY
from s2_mitm.replay.flow_file import from_flows


def a_flow(messages: int = 1, size: int = 100) -> HTTPFlow:
    flow = tflow.twebsocketflow()
    assert flow.websocket is not None
    content = b'{"message_type": "ReceptionStatus"}'.ljust(size)
    flow.websocket.messages = [
        WebSocketMessage(Opcode.TEXT, True, content, timestamp=float(number))
        for number in range(messages)
    ]
    flow.metadata[SUMMARY] = {"whole": True}
    flow.metadata[FINDINGS] = [
        {"message": 1 + number, "code": "schema.type"} for number in range(messages)
    ]
    return flow


def moments(flow: HTTPFlow) -> list[float]:
    assert flow.websocket is not None
    return [message.timestamp for message in flow.websocket.messages]


class Kept:
    """Flows that somebody keeps, of which the ended ones are limited."""

    def __init__(self, *, flows: int = 1000, size: int = 10**9) -> None:
        self.flows: list[HTTPFlow] = []
        self.changed: list[HTTPFlow] = []
        self.ended = Ended(self.changed.append, self.flows.remove, flows=flows, size=size)

    def add(self, flow: HTTPFlow) -> HTTPFlow:
        self.flows.append(flow)
        self.ended.add(flow)
        return flow


def test_while_there_is_room_nothing_goes() -> None:
    kept = Kept(flows=10)
    flows = [kept.add(a_flow(100)) for _ in range(10)]
    assert kept.flows == flows
    assert [len(moments(flow)) for flow in flows] == [100] * 10
    assert kept.changed == []


def test_of_too_many_flows_the_oldest_go() -> None:
    kept = Kept(flows=10)
    flows = [kept.add(a_flow()) for _ in range(15)]
    assert kept.flows == flows[5:]


def test_of_too_large_flows_the_oldest_lose_all_but_their_last_messages() -> None:
    kept = Kept(size=1_000_000)
    old, newer = kept.add(a_flow(800, 400)), kept.add(a_flow(100, 400))
    newest = kept.add(a_flow(400, 400))
    assert moments(old) == [float(number) for number in range(800 - KEPT_MESSAGES, 800)]
    assert len(old.metadata[FINDINGS]) == KEPT_MESSAGES
    assert old.metadata[SUMMARY]["whole"] is False
    assert old.metadata[SUMMARY]["missing"] == 800 - KEPT_MESSAGES
    assert old.comment == f" · lacks its first {800 - KEPT_MESSAGES} messages"
    assert kept.changed == [old]
    assert (len(moments(newer)), len(moments(newest))) == (100, 400)
    assert newest.metadata[SUMMARY]["whole"] is True


def test_the_newest_stays_whole_however_large_it_is() -> None:
    kept = Kept(size=1000)
    kept.add(a_flow())
    newest = kept.add(a_flow(5000))
    assert len(moments(newest)) == 5000


def test_those_that_lost_messages_go_before_others() -> None:
    kept = Kept(flows=3, size=1_000_000)
    first, *others = (kept.add(a_flow(600, 400)) for _ in range(4))
    assert first not in kept.flows
    assert kept.flows == others


def test_a_flow_that_the_user_took_away_takes_no_room() -> None:
    kept = Kept(flows=2, size=200_000)
    for _ in range(8):
        kept.add(a_flow(400))
        kept.flows.clear()
        gc.collect()
    assert kept.changed == []


def test_a_flow_that_was_cut_short_is_still_read_from_a_file(tmp_path: Path) -> None:
    kept = Kept(size=1000)
    flow = kept.add(a_flow(100))
    kept.add(a_flow())
    file = tmp_path / "flows"
    with file.open("wb") as opened:
        io.FlowWriter(opened).add(flow)
    (recorded,) = from_flows(file.read_bytes(), "flows")
    assert [message.number for message in recorded.messages] == list(range(91, 101))
