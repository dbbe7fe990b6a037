"""``s2.inject``: what is sent is what was given, and what is not sent is told in a sentence."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alone import ALONE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy import ctx
from mitmproxy.exceptions import CommandError
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.test import taddons, tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.proxy import mitmweb
from s2_mitm.proxy.injection import inject, with_message_id
from s2_mitm.proxy.session import Session
from s2_mitm.s2.conversation.settings import Settings

ID = "c009ed72-3ef7-49eb-9052-4258c1d6a3a3"
SELECT = '{"message_type": "SelectControlType", "control_type": "NO_SELECTION"}'
SELECT_WITH_ID = SELECT.replace("{", f'{{"message_id": "{ID}", ')


class Wire:
    """mitmproxy's own command for injection, which wants a connection that we have not."""

    def __init__(self) -> None:
        self.sent: list[tuple[bool, bytes, bool]] = []

    def inject(self, flow: Flow, to_client: bool, message: bytes, is_text: bool = True) -> None:
        self.sent.append((to_client, message, is_text))

    @property
    def content(self) -> bytes:
        ((_, content, is_text),) = self.sent
        assert is_text
        return content


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    with taddons.context() as context:
        context.master.commands.add("inject.websocket", wire.inject)
        yield wire


@pytest.fixture
def flow() -> HTTPFlow:
    flow = tflow.twebsocketflow(messages=False)
    assert flow.websocket is not None
    flow.websocket.messages = []
    flow.websocket.timestamp_end = flow.websocket.close_code = None
    return flow


def speaking(flow: HTTPFlow, content: bytes = b'{"message_type":"FRBC.StorageStatus"}') -> Session:
    """The session of a flow whose client has said something."""
    assert flow.websocket is not None
    session = Session(flow, ALONE)
    flow.websocket.messages.append(WebSocketMessage(Opcode.TEXT, True, content))
    list(session.take(flow))
    return session


def test_what_a_rule_finds_in_the_message_alone_is_refused(wire: Wire, flow: HTTPFlow) -> None:
    session = Session(flow, Settings())
    assert flow.websocket is not None
    content = b'{"message_type":"FRBC.StorageStatus"}'
    flow.websocket.messages.append(WebSocketMessage(Opcode.TEXT, True, content))
    list(session.take(flow))

    with pytest.raises(CommandError, match=r"handshake\.no-versions"):
        inject(flow, session, "cem", '{"message_type":"Handshake","role":"RM"}', validate=True)

    assert wire.sent == []


# Sending


@pytest.mark.parametrize(("to", "to_client"), [("rm", True), ("cem", False), ("RM", True)])
def test_it_goes_to_the_right_side(wire: Wire, flow: HTTPFlow, to: str, to_client: bool) -> None:
    inject(flow, speaking(flow), to, SELECT_WITH_ID, validate=True)

    assert wire.sent == [(to_client, SELECT_WITH_ID.encode(), True)]


def test_it_goes_to_the_right_side_where_the_cem_is_the_client(wire: Wire, flow: HTTPFlow) -> None:
    session = speaking(flow, b'{"message_type":"SelectControlType"}')

    inject(flow, session, "rm", SELECT_WITH_ID, validate=True)

    assert [to_client for to_client, _, _ in wire.sent] == [False]


def test_it_says_what_was_sent(wire: Wire, flow: HTTPFlow) -> None:
    said = inject(flow, speaking(flow), "rm", SELECT_WITH_ID, validate=True)

    assert said == f"Injected SelectControlType {ID} to the RM."


@pytest.mark.parametrize("text", ["hello", "", "[1]", '{"message_type": ["\x1b[2J"]}', "{}"])
def test_without_validation_anything_is_sent_as_it_is(
    wire: Wire, flow: HTTPFlow, text: str
) -> None:
    said = inject(flow, speaking(flow), "cem", text, validate=False)

    assert wire.content == text.encode()
    assert said.startswith("Injected ")
    assert said.endswith(" to the CEM.")
    assert said.isprintable()


def test_without_validation_no_id_is_filled_in(wire: Wire, flow: HTTPFlow) -> None:
    inject(flow, speaking(flow), "rm", SELECT, validate=False)

    assert wire.content == SELECT.encode()


