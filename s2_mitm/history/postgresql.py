"""A recording in a database of a PostgreSQL server, which several proxies may share."""

from __future__ import annotations

from sqlalchemy import URL, Connection, Engine, create_engine, func, select, text
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from s2_mitm.history import schema
from s2_mitm.history.place import Place, UnfitError, message_of
from s2_mitm.history.retention import FINDING_BYTES, MESSAGE_BYTES
from s2_mitm.history.tables import findings, messages

SAMPLE = 10_000
"""Of about how many messages the size is looked up to know that of all."""
_LIVE_ROWS = text(
    "select relname, n_live_tup from pg_stat_user_tables"
    " where schemaname = current_schema() and relname in ('messages', 'findings')"
)
_SAMPLE = text("select coalesce(avg(size), 0) from messages tablesample system (:percent)")
_SUM = select(func.count(), func.coalesce(func.sum(messages.c.size), 0)).select_from(messages)


class PostgresqlDatabase(Place):
    """The recording on a server; ``name`` is its URL without the password."""

    patience = 5.0
    _WRONG = (DBAPIError, UnfitError)

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        # Built anew, for what is set to None stays; and libpq also takes passwords as parameters.
        query = {name: value for name, value in url.query.items() if "pass" not in name.lower()}
        shown = URL.create(
            "postgresql", url.username, None, url.host, url.port, url.database, query
        )
        self.name = shown.render_as_string()

    def absolute(self) -> PostgresqlDatabase:
        return self

    def identity(self) -> str:
        """Always the same: what the server makes of it is the server's business."""
        return self.name

    def open_for_writing(self) -> Engine:
        with self.writing():
            engine = self._engine()
            try:
                with engine.begin() as connection:
                    schema.prepare(connection)
            except BaseException:
                engine.dispose()
                raise
            return engine

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

    def is_to_blame(self, error: Exception) -> bool:
        # A right that was taken away, or a table, is a ProgrammingError; what is wrong with a
        # value is a DataError or an IntegrityError.
        databases = OperationalError | InternalError | InterfaceError | ProgrammingError
        return isinstance(error, databases) or type(error) is DatabaseError

    def reason(self, error: Exception) -> str:
        return message_of(error)

    def used(self, connection: Connection, *, exactly: bool = False) -> int:
        """What the messages and findings that are there take, with about what their rows add.

        Not the size of the tables: they keep the space of what was deleted for what comes. The
        estimate is the server's count of live rows times the size of some of them.
        """
        rows: dict[str, int] = {}
        if not exactly:
            rows = {name: live for name, live in connection.execute(_LIVE_ROWS)}
        if not rows.get("messages"):
            # Asked to be exact, or it has not counted since it was started.
            counted, size = connection.execute(_SUM).one()
            found = connection.execute(select(func.count()).select_from(findings)).scalar_one()
            return int(size + counted * MESSAGE_BYTES + found * FINDING_BYTES)
        percent = min(100.0, 100 * SAMPLE / rows["messages"])
        size = connection.execute(_SAMPLE, {"percent": percent}).scalar_one()
        size_of_findings = rows.get("findings", 0) * FINDING_BYTES
        return int(rows["messages"] * (size + MESSAGE_BYTES) + size_of_findings)

    def give_back(self, connection: Connection) -> bool:
        """Nothing: the server uses it again by itself."""
        return False

    def _engine(self) -> Engine:
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise UnfitError(
                "PostgreSQL needs one package more, pip install 's2-mitm[postgresql]'"
            ) from None
        return create_engine(self._url, pool_pre_ping=True)
