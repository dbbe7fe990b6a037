"""What s2-mitm costs a real mitmdump: the peers that talk through it, and who compares the two.

`scripts/bench proxy` runs this. Every process is this file: a Resource Manager, a CEM, and around
each mitmdump a thread that says what it has used. All end when their standard input does, so that
none of them outlives the one that started it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

# No import of what only a peer needs: it would be in the memory of every mitmdump.

Message = dict[str, Any]
Row = dict[str, Any]

PLAIN, WITH_US, WITHOUT_RULES = "plain mitmdump", "s2-mitm", "s2-mitm, no rules"
PROXIES = (PLAIN, WITH_US, WITHOUT_RULES)
COMPARED = ((WITH_US, PLAIN), (WITHOUT_RULES, PLAIN), (WITH_US, WITHOUT_RULES))

WINDOW = 8
"""Measurements on their way in each conversation while throughput is measured."""

PATIENCE = 60.0
"""Seconds after which a process that does not do as it is told has failed."""

ROOT = Path(__file__).resolve().parent.parent


class BenchError(Exception):
    """The measurement failed; the text says why in one sentence."""


# The processes


@dataclass
class Child:
    """A process of this file. A question is a line of JSON, and so is the answer."""

    what: str
    process: asyncio.subprocess.Process

    async def ask(self, question: Any = None, seconds: float = 0.0) -> Any:
        """The answer to a question, which may take ``seconds`` and some patience."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        return await self.answer(seconds)

    async def answer(self, seconds: float = 0.0) -> Any:
        assert self.process.stdout is not None
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), seconds + PATIENCE)
        except TimeoutError:
            raise BenchError(f"{self.what} does not answer") from None
        if not line:
            raise BenchError(f"{self.what} ended by itself; what it said stands above")
        answer = json.loads(line)
        if isinstance(answer, dict) and "failed" in answer:
            raise BenchError(answer["failed"])
        return answer

    async def stop(self) -> None:
        """End the process: kindly, and by force if it takes too long or we are cancelled."""
        try:
            if self.process.returncode is None:
                with suppress(ProcessLookupError):
                    self.process.terminate()
                await asyncio.wait_for(self.process.wait(), PATIENCE)
        except TimeoutError:
            raise BenchError(f"{self.what} does not end") from None
        finally:
            if self.process.returncode is None:
                self.process.kill()


