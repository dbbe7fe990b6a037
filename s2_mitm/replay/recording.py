"""Recorded conversations in our own database."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.history.presence import LEFT_OPEN
from s2_mitm.history.queries import History, Row
from s2_mitm.history.tables import BINARY_FRAME
from s2_mitm.replay.recorded import (
    NotRecordedError,
    RecordedMessage,
    RecordedSession,
    utc_seconds,
    wire_bytes,
)
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import excerpt

SQLITE = b"SQLite format 3\0"
"""How a file of SQLite begins."""


def from_history(history: History) -> Iterator[RecordedSession]:
    """The sessions of our own database, in the order in which they began.

    Raises RecordingError where it cannot be read, and NotRecordedError where a time in it is none;
    both also after some sessions, and while the messages of one are gone through.
    """
    for row in list(history.sessions()):
        role = Role(row["client_role"]) if row["client_role"] in set(Role) else None
        yield RecordedSession(
            row["id"],
            _messages_of(history, row["id"], role or Role.RM),
            role,
            row["protocol_version"] if _lacks_beginning(history, row["id"]) else None,
            _end_of(row),
            max((gap["last_seq"] for gap in history.gaps(row["id"])), default=0),
            bool(row["bearer"]),
            row["closed_by"],
        )


def _end_of(session: Row) -> float | None:
    # Where a proxy ended without warning, its last messages may not have been written.
    if session["ended_at"] is None or session["close_reason"] == LEFT_OPEN:
        return None
    return _recorded_seconds(session["ended_at"], session["id"])


def _recorded_seconds(text: str, session: str) -> float:
    try:
        return utc_seconds(text)
    except (ValueError, TypeError, OverflowError):  # somebody wrote into the recording by hand
        raise NotRecordedError(
            f"a time of the session {session} is none: {excerpt(str(text))}"
        ) from None


def _lacks_beginning(history: History, session: str) -> bool:
    first = next(history.messages(session=session), None)
    return first is not None and first["seq"] != 1


def _messages_of(history: History, session: str, client: Role) -> Iterator[RecordedMessage]:
    for row in history.messages(session=session):
        yield RecordedMessage(
            row["seq"],
            _recorded_seconds(row["timestamp"], session),
            row["sender"] == client,
            wire_bytes(row["content"]),
            row["opcode"] == BINARY_FRAME,
            row["injected"],
            row["dropped"],
            None if row["sent"] is None else wire_bytes(row["sent"]),
        )
