"""Any number of rows is written to the table, in order, in few statements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool

from s2_mitm.history import bulk_statements

INSERT = "INSERT INTO rows (number, value) VALUES {rows}"
AROUND = sorted(
    {size + more for size in bulk_statements.SIZES for more in (-1, 0, 1)} | {1023, 1024, 1100}
)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, number INTEGER UNIQUE, value)"
        )
        yield connection
    engine.dispose()


def stored(connection: Connection, rows: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """What is in the table when ``rows`` were written into it; afterwards it is empty again."""
    bulk_statements.execute(connection, INSERT, rows)
    found = connection.exec_driver_sql("SELECT number, value FROM rows ORDER BY id").fetchall()
    connection.exec_driver_sql("DELETE FROM rows")
    return [(number, value) for number, value in found]


@pytest.mark.parametrize("count", AROUND)
def test_any_number_of_rows_is_written_in_order(connection: Connection, count: int) -> None:
    rows = [(number, f"row {number}") for number in range(count)]
    assert stored(connection, rows) == rows


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(count=st.integers(0, 1100))
def test_and_so_is_any_other_number(connection: Connection, count: int) -> None:
    rows = [(-number, number) for number in range(count)]
    assert stored(connection, rows) == rows


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.binary(),
    st.sampled_from(["", "'", '"', "?", ":name", "%s", "{rows}", "'); --", b"", b"a\0b", b"\xff"]),
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.lists(VALUES, max_size=40))
def test_values_come_back_as_they_are(connection: Connection, values: list[Any]) -> None:
    rows = list(enumerate(values))
    found = stored(connection, rows)
    assert found == rows
    assert [type(value) for _, value in found] == [type(value) for value in values]


def test_a_thousand_rows_are_a_few_statements(connection: Connection) -> None:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    try:
        bulk_statements.execute(connection, INSERT, [(number, None) for number in range(1000)])
    finally:
        event.remove(connection, "before_cursor_execute", note)
        connection.exec_driver_sql("DELETE FROM rows")
    assert 1 <= len(statements) < 12


def test_a_row_that_does_not_fit_is_told(connection: Connection) -> None:
    with connection.begin_nested() as attempt:
        with pytest.raises(IntegrityError):
            bulk_statements.execute(connection, INSERT, [(1, "a"), (2, "b"), (1, "c")])
        attempt.rollback()
    assert stored(connection, [(1, "a")]) == [(1, "a")]
