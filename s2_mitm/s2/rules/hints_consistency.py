"""Hints: what an RM says of itself here does not fit what it says there, and no text forbids it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from s2_mitm.s2.catalog import DESCRIPTIONS, PHASES
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Description, Ranges
from s2_mitm.s2.rules.common.constraints import CONSTRAINTS, ENERGY
from s2_mitm.s2.rules.common.descriptions import described
from s2_mitm.s2.rules.common.power import commodities_of, commodity_of, power_lists, roles_of
from s2_mitm.s2.rules.common.tolerances import ROUNDED
from s2_mitm.s2.rules.common.words import labelled, number
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity

DETAILS = "ResourceManagerDetails"
SYMMETRIC = "ELECTRIC.POWER.3_PHASE_SYMMETRIC"

Range = tuple[float, float]


@rule("hint.no-selection-offered", Severity.INFO, [DETAILS], alone=True)
def no_selection_offered(message: Message, conversation: Conversation) -> Iterator[Found]:
    """NO_SELECTION stands among the control types that the RM offers.

    NO_SELECTION is how a CEM ends a control type; it needs no offer. A CEM that takes the first
    control type offered would then control nothing.

    Where: ResourceManagerDetails: available_control_types; ControlType: NO_SELECTION.
    Why: No text forbids it. But it is no way to control a device, so that it cannot be offered.
    Wrong:
        begin(details=False)
        rm("ResourceManagerDetails",
           available_control_types=["NO_SELECTION", "FILL_RATE_BASED_CONTROL"])
    Right:
        begin(details=False)
        rm("ResourceManagerDetails",
           available_control_types=["NOT_CONTROLABLE", "FILL_RATE_BASED_CONTROL"])
    Do: Leave it out. A device that only measures offers NOT_CONTROLABLE.
    """
    offered = message.content.value.get("available_control_types")
    if isinstance(offered, list) and "NO_SELECTION" in offered and message.valid:
        yield Found(
            message.content.at("available_control_types", offered.index("NO_SELECTION")),
            "NO_SELECTION is offered, but it stands for no control type at all",
            once="hint.no-selection-offered",
        )


@rule("hint.two-roles", Severity.INFO, [DETAILS], alone=True)
def two_roles(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Two roles for one commodity.

    The CEM cannot tell which of them holds. A device that both consumes and produces has the role
    ENERGY_STORAGE; a group of devices may have good reasons for two.

    Where: ResourceManagerDetails: roles; Role: role, commodity.
    Why: No text says that there is one role for each commodity, but two contradict each other.
    Wrong:
        begin(details=False)
        rm("ResourceManagerDetails", roles=[
            {"role": "ENERGY_PRODUCER", "commodity": "ELECTRICITY"},
            {"role": "ENERGY_CONSUMER", "commodity": "ELECTRICITY"}])
    Right:
        begin(details=False)
        rm("ResourceManagerDetails", roles=[
            {"role": "ENERGY_STORAGE", "commodity": "ELECTRICITY"},
            {"role": "ENERGY_CONSUMER", "commodity": "GAS"}])
    Do: Name one role for each commodity.
    """
    if not message.valid:
        return
    seen: dict[str, Part] = {}
    for part in message.content.parts("roles"):
        commodity, role = part.text("commodity"), part.text("role")
        if commodity is None or role is None:
            continue
        first = seen.setdefault(commodity, part)
        if first is not part:
            yield Found(
                part.path,
                f"{commodity} has the role {role} here, and {first.text('role')} at {first.path}",
                once="hint.two-roles",
            )


