"""The content view "S2", as mitmproxy itself asks for it: in version 11 and in 12."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from alone import ALONE
from content_views import API, IS_12, shown
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy import io as flow_io
from mitmproxy.http import HTTPFlow
from mitmproxy.tcp import TCPMessage
from mitmproxy.test import taddons, tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.proxy import contentview, delivery
from s2_mitm.proxy.annotation import annotate
from s2_mitm.proxy.flow_findings import FINDINGS, attach
from s2_mitm.proxy.session import Session
from s2_mitm.render.summary import SUMMARY
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.verdict import Role, Severity

ID = "c009ed72-3ef7-49eb-9052-4258c1d6a3a3"


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    with taddons.context():
        contentview.install(Settings)
        yield
        contentview.uninstall()


def websocket(*contents: Any, **more: Any) -> tuple[HTTPFlow, list[WebSocketMessage]]:
    """A flow that was not annotated, and its messages."""
    flow = tflow.twebsocketflow(messages=False)
    assert flow.websocket is not None
    flow.websocket.messages = [
        WebSocketMessage(
            more.get("kind", Opcode.TEXT),
            more.get("from_client", True),
            content if isinstance(content, bytes) else json.dumps(content).encode(),
            timestamp=1000.0 + number,
        )
        for number, content in enumerate(contents)
    ]
    return flow, flow.websocket.messages


def annotated(
    *contents: Any, settings: Settings = ALONE
) -> tuple[HTTPFlow, list[WebSocketMessage]]:
    flow, messages = websocket(*contents)
    session = Session(flow, settings)
    for judged in session.take(flow):
        attach(flow, judged)
    annotate(flow, session)
    return flow, messages


def status(**changes: Any) -> dict[str, Any]:
    return {
        "message_type": "FRBC.StorageStatus",
        "message_id": ID,
        "present_fill_level": 5,
    } | changes


def s2_text(content: Any, **more: Any) -> str:
    flow, (message,) = websocket(content, **more)
    name, text = shown(message, flow, "S2")
    assert name == "S2"
    return text


# Chosen by itself


@pytest.mark.parametrize(
    "content",
    [
        status(),
        status(x=1),
        b"\n" + json.dumps(status()).encode(),
        b'{"message_type":"Handshake","x":NaN}',
    ],
)
def test_it_is_chosen_for_s2_messages(content: Any) -> None:
    flow, (message,) = websocket(content)

    assert shown(message, flow)[0] == "S2"


@pytest.mark.parametrize(
    "content",
    [b"hello", b"", b"{}", b"[1, 2]", b'{"message_type": "chat"}', b"<html></html>", b"\x00\xff"],
)
def test_it_is_not_chosen_for_others(content: bytes) -> None:
    flow, (message,) = websocket(content)

    assert shown(message, flow)[0] != "S2"


@pytest.mark.parametrize("content", [b"hello", b"", b"{}", b"<html></html>", b"\x00\xff"])
def test_it_is_chosen_for_whatever_is_said_in_an_s2_conversation(content: bytes) -> None:
    flow, messages = annotated(status(), content)

    assert [shown(message, flow)[0] for message in messages] == ["S2", "S2"]


def test_it_is_not_chosen_for_http_bodies_even_of_an_s2_flow() -> None:
    flow, _ = annotated(status())
    plain = tflow.tflow(resp=True)
    assert plain.response is not None
    assert flow.response is not None
    for response in (plain.response, flow.response):
        response.headers["content-type"] = "application/json"
        response.content = json.dumps(status()).encode()

    assert shown(plain.response, plain)[0] != "S2"
    assert shown(flow.response, flow)[0] != "S2"


def test_it_is_not_chosen_for_tcp() -> None:
    flow = tflow.ttcpflow()
    flow.messages = [TCPMessage(True, json.dumps(status()).encode())]

    assert shown(flow.messages[0], flow)[0] != "S2"


def test_it_can_be_chosen_by_the_user_for_anything() -> None:
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    flow.response.content = json.dumps(status(x=1)).encode()

    name, text = shown(flow.response, flow, "S2")

    assert name == "S2"
    assert "INVALID" in text.splitlines()[0]


# What it says


def test_the_verdict_comes_first() -> None:
    lines = s2_text(status(x=1)).splitlines()

    assert lines[0].startswith("# FRBC.StorageStatus: INVALID")
    assert lines[1].startswith("# error schema.unknown-field at /x: ")
    assert "" in lines
    assert lines[lines.index("") + 1] == "{"


def test_a_valid_message_is_said_to_be_valid_and_shown_whole() -> None:
    verdict, _, body = s2_text(status()).partition("\n\n")

    assert verdict == "# FRBC.StorageStatus: valid"
    assert json.loads(body) == status()


def test_what_a_message_means_is_shown_as_it_was_told_when_it_was_judged() -> None:
    flow, messages = websocket(status(), status(present_fill_level="6"))
    session = Session(flow, ALONE)
    for judged in session.take(flow, meanings=True):
        attach(flow, judged)
    annotate(flow, session)
    assert session.let_go(flow, 1)  # the oldest go, and what was in force then with them
    annotate(flow, session)

    lines = shown(messages[0], flow, "S2")[1].splitlines()
    assert lines[0] == "# RM FRBC.StorageStatus: INVALID"
    assert lines[1] == "#     a fill level that cannot be read"


def test_what_no_session_has_judged_has_no_meaning() -> None:
    assert s2_text(status()).splitlines()[1] == ""


@pytest.mark.parametrize(
    ("content", "marked"),
    [
        (status(present_fill_level="5"), ['  "present_fill_level": "5"  # <-- ']),
        (status(x={"y": 1}), ['  "x": {  # <-- ']),
        (
            {
                "message_type": "PowerMeasurement",
                "message_id": ID,
                "measurement_timestamp": "2026-03-01T12:00:00Z",
                "values": [
                    {"commodity_quantity": "ELECTRIC.POWER.L1", "value": 1},
                    {"commodity_quantity": "ELECTRIC.POWER.L2", "value": None},
                    {"value": 2},
                ],
            },
            ['      "value": null  # <-- ', "    {  # <-- "],
        ),
        (
            {
                "message_type": "ResourceManagerDetails",
                "available_control_types": ["NO_SELECTION", "x"],
            },
            ['    "x"  # <-- '],
        ),
    ],
)
def test_the_place_at_fault_is_pointed_out_on_its_line(content: Any, marked: list[str]) -> None:
    found = [line for line in s2_text(content).splitlines() if "# <-- " in line]

    assert [line[: line.index("# <-- ") + 6] for line in found] == marked


def test_the_sender_is_told_from_the_flow() -> None:
    flow, (ours, theirs) = annotated(status(), b"{}")
    theirs.from_client = False

    assert shown(ours, flow)[1].startswith("# RM FRBC.StorageStatus: ")
    assert shown(theirs, flow)[1].startswith("# CEM (no message type): ")
    flow.metadata[SUMMARY]["client_role"] = Role.CEM
    assert shown(ours, flow)[1].startswith("# CEM FRBC.StorageStatus: ")


def test_what_was_injected_or_held_back_is_said_so() -> None:
    flow, (message,) = annotated(status())
    message.injected = message.dropped = True

    first = shown(message, flow)[1].splitlines()[0]

    assert "injected" in first
    assert "NOT FORWARDED" in first


def test_a_binary_frame_is_a_finding() -> None:
    assert "json.binary" in s2_text(status(), kind=Opcode.BINARY)


def test_it_is_held_against_the_version_of_the_conversation() -> None:
    response = {"message_type": "HandshakeResponse", "selected_protocol_version": "0.0.2-beta"}
    flow, messages = annotated(response, {"message_type": "DDBC.PresentDemandStatus"})

    assert "schema.unknown-message-type" in shown(messages[1], flow)[1]


def test_findings_that_need_the_conversation_are_shown_with_their_message_alone() -> None:
    response = {
        "message_type": "HandshakeResponse",
        "message_id": ID,
        "selected_protocol_version": "7.0",
    }
    flow, (first, second) = annotated(response, status(), settings=Settings())

    assert "handshake.unknown-version at /selected_protocol_version" in shown(first, flow)[1]
    assert "handshake.unknown-version" not in shown(second, flow)[1]


def test_every_finding_is_shown_once() -> None:
    flow, (message,) = annotated(status(x=1))

    verdict = shown(message, flow)[1].partition("\n\n")[0]
    assert verdict.count("schema.unknown-field") == 1


def test_it_works_for_flows_read_from_a_file() -> None:
    flow, messages = annotated(status(), {"message_type": "HandshakeResponse"}, b"hello")
    file = io.BytesIO()
    flow_io.FlowWriter(file).add(flow)
    (again,) = flow_io.FlowReader(io.BytesIO(file.getvalue())).stream()
    assert isinstance(again, HTTPFlow)
    assert again.websocket is not None

    for message, before in zip(again.websocket.messages, messages, strict=True):
        assert shown(message, again) == shown(before, flow)


def test_it_works_for_flows_that_were_never_annotated() -> None:
    flow, (message,) = websocket(status())

    assert shown(message, flow)[1].startswith("# FRBC.StorageStatus: valid")


@pytest.mark.parametrize(
    "metadata",
    [
        {SUMMARY: {}},
        {SUMMARY: {"client_role": "nobody", "version": "none"}},
        {SUMMARY: {"client_role": None, "version": None}},
        {SUMMARY: {"client_role": ["RM"], "version": ["1.0.0-beta"]}},
        {FINDINGS: []},
    ],
)
def test_metadata_of_another_version_of_s2_mitm_do_no_harm(metadata: dict[str, Any]) -> None:
    flow, (message,) = websocket(status(x=1))
    flow.metadata.update(metadata)

    assert "INVALID" in shown(message, flow, "S2")[1]


def test_what_has_no_verdict_is_judged_as_the_user_wants_it() -> None:
    contentview.install(
        lambda: Settings(
            ignore=frozenset({"schema.unknown-field"}),
            severity={"schema.type": Severity.WARNING},
        )
    )

    text = s2_text(status(x=1, present_fill_level="5"))

    assert text.startswith("# FRBC.StorageStatus: valid")
    assert "# warning schema.type at /present_fill_level: " in text
    assert "schema.unknown-field" not in text


def test_what_has_a_verdict_keeps_it_whatever_the_user_wants_now() -> None:
    flow, (message,) = annotated(status(x=1))
    contentview.install(lambda: Settings(ignore=frozenset({"schema.unknown-field"})))

    assert "schema.unknown-field" in shown(message, flow)[1]


def test_a_verdict_is_not_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    flow, messages = annotated(status(x=1), status(), b"hello")
    before = [shown(message, flow)[1] for message in messages]

    monkeypatch.setattr(contentview, "judge_alone", None)

    assert [shown(message, flow)[1] for message in messages] == before


def test_of_a_message_that_was_changed_on_its_way_the_verdict_is_about_what_came() -> None:
    flow, (message,) = websocket(status(x=1))
    delivery.comes(message)
    message.content = json.dumps(status()).encode()
    session = Session(flow, ALONE)
    for judged in session.take(flow):
        attach(flow, judged)
    annotate(flow, session)

    first, finding = shown(message, flow)[1].splitlines()[:2]

    assert first == ("# RM FRBC.StorageStatus: INVALID · changed on its way, judged as it came")
    assert finding.startswith("# error schema.unknown-field at /x: ")


# Hostile content

HOSTILE = [
    b'{"message_type":"Handshake\\u001b[2J\\u202e"}',
    b'{"message_type":"Handshake","\\u001b[31m\\n":"\\u0000\\u2028"}',
    b'{"message_type":"Handshake","x":"\\ud800","\\udfff":1}',
    b'{"message_type":"Handshake","x":"</pre><script>alert(1)</script>","<b>":1}',
    b'{"message_type":"Handshake","x":[NaN,Infinity,1e999]}',
    b'{"message_type":"Handshake","message_type":"Handshake","a/b":1,"m~n":1}',
    b'{"message_type":"Handshake","a":' + b"9" * 4301 + b"}",
    b'{"message_type":"Handshake"}\xff\x00\x1b[2J\r\n\x85\xe2\x80\xa8',
    b"\x1b]0;title\x07 hello \x9b31m",
    b"[" * 100_000,
    b'{"a":' * 60 + b"1" + b"}" * 60,
    b"\xff" * 100_000,
    b'{"message_type":"' + b"x" * 1_000_000 + b'"}',
    b'{"message_type":"Handshake","' + b"k" * 1_000_000 + b'":1}',
    b'{"message_type":"Handshake","x":"' + b"v" * 1_000_000 + b'"}',
    b'{"message_type":"Handshake","x":"' + b"v" * 2_000_000 + b'"}',
    b'{"message_type":"Handshake","x":[' + b"{}," * 100_000 + b"1]}",
    b"",
    b"\n\n\n",
]


@pytest.mark.parametrize("content", HOSTILE, ids=lambda content: repr(content[:50])[2:-1])
@pytest.mark.parametrize("kind", [Opcode.TEXT, Opcode.BINARY])
def test_hostile_content_is_shown_and_steers_nothing(content: bytes, kind: Opcode) -> None:
    flow, messages = annotated(status(), content)
    messages[1].type = kind

    name, text = shown(messages[1], flow)

    assert name == "S2"
    text.encode()
    assert all(line.isprintable() for line in text.split("\n"))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary() | st.text().map(lambda text: json.dumps(status(**{"x": text, text: 1})).encode())
)
def test_any_content_is_shown(content: bytes) -> None:
    flow, messages = annotated(status(), content)

    name, text = shown(messages[1], flow)

    assert name == "S2"
    assert all(line.isprintable() for line in text.split("\n"))


# Coming and going


def names() -> list[str]:
    return list(API.registry) if IS_12 else [view.name.lower() for view in API.views]


def test_it_is_offered_once_however_often_the_addon_is_loaded() -> None:
    contentview.install(Settings)
    contentview.install(Settings)

    assert names().count("s2") == 1


@pytest.mark.skipif(IS_12, reason="mitmproxy 12 cannot take a content view away")
def test_it_goes_with_the_addon() -> None:
    contentview.uninstall()
    assert "s2" not in names()
    contentview.uninstall()


def test_the_settings_are_those_of_the_moment() -> None:
    current = Settings()
    contentview.install(lambda: current)
    flow, (message,) = websocket({"message_type": "DDBC.PresentDemandStatus"})
    assert "schema.missing" in shown(message, flow)[1]

    current = Settings(version="0.0.2-beta")

    assert "schema.unknown-message-type" in shown(message, flow)[1]
