"""A recorder has a row with its heartbeat; others close the sessions that it left open."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, Executable, insert, text, update

import s2_mitm
from s2_mitm.history import presence
from s2_mitm.history import recorder as recorder_module
from s2_mitm.history.presence import Heartbeats, Presence
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.history.storing import store, store_once
from s2_mitm.history.tables import iso, messages, recorders, sessions
from s2_mitm.history.target import database_of
from s2_mitm.s2.verdict import Role, Verdict

pytest_plugins = ["postgres_server"]

NOON = 1795262400.25
SILENT = "2026-11-21T11:00:00.000000Z"


@pytest.fixture
def renewing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorders send so many heartbeats that a test need not wait for one."""
    monkeypatch.setattr(recorder_module, "RENEW_SECONDS", 0.05)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, renewing: None) -> None:
    """A recorder that sends no heartbeat between two looks counts as ended."""
    monkeypatch.setattr(presence, "GONE_SECONDS", 0.01)


@pytest.fixture
def recording(target: str) -> Iterator[Recording]:
    recording = Recording(target)
    yield recording
    recording.engine.dispose()


class Recording:
    """A recording, written and read by another program."""

    def __init__(self, target: str) -> None:
        self.target = target
        Recorder(target, print).close()
        self.engine: Engine = database_of(target).open_for_writing()

    def rows(self, query: str) -> list[Any]:
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def execute(self, statement: Executable, row: dict[str, Any] | None = None) -> None:
        with self.engine.begin() as connection:
            connection.execute(statement, row)

    def left_by(self, pid: int = 1, seen_at: str = SILENT, ended_at: str | None = None) -> None:
        """A recorder that sends no more heartbeats, and a session of it with two messages."""
        row = {
            "id": "they",
            "host": socket.gethostname(),
            "pid": pid,
            "started_at": SILENT,
            "seen_at": seen_at,
            "ended_at": ended_at,
        }
        self.execute(insert(recorders), row)
        self.session("left", "they")

    def session(self, name: str, recorder: str | None, last: float = NOON) -> None:
        row = {"id": name, "started_at": SILENT, "recorder": recorder}
        self.execute(insert(sessions), row)
        for seq, moment in ((1, last - 5), (2, last)):
            message = {
                "session_id": name,
                "seq": seq,
                "timestamp": iso(moment),
                "content": b"{}",
                "size": 2,
                "injected": 0,
                "dropped": 0,
                "valid": 1,
            }
            self.execute(insert(messages), message)

    def wait_for(self, query: str, expected: list[Any]) -> None:
        deadline = time.monotonic() + 10
        while (found := self.rows(query)) != expected:
            assert time.monotonic() < deadline, found
            time.sleep(0.02)


def session(name: str = "s1", proxy: str | None = None) -> SessionStart:
    return SessionStart(name, NOON, None, None, None, Role.RM, proxy)


def message(seq: int, name: str = "s1") -> MessageRecord:
    verdict = Verdict(NOON, Role.RM, {}, "T", f"m{seq}", None, [])
    return MessageRecord(name, seq, verdict, b"{}", injected=False, dropped=False)


HOW_IT_ENDED = "select ended_at, closed_by, close_reason from sessions where id = 'left'"
STILL_OPEN = [(None, None, None)]


def test_a_recorder_says_that_it_is_there_and_that_it_ended(recording: Recording) -> None:
    with_it = "select host, pid, ended_at is null from recorders where ended_at is null"
    recorder = Recorder(recording.target, print)
    recorder.session_opened(session(proxy="cellar"))
    assert recorder.flush(10)
    assert recording.rows(with_it) == [(socket.gethostname(), os.getpid(), True)]
    whose = "select proxy, host from sessions join recorders on recorders.id = sessions.recorder"
    assert recording.rows(whose) == [("cellar", socket.gethostname())]
    recorder.close()
    assert recording.rows(with_it) == []


@pytest.mark.usefixtures("renewing")
def test_it_says_so_again_and_again_though_nothing_happens(recording: Recording) -> None:
    recorder = Recorder(recording.target, print)
    seen = "select seen_at from recorders where ended_at is null"
    assert recorder.flush(10)
    [(first,)] = recording.rows(seen)
    deadline = time.monotonic() + 10
    while recording.rows(seen) == [(first,)]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    recorder.close()


