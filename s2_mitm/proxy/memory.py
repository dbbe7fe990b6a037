"""What all WebSockets together may have in memory, and which of them has to make room.

A WebSocket has three kinds of messages there. Those that went on, which its flow keeps to be looked
at, can be dropped at any time. Those that wait go when a peer reads them. A message of which only a
part has come goes when the rest comes: where such ones fill the memory, waiting does not help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

from mitmproxy.http import HTTPFlow

MEGABYTE = 1000 * 1000
MOST = 512 * MEGABYTE
"""Bytes. A quarter of the machine's memory is taken, and no more than this."""
LEAST = MEGABYTE
"""What may be set; messages that are larger do not pass then."""

MAX_MESSAGE = 32 * 1024 * 1024
"""Bytes. A WebSocket with a message that is larger, when it is inflated, is closed with 1009."""

SMALL = 128 * 1024
"""Bytes that a WebSocket may have in any case, so that those with small messages go on."""


class Holder(Protocol):
    """What one WebSocket has in memory, in bytes; `Memory.note` is told of every change.

    ``half`` is of messages that are not finished, ``waiting`` of what is finished and did not go
    on yet, ``kept`` of messages that did.
    """

    half: int
    waiting: int
    kept: int


class Memory:
    """The sum over all WebSockets, which is to stay below ``limit`` bytes.

    ``let_go`` takes all messages but the last few, whose number it is given, out of a flow; it is
    None where all of them are to stay.
    """

    def __init__(self, limit: int = MOST) -> None:
        self.limit = limit
        self.let_go: Callable[[HTTPFlow, int], None] | None = None
        self.total = 0
        self.peak = 0
        """The most that there was since somebody set it back."""
        self._holders: WeakSet[Holder] = WeakSet()

    def note(self, holder: Holder, *, half: int = 0, waiting: int = 0, kept: int = 0) -> None:
        """A WebSocket has so much now; nothing when it is over."""
        before = holder.half + holder.waiting + holder.kept
        now = half + waiting + kept
        holder.half, holder.waiting, holder.kept = half, waiting, kept
        if now == before:
            return
        self.total += now - before
        self.peak = max(self.peak, self.total)
        if not now:
            self._holders.discard(holder)
        elif not before:
            self._holders.add(holder)

    def count(self) -> None:
        """Sum up anew, without the holders that nobody told us are gone."""
        self.total = sum(each.half + each.waiting + each.kept for each in [*self._holders])

    @property
    def is_full(self) -> bool:
        """Whether somebody has to make room, or to wait."""
        return self.total > self.limit - SMALL

    def share(self, holder: Holder, size: int, growth: int) -> int:
        """How many of ``size`` bytes that came for ``holder`` may be looked into; 0: it waits.

        Each may become ``growth`` bytes. A holder with little gets a few in any case.
        """
        room = self.limit - self.total
        if room < SMALL:
            room = SMALL if holder.half + holder.waiting <= SMALL else 0
        return min(size, room // growth)

    def to_let_go(self) -> Holder | None:
        """The holder whose kept messages have to go, the most first; None where nothing has to."""
        return self._largest(lambda each: each.kept) if self.is_full else None

    def to_close(self) -> Holder | None:
        """The holder with the largest half message, where half messages alone leave no room."""
        if not self.is_full or sum(each.half for each in [*self._holders]) <= self.limit - SMALL:
            return None
        return self._largest(lambda each: each.half)

    def _largest(self, size: Callable[[Holder], int]) -> Holder | None:
        largest = max(self._holders, key=size, default=None)
        return largest if largest and size(largest) else None


MEMORY = Memory()
"""That of this process; it outlives the addon, as the WebSockets do."""
