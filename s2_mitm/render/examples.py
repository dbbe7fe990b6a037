"""The examples of a finding type, played: each message, and what is found in it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from s2_mitm.render.rules import severity_of, whole
from s2_mitm.render.verdicts import verdict_lines
from s2_mitm.s2.examples.script import Line, play_right, play_wrong
from s2_mitm.s2.finding_types import FindingType


def played(kind: FindingType, width: int) -> Iterator[str]:
    """Both examples of a finding type, message by message, and what they show.

    Takes the finding type and the columns of the terminal; yields lines styled with ANSI
    sequences. The verdicts stand there as ``s2-mitm check`` shows them.
    """
    yield f"{click.style(kind.code, bold=True)} · {severity_of(kind)}"
    yield click.style(kind.title, bold=True)
    if not kind.wrong:
        yield ""
        yield "There is no example to play: none with our schemas has this finding."
        return
    wrong, right = play_wrong(kind), play_right(kind)
    for heading, example, lines in (
        ("The wrong example", kind.wrong, wrong),
        ("The right example", kind.right, right),
    ):
        yield ""
        yield click.style(heading, bold=True)
        yield from whole(example)
        if kind.in_binary_frame and lines is wrong:
            yield "  (in a binary WebSocket frame)"
        yield ""
        yield from _conversation(lines, width)
    yield ""
    for name, lines in (("wrong", wrong), ("right", right)):
        yield from textwrap.wrap(f"The {name} example gives {_given(kind, lines)}.", width)


def played_as_dicts(kind: FindingType) -> Iterator[dict[str, Any]]:
    """Both examples as JSON has them: one object a message, with what is found in it.

    ``example`` is ``wrong`` or ``right``; the rest is as ``s2-mitm check --json`` has it.
    """
    if not kind.wrong:
        return
    for name, lines in (("wrong", play_wrong(kind)), ("right", play_right(kind))):
        for number, line in enumerate(lines, 1):
            verdict = line.verdict
            yield {
                "code": kind.code,
                "example": name,
                "seq": number,
                "timestamp": _time(verdict.time).isoformat(timespec="milliseconds") + "Z",
                "sender": verdict.sender and str(verdict.sender),
                "message_type": verdict.message_type,
                "message_id": verdict.message_id,
                "injected": line.injected,
                "valid": verdict.valid,
                "findings": [finding.as_dict() for finding in verdict.findings],
            }


def _conversation(lines: list[Line], width: int) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        label = f"{_time(line.verdict.time):%H:%M:%S} #{number:<2}" if len(lines) > 1 else ""
        message, *findings = verdict_lines(line.verdict, label=label, width=width)
        yield message + (click.style(" injected", fg="magenta") if line.injected else "")
        yield from findings


def _given(kind: FindingType, lines: list[Line]) -> str:
    """Which findings an example has, and how often: that of its type first."""
    codes = [finding.code for line in lines for finding in line.verdict.findings]
    others = ", ".join(sorted(set(codes) - {kind.code}))
    if kind.code in codes:
        return kind.code + (f", and with it {others}" if others else "")
    return f"no {kind.code}, only {others}" if others else "nothing"


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