@rule(
    "hint.commodity-without-role",
    Severity.INFO,
    [DETAILS, DESCRIPTIONS["FRBC"], DESCRIPTIONS["DDBC"]],
    alone=True,
)
def commodity_without_role(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The RM measures, or its actuators use, a commodity for which it has no role.

    A CEM looks at the roles to see which commodities it has to do with. Heat is left out: a device
    may measure the heat that it makes for itself.

    Where: ResourceManagerDetails: roles, provides_power_measurement_types;
    FRBC.ActuatorDescription: supported_commodities.
    Why: No text says that the two lists must agree. It is a hint that one of them was forgotten.
    Wrong:
        begin(details=False)
        rm("ResourceManagerDetails", roles=[{"role": "ENERGY_CONSUMER", "commodity": "GAS"}],
           provides_power_measurement_types=["ELECTRIC.POWER.L1"])
    Right:
        begin(details=False)
        rm("ResourceManagerDetails", roles=[{"role": "ENERGY_CONSUMER", "commodity": "GAS"}],
           provides_power_measurement_types=["NATURAL_GAS.FLOW_RATE"])
    Do: Add a role for the commodity, or take it out of the other list.
    """
    if not message.valid:
        return
    of_itself = message.message_type == DETAILS
    roles = roles_of(message if of_itself else conversation.details)
    if not roles:
        return
    used = _measured(message.content) if of_itself else _supported(message.content)
    for place, what, commodity in used:
        if commodity not in roles:
            yield Found(
                place, f"{what}, but no role for {commodity}", once="hint.commodity-without-role"
            )
            return


def _measured(details: Part) -> Iterator[tuple[str, str, str]]:
    measured = details.texts("provides_power_measurement_types")
    for index, quantity in enumerate(measured):
        commodity = commodity_of(quantity)
        if commodity is not None and commodity != "HEAT":
            place = details.at("provides_power_measurement_types", index)
            yield place, f"{quantity} is measured", commodity


def _supported(description: Part) -> Iterator[tuple[str, str, str]]:
    for actuator in description.parts("actuators"):
        name, commodities = commodities_of(actuator)
        for commodity in commodities:
            if commodity != "HEAT":
                who = labelled(actuator.text("id") or "", actuator)
                yield actuator.at(name), f"actuator {who} uses {commodity}", commodity


@rule(
    "hint.phases-and-symmetric",
    Severity.INFO,
    [DETAILS, "PowerMeasurement", CONSTRAINTS, *DESCRIPTIONS.values()],
    alone=True,
)
def phases_and_symmetric(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The symmetric power of three phases beside single phases.

    3_PHASE_SYMMETRIC is the power of three phases that share it equally, L1 to L3 are the phases
    one by one. Where both are given, a CEM counts the same power twice, or one of them is wrong.

    Where: CommodityQuantity: ELECTRIC.POWER.3_PHASE_SYMMETRIC.
    Why: No text says that one excludes the other; but no device needs both.
    Wrong:
        begin(details=False)
        rm("ResourceManagerDetails", provides_power_measurement_types=[
            "ELECTRIC.POWER.3_PHASE_SYMMETRIC", "ELECTRIC.POWER.L1"])
    Right:
        begin(details=False)
        rm("ResourceManagerDetails", provides_power_measurement_types=[
            "ELECTRIC.POWER.3_PHASE_SYMMETRIC"])
    Do: Use L1, L2 and L3 where the phases differ, and 3_PHASE_SYMMETRIC alone where they do not.
    """
    for place, quantities in _quantities(message):
        if len(quantities) > 1 and SYMMETRIC in quantities and message.valid:
            phase = next((phase for phase in PHASES if phase in quantities), None)
            if phase is not None:
                yield Found(
                    place,
                    f"{SYMMETRIC} stands beside {phase}",
                    # A device may be able to measure both; to send both is another matter.
                    once=f"hint.phases-and-symmetric {message.message_type}",
                )
                return


def _quantities(message: Message) -> Iterator[tuple[str, list[str]]]:
    """The quantities that stand together in one list, and where."""
    content = message.content
    if message.message_type == DETAILS:
        name = "provides_power_measurement_types"
        yield content.at(name), content.texts(name)
        return
    for owner, name in power_lists(message):
        items = owner.value.get(name)
        if isinstance(items, list) and len(items) > 1:
            quantities = [part.text("commodity_quantity") for part in owner.parts(name)]
            yield owner.at(name), [each for each in quantities if each is not None]


@rule("hint.levels-not-covered", Severity.INFO, [DESCRIPTIONS["FRBC"]], alone=True)
def levels_not_covered(message: Message, conversation: Conversation) -> Iterator[Found]:
    """At some fill levels of the storage an actuator has no operation mode at all.

    An actuator is always in one of its modes. At these fill levels none of them applies, so that
    the CEM cannot plan anything for it there.

    Where: FRBC.StorageDescription: fill_level_range; FRBC.OperationModeElement: fill_level_range.
    Why: No text says that the modes must cover the range of the storage; a gap is hardly meant.
    Wrong:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", actuators=[actuator(operation_modes=[
            frbc_mode(name, elements=[{
                "fill_level_range": between(0, 90), "fill_rate": between(0, 0.01),
                "power_ranges": [power(0, 5000)]}])
            for name in ["idle", "charge", "emergency"]])])
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription")
    Do: Extend the elements of a mode such as "off" to all fill levels of the storage.
    """
    storage = message.content.part("storage")
    levels = storage.range("fill_level_range") if storage else None
    if levels is None or levels[0] >= levels[1] or not message.valid:
        return
    for actuator in message.content.parts("actuators"):
        covered = _covered(actuator)
        gap = _gap(levels, covered) if covered is not None else None
        if gap is not None:
            who = labelled(actuator.text("id") or "", actuator)
            yield Found(
                actuator.at("operation_modes"),
                f"actuator {who} has no mode for fill levels from {number(gap[0])} to"
                f" {number(gap[1])}; the storage goes from {number(levels[0])} to"
                f" {number(levels[1])}",
                once="hint.levels-not-covered",
            )
            return


def _covered(actuator: Part) -> Ranges | None:
    """The fill levels at which an actuator has a mode; None where another rule finds a fault."""
    ranges: list[Range] = []
    for mode in actuator.parts("operation_modes"):
        own = [element.range("fill_level_range") for element in mode.parts("elements")]
        known = sorted(each for each in own if each is not None and each[0] < each[1])
        if len(known) < len(own):
            return None
        for (_, end), (start, _) in pairwise(known):
            if start > end:
                return None
        ranges += known
    return Ranges(ranges) if ranges else None


def _gap(levels: Range, covered: Ranges) -> Range | None:
    """The first fill levels of the storage that are not covered."""
    start, end = levels
    rounding = (end / 2 - start / 2) * ROUNDED
    reached = start
    for begin, until in covered:
        if begin > reached + rounding:
            break
        reached = max(reached, until)
    else:
        begin = end
    return (reached, min(begin, end)) if reached < end - rounding else None


@rule("hint.target-outside", Severity.INFO, ["FRBC.FillLevelTargetProfile"])
def target_outside(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A target for the fill level lies outside the range of the storage.

    The CEM is to keep the fill level within that range, and cannot reach such a target.

    Where: FRBC.FillLevelTargetProfileElement: fill_level_range; FRBC.StorageDescription:
    fill_level_range.
    Why: No text forbids it, but a target that the storage cannot have hints at another unit.
    Wrong:
        begin("FRBC")
        rm("FRBC.FillLevelTargetProfile",
           elements=[{"duration": 900000, "fill_level_range": between(80, 120)}])
    Right:
        begin("FRBC")
        rm("FRBC.FillLevelTargetProfile",
           elements=[{"duration": 900000, "fill_level_range": between(80, 100)}])
    Do: Use the unit of the storage, and keep to its range.
    """
    storages = [
        given.fill_levels
        for given in described(message, conversation)
        if given.fill_levels is not None and given.fill_levels[0] <= given.fill_levels[1]
    ]
    if not storages or not message.valid:
        return
    for element in message.content.parts("elements"):
        target = element.range("fill_level_range")
        if target is None or target[0] > target[1]:
            continue
        if not any(_within(target, storage) for storage in storages):
            start, end = storages[0]
            yield Found(
                element.at("fill_level_range"),
                f"{number(target[0])} to {number(target[1])} is not within {number(start)} to"
                f" {number(end)}, the range of the storage",
                once="hint.target-outside",
            )
            return


def _within(inner: Range, outer: Range) -> bool:
    rounding = (outer[1] / 2 - outer[0] / 2) * ROUNDED
    return inner[0] >= outer[0] - rounding and inner[1] <= outer[1] + rounding


@rule("hint.energy-beyond-limits", Severity.INFO, [ENERGY, CONSTRAINTS])
def energy_beyond_limits(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An energy constraint that the power constraints can never allow.

    Even an envelope at the limit the whole time does not allow the energy. The limits for abnormal
    conditions count, too.

    Where: PEBC.EnergyConstraint: upper_average_power, lower_average_power;
    PEBC.AllowedLimitRange: range_boundary.
    Why: No text compares the two, but the CEM can never meet such a constraint.
    Wrong:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#more", upper_average_power=11000)
    Right:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#more", upper_average_power=4000)
    Do: Look at the units and signs of both; an average over all phases does not fit one phase.
    """
    if not message.valid:
        return
    if message.message_type == ENERGY:
        energy, allowed = Description(message), conversation.referable(CONSTRAINTS, message.time)
    else:
        # Later constraints may come just before the energy constraint that goes with them.
        if conversation.descriptions_of(CONSTRAINTS).all:
            return
        given = conversation.referable(ENERGY, message.time)
        if len(given) != 1:
            return
        energy, allowed = given[0], [Description(message)]
    found = _beyond(energy, [each for each in allowed if _overlap(each, energy)])
    if found is not None:
        field, text = found
        place = message.content.at(field if message.message_type == ENERGY else LIMITS)
        yield Found(place, text, once="hint.energy-beyond-limits")


LIMITS = "allowed_limit_ranges"


def _overlap(one: Description, other: Description) -> bool:
    """Whether two periods have a time in common."""
    return (one.valid_until is None or one.valid_until > other.valid_from) and (
        other.valid_until is None or other.valid_until > one.valid_from
    )


def _beyond(energy: Description, allowed: list[Description]) -> tuple[str, str] | None:
    """Which average is beyond the limits, in words."""
    content = energy.content
    quantity = content.text("commodity_quantity") or ""
    upper, lower = content.number("upper_average_power"), content.number("lower_average_power")
    if upper is None or lower is None or upper < lower or not energy.message.valid:
        return None
    highest = [end for _, end in _limits(allowed, quantity, "UPPER_LIMIT")]
    lowest = [start for start, _ in _limits(allowed, quantity, "LOWER_LIMIT")]
    if highest and upper > max(highest) + abs(upper) * ROUNDED:
        most = number(max(highest))
        return (
            "upper_average_power",
            f"upper_average_power {number(upper)} is above {most}, the highest upper limit allowed",
        )
    if lowest and lower < min(lowest) - abs(lower) * ROUNDED:
        least = number(min(lowest))
        return (
            "lower_average_power",
            f"lower_average_power {number(lower)} is below {least}, the lowest lower limit allowed",
        )
    return None


def _limits(allowed: Iterable[Description], quantity: str, kind: str) -> Iterator[Range]:
    for given in allowed:
        for (limit_type, _), ranges in (given.limits or {}).get(quantity, {}).items():
            if limit_type == kind:
                yield from ranges


@rule(
    "hint.supply-below-demand",
    Severity.INFO,
    [DESCRIPTIONS["DDBC"], "DDBC.PresentDemandStatus"],
    alone=True,
)
def supply_below_demand(message: Message, conversation: Conversation) -> Iterator[Found]:
    """All actuators together cannot supply the present demand.

    Even with each actuator in its strongest mode the demand is not met, whatever the CEM does.

    Where: DDBC.SystemDescription, DDBC.PresentDemandStatus: present_demand_rate;
    DDBC.OperationMode: supply_range.
    Why: No text forbids it, and a device may be too weak for once. It hints at different units.
    Wrong:
        begin("DDBC")
        rm("DDBC.SystemDescription", present_demand_rate=between(5000, 6000))
    Right:
        begin("DDBC")
        rm("DDBC.SystemDescription", present_demand_rate=between(4, 6))
    Do: Use one unit for the demand and for the supply of all modes.
    """
    demand = message.content.range("present_demand_rate")
    if demand is None or min(demand) <= 0 or not message.valid:
        return
    if message.message_type == DESCRIPTIONS["DDBC"]:
        most = [_supply(message.content)]
    else:
        most = [_supply(given.content) for given in described(message, conversation)]
    supplied = [each for each in most if each is not None]
    if not supplied or len(supplied) < len(most):
        return
    if min(demand) > max(supplied) * (1 + ROUNDED):
        yield Found(
            "/present_demand_rate",
            f"the demand is at least {number(min(demand))}, and all actuators together supply at"
            f" most {number(max(supplied))}",
            once="hint.supply-below-demand",
        )


def _supply(description: Part) -> float | None:
    """The most that all actuators of DDBC supply together; None where that cannot be read."""
    total: float = 0
    for actuator in description.parts("actuators"):
        modes = [mode.range("supply_range") for mode in actuator.parts("operation_modes")]
        known = [max(supply) for supply in modes if supply is not None]
        if not known or len(known) < len(modes):
            return None
        total += max(known)
    return total
