"""Verdicts as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

import click

from s2_mitm.s2.verdict import Finding, Severity, Verdict
from s2_mitm.s2.wording import excerpt, printable

COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
"""The colour of each severity."""

NAME_LENGTH = 80
PATH_LENGTH = 200
"""How many characters are shown of a message type and of a path, which may be as long as a
message."""

_SEVERITY = 9
"""How many columns the severity of a finding has."""

_INDENT = " " * (_SEVERITY + 1)
"""Before each line of a finding but the first."""


def verdict_as_dict(number: int, verdict: Verdict, *, injected: bool) -> dict[str, Any]:
    """A message of a conversation as a JSON object, with what is found in it but not its content.

    ``number`` counts the messages of the conversation from 1.
    """
    judged = {
        "seq": number,
        "timestamp": utc_text(verdict.time).replace(" ", "T") + "Z",
        "sender": verdict.sender and str(verdict.sender),
        "message_type": verdict.message_type,
        "message_id": verdict.message_id,
        "injected": injected,
        "valid": verdict.valid,
        "findings": [finding.as_dict() for finding in verdict.findings],
    }
    return judged | ({"meaning": verdict.meaning} if verdict.meaning else {})


def utc_text(seconds: float) -> str:
    """A time in seconds since 1970 as ``2026-03-01 12:00:00.000``, in UTC."""
    time = datetime.fromtimestamp(seconds, UTC).isoformat(" ", timespec="milliseconds")
    return time.removesuffix("+00:00")


def verdict_lines(
    verdict: Verdict,
    *,
    label: str = "",
    injected: bool = False,
    width: int | None = None,
    told: Callable[[Finding], Iterable[str]] | None = None,
) -> Iterator[str]:
    """A verdict for a terminal: a line for the message, and below it its findings.

    ``label`` stands first on the line, such as a time, or a file and line; ``injected`` is said
    last. What the message means, where that is told, has a line of its own, but for the few words
    of a ReceptionStatus. Lines are wrapped at ``width`` columns, or not at all where that is None.
    They are styled with ANSI sequences; `click.echo` removes them where the output is no terminal.
    ``told`` gives the lines of a finding, where they are others than `finding_lines`.
    """
    parts = [click.style(label, dim=True)] if label else []
    if verdict.sender:
        parts.append(click.style(f"{verdict.sender:<3}", bold=True))
    parts.append(excerpt(verdict.message_type or "(no message type)", NAME_LENGTH))
    meaning = verdict.meaning
    if verdict.message_type == "ReceptionStatus" and verdict.message:
        parts.append(meaning or excerpt(str(verdict.message.get("status"))))
        meaning = ""
    parts.append(judgement(verdict))
    yield " ".join(parts) + (click.style(" injected", fg="magenta") if injected else "")
    if meaning:
        # Marked, so that no label that a peer gives makes it look like a finding.
        for line in _wrapped(f"{_INDENT}· {meaning}", width):
            yield _INDENT + click.style(line[len(_INDENT) :], dim=True)
    for finding in verdict.findings:
        yield from told(finding) if told else finding_lines(finding, width)


def judgement(verdict: Verdict) -> str:
    """``valid`` or ``INVALID``, coloured by the worst finding."""
    colour = COLOURS[verdict.worst] if verdict.worst else "green"
    return click.style("valid" if verdict.valid else "INVALID", fg=colour, bold=not verdict.valid)


def finding_lines(finding: Finding, width: int | None = None) -> Iterator[str]:
    """A finding for a terminal: severity, code, path and text, and below them the hint.

    They are wrapped at ``width`` columns, or not at all where that is None.
    """
    path = f" {excerpt(finding.path, PATH_LENGTH)}" if finding.path else ""
    severity = f"{finding.severity:>{_SEVERITY}}"
    first, *rest = _wrapped(f"{severity} {finding.code}{path}: {printable(finding.text)}", width)
    yield click.style(severity, fg=COLOURS[finding.severity]) + first[_SEVERITY:]
    yield from rest
    if finding.hint:
        for line in _wrapped(f"{_INDENT}{finding.hint}", width):
            yield _INDENT + click.style(line[len(_INDENT) :], dim=True)


def _wrapped(line: str, width: int | None) -> list[str]:
    return [line] if width is None else wrap(line, width, subsequent_indent=_INDENT)
