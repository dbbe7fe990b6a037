"""A database that cannot be reached: messages wait, and for those that cannot there is a gap."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from postgres_server import ForeignServer, PostgresServer
from sqlalchemy import text

from s2_mitm.history import recorder as recorder_module
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.history.target import database_of
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict

pytest_plugins = ["postgres_server"]

NOON = 1795262400.25


def session(name: str = "s1") -> SessionStart:
    return SessionStart(name, NOON, None, None, None, Role.RM)


def message(seq: int, name: str = "s1", content: bytes = b"{}") -> MessageRecord:
    verdict = Verdict(NOON, Role.RM, {}, "T", f"m{seq}", None, [])
    return MessageRecord(name, seq, verdict, content, injected=False, dropped=False)


def rows(target: str, query: str) -> list[Any]:
    engine = database_of(target).open_for_reading()
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        engine.dispose()


def wait_until(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def locked(target: str) -> Iterator[None]:
    """Another program holds the lock of the recording."""
    engine = database_of(target).open_for_writing()
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("lock table recorders, sessions in access exclusive mode"))
        yield
    engine.dispose()


def test_a_session_that_began_in_an_outage_has_its_gap(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MOST_MESSAGES", 50)
    monkeypatch.setattr(recorder_module, "BATCH", 10)
    said: list[str] = []
    late = Finding("ack.missing", Severity.ERROR, Source.RULE, "", "nobody answered")
    with closing(Recorder(target, said.append)) as recorder:
        assert recorder.flush(10)
        with locked(target):
            for name in "ab":
                recorder.session_opened(session(name))
            for seq in range(1, 101):
                for name in "ab":
                    recorder.message(message(seq, name))
            wait_until(lambda: said)
            for name in "ab":
                recorder.late_finding(name, 50, late)
                recorder.late_finding(name, 100, late)
                recorder.session_changed(name, rm_id=f"device {name}")
                recorder.session_closed(name, NOON, 1000, "", "RM")
        assert recorder.flush(20)
        lost = recorder.figures().lost
    assert lost == 150
    for name in "ab":
        kept = rows(target, f"select seq from messages where session_id = '{name}'")
        gaps = f"select first_seq, last_seq, messages from gaps where session_id = '{name}'"
        [(first, last, count)] = rows(target, gaps)
        missing = list(range(first, last + 1))
        assert sorted([*missing, *(seq for (seq,) in kept)]) == list(range(1, 101))
        assert count == len(missing)
    found = "select seq, valid, code from findings join messages on messages.id = findings.message"
    assert rows(target, found) == [(100, 0, "ack.missing")] * 2
    facts = "select id, rm_id, closed_by from sessions order by id"
    assert rows(target, facts) == [("a", "device a", "RM"), ("b", "device b", "RM")]
    assert said[0].startswith(f"{database_of(target).name} cannot be written now (another program")
    assert said[1].endswith("written again; 150 messages were lost (recorded as gaps).")
    assert len(said) == 2


def test_a_server_that_is_stopped_and_started_again_is_waited_for(
    postgres: PostgresServer | ForeignServer, postgres_url: str
) -> None:
    said: list[str] = []
    with closing(Recorder(postgres_url, said.append)) as recorder:
        recorder.session_opened(session())
        recorder.message(message(1))
        assert recorder.flush(10)
        postgres.stop()
        for seq in range(2, 101):
            recorder.message(message(seq))
        wait_until(lambda: said)
        assert recorder.figures().failing
        assert recorder.figures().waiting >= 99
        postgres.start()
        assert recorder.flush(30)
        assert not recorder.figures().failing
    assert rows(postgres_url, "select seq from messages") == [(seq,) for seq in range(1, 101)]
    assert said[0].endswith("the traffic goes on, and up to 20000 messages wait in memory.")
    assert said[1].endswith("written again; nothing was lost.")
    assert len(said) == 2


def test_a_flood_while_an_attempt_hangs_stays_within_the_bounds(target: str) -> None:
    with closing(Recorder(target, print)) as recorder:
        recorder.session_opened(session())
        assert recorder.flush(10)
        with locked(target):
            tracemalloc.start()
            for seq in range(1, 501):
                recorder.message(message(seq, content=b"%07d" % seq * 150_000))
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert most < recorder_module.MOST_BYTES + 10 * 1024 * 1024
        assert recorder.flush(60)
        figures = recorder.figures()
    assert figures.written + figures.lost == 500
    [(missing,)] = rows(target, "select sum(messages) from gaps")
    assert missing == figures.lost
    assert rows(target, "select count(*) from messages") == [(figures.written,)]


def test_a_database_that_never_comes_back_does_not_keep_the_proxy_from_stopping(
    target: str,
) -> None:
    said: list[str] = []
    recorder = Recorder(target, said.append)
    assert recorder.flush(10)
    with locked(target):
        recorder.session_opened(session())
        recorder.message(message(1))
        recorder.message(message(2))
        recorder.close(timeout=0.1)
    assert "could not be written to the end; 2 messages of the last were lost" in said[-1]


def test_a_very_long_message_id_does_not_stop_the_recording(target: str) -> None:
    # An index of PostgreSQL refuses it, and SQLite would keep it twice.
    long = os.urandom(20_000).hex()
    verdict = Verdict(NOON, Role.RM, {}, "T", long, long, [])
    with closing(Recorder(target, print)) as recorder:
        recorder.session_opened(session())
        recorder.message(MessageRecord("s1", 1, verdict, b"{}", injected=False, dropped=False))
        recorder.reception_status("s1", Role.RM, long, "OK", 1.0)
        assert recorder.flush(10)
    assert rows(target, "select seq, reception_status from messages") == [(1, "OK")]
