"""A finding as compilers show theirs: what, where, the raw text, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from s2_mitm.render.documents import Document
from s2_mitm.render.excerpts import Excerpt, Gutter
from s2_mitm.render.places import Underline, places
from s2_mitm.render.verdicts import COLOURS
from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.verdict import Finding, Verdict
from s2_mitm.s2.wording import excerpt, printable

MAX_NAME = 200
"""Characters shown of a message type or a path, which a message can make as long as it is."""


@dataclass(frozen=True, slots=True)
class Located:
    """A finding and its place: in the message, and in the file (both from 1) where known."""

    finding: Finding
    place: Underline | None
    line: int | None
    column: int | None

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON has it, with its line and column where they are known."""
        position = {} if self.place is None else {"line": self.line, "column": self.column}
        return {**self.finding.as_dict(), **position}


def located(verdict: Verdict, document: Document) -> list[Located]:
    """The findings of a message with their places; takes its verdict and what that is about."""
    if not verdict.findings:
        return []
    found = []
    for finding, place in zip(
        verdict.findings, places(verdict.findings, document.text), strict=True
    ):
        line, column = document.position(place.start) if place else (None, None)
        found.append(Located(finding, place, line, column))
    return found


def diagnostic(
    found: Located, document: Document, width: int, *, file: str = "", message_type: str = ""
) -> Iterator[str]:
    """The lines that show a finding.

    Takes the finding, the message that it is about, the columns of the terminal and, to say where
    it is, the name of the file and the type of the message. Yields lines styled with ANSI
    sequences; `click.echo` takes them out where the output is no terminal.
    """
    finding = found.finding
    colour = COLOURS[finding.severity]
    kind = FINDING_TYPES.get(finding.code)
    head = click.style(f"{finding.severity}[{finding.code}]", fg=colour, bold=True)
    yield head + click.style(f": {kind.title if kind else finding.text}", bold=True)
    text = Excerpt(document.text, width, document.first_line, document.first_column)
    gutter = text.gutter(found.place) if found.place else Gutter(document.first_line)
    if file:
        arrow = click.style("-->".rjust(gutter.width - 1), fg="blue", bold=True)
        position = printable(_position(file, document, found))
        where = f"{position} {excerpt(message_type, MAX_NAME)}" if message_type else position
        path = f" {excerpt(finding.path, MAX_NAME)}" if finding.path else ""
        yield f"{arrow} {where}{click.style(path, dim=True)}"
    if found.place:
        yield from text.lines(found.place, finding.text, colour)
    else:
        yield gutter.line()
        yield from gutter.note(str(finding.severity), finding.text, width)
    if finding.hint:
        yield from gutter.note("help", finding.hint, width)


def _position(file: str, document: Document, found: Located) -> str:
    line = found.line or document.line
    place = ":".join(str(part) for part in (file, line, found.column) if part is not None)
    return place if document.index is None else f"{place} [{document.index}]"
