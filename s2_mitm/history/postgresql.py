"""A recording in a database of a PostgreSQL server, which several proxies may share."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from inspect import signature
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from s2_mitm.history import schema
from s2_mitm.history.database import Database, UnfitError, message_of
from s2_mitm.history.retention import FINDING_BYTES, MESSAGE_BYTES
from s2_mitm.history.tables import findings, messages

SAMPLE = 10_000
"""From about how many messages the size of all is estimated."""
_LIVE_ROWS = text(
    "select relname, n_live_tup from pg_stat_user_tables"
    " where schemaname = current_schema() and relname in ('messages', 'findings')"
)
_SAMPLE = text("select coalesce(avg(size), 0) from messages tablesample system (:percent)")
_SUM = select(func.count(), func.coalesce(func.sum(messages.c.size), 0)).select_from(messages)

_CONNECTING = {
    "application_name": "s2-mitm",
    "client_encoding": "utf8",
    # A server that has gone sends nothing: these timeouts notice it. In seconds, the last in ms.
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_SERVERS_KEEPALIVES = {
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 3,
    "tcp_keepalives_count": 3,
}
_SECRET = re.compile("pass|secret|^scram_", re.IGNORECASE)
"""In the name of a parameter: its value is never shown."""
_LOCK_TIMEOUT = "5s"
_PREPARING = 0x53325F6D69746D
"""The number of the advisory lock that a program holds while it makes or changes the tables."""

_PASSING = [
    (r"resolve host|translate host|name or service not known", "there is no host {host}"),
    (r"refused|no such file or directory", "no server answers at {host}, port {port}"),
    (r"timeout expired|timed out|no route|unreachable", "{host}, port {port}, cannot be reached"),
    (r"lock timeout", "another program has locked it"),
    # Where the database was made anew, the next attempt makes the tables.
    (r'relation "(?P<table>[^"]*)" does not exist', "no such table: {table}"),
]
_LASTING = [
    (r"no password supplied", "the server asks for a password, postgresql://USER:PASSWORD@…"),
    (
        r"password authentication failed|role .* does not exist|no pg_hba|denied for database",
        "the server does not let the user {user} in",
    ),
    (
        r"database .* does not exist",
        "there is no database {database} on the server, createdb {database} makes it",
    ),
    (r"permission denied for schema", "the user {user} may not make tables in it"),
    (r"permission denied", "the user {user} has no permission for its tables"),
]
"""What the server says of a connection or a statement, and what it means for people: errors that
may pass by themselves, and errors that last until a person changes something."""


class PostgresqlDatabase(Database):
    """The recording on a server; ``name`` is its URL without the password."""

    patience = 5.0
    _WRONG = (DBAPIError, UnfitError, ValueError)

    def __init__(self, url: URL) -> None:
        # libpq also takes passwords as parameters of the URL, which SQLAlchemy would show.
        self._secrets = {name: url.query[name] for name in url.query if _SECRET.search(name)}
        self._url = url.difference_update_query(self._secrets).set(drivername="postgresql+psycopg")
        # URL.set() cannot remove the password.
        shown = URL.create(
            "postgresql", url.username, None, url.host, url.port, url.database, self._url.query
        )
        self.name = shown.render_as_string()
        self.has_password = bool(url.password or self._secrets)
        self._sockets: set[socket.socket] = set()
        self._guard = threading.Lock()

    def __reduce__(self) -> tuple[type[PostgresqlDatabase], tuple[URL]]:
        # The process that it is handed to opens its own connections.
        return PostgresqlDatabase, (self._url.update_query_dict(self._secrets),)

    def absolute(self) -> PostgresqlDatabase:
        return self

    def open_for_writing(self, *, thoroughly: bool = False) -> Engine:
        with self.writing():
            engine = self._engine()
        try:
            self.prepare(engine)
        except BaseException:
            engine.dispose()
            raise
        return engine

    def prepare(self, engine: Engine) -> None:
        with self.writing(), engine.begin() as connection:
            self._prepare(connection)

    def open_for_reading(self) -> Engine:
        with self.reading():
            engine = self._engine().execution_options(postgresql_readonly=True)
            try:
                with engine.connect() as connection:
                    schema.revision(connection)
            except BaseException:
                engine.dispose()
                raise
            return engine

    def interrupt(self) -> None:
        """Shut all connections down: a server that hangs does not answer a request to cancel."""
        with self._guard:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def is_lasting(self, error: Exception) -> bool:
        lasting = any(_says(error, words) for words, _ in _LASTING)
        return lasting or isinstance(error, UnfitError)

    def is_to_blame(self, error: Exception) -> bool:
        # A missing right or table is a ProgrammingError; a value that is refused is a DataError or
        # an IntegrityError.
        databases = OperationalError | InternalError | InterfaceError | ProgrammingError
        return isinstance(error, databases) or type(error) is DatabaseError

    def reason(self, error: Exception) -> str:
        for words, reason in (*_PASSING, *_LASTING):
            if said := _says(error, words):
                return reason.format(
                    **said.groupdict(),
                    host=self._url.host or self._url.query.get("host") or "localhost",
                    port=self._url.port or 5432,
                    user=self._url.username or "that is set here",
                    database=self._url.database or "of the user's name",
                )
        return message_of(error)

    def _look(self) -> None:
        psycopg = _driver()
        _, arguments = self._engine().dialect.create_connect_args(self._url)
        of_the_server = arguments.keys() - signature(psycopg.Connection.connect).parameters.keys()
        try:
            psycopg.conninfo.make_conninfo(**{name: arguments[name] for name in of_the_server})
        except psycopg.ProgrammingError as error:
            raise UnfitError(message_of(error)) from None

    def _prepare(self, connection: Connection) -> None:
        if schema.is_current(connection):
            return
        encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
        if encoding not in ("UTF8", "SQL_ASCII"):
            raise UnfitError(f"it holds {encoding}, make one with createdb -T template0 -E UTF8")
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _PREPARING})
        schema.prepare(connection)

    def used(self, connection: Connection, *, exactly: bool = False) -> int:
        """As `Database.used`: the size of all messages, and an estimate of what their rows add.

        It is not the size of the tables, which keep the space of deleted rows for new ones. Unless
        ``exactly``, it is the server's count of live rows times the mean size of a sample.
        """
        rows: dict[str, int] = {}
        if not exactly:
            rows = {row.relname: row.n_live_tup for row in connection.execute(_LIVE_ROWS)}
        if not rows.get("messages"):
            # It shall be exact, or the server has not counted since it was started.
            counted, size = connection.execute(_SUM).one()
            found = connection.execute(select(func.count()).select_from(findings)).scalar_one()
            return int(size + counted * MESSAGE_BYTES + found * FINDING_BYTES)
        percent = min(100.0, 100 * SAMPLE / rows["messages"])
        size = connection.execute(_SAMPLE, {"percent": percent}).scalar_one()
        size_of_findings = rows.get("findings", 0) * FINDING_BYTES
        return int(rows["messages"] * (size + MESSAGE_BYTES) + size_of_findings)

    def give_back(self, connection: Connection) -> bool:
        """Do nothing: the server uses free space again by itself."""
        return False

    def _engine(self) -> Engine:
        _driver()
        said = self._url.query
        ours = {name: value for name, value in _CONNECTING.items() if name not in said}
        given = {**ours, **self._secrets}
        engine = create_engine(self._url, connect_args=given, pool_pre_ping=True)
        event.listen(engine, "connect", self._remember_socket)
        event.listen(engine, "close", self._forget_socket)
        event.listen(engine, "connect", _set_up)
        return engine

    def _remember_socket(self, connection: Any, record: Any) -> None:
        # A descriptor of our own: the connection's number may belong to another file by then.
        mine = socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        record.info["socket"] = mine
        with self._guard:
            self._sockets.add(mine)

    def _forget_socket(self, _connection: Any, record: Any) -> None:
        if mine := record.info.pop("socket", None):
            with self._guard:
                self._sockets.discard(mine)
                mine.close()


def _driver() -> Any:
    try:
        import psycopg
    except ImportError:
        raise UnfitError(
            "PostgreSQL needs one more package, pip install 's2-mitm[postgresql]'"
        ) from None
    return psycopg


def _says(error: Exception, words: str) -> re.Match[str] | None:
    if not isinstance(error, DBAPIError):
        return None
    return re.search(words, message_of(error), re.IGNORECASE)


def _set_up(connection: Any, _record: object) -> None:
    # Not as an option of the connection, which connection poolers refuse.
    connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
    # The server must notice, too, when we are gone: until then our transaction keeps its locks, and
    # the next attempt waits for them.
    for name, value in _SERVERS_KEEPALIVES.items():
        connection.execute(f"SET {name} = {value}")
    connection.commit()
