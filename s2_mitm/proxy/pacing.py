"""Read a WebSocket no faster than its messages are dealt with.

mitmproxy goes on reading while a hook runs, and keeps what it reads: a peer that sends as fast as
it can fills the memory. And a peer whose messages take long to judge takes the time of all others.
TCP tells a peer to wait when nobody reads; so that is what is done to such a one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any
from weakref import WeakValueDictionary

from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import websocket

from s2_mitm.proxy.connections import handler_of

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

_Layer = websocket.WebsocketLayer
_open: WeakValueDictionary[str, _PacedLayer] = WeakValueDictionary()


def install() -> None:
    """Watch over the WebSockets that open from now on."""
    websocket.WebsocketLayer = _PacedLayer  # type: ignore[misc]


def uninstall() -> None:
    """Give mitmproxy its own class back; WebSockets that are open keep what they have."""
    websocket.WebsocketLayer = _Layer  # type: ignore[misc]


def keep_pace(flow: HTTPFlow) -> None:
    """Let both peers of a WebSocket wait for us from now on when there is too much to do."""
    handler = handler_of(flow)
    paced = _open.get(flow.client_conn.id)
    if handler is None or paced is None:  # it has a layer of mitmproxy's own
        return
    drain_writers = handler.drain_writers

    async def drain_writers_and_rest() -> None:  # before each piece that is read
        await drain_writers()  # type: ignore[no-untyped-call]
        await paced.rest()

    handler.drain_writers = drain_writers_and_rest  # type: ignore[method-assign]
    for transport in handler.transports.values():
        if isinstance(transport.reader, asyncio.StreamReader):
            _read_in_pieces(transport.reader, paced)


def _read_in_pieces(reader: asyncio.StreamReader, paced: _PacedLayer) -> None:
    read = reader.read

    def read_piece(most: int = LARGEST_PIECE) -> Coroutine[Any, Any, bytes]:
        return read(min(most, paced.piece))

    reader.read = read_piece  # type: ignore[method-assign, assignment]


def charge(flow: HTTPFlow, seconds: float) -> None:
    """So many seconds were just spent on a message of the flow."""
    if paced := _open.get(flow.client_conn.id):
        paced.charge(seconds)


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


class _PacedLayer(_Layer):
    def __init__(self, context: Context, flow: HTTPFlow) -> None:
        super().__init__(context, flow)
        self._budget = Budget()
        self.piece = LARGEST_PIECE
        self._room = asyncio.Event()
        self._room.set()
        _open[context.client.id] = self

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[Any]:
        logs, seconds, started = 0, 0.0, time.perf_counter()
        try:
            for command in super().handle_event(event):
                if isinstance(command, commands.Log):
                    logs += 1
                    if logs > MOST_LOGS:
                        continue
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
