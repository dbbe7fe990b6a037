"""A recording in a file of SQLite."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, Pool, QueuePool

from s2_mitm.history import schema
from s2_mitm.history.database import Database, UnfitError, message_of
from s2_mitm.history.sqlite_log import belongs, log_of
from s2_mitm.history.sqlite_watch import (
    SqliteWatch,
    count_up,
    counts_without_log,
    identity_of,
    put_aside,
    uri_of,
)

LOG_BYTES = 16 * 1024 * 1024
"""How large the log beside the file may stay when it has been written into the file."""
_PASSING = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN}
"""Errors of a disk, or of one on the network, that may pass by themselves."""
PAGES_AT_ONCE = 250
"""How many free pages are given back to the disk at once, so that it never takes long."""
REST_SECONDS = 1.0
"""How long a file that came here must have been left alone before the recording goes on in it."""

_IDENTITY = "identity"
_log = logging.getLogger(__name__)


class SqliteFile(Database):
    """The recording in a file; ``name`` is its path, as it was typed."""

    patience = 2.0
    _WRONG = (DBAPIError, sqlite3.Error, OSError, ValueError, UnfitError)

    def __init__(self, name: str) -> None:
        self.file = Path(os.path.expanduser(name))
        self.name = str(self.file)

    def absolute(self) -> SqliteFile:
        return SqliteFile(str(self.file.absolute()))

    def open_for_writing(self, *, thoroughly: bool = False) -> Engine:
        deadline = time.monotonic() + self.patience
        while True:
            with self.writing():
                try:
                    return self._writable(thoroughly)
                except DBAPIError as error:
                    # SQLite does not wait for others that switch the same new file to WAL mode.
                    if "locked" not in str(error) or time.monotonic() > deadline:
                        raise
            time.sleep(0.02)

    def open_for_reading(self) -> Engine:
        with self.reading():
            return self._readable()

    def is_lasting(self, error: Exception) -> bool:
        return isinstance(error, UnfitError)

    def is_to_blame(self, error: Exception) -> bool:
        return isinstance(error, OperationalError | InternalError) or type(error) is DatabaseError

    def reason(self, error: Exception) -> str:
        text = message_of(error)
        if "not a database" in text:
            return "it is not an SQLite database"
        if "locked" in text:
            return "another program has locked it"
        if _is_forbidden(text) or isinstance(error, PermissionError):
            return f"there is no permission for it or for its folder {self.file.parent.absolute()}"
        return text

    def used(self, connection: Connection, *, exactly: bool = False) -> int:
        """The pages in use; it is always exact."""
        size, pages, free = (
            _pragma(connection, name) for name in ("page_size", "page_count", "freelist_count")
        )
        return size * (pages - free)

    def give_back(self, connection: Connection) -> bool:
        before = _pragma(connection, "freelist_count")
        if not before:
            return False
        # Page by page: the pragma frees one page a row that is fetched, and its rows have no
        # columns, which not every version of sqlite3 fetches.
        cursor = connection.connection.cursor()
        for _ in range(min(before, PAGES_AT_ONCE)):
            cursor.execute("PRAGMA incremental_vacuum(1)")
        cursor.close()
        return 0 < _pragma(connection, "freelist_count") < before

    def watch(self, engine: Engine) -> SqliteWatch:
        with self.writing():
            opened = engine.raw_connection()
            connection, identity = opened.driver_connection, opened.info[_IDENTITY]
            opened.detach()
            assert isinstance(connection, sqlite3.Connection)
            return SqliteWatch(self.file, connection, identity, self.patience)

    def _look(self) -> None:
        try:
            self._expect_a_folder()
            size = 0
            with suppress(FileNotFoundError):
                size = self.file.stat().st_size
                self._expect_a_file()
            self._expect_rights()
        except OSError as error:
            if error.errno in _PASSING:
                return
            raise
        if size:
            self._expect_a_database()

    def _expect_a_folder(self) -> None:
        if not self.file.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {self.file.parent}")

    def _expect_rights(self) -> None:
        for end in ("", "-wal", "-shm"):
            path = self.file.with_name(self.file.name + end)
            if not _may_write(path if path.exists() else path.parent):
                raise PermissionError

    def _expect_a_database(self) -> None:
        """Raise sqlite3.Error where the file does not begin as a database of SQLite.

        SQLite reads it, without locks. Opened and closed otherwise, the file would lose the locks
        that other connections of this process have on it: POSIX releases them all.
        """
        uri = uri_of(self.file, "immutable=1")
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            try:
                connection.execute("PRAGMA schema_version")
            except sqlite3.Error as error:
                if "not a database" in str(error):
                    raise

    def _writable(self, thoroughly: bool) -> Engine:
        self._expect_a_folder()
        is_new = self._make()
        self._expect_a_file()
        identity = identity_of(self.file)
        if not is_new:
            self._look_first(thoroughly)
        engine = self._connecting("mode=rw", QueuePool, check_same_thread=False)

        @event.listens_for(engine, "connect")
        def set_up(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
            # Nothing was read yet: another file that has its name now stays unchanged.
            if identity_of(self.file) != identity:
                connection.close()
                raise sqlite3.OperationalError("it was moved or replaced just now")
            record.info[_IDENTITY] = identity
            _set_up(connection)

        event.listen(engine, "begin", _begin)
        try:
            with engine.begin() as connection:
                schema.prepare(connection)
        except BaseException:
            engine.dispose()
            raise
        return engine

    def _make(self) -> bool:
        """Make the file if there is none, readable by its owner alone; returns whether it did."""
        file = Path(os.path.realpath(self.file))
        # Its size is read before that of the file: another recorder may be making both.
        log = _size(log_of(file))
        if log and not _size(file):
            aside = put_aside(log_of(file))
            _log.warning(
                "%s was moved away after a proxy had been killed; what was written to it last is"
                " now in %s: it belongs beside that file, under its name with -wal.",
                *(self.file, aside),
            )
        try:
            # SQLite gives its log and its index the same mode.
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return False
        return True

    def _expect_a_file(self) -> None:
        if self.file.is_dir():
            raise UnfitError("it is a folder")
        if not self.file.is_file():
            raise UnfitError("it is no regular file")

    def _expect_its_own_log(self) -> None:
        """Raise where the log beside the file belongs to another; SQLite would write it into it."""
        file = Path(os.path.realpath(self.file))
        counts = counts_without_log(file)
        if counts and _size(log_of(file)) and not belongs(log_of(file), counts[0]):
            raise UnfitError(f"{log_of(file)} is not of this file: move it away")

    def _expect_rest(self) -> None:
        """Raise where the file may still be copied here. A file with a log is not being copied."""
        age = time.time() - self.file.stat().st_mtime
        if abs(age) < REST_SECONDS and not _size(log_of(Path(os.path.realpath(self.file)))):
            raise BlockingIOError("another program seems to be writing it")

    def _look_first(self, thoroughly: bool) -> None:
        """Raise unless the file is a recording, or a database without tables.

        Its connections cannot write: otherwise even to open and close the database of another
        program could write its log into it.
        """
        # First without the log, which may be that of a recording that had this name before. A file
        # that cannot be read without its log is not the database of another program.
        with suppress(DBAPIError), self._reading("immutable=1") as connection:
            schema.expect_ours_or_none(connection)
        self._expect_its_own_log()
        if thoroughly:
            self._expect_rest()
        if not self.file.stat().st_size:
            return
        try:
            self._expect_ours_or_nothing("mode=ro", thoroughly)
        except DBAPIError as error:
            # After a power cut while it was being made, it must be rolled back first, which a
            # connection that cannot write cannot do.
            if not (_is_forbidden(str(error.orig)) and Path(f"{self.file}-journal").exists()):
                raise
            self._expect_ours_or_nothing("immutable=1", thoroughly)

    def _expect_ours_or_nothing(self, options: str, thoroughly: bool) -> None:
        with self._reading(options) as connection:
            if inspect(connection).get_table_names():
                schema.revision(connection)
            if thoroughly:
                said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
                if said != "ok":
                    raise UnfitError(f"it is damaged ({said})")

    @contextmanager
    def _reading(self, options: str) -> Iterator[Connection]:
        engine = self._connecting(options, NullPool)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def _readable(self) -> Engine:
        if not self.file.exists():
            raise UnfitError("there is no such file")
        self._expect_a_file()
        engine = self._connecting("mode=ro", NullPool)
        try:
            with engine.connect() as connection:
                schema.revision(connection)
        except DBAPIError as error:
            # To read a file in WAL mode, SQLite must write beside it. Where it may not, and there
            # is no log, the file alone is the whole recording.
            if not _is_forbidden(str(error.orig)) or log_of(self.file).exists():
                raise
            engine = self._connecting("immutable=1", NullPool)
            with engine.connect() as connection:
                schema.revision(connection)
        return engine

    def _connecting(self, options: str, pool: type[Pool], **more: Any) -> Engine:
        # Not a URL with the file's name, which would have to be quoted.
        uri = uri_of(self.file, options)
        return create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(uri, uri=True, timeout=self.patience, **more),
            poolclass=pool,
        )


def _may_write(path: Path) -> bool:
    """Whether we have the right to write a file, or to make one in a folder.

    On a disk that is mounted read-only the answer is yes: the disk may have failed for a while.
    """
    effective = os.access in os.supports_effective_ids
    mode = os.W_OK | (os.X_OK if path.is_dir() else os.R_OK)
    if os.access(path, mode, effective_ids=effective):
        return True
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def _set_up(connection: sqlite3.Connection) -> None:
    # sqlite3 would begin transactions by itself; ours are begun by _begin.
    connection.isolation_level = None
    # So that free pages can be given back to the disk. It must come before anything is written.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # Readers and the writer do not wait for each other; a power cut may lose the last transactions,
    # but never damages the file.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    # A log that has become long, because of a slow reader or an outage, is cut afterwards.
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")


def _begin(connection: Connection) -> None:
    # IMMEDIATE takes the lock to write now. Where a transaction takes it later, SQLite may refuse
    # it without waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    dbapi_connection = connection.connection.driver_connection
    assert isinstance(dbapi_connection, sqlite3.Connection)
    count_up(dbapi_connection)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _is_forbidden(text: str) -> bool:
    return "readonly" in text or "unable to open" in text
