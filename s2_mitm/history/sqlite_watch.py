"""Whether the file that is written is still what stands under its name, and the way of its log.

What was written last stands in a log beside a file of SQLite, which is found by its name alone:
``s2.sqlite3-wal``, with an index to it in ``s2.sqlite3-shm``. A file that is moved leaves them
behind, and whatever comes to stand under the name next takes them for its own and is destroyed by
them. So one connection stays open: through it the log finds the file wherever that is.

A file that is overwritten in place is still the same to the system. To notice it, each transaction
counts up a number in the file's first page (`count_up`). What the file says without its log is then
never less than it was, and never more than what it says with it.
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
"""How often a file was written, and how often its tables were changed."""

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
    """Watches the file called ``name``, which ``connection`` has open and which is ``identity``.

    The connection is the watch's own from now on. Where another program is in the way of the log,
    it is waited for, ``patience`` seconds at a time.
    """

    def __init__(
        self, name: Path, connection: sqlite3.Connection, identity: Identity, patience: float
    ) -> None:
        self._name = name
        self._connection: sqlite3.Connection | None = connection
        self._identity = identity
        self._patience = patience
        # They stand beside the file itself, wherever a link to it is.
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
        return self._connection is not None and _bring_home(self._connection, "TRUNCATE")

    def leave(self) -> None:
        change = self.change()
        if (connection := self._connection) is None:
            return
        if change is MOVED:
            self._put_aside_the_log()
            self._see_home(connection, "TRUNCATE")
        elif change is OVERWRITTEN:
            self._empty_the_log()
        elif change in (SET_BACK, ROBBED):
            # Not emptied: others may have opened it with what is beside it now.
            self._see_home(connection, "FULL")
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
        if not _is_upto(self._counts, counts):
            return SET_BACK
        self._counts = counts
        return None

    def _is_the_same(self, connection: sqlite3.Connection) -> bool:
        """Whether what the file says without its log is what was written to it."""
        counts = counts_without_log(self._file)
        if counts is None or not _is_upto(self._without_log, counts):
            return False
        self._without_log = counts
        return _is_upto(counts, _counts(connection))

    def _see_home(self, connection: sqlite3.Connection, how: str) -> None:
        """Bring the log into its file; raise sqlite3.OperationalError while that cannot be."""
        if not _bring_home(connection, how, self._patience):
            raise sqlite3.OperationalError("database is locked")

    def _put_aside_the_log(self) -> None:
        """See that nothing which comes under the name takes the log for its own."""
        self._remove(self._index)
        identity = self._beside.get(self._log)
        if identity and identity_of(self._log) == identity:
            self._beside[put_aside(self._log)] = identity

    def _remove(self, *beside: Path) -> None:
        """Take away the names of these, where they are the file's; it has them open."""
        for side in beside:
            identity = self._beside.get(side)
            if identity and identity_of(side) == identity:
                side.unlink()

    def _empty_the_log(self) -> None:
        """See that nothing of the log gets into the file, not even when it is closed."""
        identity = self._beside[self._log]
        if identity and (descriptor := _descriptor(identity)):
            os.ftruncate(descriptor, 0)
        elif identity_of(self._log) == identity:
            os.truncate(self._log, 0)

    def _close(self, connection: sqlite3.Connection) -> None:
        """Close it, and keep what others laid beside the file: SQLite would delete it by name."""
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
    """Give ``file`` a name by which nobody looks for it, in the same folder; that name."""
    for number in range(1, 10_000):
        aside = Path(f"{file}.{number}")
        if not aside.exists():
            file.rename(aside)
            return aside
    raise FileExistsError(f"there are too many files {file}.*")


def uri_of(file: Path, more: str) -> str:
    """What SQLite opens ``file`` by, with the options ``more``."""
    return f"file:{quote(os.fsencode(file.absolute()))}?{more}"


def identity_of(file: Path) -> Identity | None:
    """The device and inode of ``file``, or of what a link leads to; None where it is gone."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def count_up(connection: sqlite3.Connection) -> None:
    """Count the transaction that has begun in ``connection``."""
    count, _ = _counts(connection)
    # Two recordings do not count alike, for each begins somewhere.
    count = count + 1 if 0 < count < _LARGEST else random.randrange(1, _LARGEST // 2)
    connection.execute(f"PRAGMA user_version = {count}")


def counts_without_log(file: Path) -> Counts | None:
    """What the file says by itself; None where it is no database."""
    # By SQLite: where another opens and closes the file, the locks of this process are gone.
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(uri_of(file, "immutable=1"), uri=True)) as connection,
    ):
        # Of a file whose end is still in the log, too.
        connection.execute("PRAGMA writable_schema = ON")
        return _counts(connection)
    return None


def _counts(connection: sqlite3.Connection) -> Counts:
    [count] = connection.execute("PRAGMA user_version").fetchone()
    [tables] = connection.execute("PRAGMA schema_version").fetchone()
    return count, tables


def _is_upto(lower: Counts, upper: Counts) -> bool:
    return all(low <= high for low, high in zip(lower, upper, strict=True))


def _bring_home(connection: sqlite3.Connection, how: str, patience: float = 0.0) -> bool:
    """Bring all that is in the log into the file; False where another program is in the way."""
    connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
    [busy, _, _] = connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
    return not busy


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes with a file's content: its size and when it was changed."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _is_deleted(identity: Identity) -> bool:
    """Whether the open file has no name any more."""
    descriptor = _descriptor(identity)
    return descriptor is not None and os.fstat(descriptor).st_nlink == 0


def _descriptor(identity: Identity) -> int | None:
    """The descriptor by which SQLite has the file open, where the system tells."""
    with suppress(OSError):
        for descriptor in map(int, os.listdir("/dev/fd")):
            with suppress(OSError):
                status = os.fstat(descriptor)
                if (status.st_dev, status.st_ino) == identity:
                    return descriptor
    return None
