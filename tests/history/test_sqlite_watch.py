"""Whatever is done to the file that is written, no file is damaged.

The README's promises: "Where the file is moved away, deleted, replaced or overwritten, the proxy
says so and goes on under its name; a file that was moved has all that was recorded", and "the
database of another program is never written to".
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from complaints import complaint_of

import s2_mitm
from s2_mitm.history import recorder as recorder_module
from s2_mitm.history import sqlite
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.history.writer import LOAD
from s2_mitm.s2.verdict import Role, Verdict

NOON = 1795262400.25
FOREIGN_ROWS = 20_000


def wait_until(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class OngoingSession:
    """A recorder with one session, and the number of its last message."""

    def __init__(self, file: Path, under_load: bool) -> None:
        self.file = file
        self.said: list[str] = []
        self.seq = 0
        self.recorder = Recorder(str(file), self.said.append)
        self.recorder.session_opened(SessionStart("s1", NOON, None, None, None, Role.RM))
        self._at_once = LOAD if under_load else 1
        self.go_on()
        if under_load:
            wait_until(self._is_written_elsewhere)

    def go_on(self) -> None:
        """Record another message, and wait until it is written."""
        self.put()
        assert self.recorder.flush(20)

    def put(self) -> None:
        for _ in range(self._at_once):
            self.seq += 1
            verdict = Verdict(NOON, Role.RM, {}, "T", f"m{self.seq}", None, [])
            content = b'{"seq": %d}' % self.seq * 20
            self.recorder.message(
                MessageRecord("s1", self.seq, verdict, content, injected=False, dropped=False)
            )

    def fail(self, reason: str) -> None:
        """Record another message; returns why it cannot be written."""
        self.put()
        wait_until(lambda: any(f"cannot be written now ({reason}" in line for line in self.said))

    def _is_written_elsewhere(self) -> bool:
        self.go_on()
        return self.recorder._writer._is_ready


@pytest.fixture(params=[False, True], ids=["alone", "under load"])
def ongoing(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OngoingSession]:
    folder = tmp_path / "folder"
    folder.mkdir()
    ongoing = OngoingSession(folder / "s2.sqlite3", request.param)
    for _ in range(5):
        ongoing.go_on()
    yield ongoing
    ongoing.recorder.close(0.5)  # where it cannot write any more, it waits so long


def rows(file: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        return connection.execute(query).fetchall()


def seqs(file: Path) -> list[int]:
    """The numbers of the messages in ``file``, which must be whole and have their session."""
    assert rows(file, "select id from sessions") == [("s1",)]
    return [seq for (seq,) in rows(file, "select seq from messages order by seq")]


def upto(last: int, first: int = 1) -> list[int]:
    return list(range(first, last + 1))


def foreign(file: Path, journal: str = "wal") -> bytes:
    """Make a database of another program; returns its rows."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"pragma journal_mode = {journal}")
        connection.execute("create table notes (text)")
        notes = [(f"note {number}",) for number in range(FOREIGN_ROWS)]
        connection.executemany("insert into notes values (?)", notes)
        connection.commit()
    return file.read_bytes()


def backup(ongoing: OngoingSession, to: Path) -> int:
    """Make a copy as SQLite does; returns the number of the last message in it."""
    with closing(sqlite3.connect(ongoing.file)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)
    return ongoing.seq


def beside(file: Path) -> set[str]:
    return {entry.name for entry in file.parent.iterdir() if entry.name != file.name}


def overwrite(source: Path, target: Path) -> None:
    """Overwrite a file in place, as ``cp`` does."""
    subprocess.run(["cp", source, target], check=True)


def test_a_file_that_is_moved_has_all_that_was_recorded(ongoing: OngoingSession) -> None:
    moved = ongoing.file.with_name("moved")
    for _ in range(2):
        before = ongoing.seq
        ongoing.file.rename(moved)
        ongoing.go_on()
        assert seqs(moved)[-1] == before
        assert seqs(ongoing.file) == upto(ongoing.seq, before + 1)
        assert ongoing.said.pop().endswith(
            "s2.sqlite3 was moved away, with all that was recorded;"
            " the recording goes on in the file that is there now."
        )
    assert not ongoing.said
    ongoing.recorder.close()
    assert beside(ongoing.file) == {"moved"}


