"""Let s2-mitm run for long, and see whether it stays as it was: real processes, at full speed.

    scripts/soak [--messages N] [--connections N] [--web-messages N] [--web-connections N]
                 [--proxies NAME,…] [--page open|selected|none] [--quick] [--json] [--objects]
    scripts/soak terminal … pauses the terminal meanwhile; `scripts/soak terminal --help` says how.
    scripts/soak database … freezes and kills a PostgreSQL server; so says its `--help`.
    scripts/soak streams … plays random WebSocket streams; `scripts/soak streams --help` says how.
    scripts/soak examples … lets the property tests draw new examples; so does its `--help`.

First many messages go over one connection, then there are many connections one after the other,
each with a handshake and a few messages, of which one is wrong now and then. So for mitmdump with
our addon, for `s2-mitm record`, and for mitmweb, while its page is open in a browser without a
window. What is measured is the memory of the proxy, at rest after each part of the way, and its
processor time a message; what is checked is that all of it is in the recording.

The exit status is 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any, NoReturn

from load.children import PATIENCE, Child, MeasurementError, child
from load.messages import opening, power_measurement
from load.proxies import RECORD, WITH_US, Kind, at_rest, running
from mitmproxy.version import VERSION

MEMORY_GOAL = 30.0
"""Megabytes that a proxy may have grown since the first messages, at most."""

COST_GOAL = 1.2
"""Processor time a message: that at the end, times that at the start."""

FIRST = 10_000
"""Messages after which a proxy has loaded and filled what it will."""

POINTS, VISIT_POINTS = 20, 10
"""How often it is looked at on its way, over one connection and over many."""

PART = 1000
"""Messages between two looks, at least."""

PART_SECONDS = 3600.0
"""Within which each part of the way is done."""

MEASUREMENTS = 5
"""In each of many connections, after its handshake."""

MISTAKES = 10
"""Each so manieth of them has one."""

WEB = Kind("s2-mitm in mitmweb", "mitmweb")
PROXIES = {"mitmdump": WITH_US, "record": RECORD, "mitmweb": WEB}

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Load:
    """What a proxy is to carry, and what its user looks at meanwhile."""

    messages: int
    connections: int
    page: str

    @property
    def first(self) -> int:
        """Messages before what counts."""
        return min(FIRST, self.messages // 5)


@dataclass(frozen=True)
class Point:
    """What was seen on the way.

    After so many messages or connections in all: bytes of memory, and the microseconds of processor
    time that each took since the point before. ``pace`` is what a fixed piece of work took
    meanwhile: other work on the machine slows both.
    """

    after: int
    memory: float
    cost: float
    pace: float


@dataclass
class Soaked:
    """What became of a proxy: the points on its way, and what is in its recording."""

    what: str
    messages: list[Point] = field(default_factory=list)
    connections: list[Point] = field(default_factory=list)
    missing: str = ""
    """What was not recorded."""
    size: int = 0
    objects: dict[str, int] = field(default_factory=dict)

    @property
    def grew(self) -> float:
        """Megabytes, from the first messages to the end."""
        return ((self.connections or self.messages)[-1].memory - self.messages[0].memory) / 1e6

    @property
    def cost_ratio(self) -> float:
        return _end_to_start(self.messages[1:])

    @property
    def met(self) -> bool:
        return not self.missing and self.grew <= MEMORY_GOAL and self.cost_ratio <= COST_GOAL


def _end_to_start(points: Sequence[Point]) -> float:
    """What one costs in the last third of the way: in the first.

    As if the machine had been as fast all the time.
    """
    costs = [point.cost / point.pace for point in points]
    third = max(1, len(costs) // 3)
    return median(costs[-third:]) / median(costs[:third])


class Pace:
    """How slow the machine is: a fixed piece of work, done now and then while the context lasts."""

    def __init__(self) -> None:
        self._took: list[float] = []

    async def __aenter__(self) -> Pace:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    def since_last(self) -> float:
        """Microseconds of processor time that it took since this was asked last, on average."""
        took, self._took = self._took or [_work()], []
        return fmean(took)

    async def _watch(self) -> None:
        while True:
            self._took.append(_work())
            await asyncio.sleep(0.1)


def _work() -> float:
    start = time.process_time()
    for _ in range(20):
        json.loads(json.dumps(_MEASUREMENT))
    return (time.process_time() - start) * 1e6


_MEASUREMENT = power_measurement()


# The way


async def soak(kind: Kind, load: Load, *, count_objects: bool) -> Soaked:
    """Send it all through a new proxy; MeasurementError where that does not work."""
    soaked = Soaked(kind.name)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s2-soak-")))
        recording = folder / "s2.sqlite3"
        cem = await stack.enter_async_context(child("the CEM", "load.peers", "cem"))
        rm = await stack.enter_async_context(child("the RM", "load.peers", "rm"))
        upstream = await cem.answer()
        async with (
            Pace() as pace,
            _running(kind, upstream, folder, recording, load.page) as (process, port, page),
        ):
            way = _Way(process, rm, port, pace, soaked)
            await way.open()
            await page.select()
            await way.over_one_connection(load.messages, load.first)
            await way.over_many(load.connections)
            if count_objects:
                soaked.objects = await process.ask("objects")
        _look_into(recording, soaked, way, 1 + load.connections)
    return soaked


class Page:
    """mitmweb's page in a browser; where there is no browser, or no mitmweb, nothing."""

    def __init__(self, page: Any, *, selects: bool) -> None:
        self._page = page
        self._selects = selects

    async def select(self) -> None:
        """Choose the only flow, if that is wanted, so that its messages are shown."""
        if self._selects:
            await self._page.locator(".flow-table td.col-path").first.click()
            await self._page.locator(".flow-detail nav a", has_text="WebSocket").click()


