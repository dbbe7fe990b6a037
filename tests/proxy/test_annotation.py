"""What was found is said in the flow, beside what the user says there, and survives a file."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from alone import ALONE
from mitmproxy import flowfilter
from mitmproxy import io as flow_io
from mitmproxy.http import HTTPFlow
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.proxy.annotation import MARKERS, annotate, summary_line
from s2_mitm.proxy.flow_findings import FINDINGS, attach
from s2_mitm.proxy.session import Session
from s2_mitm.render.summary import SUMMARY
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.verdict import Severity

ID = "c009ed72-3ef7-49eb-9052-4258c1d6a3a3"
GREEN, YELLOW, RED = (MARKERS[severity] for severity in (None, Severity.WARNING, Severity.ERROR))


def valid(**changes: Any) -> dict[str, Any]:
    return {
        "message_type": "FRBC.StorageStatus",
        "message_id": ID,
        "present_fill_level": 5,
    } | changes


class Live:
    """A flow on which S2 is spoken, annotated as it goes on."""

    def __init__(self) -> None:
        self.flow: HTTPFlow = tflow.twebsocketflow(messages=False)
        assert self.flow.websocket is not None
        self.flow.websocket.messages = []
        self.session = Session(self.flow, ALONE)

    def say(self, content: Any, *, from_client: bool = True) -> None:
        assert self.flow.websocket is not None
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.flow.websocket.messages.append(WebSocketMessage(Opcode.TEXT, from_client, data))
        for judged in self.session.take(self.flow):
            attach(self.flow, judged)
        self.session.settle()
        annotate(self.flow, self.session)

    @property
    def findings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.flow.metadata.get(FINDINGS, [])
        return found


@pytest.fixture
def live() -> Live:
    return Live()


# Marker


@pytest.mark.parametrize(
    ("contents", "marker"),
    [
        ([valid()], GREEN),
        ([valid(message_id="no-uuid")], YELLOW),
        ([valid(x=1)], RED),
        ([valid(), valid(message_id="no-uuid"), valid()], YELLOW),
        ([valid(x=1), valid(message_id="no-uuid"), valid()], RED),
        ([b"broken", valid()], RED),
    ],
)
def test_the_marker_shows_the_worst_so_far(live: Live, contents: list[Any], marker: str) -> None:
    for content in contents:
        live.say(content)

    assert live.flow.marked == marker


@pytest.mark.parametrize("own", [":default:", ":star:", "x"])
def test_a_marker_of_the_users_own_stays(live: Live, own: str) -> None:
    live.flow.marked = own
    live.say(valid())
    live.say(valid(x=1))
    assert live.flow.marked == own


def test_a_marker_that_the_user_set_later_stays(live: Live) -> None:
    live.say(valid())
    live.flow.marked = ":star:"
    live.say(valid(x=1))

    assert live.flow.marked == ":star:"


# Comment


def test_the_comment_sums_the_session_up(live: Live) -> None:
    live.say(
        {
            "message_type": "ResourceManagerDetails",
            "message_id": "ab",
            "resource_id": "cd",
            "name": "Battery",
        }
    )
    live.say(
        {
            "message_type": "SelectControlType",
            "message_id": ID,
            "control_type": "FILL_RATE_BASED_CONTROL",
        },
        from_client=False,
    )

    errors = sum(found["severity"] == "error" for found in live.findings)
    warnings = sum(found["severity"] == "warning" for found in live.findings)
    assert live.flow.comment == (
        'S2 FRBC · RM "Battery" (client) · CEM (server)'
        f" · 2 messages, {errors} errors, {warnings} warnings"
    )
    assert errors > 1
    assert warnings > 1


def test_the_comment_follows_the_conversation(live: Live) -> None:
    live.say(valid())
    assert live.flow.comment.endswith(" · 1 message, 0 errors, 0 warnings")
    live.say(valid(x=1))
    assert live.flow.comment.endswith(" · 2 messages, 1 error, 0 warnings")
    live.say({"message_type": "Handshake", "role": "CEM"})
    assert "RM (server) · CEM (client)" in live.flow.comment


@pytest.mark.parametrize("own", ["mine", "S2", "two\nlines", "· 1 message, 0 errors, 0 warnings"])
def test_a_comment_of_the_users_own_stays(live: Live, own: str) -> None:
    live.flow.comment = own
    live.say(valid())
    live.say(valid(x=1))
    assert live.flow.comment == own


def test_a_comment_that_the_user_put_in_place_of_ours_stays(live: Live) -> None:
    live.say(valid())
    live.flow.comment = "mine"
    live.say(valid())
    live.say(valid())

    assert live.flow.comment == "mine"


def test_a_comment_around_our_line_stays_and_the_line_is_kept_up_to_date(live: Live) -> None:
    live.say(valid())
    live.flow.comment = f"before\n{live.flow.comment} and after"
    live.say(valid())
    live.say(valid())

    line = summary_line(live.session.judge)
    assert "3 messages" in line
    assert live.flow.comment == f"before\n{line} and after"


def test_a_line_that_the_user_edited_is_the_users(live: Live) -> None:
    live.say(valid())
    edited = live.flow.comment.replace("S2", "Our S2").replace("client", "the pump")
    live.flow.comment = edited
    live.say(valid())

    assert live.flow.comment == edited


def test_the_names_of_the_peer_do_no_harm(live: Live) -> None:
    name, control_type = 'x"\n\x1b[2J\u202e\ud800' + "x" * 10_000, "\x1b\n" + "y" * 10_000
    live.say({"message_type": "ResourceManagerDetails", "name": name})
    live.say({"message_type": "SelectControlType", "control_type": control_type}, from_client=False)

    assert live.flow.comment.isprintable()
    assert len(live.flow.comment) < 1500


@pytest.mark.parametrize(
    ("control_type", "shown"),
    [
        (None, "S2 ·"),
        ("POWER_ENVELOPE_BASED_CONTROL", "S2 PEBC ·"),
        ("NOT_CONTROLABLE", "S2 not controllable ·"),
        ("NO_SELECTION", "S2 no selection ·"),
        ("SOMETHING_NEW", "S2 SOMETHING_NEW ·"),
    ],
)
def test_the_control_type_is_called_what_people_call_it(
    control_type: str | None, shown: str
) -> None:
    judge = Judge()
    if control_type is not None:
        selection = {"message_type": "SelectControlType", "control_type": control_type}
        judge.receive(json.dumps(selection).encode(), from_client=False, time=0)

    assert summary_line(judge).startswith(shown)


# Metadata


def test_findings_name_their_message(live: Live) -> None:
    live.say(valid())
    live.say(valid(x=1))
    live.say(b"broken", from_client=False)

    first, second = live.findings
    assert live.flow.websocket is not None
    timestamps = [message.timestamp for message in live.flow.websocket.messages]
    assert (first["message"], first["sender"], first["timestamp"]) == (2, "RM", timestamps[1])
    assert (first["code"], first["path"]) == ("schema.unknown-field", "/x")
    assert first["message_type"] == "FRBC.StorageStatus"
    assert (second["message"], second["sender"], second["message_type"]) == (3, "CEM", "")


HOSTILE: list[Any] = [
    b"\xff\x00",
    b'{"message_type": "FRBC.StorageStatus", "a": NaN}',
    b'{"message_type": "\\ud800\\u0000", "\\udfff": "\\ud800"}',
    valid(message_id="\ud800\n\x1b[2J", **{"\ud800/~\n\x00": 1, "ключ 🔋": 2}),
    valid(present_fill_level="\u202e\u2028"),
    {"message_type": "ResourceManagerDetails", "name": "\ud800\x1b", "resource_id": "\udc80"},
    {"message_type": "HandshakeResponse", "selected_protocol_version": "\ud800"},
]


@pytest.fixture
def annotated(live: Live) -> HTTPFlow:
    for content in [valid(), valid(message_id="no-uuid"), *HOSTILE]:
        live.say(content)
    return live.flow


def test_what_is_said_survives_the_state_of_the_flow(annotated: HTTPFlow) -> None:
    again = HTTPFlow.from_state(annotated.get_state())

    assert again.metadata == annotated.metadata
    assert (again.marked, again.comment) == (annotated.marked, annotated.comment)


def saved_and_read(flow: HTTPFlow) -> HTTPFlow:
    file = io.BytesIO()
    flow_io.FlowWriter(file).add(flow)
    (again,) = flow_io.FlowReader(io.BytesIO(file.getvalue())).stream()
    assert isinstance(again, HTTPFlow)
    return again


def test_what_is_said_survives_a_file(annotated: HTTPFlow) -> None:
    again = saved_and_read(annotated)

    assert len(again.metadata[FINDINGS]) > len(HOSTILE)
    assert again.metadata == annotated.metadata
    assert (again.marked, again.comment) == (annotated.marked, annotated.comment)
    json.dumps(again.metadata).encode()


def test_what_is_said_survives_a_copy(annotated: HTTPFlow) -> None:
    again = annotated.copy()

    assert again.metadata[FINDINGS] == annotated.metadata[FINDINGS]


def test_a_flow_read_from_a_file_says_the_same_once(annotated: HTTPFlow) -> None:
    """mitmproxy plays the messages of a flow that it reads to the addons once more."""
    again = saved_and_read(annotated)
    assert again.websocket is not None
    messages, again.websocket.messages = again.websocket.messages, []
    session = Session(again, ALONE)
    for message in messages:
        again.websocket.messages.append(message)
        for judged in session.take(again):
            attach(again, judged)
        annotate(again, session)

    assert again.metadata == annotated.metadata
    assert (again.marked, again.comment) == (annotated.marked, annotated.comment)


# mitmproxy's filters


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("~marked", True),
        ("~marker red_circle", True),
        ("~marker green_circle", False),
        ("~comment FRBC", True),
        ("~comment PEBC", False),
        ("~comment Battery", True),
        ("~comment 'S2.*[1-9][0-9]* error'", True),
        ("~meta s2_findings", True),
        ("~meta schema.unknown-field", True),
        ("~meta schema.minimum", False),
        ("~meta s2:", True),
        ("~meta /present_fill_level", True),
        ("~websocket & ~meta s2_findings", True),
        ("~marked & !~meta s2_findings", False),
    ],
)
def test_the_filters_of_mitmproxy_find_it(live: Live, expression: str, matches: bool) -> None:
    live.say({"message_type": "ResourceManagerDetails", "name": "Battery"})
    select = {"message_type": "SelectControlType", "control_type": "FILL_RATE_BASED_CONTROL"}
    live.say(select, from_client=False)
    live.say(valid(present_fill_level="5", x=1))

    wanted = flowfilter.parse(expression)
    assert bool(wanted and wanted(live.flow)) is matches


def test_a_flow_without_faults_is_found_as_such(live: Live) -> None:
    live.say(valid())

    for expression in ("~meta s2 & !~meta s2_findings", "~marker green_circle"):
        assert flowfilter.match(expression, live.flow)
    assert SUMMARY in live.flow.metadata
    assert FINDINGS not in live.flow.metadata