@pytest.mark.usefixtures("impatient")
def test_the_next_proxy_closes_what_a_killed_one_left_open(recording: Recording) -> None:
    seen_at = iso(NOON + 7)
    recording.left_by(seen_at=seen_at)
    with closing(Recorder(recording.target, print)):
        reason = "not closed: the proxy ended without warning"
        recording.wait_for(HOW_IT_ENDED, [(seen_at, "proxy", reason)])
        recording.wait_for("select ended_at from recorders where id = 'they'", [(seen_at,)])


_KILLED = """
import sys, time
from s2_mitm.history.presence import Heartbeats, Presence
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.s2.verdict import Role, Verdict
recorder = Recorder(sys.argv[1], print)
assert recorder.flush(30)
recorder.session_opened(SessionStart("left", time.time(), None, None, None, None))
verdict = Verdict(time.time(), Role.RM, {}, "T", "m", None, [])
recorder.message(MessageRecord("left", 1, verdict, b"{}", False, False))
time.sleep(0.25)
print("now", flush=True)
time.sleep(60)
"""


@pytest.mark.usefixtures("impatient")
def test_a_process_that_is_killed(recording: Recording) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(s2_mitm.__file__).parent.parent)}
    command = [sys.executable, "-c", _KILLED, recording.target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout
        assert process.stdout.readline() == "now\n"
        process.kill()
    assert recording.rows("select seq from messages where session_id = 'left'") == [(1,)]
    assert recording.rows(HOW_IT_ENDED) == STILL_OPEN
    with closing(Recorder(recording.target, print)):
        closed = "select closed_by, close_reason from sessions where ended_at is not null"
        recording.wait_for(closed, [("proxy", presence.LEFT_OPEN)])


@pytest.mark.usefixtures("impatient")
def test_a_session_ended_with_its_last_message_where_that_is_later(recording: Recording) -> None:
    recording.left_by(seen_at=SILENT)
    with closing(Recorder(recording.target, print)):
        recording.wait_for("select ended_at from sessions where id = 'left'", [(iso(NOON),)])


def test_what_one_that_ended_in_order_left_open_is_closed_at_once(recording: Recording) -> None:
    recording.left_by(ended_at=SILENT)
    Recorder(recording.target, print).close()
    assert recording.rows(HOW_IT_ENDED)[0][1] == "proxy"


@pytest.mark.parametrize("pid", [1, os.getpid()], ids=["another", "the same"])
def test_no_process_is_asked_whether_it_lives(recording: Recording, pid: int) -> None:
    """In another container the number of a process means another process."""
    recording.left_by(pid=pid, seen_at=iso(time.time()))
    Recorder(recording.target, print).close()
    assert recording.rows(HOW_IT_ENDED) == STILL_OPEN


class Proxies:
    """Two recorders of one recording, with the same host name and process number."""

    def __init__(self, recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
        self._recording = recording
        self.now = 1000.0
        monkeypatch.setattr(presence.time, "monotonic", lambda: self.now)  # type: ignore[attr-defined]
        monkeypatch.setattr(presence.time, "time", lambda: NOON + self.now)  # type: ignore[attr-defined]
        self.both = [Presence(), Presence()]
        for each in self.both:
            self.beat(each)
            start = session(each.id)
            with recording.engine.begin() as connection:
                store(connection, [start], each.id)
            each.note([start])

    def beat(self, each: Presence) -> None:
        with self._recording.engine.begin() as connection:
            each.renew(connection)

    def open(self) -> list[Presence]:
        """The recorders whose session is open."""
        found = self._recording.rows("select id from sessions where ended_at is null")
        return [each for each in self.both if (each.id,) in found]


def test_two_machines_of_one_name_leave_each_others_sessions_alone(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's "several proxies, on as many machines", though all are called raspberrypi."""
    proxies = Proxies(recording, monkeypatch)
    one, other = proxies.both
    for _ in range(30):
        proxies.now += 10
        for each in proxies.both:
            proxies.beat(each)
            assert proxies.open() == [one, other]
    for _ in range(6):  # now the other is killed
        proxies.now += 10
        proxies.beat(one)
        assert proxies.open() == [one, other]
    proxies.now += 10
    proxies.beat(one)
    assert proxies.open() == [one]
    proxies.beat(other)  # it had only slept
    assert proxies.open() == [one, other]


def test_clocks_that_disagree_end_no_session(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = Proxies(recording, monkeypatch)
    one, other = proxies.both
    for _ in range(10):
        proxies.now += 10
        for each, wrong in ((one, 0.0), (other, -86400.0)):
            with monkeypatch.context() as patch:
                patch.setattr(presence.time, "time", lambda wrong=wrong: NOON + proxies.now + wrong)  # type: ignore[attr-defined]
                proxies.beat(each)
            assert proxies.open() == [one, other]


def test_while_the_database_is_away_nobody_is_thought_to_be_gone(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = Proxies(recording, monkeypatch)
    one, other = proxies.both
    proxies.beat(one)
    proxies.now += 3600
    proxies.beat(one)
    assert proxies.open() == [one, other]


@pytest.mark.parametrize("target", ["postgresql"], indirect=True)
def test_one_that_vanished_in_the_midst_of_writing_keeps_nobody_from_it(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may keep what it has locked for hours."""
    proxies = Proxies(recording, monkeypatch)
    one, other = proxies.both
    with recording.engine.begin() as connection:
        store_once(connection, [session("new")], other.id, 0)
        for _ in range(10):
            proxies.now += 10
            proxies.beat(one)
        assert proxies.open() == [one, other]
    proxies.now += 10
    proxies.beat(one)
    assert proxies.open() == [one]


@given(beats=st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=50))
def test_silence_is_what_was_heard_of_it(beats: list[tuple[float, bool]]) -> None:
    heartbeats, now, number, expected = Heartbeats(), 0.0, 0, 0.0
    assert heartbeats.silence({"they": "0"}, now) == {"they": 0.0}
    for passed, beats_again in beats:
        now += passed
        number += beats_again
        expected = 0.0 if beats_again else expected + min(passed, presence.LOOK_SECONDS)
        assert heartbeats.silence({"they": str(number)}, now) == pytest.approx({"they": expected})
    assert heartbeats.silence({}, now) == {}
    assert heartbeats.silence({"they": str(number)}, now + 1) == {"they": 0.0}


def test_two_recorders_of_one_process_leave_each_other_alone(recording: Recording) -> None:
    recorder = Recorder(recording.target, print)
    recorder.session_opened(session("left"))
    assert recorder.flush(10)
    Recorder(recording.target, print).close()
    assert recording.rows(HOW_IT_ENDED) == STILL_OPEN
    recorder.close()


def test_what_was_recorded_before_there_were_recorders_is_closed_at_the_start(
    recording: Recording,
) -> None:
    recording.session("left", None)
    Recorder(recording.target, print).close()
    assert recording.rows(HOW_IT_ENDED) == [(iso(NOON), "proxy", presence.LEFT_OPEN)]


@pytest.mark.usefixtures("renewing")
def test_one_that_only_slept_opens_its_sessions_again(recording: Recording) -> None:
    recorder = Recorder(recording.target, print)
    recorder.session_opened(session("left"))
    assert recorder.flush(10)
    ended = {"ended_at": SILENT}
    recording.execute(update(sessions), {**ended, "closed_by": "proxy"})
    recording.execute(update(recorders), ended)
    recording.wait_for(HOW_IT_ENDED, STILL_OPEN)
    assert recording.rows("select count(*) from recorders where ended_at is null") == [(1,)]
    recorder.close()


def test_where_its_rows_are_gone_it_writes_them_anew(recording: Recording) -> None:
    said: list[str] = []
    recorder = Recorder(recording.target, said.append)
    recorder.session_opened(session(proxy="cellar"))
    recorder.session_changed("s1", rm_id="battery-1")
    recorder.senders_swapped("s1")
    assert recorder.flush(10)
    for table in ("sessions", "recorders"):
        recording.execute(text(f"delete from {table}"))
    # In SQLite nobody notices; there the file is deleted as a whole.
    recorder._renew_at = 0.0
    recorder.message(message(1))
    assert recorder.flush(10)
    facts = "select id, proxy, rm_id, client_role, recorder from sessions"
    assert recording.rows(facts) == [("s1", "cellar", "battery-1", "CEM", recorder._presence.id)]
    assert recording.rows("select seq from messages") == [(1,)]
    [sentence] = said
    assert " was emptied or made anew, and what it held is gone; the recording goes" in sentence
    recorder.close()
