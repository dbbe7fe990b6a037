"""Rows that an older s2-mitm wrote twice are there once when a recording is brought up to date."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, make_url, text

from s2_mitm.history import schema

pytest_plugins = ["postgres_server"]


@pytest.fixture
def old(target: str) -> Iterator[Connection]:
    """A recording of revision 0002, with nothing in it; in a transaction."""
    url = make_url(target) if "://" in target else make_url(f"sqlite:///{target}")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "s2_mitm.history:migrations")
        config.attributes.update(connection=connection, version_table=schema.VERSION_TABLE)
        command.upgrade(config, "0002")
        yield connection
    engine.dispose()


def add(connection: Connection, table: str, **row: Any) -> None:
    columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    connection.execute(text(f"insert into {table} ({columns}) values ({values})"), row)


def add_message(
    connection: Connection, row_id: int, seq: int, session: str = "s1", **more: Any
) -> None:
    row = {
        "timestamp": "",
        "content": f"{row_id}",
        "size": 1,
        "injected": 0,
        "dropped": 0,
        "valid": 1,
    }
    add(connection, "messages", id=row_id, session_id=session, seq=seq, **{**row, **more})


def add_finding(connection: Connection, row_id: int, message: int, code: str, **more: Any) -> None:
    row = {"session_id": "s1", "severity": "error", "source": "rule", "path": "", "text": "wrong"}
    add(connection, "findings", id=row_id, message=message, code=code, **{**row, **more})


def rows(connection: Connection, query: str) -> list[Any]:
    return [tuple(row) for row in connection.execute(text(query))]


def test_of_messages_that_stand_there_twice_the_first_stays(old: Connection) -> None:
    for first in (1, 4, 7):  # a batch of three messages, three times
        for number in range(3):
            add_message(old, first + number, number + 1)
    add_message(old, 10, 4)
    add_message(old, 11, 1, session="s2")
    schema.prepare(old)
    kept = "select id, session_id, seq, content, sent from messages order by id"
    assert rows(old, kept) == [
        (1, "s1", 1, "1", None),
        (2, "s1", 2, "2", None),
        (3, "s1", 3, "3", None),
        (10, "s1", 4, "10", None),
        (11, "s2", 1, "11", None),
    ]


def test_what_was_found_of_them_later_stays_once(old: Connection) -> None:
    for row_id in (1, 3):
        add_message(old, row_id, 1)
        add_message(old, row_id + 1, 2)
        add_finding(old, row_id, row_id, "schema.type")
    # Of the second row alone: late findings went to the newest, and their batch was doubled too.
    add_finding(old, 5, 3, "ack.missing")
    add_finding(old, 6, 3, "ack.missing")
    add_finding(old, 7, 3, "schema.type", path="/other")
    add_finding(old, 8, 3, "schema.type", text="other")
    add_message(old, 9, 3)
    add_finding(old, 9, 9, "ack.missing")
    add_finding(old, 10, 9, "ack.missing")
    schema.prepare(old)
    assert rows(old, "select id, message, code from findings order by id") == [
        (1, 1, "schema.type"),
        (5, 1, "ack.missing"),
        (7, 1, "schema.type"),
        (8, 1, "schema.type"),
        (9, 9, "ack.missing"),
    ]


def test_their_answers_and_verdicts_stay(old: Connection) -> None:
    add_message(old, 1, 1)
    add_message(old, 2, 2, reception_status="OK", reception_delay_ms=1.0)
    add_message(old, 3, 1, reception_status="INVALID_DATA", reception_delay_ms=3.0, valid=0)
    add_message(old, 4, 2, reception_status="INVALID_DATA", reception_delay_ms=9.0)
    add_message(old, 5, 3)
    schema.prepare(old)
    said = "select id, valid, reception_status, reception_delay_ms from messages order by id"
    assert rows(old, said) == [
        (1, 0, "INVALID_DATA", 3.0),
        (2, 1, "OK", 1.0),
        (5, 1, None, None),
    ]


def test_their_gaps_stand_once(old: Connection) -> None:
    row = {"since": "", "until": "", "reason": "it was away"}
    for row_id, session, last in ((1, "s1", 9), (2, "s1", 9), (3, "s1", 12), (4, "s2", 9)):
        span = {"first_seq": 5, "last_seq": last, "messages": last - 4}
        add(old, "gaps", id=row_id, session_id=session, **span, **row)
    schema.prepare(old)
    assert rows(old, "select id from gaps order by id") == [(1,), (3,), (4,)]


def test_nothing_of_it_is_left(old: Connection) -> None:
    add_message(old, 1, 1)
    add_message(old, 2, 1)
    schema.prepare(old)
    names = set(old.dialect.get_table_names(old))
    assert names == {
        *("sessions", "messages", "findings", "gaps", "recorders"),
        schema.VERSION_TABLE,
    }
    with pytest.raises(Exception, match=r"(?i)unique"):
        add_message(old, 3, 1)
