"""The history answers what is asked of it, from a file that a recorder may be writing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import DBAPIError

from s2_mitm.history.database import RecordingError
from s2_mitm.history.queries import History
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.history.tables import gaps, iso, sessions
from s2_mitm.history.target import database_of
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict

pytest_plugins = ["postgres_server"]

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

ERROR = Finding(
    *("schema.type", Severity.ERROR, Source.SCHEMA, "/value", "text, expected a number"),
    hint="Send a number.",
)
WARNING = Finding("rule.unanswered", Severity.WARNING, Source.RULE, "", "was not answered")
INFO = Finding("rule.note", Severity.INFO, Source.RULE, "", "worth knowing")


def message(
    session: str, seq: int, minute: int, sender: Role, message_type: str, *findings: Finding
) -> MessageRecord:
    time = (NOON + minute * MINUTE).timestamp()
    verdict = Verdict(time, sender, {}, message_type, f"{session}-{seq}", None, list(findings))
    return MessageRecord(session, seq, verdict, b"{}", injected=False, dropped=seq == 3)


@pytest.fixture
def recording(target: str) -> str:
    """Two sessions: one from 12:00 to 12:10, one from 12:20 on; in a file, and on a server."""
    recorder = Recorder(target, print)
    for session, minute in (("aaaa-1", 0), ("aabb-2", 20)):
        opened = (NOON + minute * MINUTE).timestamp()
        recorder.session_opened(SessionStart(session, opened, "10.0.0.2:4", "cem", "/", Role.RM))
    for record in (
        message("aaaa-1", 1, 0, Role.RM, "Handshake"),
        message("aaaa-1", 2, 1, Role.CEM, "HandshakeResponse", WARNING, INFO),
        message("aaaa-1", 3, 5, Role.RM, "PowerMeasurement", WARNING, ERROR, INFO),
        message("aabb-2", 1, 20, Role.RM, "Handshake", INFO),
        message("aabb-2", 2, 21, Role.CEM, "HandshakeResponse"),
    ):
        recorder.message(record)
    ended = (NOON + 10 * MINUTE).timestamp()
    recorder.session_closed("aaaa-1", ended, 1000, None, "RM")
    recorder.close()
    return target


@pytest.fixture
def history(recording: str) -> Iterator[History]:
    history = History(recording)
    yield history
    history.close()


def ids(history: History, **wanted: object) -> list[str]:
    return [row["message_id"] for row in history.messages(**wanted)]  # type: ignore[arg-type]


def names(history: History, **wanted: object) -> list[str]:
    return [row["id"] for row in history.sessions(**wanted)]  # type: ignore[arg-type]


def codes(history: History, **wanted: object) -> list[str]:
    return [row["code"] for row in history.findings(**wanted)]  # type: ignore[arg-type]


ALL = ["aaaa-1-1", "aaaa-1-2", "aaaa-1-3", "aabb-2-1", "aabb-2-2"]


def test_a_session_and_its_counts(history: History) -> None:
    first, second = history.sessions()
    assert first["started_at"] == "2026-11-21T12:00:00.000000Z"
    assert first["ended_at"] == "2026-11-21T12:10:00.000000Z"
    assert (first["messages"], first["errors"], first["warnings"]) == (3, 1, 2)
    assert (second["messages"], second["errors"], second["warnings"]) == (2, 0, 0)


def test_a_message_and_its_findings(history: History) -> None:
    rows = list(history.messages())
    assert [row["message_id"] for row in rows] == ALL
    assert rows[0]["findings"] == []
    assert (rows[0]["valid"], rows[0]["dropped"]) == (True, False)
    assert (rows[2]["valid"], rows[2]["dropped"]) == (False, True)
    assert [found["code"] for found in rows[2]["findings"]] == [
        "rule.unanswered",
        "schema.type",
        "rule.note",
    ]


def test_a_finding_and_its_message(history: History) -> None:
    found = next(history.findings(severity=Severity.ERROR))
    del found["id"]
    assert found == {
        "message": 3,
        "session_id": "aaaa-1",
        "code": "schema.type",
        "severity": "error",
        "source": "schema",
        "path": "/value",
        "text": "text, expected a number",
        "hint": "Send a number.",
        "seq": 3,
        "timestamp": "2026-11-21T12:05:00.000000Z",
        "sender": "RM",
        "message_type": "PowerMeasurement",
    }


def test_messages_are_narrowed(history: History) -> None:
    assert ids(history, session="aabb-2") == ALL[3:]
    assert ids(history, types=["Handshake", "PowerMeasurement"]) == [ALL[0], ALL[2], ALL[3]]
    assert ids(history, types=[]) == ALL
    assert ids(history, sender=Role.CEM) == [ALL[1], ALL[4]]
    assert ids(history, severity=Severity.INFO) == ALL[1:4]
    assert ids(history, severity=Severity.WARNING) == ALL[1:3]
    assert ids(history, severity=Severity.ERROR) == [ALL[2]]
    assert ids(history, code="rule.note") == ALL[1:4]
    assert ids(history, code="rule.note", severity=Severity.ERROR) == []
    assert ids(history, since=NOON + 5 * MINUTE) == ALL[2:]
    assert ids(history, until=NOON + 5 * MINUTE) == ALL[:3]
    assert ids(history, since=NOON + MINUTE, until=NOON + 20 * MINUTE, sender=Role.RM) == ALL[2:4]


def test_findings_are_narrowed(history: History) -> None:
    assert codes(history) == [
        "rule.unanswered", "rule.note", "rule.unanswered", "schema.type", "rule.note", "rule.note",
    ]  # fmt: skip
    assert codes(history, session="aabb") == ["rule.note"]
    assert codes(history, severity=Severity.WARNING, types=["PowerMeasurement"]) == [
        "rule.unanswered",
        "schema.type",
    ]
    assert codes(history, sender=Role.CEM) == ["rule.unanswered", "rule.note"]
    assert codes(history, code="schema.type", until=NOON) == []


def test_sessions_are_narrowed_by_what_was_said_in_them(history: History) -> None:
    assert names(history) == ["aaaa-1", "aabb-2"]
    assert names(history, types=["PowerMeasurement"]) == ["aaaa-1"]
    assert names(history, severity=Severity.INFO) == ["aaaa-1", "aabb-2"]
    assert names(history, severity=Severity.ERROR) == ["aaaa-1"]
    assert names(history, session="aab") == ["aabb-2"]


def test_sessions_are_narrowed_by_when_they_were_open(history: History) -> None:
    assert names(history, until=NOON + 15 * MINUTE) == ["aaaa-1"]
    assert names(history, since=NOON + 10 * MINUTE) == ["aaaa-1", "aabb-2"]
    assert names(history, since=NOON + 11 * MINUTE, until=NOON + 15 * MINUTE) == []
    assert names(history, since=NOON + 60 * MINUTE) == ["aabb-2"], "it is still open"


def test_a_limit_asks_for_the_newest_oldest_first(history: History) -> None:
    assert ids(history, limit=2) == ALL[3:]
    assert ids(history, limit=99) == ALL
    assert ids(history, limit=1, sender=Role.RM) == [ALL[3]]
    assert names(history, limit=1) == ["aabb-2"]
    assert codes(history, limit=3) == ["schema.type", "rule.note", "rule.note"]


def test_an_id_may_be_shortened_as_long_as_it_is_one_session(history: History) -> None:
    assert names(history, session="aaaa-1") == names(history, session="aaa") == ["aaaa-1"]
    with pytest.raises(RecordingError, match=r"2 sessions .* begins with 'aa'; give more of it"):
        names(history, session="aa")
    for unknown in ("b", "%", "_", "aaaa-12"):
        with pytest.raises(RecordingError, match=f"no session .* begins with '{unknown}'; "):
            ids(history, session=unknown)


def test_a_session_whose_id_begins_another(history: History, recording: str) -> None:
    recorder = Recorder(recording, print)
    recorder.session_opened(SessionStart("aaaa", 0.0, None, None, None, None))
    recorder.close()
    assert names(history, session="aaaa") == ["aaaa"]


def test_an_empty_recording(target: str) -> None:
    Recorder(target, print).close()
    with closing(History(target)) as history:
        assert (
            list(history.sessions()) == list(history.messages()) == list(history.findings()) == []
        )


def test_more_than_is_read_at_once(recording: str, history: History) -> None:
    recorder = Recorder(recording, print)
    for seq in range(3, 2003):
        recorder.message(message("aabb-2", seq, 30, Role.RM, "PowerMeasurement", INFO))
    recorder.close()
    rows = list(history.messages(session="aabb-2"))
    assert [row["seq"] for row in rows] == list(range(1, 2003))
    assert all(len(row["findings"]) == 1 for row in rows[2:])
    assert [row["seq"] for row in history.messages(limit=700)] == list(range(1303, 2003))


def test_reading_does_not_hinder_the_recorder_nor_the_other_way_round(
    recording: str, history: History
) -> None:
    reports: list[str] = []
    recorder = Recorder(recording, reports.append)
    for seq in range(3, 1003):
        recorder.message(message("aabb-2", seq, 30, Role.RM, "PowerMeasurement"))
    assert recorder.flush(10)
    reading = history.messages(session="aabb-2")
    next(reading)
    recorder.message(message("aabb-2", 1003, 30, Role.RM, "PowerMeasurement"))
    assert recorder.flush(10)
    assert len(list(history.messages(session="aabb-2"))) == 1003
    assert len(list(reading)) == 1001, "a query sees what was there when it began"
    recorder.close()
    assert not reports


def test_nothing_can_be_written_through_a_history(history: History) -> None:
    for statement in ("delete from messages", "drop table findings", "create table mine (id int)"):
        with (
            pytest.raises(DBAPIError, match=r"read-?only"),
            history._engine.begin() as connection,
        ):
            connection.exec_driver_sql(statement)
    assert ids(history) == ALL


def test_a_recording_that_is_damaged_says_so(recording: str, history: History) -> None:
    engine = database_of(recording).open_for_writing()
    with engine.begin() as connection:
        connection.exec_driver_sql("drop table findings")
    engine.dispose()
    with pytest.raises(RecordingError, match=r"no such table: findings|findings. does not exist"):
        list(history.findings())


def test_an_id_is_found_in_capitals_too(history: History) -> None:
    assert names(history, session="AAAA") == ["aaaa-1"]


def test_ids_and_times_sort_by_their_characters_whatever_language_the_server_has(
    target: str,
) -> None:
    # In English "a-b" stands between "aa" and "ac", and "B" after "a".
    expected = ["-", "B", "Z-1", "a", "a-b", "aa", "ac", "Ä"]
    recorder = Recorder(target, print)
    for name in reversed(expected):
        recorder.session_opened(SessionStart(name, 0.0, None, None, None, None))
    recorder.close()
    with closing(History(target)) as history:
        assert names(history) == expected


def test_who_saw_a_session_and_what_of_it_was_lost(recording: str, history: History) -> None:
    engine = database_of(recording).open_for_writing()
    moment = iso(NOON.timestamp())
    gap = {"since": moment, "until": moment, "reason": "the disk was full"}
    with engine.begin() as connection:
        connection.execute(update(sessions).values(proxy="lab-" + sessions.c.id))
        for first, last in ((4, 10), (20, 20)):
            span = {"first_seq": first, "last_seq": last, "messages": last - first + 1}
            connection.execute(insert(gaps).values(session_id="aaaa-1", **span, **gap))
    engine.dispose()
    seen = [(row["proxy"], row["lost"]) for row in history.sessions()]
    assert seen == [("lab-aaaa-1", 8), ("lab-aabb-2", 0)]
    assert json.dumps([row["lost"] for row in history.sessions()]) == "[8, 0]"
