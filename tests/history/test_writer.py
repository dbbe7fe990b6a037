"""Under load a process of its own writes; whatever becomes of it, the recording goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.exc import OperationalError

from s2_mitm.history import storing, writer
from s2_mitm.history.database import Database
from s2_mitm.history.records import SessionStart, WaitingMessage
from s2_mitm.history.tables import messages, recorders
from s2_mitm.history.target import database_of
from s2_mitm.history.writer import LOAD, Writer
from s2_mitm.s2.verdict import Role

pytest_plugins = ["postgres_server"]

START = SessionStart("s1", 1000.0, None, None, "/s2", Role.RM, "here:8080")


def batch(
    first: int, count: int = LOAD, content: bytes = b"{}", at: float = 1000.0
) -> list[WaitingMessage]:
    return [
        WaitingMessage(
            "s1", seq, at, Role.RM, "x", f"m{seq}", None, True, (), content, False, False
        )
        for seq in range(first, first + count)
    ]


@pytest.fixture
def place(target: str) -> Database:
    return database_of(target)


@pytest.fixture
def engine(place: Database) -> Iterator[Engine]:
    engine = place.open_for_writing()
    row = {"id": "r", "host": "here", "pid": 1, "started_at": "", "seen_at": ""}
    with engine.begin() as connection:
        connection.execute(insert(recorders), row)
    yield engine
    engine.dispose()


@pytest.fixture
def written(engine: Engine) -> Callable[[], int]:
    def count() -> int:
        with engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(messages)).scalar_one())

    return count


@pytest.fixture
def its(place: Database) -> Iterator[Writer]:
    its = Writer(place)
    yield its
    its.close()


def elsewhere(its: Writer, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> int:
    """Start the process, and have only it write from now on; returns its process number."""
    deadline = time.monotonic() + 30
    seq = 1
    while not its._is_ready:
        assert time.monotonic() < deadline
        its.store(engine, batch(seq), "r", seq - 1)
        seq += LOAD
        time.sleep(0.05)

    def not_here(*_: object) -> None:
        raise AssertionError("this was written in the proxy's own process")

    monkeypatch.setattr(writer, "store_once", not_here)
    assert its._process is not None
    return its._process.pid


def test_a_few_records_need_no_process(its: Writer, engine: Engine) -> None:
    its.store(engine, [START, *batch(1, LOAD - 2)], "r", 0)

    assert its._process is None


def test_under_load_another_process_writes(
    its: Writer, engine: Engine, written: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(its, engine, monkeypatch)
    before = written()
    for number in range(3):
        its.store(
            engine, batch(10_000 * (number + 1), 700, "Wärme 'ß' ".encode() * 20), "r", written()
        )

    assert written() == before + 2100


def test_when_there_is_little_to_write_it_ends(
    its: Writer, engine: Engine, written: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(its, engine, monkeypatch)
    before = written()
    monkeypatch.setattr(writer, "store_once", storing.store_once)
    its.store(engine, batch(10_000, 1), "r", written())
    assert its._process is not None
    monkeypatch.setattr(writer, "IDLE_SECONDS", 0.0)
    its.store(engine, batch(20_000, 1), "r", written())

    assert its._process is None
    assert written() == before + 2


def test_it_is_written_before_it_ends(
    its: Writer, engine: Engine, written: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = elsewhere(its, engine, monkeypatch)
    before = written()
    its.store(engine, batch(10_000, 1000), "r", written())
    its.close()

    assert written() == before + 1000
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_is_killed_is_told_of_and_done_without(
    its: Writer, engine: Engine, written: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = elsewhere(its, engine, monkeypatch)
    before = written()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(OperationalError, match="the process that writes has ended"):
        its.store(engine, batch(10_000), "r", written())
    monkeypatch.setattr(writer, "store_once", storing.store_once)
    its.store(engine, batch(10_000), "r", written())

    assert written() == before + LOAD


def test_what_cannot_be_written_is_refused_as_it_is_here(
    its: Writer, engine: Engine, written: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(its, engine, monkeypatch)
    before = written()
    with pytest.raises((ValueError, OverflowError, OSError)):
        its.store(engine, batch(10_000, at=1e30), "r", written())
    its.store(engine, batch(20_000), "r", written())

    assert written() == before + LOAD


def test_a_fault_of_the_database_is_the_databases(
    its: Writer,
    engine: Engine,
    place: Database,
    written: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere(its, engine, monkeypatch)
    before = written()
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE messages RENAME TO elsewhere")
    with pytest.raises(Exception, match="messages") as refusal:
        its.store(engine, batch(10_000), "r", before)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO messages")

    assert place.is_to_blame(refusal.value)
    assert len(str(refusal.value)) < 1000
    its.store(engine, batch(10_000), "r", before)


def test_where_no_process_can_be_made_it_goes_without(
    its: Writer, engine: Engine, written: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer.sys, "executable", "/no/python/here")  # type: ignore[attr-defined]
    for number in range(3):
        its.store(engine, batch(1 + number * LOAD), "r", written())

    assert written() == 3 * LOAD
