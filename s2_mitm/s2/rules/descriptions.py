"""The system descriptions of FRBC, OMBC and DDBC: what is wrong within one."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import DESCRIPTIONS
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.rules.common.phases import SINGLE_PHASE, lone_phase
from s2_mitm.s2.rules.common.ranges import upside_down
from s2_mitm.s2.rules.common.repeated import repeated
from s2_mitm.s2.rules.common.words import listed
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted


def _actuators(content: Part) -> Iterator[Part]:
    """The actuators of a system description; that of OMBC is one itself."""
    yield content
    yield from content.parts("actuators")


def _named(part: Part, name: str) -> dict[str, Part] | None:
    """The things in a list by their ids; None where there is no such list, or an id is missing."""
    things = part.value.get(name)
    if not isinstance(things, list):
        return None
    named = {}
    for thing in part.parts(name):
        identifier = thing.identifier
        if identifier is None:
            return None
        named[identifier] = thing
    return named if len(list(part.parts(name))) == len(things) else None


@rule(
    "modes.transition-mode", Severity.ERROR, DESCRIPTIONS.values(), statements=["N68"], alone=True
)
def transition_mode(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A transition leads from or to a mode that is not there.

    The CEM cannot plan with it, and strict ones refuse the description.

    Where: Transition: from, to.
    Why: They are ids of operation modes that one switches between, and there is no such mode.
    Wrong:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", answer="INVALID_CONTENT",
           actuators=[actuator(transitions=[transition("idle", "discharge")])])
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription",
           actuators=[actuator(transitions=[transition("idle", "charge")])])
    Do: Use the ids of the modes beside it; a mode of another actuator does not count.
    """
    for actuator in _actuators(message.content):
        modes = _named(actuator, "operation_modes")
        if modes is None:
            continue
        for transition in actuator.parts("transitions"):
            for name in ("from", "to"):
                mode = transition.text(name)
                if mode is not None and mode not in modes:
                    yield Found(
                        transition.at(name),
                        f"{quoted(mode)} is no operation mode beside this transition; there is"
                        f" {listed(modes)}",
                    )


@rule("modes.transition-timer", Severity.ERROR, DESCRIPTIONS.values(), alone=True)
def transition_timer(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A transition starts or waits for a timer that is not there.

    The CEM cannot tell when the transition is possible, and strict ones refuse the description.

    Where: Transition: start_timers, blocking_timers.
    Why: They are ids of timers, and there is no such timer.
    Wrong:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", answer="INVALID_CONTENT",
           actuators=[actuator(timers=[])])
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", actuators=[actuator(timers=[timer("rest")])])
    Do: Describe each timer beside the transitions that use it.
    """
    for actuator in _actuators(message.content):
        timers = _named(actuator, "timers")
        if timers is None:
            continue
        for transition in actuator.parts("transitions"):
            for name in ("start_timers", "blocking_timers"):
                for index, timer in enumerate(_items(transition, name)):
                    if isinstance(timer, str) and timer not in timers:
                        yield Found(
                            transition.at(name, index),
                            f"{quoted(timer)} is no timer beside this transition; there is"
                            f" {listed(timers)}",
                        )


def _items(part: Part, name: str) -> list[object]:
    items = part.value.get(name)
    return items if isinstance(items, list) else []


def _with_power(content: Part) -> Iterator[Part]:
    """The operation modes, or the elements of those of FRBC, which have power ranges."""
    for actuator in _actuators(content):
        for mode in actuator.parts("operation_modes"):
            yield mode
            yield from mode.parts("elements")


@rule(
    "modes.power-range-twice", Severity.ERROR, DESCRIPTIONS.values(), statements=["N42"], alone=True
)
def power_range_twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A mode has two power ranges for the same quantity.

    The CEM cannot tell which of them counts.

    Where: FRBC.OperationModeElement: power_ranges, OMBC.OperationMode: power_ranges,
    DDBC.OperationMode: power_ranges.
    Why: There must be at most one power range for each commodity_quantity.
    Wrong:
        begin()
        select("OMBC")
        rm("OMBC.SystemDescription", transitions=[],
           operation_modes=[ombc_mode("on", power_ranges=[power(0, 100), power(200, 300)])])
    Right:
        begin()
        select("OMBC")
        l2 = power(200, 300, "ELECTRIC.POWER.L2")
        rm("OMBC.SystemDescription", transitions=[],
           operation_modes=[ombc_mode("on", power_ranges=[power(0, 100), l2])])
    Do: Join the ranges, or make two modes of it.
    """
    for part in _with_power(message.content):
        ranges = part.parts("power_ranges")
        for power, first, quantity in repeated(ranges, "commodity_quantity"):
            text = f"{quoted(quantity)} has its power range in {first.path} already"
            yield Found(power.at("commodity_quantity"), text)