@asynccontextmanager
async def child(what: str, *arguments: str) -> AsyncIterator[Child]:
    """Run this file with these arguments while the context lasts."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # The way to the proxies must not lead through another one of the environment.
        env=os.environ | {"PYTHONPATH": path, "no_proxy": "127.0.0.1"},
        limit=2**24,
        # Ctrl-C is for the one that started it.
        start_new_session=True,
    )
    started = Child(what, process)
    try:
        yield started
    except BaseException:
        if process.returncode is None:
            process.kill()  # or mitmproxy complains of what is still open
        raise
    finally:
        await started.stop()


# Measuring


@dataclass
class Figures:
    """What was measured of one proxy in one pair: ``trips`` are round trips in seconds."""

    messages: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
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
        }


@dataclass
class Proxy:
    """A mitmdump that runs, what it is, where, and what was measured of it."""

    what: str
    process: Child
    port: int
    figures: Figures = field(default_factory=Figures)


@dataclass(frozen=True)
class Script:
    """What the RM says: first these, answered one by one, and then this one again and again."""

    opening: Sequence[Message]
    measurement: Message


async def measure(
    script: Script, conversations: int, pairs: int, seconds: float, beside: Callable[[], Row]
) -> list[Row]:
    """A row for each proxy and for each comparison, after so many pairs.

    In each pair the proxies are new; each has four turns, of ``seconds`` of throughput and half of
    that of round trips. ``beside`` measures something in this process, once a pair; its row is the
    last, with its ``cost`` as a share of what a message costs the plain one in that pair.
    """
    made: list[dict[str, Row]] = []
    costs: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="s2-bench-") as folder:
        async with child("the CEM", "cem") as cem, child("the RM", "rm") as rm:
            upstream = await cem.answer()
            for turn in range(pairs):
                each = _Pair(Path(folder), rm, upstream, script, conversations, seconds)
                made.append(await each.measure(turn))
                costs.append(beside())
    kind = {"conversations": conversations, "pairs": pairs}
    rows: list[Row] = [
        {**kind, "what": what, **{name: median(each[what][name] for each in made) for name in row}}
        for what, row in made[0].items()
    ]
    for what, other in COMPARED:
        row = {**kind, "what": f"{what} : {other}"}
        for name in ("rate", "p50", "p99", "cpu"):
            ratios = [each[what][name] / each[other][name] for each in made]
            row[name] = {"median": median(ratios), "least": min(ratios), "most": max(ratios)}
        rows.append(row)
    shares = [cost["cost"] / each[PLAIN]["cpu"] for cost, each in zip(costs, made, strict=True)]
    row = {name: median(cost[name] for cost in costs) for name in costs[0]}
    return [*rows, {**kind, "what": "beside", **row, "share": median(shares)}]


@dataclass
class _Pair:
    folder: Path
    rm: Child
    upstream: int
    script: Script
    conversations: int
    seconds: float

    async def measure(self, turn: int) -> dict[str, Row]:
        """Start the proxies, give each its turns, and see to it that it did its work."""
        first = turn % len(PROXIES)
        order = [*PROXIES[first:], *PROXIES[:first]]
        async with AsyncExitStack() as stack:
            proxies = [await stack.enter_async_context(self._started(what)) for what in order]
            for proxy in proxies:
                await self._flood(proxy, min(0.5, self.seconds))  # to warm up
                proxy.figures = Figures()
            for proxy in 2 * (*proxies, *reversed(proxies)):
                await self._flood(proxy, self.seconds)
                await self._trips(proxy, self.seconds / 2)
            for proxy in proxies:
                proxy.figures.peak = (await proxy.process.ask())["peak"]
                closed = await self.rm.ask({"do": "close", "port": proxy.port})
                proxy.figures.through = closed["messages"]
        for proxy in proxies:
            if proxy.what != PLAIN:
                self._check(proxy)
        by_name = {proxy.what: proxy.figures.row() for proxy in proxies}
        return {what: by_name[what] for what in PROXIES}

    @asynccontextmanager
    async def _started(self, what: str) -> AsyncIterator[Proxy]:
        """A proxy with its conversations open."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        arguments = ["-q", "--set", "flow_detail=0", "--set", f"confdir={self.folder}/confdir"]
        arguments += ["--mode", f"reverse:http://127.0.0.1:{self.upstream}"]
        arguments += ["--listen-host", "127.0.0.1", "-p", str(port)]
        if what != PLAIN:
            self._recording(what).unlink(missing_ok=True)
            arguments += ["-s", str(ROOT / "s2_mitm" / "addon.py"), "--set", "s2_log=none"]
            arguments += ["--set", f"s2_db={self._recording(what)}"]
        role = "mitmdump-without-rules" if what == WITHOUT_RULES else "mitmdump"
        async with child(what, role, *arguments) as process:
            opening = {
                "do": "open",
                "port": port,
                "conversations": self.conversations,
                "opening": self.script.opening,
                "measurement": self.script.measurement,
            }
            await self.rm.ask(opening, PATIENCE)
            yield Proxy(what, process, port)

    def _recording(self, what: str) -> Path:
        return self.folder / f"{PROXIES.index(what)}.sqlite3"

    async def _flood(self, proxy: Proxy, seconds: float) -> None:
        before = await self._quiet(proxy)
        done = await self.rm.ask({"do": "flood", "port": proxy.port, "seconds": seconds}, seconds)
        after = await self._quiet(proxy)
        proxy.figures.messages += done["messages"]
        proxy.figures.seconds += done["seconds"]
        proxy.figures.cpu += after - before

    async def _trips(self, proxy: Proxy, seconds: float) -> None:
        done = await self.rm.ask({"do": "trips", "port": proxy.port, "seconds": seconds}, seconds)
        proxy.figures.trips += done["trips"]
        await self._quiet(proxy)

    async def _quiet(self, proxy: Proxy) -> float:
        """Wait until it has written down what there was; what it has used of the processor."""
        used = float((await proxy.process.ask())["cpu"])
        for _ in range(100):
            await asyncio.sleep(0.15)
            before, used = used, float((await proxy.process.ask())["cpu"])
            if used - before < 0.01:
                return used
        raise BenchError(f"{proxy.what} does not come to rest")

    def _check(self, proxy: Proxy) -> None:
        """All was recorded, and nothing found: what is measured is what is meant."""
        recording = sqlite3.connect(self._recording(proxy.what))
        try:
            (messages,) = recording.execute("SELECT count(*) FROM messages").fetchone()
            found = recording.execute("SELECT code, path, text FROM findings LIMIT 1").fetchone()
        finally:
            recording.close()
        if messages != proxy.figures.through:
            went = f"{proxy.figures.through} messages went through"
            raise BenchError(f"{proxy.what} has recorded {messages} messages, {went}")
        if found:
            raise BenchError(f"{proxy.what} has found what should not be there: {found}")