def test_an_id_that_is_missing_is_filled_in_and_told(wire: Wire, flow: HTTPFlow) -> None:
    said = inject(flow, speaking(flow), "rm", SELECT, validate=True)

    message_id = json.loads(wire.content)["message_id"]
    assert str(uuid.UUID(message_id)) == message_id
    assert message_id in said


@pytest.mark.parametrize("label", ["Wärmepumpe 電池 🔋", "\u2028\u202e", "\\u0000 \\\\ \\/"])
def test_what_is_not_ascii_is_sent_as_it_is(wire: Wire, flow: HTTPFlow, label: str) -> None:
    message = (
        f'{{"message_type": "ReceptionStatus", "subject_message_id": "{ID}",'
        f' "status": "OK", "diagnostic_label": "{label}"}}'
    )
    inject(flow, speaking(flow), "rm", message, validate=True)

    assert wire.content == message.encode()


def test_bytes_that_the_command_line_could_not_decode_are_sent(wire: Wire, flow: HTTPFlow) -> None:
    inject(flow, speaking(flow), "rm", "caf\udce9", validate=False)

    assert wire.content == b"caf\xe9"


def test_half_a_surrogate_pair_is_refused_or_sent_but_never_breaks(
    wire: Wire, flow: HTTPFlow
) -> None:
    try:
        inject(flow, speaking(flow), "rm", '{"x": "\ud800"}', validate=False)
    except CommandError as refusal:
        assert wire.sent == []
        str(refusal).encode()


def test_a_message_comes_from_a_file(wire: Wire, flow: HTTPFlow, tmp_path: Path) -> None:
    (tmp_path / "select ö.json").write_bytes(b"\n " + SELECT_WITH_ID.encode() + b"\r\n")

    inject(flow, speaking(flow), "rm", f"@{tmp_path}/select ö.json", validate=True)

    assert wire.content == SELECT_WITH_ID.encode()


