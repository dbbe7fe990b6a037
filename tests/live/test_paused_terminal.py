"""A terminal that is paused, a pipe that nobody reads: neither the traffic nor the end waits."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from messages import handshake, measurement
from peers import Peer, PeerServer, new_path
from proxies import (
    ADDON,
    HAS_LOGIN,
    PATIENCE,
    assert_nothing_to_complain,
    command,
    free_port,
    is_listening,
    record_command,
    until,
)
from recordings import Recording

MESSAGES = 1500
"""More than a terminal or a pipe takes when nobody reads."""

LEFT_OUT = re.compile(r"^s2-mitm: (\d+) lines were left out here, for nobody took them\.$", re.M)


class Reader:
    """Who reads what a process prints, through a pseudo-terminal or a pipe, or does not."""

    def __init__(self, kind: str) -> None:
        self._reading, self.for_process = os.openpty() if kind == "terminal" else os.pipe()
        self._got = b""
        self._thread: threading.Thread | None = None

    @property
    def got(self) -> str:
        text = self._got.decode().replace("\r\n", "\n")  # as a terminal has it
        return re.sub(r"\x1b\[\d*m", "", text)  # without its colours

    def read_until(self, what: str) -> None:
        """Read up to there, and then no more."""
        while what not in self.got:
            self._got += os.read(self._reading, 4096)

    def read_on(self) -> None:
        """Read to the end."""
        self._thread = threading.Thread(target=self._read_on)
        self._thread.start()

    def go_away(self) -> None:
        os.close(self._reading)
        self._reading = -1

    def end(self) -> None:
        if self._thread:
            self._thread.join(PATIENCE)
        if self._reading >= 0:
            self.go_away()

    def _read_on(self) -> None:
        with suppress(OSError):  # as a terminal ends
            while data := os.read(self._reading, 65536):
                self._got += data


class Started:
    """A proxy that was started in ``folder``."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, port: int) -> None:
        self.process = process
        self.url = f"ws://127.0.0.1:{port}"
        self.recording = Recording(folder / "s2.sqlite3")

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(with_signal)
        assert self.process.wait(PATIENCE) == 0


