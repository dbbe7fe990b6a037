"""A database of a PostgreSQL server as a recording: opening, refusing, sharing."""

from __future__ import annotations

import builtins
import os
import time
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from complaints import complaint_of
from postgres_server import PostgresServer, connected
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError
from together import run_together

import s2_mitm
from s2_mitm.history.database import RecordingError
from s2_mitm.history.postgresql import PostgresqlDatabase
from s2_mitm.history.queries import History
from s2_mitm.history.recorder import Recorder, SessionStart
from s2_mitm.history.target import database_of

pytest_plugins = ["postgres_server"]

ENV = {**os.environ, "PYTHONPATH": str(Path(s2_mitm.__file__).parent.parent)}


def refusals(target: str) -> list[str]:
    """Why it cannot be written, and why it cannot be read: two sentences."""
    with pytest.raises(RecordingError) as refused:
        Recorder(target, print)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert str(make_url(target).password) not in sentence
    assert sentence.startswith("cannot record to postgresql://")
    return [sentence, refusal_to_read(target)]


def refusal_to_read(target: str) -> str:
    with pytest.raises(RecordingError) as refused:
        History(target)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert str(make_url(target).password) not in sentence
    assert sentence.startswith("cannot read postgresql://")
    return sentence


def other(url: str, **parts: Any) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)


def without_password(url: str) -> str:
    parts = make_url(url)
    return f"postgresql://{parts.username}@{parts.host}:{parts.port}/{parts.database}"


def session(name: str) -> SessionStart:
    return SessionStart(name, 1e9, None, None, None, None)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_url_in_each_of_its_forms(postgres_url: str, scheme: str) -> None:
    target = postgres_url.replace("postgresql", scheme, 1)
    assert database_of(target).name == without_password(postgres_url)
    recorder = Recorder(target, print)
    recorder.session_opened(session("s1"))
    recorder.close()
    with closing(History(target)) as history:
        assert [row["id"] for row in history.sessions()] == ["s1"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://me:secret@lab/s2", "postgresql://me@lab/s2"),
        ("postgres://lab:5433/s2?password=secret", "postgresql://lab:5433/s2"),
        ("postgresql:///s2?host=/run/pg&passfile=secret", "postgresql:///s2?host=%2Frun%2Fpg"),
    ],
)
def test_its_name_has_no_password(url: str, name: str) -> None:
    assert database_of(url).name == name


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"host": "no-such-host.invalid"}, "there is no host no-such-host.invalid"),
        ({"port": 1}, ", port 1"),
        ({"password": "secret"}, "the server does not let the user "),
        ({"username": "nobody"}, "the server does not let the user nobody in"),
        ({"database": "nosuch"}, "there is no database nosuch on the server, createdb nosuch"),
    ],
    ids=str,
)
def test_what_is_not_there(postgres_url: str, wrong: dict[str, Any], reason: str) -> None:
    target = other(postgres_url, **wrong)
    complaint = complaint_of(target)
    assert complaint.startswith("postgresql://")
    assert str(make_url(target).password) not in complaint
    assert reason in complaint
    assert reason in refusal_to_read(target)


def test_an_option_that_no_connection_has(postgres_url: str) -> None:
    for sentence in refusals(other(postgres_url, query={"colour": "blue"})):
        assert 'invalid connection option "colour"' in sentence


