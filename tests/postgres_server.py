"""A throw-away PostgreSQL server, one a test process, and a database of it for each test.

A test module that has ``pytest_plugins = ["postgres_server"]`` has the fixtures. Without the
server's programs its tests are skipped, but fail in CI. ``S2_TEST_POSTGRESQL``, the URL of a user
who may make databases and logs in with a password, names a server to use instead.

PYTEST_DONT_REWRITE: test modules import it before pytest does.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

PASSWORD = "p@ss/w:rd"
_numbers = count(1)


class PostgresServer:
    """A server of our own on a free port of 127.0.0.1, which tests may stop and start."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "log"
        # The server refuses to run as root.
        self._user = _unprivileged() if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user, -1)
        self._port = _free_port()
        self._initialize()
        self.start()

    @property
    def url(self) -> URL:
        """As its superuser, with the password."""
        return URL.create(
            "postgresql", "tester", PASSWORD, "127.0.0.1", self._port, database="postgres"
        )

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "200",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._user,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                with connected(self.url):
                    return
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once, as if its machine had no power any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let all its processes stand still while the context lasts: connections stay open."""
        assert self._process is not None
        main = self._process.pid
        os.kill(main, signal.SIGSTOP)  # the first: it starts no more of them
        found = subprocess.run(["pgrep", "-P", str(main)], capture_output=True, check=True)
        processes = [main, *map(int, found.stdout.split())]
        try:
            for each in processes[1:]:
                _send(each, signal.SIGSTOP)
            yield
        finally:
            for each in processes:
                _send(each, signal.SIGCONT)

    def _initialize(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        program = self._programs / "initdb"
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        version = re.search(r"\d+", said.stdout)
        # A language that sorts otherwise than by character, where it does not depend on the system.
        language = ["--locale-provider=icu", "--icu-locale=en"]
        modern = version is not None and int(version[0]) >= 15
        subprocess.run(
            [
                *(program, "-D", self._data, "-U", "tester", "--pwfile", password, "--no-sync"),
                *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"),
                *(language if modern else []),
            ],
            check=True,
            capture_output=True,
            cwd=self._folder,
            user=self._user,
        )


class ForeignServer:
    """A server that somebody else runs, and nobody here may stop."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)

    def start(self) -> None:
        """It runs."""

    def stop(self) -> None:
        """Skip the test."""
        pytest.skip("the server of S2_TEST_POSTGRESQL is not ours to stop")

    def frozen(self) -> AbstractContextManager[None]:
        """Skip the test."""
        pytest.skip("the server of S2_TEST_POSTGRESQL is not ours to stop")


@pytest.fixture(scope="session")
def _server() -> Iterator[PostgresServer | ForeignServer]:
    if named := os.environ.get("S2_TEST_POSTGRESQL"):
        yield ForeignServer(named)
        return
    programs = _programs()
    if programs is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("the programs of a PostgreSQL server (initdb, postgres) are not here")
    folder = Path(tempfile.mkdtemp(prefix="s2-postgres-"))
    server = None
    try:
        server = PostgresServer(programs, folder)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def postgres(
    _server: PostgresServer | ForeignServer,
) -> Iterator[PostgresServer | ForeignServer]:
    """The server; it runs again after a test that stopped it."""
    yield _server
    if isinstance(_server, PostgresServer) and _server._process is None:
        _server.start()


@pytest.fixture
def postgres_url(postgres: PostgresServer | ForeignServer) -> Iterator[str]:
    """A database with nothing in it, as ``postgresql://`` URL with its password."""
    name = f"s2_{os.getpid()}_{next(_numbers)}"
    with connected(postgres.url) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield postgres.url.set(database=name).render_as_string(hide_password=False)
    if isinstance(postgres, PostgresServer) and postgres._process is None:
        postgres.start()
    with connected(postgres.url) as connection:
        drop = sql.SQL("drop database {} with (force)")
        connection.execute(drop.format(sql.Identifier(name)))


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a recording can be made: once a file, once a database of the server."""
    if request.param == "sqlite":
        return str(tmp_path / "s2.sqlite3")
    url: str = request.getfixturevalue("postgres_url")
    return url


@contextmanager
def connected(url: URL | str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection of the test's own, in which every statement counts at once."""
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    with psycopg.connect(text, autocommit=True, connect_timeout=10) as connection:
        yield connection


def _programs() -> Path | None:
    """The folder that has the newest server's programs."""
    places = [Path("/usr/local/bin"), Path("/usr/bin")]
    found = [path.parent for path in Path("/").glob("usr/lib/postgresql/*/bin/initdb")]
    places = [*sorted(found, key=lambda path: float(path.parent.name), reverse=True), *places]
    if config := shutil.which("pg_config"):
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True)
        places.append(Path(said.stdout.strip()))
    for place in places:
        if all((place / program).exists() for program in ("initdb", "postgres")):
            return place
    return None


def _send(process: int, with_signal: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, with_signal)


def _unprivileged() -> int:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    pytest.fail("there is no user postgres or nobody who could run the server for root")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
