"""Who records stands in the recording, and what one that is gone left open is closed by others."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Executable, insert, text, update

import s2_mitm
from s2_mitm.history import presence
from s2_mitm.history import recorder as recorder_module
from s2_mitm.history.database import place_of
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.history.tables import iso, messages, recorders, sessions
from s2_mitm.s2.verdict import Role, Verdict

pytest_plugins = ["postgres_server"]

NOON = 1795262400.25
SILENT = "2026-11-21T11:00:00.000000Z"


@pytest.fixture
def renewing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorders say so often that they are there that a test need not wait for it."""
    monkeypatch.setattr(recorder_module, "RENEW_SECONDS", 0.05)


@pytest.fixture
def recording(target: str) -> Iterator[Recording]:
    recording = Recording(target)
    yield recording
    recording.engine.dispose()


class Recording:
    """The recording as anyone else may write and read it."""

    def __init__(self, target: str) -> None:
        self.target = target
        Recorder(target, print).close()
        self.engine: Engine = place_of(target).open_for_writing()

    def rows(self, query: str) -> list[Any]:
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def execute(self, statement: Executable, row: dict[str, Any] | None = None) -> None:
        with self.engine.begin() as connection:
            connection.execute(statement, row)

    def left_by(
        self,
        host: str | None = None,
        pid: int | None = None,
        seen_at: str = "",
        ended_at: str | None = None,
    ) -> None:
        """A recorder that does not say anything more, and a session of it with two messages."""
        row = {
            "id": "they",
            "host": host or socket.gethostname(),
            "pid": pid or dead_pid(),
            "started_at": SILENT,
            "seen_at": seen_at or iso(time.time()),
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


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


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


def test_the_next_start_closes_what_a_killed_proxy_left_open(recording: Recording) -> None:
    seen_at = iso(NOON + 7)
    recording.left_by(seen_at=seen_at)
    recorder = Recorder(recording.target, print)
    assert recorder.flush(10)
    reason = "not closed: the proxy ended without warning"
    assert recording.rows(HOW_IT_ENDED) == [(seen_at, "proxy", reason)]
    assert recording.rows("select ended_at from recorders where id = 'they'") == [(seen_at,)]
    recorder.close()


_KILLED = """
import sys, time
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.s2.verdict import Role, Verdict
recorder = Recorder(sys.argv[1], print)
recorder.session_opened(SessionStart("left", time.time(), None, None, None, None))
verdict = Verdict(time.time(), Role.RM, {}, "T", "m", None, [])
recorder.message(MessageRecord("left", 1, verdict, b"{}", False, False))
time.sleep(0.25)
print("now", flush=True)
time.sleep(60)
"""


def test_a_process_that_is_killed(recording: Recording) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(s2_mitm.__file__).parent.parent)}
    command = [sys.executable, "-c", _KILLED, recording.target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout
        assert process.stdout.readline() == "now\n"
        process.kill()
    assert recording.rows("select seq from messages where session_id = 'left'") == [(1,)]
    assert recording.rows(HOW_IT_ENDED) == STILL_OPEN
    Recorder(recording.target, print).close()
    [(ended_at, closed_by, reason)] = recording.rows(HOW_IT_ENDED)
    assert (closed_by, reason) == ("proxy", presence.LEFT_OPEN)
    assert ended_at


def test_a_session_ended_with_its_last_message_where_that_is_later(recording: Recording) -> None:
    recording.left_by(seen_at=SILENT)
    Recorder(recording.target, print).close()
    assert recording.rows(HOW_IT_ENDED)[0][0] == iso(NOON)


@pytest.mark.parametrize(
    "gone",
    [
        {"host": "another", "pid": 1, "seen_at": SILENT},
        {"pid": os.getpid()},
        {"pid": os.getpid(), "ended_at": SILENT},
    ],
    ids=["silent for long", "a container started again", "ended in order"],
)
def test_others_that_are_gone(recording: Recording, gone: dict[str, Any]) -> None:
    recording.left_by(**gone)
    Recorder(recording.target, print).close()
    assert recording.rows(HOW_IT_ENDED)[0][1] == "proxy"


@pytest.mark.parametrize(
    "there", [{"host": "another", "pid": 1}, {"pid": os.getppid()}], ids=["elsewhere", "here"]
)
def test_the_sessions_of_those_that_are_there_stay_open(
    recording: Recording, there: dict[str, Any]
) -> None:
    recording.left_by(**there)
    Recorder(recording.target, print).close()
    assert recording.rows(HOW_IT_ENDED) == STILL_OPEN


def test_two_recorders_of_one_process_leave_each_other_alone(recording: Recording) -> None:
    recorder = Recorder(recording.target, print)
    recorder.session_opened(session("left"))
    assert recorder.flush(10)
    Recorder(recording.target, print).close()
    assert recording.rows(HOW_IT_ENDED) == STILL_OPEN
    recorder.close()


@pytest.mark.usefixtures("renewing")
def test_a_recorder_that_goes_meanwhile_is_noticed(recording: Recording) -> None:
    recording.left_by(host="another", pid=1)
    recorder = Recorder(recording.target, print)
    assert recorder.flush(10)
    assert recording.rows(HOW_IT_ENDED) == STILL_OPEN
    recording.execute(update(recorders).where(recorders.c.id == "they"), {"seen_at": SILENT})
    recording.wait_for("select closed_by from sessions where id = 'left'", [("proxy",)])
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
    assert not said
    recorder.close()
