"""The revision of a recording's tables: which it is, and bringing it up to date.

A recording has its revision in a table of one row. The first revision did not have that table.
"""

from __future__ import annotations

import logging

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    inspect,
    select,
)

from s2_mitm.history.database import UnfitError
from s2_mitm.history.tables import metadata

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""All revisions, the oldest first; the last is that of `tables`."""
VERSION_TABLE = "s2_mitm_version"
"""Not Alembic's usual name, which another program in the same database may have taken."""

_FIRST, _NOW = REVISIONS[0], REVISIONS[-1]

_version = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


def revision(connection: Connection) -> str:
    """The revision of the recording, one of `REVISIONS`.

    Raises UnfitError where it is of a newer one, or is no recording.
    """
    stated = _stated_revision(connection)
    if stated == _NOW:
        return stated
    if stated is not None and stated not in REVISIONS:
        raise UnfitError(f"a newer s2-mitm wrote it (revision {stated}), update this one")
    _expect_tables(connection, stated or _FIRST)
    return stated or _FIRST


def expect_ours_or_none(connection: Connection) -> None:
    """Raise UnfitError where there are tables, but none with a name of ours."""
    if inspect(connection).get_table_names() and not _has_names_of_ours(connection):
        _expect_tables(connection, _FIRST)


def prepare(connection: Connection) -> None:
    """Make the tables, or bring them up to date, within the transaction of ``connection``.

    The caller holds a lock, so that no other program does the same meanwhile. Raises UnfitError
    where the recording is of a newer revision, or where other tables have our names.
    """
    if _stated_revision(connection) is None and not _has_names_of_ours(connection):
        metadata.create_all(connection)
        _version.create(connection)
        connection.execute(insert(_version).values(version_num=_NOW))
    elif revision(connection) != _NOW:
        _upgrade(connection)


def is_current(connection: Connection) -> bool:
    """Whether its revision is the last one, so that there is nothing to prepare."""
    return _stated_revision(connection) == _NOW


def exists_in(item: Table | Column[object], revision: str) -> bool:
    """Whether ``revision``, one of `REVISIONS`, had this table or column."""
    since: str = item.info.get("since", _FIRST)
    return REVISIONS.index(since) <= REVISIONS.index(revision)


def _stated_revision(connection: Connection) -> str | None:
    """The revision that stands in the database, None where none does."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_version.c.version_num)).scalars().first()


def _has_names_of_ours(connection: Connection) -> bool:
    """Whether there is a table whose name is that of one of ours."""
    return not metadata.tables.keys().isdisjoint(inspect(connection).get_table_names())


def _expect_tables(connection: Connection, revision: str) -> None:
    """Raise UnfitError unless there is every table of ``revision``, with every column."""
    inspector = inspect(connection)
    names = set(inspector.get_table_names())
    for table in metadata.sorted_tables:
        if not exists_in(table, revision):
            continue
        if table.name not in names:
            raise UnfitError(f"it is a database of something else (no table {table.name})")
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if exists_in(column, revision) and column.name not in columns:
                missing = f"{table.name}.{column.name}"
                raise UnfitError(f"it is a database of something else (no column {missing})")


def _upgrade(connection: Connection) -> None:
    # Alembic reports its steps, which are of no use in the log of a proxy.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Seldom needed, and slow to import on a small machine.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "s2_mitm.history:migrations")
    config.attributes.update(connection=connection, version_table=VERSION_TABLE)
    if _stated_revision(connection) is None:
        command.stamp(config, _FIRST)
    command.upgrade(config, _NOW)
