"""Send random WebSocket streams through a proxy and directly, and see whether any differs.

    scripts/soak streams [--count N] [--seed N] [--proxy mitmdump|record|plain]

Compared is what each peer hears: messages (kind, bytes, order), control frames (payloads, order),
and the close frame. How a message is cut into frames, and whether a ping overtakes fragments that
wait, is the proxy's. A stream comes from its seed alone: the seeds are new each time, and `--seed`
plays one again, with the `--count` after it.

The exit status is 1 where a stream is different.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import NoReturn

from load.children import MeasurementError
from load.proxies import PLAIN, RECORD, WITH_US, Kind, running
from websocket_streams import Heard, Listener, Stream, random_stream

PATIENCE = 30.0
"""Seconds within which a stream must have come to its end."""

AT_ONCE = 8
"""Streams that are under way at the same time."""

PROXIES = {"mitmdump": WITH_US, "record": RECORD, "plain": PLAIN}
"""The proxies that there are; a plain mitmdump shows what it would be without us."""

_REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
_ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{more}\r\n"
)


class Peers:
    """A server, and clients that come to it directly or through a proxy."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._ends: dict[str, _End] = {}
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the context lasts, on ``port``."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        try:
            yield
        finally:
            server.close()

    async def play(self, stream: Stream, port: int) -> str | tuple[Heard, Heard]:
        """Play a stream to the server by way of ``port``: what the client heard, and the server.

        A sentence where it did not come to its end, or what was heard is no legal WebSocket.
        """
        path = f"/streams/{next(self._numbers)}"
        client = _End(stream, is_client=True)
        server = self._ends[path] = _End(stream, is_client=False)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._come(client, port, path)
                await server.over.wait()
        except TimeoutError:
            return f"it does not end; so far: {client.heard}, {server.heard}"
        except (OSError, EOFError) as problem:
            return f"the client failed: {problem!r}"
        finally:
            del self._ends[path]
        return client.problem or server.problem or (client.heard, server.heard)

    async def _come(self, client: _End, port: int, path: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(writer):
            writer.write(_REQUEST.format(path=path).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 101 "):
                raise EOFError(f"it was told {head!r}")
            await client.talk(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A proxy may come before it has a client, and go again.
        with closing(writer), suppress(EOFError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            server = self._ends[head.split()[1].decode()]
            terms = server.stream.agreement.terms
            more = f"Sec-WebSocket-Extensions: {terms}\r\n" if terms else ""
            answer = _ANSWER.format(more=more).encode()
            if not server.stream.comes_with_the_answer:
                writer.write(answer)
                answer = b""
                await asyncio.sleep(0)
            await server.talk(reader, writer, answer)


class _End:
    """One end of a stream: what it does, and what it hears of the other."""

    def __init__(self, stream: Stream, *, is_client: bool) -> None:
        self.stream = stream
        self.problem = ""
        self.over = asyncio.Event()
        self._is_client = is_client
        self._part, other = (stream.client, stream.server)[:: 1 if is_client else -1]
        self._awaited = other.said
        self._listener = Listener(stream.agreement, at_server=not is_client)

    @property
    def heard(self) -> Heard:
        return self._listener.heard

    async def talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b""
    ) -> None:
        """Do it until the stream is over; ``first`` goes out at once with what is said first."""
        speaking = asyncio.create_task(self._speak(writer, first))
        try:
            while not self._has_heard_all and (data := await reader.read(1 << 16)):
                self._listener.feed(data)
            await speaking
            if self.heard.close is not None:
                writer.write(self._part.answer)
                if self._is_client and await reader.read(1):  # the server closes first
                    raise ValueError("more after the close frame")
        except ConnectionError as problem:
            self.problem = f"{self}: {problem!r}; so far: {self.heard}"
        except ValueError as problem:
            self.problem = f"{self}: {problem}"
        finally:
            speaking.cancel()
            self.over.set()

    @property
    def _has_heard_all(self) -> bool:
        return self.heard.close is not None or (self._part.goes and self.heard == self._awaited)

    async def _speak(self, writer: asyncio.StreamWriter, first: bytes) -> None:
        for piece in self._part.pieces or [b""]:
            writer.write(first + piece)
            first = b""
            await writer.drain()
            await asyncio.sleep(self._part.pause)

    def __str__(self) -> str:
        return "the client" if self._is_client else "the server"


async def difference(seed: int, peers: Peers, port: int) -> str:
    """What is different about the stream of a seed by way of ``port``; empty where nothing is."""
    stream = random_stream(seed)
    directly = await peers.play(stream, peers.port)
    if directly != (stream.server.said, stream.client.said):
        return f"directly: {_told(directly)}"  # then it is we who are wrong
    through = await peers.play(stream, port)
    if through == directly:
        return ""
    return f"through the proxy: {_told(through)}"


def _told(heard: object) -> str:
    text = str(heard)
    return text if len(text) < 3000 else f"{text[:3000]}..."


async def differences(
    seeds: Iterable[int],
    peers: Peers,
    port: int,
    tell: Callable[[int, str], None] = lambda _seed, _what: None,
) -> dict[int, str]:
    """The seeds whose streams are different by way of ``port``, and how; ``tell`` hears at once."""
    found: dict[int, str] = {}
    left = iter(seeds)

    async def play_what_is_left() -> None:
        for seed in left:
            if what := await difference(seed, peers, port):
                found[seed] = what
                tell(seed, what)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(play_what_is_left())
    return found


async def soak_streams(kind: Kind, seeds: Iterable[int]) -> dict[int, str]:
    """As `differences`, through a new proxy of a kind; what is different is printed at once."""
    peers = Peers()
    with tempfile.TemporaryDirectory(prefix="s2-soak-") as name:
        folder = Path(name)
        async with (
            peers.listening(),
            running(kind, peers.port, folder, folder / "s2.sqlite3") as (_, port),
        ):
            await _until_it_listens(port)
            return await differences(seeds, peers, port, _print)


def _print(seed: int, what: str) -> None:
    print(f"{seed}: {what}\n", flush=True)


async def _until_it_listens(port: int) -> None:
    try:
        async with asyncio.timeout(60):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise MeasurementError("the proxy does not listen") from None


def main(arguments: Sequence[str]) -> NoReturn:
    """Play what is asked for, and say how it went."""
    parser = argparse.ArgumentParser(
        prog="soak streams",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--count", type=int, default=10_000, help="how many; 10,000")
    add("--seed", type=int, help="that of the first; a new one")
    add("--proxy", choices=PROXIES, default="mitmdump", help="which proxy; mitmdump")
    asked = parser.parse_args(arguments)
    first = secrets.randbelow(1 << 40) if asked.seed is None else asked.seed
    kind, seeds = PROXIES[asked.proxy], range(first, first + asked.count)
    started = time.monotonic()
    try:
        found = asyncio.run(soak_streams(kind, seeds))
    except MeasurementError as problem:
        print(f"soak: {problem}", file=sys.stderr)
        sys.exit(1)
    took = f"in {time.monotonic() - started:,.0f} s, from seed {first} on"
    print(f"{kind.name}: of {asked.count:,} random streams {len(found):,} are different, {took}")
    sys.exit(1 if found else 0)