def test_a_password_that_is_missing(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    monkeypatch.delenv("PGPASSWORD", raising=False)
    target = without_password(postgres_url)
    assert "(the server asks for a password" in complaint_of(target)
    assert "the server asks for a password" in refusal_to_read(target)


def test_a_database_with_nothing_in_it_is_not_read(postgres_url: str) -> None:
    with pytest.raises(RecordingError, match=r"something else .no table "):
        History(postgres_url)
    with connected(postgres_url) as connection:
        tables = "select count(*) from pg_tables where schemaname = 'public'"
        assert connection.execute(tables).fetchone() == (0,)


@pytest.mark.parametrize(
    "target",
    ["postgresql://me:hunter2@127.0.0.1:1/s2", "postgresql://127.0.0.1:1/s2?password=hunter2"],
)
def test_nothing_that_may_be_printed_shows_the_password(target: str) -> None:
    database = database_of(target)
    assert isinstance(database, PostgresqlDatabase)
    engine = database._engine()
    for thing in (database, database.name, engine, engine.url, engine.pool, engine.dialect):
        assert "hunter2" not in f"{thing!r} {thing}"
    with pytest.raises(OperationalError) as failed:
        engine.connect()
    assert "hunter2" not in repr(failed.value) + "".join(traceback.format_exception(failed.value))


def test_other_tables_may_stand_beside_ours(postgres_url: str) -> None:
    with connected(postgres_url) as connection:
        connection.execute("create table notes (text text)")
        connection.execute("create table alembic_version (version_num text)")
        connection.execute("insert into alembic_version values ('theirs')")
    for _ in range(2):
        Recorder(postgres_url, print).close()
    with connected(postgres_url) as connection:
        theirs = connection.execute("select version_num from alembic_version").fetchall()
    assert theirs == [("theirs",)]


def test_no_permission_to_make_tables(postgres_url: str) -> None:
    role = f"guest_{make_url(postgres_url).database}"
    with connected(postgres_url) as connection:
        connection.execute("revoke create on schema public from public")
        connection.execute(f"create role {role} login password 'secret'")
    guest = other(postgres_url, username=role, password="secret")
    try:
        assert f"(the user {role} may not make tables in it)" in complaint_of(guest)
        Recorder(postgres_url, print).close()
        with pytest.raises(RecordingError, match=f"the user {role} has no permission for its"):
            History(guest)
        with connected(postgres_url) as connection:
            connection.execute(f"grant select on all tables in schema public to {role}")
        with closing(History(guest)) as history:
            assert list(history.sessions()) == []
    finally:
        with connected(postgres_url) as connection:
            connection.execute(f"drop owned by {role}")
            connection.execute(f"drop role {role}")


def test_a_database_of_another_encoding(postgres: PostgresServer, postgres_url: str) -> None:
    name = f"{make_url(postgres_url).database}_latin1"
    with connected(postgres.url) as connection:
        connection.execute(
            f"create database {name} template template0 encoding 'LATIN1' locale_provider libc"
            " locale 'C'"
        )
    try:
        complaint = complaint_of(other(postgres_url, database=name))
        assert "(it holds LATIN1, make one with createdb" in complaint
    finally:
        with connected(postgres.url) as connection:
            connection.execute(f"drop database {name} with (force)")


def test_without_its_package_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_anything = builtins.__import__

    def import_all_but_psycopg(name: str, *rest: Any) -> Any:
        if name.startswith("psycopg"):
            raise ImportError(name)
        return import_anything(name, *rest)

    monkeypatch.setattr(builtins, "__import__", import_all_but_psycopg)
    for sentence in refusals("postgresql://me:secret@lab/s2"):
        assert "pip install 's2-mitm[postgresql]'" in sentence


def test_programs_that_make_the_tables_at_once_all_succeed(postgres_url: str) -> None:
    code = """if True:
        import sys
        from s2_mitm.history.recorder import Recorder, SessionStart
        print("ready", flush=True)
        sys.stdin.readline()
        recorder = Recorder(sys.argv[1], print)
        recorder.session_opened(SessionStart(sys.argv[2], 1e9, None, None, None, None))
        recorder.close()
    """
    arguments = [[postgres_url, f"s{number}"] for number in range(5)]
    assert run_together(code, arguments, ENV) == [(0, b"")] * 5
    with closing(History(postgres_url)) as history:
        assert [row["id"] for row in history.sessions()] == ["s0", "s1", "s2", "s3", "s4"]


def test_tables_that_somebody_holds_are_not_waited_for_for_ever(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2_mitm.history.postgresql._LOCK_TIMEOUT", "100ms")
    Recorder(postgres_url, print).close()
    engine = database_of(postgres_url).open_for_writing()
    with connected(postgres_url) as owner, owner.transaction():
        owner.execute("lock table sessions in access exclusive mode")
        locked = pytest.raises(RecordingError, match="another program has locked it")
        with closing(History(postgres_url)) as history, locked:
            list(history.sessions())
        with locked, database_of(postgres_url).writing(), engine.begin() as connection:
            connection.exec_driver_sql("delete from sessions")
    engine.dispose()


def test_a_server_that_was_stopped_for_a_while(postgres: PostgresServer, postgres_url: str) -> None:
    reports: list[str] = []
    recorder = Recorder(postgres_url, reports.append)
    recorder.session_opened(session("s1"))
    assert recorder.flush(10)
    postgres.stop()
    recorder.session_opened(session("s2"))
    deadline = time.monotonic() + 30
    while not reports:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    postgres.start()
    recorder.session_opened(session("s3"))
    assert recorder.flush(30)
    recorder.close()
    assert str(make_url(postgres_url).password) not in str(reports)
    with closing(History(postgres_url)) as history:
        assert [row["id"] for row in history.sessions()] == ["s1", "s2", "s3"]


def test_our_connections_are_known_by_name(postgres_url: str) -> None:
    engine = database_of(postgres_url).open_for_writing()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("show application_name").scalar_one() == "s2-mitm"
        assert connection.exec_driver_sql("show lock_timeout").scalar_one() == "5s"
        assert connection.exec_driver_sql("show tcp_keepalives_idle").scalar_one() == "10"
        assert connection.exec_driver_sql("show client_encoding").scalar_one() == "UTF8"
    engine.dispose()