@contextmanager
def started(
    program: str,
    folder: Path,
    upstream: int,
    reader: Reader,
    *,
    complaints: int | None = None,
) -> Iterator[Started]:
    """Run a proxy that says all it can to ``reader``; ``complaints`` is where its stderr goes."""
    port = free_port()
    process = subprocess.Popen(
        _line(program, folder, upstream, port),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=reader.for_process,
        stderr=reader.for_process if complaints is None else complaints,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    os.close(reader.for_process)
    try:
        until(lambda: is_listening(port), "the proxy listens", 60)
        yield Started(process, folder, port)
    finally:
        process.kill()
        process.wait()
        reader.end()


def _line(program: str, folder: Path, upstream: int, port: int) -> Sequence[str]:
    if program == "record":
        url = f"ws://127.0.0.1:{upstream}"
        return record_command(folder, url, "-p", str(port), s2_log="all")
    arguments = ["--listen-host", "127.0.0.1", "-p", str(port)]
    if program == "s2-mitm dump":
        line = [sys.executable, "-m", "s2_mitm.cli", "dump", f"ws://127.0.0.1:{upstream}"]
        return [*line, *arguments, "--set", f"confdir={folder}/confdir", "--set", "s2_log=all"]
    options = {"confdir": folder / "confdir", "s2_log": "all"}
    if program == "mitmweb":
        arguments += ["--no-web-open-browser"]
        options |= {"web_port": str(free_port())}
        options |= {"web_password": "only-for-this-test"} if HAS_LOGIN else {}
    else:
        options |= {"flow_detail": "3"}
    mode = f"reverse:http://127.0.0.1:{upstream}"
    return command(program, "-s", ADDON, "--mode", mode, *arguments, **options)


def talk(rm: Peer, cem: Peer, messages: int = MESSAGES, padding: int = 0) -> None:
    """Send so many messages, each with so many bytes more, and see each arrive."""
    rm.send(handshake())
    for number in range(messages - 1):
        rm.send(measurement(float(number), padding="x" * padding))
    for sent in rm.sent:
        assert cem.receive() == sent


@pytest.mark.parametrize(
    ("program", "kind", "with_signal"),
    [
        ("mitmdump", "terminal", signal.SIGTERM),
        ("mitmdump", "pipe", signal.SIGINT),
        ("record", "pipe", signal.SIGTERM),
        ("mitmweb", "terminal", signal.SIGINT),
    ],
)
def test_a_reader_that_pauses_holds_neither_the_traffic_nor_the_end(
    server: PeerServer, tmp_path: Path, program: str, kind: str, with_signal: signal.Signals
) -> None:
    path, reader = new_path(), Reader(kind)
    with (
        started(program, tmp_path, server.port, reader) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        talk(rm, cem)
        proxy.stop(with_signal)
    assert proxy.recording.said(path, "RM") == [sent.data for sent in rm.sent]


@pytest.mark.parametrize("kind", ["terminal", "pipe"])
def test_a_reader_that_goes_on_hears_what_it_missed(
    server: PeerServer, tmp_path: Path, kind: str
) -> None:
    reader = Reader(kind)
    with (
        started("mitmdump", tmp_path, server.port, reader) as proxy,
        server.pair(proxy.url) as (rm, cem),
    ):
        talk(rm, cem, 500, padding=5000)
        reader.read_on()
        until(lambda: LEFT_OUT.search(reader.got), "it says what was left out")
        rm.send(measurement())
        proxy.stop()
    reader.end()
    before, left_out, after = LEFT_OUT.split(reader.got)
    assert "reverse proxy to " in before
    assert before.count("RM  Handshake valid") == 1
    shown = before.count("RM  PowerMeasurement INVALID")
    assert 0 < shown < 499
    assert int(left_out) > 499 - shown
    # Of the last, and of nothing that was left out before.
    assert after.count("RM  PowerMeasurement") == after.count("RM  PowerMeasurement valid") == 1
    assert re.search(r" closed: S2 .* 501 messages, ", after)
    assert_nothing_to_complain(reader.got)


@pytest.mark.parametrize("program", ["mitmdump", "record"])
def test_a_reader_that_goes_away_holds_nothing_and_is_not_complained_of(
    server: PeerServer, tmp_path: Path, program: str
) -> None:
    path, reader = new_path(), Reader("pipe")
    with (
        (tmp_path / "complaints").open("wb") as complaints,
        started(program, tmp_path, server.port, reader, complaints=complaints.fileno()) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        reader.read_until("listening at")
        reader.go_away()
        talk(rm, cem)
        proxy.stop()
    assert proxy.recording.said(path, "RM") == [sent.data for sent in rm.sent]
    assert_nothing_to_complain((tmp_path / "complaints").read_text())


@pytest.mark.parametrize("program", ["s2-mitm dump", "record"])
def test_it_starts_where_nobody_has_read_for_long(
    server: PeerServer, tmp_path: Path, program: str
) -> None:
    reader = Reader("pipe")
    os.set_blocking(reader.for_process, False)
    with suppress(BlockingIOError):
        while True:
            os.write(reader.for_process, b"from before\n" * 100)
    os.set_blocking(reader.for_process, True)
    with (
        started(program, tmp_path, server.port, reader) as proxy,
        server.pair(proxy.url) as (rm, cem),
    ):
        talk(rm, cem, 10)
        reader.read_on()
        until(lambda: "RM  Handshake valid" in reader.got, "what waited is printed")
        proxy.stop()


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="its pipes are large")
def test_what_is_asked_for_is_printed_whole_however_late_it_is_read(tmp_path: Path) -> None:
    """`s2-mitm dump … --options | less` is no proxy: it waits for its reader."""
    line = [sys.executable, "-m", "s2_mitm.cli", "dump", "ws://127.0.0.1:9"]
    line += ["--set", f"confdir={tmp_path}", "--options"]
    at_once = subprocess.run(line, cwd=tmp_path, stdout=subprocess.PIPE, check=True).stdout
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, pipesize=4096)
    assert process.stdout is not None
    reading = process.stdout.fileno()
    until(lambda: _can_be_read(reading), "something is printed", 60)
    time.sleep(3)  # more than a proxy would wait
    output, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (0, at_once)


def _can_be_read(pipe: int) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("arguments", [["--options"], ["--set", "s2_log=every"]])
def test_what_nobody_wants_to_see_ends_at_once(tmp_path: Path, arguments: list[str]) -> None:
    line = [sys.executable, "-m", "s2_mitm.cli", "dump", "ws://127.0.0.1:9"]
    line += ["--set", f"confdir={tmp_path}", *arguments]
    process = subprocess.Popen(
        line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    complaints = process.stderr.read()
    process.wait(60)
    assert "Traceback" not in complaints
