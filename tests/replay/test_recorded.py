"""Recorded conversations are read as they were, from our database and from JSON Lines."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from s2_mitm.history.presence import LEFT_OPEN
from s2_mitm.history.queries import History
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.replay.json_lines import from_lines
from s2_mitm.replay.recorded import NotRecordedError, RecordedMessage, RecordedSession
from s2_mitm.replay.recording import from_history
from s2_mitm.replay.replayed import replay
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.verdict import Role

NOW = 1_772_366_400.25  # 2026-03-01T12:00:00.250Z
SHAKE = b'{"message_type": "Handshake", "message_id": "m1", "role": "CEM"}'


def record(
    recorder: Recorder,
    session: str,
    seq: int,
    content: bytes,
    *,
    client: Role = Role.RM,
    **how: Any,
) -> None:
    """Record a message of the WebSocket client."""
    binary = how.pop("binary", False)
    judge = Judge(Settings(client_role=client))
    verdict = judge.receive(content, from_client=True, time=NOW + seq, binary=binary)
    flags = {"injected": False, "dropped": False, "binary": binary, **how}
    recorder.message(MessageRecord(session, seq, verdict, content, **flags))


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Two sessions, one of which has ended; in the other the CEM is the client."""
    file = str(tmp_path / "s2.sqlite3")
    recorder = Recorder(file, print)
    recorder.session_opened(SessionStart("one", NOW, "peer:1", "cem", "/", Role.RM))
    recorder.session_opened(SessionStart("two", NOW + 1, "peer:2", "rm", "/", Role.CEM))
    record(recorder, "one", 1, b'{"message_type": "SessionRequest"}', injected=True)
    record(recorder, "two", 4, SHAKE, client=Role.CEM)
    record(recorder, "one", 2, b"\xff\x00", binary=True, dropped=True)
    record(recorder, "one", 3, SHAKE, sent=b"changed")
    recorder.session_changed("two", protocol_version="1.0.0-beta")
    recorder.session_closed("one", NOW + 60, 1000, "", "RM")
    recorder.close()
    return file


def test_a_database(database: str) -> None:
    history = History(database)
    one, two = from_history(history)
    assert (one.id, one.client_role, one.version) == ("one", Role.RM, None)
    assert (two.id, two.client_role, two.version) == ("two", Role.CEM, "1.0.0-beta")
    assert one.ended == pytest.approx(NOW + 60, abs=1e-6)
    assert two.ended is None
    first, second, edited = one.messages
    assert (first.number, first.content) == (1, b'{"message_type": "SessionRequest"}')
    assert first.time == pytest.approx(NOW + 1, abs=1e-6)
    assert (first.from_client, first.injected, first.binary, first.dropped) == (
        True,
        True,
        False,
        False,
    )
    assert (second.content, second.binary, second.dropped) == (b"\xff\x00", True, True)
    assert [message.sent for message in (first, second, edited)] == [None, None, b"changed"]
    [third] = two.messages
    assert (third.number, third.from_client, third.content) == (4, True, SHAKE)
    history.close()


