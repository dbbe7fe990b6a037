"""Whatever happens to the answer to a COMMIT, each record is written once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import psycopg
import pytest
from cutting import cutting
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import OperationalError

from s2_mitm.history import recorder as recorder_module
from s2_mitm.history import storing, writer
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.history.records import (
    Gap,
    LateFindingRecord,
    Reception,
    Record,
    SendersSwapped,
    SessionChange,
    SessionEnd,
    WaitingMessage,
)
from s2_mitm.history.storing import UnknownRecorderError, store_once
from s2_mitm.history.tables import findings, gaps, messages, recorders, sessions
from s2_mitm.history.target import database_of
from s2_mitm.history.writer import LOAD, Writer
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict

pytest_plugins = ["postgres_server"]

NOON = 1795262400.25
ERROR = Finding("schema.type", Severity.ERROR, Source.SCHEMA, "/value", "wrong")
LATE = Finding("ack.missing", Severity.ERROR, Source.RULE, "", "nobody answered")


def message(seq: int, *found: Finding, name: str = "s1") -> WaitingMessage:
    said = (name, seq, NOON + seq, Role.RM, "T", f"m{seq}", None, not found)
    return WaitingMessage(*said, tuple(found), b"{}", injected=False, dropped=False)


def record_of(message: WaitingMessage) -> MessageRecord:
    verdict = Verdict(
        message.time, message.sender, {}, "T", message.message_id, None, list(message.findings)
    )
    return MessageRecord(
        message.session_id, message.seq, verdict, message.content, injected=False, dropped=False
    )


BEFORE: list[Record] = [
    SessionStart("s1", NOON, None, None, "/s2", Role.RM, "cellar"),
    message(1),
    message(2, ERROR),
]
# Of each kind of record. Those that would do harm if they were written twice are about BEFORE.
BATCH: list[Record] = [
    SendersSwapped("s1"),
    LateFindingRecord("s1", 1, LATE),
    Reception("s1", Role.CEM, "m2", "OK", 12.5),
    Gap("s1", 3, 5, 3, NOON, NOON, "it was away"),
    *(message(seq, ERROR) for seq in range(6, 6 + LOAD)),
    LateFindingRecord("s1", 6, LATE),
    Reception("s1", Role.RM, "m7", "OK", 1.0),
    SessionChange("s1", {"rm_id": "battery-1"}),
    SessionEnd("s1", NOON + 99, 1000, "", "RM"),
]


@pytest.fixture
def engine(target: str) -> Iterator[Engine]:
    """An engine for a recording in which the recorder ``r`` has a row."""
    engine = database_of(target).open_for_writing()
    row = {"id": "r", "host": "here", "pid": 1, "started_at": "", "seen_at": ""}
    with engine.begin() as connection:
        connection.execute(insert(recorders), row)
    yield engine
    engine.dispose()


def store(engine: Engine, records: Sequence[Record], before: int) -> None:
    with engine.begin() as connection:
        store_once(connection, records, "r", before)


def contents(engine: Engine, session: str = "s1") -> dict[str, list[Any]]:
    """All that is recorded of a session, whoever wrote it."""
    with engine.begin() as connection:
        said = select(*(messages.c[name] for name in _ABOUT_A_MESSAGE)).where(
            messages.c.session_id == session
        )
        found = (
            select(messages.c.seq, findings.c.code, findings.c.path)
            .join_from(findings, messages, findings.c.message == messages.c.id)
            .where(findings.c.session_id == session)
        )
        missing = select(gaps.c.first_seq, gaps.c.last_seq).where(gaps.c.session_id == session)
        about = [column for column in sessions.columns if column.name not in ("id", "recorder")]
        return {
            "messages": [tuple(row) for row in connection.execute(said.order_by(messages.c.id))],
            "findings": sorted(tuple(row) for row in connection.execute(found)),
            "missing": sorted(
                seq for first, last in connection.execute(missing) for seq in range(first, last + 1)
            ),
            "sessions": [
                tuple(row)
                for row in connection.execute(select(*about).where(sessions.c.id == session))
            ],
        }


_ABOUT_A_MESSAGE = (
    *("seq", "timestamp", "sender", "message_id", "content", "valid"),
    *("reception_status", "reception_delay_ms"),
)


@pytest.fixture
def expected(engine: Engine) -> dict[str, list[Any]]:
    """What is recorded when nothing goes wrong; afterwards the recording is empty again."""
    with engine.begin() as connection:
        storing.store(connection, [*BEFORE, *BATCH], "r")
    held = contents(engine)
    assert held["messages"][0][2] == "CEM"
    assert (len(held["messages"]), len(held["findings"])) == (2 + LOAD, 1 + LOAD + 2)
    with engine.begin() as connection:
        for table in (findings, messages, gaps, sessions):
            connection.execute(delete(table))
    return held


def test_what_is_offered_again_is_not_written_again(
    engine: Engine, expected: dict[str, list[Any]]
) -> None:
    store(engine, BEFORE, 0)
    for _ in range(3):
        store(engine, BATCH, len(BEFORE))
    store(engine, BEFORE, 0)
    assert contents(engine) == expected


@pytest.mark.parametrize("there", [0, 1, 2, 3, 4, 30, len(BATCH) - 3, len(BATCH) - 1])
def test_of_what_is_offered_with_more_behind_it_the_rest_is_written(
    engine: Engine, expected: dict[str, list[Any]], there: int
) -> None:
    store(engine, BEFORE, 0)
    store(engine, BATCH[:there], len(BEFORE))
    store(engine, BATCH, len(BEFORE))
    assert contents(engine) == expected


def test_a_recorder_without_a_row_writes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(delete(recorders))
    with pytest.raises(UnknownRecorderError):
        store(engine, BEFORE, 0)
    assert contents(engine)["messages"] == []


def test_a_message_whose_place_is_taken_does_not_keep_the_others_out(engine: Engine) -> None:
    store(engine, [message(2)], 0)
    store(engine, [message(1), message(2, ERROR), message(3)], 1)
    assert [row[0] for row in contents(engine)["messages"]] == [2, 1, 3]


def test_a_row_that_was_taken_away_is_written_anew_and_nothing_is_lost(
    target: str, engine: Engine
) -> None:
    said: list[str] = []
    recorder = Recorder(target, said.append)
    recorder.session_opened(SessionStart("s1", NOON, None, None, None, Role.RM))
    assert recorder.flush(10)
    with engine.begin() as connection:
        connection.execute(delete(recorders))
    recorder.message(record_of(message(1)))
    assert recorder.flush(10)
    assert len(contents(engine)["messages"]) == len(contents(engine)["sessions"]) == 1
    recorder.close()
    assert not said


# The process that writes is killed between COMMIT and answer

_DIES_BEFORE_IT_ANSWERS = f"""
import os, signal, sys
sys.path.insert(0, {writer._HERE!r})
from s2_mitm.history import writer
send = writer._send
def answer(pipe, what):
    if what == "written":
        os.kill(os.getpid(), signal.SIGKILL)
    send(pipe, what)
