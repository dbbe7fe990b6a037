"""Judge a recorded conversation again, with the rules that there are now."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import click

from s2_mitm.render.tables import plural
from s2_mitm.render.verdicts import COLOURS, verdict_lines
from s2_mitm.replay.recorded import Message, Recorded
from s2_mitm.s2.catalog import CONTROL_TYPES, closest_version
from s2_mitm.s2.conversation.judging import Conversation, Settings
from s2_mitm.s2.verdict import Finding, LateFinding, Role, Severity, Verdict
from s2_mitm.s2.wording import printable


@dataclass(slots=True)
class Judged:
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
            "timestamp": _time(self.time).replace(" ", "T") + "Z",
            "sender": str(self.sender),
            "message_type": self.message_type,
            "message_id": self.message_id,
            "injected": self.injected,
            "valid": self.valid,
            "findings": [finding.as_dict() for finding in self.findings],
        }


@dataclass(slots=True)
class Replayed:
    """A recorded session, judged.

    ``missing`` has the numbers, first and last, of messages that were not recorded;
    ``control_type`` and ``resource_name`` are the last that were heard of.
    """

    id: str
    control_type: str | None = None
    resource_name: str | None = None
    messages: list[Judged] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)


def replay(recorded: Recorded, settings: Settings) -> Replayed | None:
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
    replayed = Replayed(recorded.id)
    stretch: _Stretch | None = None
    number = 1
    for message in recorded.messages:
        if stretch is None or message.number != number:
            if stretch:
                settings = stretch.agreed(settings)
            stretch = _Stretch(Conversation(settings, from_start=message.number == 1))
        if message.number > number:
            replayed.missing.append((number, message.number - 1))
        replayed.messages.append(stretch.take(message))
        replayed.control_type = stretch.conversation.control_type or replayed.control_type
        replayed.resource_name = stretch.conversation.resource_name or replayed.resource_name
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

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self._judged: list[Judged] = []
        self._client = conversation.client_role

    def take(self, message: Message) -> Judged:
        verdict = self.conversation.receive(
            message.content,
            from_client=message.from_client,
            time=message.time,
            binary=message.binary,
            injected=message.injected,
        )
        if message.dropped:
            self.conversation.not_forwarded(verdict)
        if self.conversation.client_role is not self._client:
            self._client = self.conversation.client_role
            for earlier in self._judged:
                earlier.sender = earlier.sender.other
        judged = _judged(message, verdict)
        self._judged.append(judged)
        self._add(verdict.late)
        return judged

    def agreed(self, settings: Settings) -> Settings:
        """``settings`` for what follows after a gap, with what was known before it."""
        known = self.conversation
        return replace(settings, client_role=known.client_role, version=known.version)

    def end(self, time: float) -> None:
        self._add(self.conversation.close(max(time, self._judged[-1].time)))

    def _add(self, late: Iterable[LateFinding]) -> None:
        for item in late:
            self._judged[item.number - 1].findings.append(item.finding)


def _judged(message: Message, verdict: Verdict) -> Judged:
    status = (verdict.message or {}).get("status")
    is_answer = verdict.message_type == "ReceptionStatus"
    assert verdict.sender is not None
    return Judged(
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


class Sums:
    """``2 sessions, 12 messages, 2 invalid, 3 errors, 1 warning``; after the messages, where some
    were not recorded, ``5 missing``."""

    def __init__(self) -> None:
        self.sessions = self._messages = self._missing = self._invalid = 0
        self._found: Counter[Severity] = Counter()

    def add(self, replayed: Replayed) -> None:
        self.sessions += 1
        self._messages += len(replayed.messages)
        self._missing += sum(last - first + 1 for first, last in replayed.missing)
        self._invalid += sum(not judged.valid for judged in replayed.messages)
        self._found += severities(replayed)

    def has(self, least: Severity) -> bool:
        """Whether there is a finding as bad as this, or worse."""
        return any(severity.rank >= least.rank for severity in self._found)

    def styled(self) -> str:
        """In the colour of the worst, for `click.echo`."""
        worst = max(self._found, key=lambda severity: severity.rank, default=None)
        return click.style(str(self), fg=COLOURS[worst] if worst else "green", bold=True)

    def __str__(self) -> str:
        parts = [
            plural(self.sessions, "session"),
            plural(self._messages, "message"),
            *([f"{self._missing} missing"] if self._missing else []),
            f"{self._invalid} invalid",
            *_counts(self._found),
        ]
        return ", ".join(parts)


def severities(replayed: Replayed) -> Counter[Severity]:
    """How many findings of each severity there are in a session."""
    return Counter(finding.severity for judged in replayed.messages for finding in judged.findings)


def _counts(found: Counter[Severity]) -> list[str]:
    parts = [plural(found[severity], severity) for severity in (Severity.ERROR, Severity.WARNING)]
    infos = found[Severity.INFO]
    return [*parts, f"{infos} info"] if infos else parts


def replay_lines(replayed: Replayed, name: str, *, verbose: bool = False) -> Iterator[str]:
    """A session for a terminal: a headline, then its messages that have findings, or all, and
    where messages are missing.

    ``name`` is that of its file. The lines are styled with ANSI sequences.
    """
    yield _headline(replayed, name)
    missing = deque(replayed.missing)
    for judged in replayed.messages:
        if missing and missing[0][0] < judged.number:
            yield _missing_line(*missing.popleft())
        if judged.findings or verbose:
            lines = verdict_lines(_verdict(judged), label=f"{_time(judged.time)} #{judged.number}")
            yield next(lines) + (click.style(" injected", fg="magenta") if judged.injected else "")
            yield from lines
    for first, last in missing:
        yield _missing_line(first, last)


def _missing_line(first: int, last: int) -> str:
    if first == last:
        return f"    1 message was not recorded: #{first}"
    return f"    {last - first + 1} messages were not recorded: #{first} to #{last}"


def _headline(replayed: Replayed, name: str) -> str:
    control_type, named = replayed.control_type, replayed.resource_name
    parts = [
        f"S2 {CONTROL_TYPES.get(control_type, printable(control_type))}" if control_type else "S2",
        *([f'RM "{printable(named)}"'] if named else []),
        ", ".join([plural(len(replayed.messages), "message"), *_counts(severities(replayed))]),
    ]
    session = f" [{printable(replayed.id[:8])}]" if replayed.id else ""
    began = _time(replayed.messages[0].time)[:19]
    return click.style(f"{printable(name)}{session} {began}", bold=True) + " " + " · ".join(parts)


def _verdict(judged: Judged) -> Verdict:
    message = None if judged.status is None else {"status": judged.status}
    return Verdict(
        judged.time,
        judged.sender,
        message,
        judged.message_type,
        judged.message_id,
        None,
        judged.findings,
    )


def _time(seconds: float) -> str:
    """In UTC, to the millisecond."""
    time = datetime.fromtimestamp(seconds, UTC).isoformat(" ", timespec="milliseconds")
    return time.removesuffix("+00:00")
