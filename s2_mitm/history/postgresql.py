"""A recording in a database of a PostgreSQL server, which several proxies may share."""

from __future__ import annotations

from sqlalchemy import URL, Engine, create_engine
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

    def _engine(self) -> Engine:
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise UnfitError(
                "PostgreSQL needs one package more, pip install 's2-mitm[postgresql]'"
            ) from None
        return create_engine(self._url, pool_pre_ping=True)
