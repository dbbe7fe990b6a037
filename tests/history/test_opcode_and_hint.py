"""A recording has the opcode of each message and the hint of each finding."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, make_url, text

from s2_mitm.history import schema
from s2_mitm.history.queries import History
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.history.target import database_of
from s2_mitm.history.writer import LOAD
from s2_mitm.replay.recording import from_history
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict

pytest_plugins = ["postgres_server"]

WITHOUT = schema.REVISIONS[: schema.REVISIONS.index("0004")]
"""The revisions that had neither."""
NOON = 1795262400.25
BINARY = Finding("json.binary", Severity.WARNING, Source.JSON, "", "a binary frame", "Send text.")
OTHER = Finding("schema.type", Severity.ERROR, Source.SCHEMA, "/value", "wrong")


def record(target: str, *messages: MessageRecord, late: Finding | None = None) -> None:
    complaints: list[str] = []
    recorder = Recorder(target, complaints.append)
    recorder.session_opened(SessionStart("s1", NOON, None, None, "/s2", Role.RM))
    for message in messages:
        recorder.message(message)
    if late:
        recorder.late_finding("s1", 1, late)
    recorder.close(30)
    assert complaints == []


def message(seq: int, *findings: Finding, binary: bool = False) -> MessageRecord:
    verdict = Verdict(NOON + seq, Role.RM, {}, "T", f"m{seq}", None, list(findings))
    return MessageRecord("s1", seq, verdict, b"{}", injected=False, dropped=False, binary=binary)


def messages_of(target: str) -> list[dict[str, Any]]:
    with closing(History(target)) as history:
        return list(history.messages())


def opcodes(target: str) -> list[str]:
    return [row["opcode"] for row in messages_of(target)]


def hints(target: str) -> list[str]:
    with closing(History(target)) as history:
        found = [finding["hint"] for finding in history.findings()]
        of_messages = [each["hint"] for row in history.messages() for each in row["findings"]]
    assert sorted(of_messages) == sorted(found)
    return sorted(found)


def engine_of(target: str) -> Engine:
    """An engine that prepares nothing."""
    url = make_url(target) if "://" in target else make_url(f"sqlite:///{target}")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return create_engine(url)


def migrate(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "s2_mitm.history:migrations")
    config.attributes.update(connection=connection, version_table=schema.VERSION_TABLE)
    command.upgrade(config, revision)


def make_older(target: str, revision: str) -> None:
    """A recording of ``revision``: two messages, the second in a binary frame."""
    engine = engine_of(target)
    with engine.begin() as connection:
        migrate(connection, revision)
        for statement in (
            "insert into sessions (id, started_at) values ('s1', '2026-01-01T00:00:00.000000Z')",
            "insert into messages (id, session_id, seq, timestamp, sender, content, size, injected,"
            " dropped, valid) values"
            " (1, 's1', 1, '2026-01-01T00:00:01.000000Z', 'RM', '{}', 2, 0, 0, 0),"
            " (2, 's1', 2, '2026-01-01T00:00:02.000000Z', 'RM', '{}', 2, 0, 0, 1)",
            "insert into findings (id, message, session_id, code, severity, source, path, text)"
            " values (1, 1, 's1', 'schema.type', 'error', 'schema', '', 'wrong'),"
            " (2, 2, 's1', 'json.binary', 'warning', 'json', '', 'a binary frame')",
        ):
            connection.execute(text(statement))
    engine.dispose()


def test_the_frame_says_how_a_message_came_and_no_finding_does(target: str) -> None:
    record(target, message(1), message(2, binary=True), message(3, BINARY))
    assert opcodes(target) == ["text", "binary", "text"]
    with closing(History(target)) as history:
        [session] = from_history(history)
        assert [each.binary for each in session.messages] == [False, True, False]


@pytest.mark.parametrize("count", [1, 3 * LOAD])
def test_a_hint_is_recorded_with_its_finding_and_as_harmless(target: str, count: int) -> None:
    steering = Finding("x.y", Severity.INFO, Source.RULE, "", "wrong", "Do this.\x1b[2J")
    record(target, *(message(seq, BINARY, OTHER) for seq in range(1, count + 1)), late=steering)
    expected = ["Send text.", ""] * count + [r"Do this.\u001b[2J"]
    assert hints(target) == sorted(expected)


@pytest.mark.parametrize("revision", WITHOUT)
def test_an_older_recording_is_read_as_it_is(target: str, revision: str) -> None:
    make_older(target, revision)
    assert opcodes(target) == ["text", "binary"]
    assert hints(target) == ["", ""]
    with closing(History(target)) as history:
        [session] = from_history(history)
        assert [each.binary for each in session.messages] == [False, True]
        assert [row["seq"] for row in history.messages(code="json.binary", limit=1)] == [2]


@pytest.mark.parametrize("revision", WITHOUT)
def test_an_older_recording_is_brought_up_when_it_is_written(target: str, revision: str) -> None:
    make_older(target, revision)
    before = messages_of(target)
    database_of(target).open_for_writing().dispose()
    assert messages_of(target) == before
    engine = engine_of(target)
    with engine.connect() as connection:
        rows = connection.execute(text("select id, opcode from messages order by id")).all()
        found = connection.execute(text("select id, hint from findings order by id")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [(1, "text"), (2, "binary")]
    assert [tuple(row) for row in found] == [(1, ""), (2, "")]


def test_what_is_written_by_hand_has_an_opcode_and_a_hint_too(target: str) -> None:
    record(target, message(1))
    engine = engine_of(target)
    with engine.begin() as connection:
        for statement in (
            "insert into messages (id, session_id, seq, timestamp, content, size, injected,"
            " dropped, valid) values (9, 's1', 9, '', '{}', 2, 0, 0, 1)",
            "insert into findings (id, message, session_id, code, severity, source, path, text)"
            " values (9, 9, 's1', 'x.y', 'info', 'rule', '', 'by hand')",
        ):
            connection.execute(text(statement))
    engine.dispose()
    assert opcodes(target) == ["text", "text"]
    assert hints(target) == [""]
