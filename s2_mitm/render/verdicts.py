"""Verdicts as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import click

from s2_mitm.s2.verdict import Finding, Severity, Verdict
from s2_mitm.s2.wording import excerpt, printable

COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
"""The colour of each severity."""

NAME_LENGTH = 80
PATH_LENGTH = 200
"""Characters that are shown of what a peer may make as long as a message."""


def verdict_lines(verdict: Verdict, *, label: str = "") -> Iterator[str]:
    """One verdict for a terminal: a line for the message, its findings beneath.

    ``label`` comes first on the line, such as a time, or a file and line. The lines are styled
    with ANSI sequences; `click.echo` takes them out where the output is no terminal.
    """
    parts = [click.style(label, dim=True)] if label else []
    if verdict.sender:
        parts.append(click.style(f"{verdict.sender:<3}", bold=True))
    parts.append(excerpt(verdict.message_type or "(no message type)", NAME_LENGTH))
    if verdict.message_type == "ReceptionStatus" and verdict.message:
        parts.append(excerpt(str(verdict.message.get("status"))))
    parts.append(judgement(verdict))
    yield " ".join(parts)
    for finding in verdict.findings:
        yield from finding_lines(finding)


def judgement(verdict: Verdict) -> str:
    """``valid`` or ``INVALID``, coloured by the worst finding."""
    colour = COLOURS[verdict.worst] if verdict.worst else "green"
    return click.style("valid" if verdict.valid else "INVALID", fg=colour, bold=not verdict.valid)


def finding_lines(finding: Finding) -> Iterator[str]:
    """A finding for a terminal: severity, code, place and text; the hint beneath."""
    severity = click.style(f"{finding.severity:>9}", fg=COLOURS[finding.severity])
    place = f" {excerpt(finding.path, PATH_LENGTH)}" if finding.path else ""
    yield f"{severity} {finding.code}{place}: {printable(finding.text)}"
    if finding.hint:
        yield f"{'':>9} " + click.style(finding.hint, dim=True)
