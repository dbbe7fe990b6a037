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
"""How large the log beside the file stays at most when it has been written into the file."""
_PASSING = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN}
"""What a disk, or one on the network, says when it is out of order for a while."""
PAGES_AT_ONCE = 250
"""How many free pages are given back to the disk at once, so that nobody waits for it."""
REST_SECONDS = 1.0
"""How long a file that came here must not have been written before it is gone on with."""

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
                    # Where several begin the same file, SQLite refuses the switch to WAL without
                    # waiting.
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
        # One by one: SQLite frees a page with each row that is asked for, and not every Python's
        # sqlite3 asks for rows that have no columns, as these.
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
        """Raise where the beginning of the file says that it is none.

        SQLite reads it, and without locks: to open and close the file past SQLite would take away
        the locks that other connections of this process have on it.
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
            # Nothing was read yet: a file that came here meanwhile is not touched.
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
        """Make the file where there is none, for its owner alone; whether it was made."""
        file = Path(os.path.realpath(self.file))
        # Looked at before the file is: another recorder may be making both.
        log = _size(log_of(file))
        if log and not _size(file):
            aside = put_aside(log_of(file))
            _log.warning(
                "%s was moved away after a proxy had been killed; what was written to it last is"
                " now in %s: it belongs beside that file, under its name with -wal.",
                *(self.file, aside),
            )
        try:
            # SQLite gives what it lays beside it the same mode.
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
        """Raise where the log beside the file is not its own; SQLite would write it into it."""
        file = Path(os.path.realpath(self.file))
        counts = counts_without_log(file)
        if counts and _size(log_of(file)) and not belongs(log_of(file), counts[0]):
            raise UnfitError(f"{log_of(file)} is not of this file: move it away")

    def _expect_rest(self) -> None:
        """Raise while the file may still be being copied here; nobody copies one with a log."""
        age = time.time() - self.file.stat().st_mtime
        if abs(age) < REST_SECONDS and not _size(log_of(Path(os.path.realpath(self.file)))):
            raise BlockingIOError("another program seems to be writing it")

    def _look_first(self, thoroughly: bool) -> None:
        """Raise unless the file is a recording, or a database with nothing in it yet.

        Through connections that cannot write: even opening and closing a foreign database could
        otherwise move its log into it.
        """
        # Without the log at first, which may be that of a recording that stood here before. What
        # cannot be read without it is no database of something else.
        with suppress(DBAPIError), self._reading("immutable=1") as connection:
            schema.expect_no_strangers(connection)
        self._expect_its_own_log()
        if thoroughly:
            self._expect_rest()
        if not self.file.stat().st_size:
            return
        try:
            self._expect_ours_or_nothing("mode=ro", thoroughly)
        except DBAPIError as error:
            # One whose beginning was cut off, by a power cut, is first to be rolled back, and that
            # is to write.
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
            # Even to read, SQLite wants to write beside a file that is in WAL mode. Where it may
            # not, and no writer is or left anything there, the file alone is the whole recording.
            if not _is_forbidden(str(error.orig)) or log_of(self.file).exists():
                raise
            engine = self._connecting("immutable=1", NullPool)
            with engine.connect() as connection:
                schema.revision(connection)
        return engine

    def _connecting(self, options: str, pool: type[Pool], **more: Any) -> Engine:
        # SQLAlchemy knows only how to connect: a file's name would need quoting to be in a URL.
        uri = uri_of(self.file, options)
        return create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(uri, uri=True, timeout=self.patience, **more),
            poolclass=pool,
        )


def _may_write(path: Path) -> bool:
    """Whether there is the right to write a file, or to make one in a folder.

    A disk that can only be read is no question of rights: it may be one that has just failed.
    """
    effective = os.access in os.supports_effective_ids
    mode = os.W_OK | (os.X_OK if path.is_dir() else os.R_OK)
    if os.access(path, mode, effective_ids=effective):
        return True
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def _set_up(connection: sqlite3.Connection) -> None:
    # sqlite3 would begin transactions when it sees fit; ours begin where we say (_begin).
    connection.isolation_level = None
    # So that what is deleted can be given back to the disk. To be said before anything else is.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # Readers and the writer do not wait for each other; a power cut may cost the last moments,
    # never the file.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    # What a long reader or an outage made of the log is given back once it is over.
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")


def _begin(connection: Connection) -> None:
    # To take the lock at once: one taken halfway is refused without waiting for it.
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
