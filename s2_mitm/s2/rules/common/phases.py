"""Electric phases: whether a device seems to have one only, and calls it something else than L1."""

from __future__ import annotations

from collections.abc import Iterable

from s2_mitm.s2.catalog import PHASES, QUANTITIES
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.rules.common.constraints import CONSTRAINTS

ALL_PHASES = "ELECTRIC.POWER.3_PHASE_SYMMETRIC"

ELECTRIC = frozenset((*PHASES, ALL_PHASES))

SINGLE_PHASE = "single phase"
"""What is reported once for each ResourceManagerDetails, whichever message shows it."""


def lone_phase(quantities: Iterable[str | None], conversation: Conversation) -> str | None:
    """The only phase among these quantities, where it should be called L1.

    None where the device may have more phases, by what it measures or by its power constraints, or
    where what it measures shows the same: that is reported of the ResourceManagerDetails.
    """
    if conversation.details is None:
        return None
    measured = conversation.details.content.texts("provides_power_measurement_types")
    if not QUANTITIES.issuperset(measured) or electric(measured) - {PHASES[0]}:
        return None
    lone: str | None = None
    for quantity in quantities:
        if quantity == lone or quantity not in ELECTRIC:
            continue
        if lone is not None or quantity in (PHASES[0], ALL_PHASES):
            return None  # mostly at the first one
        lone = quantity
    if lone is None:
        return None
    limited = conversation.descriptions_of(CONSTRAINTS).all
    return None if any(electric(given.limits or ()) - {lone} for given in limited) else lone


def electric(quantities: Iterable[str]) -> frozenset[str]:
    """The electric ones among some quantities."""
    return ELECTRIC.intersection(quantities)


def same_power(one: str, other: str) -> bool:
    """Whether two quantities are about the same power: that of a phase, and that of all three."""
    return one == other or (ALL_PHASES in (one, other) and len(electric((one, other))) == 2)
