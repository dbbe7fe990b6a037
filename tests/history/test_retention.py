"""Sessions that are not kept are deleted, oldest first and in small steps, and nothing else is."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from s2_mitm.history import recorder as recorder_module
from s2_mitm.history import retention, sqlite
from s2_mitm.history.database import Database
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.history.retention import (
    MESSAGES_AT_ONCE,
    TAKEN_OUT,
    Pruned,
    Pruning,
    Retention,
    parse_retention,
    prune,
    would_prune,
)
from s2_mitm.history.target import database_of
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict

pytest_plugins = ["postgres_server"]

DAY = 86_400.0
FINDING = Finding("x.y", Severity.WARNING, Source.RULE, "/a", "wrong")


class Recording:
    """A recording with sessions of some age."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.database: Database = database_of(target)
        self.recorder = Recorder(target, print)
        self.engine: Engine = self.database.open_for_writing()

    def session(self, name: str, days: float | None, messages: int = 2, size: int = 100) -> None:
        """A session that ended ``days`` ago, or is open."""
        moment = time.time() - (days or 0) * DAY
        self.recorder.session_opened(SessionStart(name, moment - 60, None, None, None, Role.RM))
        for seq in range(1, messages + 1):
            found = [FINDING] if seq % 2 else []
            verdict = Verdict(moment - 30, Role.RM, {}, "T", f"m{seq}", None, found)
            content = b"x" * size
            self.recorder.message(MessageRecord(name, seq, verdict, content, False, False))
        if days is not None:
            self.recorder.session_closed(name, moment, 1000, "", "RM")

    def written(self) -> None:
        assert self.recorder.flush(30)

    def rows(self, query: str) -> list[Any]:
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def sessions(self) -> list[str]:
        return [name for (name,) in self.rows("select id from sessions order by id")]

    def counts(self) -> tuple[int, ...]:
        tables = ("sessions", "messages", "findings", "gaps")
        return tuple(self.rows(f"select count(*) from {table}")[0][0] for table in tables)

    def used(self) -> int:
        with self.engine.begin() as connection:
            return self.database.used(connection, exactly=True)


@pytest.fixture
def recording(target: str) -> Iterator[Recording]:
    recording = Recording(target)
    yield recording
    recording.recorder.close()
    recording.engine.dispose()


# What people type


@pytest.mark.parametrize(
    ("text", "age", "size"),
    [
        ("", None, None),
        ("  ", None, None),
        ("30d", timedelta(days=30), None),
        ("90s", timedelta(seconds=90), None),
        ("1.5h", timedelta(minutes=90), None),
        ("15 m", timedelta(minutes=15), None),
        ("2w", timedelta(days=14), None),
        ("500MB", None, 500_000_000),
        ("1kB", None, 1000),
        ("2gb", None, 2_000_000_000),
        ("1KiB", None, 1024),
        ("0.5MiB", None, 524_288),
        ("3 GiB", None, 3 * 1024**3),
        ("30d, 2GB", timedelta(days=30), 2_000_000_000),
        ("2GB,30d", timedelta(days=30), 2_000_000_000),
    ],
)
def test_what_is_typed_and_what_it_means(
    text: str, age: timedelta | None, size: int | None
) -> None:
    assert parse_retention(text) == Retention(age, size)


@pytest.mark.parametrize(
    "text",
    ["30", "d", "-1d", "0d", "0MB", "30d 2GB", "1d,2d", "1GB,2GB", "1M", "30D", "1e3d", ",", "1d,",
     "٣d", "999999999w", "1TB", "0.1.2d", "nan d"],
)  # fmt: skip
def test_what_means_nothing_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="does not say what to keep") as refused:
        parse_retention(text)
    assert "\n" not in str(refused.value)


@given(st.text())
def test_any_text_means_something_or_is_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        retention = parse_retention(text)
        assert retention.max_age is None or retention.max_age > timedelta(0)
        assert retention.max_bytes is None or retention.max_bytes > 0


@given(
    st.integers(1, 10_000), st.sampled_from("smhdw"),
    st.integers(1, 10_000), st.sampled_from(["kB", "MB", "GB", "KiB", "MiB", "GiB"]),
)  # fmt: skip
def test_an_age_and_a_size_are_what_each_is_alone(
    age: int, time: str, size: int, unit: str
) -> None:
    both = parse_retention(f"{age}{time}, {size}{unit}")
    assert both.max_age == parse_retention(f"{age}{time}").max_age
    assert both.max_bytes == parse_retention(f"{size} {unit}").max_bytes


