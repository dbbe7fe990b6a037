"""A message of a flow finds what its session found about it, by its number."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from alone import ALONE
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import io as flow_io
from mitmproxy.http import HTTPFlow
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.proxy.annotation import annotate
from s2_mitm.proxy.flow_findings import (
    COMPLETE_FROM,
    FINDINGS,
    KEPT_FINDINGS,
    attach,
    attach_late,
    findings_of,
    keep_last,
)
from s2_mitm.proxy.session import Session
from s2_mitm.render.summary import SUMMARY
from s2_mitm.s2.message.recognition import LOOK_BACK
from s2_mitm.s2.verdict import Finding, LateFinding, Role, Severity, Source


def status(number: int) -> bytes:
    """A message with one finding, which names its number."""
    return json.dumps(
        {
            "message_type": "FRBC.StorageStatus",
            "message_id": "c009ed72-3ef7-49eb-9052-4258c1d6a3a3",
            "present_fill_level": 5,
            f"x{number}": 1,
        }
    ).encode()


class Live:
    """A flow on which S2 is spoken; all its messages have the same time."""

    def __init__(self) -> None:
        self.flow: HTTPFlow = tflow.twebsocketflow(messages=False)
        self.flow.live = True
        assert self.flow.websocket is not None
        self.flow.websocket.messages = []
        self.session = Session(self.flow, ALONE)

    @property
    def messages(self) -> list[WebSocketMessage]:
        assert self.flow.websocket is not None
        return self.flow.websocket.messages

    def say(self, content: bytes, *, keep: int = 0) -> None:
        self.messages.append(WebSocketMessage(Opcode.TEXT, True, content, timestamp=1000.0))
        for judged in self.session.take(self.flow):
            attach(self.flow, judged)
        if self.session.recognised:
            self.session.forget(self.flow, keep)
            annotate(self.flow, self.session)


def paths(flow: HTTPFlow) -> list[list[str] | None]:
    """The places that the findings of each message are about."""
    assert flow.websocket is not None
    found = [findings_of(flow, message) for message in flow.websocket.messages]
    return [None if each is None else [finding.path for finding in each] for each in found]


@pytest.fixture
def live() -> Live:
    return Live()


def test_each_message_finds_its_own(live: Live) -> None:
    for number in range(3):
        live.say(status(number))

    assert paths(live.flow) == [["/x0"], ["/x1"], ["/x2"]]


def test_a_message_without_findings_was_judged_too(live: Live) -> None:
    live.say(status(0).replace(b', "x0": 1', b""))

    assert paths(live.flow) == [[]]


def test_what_is_not_judged_yet_has_none(live: Live) -> None:
    live.say(status(0))
    live.messages.append(WebSocketMessage(Opcode.TEXT, True, status(1)))

    assert paths(live.flow) == [["/x0"], None]


def test_what_is_in_no_flow_has_none(live: Live) -> None:
    live.say(status(0))

    assert findings_of(live.flow, live.messages[0].__class__(Opcode.TEXT, True, status(0))) is None


def test_when_the_oldest_have_gone_the_others_find_their_own(live: Live) -> None:
    for number in range(10):
        live.say(status(number), keep=3)

    assert paths(live.flow) == [["/x7"], ["/x8"], ["/x9"]]


def test_when_another_addon_takes_the_oldest_away_the_others_find_their_own(live: Live) -> None:
    for number in range(10):
        live.say(status(number))
    del live.messages[:4]
    live.say(status(10))

    assert paths(live.flow) == [[f"/x{number}"] for number in range(4, 11)]
    assert live.session.missing == 4


def test_what_came_long_before_the_first_of_s2_has_none(live: Live) -> None:
    for _ in range(LOOK_BACK + 2):
        live.say(b"hello")
    live.say(status(0))

    found = paths(live.flow)
    assert found[:2] == [None, None]
    assert found[2] == [""]
    assert found[-1] == ["/x0"]
    live.session.let_go(live.flow, 3)
    annotate(live.flow, live.session)
    assert paths(live.flow) == [[""], [""], ["/x0"]]


def test_what_is_found_later_is_there_too(live: Live) -> None:
    for number in range(3):
        live.say(status(number))
    finding = Finding("ack.missing", Severity.WARNING, Source.RULE, "/late", "nothing came", "ask")

    attach_late(live.flow, [LateFinding(2, 1000.0, Role.RM, "FRBC.StorageStatus", finding)])

    assert paths(live.flow) == [["/x0"], ["/x1", "/late"], ["/x2"]]
    assert (findings_of(live.flow, live.messages[1]) or [])[1] == finding


def test_a_flow_carries_the_last_findings(live: Live) -> None:
    content = status(0).replace(b"}", b', "y": 1}')
    for _ in range(KEPT_FINDINGS // 2 + 10):
        live.say(content)

    findings = live.flow.metadata[FINDINGS]
    assert len(findings) == KEPT_FINDINGS
    assert (findings[0]["message"], findings[-1]["message"]) == (11, KEPT_FINDINGS // 2 + 10)
    found = paths(live.flow)
    assert found[:10] == [None] * 10
    assert found[10] == ["/x0", "/y"]


def test_a_message_that_has_lost_one_of_its_findings_has_none(live: Live) -> None:
    for number in range(3):
        live.say(status(number).replace(b"}", b', "y": 1}'))

    keep_last(live.flow, 3)

    assert paths(live.flow) == [None, None, ["/x2", "/y"]]


def read_again(flow: HTTPFlow) -> HTTPFlow:
    file = io.BytesIO()
    flow_io.FlowWriter(file).add(flow)
    (again,) = flow_io.FlowReader(io.BytesIO(file.getvalue())).stream()
    assert isinstance(again, HTTPFlow)
    return again


def test_it_is_the_same_in_a_copy_and_in_a_file(live: Live) -> None:
    for number in range(10):
        live.say(status(number), keep=3)

    assert paths(live.flow.copy()) == paths(read_again(live.flow)) == paths(live.flow)


def test_a_flow_from_a_file_that_is_judged_once_more_has_what_is_found_then(live: Live) -> None:
    for number in range(10):
        live.say(status(number), keep=3)
    flow = read_again(live.flow)
    assert flow.websocket is not None
    messages, flow.websocket.messages = flow.websocket.messages, []
    session = Session(flow, ALONE)
    for message in messages:  # as mitmproxy plays them to the addons
        flow.websocket.messages.append(message)
        for judged in session.take(flow):
            attach(flow, judged)
        annotate(flow, session)

    assert paths(flow) == [["/x7"], ["/x8"], ["/x9"]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NAMES = ("missing", "unjudged", "judged", "message", "code", "severity", "source", "path", "text")
RECORDS = st.dictionaries(
    st.sampled_from(NAMES), JSON | st.sampled_from([0, 1, "error", "rule"]), max_size=len(NAMES)
)


@given(
    st.fixed_dictionaries(
        {
            SUMMARY: JSON | RECORDS,
            FINDINGS: JSON | st.lists(RECORDS, max_size=3),
            COMPLETE_FROM: JSON | st.just(1),
        }
    )
)
def test_whatever_stands_in_the_metadata_of_a_file_does_no_harm(metadata: dict[str, Any]) -> None:
    flow = tflow.twebsocketflow()
    flow.metadata.update(metadata)

    for found in paths(flow):
        assert found is None or all(isinstance(path, str) for path in found)
