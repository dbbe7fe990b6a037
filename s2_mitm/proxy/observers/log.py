"""What the terminal shows: a line for each message, or for each one with findings."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from datetime import datetime

import click
from mitmproxy import ctx
from mitmproxy.utils import vt_codes

from s2_mitm.proxy.annotation import summary_line
from s2_mitm.proxy.internals import prints_log
from s2_mitm.proxy.observers.observer import Observer
from s2_mitm.proxy.session import Judged, Session
from s2_mitm.render.groups import Groups, Place, group_lines
from s2_mitm.render.verdicts import COLOURS, finding_lines, verdict_lines
from s2_mitm.s2.verdict import Finding, LateFinding, Role
from s2_mitm.s2.wording import printable

logger = logging.getLogger(__name__)

LEVELS = ("all", "findings", "none")
"""The values of the option ``s2_log``: every message, those with findings, nothing."""

COUNT_SECONDS = 10.0
"""How often a finding that comes again and again is counted aloud."""

MOST_GROUPS = 10
"""Kinds of findings that are listed when a session closes."""


class Log(Observer):
    """Prints verdicts. ``level`` is one of LEVELS."""

    name = "the log"

    def __init__(self, level: str) -> None:
        self._level = level
        self._coloured = vt_codes.ensure_supported(sys.stdout) and not os.environ.get("NO_COLOR")

        self._told: dict[str, Groups] = {}
        """What was told of each open session, by its id."""

    def opened(self, session: Session) -> None:
        path, client = printable(session.path), session.client_address
        self._print([f"{_label(session)} S2 WebSocket {path} from {client}"])

    def judged(self, session: Session, judged: Judged) -> None:
        verdict = judged.verdict
        if self._level == "none":
            return
        if self._level == "findings" and not verdict.findings:
            self.late(session, verdict.late)
            return
        lines_of = {
            id(finding): self._finding_lines(
                session, finding, judged.number, verdict.sender, verdict.message_type, verdict.time
            )
            for finding in verdict.findings
        }
        if self._level == "all" or any(lines_of.values()):
            label = f"{_clock(verdict.time)} {_label(session)}"
            injected = judged.message.injected
            told = verdict_lines(
                verdict, label=label, injected=injected, told=lambda each: lines_of[id(each)]
            )
            lines = list(told)
            if judged.message.dropped:
                lines[0] += click.style(" NOT FORWARDED", fg="red", bold=True)
            self._print(lines)
        self.late(session, verdict.late)

    def _finding_lines(
        self,
        session: Session,
        finding: Finding,
        number: int,
        sender: Role | None,
        message_type: str | None,
        time: float,
    ) -> list[str]:
        """A finding in full when it is the first of its kind, and then its count now and then."""
        groups = self._told.setdefault(session.id, Groups())
        place = Place(f"#{number}", _clock(time)[:8])
        group = groups.add(finding, sender, message_type, place)
        if group.count > 1 and time - group.told < COUNT_SECONDS:
            return []
        group.told = time
        if group.count == 1:
            return list(finding_lines(finding))
        path = f" {group.path}" if group.path else ""
        severity = click.style(f"{finding.severity:>9}", fg=COLOURS[finding.severity])
        return [f"{severity} {group.code}{path}: again, ×{group.count:,} since {group.first.time}"]

    def delivered(self, session: Session, judged: Judged) -> None:
        verdict, dropped = judged.verdict, judged.message.dropped
        if self._level == "all" or verdict.findings:
            fate = "NOT FORWARDED" if dropped else "CHANGED ON ITS WAY"
            fate = click.style(fate, fg="red" if dropped else "magenta", bold=dropped)
            earlier = _earlier(session, verdict.sender, verdict.message_type or "", verdict.time)
            self._print([f"{earlier} {fate}"])

    def late(self, session: Session, late: Iterable[LateFinding]) -> None:
        if self._level == "none":
            return
        for item in late:
            lines = self._finding_lines(
                session, item.finding, item.number, item.sender, item.message_type, item.time
            )
            if lines:
                earlier = _earlier(session, item.sender, item.message_type, item.time)
                self._print([earlier, *lines])

    def closed(self, session: Session) -> None:
        lines = [f"{_label(session)} closed: {summary_line(session.judge)}"]
        if groups := self._told.pop(session.id, None):
            lines += group_lines(groups, most=MOST_GROUPS)
        self._print(lines)

    def left_out(self, session: Session) -> None:
        self._told.pop(session.id, None)

    def _print(self, lines: Iterable[str]) -> None:
        if self._level == "none":
            return
        if not prints_log(ctx.master):
            logger.info(click.unstyle("\n".join(lines)))
            return
        text = "\n".join(lines) + "\n"
        if not self._coloured:
            text = click.unstyle(text)
        encoding = sys.stdout.encoding or "utf-8"
        try:
            sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
            sys.stdout.flush()
        except (OSError, ValueError):  # nobody reads it any more; the traffic goes on
            self._level = "none"


def _earlier(session: Session, sender: Role | None, message_type: str, time: float) -> str:
    """A line for a message that had one before."""
    label = click.style(f"{'':>12} {_label(session)}", dim=True)
    return f"{label} {sender:<3} {printable(message_type)} of {_clock(time)}"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S.%f")[:-3]


def _label(session: Session) -> str:
    return f"[{session.id[:4]}]"
