"""What waits to be written: in order, and within bounds whatever the database does."""

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

HAND_BYTES = 4 * 1024 * 1024
"""The most that is taken to be written at once, so that no transaction takes long."""
LONGEST_FACT = 1000
"""Characters; a fact about a session that is longer is not kept through an outage."""
FINDING_BYTES = 300
"""About what a finding weighs."""


class Backlog:
    """The records that are not in the database yet, oldest first.

    ``put`` is for any thread and takes no time to speak of; the others are for the one that writes.
    It takes some in its hand, and says when they are done with.

    At most ``messages`` messages and ``content`` bytes of them wait, with those in the hand, and
    four times as many records of all kinds. Beyond that the oldest that are not in the hand go,
    with what was said of messages meanwhile. A ``Gap`` stays in the place of each run of them,
    and of each session how it began, what it became, and its end. Of more than ``sessions`` such
    sessions, those that were over go too.
    """

    def __init__(self, *, messages: int, content: int, sessions: int) -> None:
        self.reason = ""
        """Why messages have to go now, as the gaps say it."""
        self.lost = 0
        """Messages that went, in all."""
        self.position = 0
        """How many were in the hand, and are done with, before those that are in it now."""
        self.sessions_lost = 0
        """Sessions that went with all that was said of them, in all."""
        self._most_messages = messages
        self._most_bytes = content
        self._most_records = 4 * messages
        self._most_sessions = sessions
        self._messages = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._hand: deque[Record] = deque()
        # Older than all of _records: what is left of those that had to go, by session.
        self._remains: dict[str, Remains] = {}
        self._parts = 0
        self._records: deque[Record] = deque()

    def __len__(self) -> int:
        return len(self._hand) + self._parts + len(self._records)

    def blame(self, reason: str) -> None:
        """Let it be the reason also of the gaps that wait: when they began it was not known."""
        with self._lock:
            self.reason = reason
            for remains in self._remains.values():
                if remains.gap:
                    remains.gap.reason = reason

    @property
    def messages(self) -> int:
        """How many messages wait."""
        return self._messages

    def put(self, record: Record) -> None:
        """Put ``record`` at the end, and make room where there is too much."""
        with self._lock:
            self._records.append(record)
            if type(record) is WaitingMessage:
                self._messages += 1
                self._bytes += len(record.content)
                if record.findings or record.sent:
                    self._bytes += _weight(record) - len(record.content)
            elif type(record) is Delivery:
                self._bytes += _weight(record)
            if (
                self._messages > self._most_messages
                or self._bytes > self._most_bytes
                or len(self._records) > self._most_records
            ):
                self._make_room()

    def take(self, count: int) -> list[Record]:
        """The ``count`` oldest, or fewer; the same again until they are ``done``."""
        if not self._hand:
            with self._lock:
                self._fill_the_hand(count)
        return list(self._hand)

    def done(self, count: int) -> None:
        """The first ``count`` of those taken are written, or given up."""
        with self._lock:
            for _ in range(count):
                self._weigh_off(self._hand.popleft())
            self.position += count

    def _fill_the_hand(self, count: int) -> None:
        while self._remains and len(self._hand) < count:
            session = next(iter(self._remains))
            remains = self._remains.pop(session)
            self._parts -= len(remains)
            self._hand.extend(remains.records(session))
        weight = 0
        while self._records and len(self._hand) < count and weight < HAND_BYTES:
            record = self._records.popleft()
            self._hand.append(record)
            weight += _weight(record)

    def _weigh_off(self, record: Record) -> None:
        self._bytes -= _weight(record)
        if type(record) is WaitingMessage:
            self._messages -= 1

    def _make_room(self) -> None:
        while self._records and (
            self._messages > self._most_messages
            or self._bytes > self._most_bytes
            or len(self._records) > self._most_records
        ):
            record = self._records.popleft()
            self._bytes -= _weight(record)
            if type(record) is WaitingMessage:
                self._messages -= 1
                # All that is done to most records there are, while a flood lasts.
                if (remains := self._remains.get(record.session_id)) and remains.gap:
                    remains.gap.add(record)
                    self.lost += 1
                    continue
            self._lay_down(record)

    def _lay_down(self, record: Record) -> None:
        session_id = record.id if isinstance(record, SessionStart) else record.session_id
        remains = self._remains.get(session_id)
        if remains is None:
            remains = self._remains[session_id] = Remains()
        self._parts -= len(remains)
        if isinstance(record, WaitingMessage):
            self.lost += 1
            remains.miss(record, self.reason)
        else:
            remains.add(record)
        if not remains:
            del self._remains[session_id]
        elif remains.is_all and len(self._remains) > self._most_sessions:
            del self._remains[session_id]
            self.sessions_lost += 1
        else:
            self._parts += len(remains)


class Remains:
    """What became of a session, without its messages: the least that is said of it afterwards."""

    __slots__ = ("_end", "_facts", "_start", "_swapped", "gap")

    def __init__(self) -> None:
        self._start: SessionStart | None = None
        self._swapped = False
        self._facts: SessionFacts = {}
        self.gap: Gap | None = None
        self._end: SessionEnd | None = None

    def __len__(self) -> int:
        """How many records it takes to say it."""
        parts = (self._start, self._swapped, self._facts, self.gap, self._end)
        return sum(map(bool, parts))

    @property
    def is_all(self) -> bool:
        """Whether the session is over, and all that was ever said of it is here."""
        return self._start is not None and self._end is not None

    def add(self, record: Record) -> None:
        """Let ``record`` be the next that was said of the session."""
        match record:
            case SessionStart():
                self._start = self._start or record
                self._end = None
            case SessionChange():
                self._learn(record.facts)
            case SendersSwapped():
                self._swap()
            case SessionEnd():
                self._end = record

    def miss(self, message: WaitingMessage, reason: str) -> None:
        """Let ``message`` be the next that is missing."""
        if self.gap:
            self.gap.add(message)
        else:
            self.gap = Gap.of(message, reason)

    def records(self, session_id: str) -> list[Record]:
        """All of it, in an order in which it can be said."""
        change = SessionChange(session_id, self._facts) if self._facts else None
        swap = SendersSwapped(session_id) if self._swapped else None
        parts = (self._start, swap, change, self.gap, self._end)
        return [part for part in parts if part is not None]

    def _learn(self, facts: SessionFacts) -> None:
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


def _weight(record: Record) -> int:
    if type(record) is WaitingMessage:
        content = len(record.content) + len(record.sent or b"")
        return content + FINDING_BYTES * len(record.findings)
    return len(record.sent or b"") if type(record) is Delivery else 0
