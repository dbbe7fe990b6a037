"""A recording in a file of SQLite."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError
from sqlalchemy.pool import NullPool, Pool, QueuePool

from s2_mitm.history import schema
from s2_mitm.history.place import Place, UnfitError, message_of

LOG_BYTES = 16 * 1024 * 1024
"""How large the log beside the file stays at most when it has been written into the file."""
PAGES_AT_ONCE = 250
"""How many free pages are given back to the disk at once, so that nobody waits for it."""


class SqliteFile(Place):
    """The recording in a file; ``name`` is its path, as it was typed."""

    patience = 2.0
    _WRONG = (DBAPIError, sqlite3.Error, OSError, ValueError, UnfitError)

    def __init__(self, name: str) -> None:
        self.file = Path(os.path.expanduser(name))
        self.name = str(self.file)

    def absolute(self) -> SqliteFile:
        return SqliteFile(str(self.file.absolute()))

    def identity(self) -> tuple[int, int] | None:
        """Its device and inode; None where it is gone."""
        try:
            status = self.file.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def open_for_writing(self) -> Engine:
        deadline = time.monotonic() + self.patience
        while True:
            with self.writing():
                try:
                    return self._writable()
                except DBAPIError as error:
                    # Where several begin the same file, SQLite refuses the switch to WAL without
                    # waiting.
                    if "locked" not in str(error) or time.monotonic() > deadline:
                        raise
            time.sleep(0.02)

    def open_for_reading(self) -> Engine:
        with self.reading():
            return self._readable()

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

    def _writable(self) -> Engine:
        if not self.file.parent.is_dir():
            raise UnfitError(f"there is no folder {self.file.parent}")
        if self.file.exists():
            self._expect_a_file()
            if self.file.stat().st_size:
                self._look_first()
        engine = _engine(
            lambda: sqlite3.connect(self.file, timeout=self.patience, check_same_thread=False),
            QueuePool,
        )
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        try:
            with engine.begin() as connection:
                schema.prepare(connection)
        except BaseException:
            engine.dispose()
            raise
        return engine

    def _expect_a_file(self) -> None:
        if self.file.is_dir():
            raise UnfitError("it is a folder")
        if not self.file.is_file():
            raise UnfitError("it is no regular file")

    def _look_first(self) -> None:
        """Raise unless the file is a recording, or a database with nothing in it yet.

        Through a connection that cannot write: even opening and closing a foreign database could
        otherwise move its log into it.
        """
        engine = self._read_only()
        try:
            with engine.connect() as connection:
                if inspect(connection).get_table_names():
                    schema.revision(connection)
        finally:
            engine.dispose()

    def _readable(self) -> Engine:
        if not self.file.exists():
            raise UnfitError("there is no such file")
        self._expect_a_file()
        engine = self._read_only()
        try:
            with engine.connect() as connection:
                schema.revision(connection)
        except DBAPIError as error:
            # Even to read, SQLite wants to write beside a file that is in WAL mode. Where it may
            # not, and no writer is or left anything there, the file alone is the whole recording.
            if not _is_forbidden(str(error.orig)) or Path(f"{self.file}-wal").exists():
                raise
            engine = self._read_only("immutable=1")
            with engine.connect() as connection:
                schema.revision(connection)
        return engine

    def _read_only(self, more: str = "mode=ro") -> Engine:
        uri = f"file:{quote(str(self.file.absolute()))}?{more}"
        return _engine(lambda: sqlite3.connect(uri, timeout=self.patience, uri=True), NullPool)


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def _engine(connect: Callable[[], sqlite3.Connection], pool: type[Pool]) -> Engine:
    # SQLAlchemy knows only how to connect: a file's name would need quoting to be in a URL.
    return create_engine("sqlite://", creator=connect, poolclass=pool)


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
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


def _is_forbidden(text: str) -> bool:
    return "readonly" in text or "unable to open" in text
