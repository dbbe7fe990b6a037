"""Findings that are the same again, folded: told once, and counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, NamedTuple

import click

from s2_mitm.render.verdicts import COLOURS, NAME_LENGTH, PATH_LENGTH
from s2_mitm.s2.verdict import Finding, Severity, Verdict
from s2_mitm.s2.wording import counted, excerpt, printable

MOST_GROUPS = 500
"""Groups that are kept; a peer may send a new fault with every message."""

OTHERS = "(others)"
"""The code of the group of all findings for which there was no group any more."""

_INDEX = re.compile(r"/\d+(?=/|$)")


class Place(NamedTuple):
    """Where in a recording, a file or a session a finding is: ``#12``, and the time in words."""

    number: str
    time: str = ""

    def __str__(self) -> str:
        return f"{self.number} at {self.time}" if self.time else self.number


@dataclass(slots=True)
class Group:
    """Findings of one code about one field, in messages of one type from one side.

    ``path`` is the JSON Pointer of the field with ``*`` for the indices of lists; ``text`` is that
    of the first of them. ``told`` is for who tells of them as they come: when that was last, in
    seconds since 1970.
    """

    code: str
    severity: Severity
    sender: str
    message_type: str
    path: str
    text: str
    first: Place
    last: Place
    count: int = 1
    told: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The group as JSON has it."""
        return {
            "count": self.count,
            "code": self.code,
            "severity": str(self.severity),
            "sender": self.sender or None,
            "message_type": self.message_type or None,
            "path": self.path,
            "first": self.first._asdict(),
            "last": self.last._asdict(),
            "text": self.text,
        }


class Groups:
    """The findings so far, by what they have in common; no more than ``MOST_GROUPS`` groups."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, Severity, str, str, str], Group] = {}

    def add_all(self, verdict: Verdict, place: Place) -> None:
        """Count what was found in a message that stands at ``place``."""
        for finding in verdict.findings:
            self.add(finding, verdict.sender, verdict.message_type, place)

    def add(
        self, finding: Finding, sender: str | None, message_type: str | None, place: Place
    ) -> Group:
        """Count a finding; returns its group, in which it is the first where ``count`` is 1.

        ``sender`` and ``message_type`` are those of its message, None where they are not known.
        """
        key = (
            finding.code,
            finding.severity,
            sender or "",
            excerpt(message_type or "", NAME_LENGTH),
            excerpt(_INDEX.sub("/*", finding.path), PATH_LENGTH),
        )
        if key not in self._groups and len(self._groups) >= MOST_GROUPS:
            key = (OTHERS, finding.severity, "", "", "")
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(*key, finding.text, place, place)
        else:
            group.count += 1
            group.last = place
        return group

    def __iter__(self) -> Iterator[Group]:
        """The groups, the worst first, and the most frequent first among those."""
        return iter(
            sorted(self._groups.values(), key=lambda each: (-each.severity.rank, -each.count))
        )

    def __len__(self) -> int:
        return len(self._groups)


def group_lines(
    groups: Groups, *, most: int | None = None, width: int | None = None
) -> Iterator[str]:
    """The groups for a terminal: how often, what and where on a line, below it when and the text.

    At most ``most`` groups, and how many there are more; wrapped at ``width`` columns, or not at
    all where that is None. The lines are styled with ANSI sequences.
    """
    indent = " " * 8
    for number, group in enumerate(groups):
        if number == most:
            yield f"{indent}and {counted(len(groups) - number, 'more kind')} of findings"
            return
        what = " ".join(filter(None, (group.sender, group.message_type, group.path)))
        head = click.style(f"{group.count:>6,}× {group.severity}", fg=COLOURS[group.severity])
        yield f"{head} {click.style(group.code, bold=True)}{f' · {what}' if what else ''}"
        when = str(group.first) if group.count == 1 else f"{group.first} to {group.last}"
        line = f"{indent}{when}: {printable(group.text)}"
        yield from [line] if width is None else wrap(line, width, subsequent_indent=indent)
