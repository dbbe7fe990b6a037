"""Many rows in one statement of SQLite.

After each row of ``executemany`` sqlite3 releases Python's lock (the GIL). Where mitmproxy's hooks
are busy it then waits five milliseconds for it: two hundred rows a second, however fast the disk
is. Given one statement with all rows, SQLite needs the lock once, and the hooks go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

SIZES = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""How many rows a statement has. A few sizes only, so that SQLite can keep each of them
compiled."""


def execute(connection: Connection, template: str, rows: Sequence[Sequence[Any]]) -> None:
    """Execute ``template`` for all ``rows``, in as few statements as possible.

    ``{rows}`` in the template becomes ``(?, ?), (?, ?)``; all rows have the same length. Raises
    what SQLAlchemy raises.
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
