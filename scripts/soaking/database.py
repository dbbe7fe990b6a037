"""Freeze and kill a PostgreSQL server while a proxy records into it, and see what is missing then.

    scripts/soak database [--rounds N] [--seconds N] [--proxy record|mitmdump] [--json]

The server is one of its own. Some hundred messages a second go through the proxy. In each round the
server stands still for a quarter of the seconds, and then for all of them; once it is killed, and
started again after as long. Then the proxy is ended.

Each message must have been forwarded, and stand in the recording or in one of its gaps, and none
twice. What lasts longer than ten seconds must be said once, within ten seconds, and once when it is
over. How long the messages took meanwhile, and what the proxy grew, is measured.

The exit status is 1 where a goal is missed, and 2 where there is no PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
)
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, NoReturn

from load.children import PATIENCE, Child, MeasurementError
from load.messages import opening, power_measurement
from load.peers import (
    TEXT,
    BrokenOffError,
    ClientWebSocket,
    ServerWebSocket,
    Talks,
    WebSocket,
    answering,
)
from load.proxies import RECORD, WITH_US, Kind, running

from s2_mitm.history.database import RecordingError
from s2_mitm.history.queries import History

if TYPE_CHECKING:  # it needs a package that not everybody has
    from load.postgres import PostgresServer

PROXIES = {"record": RECORD, "mitmdump": WITH_US}

PAUSE = 0.004
"""Seconds between an answer and the next measurement."""

CALM = 3.0
"""Seconds of traffic before the first outage, and after each."""

TOLD_GOAL = 10.0
"""Seconds within which an outage that lasts longer must be said."""

FAILS = " cannot be written now ("
IS_OVER = " is written again; "
"""What the proxy says of its recording."""


class NoPostgresError(Exception):
    """There is no server to be had here; the text says why in one sentence."""


@dataclass
class Outage:
    """A time without the server, in seconds, and when the proxy said so, counted from its start."""

    how: str
    lasted: float
    said: list[float]
    over: list[float]

    @property
    def met(self) -> bool:
        """Whether it was said as it must be; what is over sooner may be said or not."""
        if self.lasted > TOLD_GOAL:
            return len(self.said) == len(self.over) == 1 and self.said[0] <= TOLD_GOAL
        return len(self.said) == len(self.over) <= 1


@dataclass
class Soaked:
    """What became of a proxy and its recording."""

    what: str
    outages: list[Outage] = field(default_factory=list)
    messages: int = 0
    """That were sent, both ways."""
    seconds: float = 0.0
    not_forwarded: int = 0
    """Messages that did not arrive, or not as they were sent, or out of order."""
    in_gaps: int = 0
    missing: int = 0
    """Neither in the recording nor in a gap."""
    twice: int = 0
    strange: int = 0
    """In the recording, but nobody sent them."""
    p50: float = 0.0
    p99: float = 0.0
    most: float = 0.0
    """Milliseconds of a round trip."""
    grew: float = 0.0
    """Megabytes, from before the first outage to after the last."""
    end: float = 0.0
    """Seconds from SIGTERM to the end of the proxy."""

    @property
    def met(self) -> bool:
        wrong = self.not_forwarded + self.missing + self.twice + self.strange
        return not wrong and all(outage.met for outage in self.outages)


# The peers


class _Remembering(WebSocket):
    """An end that knows what it sent and received, in order: a number for each message."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[int] = []
        self.received: list[int] = []

    def send(self, payload: bytes) -> None:
        self.sent.append(hash(payload))
        super().send(payload)

    def _received(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            self.received.append(hash(payload))
        super()._received(kind, payload)


class _RmEnd(_Remembering, ClientWebSocket):
    pass


class _CemEnd(_Remembering, ServerWebSocket):
    pass


class Peers:
    """An RM and a CEM that talk all the time, a measurement and its answer after the other."""

    def __init__(self) -> None:
        self._rm = _RmEnd()
        self._cem = _CemEnd()
        self._enough = False
        self._talking: asyncio.Task[list[float]] | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """The CEM listens while the context lasts, on the port that this yields."""
        server = await answering(lambda: self._cem)
        async with server:
            yield int(server.sockets[0].getsockname()[1])

    async def begin(self, port: int) -> None:
        """Open the conversation through the proxy on ``port``, and go on talking."""
        said = opening(time.time() - 1)
        talks = Talks(port, said, power_measurement(), lambda: self._rm)
        try:
            await talks.open(1)
        except (BrokenOffError, OSError) as problem:
            raise MeasurementError(f"no conversation through the proxy: {problem}") from None
        self._talking = asyncio.create_task(self._talk(talks))

    async def end(self) -> list[float]:
        """Close the conversation; the seconds that each round trip took."""
        assert self._talking is not None
        self._enough = True
        try:
            return await asyncio.wait_for(self._talking, PATIENCE)
        except TimeoutError:
            raise MeasurementError("the proxy holds the traffic") from None
        except BrokenOffError as problem:
            raise MeasurementError(str(problem)) from None

    async def _talk(self, talks: Talks) -> list[float]:
        trips: list[float] = []
        while not self._enough:
            trips += (await talks.trips(1.0, PAUSE))["trips"]
        await talks.close()
        return trips

    @property
    def sent(self) -> list[int]:
        """All that was, by both."""
        return self._rm.sent + self._cem.sent

    @property
    def not_forwarded(self) -> int:
        """How many messages arrived elsewhere in the order, or not at all, or were never sent."""
        ways = ((self._rm, self._cem), (self._cem, self._rm))
        return sum(_differences(one.sent, other.received) for one, other in ways)


def _differences(sent: list[int], received: list[int]) -> int:
    differ = sum(one != other for one, other in zip(sent, received, strict=False))
    return differ + abs(len(sent) - len(received))


# The outages


@asynccontextmanager
async def _frozen(server: PostgresServer) -> AsyncIterator[None]:
    with ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, server.frozen())
        yield


