"""The revision of a recording's tables: which it is, and bringing it up to date.

A recording says its revision itself, in a table of one row; one that does not is of the first.
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

REVISIONS = ("0001", "0002", "0003", "0004")
"""All that there have been, the oldest first; the last is that of `tables`."""
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
    said = _said(connection)
    if said == _NOW:
        return said
    if said is not None and said not in REVISIONS:
        raise UnfitError(f"a newer s2-mitm wrote it (revision {said}), update this one")
    _expect_tables(connection, said or _FIRST)
    return said or _FIRST


def expect_no_strangers(connection: Connection) -> None:
    """Raise UnfitError where there are tables and none of them has the name of one of ours."""
    if inspect(connection).get_table_names() and not _taken(connection):
        _expect_tables(connection, _FIRST)


def prepare(connection: Connection) -> None:
    """Make the tables, or bring them up to date, within the transaction of ``connection``.

    Nobody else may prepare the same database meanwhile. Raises UnfitError where it is of a newer
    revision, or has tables of our names that are not ours.
    """
    if _said(connection) is None and not _taken(connection):
        metadata.create_all(connection)
        _version.create(connection)
        connection.execute(insert(_version).values(version_num=_NOW))
    elif revision(connection) != _NOW:
        _upgrade(connection)


def is_current(connection: Connection) -> bool:
    """Whether there is nothing to prepare."""
    return _said(connection) == _NOW


def is_there(item: Table | Column[object], revision: str) -> bool:
    """Whether this table or column was there in ``revision``."""
    since: str = item.info.get("since", _FIRST)
    return REVISIONS.index(since) <= REVISIONS.index(revision)


def _said(connection: Connection) -> str | None:
    """The revision that the database says it has, if it says any."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_version.c.version_num)).scalars().first()


def _taken(connection: Connection) -> bool:
    """Whether there is a table with the name of one of ours."""
    return not metadata.tables.keys().isdisjoint(inspect(connection).get_table_names())


def _expect_tables(connection: Connection, revision: str) -> None:
    """Raise UnfitError unless every table of ``revision`` is there with every column."""
    there = inspect(connection)
    names = set(there.get_table_names())
    for table in metadata.sorted_tables:
        if not is_there(table, revision):
            continue
        if table.name not in names:
            raise UnfitError(f"it is a database of something else (no table {table.name})")
        columns = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if is_there(column, revision) and column.name not in columns:
                missing = f"{table.name}.{column.name}"
                raise UnfitError(f"it is a database of something else (no column {missing})")


def _upgrade(connection: Connection) -> None:
    # What Alembic does here is not for the log of a proxy.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Seldom needed, and slow to import on a small machine.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "s2_mitm.history:migrations")
    config.attributes.update(connection=connection, version_table=VERSION_TABLE)
    if _said(connection) is None:
        command.stamp(config, _FIRST)
    command.upgrade(config, _NOW)