# What goes, and what stays


def test_what_ended_longer_ago_goes_with_all_that_was_in_it(recording: Recording) -> None:
    recording.session("old", 40)
    recording.session("older", 50, messages=3)
    recording.session("young", 5)
    recording.session("open", None)
    recording.written()
    keep = parse_retention("30d")
    assert would_prune(recording.database, keep).messages == 5
    assert recording.counts()[0] == 4
    gone = prune(recording.database, keep)
    assert (gone.sessions, gone.messages) == (2, 5)
    assert recording.sessions() == ["open", "young"]
    assert recording.counts() == (2, 4, 2, 0)
    assert prune(recording.database, keep) == Pruned()


def test_what_is_too_much_goes_oldest_first(recording: Recording) -> None:
    for number in range(10):
        recording.session(f"s{number}", 10 - number, messages=20, size=20_000)
    recording.session("open", None, messages=20, size=20_000)
    recording.written()
    before = recording.used()
    keep = Retention(max_bytes=before // 2)
    would = would_prune(recording.database, keep)
    gone = prune(recording.database, keep)
    assert recording.used() <= before // 2
    assert recording.used() > before // 4, "no more than was needed"
    left = recording.sessions()
    assert left == ["open", *(f"s{number}" for number in range(10 - len(left) + 1, 10))]
    assert abs(would.sessions - gone.sessions) <= 1
    assert gone.messages == 20 * gone.sessions


def test_what_is_open_stays_however_large(recording: Recording) -> None:
    recording.session("open", None, messages=50, size=10_000)
    recording.written()
    assert prune(recording.database, parse_retention("1s, 1kB")) == Pruned()
    assert recording.counts()[:2] == (1, 50)


def test_a_long_session_goes_in_small_steps_and_says_so_meanwhile(recording: Recording) -> None:
    count = 2 * MESSAGES_AT_ONCE + 3
    recording.session("long", 40, messages=count)
    recording.session("old", 50)
    recording.written()
    pruning = Pruning(recording.database, parse_retention("30d"))
    with recording.engine.begin() as connection:
        pruning.look(connection)
    steps: list[Pruned | None] = []
    while len(recording.sessions()) > 1 or not steps:
        with recording.engine.begin() as connection:
            steps.append(pruning.step(connection))
    with recording.engine.begin() as connection:
        step = pruning.step(connection)
    assert step is not None
    assert step.messages == MESSAGES_AT_ONCE
    gap = "select session_id, first_seq, last_seq, messages, reason from gaps"
    assert recording.rows(gap) == [("long", 1, count, count, TAKEN_OUT)]
    # A crash: whoever comes next goes on with it, though nothing more need go.
    gone = prune(recording.database, Retention())
    assert (gone.sessions, gone.messages) == (1, count - MESSAGES_AT_ONCE)
    assert recording.counts() == (0, 0, 0, 0)


def test_large_messages_go_a_few_at_a_time(recording: Recording) -> None:
    recording.session("large", 40, messages=5, size=retention.BYTES_AT_ONCE // 2)
    recording.written()
    pruning = Pruning(recording.database, parse_retention("30d"))
    steps = []
    with recording.engine.begin() as connection:
        pruning.look(connection)
    while recording.sessions():
        with recording.engine.begin() as connection:
            step = pruning.step(connection)
            assert step
            steps.append(step.messages)
    assert steps == [2, 2, 1]


def test_a_session_that_was_opened_again_stays(recording: Recording) -> None:
    recording.session("s", 40, messages=MESSAGES_AT_ONCE + 1)
    recording.written()
    pruning = Pruning(recording.database, parse_retention("30d"))
    with recording.engine.begin() as connection:
        pruning.look(connection)
        pruning.step(connection)
    recording.recorder.session_opened(SessionStart("s", time.time(), None, None, None, None))
    recording.written()
    for _ in range(5):
        with recording.engine.begin() as connection:
            pruning.step(connection)
    assert recording.counts()[:2] == (1, 1)


def test_recorders_of_whom_nothing_is_left_go_too(recording: Recording) -> None:
    long_ago = "2026-01-01T00:00:00.000000Z"
    for name in ("empty", "full"):
        recording.rows(
            "insert into recorders (id, host, pid, started_at, seen_at, ended_at)"
            f" values ('{name}', 'h', 1, '{long_ago}', '{long_ago}', '{long_ago}')"
            " returning id"
        )
    recording.session("young", 1)
    recording.written()
    recording.rows("update sessions set recorder = 'full' returning id")
    prune(recording.database, parse_retention("30d"))
    ended = "select id from recorders where ended_at is not null"
    assert recording.rows(ended) == [("full",)]


def test_several_may_prune_at_once(recording: Recording) -> None:
    for number in range(30):
        recording.session(f"s{number}", 40 + number, messages=30)
    recording.session("long", 39, messages=3 * MESSAGES_AT_ONCE)
    recording.session("young", 1)
    recording.written()
    gone: list[Pruned | Exception] = []

    def at_once() -> None:
        try:
            gone.append(prune(recording.database, parse_retention("30d")))
        except Exception as error:
            gone.append(error)

    threads = [threading.Thread(target=at_once) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    total = Pruned()
    for each in gone:
        assert isinstance(each, Pruned), each
        total += each
    # What one leaves to another, because it is at it, may have to be taken out by the next.
    total += prune(recording.database, parse_retention("30d"))
    assert (total.sessions, total.messages) == (31, 900 + 3 * MESSAGES_AT_ONCE)
    assert recording.sessions() == ["young"]


def test_the_estimate_of_the_size_is_near_to_the_size(recording: Recording) -> None:
    recording.session("s", 1, messages=1500, size=800)
    recording.written()
    if recording.engine.dialect.name == "postgresql":
        with recording.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.execute(text("analyze"))
    with recording.engine.begin() as connection:
        estimate = recording.database.used(connection)
    assert recording.used() / 1.5 < estimate < recording.used() * 1.5
    takes = would_prune(recording.database, parse_retention("1h")).bytes
    assert estimate / 1.5 < takes < estimate * 1.5


# By the recorder itself


def test_a_recorder_prunes_while_it_records(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "PRUNE_SECONDS", 0.05)
    for number in range(20):
        recording.session(f"old{number}", 40, messages=200)
    recording.written()
    said: list[str] = []
    recorder = Recorder(recording.target, said.append, parse_retention("30d"))
    recorder.session_opened(SessionStart("new", time.time(), None, None, None, Role.RM))
    seq = 0
    deadline = time.monotonic() + 30
    while recording.sessions() != ["new"] or seq < 100:
        assert time.monotonic() < deadline
        seq += 1
        verdict = Verdict(time.time(), Role.RM, {}, "T", f"m{seq}", None, [])
        recorder.message(MessageRecord("new", seq, verdict, b"{}", False, False))
        time.sleep(0.002)
    recorder.close()
    assert recording.rows("select count(*) from messages") == [(seq,)]
    assert not said


def test_without_limits_everything_stays(recording: Recording) -> None:
    recording.session("old", 4000)
    recording.written()
    recorder = Recorder(recording.target, print, parse_retention(""))
    recorder.session_opened(SessionStart("new", time.time(), None, None, None, Role.RM))
    assert recorder.flush(10)
    recorder.close()
    assert recording.sessions() == ["new", "old"]


def test_the_disk_gets_back_what_a_file_does_not_need(tmp_path: Path) -> None:
    recording = Recording(str(tmp_path / "s2.sqlite3"))
    [(vacuum,)] = recording.rows("pragma auto_vacuum")
    for number in range(5):
        recording.session(f"s{number}", 40, messages=100, size=10_000)
    recording.written()
    before = recording.rows("pragma page_count")[0][0]
    keep = parse_retention("30d")
    with recording.engine.begin() as connection:
        pruning = Pruning(recording.database, keep)
        pruning.look(connection)
        while recording.database.used(connection) > before * 4096 / 5:
            pruning.step(connection)
        free = connection.execute(text("pragma freelist_count")).scalar_one()
        assert recording.database.give_back(connection)
        left = connection.execute(text("pragma freelist_count")).scalar_one()
        assert free - left == sqlite.PAGES_AT_ONCE
    prune(recording.database, keep)
    after = recording.rows("pragma page_count")[0][0]
    recording.recorder.close()
    recording.engine.dispose()
    assert vacuum == 2
    assert after < before / 5
