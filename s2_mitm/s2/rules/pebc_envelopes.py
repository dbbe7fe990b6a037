"""Power envelope based control: envelopes that keep to the constraints."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Description, Ranges
from s2_mitm.s2.rules.common.constraints import (
    INSTRUCTION,
    LIMITS,
    constraints_of,
)
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.references import FEW
from s2_mitm.s2.rules.common.repeated import repeated
from s2_mitm.s2.rules.common.words import named, number
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted


@rule("pebc.quantity-not-constrained", Severity.ERROR, INSTRUCTION, statements=["N58", "N59"])
def quantity_not_constrained(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An envelope for a quantity that the constraints do not mention.

    The RM has not said that it can limit that power, and cannot follow.

    Where: the limits of an envelope keep to the PEBC.AllowedLimitRanges for its
    commodity_quantity (N58, N59).
    Wrong:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[
            envelope((900, 0, 4000), commodity_quantity="ELECTRIC.POWER.L2")])
    Right:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[
            envelope((900, 0, 4000), commodity_quantity="ELECTRIC.POWER.L1")])
    Do: Make envelopes only for the quantities in allowed_limit_ranges.
    """
    yield from islice(_not_constrained(message, conversation), FEW)


def _not_constrained(message: Message, conversation: Conversation) -> Iterator[Found]:
    given = constraints_of(message, conversation).given
    if given is None or given.limits is None:
        return
    for part in message.content.parts("power_envelopes"):
        quantity = part.text("commodity_quantity")
        if quantity is not None and quantity not in given.limits:
            yield Found(
                part.at("commodity_quantity"),
                f"{quoted(quantity)} is not limited, only {named(iter(given.limits))}, by"
                f" {given.message.name(message.time)}",
            )


@rule("pebc.limit-not-allowed", Severity.ERROR, INSTRUCTION, statements=["N58", "N59"])
def limit_not_allowed(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An envelope has a limit that the constraints do not allow.

    The device cannot be limited to it: it ignores the limit, stops, or refuses the instruction.

    Where: upper_limit lies in a PEBC.AllowedLimitRange of the type UPPER_LIMIT (N58), lower_limit
    in one of the type LOWER_LIMIT (N59), for the commodity_quantity of the envelope.
    Wrong:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((900, -6000, 4000))])
    Right:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((900, -5000, 4000))])
    Do: Choose the nearest limit that is allowed; the ranges may have gaps.
    """
    given = constraints_of(message, conversation).given
    for place, limit_type, limit, usual, abnormal in _limit_faults(message, conversation).outside:
        ranges = [*usual, *abnormal]
        yield Found(
            place,
            f"{number(limit)} is in no {limit_type} range of {_name_of(given, message)}:"
            f" {_in_words(ranges)} {'is' if len(ranges) == 1 else 'are'} allowed",
        )


@rule("pebc.abnormal-limit", Severity.ERROR, INSTRUCTION, statements=["N55"])
def abnormal_limit(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An envelope has a limit that is allowed in an abnormal condition only.

    Such limits have a price: comfort, wear, lost production. The RM keeps them for an emergency in
    the grid and refuses them otherwise.

    Where: PEBC.AllowedLimitRange.abnormal_condition_only (N55) and
    PEBC.Instruction.abnormal_condition.
    Wrong:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((900, 0, 7000))])
    Right:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((900, 0, 7000))],
            abnormal_condition=True)
    Do: Say that the condition is abnormal when it is; otherwise keep to the other ranges.
    """
    if message.content.flag("abnormal_condition") is not False:
        return
    given = constraints_of(message, conversation).given
    for place, _, limit, _, abnormal in _limit_faults(message, conversation).abnormal:
        yield Found(
            place,
            f"{number(limit)} needs abnormal_condition to be true: {_in_words([*abnormal])} is for"
            f" abnormal conditions only, by {_name_of(given, message)}",
        )


