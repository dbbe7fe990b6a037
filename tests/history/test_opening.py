"""What cannot be a recording is refused in one sentence, and is not changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from complaints import complaint_of
from old_recording import make_old_recording
from together import run_together

import s2_mitm
from s2_mitm.history.database import RecordingError
from s2_mitm.history.queries import History
from s2_mitm.history.recorder import Recorder, SessionStart
from s2_mitm.history.target import database_of

ENV = {**os.environ, "PYTHONPATH": str(Path(s2_mitm.__file__).parent.parent)}


def refusal_to_record(target: Path | str) -> str:
    with pytest.raises(RecordingError) as refused:
        Recorder(str(target), print)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert str(target) in sentence
    assert "--set s2_db=FILE" in sentence
    return sentence


def refusal_to_read(target: Path | str) -> str:
    with pytest.raises(RecordingError) as refused:
        History(str(target))
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert str(target) in sentence
    assert "--db FILE" in sentence
    return sentence


def fill(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def everything_in(folder: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


def recording(file: Path) -> Path:
    recorder = Recorder(str(file), print)
    recorder.session_opened(SessionStart("s1", 0.0, None, None, None, None))
    recorder.close()
    return file


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder, and a user without rights, since root may do anything."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    root = os.geteuid() == 0
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def give_up_rights() -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_a_missing_folder(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "s2.sqlite3"
    assert f"there is no folder {missing.parent}" in refusal_to_record(missing)
    assert "there is no such file" in refusal_to_read(missing)
    assert not missing.parent.exists()


def test_a_folder(tmp_path: Path) -> None:
    assert "it is a folder" in refusal_to_record(tmp_path)
    assert "it is a folder" in refusal_to_read(tmp_path)


def test_a_file_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "there is no folder" in refusal_to_record(tmp_path / "file" / "s2.sqlite3")


def test_no_permission_for_the_folder(unprivileged: Path) -> None:
    unprivileged.chmod(0o555)
    give_up_rights()
    assert "no permission" in refusal_to_record(unprivileged / "s2.sqlite3")


def test_a_folder_that_may_not_be_entered(unprivileged: Path) -> None:
    inner = unprivileged / "inner"
    inner.mkdir(mode=0)
    give_up_rights()
    assert "no permission" in refusal_to_record(inner / "s2.sqlite3")
    assert "no permission" in refusal_to_read(inner / "s2.sqlite3")


def test_no_permission_for_the_file(unprivileged: Path) -> None:
    file = recording(unprivileged / "s2.sqlite3")
    file.chmod(0o444)
    unprivileged.chmod(0o555)
    give_up_rights()
    assert "no permission" in refusal_to_record(file)


def test_a_recording_is_read_where_nothing_may_be_written(unprivileged: Path) -> None:
    file = recording(unprivileged / "s2.sqlite3")
    file.chmod(0o644)
    unprivileged.chmod(0o555)
    give_up_rights()
    assert [session["id"] for session in History(str(file)).sessions()] == ["s1"]


def test_an_old_recording_is_read_where_nothing_may_be_written(unprivileged: Path) -> None:
    file = make_old_recording(unprivileged / "s2.sqlite3")
    unprivileged.chmod(0o555)
    file.chmod(0o444)
    give_up_rights()
    with closing(History(str(file))) as history:
        assert [(row["id"], row["lost"]) for row in history.sessions()] == [("s1", 0)]
    assert "no permission" in refusal_to_record(file)


def test_no_permission_to_read(unprivileged: Path) -> None:
    file = recording(unprivileged / "s2.sqlite3")
    file.chmod(0o000)
    give_up_rights()
    assert "no permission" in refusal_to_read(file)


FOREIGN = {
    "other tables": ["create table notes (text)", "insert into notes values ('mine')"],
    "tables of our names": ["create table sessions (id)", "create table messages (id, content)"],
    "some of our tables": ["create table findings (id)"],
}


@pytest.mark.parametrize("statements", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_database_of_something_else_is_left_alone(
    tmp_path: Path, statements: list[str], journal: str
) -> None:
    file = tmp_path / "other.db"
    fill(file, f"pragma journal_mode = {journal}", *statements)
    before = everything_in(tmp_path)
    assert "a database of something else (no " in complaint_of(file)
    assert "a database of something else (no " in refusal_to_read(file)
    assert file.read_bytes() == before["other.db"]
    if journal == "delete":
        assert everything_in(tmp_path) == before


def test_a_database_in_use_by_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    owner = sqlite3.connect(file, isolation_level=None)
    owner.execute("pragma journal_mode = wal")
    owner.execute("create table notes (text)")
    owner.execute("begin immediate")
    owner.execute("insert into notes values ('mine')")
    before = everything_in(tmp_path)
    assert "a database of something else" in complaint_of(file)
    after = everything_in(tmp_path)
    assert after["other.db"] == before["other.db"]
    assert after["other.db-wal"] == before["other.db-wal"]
    owner.execute("commit")
    owner.close()


@pytest.mark.parametrize("content", [b"hello, world\n", b"\x00" * 4096, b"x" * 100_000])
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    assert "it is not an SQLite database" in refusal_to_record(file)
    assert "it is not an SQLite database" in refusal_to_read(file)
    assert everything_in(tmp_path) == {"notes.txt": content}


def test_an_empty_file_becomes_a_recording(tmp_path: Path) -> None:
    file = tmp_path / "s2.sqlite3"
    file.touch()
    assert "a database of something else (no table " in refusal_to_read(file)
    assert [session["id"] for session in History(str(recording(file))).sessions()] == ["s1"]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_recording_is_for_its_owner_alone(tmp_path: Path, mask: int) -> None:
    """The README's promise: "Only the user who records can read it"."""
    before = os.umask(mask)
    try:
        recorder = Recorder(str(tmp_path / "s2.sqlite3"), print)
    finally:
        os.umask(before)
    assert recorder.flush(10)
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()}
    recorder.close()
    assert modes == dict.fromkeys(["s2.sqlite3", "s2.sqlite3-wal", "s2.sqlite3-shm"], 0o600)