@asynccontextmanager
async def _killed(server: PostgresServer) -> AsyncIterator[None]:
    await asyncio.to_thread(server.stop)
    yield
    await asyncio.to_thread(server.start)


class _Printed:
    """What a proxy prints, and when; all of it goes on to our own standard error."""

    def __init__(self, proxy: Child) -> None:
        self._lines: list[tuple[float, str]] = []
        self._reading = asyncio.create_task(self._read(proxy))

    def since(self, began: float, words: str) -> list[float]:
        """When it said these words: seconds after ``began``, a time of the monotonic clock."""
        return [at - began for at, line in self._lines if at >= began and words in line]

    async def end(self) -> None:
        """Wait until all is read."""
        await asyncio.wait_for(self._reading, PATIENCE)

    async def _read(self, proxy: Child) -> None:
        assert proxy.process.stderr is not None
        async for line in proxy.process.stderr:
            text = line.decode(errors="replace")
            self._lines.append((time.monotonic(), text))
            print(text, end="", file=sys.stderr, flush=True)


async def _sit_out(
    how: str, outage: AbstractAsyncContextManager[None], seconds: float, printed: _Printed
) -> Outage:
    """Let it last, and wait until what was said of it is over, if that ever comes."""
    began = time.monotonic()
    async with outage:
        await asyncio.sleep(seconds)
    lasted = time.monotonic() - began
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if len(printed.since(began, IS_OVER)) >= len(printed.since(began, FAILS)):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(CALM)
    return Outage(how, lasted, printed.since(began, FAILS), printed.since(began, IS_OVER))


# The way


async def soak_database(kind: Kind, server: PostgresServer, rounds: int, seconds: float) -> Soaked:
    """Soak a new proxy of a kind; MeasurementError where that does not work."""
    soaked = Soaked(kind.name)
    url = server.url.render_as_string(hide_password=False)
    peers = Peers()
    with tempfile.TemporaryDirectory(prefix="s2-soak-") as name:
        async with (
            peers.listening() as upstream,
            running(kind, upstream, Path(name), url, printing=subprocess.PIPE) as (proxy, port),
        ):
            printed = _Printed(proxy)
            began = time.monotonic()
            await peers.begin(port)
            await asyncio.sleep(CALM)
            before = (await proxy.ask())["memory"]
            for number in range(rounds):
                for each in (seconds / 4, seconds):
                    outage = await _sit_out("frozen", _frozen(server), each, printed)
                    soaked.outages.append(outage)
                if number == rounds // 2:
                    outage = await _sit_out("killed", _killed(server), seconds, printed)
                    soaked.outages.append(outage)
            soaked.grew = ((await proxy.ask())["memory"] - before) / 1e6
            trips = await peers.end()
            soaked.seconds = time.monotonic() - began
            soaked.end = await _ended(proxy)
            await printed.end()
    percentiles = quantiles(trips, n=100)
    soaked.p50, soaked.p99 = percentiles[49] * 1e3, percentiles[98] * 1e3
    soaked.most = max(trips) * 1e3
    soaked.messages, soaked.not_forwarded = len(peers.sent), peers.not_forwarded
    try:
        _look_into(url, peers.sent, soaked)
    except RecordingError as problem:
        raise MeasurementError(str(problem)) from None
    return soaked


