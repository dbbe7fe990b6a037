"""A recording of an older s2-mitm is brought up to date; one of a newer s2-mitm is left alone."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from complaints import complaint_of
from old_recording import make_old_recording
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from together import run_together

import s2_mitm
from s2_mitm.history import schema
from s2_mitm.history.database import RecordingError
from s2_mitm.history.queries import History
from s2_mitm.history.recorder import Recorder, SessionStart
from s2_mitm.history.tables import metadata
from s2_mitm.history.target import database_of

pytest_plugins = ["postgres_server"]

ENV = {**os.environ, "PYTHONPATH": str(Path(s2_mitm.__file__).parent.parent)}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A recording from before there were revisions."""
    return make_old_recording(tmp_path / "old.sqlite3")


def record(target: str | Path, session: str = "s2") -> None:
    reports: list[str] = []
    recorder = Recorder(str(target), reports.append)
    recorder.session_opened(SessionStart(session, 1e9, None, None, None, None))
    recorder.close()
    assert not reports


def revision_of(file: Path) -> Any:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(f"select version_num from {schema.VERSION_TABLE}").fetchone()


def set_revision(target: str, revision: str) -> None:
    engine = database_of(target).open_for_writing()
    with engine.begin() as connection:
        connection.execute(text(f"update {schema.VERSION_TABLE} set version_num = '{revision}'"))
    engine.dispose()


def engine_of(target: str) -> Engine:
    """An engine that prepares nothing."""
    if "://" in target:
        return create_engine(make_url(target).set(drivername="postgresql+psycopg"))
    return create_engine(f"sqlite:///{target}")


@pytest.fixture
def connection(target: str) -> Iterator[Connection]:
    """A connection to an empty database, in a transaction."""
    engine = engine_of(target)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def migrate(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "s2_mitm.history:migrations")
    config.attributes.update(connection=connection, version_table=schema.VERSION_TABLE)
    command.upgrade(config, revision)