@rule("modes.power-range-order", Severity.WARNING, DESCRIPTIONS.values(), alone=True)
def power_range_order(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A power range that ends below its start.

    A peer that is built on s2-python refuses the whole description. Production is negative, and its
    range begins with the most negative power.

    Where: PowerRange: start_of_range, end_of_range; the validators of s2-python.
    Why: Legal: the start belongs to the operation_mode_factor 0, and no text says that it is the
    smaller one. But s2-python refuses it.
    Wrong:
        begin()
        select("OMBC")
        rm("OMBC.SystemDescription", transitions=[], answer="INVALID_CONTENT",
           operation_modes=[ombc_mode("produce", power_ranges=[power(0, -2000)])])
    Right:
        begin()
        select("OMBC")
        rm("OMBC.SystemDescription", transitions=[],
           operation_modes=[ombc_mode("produce", power_ranges=[power(-2000, 0)])])
    Do: Send the lower power first, so that all peers take it: it belongs to the
    operation_mode_factor 0 then. Turn the other ranges of the mode (fill_rate, supply_range) with
    it: they begin with the value for that factor, also where that is the higher one.
    """
    for part in _with_power(message.content):
        for power in part.parts("power_ranges"):
            for found in upside_down(power):
                yield found._replace(text=f"{found.text}, which only s2-python refuses")


@rule("modes.single-phase", Severity.WARNING, DESCRIPTIONS.values(), statements=["N36"])
def single_phase(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Power ranges for a single phase that is not L1.

    A CEM takes what has a power on L2 or L3 for a device with three phases. It is reported once for
    each ResourceManagerDetails.

    Where: CommodityQuantity: ELECTRIC.POWER.L1.
    Why: A device that uses only one phase should always call it L1; it is no must.
    Wrong:
        begin()
        select("OMBC")
        l2 = power(0, 2000, "ELECTRIC.POWER.L2")
        rm("OMBC.SystemDescription", transitions=[],
           operation_modes=[ombc_mode("on", power_ranges=[l2])])
    Right:
        begin()
        select("OMBC")
        rm("OMBC.SystemDescription", transitions=[],
           operation_modes=[ombc_mode("on", power_ranges=[power(0, 2000)])])
    Do: Call the only phase ELECTRIC.POWER.L1, whichever phase of the house it is connected to.
    """
    used = {
        power.text("commodity_quantity")
        for part in _with_power(message.content)
        for power in part.parts("power_ranges")
    }
    if phase := lone_phase(used, conversation):
        yield Found(
            "",
            f"{phase} is the only phase with power ranges; a device with one phase should call"
            " it L1",
            once=SINGLE_PHASE,
            since=conversation.details,
        )


RANGES = {
    "FRBC.SystemDescription": ("storage", "fill_level_range"),
    "DDBC.SystemDescription": ("present_demand_rate",),
    "DDBC.PresentDemandStatus": ("present_demand_rate",),
}
"""The ranges outside of operation modes that must not end below their start: the fields that lead
there.
"""


@rule(
    "modes.range-order",
    Severity.WARNING,
    [*DESCRIPTIONS.values(), "DDBC.PresentDemandStatus"],
    alone=True,
)
def range_order(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A range that ends below its start.

    No value lies within it. This is checked for running costs, for the fill level of the storage
    and for the demand rate. fill_rate and supply_range begin with the value for the lowest power,
    which may be the higher one.

    Where: NumberRange: start_of_range, end_of_range; running_costs of operation modes,
    FRBC.StorageDescription: fill_level_range, DDBC.SystemDescription and DDBC.PresentDemandStatus:
    present_demand_rate.
    Why: No text says that the start of these ranges is the smaller number, but only then they make
    sense.
    Wrong:
        begin("DDBC")
        rm("DDBC.SystemDescription", present_demand_rate=between(2, 1))
    Right:
        begin("DDBC")
        rm("DDBC.SystemDescription", present_demand_rate=between(2, 2))
    Do: Send the lower end first.
    """
    for part in _with_power(message.content):
        if costs := part.part("running_costs"):
            yield from upside_down(costs)
    place: Part | None = message.content
    for name in RANGES.get(message.message_type, ()):
        place = place.part(name) if place else None
    if place is not None:
        yield from upside_down(place)
