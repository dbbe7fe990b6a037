"""The records that a recorder is given. Each is small, and waits in memory until it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from s2_mitm.s2.verdict import Finding, Role, Verdict


@dataclass(frozen=True, slots=True)
class SessionStart:
    """A session begins: a WebSocket connection on which S2 is spoken.

    ``id`` is mitmproxy's flow id; ``started_at`` is in seconds since 1970 (UTC); ``client_role`` is
    the role of the WebSocket client, None where it is not known; ``proxy`` is what people call the
    proxy that the session passes through; ``bearer`` says whether its WebSocket was opened with a
    bearer token.
    """

    id: str
    started_at: float
    client_address: str | None
    server_address: str | None
    path: str | None
    client_role: Role | None
    proxy: str | None = None
    bearer: bool = False


class SessionFacts(TypedDict, total=False):
    """What becomes known of a session while it goes on."""

    client_role: Role | None
    rm_id: str | None
    cem_id: str | None
    protocol_version: str | None
    control_type: str | None


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message and its verdict.

    ``seq`` counts the messages of its session from 1. ``content`` is what its sender sent, byte for
    byte; ``binary`` says that it came in a binary WebSocket frame. ``injected`` says that the user
    of the proxy sent it, ``dropped`` that it was not forwarded; ``sent`` is what went on to the
    peer, None where that is ``content`` or nothing.
    """

    session_id: str
    seq: int
    verdict: Verdict
    content: bytes
    injected: bool
    dropped: bool
    sent: bytes | None = None
    binary: bool = False


class WaitingMessage(NamedTuple):
    """A MessageRecord without the parsed JSON, which takes ten times as much memory."""

    session_id: str
    seq: int
    time: float
    sender: Role | None
    message_type: str | None
    message_id: str | None
    subject_message_id: str | None
    valid: bool
    findings: tuple[Finding, ...]
    content: bytes
    injected: bool
    dropped: bool
    sent: bytes | None = None
    binary: bool = False

    @classmethod
    def of(cls, record: MessageRecord) -> WaitingMessage:
        """What is kept of ``record``, with the findings that its verdict has now."""
        verdict = record.verdict
        return cls(
            record.session_id,
            record.seq,
            verdict.time,
            verdict.sender,
            verdict.message_type,
            verdict.message_id,
            verdict.subject_message_id,
            verdict.valid,
            tuple(verdict.findings),
            record.content,
            record.injected,
            record.dropped,
            record.sent,
            record.binary,
        )


class SessionChange(NamedTuple):
    """Something became known of a session."""

    session_id: str
    facts: SessionFacts


class Reception(NamedTuple):
    """The ReceptionStatus that answers the message ``message_id`` of ``sender``.

    ``delay_ms`` is the time from the message to its answer.
    """

    session_id: str
    sender: Role
    message_id: str
    status: str
    delay_ms: float


class ReceptionWithdrawn(NamedTuple):
    """The ReceptionStatus that answers the message ``message_id`` of ``sender`` was not delivered.

    It was recorded with that message before, for it was dropped only later.
    """

    session_id: str
    sender: Role
    message_id: str


class Delivery(NamedTuple):
    """The message ``seq`` of a session was dropped or changed after it was recorded.

    ``sent`` is what went on to the peer, None where that is what came, or nothing.
    """

    session_id: str
    seq: int
    dropped: bool
    sent: bytes | None


class LateFindingRecord(NamedTuple):
    """A finding about the message ``seq`` of a session, made after that was recorded."""

    session_id: str
    seq: int
    finding: Finding


class SendersSwapped(NamedTuple):
    """RM and CEM of a session were taken for each other."""

    session_id: str


class SessionEnd(NamedTuple):
    """A session ended at ``ended_at``, in seconds since 1970; by ``RM``, ``CEM`` or ``proxy``."""

    session_id: str
    ended_at: float
    close_code: int | None
    close_reason: str | None
    closed_by: str | None


@dataclass(slots=True)
class Gap:
    """A run of ``messages`` messages of a session that could not be recorded.

    ``since`` and ``until`` are the times of the first and the last of them, in seconds since 1970;
    ``reason`` says why, for people.
    """

    session_id: str
    first_seq: int
    last_seq: int
    messages: int
    since: float
    until: float
    reason: str

    @classmethod
    def of(cls, message: WaitingMessage, reason: str) -> Gap:
        """The gap of one message."""
        seq, time = message.seq, message.time
        return cls(message.session_id, seq, seq, 1, time, time, reason)

    def add(self, message: WaitingMessage) -> None:
        """Extend the gap by ``message``, which is the next that could not be recorded."""
        self.last_seq = message.seq
        self.until = message.time
        self.messages += 1


Record = (
    SessionStart
    | SessionChange
    | WaitingMessage
    | Gap
    | Delivery
    | LateFindingRecord
    | Reception
    | ReceptionWithdrawn
    | SendersSwapped
    | SessionEnd
)
