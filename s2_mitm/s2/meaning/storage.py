"""The storage of FRBC and the demand of DDBC: statuses, forecasts and targets."""

from __future__ import annotations

import re

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.meaning.amounts import (
    SHORT_UNIT,
    Spread,
    amount,
    count_of,
    course,
    flow,
    holds,
    joined,
    spread,
    widened,
)
from s2_mitm.s2.meaning.names import label_of
from s2_mitm.s2.wording import counted

DESCRIPTION = "FRBC.SystemDescription"

_SYMBOL = re.compile(rf" in (\S{{1,{SHORT_UNIT}}})$|[\[(](\S{{1,{SHORT_UNIT}}})[\])]$")
"""A unit at the end of a label."""


def storage_in_force(conversation: Conversation) -> Part | None:
    """The storage as the description in force has it; None where none was given."""
    for given in conversation.referable(DESCRIPTION, conversation.now):
        if given.valid_from <= conversation.now:
            return given.content.part("storage")
    return None


def unit_of(storage: Part | None) -> str:
    """The unit of the fill level, in the words of the RM; empty where it has none.

    Of ``state of charge in %``, or ``SoC [%]``, only the end.
    """
    label = label_of(storage, "fill_level_label")
    symbol = _SYMBOL.search(label)
    return (symbol[1] or symbol[2]) if symbol else label


def status(message: Message, conversation: Conversation) -> str:
    """``battery: 57.3 %, of 0 to 100 %``."""
    level = message.content.number("present_fill_level")
    if level is None:
        return "a fill level that cannot be read"
    storage = storage_in_force(conversation)
    unit = unit_of(storage)
    told = f"{label_of(storage) or 'fill level'}: {amount(level, unit)}"
    limits = storage.range("fill_level_range") if storage else None
    if limits is None:
        return told
    inside = min(limits) <= level <= max(limits)
    return f"{told}, {'of' if inside else 'outside of'} {spread(limits, unit)}"


def leakage(message: Message, conversation: Conversation) -> str:
    """``leaks 0.36 to 0.72 %/h at 0 to 100 %, 2 elements``."""
    content, unit = message.content, unit_of(storage_in_force(conversation))
    found: dict[str, Spread] = {}
    for element in content.parts("elements"):
        value, levels = element.number("leakage_rate"), element.range("fill_level_range")
        if value is not None:
            widened(found, "rate", value)
        if levels is not None:
            widened(found, "levels", *levels)
    return joined(
        joined(
            f"leaks {flow(found['rate'], unit)}" if "rate" in found else "leakage",
            f"at {spread(found['levels'], unit)}" if "levels" in found else "",
            by=" ",
        ),
        counted(count_of(content, "elements"), "element"),
        holds(content, "valid_from", None, message.time),
    )


def usage(message: Message, conversation: Conversation) -> str:
    """``uses 36 to 72 %/h from 12:00:00Z for 1 h, 4 elements``."""
    found = _expected(message.content, "usage_rate_expected")
    unit = unit_of(storage_in_force(conversation))
    told = f"uses {flow(found, unit)}" if found else "usage"
    return f"{told} {course(message.content, message.time)}"


def target(message: Message, conversation: Conversation) -> str:
    """``20 to 80 % wanted from 12:00:00Z for 1 h, 4 elements``."""
    found: dict[str, Spread] = {}
    for element in message.content.parts("elements"):
        if (levels := element.range("fill_level_range")) is not None:
            widened(found, "levels", *levels)
    unit = unit_of(storage_in_force(conversation))
    told = f"{spread(found['levels'], unit)} wanted" if found else "fill levels"
    return f"{told} {course(message.content, message.time)}"


def demand(message: Message, conversation: Conversation) -> str:
    """``demand rate 1 to 3 expected from 12:00:00Z for 1 h, 4 elements``."""
    found = _expected(message.content, "demand_rate_expected")
    told = f"demand rate {spread(found)} expected" if found else "demand rate"
    return f"{told} {course(message.content, message.time)}"


def present_demand(message: Message, conversation: Conversation) -> str:
    """``demand rate 1 to 2``."""
    found = message.content.range("present_demand_rate")
    return f"demand rate {spread(found)}" if found else "a demand rate that cannot be read"


def _expected(content: Part, field: str) -> Spread | None:
    found: dict[str, Spread] = {}
    for element in content.parts("elements"):
        if (value := element.number(field)) is not None:
            widened(found, field, value)
    return found.get(field)