# The peers


def an_id(of: int, number: int) -> str:
    return f"{of:08x}-cc90-4046-9173-{number:012x}"


def reception_status(subject: str) -> str:
    message = {"message_type": "ReceptionStatus", "subject_message_id": subject, "status": "OK"}
    return json.dumps(message)


FURTHER: dict[str, list[Message]] = {
    "Handshake": [
        {
            "message_type": "Handshake",
            "role": "CEM",
            "supported_protocol_versions": ["0.0.2-beta"],
        },
        {"message_type": "HandshakeResponse", "selected_protocol_version": "0.0.2-beta"},
    ],
    "ResourceManagerDetails": [
        {"message_type": "SelectControlType", "control_type": "FILL_RATE_BASED_CONTROL"}
    ],
}
"""What the CEM says to a message, beside its ReceptionStatus."""


async def cem() -> None:
    """A CEM: a server that answers everything, on the port that it says first."""
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosed

    numbers = itertools.count(1)

    async def talk(connection: ServerConnection) -> None:
        try:
            async for frame in connection:
                message = json.loads(frame)
                message_type = message["message_type"]
                if message_type == "ReceptionStatus":
                    continue
                await connection.send(reception_status(message["message_id"]))
                for further in FURTHER.get(message_type, ()):
                    answer = {**further, "message_id": an_id(0, next(numbers))}
                    await connection.send(json.dumps(answer))
        except ConnectionClosed:
            pass

    async with serve(talk, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        say(next(iter(server.sockets)).getsockname()[1])
        async for _ in questions():
            pass


class Talks:
    """The conversations of an RM through one proxy."""

    def __init__(self, opening: Sequence[Message], measurement: Message) -> None:
        self.messages = 0
        self._opening = opening
        self._measurement = measurement
        self._connections: list[Any] = []
        self._numbers = itertools.count(1)

    async def open(self, port: int, conversations: int) -> None:
        """Begin that many, as soon as the proxy is there."""
        from websockets.asyncio.client import connect

        deadline = time.monotonic() + PATIENCE
        while len(self._connections) < conversations:
            try:
                connection = await connect(
                    f"ws://127.0.0.1:{port}", compression=None, ping_interval=None
                )
            except OSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
                continue
            self._connections.append(connection)
            for message in self._opening:
                await connection.send(json.dumps(message))
                further = FURTHER.get(message["message_type"], ())
                for _ in range(1 + len(further)):
                    answer = json.loads(await connection.recv())
                    if "message_id" in answer:
                        await connection.send(reception_status(answer["message_id"]))
                self.messages += 2 + 2 * len(further)

    async def flood(self, seconds: float) -> dict[str, Any]:
        """Measure as fast as it goes, in all conversations at once."""
        start = time.perf_counter()

        async def one(connection: Any) -> int:
            for _ in range(WINDOW):
                await connection.send(self._next())
            waiting, answered = WINDOW, 0
            while waiting:
                await connection.recv(decode=False)
                answered += 1
                if time.perf_counter() - start < seconds:
                    await connection.send(self._next())
                else:
                    waiting -= 1
            return answered

        answered = sum(await asyncio.gather(*map(one, self._connections)))
        self.messages += 2 * answered
        return {"messages": 2 * answered, "seconds": time.perf_counter() - start}

    async def trips(self, seconds: float) -> dict[str, Any]:
        """One measurement at a time, in one conversation after the other."""
        end = time.perf_counter() + seconds
        taken: list[float] = []
        for connection in itertools.cycle(self._connections):
            measurement = self._next()
            start = time.perf_counter()
            await connection.send(measurement)
            await connection.recv(decode=False)
            now = time.perf_counter()
            taken.append(now - start)
            if now > end and len(taken) >= 100:
                break
        self.messages += 2 * len(taken)
        return {"trips": taken}

    async def close(self) -> dict[str, Any]:
        for connection in self._connections:
            await connection.close()
        return {"messages": self.messages}

    def _next(self) -> str:
        message = {
            **self._measurement,
            "message_id": an_id(1, next(self._numbers)),
            "measurement_timestamp": datetime.now(UTC).isoformat(),
        }
        return json.dumps(message)


async def rm() -> None:
    """An RM: does what it is asked, through whichever proxy."""
    from websockets.exceptions import ConnectionClosed

    by_port: dict[int, Talks] = {}
    async for question in questions():
        port = question["port"]
        try:
            if question["do"] == "open":
                talks = by_port[port] = Talks(question["opening"], question["measurement"])
                await talks.open(port, question["conversations"])
                say({})
            elif question["do"] == "close":
                say(await by_port.pop(port).close())
            else:
                say(await getattr(by_port[port], question["do"])(question["seconds"]))
        except (ConnectionClosed, OSError) as problem:
            say({"failed": f"a conversation broke off: {problem}"})


async def questions() -> AsyncIterator[Any]:
    """What is asked on standard input, until that ends."""
    reader = asyncio.StreamReader(limit=2**24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


# The proxy


def mitmdump(arguments: Sequence[str], *, rules: bool) -> int:
    """Be mitmdump, and say on the side what it has used."""
    if not rules:
        from s2_mitm.s2.rules import RULES

        for each in RULES.values():
            each.clear()
    replies = os.dup(1)
    os.dup2(2, 1)  # what mitmdump prints is for people
    threading.Thread(target=_tell_usage, args=(replies,), daemon=True).start()
    from mitmproxy.tools.main import mitmdump as run

    return run(list(arguments)) or 0


def _tell_usage(replies: int) -> None:
    """Answer each line on standard input; end with it. Not by sys.stdin: mitmdump may end first."""
    while asked := os.read(0, 4096):
        for _ in range(asked.count(b"\n")):
            usage = {"cpu": time.process_time(), "peak": peak_memory()}
            os.write(replies, json.dumps(usage).encode() + b"\n")
    os._exit(1)


def peak_memory() -> int:
    """Bytes of memory that this process has had at its largest."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return usage if sys.platform == "darwin" else usage * 1024
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    """Be what the first argument says."""
    role, *arguments = sys.argv[1:]
    if role.startswith("mitmdump"):
        sys.exit(mitmdump(arguments, rules=role == "mitmdump"))
    asyncio.run({"cem": cem, "rm": rm}[role]())


if __name__ == "__main__":
    main()
