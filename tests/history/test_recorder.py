"""All that the recorder is given is in the file, whatever happens to the file."""

from __future__ import annotations

import contextlib
import itertools
import math
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s2_mitm.history import recorder as recorder_module
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict
from s2_mitm.s2.wording import printable

NOON = 1795262400.25
NUMBERS = itertools.count(1)
"""For messages of one session that hypothesis puts one after the other."""

CONTRACT = {
    "sessions": "id started_at ended_at client_address server_address path client_role rm_id "
    "cem_id protocol_version control_type close_code close_reason closed_by proxy recorder bearer",
    "messages": "id session_id seq timestamp sender message_type message_id subject_message_id "
    "content size injected dropped valid reception_status reception_delay_ms sent opcode",
    "findings": "id message session_id code severity source path text hint",
    "recorders": "id host pid started_at seen_at ended_at written",
    "gaps": "id session_id first_seq last_seq messages since until reason",
}


class Reports(list[str]):
    """The sentences that a recorder reported."""

    def wait_for(self, words: str, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not any(words in sentence for sentence in self):
            assert time.monotonic() < deadline, f"{words!r} is not in {list(self)}"
            time.sleep(0.01)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "s2.sqlite3"


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def recorder(file: Path, reports: Reports) -> Iterator[Recorder]:
    recorder = Recorder(str(file), reports.append)
    assert recorder.flush(10)
    yield recorder
    recorder.close()


def rows(file: Path, query: str, *parameters: object) -> list[Any]:
    connection = sqlite3.connect(file, 10)
    try:
        return connection.execute(query, parameters).fetchall()
    finally:
        connection.close()


def start(session_id: str = "s1", client_role: Role | None = Role.RM) -> SessionStart:
    return SessionStart(session_id, NOON, "10.0.0.2:40001", "cem:8080", "/s2", client_role)


def finding(severity: Severity = Severity.ERROR, code: str = "schema.type", **more: str) -> Finding:
    text = more.get("text", "'17', expected a number")
    return Finding(code, severity, Source.SCHEMA, more.get("path", "/values/0/value"), text)


def message(
    seq: int,
    *findings: Finding,
    session: str = "s1",
    sender: Role | None = Role.RM,
    message_id: str | None = None,
    message_type: str | None = "PowerMeasurement",
    content: bytes = b'{"message_type":"PowerMeasurement"}',
    at: float = NOON,
    subject: str | None = None,
) -> MessageRecord:
    name = f"m{seq}" if message_id is None else message_id
    verdict = Verdict(at, sender, {}, message_type, name, subject, list(findings))
    return MessageRecord(session, seq, verdict, content, injected=False, dropped=False)


def test_the_tables_are_those_of_the_contract(recorder: Recorder, file: Path) -> None:
    for table, columns in CONTRACT.items():
        described = rows(file, f"pragma table_info({table})")
        assert [column for _, column, *_ in described] == columns.split()


def test_a_session_from_its_start_to_its_end(recorder: Recorder, file: Path) -> None:
    recorder.session_opened(start(client_role=None))
    recorder.session_changed("s1", rm_id="battery-1", protocol_version="0.0.2-beta")
    recorder.session_changed("s1", client_role=Role.RM, control_type="FILL_RATE_BASED_CONTROL")
    recorder.session_changed("s1")
    recorder.session_closed("s1", NOON + 60, 1000, "done", "CEM")
    assert recorder.flush(10)
    assert rows(file, "select * from sessions") == [
        (
            "s1",
            "2026-11-21T12:00:00.250000Z",
            "2026-11-21T12:01:00.250000Z",
            "10.0.0.2:40001",
            "cem:8080",
            "/s2",
            "RM",
            "battery-1",
            None,
            "0.0.2-beta",
            "FILL_RATE_BASED_CONTROL",
            1000,
            "done",
            "CEM",
            None,
            rows(file, "select id from recorders")[0][0],
            0,
        )
    ]


def test_a_message_and_its_findings(recorder: Recorder, file: Path) -> None:
    verdict = Verdict(
        NOON, Role.CEM, {"a": 1}, "ReceptionStatus", "m1", "m0", [finding(), finding(code="other")]
    )
    content = '{"message_type":"ReceptionStatus","é":1}'.encode()
    recorder.session_opened(start())
    recorder.message(MessageRecord("s1", 1, verdict, content, injected=True, dropped=True))
    recorder.message(message(2))
    assert recorder.flush(10)
    first, second = rows(file, "select * from messages")
    assert first == (
        1, "s1", 1, "2026-11-21T12:00:00.250000Z", "CEM", "ReceptionStatus", "m1", "m0",
        content.decode(), len(content), 1, 1, 0, None, None, None, "text",
    )  # fmt: skip
    assert second[10:13] == (0, 0, 1)
    schema = (
        "s1",
        "schema.type",
        "error",
        "schema",
        "/values/0/value",
        "'17', expected a number",
        "",
    )
    other = ("s1", "other", *schema[2:])
    assert rows(file, "select * from findings") == [(1, 1, *schema), (2, 1, *other)]


def test_findings_that_come_after_the_message_was_put_are_not_its(
    recorder: Recorder, file: Path
) -> None:
    record = message(1, finding())
    recorder.message(record)
    record.verdict.findings.append(finding(code="late"))
    assert recorder.flush(10)
    assert rows(file, "select code from findings") == [("schema.type",)]


def test_many_messages_keep_their_order_and_their_findings(recorder: Recorder, file: Path) -> None:
    count = 3 * recorder_module.BATCH + 7
    for seq in range(1, count + 1):
        recorder.message(message(seq, *([finding(text=str(seq))] if seq % 10 == 0 else [])))
    assert recorder.flush(30)
    assert rows(file, "select seq from messages order by id") == [(n + 1,) for n in range(count)]
    joined = rows(
        file, "select seq, text from messages join findings on findings.message = messages.id"
    )
    assert joined == [(seq, str(seq)) for seq in range(10, count + 1, 10)]


@pytest.mark.parametrize(
    ("content", "stored"),
    [
        (b"plain", "plain"),
        (b"", ""),
        ("grün ⚡ 𝄞".encode(), "grün ⚡ 𝄞"),
        (b"\xff\xfe{", b"\xff\xfe{"),
        (b'{"a":"\x00"}', b'{"a":"\x00"}'),
        (b"\x1b[31m", "\x1b[31m"),
        (b"x" * 10_000_000, "x" * 10_000_000),
    ],
)
def test_content_is_what_went_over_the_wire(
    recorder: Recorder, file: Path, content: bytes, stored: str | bytes
) -> None:
    recorder.message(message(1, content=content))
    assert recorder.flush(10)
    assert rows(file, "select content, size from messages") == [(stored, len(content))]


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(st.characters(exclude_categories=())))
def test_no_text_breaks_a_batch(recorder: Recorder, file: Path, text: str) -> None:
    recorder.session_opened(start(text or "s1"))
    recorder.session_changed("s1", rm_id=text)
    seq = next(NUMBERS)
    found = finding(path=text, text=text)
    recorder.message(message(seq, found, message_id=text, message_type=text))
    recorder.reception_status("s1", Role.RM, text, text, 1.0)
    assert recorder.flush(10)
    newest = "select message_id, reception_status from messages order by id desc limit 1"
    [(message_id, status)] = rows(file, newest)
    assert message_id == status
    assert message_id == printable(text)


