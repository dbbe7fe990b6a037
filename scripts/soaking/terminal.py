"""Pause the terminal of a proxy, and see whether that holds the traffic or the end.

    scripts/soak terminal [--messages N] [--proxies NAME,…] [--json]

A proxy prints a line for each message (s2_log=all) to a terminal, and then to a pipe. Messages go
through it while that is read, and as many while nobody reads; then it is read again, paused once
more, and the proxy is ended. The exit status is 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from load.children import PATIENCE, ROOT, Child, MeasurementError, child, command, environment
from load.messages import opening, power_measurement
from load.proxies import RECORD, WITH_US, Kind

PROXIES = {"mitmdump": WITH_US, "record": RECORD}
READERS = ("terminal", "pipe")

RATE_GOAL = 0.8
"""Messages a second while nobody reads: while somebody does."""

MEMORY_GOAL = 10.0
"""Megabytes that the proxy may grow while nobody reads."""

END_GOAL = 5.0
"""Seconds from SIGTERM to its end, while nobody reads."""

_LEFT_OUT = re.compile(rb"^s2-mitm: (\d+) lines were left out ", re.MULTILINE)


@dataclass
class Paused:
    """What was measured of one proxy that prints to one kind of reader."""

    what: str
    reader: str
    messages: int
    read: float
    """Messages a second while it is read."""
    paused: float
    """The same while it is not."""
    grew: float
    left_out: int
    """Lines, of those that were printed meanwhile."""
    end: float
    missing: int
    """Messages that were not recorded."""

    @property
    def met(self) -> bool:
        return (
            self.paused >= RATE_GOAL * self.read
            and self.grew <= MEMORY_GOAL
            and self.end <= END_GOAL
            and self.left_out > 0
            and not self.missing
        )


class Reader:
    """Reads what a process prints, and can pause."""

    def __init__(self, kind: str) -> None:
        self._end, self.for_process = os.openpty() if kind == "terminal" else os.pipe()
        self._goes_on = threading.Event()
        self._got = b""
        self.left_out = 0
        self.resume()
        threading.Thread(target=self._read, daemon=True).start()

    def pause(self) -> None:
        self._goes_on.clear()

    def resume(self) -> None:
        self._goes_on.set()

    def close(self) -> None:
        self.resume()

    def _read(self) -> None:
        with suppress(OSError):  # as a terminal ends
            while self._goes_on.wait() and (data := os.read(self._end, 65536)):
                *whole, rest = (self._got + data).split(b"\n")
                self.left_out += sum(int(each[1]) for each in map(_LEFT_OUT.match, whole) if each)
                self._got = rest
        os.close(self._end)


async def soak_terminal(kind: Kind, reader_kind: str, messages: int) -> Paused:
    """Measure one proxy; MeasurementError where that does not work."""
    with tempfile.TemporaryDirectory(prefix="s2-soak-") as name:
        folder = Path(name)
        async with (
            child("the CEM", "load.peers", "cem") as cem,
            child("the RM", "load.peers", "rm") as rm,
        ):
            upstream = await cem.answer()
            reader = Reader(reader_kind)
            try:
                async with _printing(kind, upstream, folder, reader) as (proxy, port):
                    return await _measure(proxy, rm, port, reader, reader_kind, messages, folder)
            finally:
                reader.close()


async def _measure(
    proxy: Child, rm: Child, port: int, reader: Reader, kind: str, messages: int, folder: Path
) -> Paused:
    async def ask(do: str, **what: Any) -> Any:
        return await rm.ask({"do": do, "port": port, **what}, 600)

    script = {"opening": opening(time.time() - 1), "measurement": power_measurement()}
    await ask("open", **script, conversations=1)
    await ask("flood", messages=messages // 4)
    read = await ask("flood", messages=messages)
    before = (await proxy.ask())["memory"]
    reader.pause()
    paused = await ask("flood", messages=messages)
    grew = (await proxy.ask())["memory"] - before
    reader.resume()
    deadline = time.monotonic() + PATIENCE
    while not reader.left_out and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    reader.pause()
    await ask("flood", messages=messages)
    through = (await ask("close"))["messages"]
    began = time.monotonic()
    proxy.process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(proxy.process.wait(), PATIENCE)
    except TimeoutError:
        raise MeasurementError(f"{proxy.what} does not end while its {kind} is paused") from None
    end = time.monotonic() - began
    with closing(sqlite3.connect(folder / "s2.sqlite3")) as database:
        (recorded,) = database.execute("SELECT count(*) FROM messages").fetchone()
    return Paused(
        proxy.what,
        kind,
        messages,
        messages / read["seconds"],
        messages / paused["seconds"],
        grew / 1e6,
        reader.left_out,
        end,
        through - recorded,
    )


@asynccontextmanager
async def _printing(
    kind: Kind, upstream: int, folder: Path, reader: Reader
) -> AsyncIterator[tuple[Child, int]]:
    """A proxy that prints all it can, and the port that it is to have."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    line = ["--listen-host", "127.0.0.1", "-p", str(port), "--set", f"confdir={folder}/confdir"]
    line += ["--set", "s2_log=all", "--set", f"s2_db={folder}/s2.sqlite3"]
    if kind is RECORD:
        line = [f"ws://127.0.0.1:{upstream}", *line]
    else:
        line += ["--mode", f"reverse:http://127.0.0.1:{upstream}", "--set", "flow_detail=0"]
        line += ["-s", str(ROOT / "s2_mitm" / "addon.py")]
    process = await asyncio.create_subprocess_exec(
        *command("load.programs", kind.program, *line),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=reader.for_process,  # where it prints; its standard output is for answers
        env=environment(),
        start_new_session=True,
    )
    os.close(reader.for_process)
    try:
        yield Child(kind.name, process), port
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def show(paused: Paused) -> None:
    """What became of one proxy."""
    met = "met" if paused.met else "MISSED"
    print(
        f"{paused.what}, {paused.reader}: {paused.messages:,} messages at {paused.read:,.0f} a"
        f" second while it is read, {paused.paused:,.0f} while it is paused;"
        f" {paused.left_out:,} lines left out, and said; it grew {paused.grew:.1f} MB, ended within"
        f" {paused.end:.1f} s, {paused.missing:,} messages were not recorded: {met}",
        flush=True,
    )


def main(arguments: Sequence[str]) -> NoReturn:
    """Soak as the command line says, and exit with 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="soak terminal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--messages", type=int, default=30_000, help="in each part; 30,000")
    add("--proxies", default=",".join(PROXIES), metavar="NAME,…", help=", ".join(PROXIES))
    add("--json", action="store_true", help="JSON lines, one object a proxy and reader")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.proxies.split(",") if name not in PROXIES]:
        parser.error(f"there is no {unknown[0]}; there is {', '.join(PROXIES)}")
    missed = False
    for name in asked.proxies.split(","):
        for reader in READERS:
            try:
                paused = asyncio.run(soak_terminal(PROXIES[name], reader, asked.messages))
            except MeasurementError as problem:
                print(f"soak: {problem}", file=sys.stderr)
                sys.exit(1)
            if asked.json:
                print(json.dumps(vars(paused) | {"met": paused.met}), flush=True)
            else:
                show(paused)
            missed = missed or not paused.met
    sys.exit(1 if missed else 0)