@rule("pebc.limits-crossed", Severity.ERROR, INSTRUCTION, statements=["N57"], alone=True)
def limits_crossed(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The lower limit of an envelope is above its upper limit.

    No power lies between them. Mind the sign: what is produced is negative, so the larger
    production is the lower limit.

    Where: lower_limit must be smaller than or equal to upper_limit (N57).
    Wrong:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer",
            allowed_limit_ranges=[limit("UPPER", -5000, 0), limit("LOWER", -5000, 0)])
        cem("PEBC.Instruction", power_constraints_id="#newer",
            power_envelopes=[envelope((900, -1000, -3000))])
    Right:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer",
            allowed_limit_ranges=[limit("UPPER", -5000, 0), limit("LOWER", -5000, 0)])
        cem("PEBC.Instruction", power_constraints_id="#newer",
            power_envelopes=[envelope((900, -3000, -1000))])
    Do: Swap them.
    """
    crossed = (
        (part, limits)
        for envelope in message.content.parts("power_envelopes")
        for part in envelope.parts("power_envelope_elements")
        if (limits := _crossed(part)) is not None
    )
    for part, (lower, upper) in islice(crossed, FEW):
        text = f"lower_limit {number(lower)} is above upper_limit {number(upper)}"
        yield Found(part.at("lower_limit"), text)


def _crossed(element: Part) -> tuple[float, float] | None:
    """The lower and the upper limit of an element where the lower is above the upper."""
    lower, upper = element.number("lower_limit"), element.number("upper_limit")
    return (lower, upper) if lower is not None and upper is not None and lower > upper else None


@rule("pebc.envelope-twice", Severity.ERROR, INSTRUCTION, statements=["N23"], alone=True)
def envelope_twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Two envelopes in one instruction are for the same quantity.

    The RM cannot tell which of them to follow.

    Where: at most one PEBC.PowerEnvelope for each commodity_quantity (N23).
    Wrong:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[
            envelope((900, 0, 4000), id="#one"), envelope((900, 0, 3000), id="#two")])
    Right:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((900, 0, 4000), (900, 0, 3000))])
    Do: Put limits for later times into further elements of the same envelope.
    """
    envelopes = message.content.parts("power_envelopes")
    for envelope, first, quantity in islice(repeated(envelopes, "commodity_quantity"), FEW):
        place = envelope.at("commodity_quantity")
        yield Found(place, f"{first.path} is an envelope for {quoted(quantity)} already")


class _LimitFault(NamedTuple):
    """A limit that is not allowed, or only in abnormal conditions.

    ``place`` is its JSON Pointer, ``limit`` its value in watts or what the quantity has;
    ``limit_type`` the type of the ranges in which it must lie, ``usual`` those that are always
    allowed and ``abnormal`` those for abnormal conditions only.
    """

    place: str
    limit_type: str
    limit: float
    usual: Ranges
    abnormal: Ranges


class _LimitFaults(NamedTuple):
    """The first few limits that lie in no range, and those in a range for abnormal conditions."""

    outside: list[_LimitFault]
    abnormal: list[_LimitFault]


_NO_RANGES = Ranges(())


@once_a_message
def _limit_faults(message: Message, conversation: Conversation) -> _LimitFaults:
    """Compare all limits of an instruction with its constraints."""
    faults = _LimitFaults([], [])
    given = constraints_of(message, conversation).given
    if given is None or given.limits is None:
        return faults
    for envelope in message.content.parts("power_envelopes"):
        allowed = given.limits.get(envelope.text("commodity_quantity") or "", {})
        both = [
            (
                name,
                limit_type,
                allowed.get((limit_type, False), _NO_RANGES),
                allowed.get((limit_type, True), _NO_RANGES),
            )
            for name, limit_type in LIMITS
            if (limit_type, False) in allowed or (limit_type, True) in allowed
        ]
        for element in envelope.parts("power_envelope_elements") if both else ():
            if _crossed(element):
                continue  # pebc.limits-crossed reports that
            for name, limit_type, usual, abnormal in both:
                limit = element.number(name)
                if limit is None or limit in usual:
                    continue
                found = faults.abnormal if limit in abnormal else faults.outside
                if len(found) < FEW:
                    found.append(_LimitFault(element.at(name), limit_type, limit, usual, abnormal))
    return faults


def _name_of(given: Description | None, message: Message) -> str:
    return given.message.name(message.time) if given else ""


def _in_words(ranges: list[tuple[float, float]]) -> str:
    """Ranges, for a text."""
    words = [f"{number(start)} to {number(end)}" for start, end in ranges[:5]]
    return ", ".join(words) + ", …" * (len(ranges) > 5)
