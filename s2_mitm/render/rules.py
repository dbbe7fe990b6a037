"""The kinds of findings, listed and explained."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import click

from s2_mitm.render.diagnostics import diagnostic, located
from s2_mitm.render.documents import Document
from s2_mitm.render.excerpts import shown
from s2_mitm.render.verdicts import COLOURS
from s2_mitm.s2.finding_types import FindingType
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import Severity, Verdict

MAX_EXAMPLE = 600
"""Characters of an example that are shown."""

MAX_UNREADABLE = 150
"""Characters that are shown of one in which there is no place to point at."""

_SCRIPT = (
    "(The examples are scripts: rm and cem say a message that is right but for the fields given,"
    " and the other side answers OK unless answer says otherwise; begin makes the handshake,"
    " selects the control type and describes the device; wait lets seconds pass; #name stands for"
    " an id.)"
)

_FAMILIES = {
    "json": "It cannot be read",
    "schema": "It is not what the JSON Schema of S2 says",
    "s2-python": "s2-python, which many devices are built on, refuses it",
    "handshake": "The handshake",
    "direction": "Who may send what",
    "state": "What may be said when",
    "ack": "ReceptionStatus",
    "ids": "Ids that are not unique",
    "instruction": "Instructions and what becomes of them",
    "revoke": "Taking something back",
    "measurement": "Measurements",
    "forecast": "Forecasts of power",
    "costs": "Costs",
    "time": "Times",
    "modes": "Actuators, operation modes, transitions and timers (FRBC, OMBC, DDBC)",
    "frbc": "Fill rate based control",
    "ddbc": "Demand driven based control",
    "pebc": "Power envelope based control",
    "ppbc": "Power profile based control",
}
"""What the first part of a code says."""


def overview(kinds: Iterable[FindingType], width: int) -> Iterator[str]:
    """All kinds by family, one line each, styled with ANSI sequences.

    Takes the kinds in the order that their families are to have, and the columns of the terminal.
    """
    kinds = list(kinds)
    longest = max(len(kind.code) for kind in kinds)
    families = list(dict.fromkeys(kind.family for kind in kinds))
    for family, members in groupby(
        sorted(kinds, key=lambda kind: families.index(kind.family)), key=lambda kind: kind.family
    ):
        title = _FAMILIES.get(family)
        yield click.style(f"{family}: {title}" if title else family, bold=True)
        for kind in members:
            head = f"  {kind.code:<{longest}}  {severity_of(kind, 7)}  "
            for line in textwrap.wrap(kind.title, max(20, width - longest - 13)):
                yield head + line
                head = " " * (longest + 13)
        yield ""
    yield "s2-mitm rules CODE explains one, with examples."


def explanation(kind: FindingType, width: int) -> Iterator[str]:
    """All that is to be said of a kind, with an example that has it and one that has not.

    Takes the kind and the columns of the terminal; yields lines styled with ANSI sequences.
    """
    yield f"{click.style(kind.code, bold=True)} · {severity_of(kind)}"
    yield click.style(kind.title, bold=True)
    yield ""
    yield from textwrap.wrap(kind.meaning, min(width, 100))
    for heading, text in (("What to do", kind.remedy), ("Where it comes from", kind.origin)):
        yield ""
        yield click.style(heading, bold=True)
        yield from textwrap.wrap(text, min(width, 100), initial_indent="  ", subsequent_indent="  ")
    if not kind.wrong:  # it takes more than a message to see it
        return
    yield ""
    yield click.style("An example that has it", bold=True)
    yield from whole(kind.wrong) if kind.is_rule else _wrong(kind, width)
    yield ""
    yield click.style("One that has not", bold=True)
    yield from whole(kind.right)
    if kind.is_rule:
        yield ""
        yield from textwrap.wrap(_SCRIPT, min(width, 100))
    yield ""
    yield f"s2-mitm rules {kind.code} --run plays both."


def _wrong(kind: FindingType, width: int) -> Iterator[str]:
    document = Document(kind.wrong)
    examples = [
        found
        for found in located(_judged(kind, kind.wrong), document)
        if found.finding.code == kind.code
    ]
    if not any(found.place for found in examples):
        yield from whole(kind.wrong, MAX_UNREADABLE)
    for found in examples:
        yield from diagnostic(found, document, width)


def whole(example: bytes, most: int = MAX_EXAMPLE) -> Iterator[str]:
    """The lines of an example, or of its beginning where it is longer than ``most`` characters."""
    # Not wrapped but by the terminal, so that it can be copied.
    for line in _cut(example, most).splitlines():
        yield f"  {shown(line)}"


def as_dict(kind: FindingType) -> dict[str, Any]:
    """A kind as JSON has it: examples as text, long ones cut, with what is found in the wrong."""
    judged = _judged(kind, kind.wrong) if kind.wrong and not kind.is_rule else None
    return {
        "code": kind.code,
        "severity": str(kind.severity),
        "source": str(kind.source),
        "family": kind.family,
        "title": kind.title,
        "meaning": kind.meaning,
        "origin": kind.origin,
        "remedy": kind.remedy,
        "wrong": _cut(kind.wrong),
        "findings": [finding.as_dict() for finding in judged.findings] if judged else [],
        "right": _cut(kind.right) if kind.wrong else "",
    }


def _judged(kind: FindingType, example: bytes) -> Verdict:
    return judge(example, binary=kind.in_binary_frame and example == kind.wrong)


def severity_of(kind: FindingType, width: int = 0) -> str:
    """The severity of a finding type in its colour, filled up to so many columns."""
    return click.style(f"{kind.severity:<{width}}", fg=COLOURS[Severity(kind.severity)])


def _cut(example: bytes, most: int = MAX_EXAMPLE) -> str:
    text = example[: 4 * most].decode(errors="backslashreplace")
    return text if len(text) <= most else text[:most] + "…"
