"""Read a WebSocket no faster than its messages are dealt with.

Replaces mitmproxy's `WebsocketLayer`; and of the connections of each WebSocket that opens,
``drain_writers`` of their handler, and ``read`` of their asyncio streams.

mitmproxy goes on reading while a hook runs, and keeps what it reads: a peer that sends as fast as
it can fills the memory. And a peer whose messages take long to judge takes the time of all others.
When nobody reads, TCP makes the sender wait. So nothing is read for a while from such a peer, and
from all that have much in memory when it is full (see `memory`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

from mitmproxy.http import HTTPFlow
from mitmproxy.master import Master
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import websocket
from mitmproxy.proxy.server import ConnectionHandler
from wsproto.events import CloseConnection
from wsproto.frame_protocol import CloseReason

from s2_mitm.proxy import machine
from s2_mitm.proxy.internals import handler_of
from s2_mitm.proxy.memory import MAX_MESSAGE, MEGABYTE, MEMORY, SMALL
from s2_mitm.proxy.patches import exchange
from s2_mitm.proxy.patches.frames import ByteExactConnection
from s2_mitm.proxy.patches.replacing import on_top, replaced
from s2_mitm.proxy.session import LIVE
from s2_mitm.s2.wording import excerpt

logger = logging.getLogger(__name__)

tried = exchange.through_layer

MOST_WAITING = 16
"""Pieces of data that may wait until the messages before them are dealt with."""

LARGEST_PIECE, SMALLEST_PIECE = 65535, 512
"""Bytes that one read takes: as many as mitmproxy asks for, or fewer where they take long."""

MOST_LOGS = 10
"""Lines in the log from one read. mitmproxy logs every ping, at half a millisecond each, and one
read may have ten thousand of them."""

COSTLY = 0.01
"""Seconds. What takes less is not counted; an ordinary message takes some 0.0005."""
SHARE = 0.25
"""The share of the time that costly data of one WebSocket may take in the long run."""
BURST = 0.5
"""Seconds that it may take before it has to wait for its share."""

MOST_GROWTH = 1032
"""Bytes that one compressed byte may become, at most."""
AGAIN = 0.05
"""Seconds until one who waits for memory asks again."""
LINGER = 30.0
"""Seconds that a peer has after the end of its WebSocket to read what was sent."""
WORTH_GIVING_BACK = 16 * MEGABYTE
"""Bytes. When so many have become free, they are given back to the system."""

_open: WeakValueDictionary[str, PacedLayer] = WeakValueDictionary()
_looked_at = 0.0


@contextmanager
def installed(_master: Master) -> Iterator[None]:
    """For the WebSockets that open meanwhile."""
    with replaced(websocket, WebsocketLayer=on_top(PacedLayer, websocket.WebsocketLayer)):
        yield


def websocket_start(flow: HTTPFlow) -> None:
    """Let both peers of a WebSocket wait from now on when there is too much to do.

    Also where s2-mitm does not look at it: memory and time are shared by all.
    """
    handler = handler_of(flow)
    paced = _open.get(flow.client_conn.id)
    if handler is None or paced is None:  # it was open before this was installed
        return
    paced.watch(handler)
    drain_writers = handler.drain_writers

    async def drain_writers_and_rest() -> None:  # before each piece that is read
        paced.measure()
        await drain_writers()  # type: ignore[no-untyped-call]
        await paced.rest()
        if paced.waiting:  # of which some went on meanwhile
            paced.measure()

    handler.drain_writers = drain_writers_and_rest  # type: ignore[method-assign]
    for transport in handler.transports.values():
        if isinstance(transport.reader, asyncio.StreamReader):
            transport.reader.read = _PacedReader(  # type: ignore[method-assign, assignment]
                transport.reader, paced
            ).read


class _PacedReader:
    """Reads from a peer, no more than there is time and memory for."""

    def __init__(self, reader: asyncio.StreamReader, paced: PacedLayer) -> None:
        self._read = reader.read
        self._paced = paced
        self._rest = b""

    async def read(self, most: int = LARGEST_PIECE) -> bytes:
        """Between 1 and ``most`` bytes; none when the peer has closed the connection."""
        data = self._rest or await self._read(min(most, self._paced.piece))
        share = await self._paced.share(len(data)) if data else 0
        self._rest = data[share:]
        return data[:share]


def charge(flow: HTTPFlow, seconds: float) -> None:
    """So many seconds were just spent on a message of the flow."""
    if paced := _open.get(flow.client_conn.id):
        paced.charge(seconds)


async def every_second() -> None:
    """Count anew what is in memory, and give back to the system what became free."""
    _look_again()
    if MEMORY.peak - MEMORY.total > WORTH_GIVING_BACK:
        MEMORY.peak = MEMORY.total
        await asyncio.to_thread(machine.give_memory_back)


def _look_again() -> None:
    """Measure all WebSockets: when a peer reads what was sent to it, nobody tells us."""
    global _looked_at
    if time.monotonic() - _looked_at > AGAIN / 2:
        MEMORY.count()
        for paced in [*_open.values()]:
            paced.measure()
        _looked_at = time.monotonic()


def _make_room() -> None:
    while isinstance(holder := MEMORY.to_let_go(), PacedLayer):
        before = holder.kept
        holder.let_go()
        if holder.kept >= before:
            break
    while isinstance(holder := MEMORY.to_close(), PacedLayer):
        holder.close()


class Budget:
    """The time that a WebSocket may take: ``BURST``, and after that ``SHARE`` of all time."""

    def __init__(self) -> None:
        self._used = 0.0
        self._at = 0.0

    def charge(self, seconds: float, now: float) -> None:
        """So many seconds were used up to ``now``, on a clock that never goes back."""
        self._used = max(0.0, self._used - (now - self._at) * SHARE) + seconds
        self._at = now

    def wait(self, now: float) -> float:
        """The seconds until there is time again; none, or fewer, when there is."""
        return (self._used - BURST) / SHARE - (now - self._at)


class PacedLayer(websocket.WebsocketLayer):
    """mitmproxy's layer of a WebSocket; it measures the time and the memory that this takes."""

    client_ws: ByteExactConnection
    server_ws: ByteExactConnection
    half = waiting = kept = 0  # for MEMORY

    def __init__(self, context: Context, flow: HTTPFlow) -> None:
        super().__init__(context, flow)
        self._budget = Budget()
        self.piece = LARGEST_PIECE
        self._room = asyncio.Event()
        self._room.set()
        self._handler: ConnectionHandler | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._growth = 1
        self._messages = 0  # bytes of those in the flow, or more
        self._count_at = SMALL
        self._closing: asyncio.Task[None] | None = None
        self._is_over = False
        _open[context.client.id] = self

    def watch(self, handler: ConnectionHandler) -> None:
        """From now on its memory is measured."""
        self._handler = handler
        writers = [transport.writer for transport in handler.transports.values()]
        self._writers = [each for each in writers if isinstance(each, asyncio.StreamWriter)]
        if self.client_ws._proto.extensions:
            self._growth = MOST_GROWTH

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[Any]:
        logs, seconds, started = 0, 0.0, time.perf_counter()
        try:
            for command in super().handle_event(event):
                if isinstance(command, commands.Log):
                    logs += 1
                    if logs > MOST_LOGS:
                        continue
                elif isinstance(command, websocket.WebsocketMessageHook):
                    self._messages += self._newest()
                elif isinstance(command, websocket.WebsocketEndHook):
                    self._end()
                # What happens during the yield, such as a hook, is charged by who does it.
                seconds += time.perf_counter() - started
                yield command
                started = time.perf_counter()
        except Exception:
            self._room.set()  # what waits will not be dealt with
            raise
        self.charge(seconds + time.perf_counter() - started)
        if not (self._room.is_set() or self._paused_event_queue):
            self._room.set()

    def charge(self, seconds: float) -> None:
        """So much time was just spent on this WebSocket."""
        if seconds > COSTLY or self.piece < LARGEST_PIECE:
            self._budget.charge(seconds, time.monotonic())
            factor = min(2.0, COSTLY / 2 / max(seconds, 1e-6))
            self.piece = int(min(LARGEST_PIECE, max(SMALLEST_PIECE, self.piece * factor)))

    async def rest(self) -> None:
        """Wait while more than ``MOST_WAITING`` pieces wait, or the time of this one is used up."""
        task = asyncio.current_task()
        if task and task.cancelling():
            # The connection is to be closed: let the task be cancelled here, where mitmproxy
            # closes the socket. In the next read, it would leave it open.
            await asyncio.sleep(0)
        if len(self._paused_event_queue) > MOST_WAITING:
            self._room.clear()
            await self._room.wait()
        if self.piece < LARGEST_PIECE:
            # A sleep of 0 seconds lets the others go on, too.
            await asyncio.sleep(max(0.0, self._budget.wait(time.monotonic())))

    async def share(self, size: int) -> int:
        """Wait until there is memory for some of ``size`` bytes that came; returns for how many."""
        while MEMORY.total + min(size * self._growth, MAX_MESSAGE) > MEMORY.limit:
            if self._is_over or (share := MEMORY.share(self, size, self._growth)):
                return size if self._is_over else share
            await asyncio.sleep(AGAIN)
            _look_again()
        return size

    def measure(self) -> None:
        """Tell MEMORY what there is now, and make room where it is full."""
        self._note()
        if MEMORY.is_full:
            _make_room()

    def _note(self) -> None:
        waiting = 0
        for each in self._writers:
            waiting += each.transport.get_write_buffer_size()
        half = kept = 0
        if not self._is_over:
            if not self._closing:
                half = self.client_ws.half_message + self.server_ws.half_message
            if self._messages > self._count_at:
                self._count()
            kept = self._messages if MEMORY.let_go else 0
            if self._paused:
                last = self._newest()
                waiting += last + sum(
                    len(each.data)
                    for each in self._paused_event_queue
                    if isinstance(each, events.DataReceived)
                )
                kept = max(0, kept - last)
        MEMORY.note(self, half=half, waiting=waiting, kept=kept)

    def _count(self) -> None:
        messages = self.flow.websocket.messages if self.flow.websocket else []
        self._messages = sum(len(message.content) for message in messages)
        self._count_at = self._messages + MEGABYTE

    def _newest(self) -> int:
        """The bytes of the newest message."""
        messages = self.flow.websocket.messages if self.flow.websocket else []
        return len(messages[-1].content) if messages else 0

    def let_go(self) -> None:
        """Take out of the flow those messages that went on."""
        if MEMORY.let_go:
            MEMORY.let_go(self.flow, 1 if self._paused else 0)
        self._count()
        self._note()

    def close(self) -> None:
        """End the WebSocket for the half message that it has."""
        assert self._handler is not None
        source = max(self.client_ws, self.server_ws, key=lambda each: each.half_message)
        which = "a WebSocket"
        if session := LIVE.get(self.flow.id):
            session.closed_by_proxy = True
            which = f"the WebSocket {excerpt(session.path, 100)} of {session.client_address}"
        logger.error(
            f"s2-mitm: the memory is full of messages that are not finished (s2_memory is"
            f" {MEMORY.limit / MEGABYTE:.0f} MB), so {which}, which has the most of it"
            f" ({source.half_message / MEGABYTE:.0f} MB), is closed with 1009; the others go on."
        )
        reason = "more unfinished messages than fit into memory"
        source._events.append(CloseConnection(code=CloseReason.MESSAGE_TOO_BIG, reason=reason))
        # It looks for events only when something comes, so let something come.
        event = events.DataReceived(source.conn, b"")
        self._closing = asyncio.ensure_future(self._handler.server_event(event))
        self._note()

    def _end(self) -> None:
        """The WebSocket is over: free its memory now, not when Python looks for garbage."""
        self._is_over = True
        self.client_ws.frame_buf = self.server_ws.frame_buf = []
        self._note()
        if self.waiting:
            asyncio.get_running_loop().call_later(LINGER, self._abandon)

    def _abandon(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        MEMORY.note(self)
