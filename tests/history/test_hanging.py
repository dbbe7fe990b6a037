"""A database that hangs: it does not answer, and the recorder says so."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from postgres_server import ForeignServer, PostgresServer
from sqlalchemy import Engine, make_url
from test_outages import message, rows, session, wait_until

from s2_mitm.history import recorder as recorder_module
from s2_mitm.history.database import Database
from s2_mitm.history.recorder import Recorder, check_all
from s2_mitm.history.sqlite import SqliteFile
from s2_mitm.history.target import database_of
from s2_mitm.history.writer import Writer

pytest_plugins = ["postgres_server"]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorder reports a silent database sooner than it usually does."""
    monkeypatch.setattr(recorder_module, "SILENT_SECONDS", 0.5)


def wait_and_check(reached: Callable[[], object]) -> None:
    def checked() -> object:
        check_all()
        return reached()

    wait_until(checked)


class Tunnel:
    """Forwards to the server, and can swallow what is sent on its open connections."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._mute: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def mute(self) -> None:
        """Forward nothing more on the open connections, but keep them open."""
        self._mute |= self._open

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._server)
                self._open |= {near, far}
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source not in self._mute:
                    sink.sendall(data)
            if source not in self._mute:
                sink.shutdown(socket.SHUT_WR)


@contextmanager
def tunnel(url: str) -> Iterator[tuple[Tunnel, str]]:
    parts = make_url(url)
    assert parts.host
    assert parts.port
    way = Tunnel((parts.host, parts.port))
    through = parts.set(host="127.0.0.1", port=way.port)
    with closing(way):
        yield way, through.render_as_string(hide_password=False)


def test_a_frozen_server_is_told_of_once_and_its_gaps_say_why(
    soon: None,
    monkeypatch: pytest.MonkeyPatch,
    postgres: PostgresServer | ForeignServer,
    postgres_url: str,
) -> None:
    monkeypatch.setattr(recorder_module, "MOST_MESSAGES", 50)
    monkeypatch.setattr(recorder_module, "BATCH", 10)
    said: list[str] = []
    with closing(Recorder(postgres_url, said.append)) as recorder:
        recorder.session_opened(session())
        assert recorder.flush(30)
        with postgres.frozen():
            recorder.message(message(1))
            wait_until(lambda: recorder._began)
            # More than memory holds, before it can be known that the server hangs.
            for seq in range(2, 101):
                recorder.message(message(seq))
            assert not recorder.figures().failing
            wait_and_check(lambda: said)
            assert recorder.figures().failing
            for _ in range(10):
                recorder.check()
        assert recorder.flush(30)
        assert not recorder.figures().failing
    kept = [seq for (seq,) in rows(postgres_url, "select seq from messages order by seq")]
    [(first, last, reason)] = rows(postgres_url, "select first_seq, last_seq, reason from gaps")
    assert sorted([*kept, *range(first, last + 1)]) == list(range(1, 101))
    assert reason == "the database could not be written"
    began, over = said
    assert " cannot be written now (it does not answer); the traffic goes on, and up to" in began
    assert f"written again; {last + 1 - first} messages were lost (recorded as gaps)" in over


def test_a_connection_that_stays_mute_is_left_for_a_new_one(
    soon: None, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setattr(recorder_module, "PATIENCE_SECONDS", 1.0)
    said: list[str] = []
    with (
        tunnel(postgres_url) as (way, through),
        closing(Recorder(through, said.append)) as recorder,
    ):
        recorder.session_opened(session())
        recorder.message(message(1))
        assert recorder.flush(30)
        way.mute()
        recorder.message(message(2))
        wait_and_check(lambda: rows(postgres_url, "select seq from messages") == [(1,), (2,)])
        wait_and_check(lambda: len(said) == 2)
    assert "(it does not answer)" in said[0]
    assert said[1].endswith("is written again; nothing was lost.")


def test_what_is_slow_but_goes_on_gets_through(
    soon: None, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    """If the recorder gave up each time after the same wait, it would never be written."""
    monkeypatch.setattr(recorder_module, "PATIENCE_SECONDS", 0.5)
    store = Writer.store

    def slowly(writer: Writer, engine: Engine, *rest: Any) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("select pg_sleep(2)")
        store(writer, engine, *rest)

    monkeypatch.setattr(Writer, "store", slowly)
    with closing(Recorder(postgres_url, print)) as recorder:
        recorder.session_opened(session())
        recorder.message(message(1))
        wait_and_check(lambda: recorder.figures().written == 1)


def test_a_server_that_is_frozen_does_not_hold_the_end(
    postgres: PostgresServer | ForeignServer, postgres_url: str
) -> None:
    said: list[str] = []
    recorder = Recorder(postgres_url, said.append)
    recorder.session_opened(session())
    assert recorder.flush(30)
    with postgres.frozen():
        for seq in range(1, 8):
            recorder.message(message(seq))
        recorder.close(timeout=0.5)
    assert "could not be written to the end; 7 messages of the last were lost" in said[-1]


def test_a_disk_that_hangs_does_not_hold_the_caller(
    soon: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recorder_module, "KNOWN_SECONDS", 0.1)
    hangs = threading.Event()
    look, opening = SqliteFile._look, SqliteFile.open_for_writing

    def hanging_look(database: SqliteFile) -> None:
        hangs.wait()
        look(database)

    def hanging_opening(database: SqliteFile, **how: bool) -> object:
        hangs.wait()
        return opening(database, **how)

    monkeypatch.setattr(SqliteFile, "_look", hanging_look)
    monkeypatch.setattr(SqliteFile, "open_for_writing", hanging_opening)
    said: list[str] = []
    with closing(Recorder(f"{tmp_path}/s2.sqlite3", said.append)) as recorder:
        recorder.session_opened(session())
        recorder.message(message(1))
        wait_and_check(lambda: said)
        hangs.set()
        assert recorder.flush(30)
    assert "(it does not answer)" in said[0]
    assert said[1].endswith("is written again; nothing was lost.")
    assert rows(f"{tmp_path}/s2.sqlite3", "select seq from messages") == [(1,)]


def test_a_database_is_interrupted_only_once_it_is_open(
    soon: None, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    """A migration of a large recording may take long."""
    monkeypatch.setattr(recorder_module, "PATIENCE_SECONDS", 2.0)
    interrupted: list[Database] = []
    kind = type(database_of(postgres_url))
    opening = kind.open_for_writing

    def slow_opening(database: Database) -> object:
        time.sleep(4)
        return opening(database)

    monkeypatch.setattr(kind, "open_for_writing", slow_opening)
    monkeypatch.setattr(kind, "interrupt", lambda database: interrupted.append(database))
    said: list[str] = []
    with closing(Recorder(postgres_url, said.append)) as recorder:
        wait_and_check(lambda: len(said) == 2)
        assert interrupted == []
        assert recorder.flush(30)
