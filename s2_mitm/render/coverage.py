"""What checks each sentence of the specification that says must, shall or should.

The sentences themselves are not ours: they come in a file, each with its number (N01, N02, ...).
Here are the numbers of those that no rule checks, and why. A rule names those that it checks; the
tests have a conversation for each of these that breaks it (``tests/render/statements.py``).
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click

from s2_mitm.s2.rules import RULES
from s2_mitm.s2.wording import printable

BY_SCHEMA = {
    "N08": "at least one actuator",
    "N11": "at least one element",
    "N23": "at least one envelope",
    "N24": "at least two limit ranges",
    "N27": "at least one container, and a sequence in each",
    "N31": "at least one element",
    "N32": "at least one value",
    "N38": "at least one commodity",
    "N39": "at least one operation mode",
    "N42": "at least one power range",
    "N56": "at least one element",
    "N64": "at least one value",
    "N65": "at least one value",
}
"""What the JSON Schema checks of a sentence, at least the part of it that can be counted."""

_KNOWN_BEFORE = "that there was a mode before is known from an earlier status only"
_IN_TIME = "that it comes too early; what comes late may have its reasons"
_INSTRUCTED = "what is instructed; what a device does by itself is not judged"
_ENERGY = "in normal conditions, by constraints that were answered with OK"
_PHASES = "how many phases a device has is not on the wire"

IN_PART = {
    "N02": _KNOWN_BEFORE,
    "N04": "in a conversation, among its latest 2,000 ids; those of modes and actuators in one"
    " description, since the next may name the same again",
    "N05": _IN_TIME,
    "N10": _KNOWN_BEFORE,
    "N12": "that there is such a mode",
    "N17": "that there is such a mode",
    "N18": _KNOWN_BEFORE,
    "N19": _ENERGY,
    "N21": _ENERGY,
    "N25": _IN_TIME,
    "N26": "that it is scheduled in time; how long a device then takes is its own matter",
    "N28": "a schedule in another order; the containers themselves have no times",
    "N29": _IN_TIME,
    "N30": _IN_TIME,
    "N34": "costs other than 0",
    "N35": "all but NO_SELECTION, which ends a control type and need not be offered",
    "N36": f"L2 or L3 without another phase; {_PHASES}",
    "N37": f"two phases that are measured; {_PHASES}",
    "N40": "actuators with several modes; one with a single mode needs no transition",
    "N43": _INSTRUCTED,
    "N50": _INSTRUCTED,
    "N53": _INSTRUCTED,
    "N61": _INSTRUCTED,
    "N66": "that its sender goes on; from what it cannot recover is for it to know",
    "N69": "timers whose end is told, or follows from a switch or a plan",
    "N70": _INSTRUCTED,
}
"""Which part of a sentence is checked, where it is not the whole."""

NOT_SEEN = {
    "N03": "elements have durations and no times: each begins where the one before ends",
    "N06": "it says what the number is; what a device makes of it is for the device to know",
    "N07": "what begins in the future is simply not valid yet; what was meant is not on the wire",
    "N13": "it says what the number is; what a device makes of it is for the device to know",
    "N14": "what begins in the future is simply not valid yet; what was meant is not on the wire",
    "N22": "it says what the field is; a power beyond it may be measured, but not why",
    "N33": "it is about several RMs, and a conversation has one",
    "N44": "it says what a target is; a fill level beyond it may be nobody's fault",
    "N46": "whether the CEM does its best for a target is for the CEM to know",
}
"""Why a sentence cannot be checked by a proxy, which only sees what goes over the wire."""


@dataclass(frozen=True, slots=True)
class Covered:
    """A sentence and what checks it.

    ``where`` are the fields that it is about; ``rules`` the codes of the rules that check it;
    ``by_schema`` is what the JSON Schema checks of it, empty where it checks nothing; ``reason`` is
    why a proxy cannot check it, empty where it can; ``part`` is which part of it is checked, empty
    where it is the whole, or nothing.
    """

    id: str
    text: str
    where: tuple[str, ...]
    rules: tuple[str, ...]
    by_schema: str
    reason: str
    part: str = ""

    @property
    def explained(self) -> bool:
        return bool(self.rules or self.by_schema or self.reason)

    def as_dict(self) -> dict[str, Any]:
        """As a JSON object, without the sentence itself and its fields."""
        return {
            "id": self.id,
            "rules": list(self.rules),
            "schema": self.by_schema,
            "reason": self.reason,
            "part": self.part,
        }


def read_statements(content: bytes, file: str) -> list[dict[str, Any]]:
    """The sentences in a file, such as the ``normative-statements.json`` of a specification.

    Takes its bytes and its name. Returns a list of objects with at least ``id``. Raises ValueError,
    with a sentence for the person who named the file, where it is something else.
    """
    try:
        statements = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError(f"{file} is not JSON") from None
    if isinstance(statements, list) and statements and all(map(_is_statement, statements)):
        return statements
    raise ValueError(f'{file} holds no statements: it is to be a list of {{"id": "N01", ...}}')


def _is_statement(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str)


def coverage(statements: Iterable[Mapping[str, Any]]) -> list[Covered]:
    """What checks each of the statements, in their order.

    A statement is a mapping with ``id``, and for the reader ``text`` and ``where``, a list.
    """
    rules = _rules()
    return [
        Covered(
            number,
            str(statement.get("text", "")),
            tuple(dict.fromkeys(map(str, statement.get("where") or ()))),
            tuple(rules.get(number, ())),
            BY_SCHEMA.get(number, ""),
            "" if number in rules or number in BY_SCHEMA else NOT_SEEN.get(number, ""),
            IN_PART.get(number, ""),
        )
        for statement in statements
        for number in [str(statement["id"])]
    ]


def _rules() -> dict[str, list[str]]:
    """The codes of the rules that check each statement, by its number, in their order."""
    codes: dict[str, list[str]] = {}
    for rule in dict.fromkeys(rule for rules in RULES.values() for rule in rules):
        for number in rule.statements:
            codes.setdefault(number, []).append(rule.finding_type.code)
    return {number: list(dict.fromkeys(found)) for number, found in codes.items()}


def coverage_lines(covered: Iterable[Covered], width: int) -> Iterator[str]:
    """The statements for a terminal of ``width`` columns, and a line with their numbers.

    Yields lines styled with ANSI sequences.
    """
    covered = list(covered)
    indent = max(len(item.id) for item in covered) + 2 if covered else 0
    for item in covered:
        head = click.style(f"{printable(item.id):<{indent}}", bold=item.explained, fg=_colour(item))
        for line in textwrap.wrap(_words(item), max(20, width - indent)):
            yield head + line
            head = " " * indent
        if not item.explained:
            for line in textwrap.wrap(printable(item.text), max(20, width - indent)):
                yield " " * indent + click.style(line, dim=True)
    by_rules = sum(bool(item.rules) for item in covered)
    by_schema = sum(bool(item.by_schema and not item.rules) for item in covered)
    unexplained = sum(not item.explained for item in covered)
    unseen = len(covered) - by_rules - by_schema - unexplained
    in_part = sum(bool(item.part) for item in covered)
    yield (
        f"{len(covered)} statements: {by_rules} held by rules, {by_schema} by the schema alone"
        f" ({in_part} of them in part), {unseen} cannot be seen, {unexplained} unexplained"
    )


def _words(item: Covered) -> str:
    if not item.explained:
        return "unexplained"
    if item.reason:
        return f"not seen: {item.reason}"
    schema = f"schema ({item.by_schema})" if item.by_schema else ""
    words = ", ".join([*([schema] if schema else []), *item.rules])
    return f"{words}; in part: {item.part}" if item.part else words


def _colour(item: Covered) -> str | None:
    return None if item.explained else "red"
