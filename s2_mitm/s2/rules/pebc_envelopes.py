"""Power envelope based control: instructions, and the constraints that they keep to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Given, Ranges
from s2_mitm.s2.rules.common.constraints import CONSTRAINTS, ENERGY, LIMITS
from s2_mitm.s2.rules.common.references import (
    FEW,
    Reference,
    ReferenceFault,
    each,
    once,
    refer,
)
from s2_mitm.s2.rules.common.repeated import repeated
from s2_mitm.s2.rules.common.tolerances import CLOCKS
from s2_mitm.s2.rules.common.words import named, number
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted

if TYPE_CHECKING:
    from s2_mitm.s2.conversation.memory import Conversation

INSTRUCTION = ("PEBC.Instruction",)
FIELD = "power_constraints_id"

TINY = 1e-6
"""How much an average may be off: floating point numbers are not exact."""


@rule("pebc.no-constraints", Severity.ERROR, INSTRUCTION)
def no_constraints(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction before the RM has given any power constraints.

    The CEM cannot know which limits the device can follow; it guesses. It is reported once until
    there are constraints.

    Where: PEBC.Instruction.power_constraints_id, the constraints that the instruction is based
    on.
    Wrong:
        begin()
        select("PEBC")
        cem("PEBC.Instruction")
    Right:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints")
        cem("PEBC.Instruction")
    Do: The CEM waits for the PEBC.PowerConstraints after it has selected the control type.
    """
    reference = _reference(message, conversation)
    yield from once(
        conversation,
        "pebc.no-constraints",
        reference,
        ReferenceFault.NONE_GIVEN,
        message.content,
        FIELD,
    )


