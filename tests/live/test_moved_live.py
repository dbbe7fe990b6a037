"""The file that a proxy writes is moved, replaced or overwritten while messages flow."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from peers import Peer, PeerServer, new_path
from proxies import Proxy, running, until
from recordings import Recording
from test_outages_live import conversation, hear_more

FOREIGN_ROWS = 20_000


def begin(proxy: Proxy, path: str, *peers: Peer) -> Path:
    """Let some of it be recorded; the file."""
    until(lambda: proxy.recording.said(path, "RM"), "the first messages are recorded")
    hear_more(*peers)
    return proxy.recording.file


def foreign(file: Path) -> bytes:
    """A database of somebody else; what is in it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("create table notes (text)")
        notes = [(f"note {number}",) for number in range(FOREIGN_ROWS)]
        connection.executemany("insert into notes values (?)", notes)
        connection.commit()
    return file.read_bytes()


def backup(file: Path) -> Path:
    copy = file.with_name("backup")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def numbers(file: Path) -> list[int]:
    """The numbers of the messages in a file that is whole."""
    recording = Recording(file)
    assert recording.rows("pragma integrity_check") == [{"integrity_check": "ok"}]
    assert len(recording.rows("select * from sessions")) == 1
    return [row["seq"] for row in recording.rows("select seq from messages order by seq")]


def assert_goes_on(seqs: list[int], rm: Peer, cem: Peer) -> None:
    """These are the last messages of the conversation, and none is missing among them."""
    last = len(rm.sent) + len(cem.sent)
    assert seqs == list(range(last - len(seqs) + 1, last + 1))
    assert seqs


def test_a_file_that_is_moved_away(server: PeerServer, tmp_path: Path) -> None:
    """The README's promise: "a file that was moved has all that was recorded"."""
    path = new_path()
    with running(tmp_path, server.port) as proxy, conversation(server, proxy, path) as (rm, cem):
        file = begin(proxy, path, rm, cem)
        moved = file.rename(file.with_name("moved"))
        until(lambda: "was moved away, with all that was recorded" in proxy.output, "it says so")
        hear_more(rm, cem)
    first, then = numbers(moved), numbers(file)
    assert first + then == list(range(1, len(rm.sent) + len(cem.sent) + 1))
    assert_goes_on(then, rm, cem)
    assert not list(tmp_path.glob("*-wal*"))
    assert "cannot be written" not in proxy.output


def test_a_database_of_something_else_that_is_put_in_its_place(
    server: PeerServer, tmp_path: Path
) -> None:
    """The README's promise: "the database of another program is never written to"."""
    path, other = new_path(), tmp_path / "other.db"
    content = foreign(other)
    with running(tmp_path, server.port) as proxy, conversation(server, proxy, path) as (rm, cem):
        file = begin(proxy, path, rm, cem)
        moved = file.rename(file.with_name("moved"))
        other.rename(file)
        until(lambda: "(it is a database of something else" in proxy.output, "it says so")
        hear_more(rm, cem)
        assert file.read_bytes() == content
        file.rename(other)
        until(lambda: "is written again; nothing else was lost" in proxy.output, "it goes on")
        hear_more(rm, cem)
    assert other.read_bytes() == content
    first, then = numbers(moved), numbers(file)
    assert first + then == list(range(1, len(rm.sent) + len(cem.sent) + 1))


@pytest.mark.parametrize("how", ["mv", "cp"])
def test_a_backup_that_is_restored(server: PeerServer, tmp_path: Path, how: str) -> None:
    """The README's promise: "A backup that is put in its place is gone on with"."""
    path = new_path()
    with running(tmp_path, server.port) as proxy, conversation(server, proxy, path) as (rm, cem):
        file = begin(proxy, path, rm, cem)
        copy = backup(file)
        in_backup = numbers(copy)
        hear_more(rm, cem)
        # As after some minutes of a conversation: the newest is in the file itself, too.
        with closing(sqlite3.connect(file)) as other:
            other.execute("pragma wal_checkpoint")
        subprocess.run([how, copy, file], check=True)
        until(lambda: "and what it held is gone" in proxy.output, "it says so")
        hear_more(rm, cem)
    seqs = numbers(file)
    assert seqs[: len(in_backup)] == in_backup
    assert_goes_on(seqs[len(in_backup) :], rm, cem)
