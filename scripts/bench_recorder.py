"""How fast a recording takes what is said, and what that costs the one who says it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from bench_processes import BenchError

from s2_mitm.history.recorder import MessageRecord, Recorder, RecordingError, SessionStart
from s2_mitm.s2.verdict import Role

Row = dict[str, Any]

MESSAGES = 5000
"""Put before it is waited until all are written: less than a recorder keeps in memory."""

FLUSH_SECONDS = 60.0

_TELL_URL = 'echo "postgresql+psycopg://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/$PGDATABASE"; cat'


def measure(messages: Sequence[MessageRecord], seconds: float) -> list[Row]:
    """A row for each database, after about so long in each.

    The messages are those of one session; they are written again and again, in new ones.
    """
    with tempfile.TemporaryDirectory(prefix="s2-bench-") as folder:
        rows = [_measured("SQLite", str(Path(folder) / "s2.sqlite3"), messages, seconds)]
    with _postgresql() as url:
        if url:
            return [*rows, _measured("PostgreSQL", url, messages, seconds)]
    reason = "not measured: S2_TEST_POSTGRESQL names no server, and no pg_virtualenv starts one."
    return [*rows, {"database": "PostgreSQL", "skipped": reason}]


def _measured(database: str, target: str, messages: Sequence[MessageRecord], seconds: float) -> Row:
    complaints: list[str] = []
    try:
        recorder = Recorder(target, complaints.append)
    except RecordingError as problem:
        return {"database": database, "skipped": f"not measured: {problem}"}
    try:
        _write(recorder, messages, f"warm-up-{time.time_ns()}")
        end, made = time.perf_counter() + seconds, list[Row]()
        while len(made) < 5 or time.perf_counter() < end:
            made.append(_write(recorder, messages, f"bench-{time.time_ns()}"))
    finally:
        recorder.close()
    if complaints:
        raise BenchError(f"the recorder has complained: {complaints[0]}")
    rates = [each["rate"] for each in made]
    return {
        "database": database,
        "messages": len(made) * len(messages),
        "rate": {"median": median(rates), "least": min(rates), "most": max(rates)},
        **{name: median(each[name] for each in made) for name in ("hook", "cpu")},
    }


def _write(recorder: Recorder, messages: Sequence[MessageRecord], session: str) -> Row:
    """Record the messages as a new session, as a journal does; figures a message."""
    records = [replace(each, session_id=session) for each in messages]
    start = SessionStart(session, time.time(), "127.0.0.1:1", "127.0.0.1:2", "/", Role.RM)
    recorder.session_opened(start)
    at, used, used_here = time.perf_counter(), time.process_time(), time.thread_time()
    for record in records:
        recorder.message(record)
        if answer := record.verdict.answer:
            recorder.reception_status(
                session, answer.sender, answer.message_id, answer.status, answer.delay
            )
    here = time.thread_time() - used_here
    if not recorder.flush(FLUSH_SECONDS):
        raise BenchError(f"the recorder has not written its messages in {FLUSH_SECONDS:g} seconds")
    took, cpu = time.perf_counter() - at, time.process_time() - used
    number = len(records)
    recorder.session_closed(session, time.time(), 1000, None, "RM")
    return {"rate": number / took, "hook": here / number * 1e6, "cpu": cpu / number * 1e6}


@contextmanager
def _postgresql() -> Iterator[str | None]:
    """The URL of a database that may be written to; None where there is none."""
    if url := os.environ.get("S2_TEST_POSTGRESQL"):
        yield url
        return
    program = shutil.which("pg_virtualenv")
    if program is None:
        yield None
        return
    server = subprocess.Popen(
        [program, "sh", "-c", _TELL_URL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C must not take the server from under us
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        lines = iter(server.stdout.readline, "")
        yield next((line.strip() for line in lines if line.startswith("postgresql")), None)
    finally:
        server.stdin.close()  # which ends it, and its server
        server.stdout.read()
        server.wait()