@asynccontextmanager
async def _running(
    kind: Kind, upstream: int, folder: Path, recording: Path, shown: str
) -> AsyncIterator[tuple[Child, int, Page]]:
    if kind is not WEB:
        async with running(kind, upstream, folder, recording) as (process, port):
            yield process, port, Page(None, selects=False)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        web_port = int(probe.getsockname()[1])
    password = "only-for-this-soak"
    arguments = ["--no-web-open-browser", "--set", f"web_port={web_port}"]
    url = f"http://127.0.0.1:{web_port}"
    if tuple(map(int, VERSION.split(".")[:3])) >= (11, 1, 2):  # it has a login
        arguments += ["--set", f"web_password={password}"]
        url += f"/?token={password}"
    async with running(kind, upstream, folder, recording, *arguments) as (process, port):
        if shown == "none":
            yield process, port, Page(None, selects=False)
            return
        async with _page(url) as page:
            yield process, port, Page(page, selects=shown == "selected")


@asynccontextmanager
async def _page(url: str) -> AsyncIterator[Any]:
    from playwright.async_api import Error, async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=_browser(), args=["--no-sandbox"]
        )
        page = await browser.new_page()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                await page.goto(url)
                break
            except Error:  # it does not listen yet
                if time.monotonic() > deadline:
                    raise MeasurementError("mitmweb does not show its page") from None
                await asyncio.sleep(0.1)
        yield page
        await browser.close()


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def why_no_page() -> str | None:
    """What is not there that a page needs, in a sentence."""
    try:
        import playwright.async_api  # noqa: F401
    except ImportError:
        return "its page needs the Python package playwright."
    return None if _browser() else f"there is no browser for its page: {', '.join(BROWSERS)}."


