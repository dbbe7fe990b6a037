"""The real mitmdump and mitmweb with the addon, each a process of its own, on free ports."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader
from mitmproxy.version import VERSION
from recordings import Recording

from s2_mitm.s2.rules import FINDING_TYPES

T = TypeVar("T")

ADDON = Path(__file__).parents[2] / "s2_mitm" / "addon.py"

BY_THEMSELVES = ",".join(
    sorted({f"{kind.family}.*" for kind in FINDING_TYPES.values() if kind.is_rule})
)
"""For s2_ignore: no rule of the conversation says anything, each message is judged by itself."""

PATIENCE = 15.0
"""Seconds to wait for what must come; a loaded machine takes its time."""

HAS_LOGIN = tuple(map(int, VERSION.split(".")[:3])) >= (11, 1, 2)
"""Whether this mitmweb asks for a password."""

_START_PATIENCE = 60.0
_PASSWORD = "only-for-this-test"
_COMPLAINTS = ("Traceback", "Addon error", "error in script", "a fault of its own", "\x1b", "\x07")

# Python 3.11's own words when a server is stopped while a connection is open.
_OF_PYTHON_3_11 = re.compile(
    r"^Exception in callback StreamReaderProtocol\.connection_made\..*?^\S*CancelledError$",
    re.DOTALL | re.MULTILINE,
)


def until(condition: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """Wait until ``condition()`` is true, and return what it returned."""
    deadline = time.monotonic() + patience
    while True:
        if result := condition():
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} seconds in vain: {what}")
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def command(program: str | Sequence[str], *arguments: str | Path, **options: Any) -> list[str]:
    """A command line for one of mitmproxy's programs; a flow filter is the last argument.

    What stands for such a program is a command line of its own.
    """
    line = [*program]
    if isinstance(program, str):
        script = Path(sys.executable).with_name(program)
        of_module = f"from mitmproxy.tools.main import {program}; {program}()"
        line = [str(script)] if script.exists() else [sys.executable, "-c", of_module]
    for name, value in {"s2_ignore": BY_THEMSELVES, **options}.items():
        line += ["--set", f"{name}={value}"]
    return line + [str(argument) for argument in arguments]


def run(folder: Path, *arguments: str | Path, **options: Any) -> tuple[int, str]:
    """Run mitmdump with the addon until it ends by itself: its exit status and its output."""
    line = command("mitmdump", "-s", ADDON, *arguments, confdir=folder / "confdir", **options)
    done = subprocess.run(
        line,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_START_PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout.decode()


class Proxy:
    """A proxy that runs, or ran. It was started in ``folder``, where its files are."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._is_killed = False
        self.folder = folder
        self.recording = Recording(folder / "s2.sqlite3")
        self.port = until(self._listening_port, "the proxy listens", _START_PATIENCE)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """All that it printed so far."""
        return (self.folder / "output.txt").read_text(encoding="utf-8")

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> None:
        """End it, unless it has ended, and see to it that it did so in order or was killed."""
        if self._process.poll() is None:
            self._process.send_signal(with_signal)
        status = -signal.SIGKILL if self._is_killed else 0
        assert self._process.wait(_START_PATIENCE) == status, self.output

    def kill(self) -> None:
        """End it without giving it a moment."""
        assert self._process.poll() is None, self.output
        self._is_killed = True
        self._process.kill()
        self._process.wait()

    def saved_flows(self) -> list[HTTPFlow]:
        """The flows of a proxy that was started with ``-w flows`` and is stopped."""
        return saved_flows(self.folder / "flows")

    def _listening_port(self) -> int | None:
        assert self._process.poll() is None, f"the proxy did not start:\n{self.output}"
        place = re.search(r"reverse proxy to \S+ listening at 127\.0\.0\.1:(\d+)", self.output)
        return int(place[1]) if place else None


@contextmanager
def running(
    folder: Path,
    upstream: int,
    *arguments: str | Path,
    program: str | Sequence[str] = "mitmdump",
    scheme: str = "http",
    addon: Path = ADDON,
    **options: Any,
) -> Iterator[Proxy]:
    """Run a proxy to the server on port ``upstream`` while the context lasts.

    When it ends, the proxy must stop in order, and have had nothing to complain about.
    """
    line = command(
        program,
        *("-s", addon, "--mode", f"reverse:{scheme}://127.0.0.1:{upstream}"),
        *("--listen-host", "127.0.0.1", "-p", "0", *arguments),
        confdir=folder / "confdir",
        **options,
    )
    with _run(folder, line) as proxy:
        yield proxy


