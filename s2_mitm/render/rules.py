"""The finding types, listed and explained."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import click

from s2_mitm.render.diagnostics import diagnostic, located
from s2_mitm.render.documents import Document
from s2_mitm.render.excerpts import shown
from s2_mitm.render.origins import linked, links, wrapped
from s2_mitm.render.verdicts import COLOURS
from s2_mitm.s2.finding_types import FindingType
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import Severity, Verdict

MAX_EXAMPLE = 600
"""How many characters of an example are shown."""

MAX_UNREADABLE = 150
"""How many characters are shown of an example in which nothing can be underlined."""

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
    "hint": "What no text forbids, and hints at a mistake",
}
"""What the first part of a code means."""


def overview(finding_types: Iterable[FindingType], width: int) -> Iterator[str]:
    """All finding types by family, one line each.

    Takes the finding types, in the order of their families, and the width of the terminal in
    columns. Yields lines styled with ANSI sequences.
    """
    finding_types = list(finding_types)
    longest = max(len(each.code) for each in finding_types)
    families = list(dict.fromkeys(each.family for each in finding_types))
    for family, members in groupby(
        sorted(finding_types, key=lambda each: families.index(each.family)),
        key=lambda each: each.family,
    ):
        title = _FAMILIES.get(family)
        yield click.style(f"{family}: {title}" if title else family, bold=True)
        for finding_type in members:
            head = f"  {finding_type.code:<{longest}}  {severity_of(finding_type, 7)}  "
            for line in textwrap.wrap(finding_type.title, max(20, width - longest - 13)):
                yield head + line
                head = " " * (longest + 13)
        yield ""
    yield "s2-mitm rules CODE explains one, with examples."


def explanation(
    finding_type: FindingType, width: int, *, with_links: bool = False
) -> Iterator[str]:
    """A finding type explained, with an example that has it and one that has not.

    Takes the finding type, the width of the terminal in columns, and whether it shows links; yields
    lines styled with ANSI sequences.
    """
    yield f"{click.style(finding_type.code, bold=True)} · {severity_of(finding_type)}"
    yield click.style(finding_type.title, bold=True)
    yield ""
    yield from textwrap.wrap(finding_type.meaning, min(width, 100))
    for heading, text in (
        ("What to do", finding_type.remedy),
        ("Where it comes from", finding_type.origin),
        (f"Why it is {_a(finding_type.severity)}", finding_type.why),
    ):
        if not text:
            continue
        yield ""
        yield click.style(heading, bold=True)
        for line in wrapped(text, min(width, 100), "  "):
            yield linked(line) if with_links and text == finding_type.origin else line
    if not finding_type.wrong:  # an example would need more than a message
        return
    yield ""
    yield click.style("An example that has it", bold=True)
    yield from whole(finding_type.wrong) if finding_type.is_rule else _wrong(finding_type, width)
    yield ""
    yield click.style("One that has not", bold=True)
    yield from whole(finding_type.right)
    if finding_type.is_rule:
        yield ""
        yield from textwrap.wrap(_SCRIPT, min(width, 100))
    yield ""
    yield f"s2-mitm rules {finding_type.code} --run plays both."


def _wrong(finding_type: FindingType, width: int) -> Iterator[str]:
    document = Document(finding_type.wrong)
    examples = [
        found
        for found in located(_judged(finding_type, finding_type.wrong), document)
        if found.finding.code == finding_type.code
    ]
    if not any(found.underline for found in examples):
        yield from whole(finding_type.wrong, MAX_UNREADABLE)
    for found in examples:
        yield from diagnostic(found, document, width)


def whole(example: bytes, most: int = MAX_EXAMPLE) -> Iterator[str]:
    """The lines of an example, or of its beginning where it is longer than ``most`` characters."""
    # The terminal wraps it, so that it can be copied as one line.
    for line in _cut(example, most).splitlines():
        yield f"  {shown(line)}"


def as_dict(finding_type: FindingType) -> dict[str, Any]:
    """A finding type as a JSON object.

    ``wrong`` and ``right`` are its examples as text, cut where they are long; ``findings`` is what
    is found in the wrong one, where that is a message by itself.
    """
    judged = (
        _judged(finding_type, finding_type.wrong)
        if finding_type.wrong and not finding_type.is_rule
        else None
    )
    return {
        "code": finding_type.code,
        "severity": str(finding_type.severity),
        "source": str(finding_type.source),
        "family": finding_type.family,
        "title": finding_type.title,
        "meaning": finding_type.meaning,
        "origin": finding_type.origin,
        "links": links(finding_type.origin),
        "remedy": finding_type.remedy,
        "why": finding_type.why,
        "wrong": _cut(finding_type.wrong),
        "findings": [finding.as_dict() for finding in judged.findings] if judged else [],
        "right": _cut(finding_type.right) if finding_type.wrong else "",
    }


def _judged(finding_type: FindingType, example: bytes) -> Verdict:
    return judge(example, binary=finding_type.in_binary_frame and example == finding_type.wrong)


def severity_of(finding_type: FindingType, width: int = 0) -> str:
    """The severity of a finding type in its colour, filled up to so many columns."""
    return click.style(
        f"{finding_type.severity:<{width}}", fg=COLOURS[Severity(finding_type.severity)]
    )


def _a(severity: Severity) -> str:
    return {Severity.INFO: "only information", Severity.WARNING: "a warning"}.get(
        severity, "an error"
    )


def _cut(example: bytes, most: int = MAX_EXAMPLE) -> str:
    text = example[: 4 * most].decode(errors="backslashreplace")
    return text if len(text) <= most else text[:most] + "…"
