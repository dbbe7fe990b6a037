"""The terminal shows what deserves a line, harms nobody by it, and never stops the traffic."""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, TextIO

import pytest
from alone import ALONE
from mitmproxy.addons.termlog import TermLog
from mitmproxy.http import HTTPFlow
from mitmproxy.test import taddons, tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.proxy.observers.log import LEVELS, Log
from s2_mitm.proxy.session import Session

ID = "c009ed72-3ef7-49eb-9052-4258c1d6a3a3"
STATUS = {"message_type": "FRBC.StorageStatus", "message_id": ID, "present_fill_level": 5}


class Terminal(io.StringIO):
    """An output that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def console() -> Iterator[None]:
    """mitmproxy with its own screen."""
    with taddons.context():
        yield


@pytest.fixture
def dump(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """mitmdump or mitmweb."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    with taddons.context() as context:
        termlog = TermLog()
        context.master._termlog_addon = termlog
        yield
        termlog.uninstall()


def printed(
    monkeypatch: pytest.MonkeyPatch, level: str, *contents: Any, output: TextIO | None = None
) -> str:
    """What a session of these messages prints."""
    output = output or io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    speak(Log(level), *contents)
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def speak(log: Log, *contents: Any, **more: Any) -> Session:
    flow: HTTPFlow = tflow.twebsocketflow(messages=False)
    assert flow.websocket is not None
    flow.websocket.messages = []
    flow.request.path = more.get("path", "/ws")
    session = Session(flow, ALONE)
    for content in contents:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        flow.websocket.messages.append(
            WebSocketMessage(
                Opcode.TEXT,
                True,
                data,
                injected=more.get("injected", False),
                dropped=more.get("dropped", False),
            )
        )
        for judged in session.take(flow):
            if judged.number == 1:
                log.opened(session)
            log.judged(session, judged)
    log.closed(session)
    return session


@pytest.mark.usefixtures("dump")
@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("all", ["S2 WebSocket /ws from 127.0.0.1:22", "valid", "INVALID", "closed: S2 · "]),
        ("findings", ["S2 WebSocket /ws from 127.0.0.1:22", "INVALID", "closed: S2 · "]),
        ("none", []),
    ],
)
def test_the_level_says_which_messages_are_shown(
    monkeypatch: pytest.MonkeyPatch, level: str, shown: list[str]
) -> None:
    lines = printed(monkeypatch, level, STATUS, STATUS | {"x": 1}).splitlines()

    of_messages = [line for line in lines if not line.startswith(" ")]
    assert len(of_messages) == len(shown)
    for line, words in zip(of_messages, shown, strict=True):
        assert words in line


@pytest.mark.usefixtures("dump")
@pytest.mark.parametrize(
    ("level", "content", "dropped", "shown"),
    [
        ("all", STATUS, True, "RM  FRBC.StorageStatus of 12:00:00.000 NOT FORWARDED"),
        ("all", STATUS, False, "RM  FRBC.StorageStatus of 12:00:00.000 CHANGED ON ITS WAY"),
        ("findings", STATUS | {"x": 1}, True, "FRBC.StorageStatus of 12:00:00.000 NOT FORWARDED"),
        ("findings", STATUS, True, ""),
        ("none", STATUS | {"x": 1}, True, ""),
    ],
)
def test_what_others_did_to_a_message_afterwards(
    monkeypatch: pytest.MonkeyPatch, level: str, content: Any, dropped: bool, shown: str
) -> None:
    output = io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    flow = tflow.twebsocketflow(messages=False)
    assert flow.websocket is not None
    noon = datetime(2026, 3, 1, 12).timestamp()
    message = WebSocketMessage(Opcode.TEXT, True, json.dumps(content).encode(), noon)
    flow.websocket.messages = [message]
    session = Session(flow, ALONE)
    [judged] = session.take(flow)
    message.dropped = dropped

    Log(level).delivered(session, judged)

    assert shown in output.getvalue()
    assert bool(shown) == bool(output.getvalue())


def test_the_levels_are_those_of_the_option() -> None:
    assert LEVELS == ("all", "findings", "none")


@pytest.mark.usefixtures("dump")
def test_a_line_has_time_session_sender_type_verdict_and_the_findings_beneath(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, line, finding, *_ = printed(monkeypatch, "all", STATUS | {"x": 1}).splitlines()

    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} \[[0-9a-f]{4}\] RM  FRBC\.StorageStatus INVALID", line
    )
    assert finding.startswith("    error schema.unknown-field /x: ")


@pytest.mark.usefixtures("dump")
@pytest.mark.parametrize(
    ("more", "words"), [({"injected": True}, " injected"), ({"dropped": True}, " NOT FORWARDED")]
)
def test_injected_and_blocked_messages_are_said_to_be(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, bool], words: str
) -> None:
    output = io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    speak(Log("all"), STATUS, **more)

    (line,) = [line for line in output.getvalue().splitlines() if "StorageStatus" in line]
    assert line.endswith(words)


@pytest.mark.usefixtures("dump")
def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in printed(monkeypatch, "all", STATUS | {"x": 1}, output=Terminal())


@pytest.mark.usefixtures("dump")
def test_a_file_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in printed(monkeypatch, "all", STATUS | {"x": 1})


@pytest.mark.usefixtures("dump")
def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b" not in printed(monkeypatch, "all", STATUS | {"x": 1}, output=Terminal())


HOSTILE = "\x1b[2J\x1b]0;title\x07\r\n\x9b31m\u202e\u2028"


