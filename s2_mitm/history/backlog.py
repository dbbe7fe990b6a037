"""What waits to be written: in order, and bounded where the database does not take it."""

from __future__ import annotations

from collections import deque
from itertools import islice

from s2_mitm.history.records import Message, Reception, Record


class Backlog:
    """The records that are not in the database yet, oldest first.

    At most ``messages`` messages and ``content`` bytes of them are kept; beyond that the oldest
    go, with the answers that they got, and ``lost`` counts them. What is said of sessions is
    little, and stays.
    """

    def __init__(self, *, messages: int, content: int) -> None:
        self.lost = 0
        self._most = messages
        self._most_bytes = content
        self._bytes = 0
        self._messages = 0
        self._records: deque[Record] = deque()

    def __len__(self) -> int:
        return len(self._records)

    def append(self, record: Record) -> None:
        """Put ``record`` at the end, and make room where there is too much."""
        self._records.append(record)
        self._count(record, 1)
        if self._messages > self._most or self._bytes > self._most_bytes:
            self._shed()

    def first(self, count: int) -> list[Record]:
        """The ``count`` oldest, or as many as there are; they stay until they are removed."""
        return list(islice(self._records, count))

    def remove(self, count: int) -> None:
        """Take the ``count`` oldest away."""
        for _ in range(count):
            self._count(self._records.popleft(), -1)

    def _count(self, record: Record, sign: int) -> None:
        if isinstance(record, Message):
            self._messages += sign
            self._bytes += sign * len(record.content)

    def _shed(self) -> None:
        # A quarter at once, so that a long outage does not cost a pass for every message.
        enough, enough_bytes = self._most * 3 // 4, self._most_bytes * 3 // 4
        kept: deque[Record] = deque()
        while self._records and (self._messages > enough or self._bytes > enough_bytes):
            record = self._records.popleft()
            self._count(record, -1)
            if isinstance(record, Message):
                self.lost += 1
            elif not isinstance(record, Reception):
                kept.append(record)
        self._records.extendleft(reversed(kept))