def differences(connection: Connection) -> list[Any]:
    """What only `tables` has, and what only the database has."""

    def counts(_item: object, name: str | None, kind: str, *_: object) -> bool:
        on_server = connection.dialect.name == "postgresql"
        return name != schema.VERSION_TABLE and not (on_server and kind == "foreign_key_constraint")

    options = {"include_object": counts, "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


# The revisions themselves


def test_all_revisions_are_known_in_their_order() -> None:
    config = Config()
    config.set_main_option("script_location", "s2_mitm.history:migrations")
    script = ScriptDirectory.from_config(config)
    newest_first = [found.revision for found in script.walk_revisions()]
    assert tuple(reversed(newest_first)) == schema.REVISIONS
    assert script.get_current_head() == schema.REVISIONS[-1]


def test_the_migrations_make_the_tables_that_there_are(connection: Connection) -> None:
    assert differences(connection)
    migrate(connection, "head")
    assert differences(connection) == []
    assert schema.is_current(connection)


def test_a_new_recording_has_the_tables_that_the_migrations_make(connection: Connection) -> None:
    schema.prepare(connection)
    assert differences(connection) == []
    assert schema.is_current(connection)
    migrate(connection, "head")


@pytest.mark.parametrize("revision", schema.REVISIONS)
def test_every_revision_is_brought_up_to_date(connection: Connection, revision: str) -> None:
    migrate(connection, revision)
    schema.prepare(connection)
    assert differences(connection) == []
    assert schema.is_current(connection)


@pytest.mark.parametrize("revision", schema.REVISIONS)
def test_what_a_table_says_of_its_revision_is_so(connection: Connection, revision: str) -> None:
    migrate(connection, revision)
    assert schema.revision(connection) == revision
    there = MigrationContext.configure(connection)
    removed = {
        item.fullname if kind == "add_table" else f"{table}.{item.name}"
        for kind, table, item in (
            (found[0], found[-2], found[-1])
            for found in compare_metadata(there, metadata)
            if found[0] in ("add_table", "add_column")
        )
    }
    expected = {
        table.name for table in metadata.tables.values() if not schema.exists_in(table, revision)
    } | {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if schema.exists_in(table, revision) and not schema.exists_in(column, revision)
    }
    assert removed == expected


# An older recording


def test_an_old_file_is_brought_up_to_date_when_it_is_opened_for_writing(old: Path) -> None:
    record(old)
    assert revision_of(old) == (schema.REVISIONS[-1],)
    with closing(History(str(old))) as history:
        rows = [(row["id"], row["proxy"], row["messages"]) for row in history.sessions()]
    assert rows == [("s2", None, 0), ("s1", None, 1)]
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("pragma foreign_key_check").fetchall() == []
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_an_old_file_is_read_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    with closing(History(str(old))) as history:
        [session] = history.sessions()
        [message] = history.messages(session="s1")
        [finding] = history.findings(code="schema.type")
    assert (session["proxy"], session["recorder"], session["lost"]) == (None, None, 0)
    assert (session["messages"], session["errors"]) == (1, 1)
    assert message["findings"][0]["text"] == finding["text"] == "wrong"
    assert old.read_bytes() == before


def test_bringing_a_file_up_to_date_says_nothing(
    old: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        record(old)
    assert [entry for entry in caplog.records if entry.name.startswith("alembic")] == []
    assert capfd.readouterr() == ("", "")


def test_alembic_is_imported_only_where_there_is_something_to_migrate(old: Path) -> None:
    code = """if True:
        import sys
        from s2_mitm.history.target import database_of
        for file in ("new", "new", "old.sqlite3"):
            database_of(file).open_for_writing().dispose()
            database_of(file).open_for_reading().dispose()
            print("alembic" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=old.parent, env=ENV, capture_output=True, check=True
    )
    assert done.stdout.split() == [b"False", b"False", b"True"]
    assert done.stderr == b""


def test_programs_that_open_an_old_recording_at_once_all_succeed(target: str) -> None:
    engine = engine_of(target)
    with engine.begin() as connection:
        migrate(connection, schema.REVISIONS[0])
    engine.dispose()
    code = """if True:
        import sys
        import alembic.command
        from s2_mitm.history.recorder import Recorder
        print("ready", flush=True)
        sys.stdin.readline()
        Recorder(sys.argv[1], print).close()
    """
    assert run_together(code, [[target]] * 4, ENV) == [(0, b"")] * 4
    with closing(History(target)) as history:
        assert list(history.sessions()) == []


# A newer recording, or none


def test_a_recording_of_a_newer_s2_mitm_is_refused(target: str) -> None:
    record(target)
    set_revision(target, "0999")
    said = "a newer s2-mitm wrote it (revision 0999), update this one"
    assert f"({said})" in complaint_of(target)
    with pytest.raises(RecordingError) as refused:
        History(target)
    assert f"{said}; " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_of_a_newer_s2_mitm_is_left_untouched(tmp_path: Path) -> None:
    file = tmp_path / "s2.sqlite3"
    record(file)
    set_revision(str(file), "0999")
    before = file.read_bytes()
    complaint_of(file)
    assert file.read_bytes() == before


def test_tables_of_our_names_that_are_not_ours_are_left_alone(target: str) -> None:
    engine = engine_of(target)
    with engine.begin() as connection:
        connection.execute(text("create table messages (id integer, body text)"))
    assert "a database of something else" in complaint_of(target)
    with pytest.raises(RecordingError, match="a database of something else"):
        History(target)
    with engine.begin() as connection:
        names = connection.dialect.get_table_names(connection)
    engine.dispose()
    assert names == ["messages"]


def test_a_new_file_can_give_back_what_is_deleted(tmp_path: Path) -> None:
    record(tmp_path / "new")
    with closing(sqlite3.connect(tmp_path / "new")) as connection:
        assert connection.execute("pragma auto_vacuum").fetchone() == (2,)
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
