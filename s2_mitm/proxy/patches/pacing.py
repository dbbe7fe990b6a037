"""Read a WebSocket no faster than its messages are dealt with.

mitmproxy goes on reading while a hook runs, and keeps what it reads: a peer that sends as fast as
it can fills the memory. And a peer whose messages take long to judge takes the time of all others.
TCP tells a peer to wait when nobody reads; so that is what is done to such a one, and to all that
have much in memory when it is full (see `memory`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import websocket
from mitmproxy.proxy.server import ConnectionHandler
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection
from wsproto.frame_protocol import CloseReason

from s2_mitm.proxy import machine
from s2_mitm.proxy.connections import handler_of
from s2_mitm.proxy.delivery import Passing
from s2_mitm.proxy.memory import MEGABYTE, MEMORY, SMALL
from s2_mitm.proxy.patches.closing import ClosingLayer
from s2_mitm.proxy.patches.deflate import MAX_MESSAGE
from s2_mitm.proxy.session import LIVE
from s2_mitm.s2.wording import excerpt

logger = logging.getLogger(__name__)

MOST_WAITING = 16
"""Pieces that may wait until the messages before them are dealt with."""

LARGEST_PIECE, SMALLEST_PIECE = 65535, 512
"""Bytes that are read at once: as many as mitmproxy does, or fewer where they cost too much."""

MOST_LOGS = 10
"""Lines in the log, one for each ping, from one piece: ten thousand fit in, at half a ms each."""

COSTLY = 0.01
"""Seconds. What takes less at a time is free; a message as they should be takes some 0.0005."""
SHARE = 0.25
"""Of the time, what is costly in one WebSocket may take in the long run."""
BURST = 0.5
"""Seconds that it may take at once."""

MOST_GROWTH = 1032
"""A compressed byte becomes no more than so many."""
AGAIN = 0.05
"""Seconds until one who waits for memory asks again."""
LINGER = 30.0
"""Seconds that a peer has after the end of its WebSocket to read what was sent."""
WORTH_GIVING_BACK = 16 * MEGABYTE
"""Bytes that have become free."""

_Layer = websocket.WebsocketLayer
_open: WeakValueDictionary[str, _PacedLayer] = WeakValueDictionary()
_let_go: Callable[[HTTPFlow, int], None] | None = None
_looked_at = 0.0


def install() -> None:
    """Watch over the WebSockets that open from now on."""
    websocket.WebsocketLayer = _PacedLayer  # type: ignore[misc]


def let_go_with(let_go: Callable[[HTTPFlow, int], None] | None) -> None:
    """Call this to take all messages but the last few out of a flow; None where all are to stay."""
    global _let_go
    _let_go = let_go


def uninstall() -> None:
    """Give mitmproxy its own class back; WebSockets that are open keep what they have."""
    websocket.WebsocketLayer = _Layer  # type: ignore[misc]


def keep_pace(flow: HTTPFlow) -> None:
    """Let both peers of a WebSocket wait for us from now on when there is too much to do."""
    handler = handler_of(flow)
    paced = _open.get(flow.client_conn.id)
    if handler is None or paced is None:  # it has a layer of mitmproxy's own
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
            transport.reader.read = _Pieces(  # type: ignore[method-assign, assignment]
                transport.reader, paced
            ).read


class _Pieces:
    """What is read from a peer, in pieces that are no larger than they may be."""

    def __init__(self, reader: asyncio.StreamReader, paced: _PacedLayer) -> None:
        self._read = reader.read
        self._paced = paced
        self._rest = b""

    async def read(self, most: int = LARGEST_PIECE) -> bytes:
        data = self._rest or await self._read(min(most, self._paced.piece))
        share = await self._paced.share(len(data)) if data else 0
        self._rest = data[share:]
        return data[:share]


def charge(flow: HTTPFlow, seconds: float) -> None:
    """So many seconds were just spent on a message of the flow."""
    if paced := _open.get(flow.client_conn.id):
        paced.charge(seconds)


async def tidy_memory() -> None:
    """Count anew what is in memory, and give back what was freed; to be called now and then."""
    _look_again()
    if MEMORY.peak - MEMORY.total > WORTH_GIVING_BACK:
        MEMORY.peak = MEMORY.total
        await asyncio.to_thread(machine.give_memory_back)


def _look_again() -> None:
    """Learn what has gone on to its peer; those who read say so to nobody."""
    global _looked_at
    if time.monotonic() - _looked_at > AGAIN / 2:
        MEMORY.count()
        for paced in [*_open.values()]:
            paced.measure()
        _looked_at = time.monotonic()


def _make_room() -> None:
    while isinstance(holder := MEMORY.to_let_go(), _PacedLayer):
        before = holder.kept
        holder.let_go()
        if holder.kept >= before:
            break
    while isinstance(holder := MEMORY.to_close(), _PacedLayer):
        holder.close()


class Budget:
    """The time that one may take: ``BURST`` at once, and ``SHARE`` of the time as it goes on."""

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


class _PacedLayer(ClosingLayer):
    half = waiting = kept = 0  # for MEMORY

    def __init__(self, context: Context, flow: HTTPFlow) -> None:
        super().__init__(context, flow)
        self._budget = Budget()
        self._passing = Passing(flow)
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
        self._passing.heeds(event)
        logs, seconds, started = 0, 0.0, time.perf_counter()
        try:
            for command in super().handle_event(event):
                if isinstance(command, commands.Log):
                    logs += 1
                    if logs > MOST_LOGS:
                        continue
                elif isinstance(command, websocket.WebsocketMessageHook):
                    self._messages += len(self._passing.begins(command).content)
                elif isinstance(command, websocket.WebsocketEndHook):
                    self._end()
                # What others do meanwhile, such as the hook of a message, is charged by itself.
                seconds += time.perf_counter() - started
                yield command
                started = time.perf_counter()
        except Exception:
            self._room.set()  # nothing will come of what waits
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
        """Wait until what was read is dealt with, as far as it is more than may wait."""
        task = asyncio.current_task()
        if task and task.cancelling():
            # The connection is to be closed. mitmproxy expects to hear it here: where there is
            # more to read it would hear it in another place, and leave the socket open.
            await asyncio.sleep(0)
        if len(self._paused_event_queue) > MOST_WAITING:
            self._room.clear()
            await self._room.wait()
        if self.piece < LARGEST_PIECE:
            # Even a moment of no length lets the others go on.
            await asyncio.sleep(max(0.0, self._budget.wait(time.monotonic())))

    async def share(self, size: int) -> int:
        """Wait until there is memory for some of ``size`` bytes that came: for how many."""
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
            kept = self._messages if _let_go else 0
            if self._paused:
                last = self._last()
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

    def _last(self) -> int:
        messages = self.flow.websocket.messages if self.flow.websocket else []
        return len(messages[-1].content) if messages else 0

    def let_go(self) -> None:
        """Take those messages out of the flow that went on."""
        if _let_go:
            _let_go(self.flow, 1 if self._paused else 0)
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
        # It hears of that with the next that comes, which may be nothing.
        event = events.DataReceived(source.conn, b"")
        self._closing = asyncio.ensure_future(self._handler.server_event(event))
        self._note()

    def _end(self) -> None:
        """The WebSocket is over; what it has in memory is not to wait for who finds garbage."""
        self._is_over = True
        if session := LIVE.get(self.flow.id):
            session.closed_by_proxy = self._was_closed_here()
        self.client_ws.frame_buf = self.server_ws.frame_buf = []
        self._note()
        if self.waiting:
            asyncio.get_running_loop().call_later(LINGER, self._abandon)

    def _was_closed_here(self) -> bool:
        """Whether neither peer closed it: what came from one of them could not be passed on."""
        by_client = self.flow.websocket and self.flow.websocket.closed_by_client
        source = self.client_ws if by_client else self.server_ws
        # The close frame of a peer was answered, and then it is closed, as where it broke off.
        return source.state is ConnectionState.LOCAL_CLOSING

    def _abandon(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        MEMORY.note(self)
