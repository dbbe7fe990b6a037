"""Whether the file that is written is still the one that has its name, and what becomes of its log.

SQLite writes to a log beside the file first, and finds it by its name: ``s2.sqlite3-wal``, with an
index in ``s2.sqlite3-shm``. A file that is moved leaves them behind, and SQLite would take them for
those of the file that gets the name next, and destroy it. So the watch keeps one connection open:
through it the log can still be written into its own file, wherever that is now.

A file that is overwritten in place is still the same file to the system. To notice that, each
transaction increases a number in the first page of the file (`count_up`). The number in the file
without its log never decreases, and is never greater than the number with the log.
"""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from s2_mitm.history.database import Change, Watch
from s2_mitm.history.sqlite_log import log_of

Identity = tuple[int, int]
"""A file's device and inode."""
Counts = tuple[int, int]
"""The number that `count_up` increases, and how often the tables were changed."""

_LARGEST = 2**31 - 1
"""The largest number that there is room for in a file's first page."""


MOVED = Change("was moved away, with all that was recorded", is_elsewhere=True)
DELETED = Change(
    "was deleted or replaced, and what it held is gone", is_elsewhere=True, has_lost_its_log=True
)
OVERWRITTEN = Change(
    "was overwritten by another program, and what it held is gone",
    is_elsewhere=True,
    has_lost_its_log=True,
)
SET_BACK = Change("was set back to what it was before, and what was recorded since is gone")
ROBBED = Change("had lost its -wal or its -shm, and is whole again")


class SqliteWatch(Watch):
    """Watches the file ``name``, which ``connection`` has open and whose identity is ``identity``.

    From now on only the watch uses the connection. ``patience`` is how long, in seconds, an attempt
    to write the log into the file waits for other programs.
    """

    def __init__(
        self, name: Path, connection: sqlite3.Connection, identity: Identity, patience: float
    ) -> None:
        self._name = name
        self._connection: sqlite3.Connection | None = connection
        self._identity = identity
        self._patience = patience
        # They are beside the file itself, not beside a link to it.
        self._file = Path(os.path.realpath(name))
        self._log, self._index = log_of(self._file), Path(f"{self._file}-shm")
        self._beside = {side: identity_of(side) for side in (self._log, self._index)}
        self._change: Change | None = None
        self.checkpoint()
        self._stamp = _stamp(self._file)
        self._without_log = counts_without_log(self._file) or (0, 0)
        self._counts = _counts(connection)

    def change(self) -> Change | None:
        if self._connection and not self._change:
            self._change = self._look(self._connection)
        return self._change

    def checkpoint(self) -> bool:
        return self._connection is not None and _checkpoint(self._connection, "TRUNCATE")

    def leave(self) -> None:
        change = self.change()
        if (connection := self._connection) is None:
            return
        if change is MOVED:
            self._put_aside_the_log()
            self._write_log_into_file(connection, "TRUNCATE")
        elif change is OVERWRITTEN:
            self._empty_the_log()
        elif change in (SET_BACK, ROBBED):
            # Not emptied: others may have opened it with what is beside it now.
            self._write_log_into_file(connection, "FULL")
        if change and change.is_elsewhere:
            self._remove(*self._beside)
        self._close(connection)
        self._connection = None

    def _look(self, connection: sqlite3.Connection) -> Change | None:
        if identity_of(self._name) != self._identity:
            return DELETED if _is_deleted(self._identity) else MOVED
        if any(identity_of(side) != identity for side, identity in self._beside.items()):
            return ROBBED
        stamp = _stamp(self._file)
        if stamp != self._stamp:
            if not self._is_the_same(connection):
                return OVERWRITTEN
            self._stamp = stamp
        counts = _counts(connection)
        if not _at_most(self._counts, counts):
            return SET_BACK
        self._counts = counts
        return None

    def _is_the_same(self, connection: sqlite3.Connection) -> bool:
        """Whether the numbers in the file, without its log, can be ours."""
        counts = counts_without_log(self._file)
        if counts is None or not _at_most(self._without_log, counts):
            return False
        self._without_log = counts
        return _at_most(counts, _counts(connection))

    def _write_log_into_file(self, connection: sqlite3.Connection, how: str) -> None:
        """Write the log into its file; raise sqlite3.OperationalError where others prevent it."""
        if not _checkpoint(connection, how, self._patience):
            raise sqlite3.OperationalError("database is locked")

    def _put_aside_the_log(self) -> None:
        """Rename the log, so that it is not taken for that of the next file with this name."""
        self._remove(self._index)
        identity = self._beside.get(self._log)
        if identity and identity_of(self._log) == identity:
            self._beside[put_aside(self._log)] = identity

    def _remove(self, *beside: Path) -> None:
        """Delete these names where they are still those of the log and the index of the file."""
        for side in beside:
            identity = self._beside.get(side)
            if identity and identity_of(side) == identity:
                side.unlink()

    def _empty_the_log(self) -> None:
        """Empty the log, so that SQLite cannot write it into the file, not even on closing."""
        identity = self._beside[self._log]
        if identity and (descriptor := _descriptor(identity)):
            os.ftruncate(descriptor, 0)
        elif identity_of(self._log) == identity:
            os.truncate(self._log, 0)

    def _close(self, connection: sqlite3.Connection) -> None:
        """Close it, and keep the logs of other files: SQLite would delete them by their names."""
        others = [
            (side, put_aside(side))
            for side in (self._log, self._index)
            if identity_of(side) not in (None, self._beside.get(side))
        ]
        connection.close()
        for side, aside in others:
            if not side.exists():
                aside.rename(side)