@contextmanager
def running_record(
    folder: Path, upstream: int, *arguments: str | Path, scheme: str = "ws", **options: Any
) -> Iterator[Proxy]:
    """As `running`, with ``s2-mitm record``."""
    url = f"{scheme}://127.0.0.1:{upstream}"
    with _run(folder, record_command(folder, url, "-p", "0", *arguments, **options)) as proxy:
        yield proxy


def record_command(folder: Path, url: str, *arguments: str | Path, **options: Any) -> list[str]:
    """A command line for ``s2-mitm record``."""
    line = [sys.executable, "-m", "s2_mitm.cli", "record", url]
    line += ["--listen-host", "127.0.0.1"]
    for name, value in {"confdir": folder / "confdir", **options}.items():
        line += ["--set", f"{name}={value}"]
    return line + [str(argument) for argument in arguments]


@contextmanager
def _run(folder: Path, line: list[str]) -> Iterator[Proxy]:
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            line,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        proxy = Proxy(process, folder)
        yield proxy
        proxy.stop()
        assert_nothing_to_complain(proxy.output)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def assert_nothing_to_complain(output: str) -> None:
    output = _OF_PYTHON_3_11.sub("", output)
    for complaint in _COMPLAINTS:
        assert complaint not in output, output


def saved_flows(file: Path) -> list[HTTPFlow]:
    with file.open("rb") as opened:
        flows = list(FlowReader(opened).stream())
    assert all(isinstance(flow, HTTPFlow) for flow in flows)
    return [flow for flow in flows if isinstance(flow, HTTPFlow)]


class Web:
    """The page and the REST interface of a mitmweb."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.page = f"{self.address}/?token={_PASSWORD}" if HAS_LOGIN else self.address
        # A token of our own will do: mitmweb asks only that cookie and header are the same.
        self._headers = {
            "Authorization": f"Bearer {_PASSWORD}",
            "Cookie": "_xsrf=token; _mitmproxy_xsrf=token",
            "X-XSRFToken": "token",
            "Content-Type": "application/json",
        }
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        until(self._is_up, "mitmweb serves its page", _START_PATIENCE)

    def get(self, path: str) -> Any:
        return self._ask(path)

    def call(self, name: str, *arguments: str) -> dict[str, Any]:
        """Run one of mitmproxy's commands: what it returns as "value", or why not as "error"."""
        result = self._ask(f"/commands/{name}", {"arguments": arguments})
        assert isinstance(result, dict)
        return result

    def flow(self, path: str) -> dict[str, Any]:
        """mitmweb's flow with this path."""

        def look() -> dict[str, Any] | None:
            flows = self.get("/flows")
            return next((flow for flow in flows if flow["request"]["path"] == path), None)

        return until(look, f"mitmweb has a flow {path}")

    def shown(self, path: str) -> list[str]:
        """The messages of a flow, in the content view that mitmweb chooses for each."""
        flow_id = self.flow(path)["id"]
        return list(map(_shown, self.get(f"/flows/{flow_id}/messages/content/auto.json")))

    def _is_up(self) -> bool:
        try:
            self.get("/flows")
        except urllib.error.URLError:
            return False
        return True

    def post(self, path: str, body: object, **headers: str) -> Any:
        """Send JSON, with these headers in place of, or besides, those of a program."""
        return self._ask(path, body, headers)

    def set(self, **options: str) -> str:
        """Set options as the page does; returns why not, empty where they are set."""
        try:
            self._ask("/options", options, method="PUT")
        except urllib.error.HTTPError as refusal:
            return refusal.read().decode()
        return ""

    def _ask(
        self,
        path: str,
        body: object = None,
        headers: Mapping[str, str] = {},
        method: str | None = None,
    ) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, **headers}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        with self._opener.open(request, timeout=PATIENCE) as answer:
            said = answer.read()
            return json.loads(said) if said else None


def _shown(message: dict[str, Any]) -> str:
    # Before mitmproxy 12 it comes in lines, each of parts with a style.
    if "lines" in message:
        return "\n".join("".join(text for _, text in line) for line in message["lines"])
    return str(message["text"])


@contextmanager
def running_mitmweb(
    folder: Path, upstream: int, *arguments: str | Path, **options: Any
) -> Iterator[tuple[Proxy, Web]]:
    """As `running`, with mitmweb."""
    port = free_port()
    if HAS_LOGIN:
        options["web_password"] = _PASSWORD
    with running(
        folder,
        upstream,
        "--no-web-open-browser",
        *arguments,
        program="mitmweb",
        web_port=str(port),
        **options,
    ) as proxy:
        yield proxy, Web(port)


def _environment() -> dict[str, str]:
    # What it prints must be there when it happens, and in one encoding everywhere.
    return os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
