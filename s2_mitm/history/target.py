"""Which database is meant by what people type: a path or a URL."""

from __future__ import annotations

import re

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from s2_mitm.history.database import Database, RecordingError
from s2_mitm.history.sqlite import SqliteFile

_NEARLY_A_URL = re.compile(
    r"(sqlite|postgres(ql)?)(\+\w+)?:|(.*\s)?(host|user|password|dbname)\s*="
)
"""What people type who mean a database, and not a file."""

_NAME_ONE = (
    "name a file or postgresql://USER@HOST/DATABASE,"
    " with --set s2_db=FILE to write it or with --db FILE to read it"
)


def database_of(target: str) -> Database:
    """The database that ``target`` names: a path, or an ``sqlite:///`` or ``postgresql://`` URL.

    It is not opened, and need not exist. Raises RecordingError where ``target`` names none.
    """
    if "://" not in target:
        if _NEARLY_A_URL.match(target):
            # It may contain a password: do not repeat it.
            raise RecordingError(f"that is no database URL; {_NAME_ONE}")
        return _file(target, target)
    try:
        url = make_url(target)
    except (ArgumentError, ValueError):
        # It may contain a password: do not repeat it.
        raise RecordingError(f"that is no database URL; {_NAME_ONE}") from None
    match url.get_backend_name():
        case "sqlite":
            return _file(url.database, target)
        case "postgresql" | "postgres":
            if "@" in (url.host or ""):
                # Then a part of the password was taken for the host: do not repeat it.
                raise RecordingError(
                    "that is no database URL: an @ in a user name or password is written %40"
                )
            from s2_mitm.history.postgresql import PostgresqlDatabase

            return PostgresqlDatabase(url)
        case other:
            raise RecordingError(
                f"{other}:// is neither SQLite nor PostgreSQL, all that is supported; {_NAME_ONE}"
            )


def _file(name: str | None, target: str) -> SqliteFile:
    if not name or name == ":memory:":
        raise RecordingError(f"'{target}' names no file; {_NAME_ONE}")
    return SqliteFile(name)