HOSTILE = "a\ud800b\0c\x1b[2Jd\u202ee\n\x9bf"


def test_every_text_of_the_wire_is_stored_for_people_to_read_but_for_content(
    recorder: Recorder, file: Path
) -> None:
    """What ``sqlite3`` prints steers no terminal, in whatever column; ``content`` is the wire's."""
    recorder.session_opened(SessionStart("s1", NOON, HOSTILE, HOSTILE, HOSTILE, None, HOSTILE))
    facts = ("rm_id", "cem_id", "protocol_version", "control_type")
    known: Any = dict.fromkeys(facts, HOSTILE)
    recorder.session_changed("s1", **known)
    content = HOSTILE.encode(errors="replace")
    recorder.message(
        message(
            1,
            finding(path=HOSTILE, text=HOSTILE),
            content=content,
            message_id=HOSTILE,
            message_type=HOSTILE,
            subject=HOSTILE,
        )
    )
    recorder.reception_status("s1", Role.RM, HOSTILE, HOSTILE, 1.0)
    recorder.session_closed("s1", NOON, 1000, HOSTILE, "RM")
    assert recorder.flush(10)

    shown = r"a\ud800b\u0000c\u001b[2Jd\u202ee\u000a\u009bf"
    columns = {
        "sessions": ("client_address", "server_address", "path", "proxy", "close_reason", *facts),
        "messages": ("message_type", "message_id", "subject_message_id", "reception_status"),
        "findings": ("path", "text"),
    }
    for table, names in columns.items():
        assert rows(file, f"select {', '.join(names)} from {table}") == [(shown,) * len(names)]
    assert rows(file, "select content from messages") == [(content,)]