async def _ended(proxy: Child) -> float:
    began = time.monotonic()
    proxy.process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(proxy.process.wait(), PATIENCE)
    except TimeoutError:
        raise MeasurementError(f"{proxy.what} does not end") from None
    return time.monotonic() - began


def _look_into(url: str, sent: list[int], soaked: Soaked) -> None:
    """See what is in the recording, and whether it is what was sent."""
    places: Counter[int] = Counter()
    contents: Counter[int] = Counter()
    with closing(History(url)) as history:
        for row in history.messages():
            places[row["seq"]] += 1
            contents[hash(row["content"].encode())] += 1
        for session in history.sessions():
            for gap in history.gaps(session["id"]):
                places.update(range(gap["first_seq"], gap["last_seq"] + 1))
                soaked.in_gaps += gap["messages"]
    soaked.missing = len(set(range(1, len(sent) + 1)) - places.keys())
    soaked.twice = places.total() - len(places)
    soaked.strange = (contents - Counter(sent)).total()


# Printing


def show(soaked: Soaked) -> None:
    """The outages and the verdict."""
    for outage in soaked.outages:
        said = ", ".join(f"{at:.1f}" for at in outage.said) or "never"
        over = ", ".join(f"{at - outage.lasted:.1f}" for at in outage.over) or "never"
        print(
            f"{outage.how} for {outage.lasted:.1f} s: said after {said} s, over {over} s after"
            f" its end: {'met' if outage.met else 'MISSED'}"
        )
    rate = soaked.messages / soaked.seconds
    print(
        f"{soaked.what}: {soaked.messages:,} messages, {rate:,.0f} a second;"
        f" {soaked.not_forwarded:,} were not forwarded as they were sent;"
        f" {soaked.in_gaps:,} stand in gaps, {soaked.missing:,} nowhere, {soaked.twice:,} twice,"
        f" {soaked.strange:,} as nobody sent them; a round trip took {soaked.p50:.1f} ms (p50),"
        f" {soaked.p99:.1f} ms (p99), {soaked.most:.1f} ms at most; it grew {soaked.grew:.1f} MB,"
        f" ended within {soaked.end:.1f} s: {'met' if soaked.met else 'MISSED'}",
        flush=True,
    )


def as_row(soaked: Soaked) -> dict[str, Any]:
    """The same, for programs."""
    outages = [vars(outage) | {"met": outage.met} for outage in soaked.outages]
    return vars(soaked) | {"outages": outages, "met": soaked.met}


# The command


@contextmanager
def _server() -> Iterator[PostgresServer]:
    """A server that runs while the context lasts; NoPostgresError where it cannot."""
    if find_spec("psycopg") is None:
        raise NoPostgresError("the Python package for PostgreSQL, psycopg, is not here")
    from load.postgres import (
        NotStartedError,
        NoUserError,
        PostgresServer,
        server_programs,
    )

    programs = server_programs()
    if programs is None:
        raise NoPostgresError("the programs of a PostgreSQL server (initdb, postgres) are not here")
    with tempfile.TemporaryDirectory(prefix="s2-soak-") as name:
        try:
            server = PostgresServer(programs, Path(name))
        except NoUserError as problem:
            raise NoPostgresError(str(problem)) from None
        except NotStartedError as problem:
            raise MeasurementError(f"the PostgreSQL server does not run: {problem}") from None
        try:
            yield server
        finally:
            server.stop()


def main(arguments: Sequence[str]) -> NoReturn:
    """Soak as the command line says, and exit with 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="soak database",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rounds", type=int, default=10, help="how many; 10")
    add("--seconds", type=float, default=15.0, help="how long the server is away; 15")
    add("--proxy", choices=PROXIES, default="record", help="which proxy; record")
    add("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args(arguments)
    if asked.rounds < 1 or asked.seconds <= 0:
        parser.error("at least 1 round, and more than 0 seconds")
    kind = PROXIES[asked.proxy]
    try:
        with _server() as server:
            soaked = asyncio.run(soak_database(kind, server, asked.rounds, asked.seconds))
    except NoPostgresError as problem:
        print(f"soak: {problem}", file=sys.stderr)
        sys.exit(2)
    except MeasurementError as problem:
        print(f"soak: {problem}", file=sys.stderr)
        sys.exit(1)
    if asked.json:
        print(json.dumps(as_row(soaked)), flush=True)
    else:
        show(soaked)
    sys.exit(0 if soaked.met else 1)