writer._send = answer
writer.serve()
"""


def test_a_process_that_is_killed_between_commit_and_answer(
    target: str,
    engine: Engine,
    expected: dict[str, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "_CHILD", _DIES_BEFORE_IT_ANSWERS)
    store(engine, BEFORE, 0)
    its = Writer(database_of(target))
    its._start()
    deadline = time.monotonic() + 60
    while not (its._process and its._can_take(its._process)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(OperationalError, match="the process that writes has ended"):
        its.store(engine, BATCH, "r", len(BEFORE))
    assert contents(engine) == expected
    its.store(engine, BATCH, "r", len(BEFORE))
    its.close()
    assert contents(engine) == expected


# The connection to the server is cut


def say_batch(recorder: Recorder) -> None:
    """Give a recorder what is in `BATCH`, but for the gap, which it writes itself."""
    recorder.senders_swapped("s1")
    recorder.late_finding("s1", 1, LATE)
    recorder.reception_status("s1", Role.CEM, "m2", "OK", 12.5)
    for seq in range(6, 6 + LOAD):
        recorder.message(record_of(message(seq, ERROR)))
    recorder.late_finding("s1", 6, LATE)
    recorder.reception_status("s1", Role.RM, "m7", "OK", 1.0)
    recorder.session_changed("s1", rm_id="battery-1")
    recorder.session_closed("s1", NOON + 99, 1000, "", "RM")


@pytest.mark.parametrize("commit", ["done", "done later", "never done"])
@pytest.mark.parametrize("target", ["postgresql"], indirect=True)
def test_a_connection_that_is_cut(
    target: str,
    engine: Engine,
    expected: dict[str, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    commit: str,
) -> None:
    monkeypatch.setattr(writer, "LOAD", 10**9)  # all in this process
    said: list[str] = []
    with cutting(target) as (cutter, through):
        recorder = Recorder(through, said.append)
        recorder.session_opened(BEFORE[0])  # type: ignore[arg-type]
        for each in BEFORE[1:]:
            recorder.message(record_of(each))  # type: ignore[arg-type]
        assert recorder.flush(30)
        cutter.what = commit
        say_batch(recorder)
        assert recorder.flush(60)
        assert cutter.cuts == 1
        recorder.close()
    assert contents(engine) == {**expected, "missing": []}
    assert "cannot be written now" in said[0]
    assert said[1].endswith("is written again; nothing was lost.")


# Anything, cut anywhere


def cut_commits(engine: Engine, plan: list[str]) -> None:
    """Let each COMMIT be done, or not, or be done while nobody says so, as is planned."""
    dialect = engine.dialect
    commit: Callable[[Any], None] = dialect.do_commit
    lost = (sqlite3 if dialect.name == "sqlite" else psycopg).OperationalError

    def cut_commit(connection: Any) -> None:
        fate = plan.pop() if plan else "done"
        if fate == "not done":
            connection.rollback()
        else:
            commit(connection)
        if fate != "done":
            raise lost("the answer was lost")

    dialect.do_commit = cut_commit  # type: ignore[assignment, method-assign]


PARTS = st.lists(
    st.sampled_from(["message", "bad message", "late", "answer", "swap", "change", "pause"]),
    max_size=30,
)
FATES = st.lists(st.sampled_from(["done", "not done", "nobody says so"]), max_size=12)
SESSIONS = count(1)


def say(recorder: Recorder, parts: list[str], session: str) -> None:
    seq = 0
    recorder.session_opened(SessionStart(session, NOON, None, None, None, Role.RM))
    for number, part in enumerate(parts):
        match part:
            case "message" | "bad message":
                seq += 1
                fine = part == "message"
                good = message(seq, ERROR, name=session)
                recorder.message(record_of(good if fine else good._replace(time=1e30)))
            case "late":
                late = Finding(f"late.{number}", Severity.ERROR, Source.RULE, "", "late")
                recorder.late_finding(session, seq, late)
            case "answer":
                recorder.reception_status(session, Role.RM, f"m{seq}", "OK", float(number))
            case "swap":
                recorder.senders_swapped(session)
            case "change":
                recorder.session_changed(session, rm_id=f"battery-{number}")
            case "pause":
                recorder.flush(0.02)
    recorder.session_closed(session, NOON + 99, 1000, "", "RM")


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(parts=PARTS, fates=FATES)
def test_whatever_is_said_and_whatever_becomes_of_it(
    target: str, engine: Engine, parts: list[str], fates: list[str]
) -> None:
    held = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder_module, "RETRY_SECONDS", 0.0)
        patch.setattr(recorder_module, "GATHER_SECONDS", 0.0)
        for plan in ([], list(fates)):
            session = f"s{next(SESSIONS)}"
            recorder = Recorder(target, lambda _: None)
            assert recorder.flush(30)
            cut_commits(recorder._opened, plan)
            say(recorder, parts, session)
            assert recorder.flush(30)
            recorder.close()
            held.append(contents(engine, session))
    without, with_cuts = held
    assert with_cuts == without
