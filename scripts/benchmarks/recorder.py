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

from load.children import MeasurementError

from benchmarks.measuring import Options, Rows
from benchmarks.printing import print_goal, print_table
from benchmarks.sessions import LongSession
from s2_mitm.history.recorder import MessageRecord, Recorder, RecordingError, SessionStart
from s2_mitm.s2.verdict import Role

Row = dict[str, Any]

MESSAGES = 5000
"""Put before it is waited until all are written: less than a recorder keeps in memory."""

FLUSH_SECONDS = 60.0

RECORDER_GOALS = {"SQLite": 5000, "PostgreSQL": 3000}
"""Messages a second that are written down, at least."""

_TELL_URL = 'echo "postgresql+psycopg://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/$PGDATABASE"; cat'


def measure(options: Options) -> Rows:
    """A row for each database: figures, or why it could not be measured."""
    session = LongSession()
    messages = []
    for number, frame in enumerate(session.next(MESSAGES), 1):
        data = frame.data.replace(b'"values"', b'"valeus"') if number % 100 == 1 else frame.data
        verdict = session.judge.receive(data, from_client=frame.from_client, time=frame.time)
        messages.append(MessageRecord("", number, verdict, data, injected=False, dropped=False))
    return _measured_all(messages, options.seconds)


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The table of this section, and whether its goals are met."""
    print("Messages written into a recording by one Recorder, one in a hundred not valid\n")
    lines: list[tuple[str, ...]] = [
        ("", "messages/s (least – most)", "in the hook, µs", "processor time, µs", "messages")
    ]
    for row in (row for row in rows if "rate" in row):
        rate = row["rate"]
        spread = f"{rate['median']:,.0f} ({rate['least']:,.0f} – {rate['most']:,.0f})"
        times = (f"{row['hook']:,.1f}", f"{row['cpu']:,.1f}", f"{row['messages']:,}")
        lines.append((row["database"], spread, *times))
    print_table(lines, left=1)
    print(
        "\nA message and its ReceptionStatus count as two. In the hook: what the caller's thread"
        "\ntakes. Processor time: of both threads, but not of a database server."
    )
    for row in rows:
        name = row["database"]
        if "rate" in row:
            what = f"{name}, messages a second"
            print_goal(what, row["rate"]["median"], RECORDER_GOALS[name], at_least=True)
        else:
            print(f"\n{name}: {row['skipped']}\n")


def _measured_all(messages: Sequence[MessageRecord], seconds: float) -> list[Row]:
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
        raise MeasurementError(f"the recorder has complained: {complaints[0]}")
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
        raise MeasurementError(
            f"the recorder has not written its messages in {FLUSH_SECONDS:g} seconds"
        )
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