def test_the_escapes_of_a_long_id_make_it_no_longer_than_an_index_holds(
    recorder: Recorder, file: Path
) -> None:
    recorder.message(message(1, message_id="\x1b" * 10_000))
    assert recorder.flush(10)
    assert rows(file, "select length(message_id) from messages") == [(500,)]


# The answer to a message


@pytest.mark.parametrize("flushed", [False, True], ids=["in one batch", "in two batches"])
def test_the_answer_stands_with_the_newest_message_of_that_id(
    recorder: Recorder, file: Path, flushed: bool
) -> None:
    recorder.message(message(1, message_id="m"))
    recorder.message(message(2, message_id="m", sender=Role.CEM))
    recorder.message(message(3, message_id="m"))
    recorder.message(message(4, message_id="m", session="s2"))
    if flushed:
        assert recorder.flush(10)
    recorder.reception_status("s1", Role.RM, "m", "OK", 12.5)
    recorder.reception_status("s1", Role.RM, "m", "INVALID_DATA", 99.0)
    recorder.reception_status("s1", Role.RM, "nobody's", "OK", 1.0)
    assert recorder.flush(10)
    answers = rows(file, "select reception_status, reception_delay_ms from messages")
    assert answers == [(None, None), (None, None), ("OK", 12.5), (None, None)]


def test_an_answer_is_not_given_to_a_message_that_came_later(
    recorder: Recorder, file: Path
) -> None:
    recorder.message(message(1, message_id="m"))
    assert recorder.flush(10)
    recorder.reception_status("s1", Role.RM, "m", "OK", 1.0)
    recorder.message(message(2, message_id="m"))
    assert recorder.flush(10)
    assert rows(file, "select reception_status from messages") == [("OK",), (None,)]


# Roles that turn out the other way round


@pytest.mark.parametrize("flushed", [False, True], ids=["in one batch", "in two batches"])
def test_swapped_senders(recorder: Recorder, file: Path, flushed: bool) -> None:
    recorder.session_opened(start())
    recorder.session_opened(start("s2"))
    recorder.message(message(1, message_id="m"))
    recorder.message(message(2, sender=Role.CEM))
    recorder.message(message(3, sender=None))
    recorder.message(message(1, session="s2"))
    if flushed:
        assert recorder.flush(10)
    recorder.senders_swapped("s1")
    recorder.reception_status("s1", Role.CEM, "m", "OK", 1.0)
    recorder.message(message(4))
    assert recorder.flush(10)
    senders = rows(file, "select session_id, seq, sender, reception_status from messages")
    assert senders == [
        ("s1", 1, "CEM", "OK"),
        ("s1", 2, "RM", None),
        ("s1", 3, None, None),
        ("s2", 1, "RM", None),
        ("s1", 4, "RM", None),
    ]
    assert rows(file, "select client_role from sessions") == [("CEM",), ("RM",)]