def put_aside(file: Path) -> Path:
    """Rename ``file``, within its folder, so that SQLite does not find it; returns the new name."""
    for number in range(1, 10_000):
        aside = Path(f"{file}.{number}")
        if not aside.exists():
            file.rename(aside)
            return aside
    raise FileExistsError(f"there are too many files {file}.*")


def uri_of(file: Path, more: str) -> str:
    """The URI by which SQLite opens ``file``, with the options ``more``."""
    return f"file:{quote(os.fsencode(file.absolute()))}?{more}"


def identity_of(file: Path) -> Identity | None:
    """The device and inode of ``file``, links followed; None where there is no such file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def count_up(connection: sqlite3.Connection) -> None:
    """Increase the number in the first page, in the transaction that has begun."""
    count, _ = _counts(connection)
    # Each recording begins at a random number, so that one is not taken for another.
    count = count + 1 if 0 < count < _LARGEST else random.randrange(1, _LARGEST // 2)
    connection.execute(f"PRAGMA user_version = {count}")


def counts_without_log(file: Path) -> Counts | None:
    """The numbers in the file without its log; None where it is no database."""
    # SQLite reads them. Opened and closed otherwise, the file would lose the locks of this process.
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(uri_of(file, "immutable=1"), uri=True)) as connection,
    ):
        # This works even where a part of the file is still in the log.
        connection.execute("PRAGMA writable_schema = ON")
        return _counts(connection)
    return None


def _counts(connection: sqlite3.Connection) -> Counts:
    [count] = connection.execute("PRAGMA user_version").fetchone()
    [tables] = connection.execute("PRAGMA schema_version").fetchone()
    return count, tables


def _at_most(lower: Counts, upper: Counts) -> bool:
    return all(low <= high for low, high in zip(lower, upper, strict=True))


def _checkpoint(connection: sqlite3.Connection, how: str, patience: float = 0.0) -> bool:
    """Write all of the log into the file; False where another program prevents it."""
    [before] = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
    try:
        [busy, _, _] = connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")
    return not busy


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes when a file is written: its size, and the time of its last change."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _is_deleted(identity: Identity) -> bool:
    """Whether the open file was deleted: it has no name any more."""
    descriptor = _descriptor(identity)
    return descriptor is not None and os.fstat(descriptor).st_nlink == 0


def _descriptor(identity: Identity) -> int | None:
    """The descriptor by which SQLite has the file open, where the system lists descriptors."""
    with suppress(OSError):
        for descriptor in map(int, os.listdir("/dev/fd")):
            with suppress(OSError):
                status = os.fstat(descriptor)
                if (status.st_dev, status.st_ino) == identity:
                    return descriptor
    return None
