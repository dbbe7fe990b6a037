"""What recorded messages mean: their sessions are heard again, as far as that takes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice

from s2_mitm.history.queries import History, Row
from s2_mitm.history.tables import BINARY_FRAME
from s2_mitm.replay.recorded import utc_seconds, wire_bytes
from s2_mitm.s2.catalog import IN_FORCE, INSTRUCTIONS, MODE_STATUSES, TIMER_STATUSES
from s2_mitm.s2.conversation.listening import Listener
from s2_mitm.s2.meaning import meaning
from s2_mitm.s2.verdict import Role

LASTING = (
    *("Handshake", "HandshakeResponse", "ResourceManagerDetails", "SelectControlType"),
    *("RevokeObject", *sorted(IN_FORCE | INSTRUCTIONS | MODE_STATUSES | TIMER_STATUSES)),
)
"""The types of messages that may bear on what one means however long ago they were said."""

NEAR = 200
"""Messages before one that are heard whatever they are: a session may have a million."""

_AT_ONCE = 500
"""Rows whose meaning is worked out together."""

_MOST_SESSIONS = 64
"""Sessions whose conversations are kept, to go on where they were left."""


class Meanings:
    """Says what messages mean that `History.messages` yields, in that order."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def told(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows with a ``meaning``, which is empty where there is nothing to say."""
        rows = iter(rows)
        while portion := list(islice(rows, _AT_ONCE)):
            wanted: dict[str, dict[int, Row]] = {}
            for row in portion:
                wanted.setdefault(row["session_id"], {})[row["seq"]] = row
            found = {
                (session, number): told
                for session, of_session in wanted.items()
                for number, told in self._of(session).told(of_session)
            }
            for row in portion:
                yield {**row, "meaning": found.get((row["session_id"], row["seq"]), "")}

    def _of(self, session: str) -> _Session:
        heard = self._sessions.get(session) or _Session(self._history, session)
        self._sessions[session] = heard
        self._sessions.move_to_end(session)
        if len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return heard


class _Session:
    """A session that is heard from its first message on, once."""

    def __init__(self, history: History, session: str) -> None:
        self._history = history
        self._id = session
        self._listener = Listener()
        self._heard = 0
        """The number of the last message that was heard, or is passed over."""
        self._gaps = [gap["first_seq"] for gap in history.gaps(session)]
        """The first message of each run that was not recorded, as far as that is still to come."""

    def told(self, wanted: dict[int, Row]) -> Iterator[tuple[int, str]]:
        """What these messages, by their numbers, mean; empty for those that were heard before."""
        for first, last in _stretches(sorted(wanted)):
            if first > self._heard + 1:
                for row in self._history.said(self._id, self._heard + 1, first - 1, LASTING):
                    self._hear(row, row["reception_status"])
            following = max(first, self._heard + 1)
            for row in self._said(following, last, wanted):
                if row["seq"] != following:
                    self._miss()
                following = row["seq"] + 1
                told = self._hear(row, None)
                if row["seq"] in wanted:
                    yield row["seq"], told
            self._heard = last

    def _said(self, first: int, last: int, known: dict[int, Row]) -> Iterator[Row]:
        """The messages from one number to another, of which some, or all, are known."""
        if all(number in known for number in range(first, last + 1)):
            return iter([known[number] for number in range(first, last + 1)])
        return self._history.said(self._id, first, last)

    def _miss(self) -> None:
        """Messages were not recorded, which may have said anything."""
        self._listener = Listener(from_start=False)

    def _hear(self, row: Row, answer: str | None) -> str:
        number = row["seq"]
        if self._gaps and self._gaps[0] < number:
            self._gaps = [first for first in self._gaps if first >= number]
            self._miss()
        try:
            time = utc_seconds(row["timestamp"])
        except (ValueError, TypeError, OverflowError):  # somebody wrote into the recording by hand
            return ""
        how = {
            "number": number,
            "time": time,
            "sender": Role(row["sender"]) if row["sender"] in set(Role) else Role.RM,
            "binary": row["opcode"] == BINARY_FRAME,
        }
        message = self._listener.hears(wire_bytes(row["content"]), **how)
        told = meaning(message, self._listener.conversation)
        if not row["dropped"]:
            if row["sent"] is not None:
                message = self._listener.hears(wire_bytes(row["sent"]), **how)
            self._listener.takes_in(message, answer)
        return told


def _stretches(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """The messages to be heard whatever they are, as pairs of the first and the last."""
    first = last = 0
    for number in numbers:
        if last and number - NEAR > last:
            yield first, last
            first = 0
        first = first or max(1, number - NEAR)
        last = number
    if last:
        yield first, last
