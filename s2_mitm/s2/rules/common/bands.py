"""The probability bands of forecasts: each lies within the wider one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.rules.common.words import number
from s2_mitm.s2.rules.registry import Found

BANDS = (
    "lower_limit",
    "lower_95PPR",
    "lower_68PPR",
    "expected",
    "upper_68PPR",
    "upper_95PPR",
    "upper_limit",
)
"""What stands after ``usage_rate_``, ``demand_rate_`` or ``value_``, from the lowest up."""


def crossed(part: Part, names: Sequence[str]) -> tuple[str, str] | None:
    """The first two fields that are not in order, where ``names`` has them from the lowest up.

    None when all are in order. A field that is absent, or no number, is skipped.
    """
    below: tuple[str, float] | None = None
    for name in names:
        value = part.number(name)
        if value is None:
            continue
        if below is not None and value < below[1]:
            return below[0], name
        below = name, value
    return None


def crossed_elements(message: Message, names: tuple[str, ...]) -> Iterator[Found]:
    """The findings about the elements of a forecast whose bands are not in order."""
    for element in message.content.parts("elements"):
        if pair := crossed(element, names):
            lower, upper = pair
            yield Found(
                element.at(upper),
                f"{upper} {number(element.value[upper])} is below {lower}"
                f" {number(element.value[lower])}",
            )