def test_gaps_of_a_database(tmp_path: Path) -> None:
    file = str(tmp_path / "s2.sqlite3")
    recorder = Recorder(file, print)
    for session in ("one", "two"):
        recorder.session_opened(SessionStart(session, NOW, "peer:1", "cem", "/", Role.RM))
        record(recorder, session, 1, SHAKE)
        recorder.session_closed(session, NOW + 60, 1000, "", "RM")
    recorder.close()
    with sqlite3.connect(file) as connection:
        for first, last in ((5, 9), (2, 3)):
            row = ("one", first, last, last - first + 1, "", "", "the disk was full")
            connection.execute(
                "INSERT INTO gaps (session_id, first_seq, last_seq, messages, since, until, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
    connection.close()
    history = History(file)
    one, two = sorted(from_history(history), key=lambda session: session.id)
    history.close()
    assert (one.lost_to, two.lost_to) == (9, 0)


def test_the_end_is_not_known_where_the_proxy_ended_without_warning(tmp_path: Path) -> None:
    file = str(tmp_path / "s2.sqlite3")
    recorder = Recorder(file, print)
    recorder.session_opened(SessionStart("one", NOW, "peer:1", "cem", "/", Role.RM))
    record(recorder, "one", 1, SHAKE)
    recorder.session_closed("one", NOW + 60, None, LEFT_OPEN, "proxy")
    recorder.close()
    history = History(file)
    [session] = from_history(history)
    history.close()
    assert session.ended is None


def lines(*rows: Any) -> list[RecordedSession]:
    return from_lines(b"\n".join(json.dumps(row).encode() for row in rows), "here")


def test_the_least_that_a_line_has() -> None:
    [session] = lines(
        {"sender": "RM", "time": 10, "message": {"message_type": "Handshake"}},
        {"sender": "cem", "timestamp": "1970-01-01T00:00:12.5Z", "content": "no JSON"},
    )
    assert session == RecordedSession(
        "",
        [
            RecordedMessage(1, 10, True, b'{"message_type": "Handshake"}'),
            RecordedMessage(2, 12.5, False, b"no JSON"),
        ],
        Role.RM,
        None,
        12.5,
        senders_given=True,
    )


def test_the_sender_of_a_line_counts_and_not_what_its_handshake_says() -> None:
    wrong = {"message_type": "Handshake", "message_id": "m1", "role": "CEM"}
    right = {"message_type": "Handshake", "message_id": "m2", "role": "CEM"}
    [session] = lines(
        {"sender": "RM", "time": 0, "message": wrong},
        {"sender": "CEM", "time": 1, "message": right},
    )
    for settings in (Settings(), Settings(client_role=Role.CEM)):
        replayed = replay(session, settings)
        assert replayed is not None
        blamed = [
            (message.verdict.sender, finding.code)
            for message in replayed.messages
            for finding in message.verdict.findings
            if finding.path == "/role"
        ]
        assert blamed == [(Role.RM, "handshake.same-role")]


def test_what_our_own_command_prints(database: str) -> None:
    """All but the client's role, which is not in the messages."""
    history = History(database)
    rows = [
        {**row, "content": None, "content_base64": "/wA="}
        if isinstance(row["content"], bytes)
        else row
        for row in history.messages()
    ]
    one, two = lines(*rows)
    as_recorded, _ = from_history(history)
    assert list(one.messages) == list(as_recorded.messages)
    assert one.client_role is two.client_role is Role.RM
    [third] = two.messages
    assert (third.number, third.from_client) == (4, False)
    history.close()


@pytest.mark.parametrize(
    "row",
    [
        {"content": {"message_type": "Handshake"}},
        {"content_base64": "eyJtZXNzYWdlX3R5cGUiOiAiSGFuZHNoYWtlIn0="},
        {"content": '{"message_type": "Handshake"}', "message": {"what": "is parsed"}},
        {"content": None, "message": {"message_type": "Handshake"}},
    ],
)
def test_ways_to_give_the_message(row: dict[str, Any]) -> None:
    [session] = lines({"sender": "RM", "time": 0, **row})
    [message] = session.messages
    assert message.content == b'{"message_type": "Handshake"}'


def test_times_have_a_zone_or_are_utc() -> None:
    times = ["2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00", "2026-03-01 12:00:00Z"]
    [session] = lines(*({"sender": "RM", "time": time, "content": ""} for time in times))
    assert {message.time for message in session.messages} == {1_772_366_400.0}


def test_flags() -> None:
    [session] = lines(
        {"sender": "RM", "time": 0, "content": "", "injected": True, "dropped": 1},
        {"sender": "RM", "time": 0, "content": "", "findings": [{"code": "json.binary"}]},
    )
    first, second = session.messages
    assert (first.injected, first.dropped, first.binary) == (True, True, False)
    assert (second.injected, second.dropped, second.binary) == (False, False, False)


def test_what_went_on_where_it_was_changed() -> None:
    said = {"sender": "RM", "time": 0, "content": "{}"}
    whats: list[dict[str, Any]] = [{"sent": "[]"}, {"sent_base64": "/wA="}, {"sent": None}, {}]
    [session] = lines(*(said | what for what in whats))
    assert [message.sent for message in session.messages] == [b"[]", b"\xff\x00", None, None]


def test_the_opcode_says_whether_the_frame_was_binary() -> None:
    said = {"sender": "RM", "time": 0, "content": ""}
    whats: list[dict[str, Any]] = [{"opcode": "binary"}, {"opcode": "text"}, {"opcode": None}, {}]
    whats.append({"binary": True})
    [session] = lines(*(said | what for what in whats))
    expected = [True, False, False, False, True]
    assert [message.binary for message in session.messages] == expected


def test_sessions_may_be_mixed() -> None:
    one, two = lines(
        {"session_id": "a", "seq": 1, "sender": "RM", "time": 1, "content": "1"},
        {"session_id": "b", "seq": 5, "sender": "RM", "time": 2, "content": "2"},
        {"session_id": "a", "seq": 4, "sender": "RM", "time": 3, "content": "3"},
    )
    assert [(message.number, message.content) for message in one.messages] == [(1, b"1"), (4, b"3")]
    assert [(message.number, message.content) for message in two.messages] == [(5, b"2")]
    assert (one.ended, two.ended) == (3, 2)


def test_empty_lines_and_a_byte_order_mark() -> None:
    row = b'{"sender": "RM", "time": 0, "content": "x"}'
    [session] = from_lines(b"\xef\xbb\xbf" + row + b"\r\n\r\n" + row + b"\n", "here")
    assert [message.number for message in session.messages] == [1, 2]


GOOD = {"sender": "RM", "time": 0, "content": ""}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "no JSON; each line is to have sender, time and message"),
        ("[" * 100_000, "no JSON; each line is to have sender, time and message"),
        ("[]", "an empty list, expected an object with sender, time and message"),
        (
            '{"message_type": "Handshake", "message_id": "m1", "role": "RM"}',
            "a message without its sender and time; s2-mitm validate judges messages one by one",
        ),
        ({**GOOD, "sender": "EMS"}, '"sender" is text "EMS", expected "RM" or "CEM"'),
        ({"time": 0, "content": ""}, '"sender" is missing, expected "RM" or "CEM"'),
        (
            {"sender": "RM", "content": ""},
            '"time" is missing, expected ISO 8601 such as 2026-03-01T12:00:00Z, or seconds since'
            " 1970",
        ),
        (
            {**GOOD, "time": "noon"},
            '"time" is text "noon", expected ISO 8601 such as 2026-03-01T12:00:00Z, or seconds'
            " since 1970",
        ),
        (  # which is in the year 10000 where seconds are counted
            {**GOOD, "time": "9999-12-31T23:59:59.999999Z"},
            '"time" is text "9999-12-31T23:59:59.999999Z", expected ISO 8601 such as'
            " 2026-03-01T12:00:00Z, or seconds since 1970",
        ),
        (
            {**GOOD, "time": 1e300},
            '"time" is number 1e+300, expected ISO 8601 such as 2026-03-01T12:00:00Z, or seconds'
            " since 1970",
        ),
        (
            {"sender": "RM", "timestamp": True, "content": ""},
            '"timestamp" is true, expected ISO 8601 such as 2026-03-01T12:00:00Z, or seconds'
            " since 1970",
        ),
        ({"sender": "RM", "time": 0}, '"message" is missing, expected the message, an object'),
        (
            {"sender": "RM", "time": 0, "message": []},
            '"message" is an empty list, expected the message, an object',
        ),
        (
            {"sender": "RM", "time": 0, "content_base64": "?"},
            '"content_base64" is no base64',
        ),
        ({**GOOD, "sent": {}}, '"sent" is an object, expected what went on, as text'),
        ({**GOOD, "sent_base64": "?"}, '"sent_base64" is no base64'),
        ({**GOOD, "opcode": "ping"}, '"opcode" is text "ping", expected "text" or "binary"'),
        ({**GOOD, "opcode": ["text"]}, '"opcode" is a list of 1, expected "text" or "binary"'),
        ({**GOOD, "seq": "4"}, '"seq" is text "4", expected a number greater than the 1 before it'),
        ({**GOOD, "seq": 1}, '"seq" is number 1, expected a number greater than the 1 before it'),
    ],
)
def test_lines_that_are_no_recording(line: Any, complaint: str) -> None:
    text = line if isinstance(line, str) else json.dumps(line)
    with pytest.raises(NotRecordedError) as error:
        from_lines(f"{json.dumps(GOOD)}\n{text}\n".encode(), "here")
    assert str(error.value) == f"here:2: {complaint}"