@pytest.mark.usefixtures("dump")
@pytest.mark.parametrize(
    "content",
    [
        {"message_type": HOSTILE},
        STATUS | {HOSTILE: 1},
        STATUS | {"message_id": HOSTILE},
        {"message_type": "ResourceManagerDetails", "name": HOSTILE, "resource_id": HOSTILE},
        {"message_type": "SelectControlType", "control_type": HOSTILE},
        {"message_type": "HandshakeResponse", "selected_protocol_version": HOSTILE},
        {"message_type": "ReceptionStatus", "subject_message_id": HOSTILE, "status": HOSTILE},
        {"message_type": "ReceptionStatus", "status": {HOSTILE: "\ud800"}},
        HOSTILE.encode(),
        b'{"message_type": "Handshake"} ' + HOSTILE.encode(),
        {"message_type": "\ud800", "\udc00": "\ud83d"},
    ],
)
def test_nothing_that_a_peer_sends_steers_the_terminal(
    monkeypatch: pytest.MonkeyPatch, content: Any
) -> None:
    shown = printed(monkeypatch, "all", STATUS, content, output=Terminal())

    text = re.sub(r"\x1b\[\d+m", "", shown)  # our own colours
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.splitlines() == text.removesuffix("\n").split("\n")


@pytest.mark.usefixtures("dump")
def test_the_path_of_a_request_does_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    speak(Log("all"), STATUS, path="/\x1b[2J\n?token=secret")

    assert "\x1b" not in output.getvalue()
    assert "secret" not in output.getvalue()


@pytest.mark.usefixtures("dump")
@pytest.mark.parametrize(
    "content",
    [
        {"message_type": "x" * 1_000_000},
        STATUS | {"x" * 1_000_000: 1},
        STATUS | {"message_id": "x" * 1_000_000},
        {"message_type": "ReceptionStatus", "status": "x" * 1_000_000},
        {"message_type": "ReceptionStatus", "status": ["x" * 1_000_000]},
        b"x" * 1_000_000,
    ],
    ids=["type", "field", "id", "status", "status-list", "text"],
)
def test_a_megabyte_does_not_flood_the_terminal(
    monkeypatch: pytest.MonkeyPatch, content: Any
) -> None:
    assert len(printed(monkeypatch, "all", STATUS, content)) < 10_000


@pytest.mark.usefixtures("dump")
def test_what_the_terminal_cannot_encode_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))

    speak(Log("all"), STATUS | {"Wärme 🔋": 1})

    assert b"W?rme ?" in raw.getvalue()


@pytest.mark.usefixtures("dump")
def test_a_closed_output_ends_the_printing_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdout", output)
    log = Log("all")
    output.close()

    assert speak(log, STATUS, STATUS).judge.messages == 2


@pytest.mark.usefixtures("dump")
def test_a_pipe_that_nobody_reads_ends_the_printing_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    output = open(writing, "w")  # noqa: SIM115
    monkeypatch.setattr("sys.stdout", output)
    log = Log("all")
    os.close(reading)

    assert speak(log, STATUS, STATUS).judge.messages == 2
    with pytest.raises(BrokenPipeError):
        output.close()


@pytest.mark.usefixtures("console")
def test_the_console_gets_it_in_its_event_log_and_its_screen_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shown = printed(monkeypatch, "all", STATUS | {"x": 1}, output=Terminal())

    assert shown == ""
    assert [record.levelname for record in caplog.records] == ["INFO"] * 3
    assert "INVALID" in caplog.text
    assert "schema.unknown-field" in caplog.text
    assert "\x1b" not in caplog.text


@pytest.mark.usefixtures("console")
def test_the_console_too_gets_nothing_where_nothing_is_wanted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    printed(monkeypatch, "none", STATUS | {"x": 1})

    assert caplog.records == []


@pytest.mark.usefixtures("dump")
def test_the_same_again_is_told_once_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = STATUS | {"x": 1}
    lines = printed(monkeypatch, "findings", *[faulty] * 5).splitlines()
    assert sum("schema.unknown-field" in line for line in lines) == 2
    assert sum("INVALID" in line for line in lines) == 1
    assert any("5× error schema.unknown-field · RM FRBC.StorageStatus" in line for line in lines)


@pytest.mark.usefixtures("dump")
def test_what_comes_again_and_again_is_counted_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    flow: HTTPFlow = tflow.twebsocketflow(messages=False)
    assert flow.websocket is not None
    flow.websocket.messages = []
    session, log = Session(flow, ALONE), Log("findings")
    data = json.dumps(STATUS | {"x": 1}).encode()
    for second in range(25):
        flow.websocket.messages.append(
            WebSocketMessage(Opcode.TEXT, True, data, timestamp=1e9 + second)
        )
        for judged in session.take(flow):
            log.judged(session, judged)
    again = [line for line in output.getvalue().splitlines() if "again, ×" in line]
    assert [line.partition("again, ")[2][:3] for line in again] == ["×11", "×21"]
    began = datetime.fromtimestamp(1e9).strftime("%H:%M:%S")
    assert all(line.endswith(f"since {began}") for line in again)


@pytest.mark.usefixtures("dump")
def test_with_all_messages_those_with_the_same_again_have_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = printed(monkeypatch, "all", *[STATUS | {"x": 1}] * 3).splitlines()
    assert sum("INVALID" in line for line in lines) == 3
    assert sum("schema.unknown-field" in line for line in lines) == 2


@pytest.mark.usefixtures("dump")
def test_nothing_is_kept_of_a_session_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    log = Log("findings")
    speak(log, STATUS | {"x": 1})
    assert log._told == {}
