"""What can be said to a recorder. Each is small, and is kept until it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from s2_mitm.s2.verdict import Finding, Role, Verdict


@dataclass(frozen=True, slots=True)
class SessionStart:
    """A connection on which S2 is spoken.

    ``id`` is mitmproxy's flow id, ``started_at`` is in seconds since 1970, ``client_role`` is the
    role of the WebSocket client, None where it is not known. ``proxy`` is what people call the
    proxy that saw it.
    """

    id: str
    started_at: float
    client_address: str | None
    server_address: str | None
    path: str | None
    client_role: Role | None
    proxy: str | None = None


class SessionFacts(TypedDict, total=False):
    """What becomes known of a session on its way."""

    client_role: Role | None
    rm_id: str | None
    cem_id: str | None
    protocol_version: str | None
    control_type: str | None


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message, judged.

    ``seq`` counts the messages of its session from 1; ``content`` is what came over the wire;
    ``injected`` says that it was ours, ``dropped`` that it was not forwarded; ``sent`` is what went
    on where that is something else; ``binary`` says that it came in a binary WebSocket frame.
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
    """A MessageRecord without its parsed message, which would weigh ten times as much."""

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
        """What is kept of ``record``; later findings of its verdict are not among it."""
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
    """The answer that the message ``message_id`` of ``sender`` got, and after how long."""

    session_id: str
    sender: Role
    message_id: str
    status: str
    delay_ms: float


class Delivery(NamedTuple):
    """The message ``seq`` of a session was not forwarded, or went on as ``sent``, other than said.

    ``sent`` is None where it went on as it came.
    """

    session_id: str
    seq: int
    dropped: bool
    sent: bytes | None


class LateFindingRecord(NamedTuple):
    """Something was found about the message ``seq`` of a session after it was recorded."""

    session_id: str
    seq: int
    finding: Finding


class SendersSwapped(NamedTuple):
    """The roles of a session are the other way round."""

    session_id: str


class SessionEnd(NamedTuple):
    """A session was closed, by ``RM``, ``CEM`` or ``proxy``."""

    session_id: str
    ended_at: float
    close_code: int | None
    close_reason: str | None
    closed_by: str | None


@dataclass(slots=True)
class Gap:
    """Messages of a session, one after the other, that could not be recorded.

    ``since`` and ``until`` are when the first and the last of them were seen; ``reason`` is for
    people.
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
        """The gap that ``message`` alone leaves."""
        seq, time = message.seq, message.time
        return cls(message.session_id, seq, seq, 1, time, time, reason)

    def add(self, message: WaitingMessage) -> None:
        """Let ``message`` be missing too, which came next."""
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
    | SendersSwapped
    | SessionEnd
)
