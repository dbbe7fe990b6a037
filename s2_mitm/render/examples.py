"""The examples of a finding type, played: each message, and what is found in it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from s2_mitm.render.rules import severity_of, whole
from s2_mitm.render.verdicts import verdict_as_dict, verdict_lines
from s2_mitm.s2.examples.script import Line, play_right, play_wrong
from s2_mitm.s2.finding_types import FindingType


def played(finding_type: FindingType, width: int) -> Iterator[str]:
    """Both examples of a finding type, message by message, and what they show.

    Takes the finding type and the width of the terminal in columns; yields lines styled with ANSI
    sequences, the verdicts as ``s2-mitm check`` shows them.
    """
    yield f"{click.style(finding_type.code, bold=True)} · {severity_of(finding_type)}"
    yield click.style(finding_type.title, bold=True)
    if not finding_type.wrong:
        yield ""
        yield "There is no example to play: none with our schemas has this finding."
        return
    wrong, right = play_wrong(finding_type), play_right(finding_type)
    for heading, example, lines in (
        ("The wrong example", finding_type.wrong, wrong),
        ("The right example", finding_type.right, right),
    ):
        yield ""
        yield click.style(heading, bold=True)
        yield from whole(example)
        if finding_type.in_binary_frame and lines is wrong:
            yield "  (in a binary WebSocket frame)"
        yield ""
        yield from _conversation(lines, width)
    yield ""
    for name, lines in (("wrong", wrong), ("right", right)):
        yield from textwrap.wrap(f"The {name} example gives {_given(finding_type, lines)}.", width)


def played_as_dicts(finding_type: FindingType) -> Iterator[dict[str, Any]]:
    """Both examples as JSON objects: one a message, with what is found in it.

    ``example`` is ``wrong`` or ``right``; the rest is as ``s2-mitm check --json`` has it.
    """
    if not finding_type.wrong:
        return
    for name, lines in (("wrong", play_wrong(finding_type)), ("right", play_right(finding_type))):
        for number, line in enumerate(lines, 1):
            yield {
                "code": finding_type.code,
                "example": name,
                **verdict_as_dict(number, line.verdict, injected=line.injected),
            }


def _conversation(lines: list[Line], width: int) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        time = datetime.fromtimestamp(line.verdict.time, UTC)
        label = f"{time:%H:%M:%S} #{number:<2}" if len(lines) > 1 else ""
        yield from verdict_lines(line.verdict, label=label, injected=line.injected, width=width)


def _given(finding_type: FindingType, lines: list[Line]) -> str:
    """Which findings an example has, and how often: that of its type first."""
    codes = [finding.code for line in lines for finding in line.verdict.findings]
    others = ", ".join(sorted(set(codes) - {finding_type.code}))
    if finding_type.code in codes:
        return finding_type.code + (f", and with it {others}" if others else "")
    return f"no {finding_type.code}, only {others}" if others else "nothing"
