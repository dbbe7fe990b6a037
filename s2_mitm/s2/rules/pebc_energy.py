"""Power envelope based control: energy constraints, and envelopes that allow the energy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Description
from s2_mitm.s2.rules.common.constraints import (
    CONSTRAINTS,
    ENERGY,
    INSTRUCTION,
)
from s2_mitm.s2.rules.common.references import FEW
from s2_mitm.s2.rules.common.tolerances import CLOCKS
from s2_mitm.s2.rules.common.words import named, number
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted

TINY = 1e-6
"""How much an average may be off: floating point numbers are not exact."""


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
    if not emergency and conversation.descriptions_of(ENERGY).all:
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
) -> Iterator[tuple[Description, float, float]]:
    """Those for a quantity that both sides know, when they begin, and for how many seconds.

    Of those for the same time it is the latest, if it was answered.
    """
    newer: list[tuple[float, float]] = []
    for given in reversed(conversation.descriptions_of(ENERGY).all):
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


@rule("pebc.energy-quantity", Severity.WARNING, [ENERGY])
def energy_quantity(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An energy constraint for a quantity that no power constraints limit.

    The CEM makes no envelope for that quantity, and cannot meet the constraint.

    Where: PEBC.EnergyConstraint.commodity_quantity and that of the PEBC.AllowedLimitRanges.
    Wrong:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#other", commodity_quantity="ELECTRIC.POWER.L2")
    Right:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#other", commodity_quantity="ELECTRIC.POWER.L1")
    Do: Give the PEBC.PowerConstraints for the quantity first.
    """
    quantity = message.content.text("commodity_quantity")
    given = [one for one in conversation.referable(CONSTRAINTS, message.time) if not one.revoked]
    if quantity is None or not given:
        return
    if all(one.limits is not None and quantity not in one.limits for one in given):
        limited = named(iter(given[0].limits or ()))
        yield Found(
            "/commodity_quantity",
            f"{quoted(quantity)} is not limited, only {limited}, by"
            f" {given[0].message.name(message.time)}",
        )


@rule("pebc.averages-crossed", Severity.ERROR, [ENERGY], statements=["N20"], alone=True)
def averages_crossed(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The upper average power of an energy constraint is below the lower one.

    No energy lies between them. Mind the sign: what is produced is negative, so the larger
    production is the lower average.

    Where: upper_average_power must be greater than or equal to lower_average_power (N20).
    Wrong:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#other", upper_average_power=-3000,
            lower_average_power=-1000)
    Right:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#other", upper_average_power=-1000,
            lower_average_power=-3000)
    Do: Swap them.
    """
    upper = message.content.number("upper_average_power")
    lower = message.content.number("lower_average_power")
    if upper is not None and lower is not None and upper < lower:
        text = f"upper_average_power {number(upper)} is below lower_average_power {number(lower)}"
        yield Found("/upper_average_power", text)
