"""A throw-away PostgreSQL server, one a test process, and a database of it for each test.

A test module that has ``pytest_plugins = ["postgres_server"]`` has the fixtures. Without the
server's programs its tests are skipped, but fail in CI. ``S2_TEST_POSTGRESQL``, the URL of a user
who may make databases and logs in with a password, names a server to use instead.

PYTEST_DONT_REWRITE: test modules import it before pytest does.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import pytest
from load.postgres import PASSWORD, PostgresServer, connected, server_programs
from psycopg import sql
from sqlalchemy import make_url

__all__ = ["PASSWORD", "ForeignServer", "PostgresServer", "connected"]

_numbers = count(1)


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
    programs = server_programs()
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
    if isinstance(postgres, PostgresServer) and not postgres.runs:
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
