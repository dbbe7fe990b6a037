"""The records that wait to be written: in order, and bounded whatever the database does."""

from __future__ import annotations

import threading
from collections import deque

from s2_mitm.history.records import (
    Delivery,
    Gap,
    Record,
    SendersSwapped,
    SessionChange,
    SessionEnd,
    SessionFacts,
    SessionStart,
    WaitingMessage,
)

TAKE_BYTES = 4 * 1024 * 1024
"""The most content that is taken at once, so that no transaction takes long."""
LONGEST_FACT = 1000
"""Characters; a longer fact about a session is not kept when its messages are discarded."""
FINDING_BYTES = 300
"""About how much memory a finding takes."""


class Backlog:
    """The records that are not in the database yet, oldest first.

    Any thread may ``put`` a record, which takes about a microsecond. All else is for the thread
    that writes: it takes the oldest records and says when they are done.

    At most ``messages`` messages wait, of ``content`` bytes together, and four times as many
    records of all kinds. When there are more, the oldest that are not taken are discarded. A
    session whose records are discarded becomes an `Outline`: its start, its facts, a ``Gap`` for
    its messages, and its end. Of more than ``sessions`` outlines, those of sessions that have ended
    are discarded too.
    """

    def __init__(self, *, messages: int, content: int, sessions: int) -> None:
        self.reason = ""
        """Why messages are discarded now, as ``gaps.reason`` has it."""
        self.lost = 0
        """How many messages were discarded, in all."""
        self.position = 0
        """How many records were done before the first of those that are taken now."""
        self.sessions_lost = 0
        """How many sessions were discarded as a whole, in all."""
        self._most_messages = messages
        self._most_bytes = content
        self._most_records = 4 * messages
        self._most_sessions = sessions
        self._messages = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._taken: deque[Record] = deque()
        # By session; what they tell is older than all of _records.
        self._outlines: dict[str, Outline] = {}
        self._parts = 0
        self._records: deque[Record] = deque()

    def __len__(self) -> int:
        return len(self._taken) + self._parts + len(self._records)

    def blame(self, reason: str) -> None:
        """Let ``reason`` be that of the gaps to come, and of those that are not written yet."""
        with self._lock:
            self.reason = reason
            for outline in self._outlines.values():
                if outline.gap:
                    outline.gap.reason = reason

    @property
    def messages(self) -> int:
        """How many messages wait."""
        return self._messages

    def fills_batch(self, count: int) -> bool:
        """Whether there is as much as `take` gives at once."""
        return len(self) >= count or self._bytes >= TAKE_BYTES

    def put(self, record: Record) -> None:
        """Put ``record`` at the end, and discard the oldest records where there are too many."""
        with self._lock:
            self._records.append(record)
            if type(record) is WaitingMessage:
                self._messages += 1
                self._bytes += len(record.content)
                if record.findings or record.sent:
                    self._bytes += _bytes_of(record) - len(record.content)
            elif type(record) is Delivery:
                self._bytes += _bytes_of(record)
            if (
                self._messages > self._most_messages
                or self._bytes > self._most_bytes
                or len(self._records) > self._most_records
            ):
                self._make_room()

    def take(self, count: int) -> list[Record]:
        """The oldest records, ``count`` or fewer; the same again until they are ``done``."""
        if not self._taken:
            with self._lock:
                self._take_more(count)
        return list(self._taken)

    def done(self, count: int) -> None:
        """The first ``count`` of the records that were taken are written, or given up."""
        with self._lock:
            for _ in range(count):
                self._subtract(self._taken.popleft())
            self.position += count

    def _take_more(self, count: int) -> None:
        while self._outlines and len(self._taken) < count:
            session = next(iter(self._outlines))
            outline = self._outlines.pop(session)
            self._parts -= len(outline)
            self._taken.extend(outline.records(session))
        weight = 0
        while self._records and len(self._taken) < count and weight < TAKE_BYTES:
            record = self._records.popleft()
            self._taken.append(record)
            weight += _bytes_of(record)

    def _subtract(self, record: Record) -> None:
        self._bytes -= _bytes_of(record)
        if type(record) is WaitingMessage:
            self._messages -= 1

    def _make_room(self) -> None:
        while self._records and (
            self._messages > self._most_messages
            or self._bytes > self._most_bytes
            or len(self._records) > self._most_records
        ):
            record = self._records.popleft()
            self._bytes -= _bytes_of(record)
            if type(record) is WaitingMessage:
                self._messages -= 1
                # The short way, which most messages take while a flood lasts.
                if (outline := self._outlines.get(record.session_id)) and outline.gap:
                    outline.gap.add(record)
                    self.lost += 1
                    continue
            self._add_to_outline(record)

    def _add_to_outline(self, record: Record) -> None:
        session_id = record.id if isinstance(record, SessionStart) else record.session_id
        outline = self._outlines.get(session_id)
        if outline is None:
            outline = self._outlines[session_id] = Outline()
        self._parts -= len(outline)
        if isinstance(record, WaitingMessage):
            self.lost += 1
            outline.add_lost(record, self.reason)
        else:
            outline.add(record)
        if not outline:
            del self._outlines[session_id]
        elif outline.is_whole and len(self._outlines) > self._most_sessions:
            del self._outlines[session_id]
            self.sessions_lost += 1
        else:
            self._parts += len(outline)


class Outline:
    """What is kept of a session whose messages were discarded."""

    __slots__ = ("_end", "_facts", "_start", "_swapped", "gap")

    def __init__(self) -> None:
        self._start: SessionStart | None = None
        self._swapped = False
        self._facts: SessionFacts = {}
        self.gap: Gap | None = None
        self._end: SessionEnd | None = None

    def __len__(self) -> int:
        """How many records it is (see `records`)."""
        parts = (self._start, self._swapped, self._facts, self.gap, self._end)
        return sum(map(bool, parts))

    @property
    def is_whole(self) -> bool:
        """Whether all of the session, from its start to its end, is in this outline."""
        return self._start is not None and self._end is not None

    def add(self, record: Record) -> None:
        """Add the next record of the session; what concerns single messages is discarded."""
        match record:
            case SessionStart():
                self._start = self._start or record
                self._end = None
            case SessionChange():
                self._add_facts(record.facts)
            case SendersSwapped():
                self._swap()
            case SessionEnd():
                self._end = record

    def add_lost(self, message: WaitingMessage, reason: str) -> None:
        """Add the next message to the gap."""
        if self.gap:
            self.gap.add(message)
        else:
            self.gap = Gap.of(message, reason)

    def records(self, session_id: str) -> list[Record]:
        """The records that are left of the session, in the order in which they can be written."""
        change = SessionChange(session_id, self._facts) if self._facts else None
        swap = SendersSwapped(session_id) if self._swapped else None
        parts = (self._start, swap, change, self.gap, self._end)
        return [part for part in parts if part is not None]

    def _add_facts(self, facts: SessionFacts) -> None:
        short = {
            name: fact
            for name, fact in facts.items()
            if fact is None or len(str(fact)) <= LONGEST_FACT
        }
        self._facts = {**self._facts, **short}  # type: ignore[typeddict-item]

    def _swap(self) -> None:
        self._swapped = not self._swapped
        if role := self._facts.get("client_role"):
            self._facts = {**self._facts, "client_role": role.other}


def _bytes_of(record: Record) -> int:
    if type(record) is WaitingMessage:
        content = len(record.content) + len(record.sent or b"")
        return content + FINDING_BYTES * len(record.findings)
    return len(record.sent or b"") if type(record) is Delivery else 0