@dataclass
class _Way:
    """Through one proxy, which is looked at after each part of it."""

    process: Child
    rm: Child
    port: int
    pace: Pace
    soaked: Soaked
    mistakes: int = 0
    through: int = 0

    async def open(self) -> None:
        script = {"opening": opening(time.time() - 1), "measurement": power_measurement()}
        await self._ask("open", **script, conversations=1)

    async def over_one_connection(self, messages: int, first: int) -> None:
        after = 0
        points = min(POINTS, messages // PART)
        for part in (first, *_parts(messages - first, points)):
            before, after = await at_rest(self.process), after + part
            await self._ask("flood", messages=part)
            self.soaked.messages.append(await self._look(after, part, before))
        await self._ask("close")

    async def over_many(self, connections: int) -> None:
        after = 0
        for part in _parts(connections, VISIT_POINTS):
            before, after = await at_rest(self.process), after + part
            how = {"measurements": MEASUREMENTS, "mistakes": min(MISTAKES, part)}
            self.mistakes += (await self._ask("visits", connections=part, **how))["mistakes"]
            self.soaked.connections.append(await self._look(after, part, before))
        self.through = (await self._ask("close"))["messages"]

    async def _look(self, after: int, part: int, before: float) -> Point:
        cost = (await at_rest(self.process) - before) / part * 1e6
        memory = (await self.process.ask())["memory"]
        return Point(after, memory, cost, self.pace.since_last())

    async def _ask(self, do: str, **what: Any) -> Any:
        return await self.rm.ask({"do": do, "port": self.port, **what}, PART_SECONDS)


def _parts(whole: int, number: int) -> list[int]:
    """About equal parts of a number, all even but perhaps the last."""
    part = max(2, -(-whole // number) // 2 * 2)
    sizes = [min(part, whole - start) for start in range(0, whole, part)]
    return [size for size in sizes if size > 0]


def _look_into(recording: Path, soaked: Soaked, way: _Way, connections: int) -> None:
    """See whether all of it was recorded, and what was wrong was seen to be."""
    should = {
        "SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL": (connections, "sessions"),
        "SELECT count(*) FROM messages": (way.through, "messages"),
        "SELECT count(*) FROM messages WHERE NOT valid": (way.mistakes, "messages not valid"),
    }
    with closing(sqlite3.connect(recording)) as database:
        for query, (number, what) in should.items():
            (there,) = database.execute(query).fetchone()
            if there != number:
                soaked.missing = f"{there:,} {what} were recorded, of {number:,}"
                break
    soaked.size = recording.stat().st_size


# Printing


def show(soaked: Soaked) -> None:
    """The curves and the verdict of one proxy."""
    print(f"{soaked.what}\n")
    _print_curve("over one connection, messages", "CPU a message, µs", soaked.messages)
    _print_curve("one after another, connections", "CPU each, µs", soaked.connections)
    size = f"{soaked.size / 1e6:,.1f} MB"
    print("Pace: of a fixed piece of work meanwhile; what else goes on slows both.")
    print(f"The recording: {soaked.missing or 'everything is in it'}; {size}.")
    first = soaked.messages[0].after
    _print_goal(f"It grew since the first {first:,} messages, MB", soaked.grew, MEMORY_GOAL)
    _print_goal("A message at the end : at the start", soaked.cost_ratio, COST_GOAL)
    if len(soaked.connections) > 1:
        ratio = _end_to_start(soaked.connections)
        print(f"A connection at the end : at the start: {ratio:.2f}")
    if soaked.objects:
        print("\nObjects at the end, of the most frequent types:")
        for name, number in soaked.objects.items():
            print(f"{number:>10,}  {name}")
    print(flush=True)


def _print_curve(what: str, cost: str, points: Sequence[Point]) -> None:
    if not points:
        return
    most = max(point.memory for point in points)
    print(f"{what:>30}  memory, MB  {cost:>18}  pace, µs")
    for point in points:
        bar = "▇" * round(30 * point.memory / most)
        figures = f"{point.memory / 1e6:>10,.1f}  {point.cost:>18,.0f}  {point.pace:>8,.0f}"
        print(f"{point.after:>30,}  {figures}  {bar}")
    print()


def _print_goal(what: str, figure: float, goal: float) -> None:
    print(f"{what}: {figure:.2f}, goal ≤ {goal:g}: {'met' if figure <= goal else 'MISSED'}")


def as_row(soaked: Soaked) -> dict[str, Any]:
    """What there is to know of a proxy, for programs."""
    return {
        "what": soaked.what,
        "messages": [vars(point) for point in soaked.messages],
        "connections": [vars(point) for point in soaked.connections],
        "grew": round(soaked.grew, 3),
        "cost_ratio": round(soaked.cost_ratio, 3),
        "recorded": not soaked.missing,
        "missing": soaked.missing,
        "size": soaked.size,
        "met": soaked.met,
        **({"objects": soaked.objects} if soaked.objects else {}),
    }


# The command


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PROXIES]:
        there = ", ".join(PROXIES)
        raise argparse.ArgumentTypeError(f"there is no {unknown[0]}; there is {there}")
    return names


def _why_not(name: str, page: str) -> str | None:
    """Why a proxy cannot be soaked here, in a sentence."""
    if not PROXIES[name].is_there:
        return "this checkout has no such command."
    return why_no_page() if name == "mitmweb" and page != "none" else None


def main(arguments: Sequence[str]) -> NoReturn:
    """Soak what is asked for, and say how it went."""
    parser = argparse.ArgumentParser(
        prog="soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--messages", type=int, default=1_000_000, help="over one connection; 1,000,000")
    add("--connections", type=int, default=1000, help="one after another; 1,000")
    add("--web-messages", type=int, default=100_000, help="through mitmweb; 100,000")
    add("--web-connections", type=int, default=1000, help="through mitmweb; 1,000")
    add("--proxies", type=_names, default=[*PROXIES], metavar="NAME,…", help=", ".join(PROXIES))
    pages = ("open", "selected", "none")
    add("--page", choices=pages, default="open", help="mitmweb's, and the flow on it; open")
    add("--quick", action="store_true", help="a minute's worth, which shows only that it works")
    add("--json", action="store_true", help="JSON lines, one object a proxy")
    add("--objects", action="store_true", help="count the proxy's Python objects at the end")
    asked = parser.parse_args(arguments)
    usual = Load(asked.messages, asked.connections, asked.page)
    web = Load(asked.web_messages, asked.web_connections, asked.page)
    if asked.quick:
        usual, web = Load(10_000, 40, asked.page), Load(4_000, 20, asked.page)
    if min(usual.messages, web.messages) < 1000 or min(usual.connections, web.connections) < 1:
        parser.error("at least 1,000 messages and 1 connection")
    missed = False
    for name in asked.proxies:
        kind = PROXIES[name]
        if reason := _why_not(name, asked.page):
            print(f"{kind.name} is not soaked: {reason}\n", file=sys.stderr, flush=True)
            continue
        load = web if kind is WEB else usual
        try:
            soaked = asyncio.run(soak(kind, load, count_objects=asked.objects))
        except MeasurementError as problem:
            print(f"soak: {problem}", file=sys.stderr)
            sys.exit(1)
        if asked.json:
            print(json.dumps(as_row(soaked)), flush=True)
        else:
            show(soaked)
        missed = missed or not soaked.met
    sys.exit(1 if missed else 0)
