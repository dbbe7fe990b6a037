"""Replayed sessions as lines of text for a terminal, and their totals."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

import click

from s2_mitm.render.groups import Groups, Place
from s2_mitm.render.summary import protocol
from s2_mitm.render.verdicts import COLOURS, utc_text, verdict_lines
from s2_mitm.replay.replayed import ReplayedSession
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import counted, printable


class Totals:
    """The totals of all sessions: ``2 sessions, 12 messages, 2 invalid, 3 errors, 1 warning``.

    Where messages were not recorded, ``5 missing`` stands after the messages.
    """

    def __init__(self) -> None:
        self.sessions = self._messages = self._missing = self._invalid = 0
        self._found: Counter[Severity] = Counter()

    def add(self, replayed: ReplayedSession) -> None:
        """Add a session."""
        self.sessions += 1
        self._messages += len(replayed.messages)
        self._missing += sum(last - first + 1 for first, last in replayed.missing)
        self._invalid += sum(not judged.verdict.valid for judged in replayed.messages)
        self._found += severities(replayed)

    def has(self, least: Severity) -> bool:
        """Whether there is a finding of this severity or a worse one."""
        return any(severity.rank >= least.rank for severity in self._found)

    def styled(self) -> str:
        """The totals in the colour of the worst severity, for `click.echo`."""
        worst = max(self._found, key=lambda severity: severity.rank, default=None)
        return click.style(str(self), fg=COLOURS[worst] if worst else "green", bold=True)

    def __str__(self) -> str:
        parts = [
            counted(self.sessions, "session"),
            counted(self._messages, "message"),
            *([f"{self._missing} missing"] if self._missing else []),
            f"{self._invalid} invalid",
            *_counts(self._found),
        ]
        return ", ".join(parts)


def severities(replayed: ReplayedSession) -> Counter[Severity]:
    """How many findings of each severity there are in a session."""
    return Counter(
        finding.severity for judged in replayed.messages for finding in judged.verdict.findings
    )


def _counts(found: Counter[Severity]) -> list[str]:
    parts = [counted(found[severity], severity) for severity in (Severity.ERROR, Severity.WARNING)]
    infos = found[Severity.INFO]
    return [*parts, f"{infos} info"] if infos else parts


def replay_lines(replayed: ReplayedSession, name: str, *, verbose: bool = False) -> Iterator[str]:
    """A session for a terminal: a headline, then its messages, and where messages are missing.

    ``name`` is that of its file. Messages without findings are left out unless ``verbose``. Yields
    lines styled with ANSI sequences; `click.echo` removes them where the output is no terminal.
    """
    yield headline(replayed, name)
    missing = deque(replayed.missing)
    for judged in replayed.messages:
        if missing and missing[0][0] < judged.number:
            yield _missing_line(*missing.popleft())
        verdict = judged.verdict
        if verdict.findings or verbose:
            label = f"{utc_text(verdict.time)} #{judged.number}"
            yield from verdict_lines(verdict, label=label, injected=judged.injected)
    for first, last in missing:
        yield _missing_line(first, last)


def _missing_line(first: int, last: int) -> str:
    if first == last:
        return f"    1 message was not recorded: #{first}"
    return f"    {last - first + 1} messages were not recorded: #{first} to #{last}"


def grouped(replayed: ReplayedSession) -> Groups:
    """What was found in a session, each kind once."""
    groups = Groups()
    for judged in replayed.messages:
        verdict = judged.verdict
        groups.add_all(verdict, Place(f"#{judged.number}", utc_text(verdict.time)[11:19]))
    return groups


def headline(replayed: ReplayedSession, name: str) -> str:
    """A line about a session: which one, when it began, and how much was found."""
    named = replayed.resource_name
    parts = [
        protocol(replayed.control_type),
        *([f'RM "{printable(named)}"'] if named else []),
        ", ".join([counted(len(replayed.messages), "message"), *_counts(severities(replayed))]),
    ]
    session = f" [{printable(replayed.id[:8])}]" if replayed.id else ""
    began = utc_text(replayed.messages[0].verdict.time)[:19]
    return click.style(f"{printable(name)}{session} {began}", bold=True) + " " + " · ".join(parts)
