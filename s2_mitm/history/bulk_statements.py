"""Many rows in one statement of SQLite.

Between two rows of a batch sqlite3 gives Python's lock away, and where the hooks are busy it waits
five milliseconds to get it back: some two hundred rows a second, however fast the disk is. In one
statement SQLite goes through all rows without Python, while the hooks go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

SIZES = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows of a statement. A few sizes only, for SQLite keeps what it has made of each."""


def execute(connection: Connection, template: str, rows: Sequence[Sequence[Any]]) -> None:
    """Execute ``template`` with ``rows`` in the place of its ``{rows}``, in as few steps as can be.

    Rows are of one length, and become ``(?, ?), (?, ?)``. Raises what SQLAlchemy raises.
    """
    start = 0
    for size in SIZES:
        while len(rows) - start >= size:
            statement = _statement(template, size, len(rows[start]))
            values = tuple(value for row in rows[start : start + size] for value in row)
            connection.exec_driver_sql(statement, values)
            start += size


@lru_cache(32)
def _statement(template: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return template.format(rows=", ".join([row] * rows))
