"""Power envelope based control: energy constraints, and envelopes that allow the energy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import Description, Ranges
from s2_mitm.s2.rules.common.constraints import (
    CONSTRAINTS,
    ENERGY,
    INSTRUCTION,
    LOWER,
    UPPER,
    constraints_of,
)
from s2_mitm.s2.rules.common.phases import same_power
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
    envelope it cannot. For the part of the period that the envelope does not cover, the most is
    assumed that the power constraints allow. Nothing is said in abnormal conditions.

    Where: PEBC.EnergyConstraint: upper_average_power (consumption, where it is positive) and
    lower_average_power (production, where it is negative).
    Why: The envelope must allow at least this much energy.
    Wrong:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((3600, 0, 2500))])
    Right:
        begin("PEBC")
        cem("PEBC.Instruction", power_envelopes=[envelope((3600, 0, 3500))])
    Do: Raise the limits in part of the period, so that their average reaches the one asked for.
    """
    emergency = message.content.flag("abnormal_condition") is not False
    if not emergency and conversation.descriptions_of(ENERGY).all:
        yield from islice(_too_little_energy(message, conversation), FEW)


def _too_little_energy(message: Message, conversation: Conversation) -> Iterator[Found]:
    start = message.content.moment("execution_time")
    if start is None:
        return
    # What is late starts as soon as possible; whether it then also ends later is not said.
    starts = {start, message.time} if start < message.time - CLOCKS else {start}
    given = constraints_of(message, conversation).given
    limits = (given.limits or {}) if given is not None else {}
    for envelope in message.content.parts("power_envelopes"):
        quantity = envelope.text("commodity_quantity")
        constraints = list(_energy_constraints(conversation, quantity))
        elements = _elements(envelope) if constraints else []
        if not elements:
            continue
        lowest, highest = _ends(limits.get(quantity or "", {}))
        for asked, begin, period in constraints:
            for field, sign, possible, deed in (
                ("upper_average_power", 1, highest, "consumption"),
                ("lower_average_power", -1, -lowest, "production"),
            ):
                needed = sign * (asked.content.number(field) or 0.0)
                if needed <= 0 or period <= 0 or possible < needed:
                    continue  # what the constraints do not allow, no envelope can
                most, since = max(
                    (_average(elements, sign, begin - since, period, possible), since)
                    for since in starts
                )
                if most < needed * (1 - TINY):
                    unit = _unit(quantity or "")
                    outside = ""
                    if begin < since or begin + period > since + elements[-1].end:
                        outside = f" ({number(possible)}{unit} where the envelope says nothing)"
                    yield Found(
                        envelope.at("power_envelope_elements"),
                        f"a {deed} of at most {most:.6g}{unit} on average is allowed from"
                        f" {clock(begin)} to {clock(begin + period)}{outside}, but"
                        f" {number(needed)}{unit} is asked for by"
                        f" {asked.message.name(message.time)}",
                    )


def _unit(quantity: str) -> str:
    """The unit of a power; what else may be averaged is told without."""
    power = quantity.startswith("ELECTRIC.POWER.") or quantity == "HEAT.THERMAL_POWER"
    return " W" if power else ""


class _Element(NamedTuple):
    """An element of an envelope; it begins and ends so many seconds after the envelope."""

    begin: float
    end: float
    lower: float
    upper: float


def _elements(envelope: Part) -> list[_Element]:
    """The elements of an envelope; none where they cannot be read in full."""
    stated = envelope.value.get("power_envelope_elements")
    if not isinstance(stated, list) or not all(isinstance(item, dict) for item in stated):
        return []
    elements: list[_Element] = []
    begin = 0.0
    for part in envelope.parts("power_envelope_elements"):
        duration = part.number("duration")
        lower, upper = part.number("lower_limit"), part.number("upper_limit")
        if duration is None or lower is None or upper is None or duration < 0:
            return []
        end = begin + duration / 1000
        elements.append(_Element(begin, end, lower, upper))
        begin = end
    return elements


def _ends(allowed: Mapping[tuple[str, bool], Ranges]) -> tuple[float, float]:
    """The lowest lower and the highest upper limit that constraints allow for a quantity.

    Without a bound where they allow none.
    """
    lows = [low for (limit, _), ranges in allowed.items() if limit == LOWER for low, _ in ranges]
    highs = [high for (limit, _), ranges in allowed.items() if limit == UPPER for _, high in ranges]
    return min(lows, default=-math.inf), max(highs, default=math.inf)


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


def _average(
    elements: list[_Element], sign: int, start: float, period: float, otherwise: float
) -> float:
    """The most consumption (``sign`` 1) or production (-1) that is allowed on average in a period.

    The period begins ``start`` seconds after the envelope; ``otherwise`` is what is possible where
    the envelope does not cover it.
    """
    average, rest = 0.0, 1.0
    for element in elements:
        begin, end = max(element.begin, start), min(element.end, start + period)
        if begin < end:
            share = (end - begin) / period
            average += max(0.0, element.upper if sign > 0 else -element.lower) * share
            rest -= share
    return average + rest * otherwise if rest > TINY else average


@rule("pebc.energy-quantity", Severity.WARNING, [ENERGY])
def energy_quantity(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An energy constraint for a quantity that no power constraints limit.

    The CEM makes no envelope for that quantity, and cannot meet the constraint.

    Where: PEBC.EnergyConstraint: commodity_quantity, and that of PEBC.AllowedLimitRange.
    Why: That energy is asked for only where power is limited follows from the two; it is not said.
    Wrong:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#other", commodity_quantity="ELECTRIC.POWER.L2")
    Right:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#other", commodity_quantity="ELECTRIC.POWER.L1")
    Do: Give the PEBC.PowerConstraints for the quantity first.
    """
    quantity = message.content.text("commodity_quantity")
    if quantity is None:
        return
    given = [one for one in conversation.descriptions_of(CONSTRAINTS).all if not one.refused]
    given = [one for one in given if not one.revoked]
    if not given or any(
        one.limits is None or any(same_power(quantity, limited) for limited in one.limits)
        for one in given
    ):
        return
    latest = given[-1]
    limited = named(iter(latest.limits or ()))
    yield Found(
        "/commodity_quantity",
        f"{quoted(quantity)} is not limited, only {limited}, by"
        f" {latest.message.name(message.time)}",
    )


@rule("pebc.averages-crossed", Severity.ERROR, [ENERGY], statements=["N20"], alone=True)
def averages_crossed(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The upper average power of an energy constraint is below the lower one.

    No energy lies between them. Mind the sign: what is produced is negative, so the larger
    production is the lower average.

    Where: PEBC.EnergyConstraint: upper_average_power.
    Why: It must be greater than or equal to lower_average_power.
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
