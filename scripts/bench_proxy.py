"""What s2-mitm costs a real proxy: mitmdump, with and without us, and what we have beside it.

`scripts/bench proxy` runs this. Every process is one of its own: a Resource Manager, a CEM, and the
proxies between them, each with a thread that says what it has used.
"""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench_processes import PATIENCE, ROOT, BenchError, Child, child
from bench_programs import WITHOUT_RULES

from s2_mitm.cli import cli

Message = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A proxy to be measured: its name, the program that it is, whether it records."""

    name: str
    program: str
    records: bool = True

    @property
    def is_there(self) -> bool:
        """Whether this checkout has it."""
        return self.program != "record" or "record" in cli.commands


PLAIN = Kind("plain mitmdump", "mitmdump", records=False)
WITH_US = Kind("s2-mitm", "mitmdump")
RECORD = Kind("s2-mitm record", "record")
NO_RULES = Kind("s2-mitm, no rules", WITHOUT_RULES)

USUAL = (PLAIN, WITH_US, RECORD)

COMPARED = ((WITH_US, PLAIN), (RECORD, PLAIN), (NO_RULES, PLAIN), (WITH_US, NO_RULES))
"""Whose figures are divided by whose, where both are measured."""


BUSY = ("proxy", "RM", "CEM")
"""Whose share of a core is measured while messages flow."""


@asynccontextmanager
async def running(
    kind: Kind,
    upstream: int,
    folder: Path,
    recording: Path | str,
    *arguments: str,
    printing: int | None = None,
) -> AsyncIterator[tuple[Child, int]]:
    """Run a proxy to the server on port ``upstream``: its process, and the port that it is to have.

    It may not listen there yet. ``folder`` is for what it keeps beside the recording, ``printing``
    is as for `child`.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    place = ["--listen-host", "127.0.0.1", "-p", str(port)]
    options = ["--set", f"confdir={folder}/confdir", "--set", "termlog_verbosity=error"]
    if kind.records:
        options += ["--set", "s2_log=none", "--set", f"s2_db={recording}"]
    if kind.program == "record":
        line = [f"ws://127.0.0.1:{upstream}", *place, *options]
    else:
        line = ["--mode", f"reverse:http://127.0.0.1:{upstream}", *place, *options]
        line += ["--set", "flow_detail=0"] if kind.program != "mitmweb" else []
        line += ["-s", str(ROOT / "s2_mitm" / "addon.py")] if kind.records else []
    line = ["bench_programs.py", kind.program, *line, *arguments]
    async with child(kind.name, *line, printing=printing) as process:
        yield process, port


async def at_rest(process: Child) -> float:
    """Wait until a proxy has written down what there was; its seconds of processor time by then."""
    used = float((await process.ask())["cpu"])
    for _ in range(400):
        await asyncio.sleep(0.15)
        before, used = used, float((await process.ask())["cpu"])
        if used - before < 0.01:
            return used
    raise BenchError(f"{process.what} does not come to rest")


@dataclass
class Figures:
    """What was measured of one proxy in one pair.

    ``trips`` are round trips in seconds. ``busy`` is the processor time of the proxy, the RM and
    the CEM while messages flowed, ``cpu`` that of the proxy until it was at rest again.
    """

    messages: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    busy: dict[str, float] = field(default_factory=lambda: dict.fromkeys(BUSY, 0.0))
    trips: list[float] = field(default_factory=list)
    peak: float = 0.0
    through: int = 0
    """Messages that it has seen when its peak was read, in all."""

    def row(self) -> Row:
        return {
            "rate": self.messages / self.seconds,
            "p50": median(self.trips) * 1e3,
            "p99": quantiles(self.trips, n=100)[98] * 1e3,
            "cpu": self.cpu / self.messages * 1e6,
            "peak": self.peak / 1e6,
            "through": self.through,
            **{f"{who} busy": self.busy[who] / self.seconds for who in BUSY},
        }


@dataclass
class Proxy:
    """A proxy that runs, what it is, where, and what was measured of it."""

    kind: Kind
    process: Child
    port: int
    figures: Figures = field(default_factory=Figures)


@dataclass(frozen=True)
class Script:
    """What the RM says: first these, answered one by one, and then this one again and again."""

    opening: Sequence[Message]
    measurement: Message


@dataclass(frozen=True)
class Task:
    """How to measure: which proxies, with how many conversations at once, how often, how long."""

    kinds: Sequence[Kind]
    conversations: int
    pairs: int
    seconds: float


