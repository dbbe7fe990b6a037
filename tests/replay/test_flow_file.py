"""The S2 conversations of a flow file that mitmproxy has saved."""

from __future__ import annotations

import io
from typing import Any

import pytest
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.replay.flow_file import from_flows
from s2_mitm.replay.recorded import NotRecordedError, RecordedMessage, RecordedSession
from s2_mitm.s2.message.recognition import LOOK_BACK
from s2_mitm.s2.verdict import Role

SHAKE = b'{"message_type": "Handshake", "role": "RM"}'
STATUS = b'{"message_type": "FRBC.StorageStatus", "present_fill_level": 5}'


def websocket(*contents: bytes, **metadata: Any) -> HTTPFlow:
    """A WebSocket whose client has sent these messages."""
    flow = tflow.twebsocketflow(messages=False)
    assert flow.websocket is not None
    flow.websocket.messages = [
        WebSocketMessage(Opcode.TEXT, True, content, 100.0 + number)
        for number, content in enumerate(contents)
    ]
    flow.websocket.timestamp_end = 200.0
    if metadata:
        flow.metadata["s2"] = metadata
    return flow


def saved(*flows: Flow) -> bytes:
    file = io.BytesIO()
    for flow in flows:
        FlowWriter(file).add(flow)
    return file.getvalue()


def read(*flows: Flow) -> list[RecordedSession]:
    return list(from_flows(saved(*flows), "flows"))


def test_a_session() -> None:
    flow = websocket(SHAKE, STATUS)
    assert flow.websocket is not None
    flow.websocket.messages += [
        WebSocketMessage(Opcode.BINARY, False, b"\xff", 110.0, True, injected=True)
    ]
    [session] = read(flow)
    assert session == RecordedSession(
        flow.id,
        [
            RecordedMessage(1, 100.0, True, SHAKE),
            RecordedMessage(2, 101.0, True, STATUS),
            RecordedMessage(3, 110.0, False, b"\xff", binary=True, injected=True, dropped=True),
        ],
        None,
        None,
        200.0,
        closed_by="server",
    )


def test_other_flows_are_passed_over() -> None:
    flows = [tflow.tflow(resp=True), websocket(b"hello"), tflow.ttcpflow(), websocket(SHAKE)]
    [session] = read(*flows)
    assert session.id == flows[-1].id
    assert read(tflow.tflow()) == []


def test_a_session_that_still_went_on() -> None:
    flow = websocket(SHAKE)
    assert flow.websocket is not None
    flow.websocket.timestamp_end = None
    assert read(flow)[0].ended is None


def test_a_session_of_which_only_the_end_was_kept() -> None:
    [session] = read(
        websocket(STATUS, STATUS, whole=False, client_role="CEM", version="1.0.0-beta")
    )
    assert [message.number for message in session.messages] == [2, 3]
    assert (session.client_role, session.version) == (Role.CEM, "1.0.0-beta")


@pytest.mark.parametrize(("before", "first"), [(LOOK_BACK, 1), (LOOK_BACK + 1, 2), (500, 2)])
def test_what_was_no_s2_for_long_before_is_passed_over(before: int, first: int) -> None:
    contents = [b"%d" % number for number in range(before)] + [SHAKE, STATUS]
    [session] = read(websocket(*contents))
    messages = list(session.messages)
    assert [message.content for message in messages] == contents[-LOOK_BACK - 2 :]
    assert [message.number for message in messages] == [*range(first, first + LOOK_BACK + 2)]


def test_the_handshake_may_come_after_what_was_no_s2() -> None:
    contents = [b"ping"] * LOOK_BACK + [SHAKE, STATUS]
    [session] = read(websocket(*contents, whole=True, client_role="RM", version="1.0.0-beta"))
    assert session.version is None


def test_the_version_is_that_of_the_handshake_where_there_is_one() -> None:
    [session] = read(websocket(SHAKE, STATUS, whole=True, client_role="RM", version="1.0.0-beta"))
    assert session.version is None
    [session] = read(websocket(STATUS, whole=True, client_role="RM", version="1.0.0-beta"))
    assert session.version == "1.0.0-beta"


def test_a_session_says_how_many_messages_came_before() -> None:
    [session] = read(websocket(SHAKE, STATUS, whole=False, missing=2000, version="1.0.0-beta"))
    assert [message.number for message in session.messages] == [2001, 2002]
    assert session.version == "1.0.0-beta"


@pytest.mark.parametrize("number", [-5, 0, None, "many", 1.5, []])
def test_what_is_no_number_of_messages_says_nothing(number: Any) -> None:
    [session] = read(websocket(SHAKE, missing=number))
    assert [message.number for message in session.messages] == [1]


@pytest.mark.parametrize("metadata", ["x", [], {"whole": 0}, {"client_role": 5, "version": None}])
def test_metadata_of_others(metadata: Any) -> None:
    flow = websocket(SHAKE)
    flow.metadata["s2"] = metadata
    assert read(flow)[0].client_role is None


@pytest.mark.parametrize("data", [b"hello", b"12:", b"\0" * 100, b"5:12345,", b"999999999:x", b"["])
def test_what_is_no_flow_file(data: bytes) -> None:
    with pytest.raises(NotRecordedError) as error:
        list(from_flows(data, "it"))
    assert str(error.value) == (
        "it is neither a recording of s2-mitm, nor a flow file of mitmproxy, nor JSON Lines with"
        " sender and time"
    )


def test_a_flow_file_that_breaks_off() -> None:
    data = saved(websocket(SHAKE), websocket(SHAKE))
    sessions = from_flows(data[:-10], "it")
    assert next(sessions).messages
    with pytest.raises(NotRecordedError, match=r"^it breaks off after 1 flow$"):
        next(sessions)