@rule("pebc.unknown-constraints", Severity.ERROR, INSTRUCTION)
def unknown_constraints(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction is based on constraints that nobody gave.

    The RM cannot tell which limits the CEM had in mind, and refuses the instruction.

    Where: PEBC.Instruction.power_constraints_id is the id of a PEBC.PowerConstraints.
    Wrong:
        begin("PEBC")
        cem("PEBC.Instruction", power_constraints_id="#typo")
    Right:
        begin("PEBC")
        cem("PEBC.Instruction", power_constraints_id="#constraints")
    Do: Take the id of the PEBC.PowerConstraints, not its message_id.
    """
    yield from each(
        _reference(message, conversation), ReferenceFault.UNKNOWN, message.content, FIELD
    )


@rule("pebc.constraints-not-in-force", Severity.ERROR, INSTRUCTION)
def constraints_not_in_force(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction is based on constraints that are not in force when it is executed.

    They were replaced or revoked, their time is over or has not come, and the device may be
    unable to do what they allow.

    Where: PEBC.PowerConstraints.valid_from and valid_until; a later one replaces the earlier from
    its own valid_from on. Clocks may differ by a minute, and constraints that were not answered
    yet replace nothing.
    Wrong:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer")
        cem("PEBC.Instruction", power_constraints_id="#constraints")
    Right:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer")
        cem("PEBC.Instruction", power_constraints_id="#newer")
    Do: Plan with the latest constraints whose time includes the execution_time.
    """
    yield from each(
        _reference(message, conversation), ReferenceFault.NOT_IN_FORCE, message.content, FIELD
    )


@rule("pebc.constraints-refused", Severity.ERROR, INSTRUCTION)
def constraints_refused(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction is based on constraints that the CEM itself has refused.

    What its receiver did not accept is not in force: the RM does not expect to be held to it. It is
    reported once until an instruction refers to something in force.

    Where: ReceptionStatus.status of the PEBC.PowerConstraints.
    Wrong:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints", answer="TEMPORARY_ERROR")
        cem("PEBC.Instruction")
    Right:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints", answer="OK")
        cem("PEBC.Instruction")
    Do: Answer with OK what you mean to use; the RM sends again what was refused.
    """
    reference = _reference(message, conversation)
    yield from once(
        conversation,
        "pebc.constraints-refused",
        reference,
        ReferenceFault.REFUSED,
        message.content,
        FIELD,
    )


@rule("pebc.cannot-check", Severity.INFO, INSTRUCTION)
def cannot_check(message: Message, conversation: Conversation) -> Iterator[Found]:
    """It cannot be told whether an instruction keeps to the constraints.

    The constraints were given before the first message that was seen, or the last ones were refused
    or can be read only in part. It is reported once until it can be told again.

    Where: nothing need be wrong with the instruction.
    Wrong:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints", answer="TEMPORARY_ERROR")
        cem("PEBC.Instruction", power_constraints_id="#other")
    Right:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints", answer="TEMPORARY_ERROR")
        rm("PEBC.PowerConstraints", id="#other")
        cem("PEBC.Instruction", power_constraints_id="#other")
    Do: See the findings about the PEBC.PowerConstraints, if they were seen.
    """
    reference = _reference(message, conversation)
    given = reference.given
    if given is not None and given.limits is None:
        text = f"{given.message.name(message.time)} cannot be read in full; limits are not checked"
        reference = Reference(None, ReferenceFault.UNSURE, text)
    yield from once(
        conversation, "pebc.cannot-check", reference, ReferenceFault.UNSURE, message.content, FIELD
    )


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
    given = _reference(message, conversation).given
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
    given = _reference(message, conversation).given
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
    given = _reference(message, conversation).given
    for place, _, limit, _, abnormal in _limit_faults(message, conversation).abnormal:
        yield Found(
            place,
            f"{number(limit)} needs abnormal_condition to be true: {_in_words([*abnormal])} is for"
            f" abnormal conditions only, by {_name_of(given, message)}",
        )


@rule("pebc.limits-crossed", Severity.ERROR, INSTRUCTION, statements=["N57"])
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


@rule("pebc.envelope-twice", Severity.ERROR, INSTRUCTION, statements=["N23"])
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


@rule("pebc.energy-not-allowed", Severity.ERROR, INSTRUCTION, statements=["N19", "N21"])
def energy_not_allowed(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An envelope does not allow the energy that an energy constraint asks for.

    The RM has said how much the device may need to consume, or to produce, in a period; with this
    envelope it cannot. This is reported only for an envelope that covers the whole period, because
    the limits in the rest of it are unknown, and not in abnormal conditions.

    Where: the envelope must allow the consumption that upper_average_power asks for, where that is
    positive (N19), and the production that lower_average_power asks for, where that is negative
    (N21).
    Wrong:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((3600, 0, 2500))], execution_time=at(0))
    Right:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((3600, 0, 3500))], execution_time=at(0))
    Do: Raise the limits in part of the period, so that their average reaches the one asked for.
    """
    emergency = message.content.flag("abnormal_condition") is not False
    if not emergency and conversation.holds(ENERGY).given:
        yield from islice(_too_little_energy(message, conversation), FEW)


def _too_little_energy(message: Message, conversation: Conversation) -> Iterator[Found]:
    start = message.content.moment("execution_time")
    if start is None or start < message.time - CLOCKS:
        return
    for envelope in message.content.parts("power_envelopes"):
        for given, begin, period in _energy_constraints(
            conversation, envelope.text("commodity_quantity")
        ):
            allowed = _average_limits(envelope, begin - start, period)
            if allowed is None:
                continue
            place, name = envelope.at("power_envelope_elements"), given.message.name(message.time)
            for average, limit, deed in (
                (given.content.number("upper_average_power"), allowed[1], "consumption"),
                (given.content.number("lower_average_power"), -allowed[0], "production"),
            ):
                needed = -average if average is not None and deed == "production" else average
                if needed is not None and needed > 0 and limit < needed * (1 - TINY):
                    yield Found(
                        place,
                        f"a {deed} of at most {limit:.6g} on average is allowed, but"
                        f" {number(needed)} is asked for by {name}",
                    )


def _energy_constraints(
    conversation: Conversation, quantity: str | None
) -> Iterator[tuple[Given, float, float]]:
    """Those for a quantity that both sides go by, when they begin, and for how many seconds.

    Of those for the same time it is the latest, if it was answered.
    """
    newer: list[tuple[float, float]] = []
    for given in reversed(conversation.holds(ENERGY).given):
        begin, end = given.valid_from, given.valid_until
        if quantity is None or given.content.text("commodity_quantity") != quantity:
            continue
        if end is None or given.revoked or given.answer not in (None, "OK"):
            continue
        if given.answer == "OK" and not any(
            begin < until and since < end for since, until in newer
        ):
            yield given, begin, end - begin
        newer.append((begin, end))


def _average_limits(envelope: Part, start: float, period: float) -> tuple[float, float] | None:
    """What an envelope allows on average in a period, the least and the most.

    The period begins ``start`` seconds after the envelope. None where the envelope does not
    cover it, or cannot be read in full. Only production counts for the least and only consumption
    for the most, so that it is clear where even that is not enough.
    """
    if start < 0 or period <= 0:
        return None
    stated = envelope.value.get("power_envelope_elements")
    if not isinstance(stated, list) or not all(isinstance(item, dict) for item in stated):
        return None
    lowest = highest = begin = 0.0
    for part in envelope.parts("power_envelope_elements"):
        duration = part.number("duration")
        lower, upper = part.number("lower_limit"), part.number("upper_limit")
        if duration is None or lower is None or upper is None or duration < 0:
            return None
        end = begin + duration / 1000
        share = max(0.0, min(end, start + period) - max(begin, start)) / period
        lowest += min(0, lower) * share
        highest += max(0, upper) * share
        begin = end
    return (lowest, highest) if begin >= start + period - TINY else None


def _reference(message: Message, conversation: Conversation) -> Reference:
    """The constraints that an instruction is based on."""
    return refer(conversation, message, CONSTRAINTS, message.content, FIELD, timed=True)


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


def _limit_faults(message: Message, conversation: Conversation) -> _LimitFaults:
    """Compare all limits of an instruction with its constraints, once for all rules that ask."""
    key = ("limits", "")
    faults: _LimitFaults | None = conversation.worked_out.get(key)
    if faults is None:
        faults = conversation.worked_out[key] = _LimitFaults([], [])
        _collect(message, conversation, faults)
    return faults


def _collect(message: Message, conversation: Conversation, faults: _LimitFaults) -> None:
    given = _reference(message, conversation).given
    if given is None or given.limits is None:
        return
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


def _name_of(given: Given | None, message: Message) -> str:
    return given.message.name(message.time) if given else ""


def _in_words(ranges: list[tuple[float, float]]) -> str:
    """Ranges, for a text."""
    words = [f"{number(start)} to {number(end)}" for start, end in ranges[:5]]
    return ", ".join(words) + ", …" * (len(ranges) > 5)
