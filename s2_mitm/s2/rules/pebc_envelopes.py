"""Power envelope based control: envelopes that keep to the constraints."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import Description, Ranges
from s2_mitm.s2.rules.common.constraints import (
    INSTRUCTION,
    LIMITS,
    constraints_of,
)
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.references import FEW
from s2_mitm.s2.rules.common.repeated import repeated
from s2_mitm.s2.rules.common.tolerances import CLOCKS, SAME
from s2_mitm.s2.rules.common.words import named, number
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted, short_id


@rule("pebc.quantity-not-constrained", Severity.ERROR, INSTRUCTION, statements=["N58", "N59"])
def quantity_not_constrained(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An envelope for a quantity that the constraints do not mention.

    The RM has not said that it can limit that power, and cannot follow.

    Where: PEBC.PowerEnvelopeElement: upper_limit and lower_limit; PEBC.AllowedLimitRange:
    commodity_quantity.
    Why: The limits shall be in accordance with the ranges that the RM gave, and there are none.
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

    Where: PEBC.PowerEnvelopeElement: upper_limit and lower_limit; PEBC.AllowedLimitRange.
    Why: Each limit shall be in accordance with the ranges of its limit_type that the RM gave.
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

    Where: PEBC.AllowedLimitRange: abnormal_condition_only; PEBC.Instruction: abnormal_condition.
    Why: Such a range may only be used during an abnormal condition.
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

    Where: PEBC.PowerEnvelopeElement: lower_limit.
    Why: It must be smaller than or equal to upper_limit.
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

    Where: PEBC.Instruction: power_envelopes.
    Why: There shall be at most one envelope for each commodity_quantity.
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


@rule("pebc.envelope-id-again", Severity.ERROR, INSTRUCTION, statements=["N04"])
def envelope_id_again(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An envelope has the id of an envelope in an earlier instruction.

    What refers to it could mean either. The latest 2,000 ids are remembered. The envelopes of an
    instruction that was refused may be sent again with their ids.

    Where: PEBC.PowerEnvelope: id.
    Why: It must be unique for at least the duration of the session.
    Wrong:
        begin("PEBC")
        cem("PEBC.Instruction", id="#one", power_envelopes=[envelope((900, 0, 4000), id="#same")])
        cem("PEBC.Instruction", id="#two", power_envelopes=[envelope((900, 0, 3000), id="#same")])
    Right:
        begin("PEBC")
        cem("PEBC.Instruction", id="#one", power_envelopes=[envelope((900, 0, 4000), id="#a")])
        cem("PEBC.Instruction", id="#two", power_envelopes=[envelope((900, 0, 3000), id="#b")])
    Do: Make a new UUID for each envelope of each instruction.
    """
    if conversation.envelopes:
        yield from islice(_envelopes_again(message, conversation), FEW)


def _envelopes_again(message: Message, conversation: Conversation) -> Iterator[Found]:
    if conversation.remembers_id(message.content.text("id") or ""):
        return  # the whole instruction comes again, which ids.id-again reports
    for envelope in message.content.parts("power_envelopes"):
        envelope_id = envelope.text("id") or ""
        before = conversation.envelopes.get(envelope_id)
        if before is None:
            continue
        given = conversation.instructions_by_message.get(before.message_id or "")
        if given is None or not given.refused:
            name = before.name(message.time)
            yield Found(envelope.at("id"), f"{short_id(envelope_id)} was used before, by {name}")


@rule("pebc.beyond-constraints", Severity.WARNING, INSTRUCTION)
def beyond_constraints(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An envelope goes on after the constraints that it is based on have ended.

    What the device can do then is not known yet; the RM may be unable to follow. Clocks may differ
    by a minute.

    Where: PEBC.PowerConstraints: valid_until; PEBC.PowerEnvelopeElement: duration.
    Why: The limits shall keep to the constraints; for a time without any, the text is silent.
    Wrong:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#short", valid_until=at(3600))
        cem("PEBC.Instruction", power_constraints_id="#short",
            power_envelopes=[envelope((7200, 0, 4000))])
    Right:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#short", valid_until=at(3600))
        cem("PEBC.Instruction", power_constraints_id="#short",
            power_envelopes=[envelope((3500, 0, 4000))])
    Do: End the envelope by valid_until; send another when there are new constraints.
    """
    given = constraints_of(message, conversation).given
    end, start = given.valid_until if given else None, message.content.moment("execution_time")
    if given is None or end is None or start is None:
        return
    for envelope in message.content.parts("power_envelopes"):
        duration = _duration(envelope)
        if duration is not None and start + duration > end + CLOCKS:
            yield Found(
                envelope.at("power_envelope_elements"),
                f"it goes on until {clock(start + duration)}, but {_name_of(given, message)}"
                f" is valid until {clock(end)}",
            )
            return  # the other envelopes last as long, mostly


@rule("pebc.no-duration", Severity.INFO, INSTRUCTION, alone=True)
def no_duration(message: Message, conversation: Conversation) -> Iterator[Found]:
    """All elements of an envelope have the duration 0.

    The envelope is over when it begins: it limits nothing.

    Where: PEBC.PowerEnvelopeElement: duration.
    Why: The schema allows 0; it may be meant as without end, which no text says.
    Wrong:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((0, 0, 4000))])
    Right:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((900, 0, 4000))])
    Do: Give the duration in milliseconds.
    """
    empty = (
        envelope
        for envelope in message.content.parts("power_envelopes")
        if _duration(envelope) == 0
    )
    for envelope in islice(empty, FEW):
        yield Found(envelope.at("power_envelope_elements"), "every duration in it is 0")


def _duration(envelope: Part) -> float | None:
    """How long an envelope lasts, in seconds; None where that cannot be read."""
    total, elements = 0.0, 0
    for element in envelope.parts("power_envelope_elements"):
        duration = element.number("duration")
        if duration is None or duration < 0:
            return None
        total, elements = total + duration / 1000, elements + 1
    return total if elements else None


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
                if limit is None or _allows(usual, limit):
                    continue
                found = faults.abnormal if _allows(abnormal, limit) else faults.outside
                if len(found) < FEW:
                    found.append(_LimitFault(element.at(name), limit_type, limit, usual, abnormal))
    return faults


def _allows(ranges: Ranges, limit: float) -> bool:
    """Whether a limit lies in one of the ranges, or at its end but for rounding."""
    if limit in ranges:
        return True
    margin = SAME * abs(limit)
    return limit - margin in ranges or limit + margin in ranges


def _name_of(given: Description | None, message: Message) -> str:
    return given.message.name(message.time) if given else ""


def _in_words(ranges: list[tuple[float, float]]) -> str:
    """Ranges, for a text."""
    words = [f"{number(start)} to {number(end)}" for start, end in ranges[:5]]
    return ", ".join(words) + ", …" * (len(ranges) > 5)
