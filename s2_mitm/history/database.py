"""Opening a recording, to write it or to read it, and the sentence that says why it cannot be."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, Pool, QueuePool

from s2_mitm.history.tables import metadata

BUSY_SECONDS = 2.0
"""How long one attempt waits for another program that holds the lock."""

_WRITE_ELSEWHERE = "name another file with --set s2_db=FILE, or record nothing with --set s2_db="
_READ_ANOTHER = "name the recording with --db FILE"
_NAME_A_FILE = "name a file, with --set s2_db=FILE to write it or with --db FILE to read it"


class RecordingError(Exception):
    """A recording that cannot be opened or asked; ``str()`` is one sentence for its user."""


class _UnfitError(Exception):
    """Why a file is no recording and cannot become one."""


_WRONG = (DBAPIError, sqlite3.Error, OSError, ValueError, _UnfitError)
"""What opening or reading a file may raise."""


def file_of(target: str) -> Path:
    """The file that a path or an ``sqlite:///`` URL names.

    Raises RecordingError where it names none.
    """
    name: str | None = target
    shown = target
    if "://" in target:
        try:
            url = make_url(target)
        except (ArgumentError, ValueError):
            # It may hold a password: it is not repeated.
            raise RecordingError(f"that is no database URL; {_NAME_A_FILE}") from None
        shown = url.render_as_string() if url.password else target
        if url.get_backend_name() != "sqlite":
            raise RecordingError(f"{shown} is not SQLite, all that is supported; {_NAME_A_FILE}")
        name = url.database
    if not name or name == ":memory:":
        raise RecordingError(f"'{shown}' names no file; {_NAME_A_FILE}")
    return Path(os.path.expanduser(name))


def open_for_writing(file: Path) -> Engine:
    """Open or make the recording ``file``, with all its tables there.

    Its connections may be used by any one thread at a time. Raises RecordingError where it cannot
    be written; a file that is no recording is then as it was.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return _writable(file)
        except _WRONG as error:
            # Where several begin the same file, SQLite refuses the switch to WAL without waiting.
            if "locked" in str(error) and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            reason = _reason(error, file)
            raise RecordingError(f"cannot record to {file}: {reason}; {_WRITE_ELSEWHERE}") from None


def open_for_reading(file: Path) -> Engine:
    """Open the recording ``file`` so that nothing can be changed in it.

    It may be written by a recorder meanwhile. Raises RecordingError where there is no such file,
    or where it is no recording.
    """
    with asking(file):
        return _readable(file)


@contextmanager
def asking(file: Path) -> Iterator[None]:
    """Turn what goes wrong with reading ``file`` into a RecordingError."""
    try:
        yield
    except _WRONG as error:
        reason = _reason(error, file)
        raise RecordingError(f"cannot read {file}: {reason}; {_READ_ANOTHER}") from None


def _writable(file: Path) -> Engine:
    if not file.parent.is_dir():
        raise _UnfitError(f"there is no folder {file.parent}")
    if file.exists():
        _expect_a_file(file)
        if file.stat().st_size:
            _look_first(file)
    engine = _engine(
        lambda: sqlite3.connect(file, BUSY_SECONDS, check_same_thread=False), QueuePool
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            metadata.create_all(connection)
    except DBAPIError:
        engine.dispose()
        raise
    return engine


def _expect_a_file(file: Path) -> None:
    if file.is_dir():
        raise _UnfitError("it is a folder")
    if not file.is_file():
        raise _UnfitError("it is no regular file")


def _look_first(file: Path) -> None:
    """Raise unless ``file`` is a recording, or a database with nothing in it yet.

    Through a connection that cannot write: even opening and closing a foreign database could
    otherwise move its log into it.
    """
    engine = _read_only(file)
    try:
        with engine.connect() as connection:
            if inspect(connection).get_table_names():
                _expect_our_tables(connection)
    finally:
        engine.dispose()


def _readable(file: Path) -> Engine:
    if not file.exists():
        raise _UnfitError("there is no such file")
    _expect_a_file(file)
    engine = _read_only(file)
    try:
        with engine.connect() as connection:
            _expect_our_tables(connection)
    except DBAPIError as error:
        # Even to read, SQLite wants to write beside a file that is in WAL mode. Where it may not,
        # and no writer is or left anything there, the file alone is the whole recording.
        if not _is_forbidden(str(error.orig)) or Path(f"{file}-wal").exists():
            raise
        engine = _read_only(file, "immutable=1")
        with engine.connect() as connection:
            _expect_our_tables(connection)
    return engine


def _read_only(file: Path, more: str = "mode=ro") -> Engine:
    uri = f"file:{quote(str(file.absolute()))}?{more}"
    return _engine(lambda: sqlite3.connect(uri, BUSY_SECONDS, uri=True), NullPool)


def _engine(connect: Callable[[], sqlite3.Connection], pool: type[Pool]) -> Engine:
    # SQLAlchemy knows only how to connect: a file's name would need quoting to be in a URL.
    return create_engine("sqlite://", creator=connect, poolclass=pool)


def _expect_our_tables(connection: Connection) -> None:
    """Raise _UnfitError unless every table is there with every column."""
    there = inspect(connection)
    names = set(there.get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in names:
            raise _UnfitError(f"it is a database of something else (no table {table.name})")
        columns = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                missing = f"{table.name}.{column.name}"
                raise _UnfitError(f"it is a database of something else (no column {missing})")


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    # sqlite3 would begin transactions when it sees fit; ours begin where we say (_begin).
    connection.isolation_level = None
    # Readers and the writer do not wait for each other; a power cut may cost the last moments,
    # never the file.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin(connection: Connection) -> None:
    # To take the lock at once: one taken halfway is refused without waiting for it.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _reason(error: Exception, file: Path) -> str:
    """What is the matter with ``file``, in words of its user."""
    text = str(error.orig if isinstance(error, DBAPIError) else error)
    if "not a database" in text:
        return "it is not an SQLite database"
    if "locked" in text:
        return "another program has locked it"
    if _is_forbidden(text) or isinstance(error, PermissionError):
        return f"there is no permission for it or for its folder {file.parent.absolute()}"
    return text


def _is_forbidden(text: str) -> bool:
    return "readonly" in text or "unable to open" in text
