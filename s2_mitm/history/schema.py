"""Whether a database has our tables, and making them."""

from __future__ import annotations

from sqlalchemy import Connection, inspect

from s2_mitm.history.place import UnfitError
from s2_mitm.history.tables import metadata


def prepare(connection: Connection) -> None:
    """See that every table is there."""
    metadata.create_all(connection)


def expect(connection: Connection) -> None:
    """Raise UnfitError unless every table is there with every column."""
    there = inspect(connection)
    names = set(there.get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in names:
            raise UnfitError(f"it is a database of something else (no table {table.name})")
        columns = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                missing = f"{table.name}.{column.name}"
                raise UnfitError(f"it is a database of something else (no column {missing})")
