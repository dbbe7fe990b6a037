"""A throw-away PostgreSQL server: its programs must be installed, nothing else.

Needs the Python package psycopg.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL

PASSWORD = "p@ss/w:rd"


class NoUserError(Exception):
    """Nobody here can run the server; the text says why in one sentence."""


class NotStartedError(Exception):
    """The server does not run; the text is what its programs said."""


class PostgresServer:
    """A server of our own on a free port of 127.0.0.1, which can be frozen, stopped and started.

    ``programs`` is where `server_programs` found them, ``folder`` is empty and for its files.
    Raises NoUserError where nobody can run it, NotStartedError where it does not run.
    """

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
        """Start it and wait until it takes connections; NotStartedError where it never does."""
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
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it at once, as if its machine had no power any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    @property
    def runs(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._process is not None

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

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                with connected(self.url):
                    return
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise NotStartedError(self._log.read_text()) from None
                time.sleep(0.05)

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
        made = subprocess.run(
            [
                *(program, "-D", self._data, "-U", "tester", "--pwfile", password, "--no-sync"),
                *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"),
                *(language if modern else []),
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd=self._folder,
            user=self._user,
        )
        if made.returncode:
            raise NotStartedError(made.stderr)


@contextmanager
def connected(url: URL | str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection in which every statement counts at once."""
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    with psycopg.connect(text, autocommit=True, connect_timeout=10) as connection:
        yield connection


def server_programs() -> Path | None:
    """The folder that has the newest server's programs; None where they are not installed."""
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
    raise NoUserError("there is no user postgres or nobody who could run the server for root")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