# Opening, closing, continuing


def test_a_session_opened_twice_goes_on(recorder: Recorder, file: Path, reports: Reports) -> None:
    recorder.session_opened(start())
    recorder.session_changed("s1", rm_id="battery-1")
    recorder.session_closed("s1", NOON + 1, None, None, "proxy")
    recorder.session_opened(start())
    assert recorder.flush(10)
    described = "select rm_id, ended_at, closed_by, started_at from sessions"
    assert rows(file, described) == [("battery-1", None, None, "2026-11-21T12:00:00.250000Z")]
    assert not reports


def test_closing_writes_everything_and_may_be_repeated(file: Path, reports: Reports) -> None:
    recorder = Recorder(str(file), reports.append)
    for seq in range(1, 2001):
        recorder.message(message(seq))
    recorder.close()
    recorder.close()
    assert rows(file, "select count(*) from messages") == [(2000,)]
    recorder.message(message(2001))
    assert not recorder.flush(10)
    assert rows(file, "select count(*) from messages") == [(2000,)]
    assert not reports
    assert not Path(f"{file}-wal").exists(), "the recording is one file again"


def test_a_recording_is_continued(file: Path, reports: Reports) -> None:
    for seq, target in enumerate((str(file), f"sqlite:///{file}"), 1):
        recorder = Recorder(target, reports.append)
        recorder.session_opened(start())
        recorder.message(message(seq))
        recorder.close()
    assert rows(file, "select count(*) from messages") == [(2,)]
    assert rows(file, "select count(*) from sessions") == [(1,)]


def test_two_recorders_at_one_file(file: Path, reports: Reports) -> None:
    both = [Recorder(str(file), reports.append) for _ in range(2)]
    for seq in range(1, 501):
        for number, recorder in enumerate(both):
            recorder.message(message(seq, session=f"s{number}"))
    for recorder in both:
        recorder.close()
    counts = rows(file, "select session_id, count(*) from messages group by session_id")
    assert counts == [("s0", 500), ("s1", 500)]


def test_it_is_there_soon_and_can_be_read_meanwhile(recorder: Recorder, file: Path) -> None:
    reader = sqlite3.connect(file)
    slowest = 0.0
    for seq in range(1, 6):
        put = time.monotonic()
        recorder.message(message(seq))
        while reader.execute("select max(seq) from messages").fetchone() != (seq,):
            assert time.monotonic() < put + 5
            time.sleep(0.002)
        slowest = max(slowest, time.monotonic() - put)
    reader.close()
    # A hundred milliseconds on an idle machine; tests may have to share theirs.
    assert slowest < 1.0


def test_putting_does_not_wait_for_the_database(recorder: Recorder, file: Path) -> None:
    with holding_the_lock(file):
        began = time.monotonic()
        for seq in range(1, 101):
            recorder.message(message(seq))
        assert time.monotonic() - began < 0.5


# What a file may go through