def test_the_bytes_of_a_file_are_sent_whatever_they_are(
    wire: Wire, flow: HTTPFlow, tmp_path: Path
) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\x00{")

    inject(flow, speaking(flow), "rm", f"@{tmp_path}/bytes", validate=False)

    assert wire.content == b"\xff\x00{"


def test_a_file_in_the_home_directory_is_found(
    wire: Wire, flow: HTTPFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "m.json").write_text("{}")

    inject(flow, speaking(flow), "rm", "@~/m.json", validate=False)

    assert wire.content == b"{}"


# Refusing


def refusal(flow: Flow, session: Session | None, to: str, message: str, **more: Any) -> str:
    with pytest.raises(CommandError) as raised:
        inject(flow, session, to, message, validate=more.get("validate", True))
    sentence = str(raised.value)
    assert sentence.isprintable()
    assert len(sentence) < 5000
    assert sentence.endswith((".", ")."))
    return sentence


@pytest.mark.parametrize("to", ["", "RMM", "client", "\x1b[2J", "all", "ЯM"])
def test_the_receiver_is_rm_or_cem(wire: Wire, flow: HTTPFlow, to: str) -> None:
    assert "'rm' or 'cem'" in refusal(flow, speaking(flow), to, SELECT)
    assert wire.sent == []


def test_a_flow_that_is_no_websocket_is_told(wire: Wire) -> None:
    assert "not a WebSocket" in refusal(tflow.tflow(resp=True), None, "rm", SELECT)
    assert "not a WebSocket" in refusal(tflow.ttcpflow(), None, "rm", SELECT)
    assert wire.sent == []


def test_a_websocket_that_is_closed_is_told(wire: Wire, flow: HTTPFlow) -> None:
    session = speaking(flow)
    assert flow.websocket is not None
    flow.websocket.close_code = 1000  # also where the other has not answered yet
    assert "closed" in refusal(flow, session, "rm", SELECT)

    flow.websocket.close_code = None
    flow.live = False
    assert "closed" in refusal(flow, session, "rm", SELECT)
    assert wire.sent == []


def test_a_websocket_that_is_not_s2_is_told(wire: Wire, flow: HTTPFlow) -> None:
    assert "no S2 message" in refusal(flow, speaking(flow, b"hello"), "rm", SELECT)
    assert "no S2 message" in refusal(flow, None, "rm", SELECT)
    assert wire.sent == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", "json.syntax"),
        ("", "json.syntax"),
        ("[]", "json.not-an-object"),
        ("{}", "schema.no-message-type"),
        ('{"message_type": "\x1b[2J"}', "json.control-character"),
        ('{"message_type": "selectControlType"}', "schema.unknown-message-type"),
        (SELECT.replace("NO_SELECTION", "NONE"), "schema.enum"),
        (SELECT.replace('"NO_SELECTION"', "NaN"), "json.nan"),
        (SELECT.replace("NO_SELECTION", "\\u001b\\n" * 500), "schema.enum"),
        ('{"message_type": "SelectControlType", "a": 1, "b": 2}', "schema.missing"),
        ('{"message_type": "SelectControlType", "' + "k" * 100_000 + '": 1}', "unknown-field"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else None,
)
def test_what_is_invalid_is_refused_with_the_findings(
    wire: Wire, flow: HTTPFlow, message: str, code: str
) -> None:
    sentence = refusal(flow, speaking(flow), "rm", message)

    assert code in sentence
    assert "false" in sentence
    assert wire.sent == []


def test_it_is_held_against_the_version_of_the_conversation(wire: Wire, flow: HTTPFlow) -> None:
    response = b'{"message_type":"HandshakeResponse","selected_protocol_version":"1.0.0-beta"}'
    demand = '{"message_type": "DDBC.PresentDemandStatus"}'

    assert "schema.missing" in refusal(flow, speaking(flow, response), "cem", demand)


def test_what_is_only_doubtful_is_sent(wire: Wire, flow: HTTPFlow) -> None:
    inject(flow, speaking(flow), "rm", SELECT_WITH_ID.replace(ID, "no-uuid"), validate=True)

    assert b"no-uuid" in wire.content


@pytest.mark.parametrize(
    "path",
    ["missing", "", ".", "/", "no/../x", "~", "~no-such-user/x", "\0", "a\x1b[2J\n", "\ud800"],
    ids=ascii,
)
@pytest.mark.parametrize("validate", [True, False])
def test_a_file_that_cannot_be_read_is_told(
    wire: Wire, flow: HTTPFlow, path: str, validate: bool
) -> None:
    refusal(flow, speaking(flow), "rm", f"@{path}", validate=validate)

    assert wire.sent == []


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (f"root:{SECRET}:19000:0:::", "[json.syntax] at line 1 column 1"),
        (f"\n\n{SECRET}", "[json.syntax] at line 1 column 1"),
        (f'{{"password": "{SECRET}"}}', "[schema.no-message-type]"),
        (f'{{"{SECRET}": {{"message_type": "Handshake"}}}}', "[schema.no-message-type]"),
        (f'{{"messagetype{SECRET}": 1}}', "[schema.no-message-type]"),
        (f'{{"message_type": "{SECRET}"}}', "[schema.unknown-message-type]"),
        (f'{{"message_type": ["{SECRET}"]}}', "[schema.message-type-not-text]"),
        (f'{{"{SECRET}": 1, "{SECRET}": NaN}}', "[json.nan]"),
        (f'["{SECRET}"]', "[json.not-an-object]"),
        (f'"{SECRET}"', "[json.not-an-object]"),
        (f'{{"a": 1}}\n{SECRET}', "[json.trailing-data] at line 2 column 1"),
        (f'{{"a": "{SECRET}\x01"}}', "[json.control-character] at line 1 column 15"),
    ],
)
def test_no_refusal_shows_what_is_in_a_file_that_is_no_s2_message(
    wire: Wire, flow: HTTPFlow, tmp_path: Path, content: str, named: str
) -> None:
    file = tmp_path / "file"
    file.write_text(content)

    sentence = refusal(flow, speaking(flow), "rm", f"@{file}")

    assert f"{file} holds no S2 message" in sentence
    assert named in sentence
    assert SECRET not in sentence
    assert wire.sent == []


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_no_refusal_shows_what_is_in_any_file(
    wire: Wire, flow: HTTPFlow, tmp_path: Path, before: bytes, after: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(before + SECRET.encode() + after)

    assert SECRET not in refusal(flow, speaking(flow), "rm", f"@{file}")


def test_what_is_wrong_with_an_s2_message_in_a_file_is_told_in_full(
    wire: Wire, flow: HTTPFlow, tmp_path: Path
) -> None:
    (tmp_path / "m.json").write_text(SELECT.replace("NO_SELECTION", "NONE"))

    assert 'text "NONE"' in refusal(flow, speaking(flow), "rm", f"@{tmp_path}/m.json")


def test_a_mitmweb_without_a_login_sends_no_file(
    wire: Wire, flow: HTTPFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.json").write_text(SELECT)
    monkeypatch.setattr(mitmweb, "HAS_LOGIN", False)
    monkeypatch.setattr(ctx.master, "app", object(), raising=False)

    for validate in (True, False):
        sentence = refusal(flow, speaking(flow), "rm", f"@{tmp_path}/m.json", validate=validate)
        assert "this mitmweb has no login" in sentence
    assert wire.sent == []
    inject(flow, speaking(flow), "rm", SELECT, validate=True)
    assert wire.sent


# Filling in the message_id


@pytest.mark.parametrize(
    ("content", "rest"),
    [
        (b'{"message_type":"Handshake"}', b'{|"message_type":"Handshake"}'),
        (b' \r\n\t{ "a" : 1 } \n', b' \r\n\t{| "a" : 1 } \n'),
        (b'{\n  "a": 1\n}', b'{|\n  "a": 1\n}'),
        (b'{"a":{"message_id":"x"}}', b'{|"a":{"message_id":"x"}}'),
        (b'{"Message_id":"x"}', b'{|"Message_id":"x"}'),
        (b'{"a":"{"}', b'{|"a":"{"}'),
        (b'{"a":1,"a":2}', b'{|"a":1,"a":2}'),
        (b'{"a":NaN}', b'{|"a":NaN}'),
        (b'{"a":"\xff"}', b'{|"a":"\xff"}'),
        (b'\xef\xbb\xbf{"a":1}', b'\xef\xbb\xbf{|"a":1}'),
        (rb'{"a":"\\1 \\g<0>"}', rb'{|"a":"\\1 \\g<0>"}'),
        ('{"a":"Wärme 🔋"}'.encode(), '{|"a":"Wärme 🔋"}'.encode()),
    ],
)
def test_an_id_is_put_first_and_all_else_stays(content: bytes, rest: bytes) -> None:
    before, after = rest.split(b"|")

    filled = with_message_id(content)

    assert filled.startswith(before)
    assert filled.endswith(after)
    inserted = filled[len(before) : len(filled) - len(after)].decode()
    (message_id,) = json.loads("{" + inserted.strip().rstrip(",") + "}").values()
    assert inserted.strip().startswith('"message_id"')
    assert str(uuid.UUID(message_id)) == message_id


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b" { } ",
        b"[]",
        b"[{}]",
        b'"{"',
        b"hello {",
        b'{"a":1',
        b'{"a":1} {',
        b"\xff",
        b'{"message_id":"x"}',
        b'{"message_id":null}',
        b'{"message_id":""}',
        b'{"\\u006dessage_id":"x"}',
        b'{"message_type":"ReceptionStatus"}',
        b'{"a":1,"message_type":"ReceptionStatus"}',
    ],
)
def test_what_has_an_id_or_needs_none_stays_as_it_is(content: bytes) -> None:
    assert with_message_id(content) == content


def test_every_id_is_another() -> None:
    assert with_message_id(b'{"a":1}') != with_message_id(b'{"a":1}')


@settings(deadline=None)
@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.none(), min_size=1),
    st.sampled_from([None, 1, 4]),
    st.booleans(),
)
def test_the_message_says_what_it_said(
    message: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    content = json.dumps(message, indent=indent, ensure_ascii=ascii_only).encode()

    filled = json.loads(with_message_id(content))

    assert {**filled, **message} == filled
    assert filled.keys() - message.keys() <= {"message_id"}


@settings(deadline=None)
@given(st.binary())
def test_nothing_is_lost_of_any_bytes(content: bytes) -> None:
    filled = with_message_id(content)

    assert filled == content or (len(filled) > len(content) and filled.endswith(b"}"))