async def measure(script: Script, task: Task, beside: Callable[[], Row] | None) -> list[Row]:
    """A row for each proxy and for each comparison, after so many pairs.

    In each pair the proxies are new; each has four turns, of so many seconds of throughput and half
    of that of round trips. ``beside`` measures something in this process, once a pair; its row is
    the last, with its ``cost`` as a share of what a message costs the plain one in that pair.
    """
    made: list[dict[Kind, Row]] = []
    costs: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="s2-bench-") as folder:
        async with (
            child("the CEM", "bench_peers.py", "cem") as cem,
            child("the RM", "bench_peers.py", "rm") as rm,
        ):
            upstream = await cem.answer()
            for turn in range(task.pairs):
                pair = _Pair(Path(folder), rm, cem, upstream, script, task)
                made.append(await pair.measure(turn))
                if beside:
                    costs.append(beside())
    common = {"conversations": task.conversations, "pairs": task.pairs}
    rows: list[Row] = [
        {**common, "what": kind.name}
        | {name: median(each[kind][name] for each in made) for name in made[0][kind]}
        for kind in task.kinds
    ]
    for kind, other in COMPARED:
        if kind not in made[0] or other not in made[0]:
            continue
        row: Row = {**common, "what": f"{kind.name} : {other.name}", "of": kind.name}
        for name in ("rate", "p50", "p99", "cpu"):
            ratios = [each[kind][name] / each[other][name] for each in made]
            row[name] = {"median": median(ratios), "least": min(ratios), "most": max(ratios)}
        rows.append(row)
    if costs:
        shares = [cost["cost"] / each[PLAIN]["cpu"] for cost, each in zip(costs, made, strict=True)]
        row = {name: median(cost[name] for cost in costs) for name in costs[0]}
        rows.append({**common, "what": "beside", **row, "share": median(shares)})
    return rows


@dataclass
class _Pair:
    folder: Path
    rm: Child
    cem: Child
    upstream: int
    script: Script
    task: Task

    async def measure(self, turn: int) -> dict[Kind, Row]:
        """Start the proxies, give each its turns, and see to it that it did its work."""
        kinds, seconds = self.task.kinds, self.task.seconds
        first = turn % len(kinds)
        async with AsyncExitStack() as stack:
            proxies = [
                await stack.enter_async_context(self._started(kind))
                for kind in (*kinds[first:], *kinds[:first])
            ]
            for proxy in proxies:
                await self._flood(proxy, min(0.5, seconds))  # to warm up
                proxy.figures = Figures()
            for proxy in 2 * (*proxies, *reversed(proxies)):
                await self._flood(proxy, seconds)
                await self._trips(proxy, seconds / 2)
            for proxy in proxies:
                proxy.figures.peak = (await proxy.process.ask())["peak"]
                closed = await self.rm.ask({"do": "close", "port": proxy.port})
                proxy.figures.through = closed["messages"]
        for proxy in proxies:
            if proxy.kind.records:
                self._check(proxy)
        return {proxy.kind: proxy.figures.row() for proxy in proxies}

    @asynccontextmanager
    async def _started(self, kind: Kind) -> AsyncIterator[Proxy]:
        """A proxy with its conversations open."""
        recording = self._recording(kind)
        recording.unlink(missing_ok=True)
        async with running(kind, self.upstream, self.folder, recording) as (process, port):
            opening = {
                "do": "open",
                "port": port,
                "conversations": self.task.conversations,
                "opening": self.script.opening,
                "measurement": self.script.measurement,
            }
            await self.rm.ask(opening, PATIENCE)
            yield Proxy(kind, process, port)

    def _recording(self, kind: Kind) -> Path:
        return self.folder / f"{self.task.kinds.index(kind)}.sqlite3"

    async def _flood(self, proxy: Proxy, seconds: float) -> None:
        before, cem = await at_rest(proxy.process), (await self.cem.ask())["cpu"]
        done = await self.rm.ask({"do": "flood", "port": proxy.port, "seconds": seconds}, seconds)
        at_once = (await proxy.process.ask())["cpu"]
        figures = proxy.figures
        figures.busy["proxy"] += at_once - before
        figures.busy["RM"] += done["cpu"]
        figures.busy["CEM"] += (await self.cem.ask())["cpu"] - cem
        figures.messages += done["messages"]
        figures.seconds += done["seconds"]
        figures.cpu += await at_rest(proxy.process) - before

    async def _trips(self, proxy: Proxy, seconds: float) -> None:
        done = await self.rm.ask({"do": "trips", "port": proxy.port, "seconds": seconds}, seconds)
        proxy.figures.trips += done["trips"]

    def _check(self, proxy: Proxy) -> None:
        """All was recorded, and nothing found: what is measured is what is meant."""
        name = proxy.kind.name
        recording = sqlite3.connect(self._recording(proxy.kind))
        try:
            (messages,) = recording.execute("SELECT count(*) FROM messages").fetchone()
            found = recording.execute("SELECT code, path, text FROM findings LIMIT 1").fetchone()
        finally:
            recording.close()
        if messages != proxy.figures.through:
            went = f"{proxy.figures.through} messages went through"
            raise BenchError(f"{name} has recorded {messages} messages, {went}")
        if found:
            raise BenchError(f"{name} has found what should not be there: {found}")
