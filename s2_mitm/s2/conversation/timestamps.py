"""When an RM says that something happened, beside when it said so: what shows of its clock.

Nothing is judged here, and only the latest few are remembered.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from math import inf
from typing import NamedTuple

from s2_mitm.s2.catalog import QUANTITIES
from s2_mitm.s2.conversation.message import Message

REMEMBERED = 4
"""Timestamps that are remembered, the latest."""

AHEAD = 60.0
"""Seconds by which a timestamp may be ahead before it is not believed."""

MAX_VALUES = len(QUANTITIES)
"""Values of a measurement that are looked at; it has one for each quantity."""


class Timestamp(NamedTuple):
    """When something happened, and when the RM said so, both in seconds since 1970."""

    happened: float
    said: float

    @property
    def lag(self) -> float:
        """How long it took until it was said; below 0 where the RM's clock is ahead."""
        return self.said - self.happened


class Measured(NamedTuple):
    """The latest measurement of a quantity.

    ``since`` is when the first message came that has its timestamp, by the clock that nobody sets;
    ``changes`` how many of the following came with the same timestamp and another value; and
    ``newest`` the highest timestamp so far, but for those that were far ahead.
    """

    timestamp: Timestamp
    value: float
    since: float
    newest: float
    changes: int = 0

    def next(self, message: Message, value: float, timestamp: Timestamp) -> Measured:
        """The measurement that follows this one."""
        if timestamp.happened == self.timestamp.happened:
            return self._replace(value=value, changes=self.changes + (value != self.value))
        return Measured(timestamp, value, message.monotonic, max(self.newest, _newest(timestamp)))


def _newest(timestamp: Timestamp) -> float:
    return timestamp.happened if timestamp.lag > -AHEAD else -inf


class Timestamps:
    """The timestamps of the RM's latest messages."""

    def __init__(self) -> None:
        self.latest: deque[Timestamp] = deque(maxlen=REMEMBERED)
        """Those that differ from the one before, of measurements and of what was done."""
        self.measured: dict[str, Measured] = {}
        """The latest measurement of each commodity quantity."""
        self.newest = -inf
        """The highest timestamp of them all, but for those that were far ahead."""

    def is_new(self, happened: float) -> bool:
        """Whether this differs from the timestamp before."""
        return not self.latest or self.latest[-1].happened != happened

    def hear(self, message: Message, field: str) -> None:
        """A message was delivered that says in this field when something happened."""
        happened = message.content.moment(field)
        if happened is None:
            return
        timestamp = Timestamp(happened, message.time)
        if self.is_new(happened):
            self.latest.append(timestamp)
        for quantity, value in values(message):
            before = self.measured.get(quantity)
            self.measured[quantity] = (
                before.next(message, value, timestamp)
                if before
                else Measured(timestamp, value, message.monotonic, _newest(timestamp))
            )
            self.newest = max(self.newest, self.measured[quantity].newest)


def values(message: Message) -> list[tuple[str, float]]:
    """What a PowerMeasurement measures, by commodity quantities; nothing of other messages."""
    if message.message_type != "PowerMeasurement":
        return []
    each = islice(message.content.parts("values"), MAX_VALUES)
    read = ((part.text("commodity_quantity"), part.number("value")) for part in each)
    return [
        (quantity, value)
        for quantity, value in read
        if quantity in QUANTITIES and value is not None
    ]