class holding_the_lock:  # noqa: N801
    """Another program that holds the lock of the database."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("begin immediate")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("rollback")
        self._connection.close()


def test_a_locked_database_is_waited_for_and_nothing_is_lost(
    recorder: Recorder, file: Path, reports: Reports
) -> None:
    with holding_the_lock(file):
        for seq in range(1, 101):
            recorder.message(message(seq))
        reports.wait_for("cannot be written now (another program has locked it)")
        recorder.message(message(101))
        assert not recorder.flush(0.1)
    assert recorder.flush(10)
    assert rows(file, "select seq from messages") == [(n,) for n in range(1, 102)]
    reports.wait_for("written again; nothing was lost")
    assert len(reports) == 2


def test_a_full_disk_is_waited_for_and_nothing_is_lost(
    recorder: Recorder, file: Path, reports: Reports
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    full = Path(f"{file}-wal").stat().st_size + 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, hard))
    try:
        for seq in range(1, 101):
            recorder.message(message(seq, content=b"x" * 10_000))
        reports.wait_for("cannot be written now")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert recorder.flush(10)
    assert rows(file, "select seq from messages") == [(n,) for n in range(1, 101)]
    reports.wait_for("written again; nothing was lost")


def test_a_deleted_file_is_begun_anew_with_the_sessions_that_are_open(
    recorder: Recorder, file: Path, reports: Reports
) -> None:
    for name in ("s1", "s2"):
        recorder.session_opened(start(name))
    recorder.session_closed("s1", NOON, None, None, "RM")
    recorder.message(message(1, session="s2"))
    assert recorder.flush(10)
    file.unlink()
    recorder.message(message(2, session="s2"))
    assert recorder.flush(10)
    assert rows(file, "select seq from messages") == [(2,)]
    assert rows(file, "select id from sessions") == [("s2",)]
    reports.wait_for("was deleted or replaced")


def test_a_folder_that_goes_away_and_comes_back(tmp_path: Path, reports: Reports) -> None:
    folder = tmp_path / "mount"
    folder.mkdir()
    recorder = Recorder(str(folder / "s2.sqlite3"), reports.append)
    try:
        folder.rename(tmp_path / "gone")
        recorder.message(message(1))
        reports.wait_for("cannot be written now")
        (tmp_path / "gone").rename(folder)
        assert recorder.flush(10)
    finally:
        recorder.close()
    assert rows(folder / "s2.sqlite3", "select seq from messages") == [(1,)]


@pytest.fixture
def read_only(file: Path) -> Iterator[Callable[[bool], None]]:
    """Makes the file read-only, or writable again."""
    files = [file, Path(f"{file}-wal")]

    def make(read_only: bool) -> None:
        flag = "+i" if read_only else "-i"
        for path in files:
            subprocess.run(["chattr", flag, path], check=True, capture_output=True)

    probe = file.with_name("probe")
    probe.touch()
    try:
        for flag in ("+i", "-i"):
            subprocess.run(["chattr", flag, probe], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("chattr +i, which only root may, is not possible here")
    yield make
    for path in files:
        subprocess.run(["chattr", "-i", path], check=False, capture_output=True)


def test_a_file_that_may_not_be_written_and_then_may_is_waited_for(
    recorder: Recorder, file: Path, reports: Reports, read_only: Callable[[bool], None]
) -> None:
    recorder.session_opened(start())
    assert recorder.flush(10)
    read_only(True)
    for seq in range(1, 101):
        recorder.message(message(seq))
    reports.wait_for("cannot be written now")
    assert not recorder.flush(1)
    read_only(False)
    assert recorder.flush(10)
    assert rows(file, "select seq from messages") == [(n,) for n in range(1, 101)]
    reports.wait_for("written again; nothing was lost")
    assert len(reports) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mount, which only root may, is not possible here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_is_full_and_then_is_not_is_waited_for(
    small_disk: Path, reports: Reports
) -> None:
    file = small_disk / "s2.sqlite3"
    recorder = Recorder(str(file), reports.append)
    try:
        recorder.session_opened(start())
        assert recorder.flush(10)
        other = small_disk / "other"
        other.write_bytes(b"")
        with contextlib.suppress(OSError), other.open("wb", buffering=0) as full:
            while True:
                full.write(b"x" * 4096)
        for seq in range(1, 101):
            recorder.message(message(seq, content=b"x" * 2000))
        reports.wait_for("cannot be written now")
        other.unlink()
        assert recorder.flush(10)
    finally:
        recorder.close()
    assert rows(file, "select seq from messages") == [(n,) for n in range(1, 101)]
    assert rows(file, "pragma integrity_check") == [("ok",)]
    reports.wait_for("written again; nothing was lost")


def test_too_much_to_keep_costs_the_oldest_and_is_counted(
    file: Path, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MOST_MESSAGES", 100)
    monkeypatch.setattr(recorder_module, "BATCH", 10)
    recorder = Recorder(str(file), reports.append)
    with holding_the_lock(file):
        recorder.session_opened(start())
        for seq in range(1, 1001):
            recorder.message(message(seq))
        reports.wait_for("cannot be written now")
        assert recorder.figures().failing
        assert recorder.figures().waiting <= 102
        assert recorder.figures().lost == 900
    recorder.close()
    kept = [seq for (seq,) in rows(file, "select seq from messages")]
    assert len(kept) == 100
    assert kept[-1] == 1000
    assert rows(file, "select id from sessions") == [("s1",)]
    [(first, last, count)] = rows(file, "select first_seq, last_seq, messages from gaps")
    assert kept == [*range(1, first), *range(last + 1, 1001)]
    assert count == last - first + 1 == 900
    reports.wait_for("written again; 900 messages were lost (recorded as gaps)")
    figures = recorder.figures()
    assert (figures.written, figures.lost, figures.failing) == (100, 900, False)


def test_closing_does_not_wait_for_ever(file: Path, reports: Reports) -> None:
    recorder = Recorder(str(file), reports.append)
    with holding_the_lock(file):
        recorder.message(message(1))
        recorder.close(timeout=0.1)
    reports.wait_for("could not be written to the end; 1 message of the last was lost")


# What no row can hold


def test_a_record_that_cannot_be_written_is_left_out_and_the_others_are_not(
    recorder: Recorder, file: Path, reports: Reports
) -> None:
    recorder.message(message(1))
    recorder.message(message(2, at=math.nan))
    recorder.session_changed("s1", nonsense="x")  # type: ignore[call-arg]
    recorder.reception_status("s1", Role.RM, "m1", "OK", 2.0)
    recorder.message(message(2**70))
    recorder.message(message(3, finding()))
    assert recorder.flush(10)
    recorder.message(message(4))
    assert recorder.flush(10)
    stored = rows(file, "select seq, reception_status from messages")
    assert stored == [(1, "OK"), (3, None), (4, None)]
    assert rows(file, "select count(*) from findings") == [(1,)]
    gaps = rows(file, "select session_id, first_seq, last_seq, messages, reason from gaps")
    assert gaps == [("s1", 2, 2, 1, "the database refused them")]
    reports.wait_for("3 of 6 records could not be written")
    assert len(reports) == 1


def test_a_report_that_fails_does_not_end_the_recording(file: Path) -> None:
    def report(_: str) -> None:
        raise RuntimeError

    recorder = Recorder(str(file), report)
    recorder.message(message(1, at=math.nan))
    recorder.message(message(2))
    recorder.close()
    assert rows(file, "select seq from messages") == [(2,)]


# A folder's or file's name


@pytest.mark.parametrize("name", ["a b", "50%", "what?", "#1", "ünïcode", "a'b"])
def test_any_name_of_a_file(tmp_path: Path, reports: Reports, name: str) -> None:
    for seq in (1, 2):
        recorder = Recorder(str(tmp_path / name), reports.append)
        recorder.message(message(seq))
        recorder.close()
    assert rows(tmp_path / name, "select count(*) from messages") == [(2,)]
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_another_working_directory_does_not_move_the_recording(
    tmp_path: Path, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recorder = Recorder("s2.sqlite3", reports.append)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    recorder.message(message(1))
    recorder.close()
    assert rows(tmp_path / "s2.sqlite3", "select count(*) from messages") == [(1,)]
    assert not reports