def test_a_file_that_is_moved_while_nothing_is_said(ongoing: OngoingSession) -> None:
    ongoing.file.rename(ongoing.file.with_name("moved"))
    wait_until(lambda: ongoing.said)
    assert seqs(ongoing.file.with_name("moved")) == upto(ongoing.seq)


def test_a_file_that_is_moved_just_before_the_end(ongoing: OngoingSession) -> None:
    before = ongoing.seq
    ongoing.file.rename(ongoing.file.with_name("moved"))
    ongoing.put()
    ongoing.recorder.close()
    assert seqs(ongoing.file.with_name("moved")) == upto(before)
    assert seqs(ongoing.file) == upto(ongoing.seq, before + 1)
    assert beside(ongoing.file) == {"moved"}


def test_a_file_that_is_moved_while_another_reads_it(ongoing: OngoingSession) -> None:
    moved = ongoing.file.with_name("moved")
    with closing(sqlite3.connect(ongoing.file, isolation_level=None)) as reader:
        reader.execute("begin")
        there = reader.execute("select count(*) from messages").fetchall()
        ongoing.go_on()
        before = ongoing.seq
        ongoing.file.rename(moved)
        ongoing.fail("another program has locked it")
        foreign(ongoing.file)  # is not harmed while the log waits
        assert reader.execute("select count(*) from messages").fetchall() == there
        assert rows(ongoing.file, "select count(*) from notes") == [(FOREIGN_ROWS,)]
        reader.execute("commit")
    wait_until(lambda: beside(ongoing.file) == {"moved"})
    assert seqs(moved) == upto(before)
    ongoing.file.unlink()
    ongoing.go_on()
    assert seqs(ongoing.file) == upto(ongoing.seq, before + 1)


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_database_of_something_else_that_is_put_in_its_place(
    ongoing: OngoingSession, journal: str
) -> None:
    moved, other = ongoing.file.with_name("moved"), ongoing.file.with_name("other.db")
    content = foreign(other, journal)
    before = ongoing.seq
    ongoing.file.rename(moved)
    other.rename(ongoing.file)
    ongoing.fail("it is a database of something else")
    assert seqs(moved) == upto(before)
    assert ongoing.file.read_bytes() == content
    assert beside(ongoing.file) == {"moved"}
    assert rows(ongoing.file, "select count(*) from notes") == [(FOREIGN_ROWS,)]
    ongoing.file.rename(other)
    ongoing.go_on()
    assert seqs(ongoing.file) == upto(ongoing.seq, before + 1)
    assert other.read_bytes() == content


def test_a_database_of_something_else_that_replaces_it(ongoing: OngoingSession) -> None:
    other = ongoing.file.with_name("other.db")
    content = foreign(other)
    other.replace(ongoing.file)
    ongoing.fail("it is a database of something else")
    assert ongoing.file.read_bytes() == content
    assert beside(ongoing.file) == set()


def test_a_database_in_use_that_replaces_it_keeps_its_log(ongoing: OngoingSession) -> None:
    other = ongoing.file.with_name("other.db")
    foreign(other)
    with closing(sqlite3.connect(other, isolation_level=None)) as owner:
        owner.execute("insert into notes values ('in the log')")
        log = Path(f"{other}-wal").read_bytes()
        ongoing.recorder.flush(1)
        for side in ("-shm", "-wal", ""):
            Path(f"{other}{side}").replace(f"{ongoing.file}{side}")
        ongoing.fail("it is a database of something else")
        assert Path(f"{ongoing.file}-wal").read_bytes() == log
        assert Path(f"{ongoing.file}-shm").exists()


def test_a_backup_that_is_moved_to_its_place(ongoing: OngoingSession) -> None:
    copy = ongoing.file.with_name("backup")
    last = backup(ongoing, copy)
    ongoing.go_on()
    before = ongoing.seq
    copy.replace(ongoing.file)
    ongoing.go_on()
    assert seqs(ongoing.file) == [*upto(last), *upto(ongoing.seq, before + 1)]
    assert any("was deleted or replaced, and what it held is gone" in line for line in ongoing.said)


