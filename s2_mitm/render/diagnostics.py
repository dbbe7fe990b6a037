"""A finding as compilers show theirs: what it is, where, the raw text, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from s2_mitm.render.documents import Document
from s2_mitm.render.excerpts import Excerpt, Gutter
from s2_mitm.render.underlines import Underline, underlines
from s2_mitm.render.verdicts import COLOURS
from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.verdict import Finding, Verdict
from s2_mitm.s2.wording import excerpt, printable

MAX_NAME = 200
"""How many characters are shown of a message type or a path, which may be as long as a message."""


@dataclass(frozen=True, slots=True)
class Located:
    """A finding, what to underline for it, and its line and column in the file, from 1.

    The last three are None where the finding is about no part of the text.
    """

    finding: Finding
    underline: Underline | None
    line: int | None
    column: int | None

    def as_dict(self) -> dict[str, Any]:
        """The finding as a JSON object, with its line and column where they are known."""
        position = {} if self.underline is None else {"line": self.line, "column": self.column}
        return {**self.finding.as_dict(), **position}


def located(verdict: Verdict, document: Document) -> list[Located]:
    """The findings of a message with their positions; takes its verdict and its document."""
    if not verdict.findings:
        return []
    found = []
    for finding, underline in zip(
        verdict.findings, underlines(verdict.findings, document.text), strict=True
    ):
        line, column = document.position(underline.start) if underline else (None, None)
        found.append(Located(finding, underline, line, column))
    return found


def diagnostic(
    found: Located, document: Document, width: int, *, file: str = "", message_type: str = ""
) -> Iterator[str]:
    """The lines that show a finding.

    Takes the finding, the document that it is about, the width of the terminal in columns and, to
    say where it is, the name of the file and the type of the message. Yields lines styled with ANSI
    sequences; `click.echo` removes them where the output is no terminal.
    """
    finding = found.finding
    colour = COLOURS[finding.severity]
    finding_type = FINDING_TYPES.get(finding.code)
    head = click.style(f"{finding.severity}[{finding.code}]", fg=colour, bold=True)
    yield head + click.style(f": {finding_type.title if finding_type else finding.text}", bold=True)
    text = Excerpt(document.text, width, document.first_line, document.first_column)
    gutter = text.gutter(found.underline) if found.underline else Gutter(document.first_line)
    if file:
        arrow = click.style("-->".rjust(gutter.width - 1), fg="blue", bold=True)
        position = printable(_position(file, document, found))
        where = f"{position} {excerpt(message_type, MAX_NAME)}" if message_type else position
        path = f" {excerpt(finding.path, MAX_NAME)}" if finding.path else ""
        yield f"{arrow} {where}{click.style(path, dim=True)}"
    if found.underline:
        yield from text.lines(found.underline, finding.text, colour)
    else:
        yield gutter.line()
        yield from gutter.note(str(finding.severity), finding.text, width)
    if finding.hint:
        yield from gutter.note("help", finding.hint, width)


def _position(file: str, document: Document, found: Located) -> str:
    line = found.line or document.line
    position = ":".join(str(part) for part in (file, line, found.column) if part is not None)
    return position if document.index is None else f"{position} [{document.index}]"