def test_a_file_is_never_to_be_read_by_others_while_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, seen = tmp_path / "s2.sqlite3", set[int]()
    connect = sqlite3.connect

    def look(*args: Any, **kwargs: Any) -> Any:
        seen.add(stat.S_IMODE(file.stat().st_mode))
        return connect(*args, **kwargs)

    monkeypatch.setattr(sqlite3, "connect", look)
    recording(file)
    assert seen == {0o600}


def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "s2.sqlite3"
    file.touch()
    file.chmod(0o640)
    recorder = Recorder(str(file), print)
    assert recorder.flush(10)
    modes = {stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()}
    recorder.close()
    assert modes == {0o640}


def test_a_link_to_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "s2.sqlite3").symlink_to(tmp_path / "real.sqlite3")
    recording(tmp_path / "s2.sqlite3")
    assert stat.S_IMODE((tmp_path / "real.sqlite3").stat().st_mode) == 0o600


def test_a_file_whose_beginning_was_cut_off_becomes_a_recording(tmp_path: Path) -> None:
    file = tmp_path / "s2.sqlite3"
    fill(file, "pragma user_version = 1")
    code = """if True:
        import os, sqlite3
        connection = sqlite3.connect("s2.sqlite3", isolation_level=None)
        connection.execute("pragma cache_size = 1")
        connection.execute("begin immediate")
        connection.execute("create table sessions (id)")
        connection.executemany("insert into sessions values (?)", [["x" * 4000]] * 100)
        os._exit(0)  # as in a power cut
    """
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "s2.sqlite3-journal").exists()
    assert [session["id"] for session in History(str(recording(file))).sessions()] == ["s1"]


def test_many_recorders_that_begin_one_file_at_once(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from s2_mitm.history.recorder import Recorder
        print("ready", flush=True)
        sys.stdin.readline()
        Recorder("s2.sqlite3", print).close()
    """
    ended = run_together(code, [[]] * 6, ENV, tmp_path)
    assert [status for status, _ in ended] == [0] * 6


def test_a_database_that_someone_keeps_locked(tmp_path: Path) -> None:
    file = recording(tmp_path / "s2.sqlite3")
    owner = sqlite3.connect(file, isolation_level=None)
    owner.execute("pragma locking_mode = exclusive")
    owner.execute("begin exclusive")
    assert "another program has locked it" in complaint_of(file)
    assert "another program has locked it" in refusal_to_read(file)
    owner.close()


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        (":memory:", "names no file"),
    ],
)
def test_what_names_no_file(target: str, reason: str) -> None:
    assert reason in refusal_to_record(target)
    assert reason in refusal_to_read(target)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("mysql://me:secret@lab/s2", "mysql:// is neither SQLite nor PostgreSQL"),
        ("postgresql://me:secret@lab:port/s2", "no database URL"),
        ("postgresql://me:top@secret@lab/s2", "written %40"),
    ],
)
def test_a_url_of_nothing_that_we_know_is_refused_without_its_password(
    target: str, reason: str
) -> None:
    with pytest.raises(RecordingError, match=reason) as refused:
        database_of(target)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["x" * 300, "nul\0nul"])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    refusal_to_record(tmp_path / name)
    refusal_to_read(tmp_path / name)


def test_what_is_no_regular_file() -> None:
    assert "it is no regular file" in refusal_to_record("/dev/null")
    assert "it is no regular file" in refusal_to_read("/dev/null")


def test_a_url_and_a_path_name_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    file.touch()
    assert {database_of(target).name for target in (f"sqlite:///{file}", str(file))} == {str(file)}
    assert database_of("~/a.db").name == str(Path.home() / "a.db")
