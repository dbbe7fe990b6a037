"""What s2-mitm costs a real proxy: mitmdump, with and without us, and what we have beside it.

`scripts/bench proxy` runs this. Every process is one of its own: a Resource Manager, a CEM, and the
proxies between them, each with a thread that says what it has used.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from load.children import PATIENCE, Child, MeasurementError, child
from load.messages import Message, opening, power_measurement
from load.proxies import NO_RULES, PLAIN, RECORD, USUAL, WITH_US, Kind, at_rest, running

from benchmarks.measuring import Options, Rows
from benchmarks.printing import print_goal, print_table
from benchmarks.rules import cost_of_layers
from benchmarks.sessions import LongSession

Row = dict[str, Any]


COMPARED = ((WITH_US, PLAIN), (RECORD, PLAIN), (NO_RULES, PLAIN), (WITH_US, NO_RULES))
"""Whose figures are divided by whose, where both are measured."""


SHARE_GOAL = 0.1
"""All rules together: of plain mitmdump's time a message."""

RATE_GOALS = {WITH_US.name: 0.92, RECORD.name: 1.5}
"""A proxy of ours : plain mitmdump, at least so many messages a second."""

TRIP_GOALS = {WITH_US.name: 1.08}
"""A proxy of ours : plain mitmdump, at most so long a round trip."""

BUSY = ("proxy", "RM", "CEM")
"""Whose share of a core is measured while messages flow."""


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


async def _measured(script: Script, task: Task, beside: Callable[[], Row] | None) -> list[Row]:
    """A row for each proxy and for each comparison, after so many pairs.

    In each pair the proxies are new; each has four turns, of so many seconds of throughput and half
    of that of round trips. ``beside`` measures something in this process, once a pair; its row is
    the last, with its ``cost`` as a share of what a message costs the plain one in that pair.
    """
    made: list[dict[Kind, Row]] = []
    costs: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="s2-bench-") as folder:
        async with (
            child("the CEM", "load.peers", "cem") as cem,
            child("the RM", "load.peers", "rm") as rm,
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
            raise MeasurementError(f"{name} has recorded {messages} messages, {went}")
        if found:
            raise MeasurementError(f"{name} has found what should not be there: {found}")


def measure(options: Options) -> Rows:
    """Rows for each number of conversations; without rules too, the last is what these cost."""
    session = LongSession()
    traffic = [*session.opening, *session.next(500)]

    def rules() -> Message:
        cost = cost_of_layers(traffic, 3 * options.seconds)[-1]
        return {"rules": cost["rules"], "cost": cost["rules"]}

    kinds = [kind for kind in USUAL if kind.is_there]
    kinds += [NO_RULES] if options.without_rules else []
    script = Script(opening(time.time() - 1), power_measurement())
    rows: Rows = []
    for conversations in options.conversations:
        task = Task(kinds, conversations, options.pairs, options.seconds)
        beside = rules if options.without_rules else None
        rows += asyncio.run(_measured(script, task, beside))
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The tables of this section, and whether its goals are met."""
    for conversations in dict.fromkeys(row["conversations"] for row in rows):
        of_these = [row for row in rows if row["conversations"] == conversations]
        ratios = [row for row in of_these if "of" in row]
        _print_proxies([row for row in of_these if "peak" in row], conversations)
        _print_ratios(ratios)
        print(
            "\nRound trips are one at a time. CPU: of the proxy, without the process that writes\n"
            "under load (some 15 µs more). Busy: the"
            "\nshare of a core that each used while messages flowed; where the RM or the CEM is"
            "\nnear 100 %, it and not the proxy is what was measured. Peak: after so many messages."
            "\nThe ratios are those of each pair: median (least – most)."
        )
        for row in ratios:
            if not row["what"].endswith(PLAIN.name):
                continue
            if goal := RATE_GOALS.get(row["of"]):
                what = f"Messages a second, {row['what']}"
                print_goal(what, row["rate"]["median"], goal, at_least=True)
            if goal := TRIP_GOALS.get(row["of"]):
                print_goal(f"Round trip p50, {row['what']}", row["p50"]["median"], goal)
        for row in of_these:
            if "share" in row:
                what = f"The rules, {row['rules']:.1f} µs (in this process)"
                print_goal(f"{what} : plain mitmdump's CPU a message", row["share"], SHARE_GOAL)
        if not RECORD.is_there:
            print("s2-mitm record is not measured: this checkout has no such command.\n")


def _print_proxies(rows: Sequence[dict[str, Any]], conversations: int) -> None:
    many = "conversation" if conversations == 1 else "conversations at once"
    pairs = "1 pair" if rows[0]["pairs"] == 1 else f"{rows[0]['pairs']} pairs"
    print(f"{conversations} {many} through real processes, {pairs}\n")
    names = ("messages/s", "round trip p50, ms", "p99, ms", "CPU a message, µs")
    busy = ("busy: proxy", "RM", "CEM")
    lines: list[tuple[str, ...]] = [("", *names, *busy, "peak, MB", "messages")]
    for row in rows:
        figures = (f"{row['rate']:,.0f}", f"{row['p50']:.2f}", f"{row['p99']:.2f}")
        shares = [f"{row[f'{who} busy']:.0%}" for who in BUSY]
        memory = (f"{row['peak']:,.0f}", f"{row['through']:,.0f}")
        lines.append((row["what"], *figures, f"{row['cpu']:,.0f}", *shares, *memory))
    print_table(lines, left=1)
    print()


def _print_ratios(rows: Sequence[dict[str, Any]]) -> None:
    def cell(ratio: dict[str, float]) -> str:
        return f"{ratio['median']:.2f} ({ratio['least']:.2f} – {ratio['most']:.2f})"

    lines = [("", "messages/s", "round trip p50", "p99", "CPU a message")]
    for row in rows:
        rate, p50, p99, cpu = (cell(row[name]) for name in ("rate", "p50", "p99", "cpu"))
        lines.append((row["what"], rate, p50, p99, cpu))
    print_table(lines, left=1)
