"""Judge a recorded conversation again, with the rules that there are now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from s2_mitm.replay.recorded import RecordedMessage, RecordedSession, utc_text
from s2_mitm.s2.catalog import closest_version
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.verdict import Finding, LateFinding, Role, Severity, Verdict


@dataclass(slots=True)
class ReplayedMessage:
    """A recorded message and all that is to be said of it, also what later ones showed.

    ``status`` is what it answers, where it is a ReceptionStatus.
    """

    number: int
    time: float
    from_client: bool
    sender: Role
    message_type: str | None
    message_id: str | None
    status: str | None
    injected: bool
    findings: list[Finding]

    @property
    def valid(self) -> bool:
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "seq": self.number,
            "timestamp": utc_text(self.time).replace(" ", "T") + "Z",
            "sender": str(self.sender),
            "message_type": self.message_type,
            "message_id": self.message_id,
            "injected": self.injected,
            "valid": self.valid,
            "findings": [finding.as_dict() for finding in self.findings],
        }


@dataclass(slots=True)
class ReplayedSession:
    """A recorded session, judged.

    ``missing`` has the numbers, first and last, of messages that were not recorded;
    ``control_type`` and ``resource_name`` are the last that were heard of.
    """

    id: str
    control_type: str | None = None
    resource_name: str | None = None
    messages: list[ReplayedMessage] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)


def replay(recorded: RecordedSession, settings: Settings) -> ReplayedSession | None:
    """Judge a recorded session as if it happened now; None where it has no message.

    Where messages are missing what follows is judged as a conversation whose beginning was not
    seen, since anything may have been said in between; who is who and the version stay. And nobody
    is blamed for what came no more, since it may have come.
    """
    settings = replace(
        settings,
        client_role=settings.client_role or recorded.client_role,
        version=settings.version or (recorded.version and closest_version(recorded.version)),
    )
    replayed = ReplayedSession(recorded.id)
    stretch: _Stretch | None = None
    number = 1
    for message in recorded.messages:
        if stretch is None or message.number != number:
            if stretch:
                settings = stretch.agreed(settings)
            stretch = _Stretch(Judge(settings, from_start=message.number == 1))
        if message.number > number:
            replayed.missing.append((number, message.number - 1))
        replayed.messages.append(stretch.take(message))
        replayed.control_type = stretch.judge.conversation.control_type or replayed.control_type
        replayed.resource_name = stretch.judge.conversation.resource_name or replayed.resource_name
        number = message.number + 1
    if stretch is None:
        return None
    if recorded.lost_to >= number:
        replayed.missing.append((number, recorded.lost_to))
    elif recorded.ended is not None:
        stretch.end(recorded.ended)
    return replayed


class _Stretch:
    """Messages of a session without one missing in between."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._judged: list[ReplayedMessage] = []
        self._client = judge.conversation.client_role

    def take(self, message: RecordedMessage) -> ReplayedMessage:
        verdict = self.judge.judge(
            message.content,
            from_client=message.from_client,
            time=message.time,
            binary=message.binary,
            injected=message.injected,
        )
        if message.dropped:
            self.judge.discard()
        else:
            self.judge.take_in(message.sent)
        if self.judge.conversation.client_role is not self._client:
            self._client = self.judge.conversation.client_role
            for earlier in self._judged:
                earlier.sender = earlier.sender.other
        judged = _judged(message, verdict)
        self._judged.append(judged)
        self._add(verdict.late)
        return judged

    def agreed(self, settings: Settings) -> Settings:
        """``settings`` for what follows after a gap, with what was known before it."""
        known = self.judge.conversation
        return replace(settings, client_role=known.client_role, version=known.version)

    def end(self, time: float) -> None:
        self._add(self.judge.close(max(time, self._judged[-1].time)))

    def _add(self, late: Iterable[LateFinding]) -> None:
        for item in late:
            self._judged[item.number - 1].findings.append(item.finding)


def _judged(message: RecordedMessage, verdict: Verdict) -> ReplayedMessage:
    status = (verdict.message or {}).get("status")
    is_answer = verdict.message_type == "ReceptionStatus"
    assert verdict.sender is not None
    return ReplayedMessage(
        message.number,
        message.time,
        message.from_client,
        verdict.sender,
        verdict.message_type,
        verdict.message_id,
        str(status) if is_answer and status is not None else None,
        message.injected,
        verdict.findings,
    )