def test_a_backup_that_is_copied_over_it(
    ongoing: OngoingSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = ongoing.file.with_name("backup")
    last = backup(ongoing, copy)
    for _ in range(5):
        ongoing.go_on()
    with closing(sqlite3.connect(ongoing.file)) as other:
        other.execute("pragma wal_checkpoint")
    ongoing.go_on()
    before = ongoing.seq
    overwrite(copy, ongoing.file)
    ongoing.put()
    assert ongoing.recorder.flush(20)
    assert seqs(ongoing.file) == [*upto(last), *upto(ongoing.seq, before + 1)]
    assert any("was overwritten by another program, and what" in line for line in ongoing.said)
    ongoing.recorder.close()
    assert seqs(ongoing.file) == [*upto(last), *upto(ongoing.seq, before + 1)]


def test_the_loss_of_what_was_not_in_the_file_yet_is_named(
    ongoing: OngoingSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "RENEW_SECONDS", 0.0)
    ongoing.go_on()
    assert ongoing.recorder.flush(10)
    monkeypatch.setattr(recorder_module, "RENEW_SECONDS", 1e9)
    copied = ongoing.file.with_name("copied")
    overwrite(ongoing.file, copied)
    in_copy = ongoing.seq
    ongoing.go_on()
    os.truncate(ongoing.file, 0)
    lost = ongoing.seq - in_copy
    ongoing.put()
    assert ongoing.recorder.flush(20)
    assert seqs(copied) == upto(in_copy)
    assert seqs(ongoing.file) == upto(ongoing.seq, in_copy + lost + 1)
    number = "1 message" if lost == 1 else f"{lost} messages"
    lacks = f"(a copy that was made of it a moment before lacks the last {number});"
    assert f"what it held is gone {lacks}" in ongoing.said[-2]


def test_a_database_of_something_else_that_is_copied_over_it(ongoing: OngoingSession) -> None:
    other = ongoing.file.with_name("other.db")
    content = foreign(other)
    overwrite(other, ongoing.file)
    ongoing.fail("")
    wait_until(lambda: not beside(ongoing.file) - {"other.db"})
    time.sleep(2 * sqlite.REST_SECONDS)
    assert ongoing.file.read_bytes() == content
    ongoing.recorder.close()
    assert ongoing.file.read_bytes() == content
    assert beside(ongoing.file) == {"other.db"}


def test_what_is_copied_over_it_slowly_is_waited_for(ongoing: OngoingSession) -> None:
    copy = ongoing.file.with_name("backup")
    last = backup(ongoing, copy)
    content = copy.read_bytes()
    before = ongoing.seq
    half = len(content) // 2
    with ongoing.file.open("r+b", buffering=0) as file:
        file.truncate(0)
        ongoing.fail("another program seems to be writing it")
        file.write(content[:half])
        assert not ongoing.recorder.flush(0.2)
        file.write(content[half:])
    ongoing.go_on()
    assert seqs(ongoing.file) == [*upto(last), *upto(ongoing.seq, before + 1)]


def test_half_a_backup_is_not_gone_on_with(ongoing: OngoingSession) -> None:
    half = ongoing.file.with_name("half")
    backup(ongoing, half)
    os.truncate(half, half.stat().st_size // 2)
    content = half.read_bytes()
    half.replace(ongoing.file)
    os.utime(ongoing.file, (NOON, NOON))
    ongoing.fail("database disk image is malformed")
    assert ongoing.file.read_bytes() == content
    before = ongoing.seq
    ongoing.file.unlink()
    ongoing.go_on()
    assert seqs(ongoing.file)[-1] == ongoing.seq > before


@pytest.mark.parametrize("others", [(), ("-wal",), ("-wal", "-shm"), ("-shm",)])
def test_a_file_that_is_deleted(ongoing: OngoingSession, others: tuple[str, ...]) -> None:
    before = ongoing.seq
    for side in ("", *others):
        Path(f"{ongoing.file}{side}").unlink()
    ongoing.go_on()
    assert seqs(ongoing.file) == upto(ongoing.seq, before + 1)
    assert any("was deleted or replaced, and what it held is gone" in line for line in ongoing.said)
    ongoing.recorder.close()
    assert beside(ongoing.file) == set()


@pytest.mark.parametrize("side", ["-wal", "-shm"])
@pytest.mark.parametrize("instead", [None, b"", b"somebody else's"])
def test_what_is_beside_it_is_deleted(
    ongoing: OngoingSession, side: str, instead: bytes | None
) -> None:
    there = Path(f"{ongoing.file}{side}")
    there.unlink()
    if instead is not None:
        there.write_bytes(instead)
    wait_until(lambda: ongoing.said)
    assert "had lost its -wal or its -shm, and is whole again" in ongoing.said[0]
    ongoing.go_on()
    assert seqs(ongoing.file) == upto(ongoing.seq)
    assert len(ongoing.said) == 1


def test_a_log_that_somebody_laid_there_is_not_deleted(
    ongoing: OngoingSession, tmp_path: Path
) -> None:
    """A file and its log are moved one after the other; the log may come first."""
    content = foreign(tmp_path / "other.db")
    with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as owner:
        owner.execute("insert into notes values ('in the log')")
        copy = tmp_path / "copy"
        copy.mkdir()
        for side in ("", "-wal"):
            shutil.copy(tmp_path / f"other.db{side}", copy)
    before = ongoing.seq
    (copy / "other.db-wal").replace(f"{ongoing.file}-wal")
    ongoing.fail(f"{ongoing.file}-wal is not of this file: move it away")
    own = shutil.copy(ongoing.file, tmp_path / "own")
    assert seqs(Path(own)) == upto(before)
    (copy / "other.db").replace(ongoing.file)
    assert not ongoing.recorder.flush(1)
    assert ongoing.file.read_bytes() == content
    assert rows(ongoing.file, "select count(*) from notes") == [(FOREIGN_ROWS + 1,)]


def test_a_file_that_is_emptied_after_it_was_copied(ongoing: OngoingSession) -> None:
    """As logrotate does with ``copytruncate``."""
    copied = ongoing.file.with_name("s2.sqlite3.1")
    assert ongoing.recorder._watch.checkpoint()
    before = ongoing.seq
    overwrite(ongoing.file, copied)
    os.truncate(ongoing.file, 0)
    ongoing.put()
    assert ongoing.recorder.flush(20)
    assert seqs(copied) == upto(before)
    assert seqs(ongoing.file) == upto(ongoing.seq, before + 1)


def test_a_file_that_another_tidies_up_is_the_same(ongoing: OngoingSession, tmp_path: Path) -> None:
    for statement in ("vacuum", "pragma wal_checkpoint(truncate)", "reindex", "pragma optimize"):
        with closing(sqlite3.connect(ongoing.file, timeout=20, isolation_level=None)) as other:
            other.execute(statement)
        ongoing.go_on()
    with closing(sqlite3.connect(ongoing.file, timeout=20, isolation_level=None)) as other:
        other.execute(f"vacuum into '{tmp_path / 'copy'}'")
    os.utime(ongoing.file)
    ongoing.go_on()
    assert seqs(ongoing.file) == upto(ongoing.seq)
    assert not ongoing.said


def test_a_backup_that_is_restored_by_sqlite(ongoing: OngoingSession) -> None:
    copy = ongoing.file.with_name("backup")
    last = backup(ongoing, copy)
    for _ in range(5):
        ongoing.go_on()
    before = ongoing.seq
    with (
        closing(sqlite3.connect(copy)) as source,
        closing(sqlite3.connect(ongoing.file, timeout=20)) as file,
    ):
        source.backup(file)
    ongoing.go_on()
    assert seqs(ongoing.file) == [*upto(last), *upto(ongoing.seq, before + 1)]
    assert "was set back to what it was before, and what was recorded since is" in ongoing.said[0]


def test_a_folder_that_is_moved(ongoing: OngoingSession) -> None:
    folder, moved = ongoing.file.parent, ongoing.file.parent.with_name("moved")
    before = ongoing.seq
    folder.rename(moved)
    ongoing.fail("there is no folder")
    assert seqs(moved / "s2.sqlite3") == upto(before)
    folder.mkdir()
    ongoing.go_on()
    assert seqs(ongoing.file) == upto(ongoing.seq, before + 1)
    assert seqs(moved / "s2.sqlite3") == upto(before)


def test_a_link_that_leads_elsewhere_now(ongoing: OngoingSession, tmp_path: Path) -> None:
    link, first, second = (tmp_path / name for name in ("link", "first", "second"))
    link.symlink_to(first)
    recorder = Recorder(str(link), ongoing.said.append)
    try:
        recorder.session_opened(SessionStart("s1", NOON, None, None, None, Role.RM))
        assert recorder.flush(10)
        link.unlink()
        link.symlink_to(second)
        recorder.session_changed("s1", rm_id="device")
        assert recorder.flush(10)
    finally:
        recorder.close()
    assert rows(first, "select id, rm_id from sessions") == [("s1", None)]
    assert rows(second, "select id, rm_id from sessions") == [("s1", "device")]
    assert not [entry for entry in tmp_path.iterdir() if entry.name.endswith(("-wal", "-shm"))]


def test_two_recorders_of_a_file_that_is_moved(ongoing: OngoingSession) -> None:
    moved = ongoing.file.with_name("moved")
    code = """if True:
        import sys
        from s2_mitm.history.recorder import Recorder, SessionStart
        recorder = Recorder(sys.argv[1], print)
        for number, _ in enumerate(sys.stdin):
            recorder.session_opened(SessionStart(f"other {number}", 0.0, None, None, None, None))
            print(recorder.flush(20), flush=True)
        recorder.close()
    """
    env = {**os.environ, "PYTHONPATH": str(Path(s2_mitm.__file__).parent.parent)}
    with subprocess.Popen(
        [sys.executable, "-c", code, ongoing.file],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin
        assert other.stdout
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "True\n"
        before = ongoing.seq
        ongoing.file.rename(moved)
        ongoing.go_on()
        other.stdin.write("\n")
        other.stdin.close()
        assert "True" in other.stdout.read()
    ids = {
        name for file in (moved, ongoing.file) for (name,) in rows(file, "select id from sessions")
    }
    assert ids == {"s1", "other 0", "other 1"}
    seq = "select seq from messages order by seq"
    first, then = (rows(file, seq) for file in (moved, ongoing.file))
    assert len(first) >= before
    assert first + then == [(number,) for number in upto(ongoing.seq)]


KILLED = """if True:
    import os, signal, sys
    from s2_mitm.history.recorder import Recorder, SessionStart
    recorder = Recorder(sys.argv[1], print)
    recorder.session_opened(SessionStart("s1", 0.0, None, None, None, None))
    assert recorder.flush(20)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_one_that_records(file: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(s2_mitm.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", KILLED, file], env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    assert Path(f"{file}-wal").stat().st_size


def test_a_file_that_is_moved_after_a_kill(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, moved = tmp_path / "s2.sqlite3", tmp_path / "moved"
    kill_one_that_records(file)
    file.rename(moved)
    with caplog.at_level(logging.WARNING):
        Recorder(str(file), print).close()
    [said] = caplog.messages
    assert said.startswith(f"{file} was moved away after a proxy had been killed; ")
    Path(f"{file}-wal.1").rename(f"{moved}-wal")
    assert rows(moved, "select id from sessions") == [("s1",)]
    assert rows(file, "select id from sessions") == []


def test_a_backup_that_is_restored_after_a_kill(tmp_path: Path) -> None:
    """As most people do it: the file is copied back, and its old log stays beside it."""
    file, copy = tmp_path / "s2.sqlite3", tmp_path / "backup"
    Recorder(str(file), print).close()
    shutil.copy(file, copy)
    Recorder(str(file), print).close()
    kill_one_that_records(file)
    shutil.copy(copy, file)
    assert "-wal is not of this file: move it away" in complaint_of(file)
    assert file.read_bytes() == copy.read_bytes()
    Path(f"{file}-wal").unlink()
    Recorder(str(file), print).close()
    assert rows(file, "select id from sessions") == []


def test_a_log_that_a_kill_left_is_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "s2.sqlite3"
    for _ in range(3):
        kill_one_that_records(file)
    Recorder(str(file), print).close()
    assert rows(file, "select id from sessions") == [("s1",)]
    assert rows(file, "select count(*) from recorders") == [(4,)]


def test_a_database_of_something_else_that_replaces_it_after_a_kill(tmp_path: Path) -> None:
    file, other = tmp_path / "s2.sqlite3", tmp_path / "other.db"
    kill_one_that_records(file)
    content = foreign(other)
    other.replace(file)
    assert "a database of something else" in complaint_of(file)
    assert file.read_bytes() == content


def test_no_descriptor_is_left_open(ongoing: OngoingSession) -> None:
    def change_it() -> None:
        ongoing.file.rename(ongoing.file.with_name("moved"))
        ongoing.go_on()
        with closing(sqlite3.connect(ongoing.file, timeout=20, isolation_level=None)) as other:
            other.execute("pragma wal_checkpoint(truncate)")
        ongoing.go_on()

    change_it()
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        change_it()
    assert len(os.listdir("/dev/fd")) <= before + 1
