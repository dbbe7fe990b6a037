"""Hints: numbers that look as if another unit, or the other sign, was meant."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import DESCRIPTIONS
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Description
from s2_mitm.s2.rules.common.constraints import CONSTRAINTS
from s2_mitm.s2.rules.common.descriptions import described
from s2_mitm.s2.rules.common.power import (
    ELECTRICITY,
    commodities_of,
    commodity_of,
    electric_power,
    inside,
    power_lists,
    roles_of,
)
from s2_mitm.s2.rules.common.profiles import PROFILE
from s2_mitm.s2.rules.common.words import labelled, number
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted

FRBC = DESCRIPTIONS["FRBC"]
DDBC = DESCRIPTIONS["DDBC"]
OMBC = DESCRIPTIONS["OMBC"]

DURATIONS = {
    "PowerForecast": ("elements",),
    "FRBC.UsageForecast": ("elements",),
    "FRBC.FillLevelTargetProfile": ("elements",),
    "DDBC.AverageDemandRateForecast": ("elements",),
    "PEBC.Instruction": ("power_envelopes", "power_envelope_elements"),
    PROFILE: ("power_sequences_containers", "power_sequences", "elements"),
    FRBC: ("actuators", "timers"),
    DDBC: ("actuators", "timers"),
    OMBC: ("timers",),
}
"""Where durations stand: the lists that lead there."""

TWO_DAYS = 2 * 24 * 3600

FEW_WATTS = 25.0
"""W. Nobody needs S2 for a device that never takes more; in kW it is what a house has at most."""

SOME_WATTS = 100.0
"""W. Less may be the standby of a device that otherwise produces, or be the meter's noise."""

TEMPERATURE = ("°", "temp", "celsius", "kelvin")
"""What the label of a fill level has that is a temperature."""

FILLED_AT_ONCE = 30.0
"""Seconds in which no storage that is worth planning is filled."""


@rule("hint.seconds", Severity.INFO, DURATIONS, alone=True)
def seconds(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Durations that look like seconds.

    Durations are in milliseconds. These are all a fraction of a second, or no whole seconds, but
    whole minutes if they were seconds: 900 is 0.9 seconds, and a quarter of an hour is 900000.

    Where: Duration, which is in milliseconds.
    Why: No text has a least duration; but nobody plans for parts of a second.
    Wrong:
        begin("FRBC")
        rm("FRBC.UsageForecast", elements=[{"duration": 900, "usage_rate_expected": 0.02}])
    Right:
        begin("FRBC")
        rm("FRBC.UsageForecast", elements=[{"duration": 900000, "usage_rate_expected": 0.02}])
    Do: Send milliseconds.
    """
    timers = DURATIONS[message.message_type][-1] == "timers"
    first: Part | None = None
    for part in inside(message.content, DURATIONS[message.message_type]):
        duration = part.number("duration")
        if duration is None or duration <= 0 or not _looks_like_seconds(duration, timers=timers):
            return
        first = first or part
    if first is None or not message.valid:
        return
    duration = first.number("duration") or 0
    name = f" of timer {labelled(first.text('id') or '', first)}" if timers else ""
    yield Found(
        first.at("duration"),
        f"the duration{name}, {number(duration)} ms, is {duration / 1000:g} s; this looks like"
        " seconds, and so do all durations here",
        once=f"hint.seconds {message.sender}",
    )


def _looks_like_seconds(duration: float, *, timers: bool) -> bool:
    """Whether a duration is whole minutes in seconds, or, but for a timer, below a second."""
    if duration % 60 == 0 and duration % 1000 != 0 and duration <= TWO_DAYS:
        return True
    return 10 <= duration < (100 if timers else 1000)


@rule(
    "hint.kilowatts",
    Severity.INFO,
    [FRBC, OMBC, DDBC, CONSTRAINTS, PROFILE],
    alone=True,
)
def kilowatts(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Powers that look like kilowatts.

    Electric and thermal powers are in watts. A device that never takes or gives more than a few
    watts has no flexibility that is worth a message; in kilowatts it would be a usual device.

    Where: CommodityQuantity, which has the units.
    Why: No text forbids small devices; but a few kilowatts are likelier than a few watts.
    Wrong:
        begin()
        select("OMBC")
        rm("OMBC.SystemDescription", transitions=[],
           operation_modes=[ombc_mode("on", power_ranges=[power(0, 3.7)])])
    Right:
        begin()
        select("OMBC")
        rm("OMBC.SystemDescription", transitions=[],
           operation_modes=[ombc_mode("on", power_ranges=[power(0, 3700)])])
    Do: Send watts.
    """
    largest, place = 0.0, ""
    for part in _powers(message):
        quantity = part.text("commodity_quantity") or ""
        if not (quantity.startswith("ELECTRIC.POWER.") or quantity == "HEAT.THERMAL_POWER"):
            return  # a gas boiler has a pump of a few watts
        value = max(map(abs, _numbers(part)), default=0.0)
        if value > FEW_WATTS:
            return
        if value > largest:
            largest, place = value, part.path
    if largest > 1 and message.valid and not conversation.descriptions_of(message.message_type).all:
        yield Found(
            place,
            f"{number(largest)} W is the largest power of all here; it looks like kW",
            once="hint.kilowatts",
        )


def _powers(message: Message) -> Iterator[Part]:
    for owner, name in power_lists(message):
        yield from owner.parts(name)


def _numbers(part: Part) -> list[float]:
    """The powers that a range, an allowed limit or a forecast value names."""
    ends = part.range("range_boundary") if part.has("range_boundary") else None
    if ends is not None:
        return list(ends)
    names = ("start_of_range", "end_of_range", "value_expected", "value_upper_limit")
    return [value for name in names if (value := part.number(name)) is not None]


@rule(
    "hint.fraction",
    Severity.INFO,
    ["FRBC.StorageStatus", "FRBC.FillLevelTargetProfile", "FRBC.LeakageBehaviour", FRBC],
)
def fraction(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A fill level that looks like a fraction where the storage has percent.

    The storage goes from 0 to 100, or nearly so, and these fill levels are below 1: 0.57 is just
    above empty, and 57 % was meant. Or the storage goes from 0 to 1, and its modes to 100.

    Where: FRBC.StorageDescription: fill_level_range, fill_level_label.
    Why: No text forbids a storage that is nearly empty. A fraction is the likelier reason.
    Wrong:
        begin("FRBC")
        rm("FRBC.StorageStatus", present_fill_level=0.57)
    Right:
        begin("FRBC")
        rm("FRBC.StorageStatus", present_fill_level=57)
    Do: Use one unit for the range of the storage and all fill levels.
    """
    levels = _levels(message, conversation)
    if levels is None or not message.valid:
        return
    place, lowest, highest = levels
    givens = (
        [Description(message)] if message.message_type == FRBC else described(message, conversation)
    )
    ranges = [given.fill_levels for given in givens]
    if not ranges:
        return
    for storage in ranges:
        if storage is None:
            return
        start, end = storage
        too_small = -1 < start <= 0 and 50 <= end <= 101 and 0.05 <= highest < 1.01
        too_large = start == 0 and 0.5 <= end <= 1 and lowest >= 0 and highest >= 50
        if message.message_type == FRBC:
            if not too_large:
                return
        elif not too_small:
            return
    start, end = ranges[0] or (0, 0)
    yield Found(
        place,
        f"{number(highest)}{' is the highest here, and' if lowest < highest else ','} the storage"
        f" goes from {number(start)} to {number(end)}; one looks like a fraction, one like percent",
        once="hint.fraction",
    )


def _levels(message: Message, conversation: Conversation) -> tuple[str, float, float] | None:
    """The fill levels that a message names: a place, the lowest, the highest."""
    content = message.content
    if message.message_type == "FRBC.StorageStatus":
        level, before = content.number("present_fill_level"), conversation.fill_level
        # A storage that runs empty comes to such levels step by step.
        if level is None or level >= 1 or (before is not None and before < 20 * level):
            return None
        return "/present_fill_level", level, level
    lists = ("actuators", "operation_modes", "elements") if message.message_type == FRBC else ()
    lowest, highest, place = float("inf"), float("-inf"), ""
    for part in inside(content, lists or ("elements",)):
        levels = part.range("fill_level_range")
        if levels is None:
            return None
        if levels[1] > highest:
            highest, place = levels[1], part.at("fill_level_range")
        lowest = min(lowest, levels[0])
        if not lists and highest > 1:
            return None
    return (place, lowest, highest) if place else None


@rule("hint.fill-rate", Severity.INFO, [FRBC], alone=True)
def fill_rate(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A fill rate that fills the whole storage within half a minute.

    The fill rate is the change of the fill level in one second. A storage that is full so soon
    cannot be planned with; a rate for an hour, or in another unit, was meant.

    Where: FRBC.OperationModeElement: fill_rate, the change in fill_level per second.
    Why: No text forbids a fast storage; a rate per hour is the likelier reason.
    Wrong:
        begin()
        select("FRBC")
        element = {"fill_level_range": between(0, 100), "fill_rate": between(0, 36),
                   "power_ranges": [power(0, 3600)]}
        rm("FRBC.SystemDescription", actuators=[actuator(operation_modes=[
            frbc_mode(name, elements=[element]) for name in ["idle", "charge", "emergency"]])])
    Right:
        begin()
        select("FRBC")
        element = {"fill_level_range": between(0, 100), "fill_rate": between(0, 0.01),
                   "power_ranges": [power(0, 3600)]}
        rm("FRBC.SystemDescription", actuators=[actuator(operation_modes=[
            frbc_mode(name, elements=[element]) for name in ["idle", "charge", "emergency"]])])
    Do: Send the change per second, in the unit of the fill level.
    """
    levels = Description(message).fill_levels
    if levels is None or levels[1] <= levels[0] or not message.valid:
        return
    width = levels[1] / 2 - levels[0] / 2
    for element in inside(message.content, ("actuators", "operation_modes", "elements")):
        rates = element.range("fill_rate")
        fastest = max(map(abs, rates)) if rates else 0.0
        if fastest / 2 * FILLED_AT_ONCE > width:
            yield Found(
                element.at("fill_rate"),
                f"a rate of {number(fastest)} in a second goes from {number(levels[0])} to"
                f" {number(levels[1])} in {2 * width / fastest:.2g} s",
                once="hint.fill-rate",
            )
            return


@rule("hint.fill-sign", Severity.INFO, [FRBC])
def fill_sign(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A discharge that fills the storage, or a charge that empties it.

    Power that is consumed is positive and fills a battery: its fill rate is positive, too. Power
    that is produced is negative, and so is its fill rate. It is said of electric storages only.

    Where: FRBC.OperationModeElement: fill_rate, power_ranges. The start of each belongs to the
    operation_mode_factor 0, the end to 1.
    Why: No text compares the two signs; but energy that goes out of a battery does not fill it.
    Wrong:
        begin()
        select("FRBC")
        element = {"fill_level_range": between(0, 100), "fill_rate": between(0.01, 0),
                   "power_ranges": [power(-3600, 0)]}
        rm("FRBC.SystemDescription", actuators=[actuator(operation_modes=[
            frbc_mode(name, elements=[element]) for name in ["idle", "charge", "emergency"]])])
    Right:
        begin()
        select("FRBC")
        element = {"fill_level_range": between(0, 100), "fill_rate": between(-0.01, 0),
                   "power_ranges": [power(-3600, 0)]}
        rm("FRBC.SystemDescription", actuators=[actuator(operation_modes=[
            frbc_mode(name, elements=[element]) for name in ["idle", "charge", "emergency"]])])
    Do: Let fill rate and power have the same sign, at the start of the range and at its end.
    """
    roles = roles_of(conversation.details)
    if roles != {ELECTRICITY: {"ENERGY_STORAGE"}} or not message.valid:
        return
    storage = message.content.part("storage")
    label = (storage.text("fill_level_label") if storage else None) or ""
    if any(word in label[:100].lower() for word in TEMPERATURE):
        return  # what is cooled with electricity is emptied
    produces = any((part.number("start_of_range") or 0) < 0 for part in _powers(message))
    for actuator in message.content.parts("actuators"):
        if commodities_of(actuator)[1] != [ELECTRICITY]:
            continue
        for mode in actuator.parts("operation_modes"):
            for element in mode.parts("elements"):
                wrong = _contradiction(element)
                if wrong is None:
                    continue
                factor, watts, rate = wrong
                if watts > 0 and not produces:
                    continue  # it may be a cold store
                deed = "is produced" if watts < 0 else "is consumed"
                yield Found(
                    element.at("fill_rate"),
                    f"in mode {labelled(mode.text('id') or '', mode)} {abs(watts):g} W {deed} at"
                    f" factor {factor}, and the fill rate is {number(rate)}",
                    once="hint.fill-sign",
                )
                return


def _contradiction(element: Part) -> tuple[int, float, float] | None:
    """The factor at which power and fill rate do not fit, with both; None where they do."""
    rates = element.range("fill_rate")
    watts = [0.0, 0.0]
    for part in element.parts("power_ranges"):
        ends = part.number("start_of_range"), part.number("end_of_range")
        electric = commodity_of(part.text("commodity_quantity") or "") == ELECTRICITY
        if ends[0] is None or ends[1] is None or not electric:
            return None
        watts = [watts[0] + ends[0], watts[1] + ends[1]]
    if rates is None:
        return None
    for factor in (0, 1):
        # What little an idle battery takes for itself does not fill it.
        if abs(watts[factor]) <= SOME_WATTS:
            continue
        exchanged = rates[factor] == 0 and rates[1 - factor] != 0 and watts[1 - factor] == 0
        if watts[factor] * rates[factor] < 0 or exchanged:
            return factor, watts[factor], rates[factor]
    return None


@rule(
    "hint.role-sign",
    Severity.INFO,
    ["PowerMeasurement", "PowerForecast", CONSTRAINTS, OMBC, FRBC, DDBC],
)
def role_sign(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A producer that consumes, or a consumer that produces.

    Consumed power is positive, produced power negative. The RM has one role for electricity, and
    the power has the sign of the other one.

    Where: Role: role; Common concepts (docs.s2standard.org), Power: what is consumed is positive,
    what is produced negative.
    Why: No text forbids it, and standby needs a little power. So much hints at the wrong sign.
    Wrong:
        begin(details=False)
        rm("ResourceManagerDetails",
           roles=[{"role": "ENERGY_PRODUCER", "commodity": "ELECTRICITY"}])
        rm("PowerMeasurement",
           values=[{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 3450}])
    Right:
        begin(details=False)
        rm("ResourceManagerDetails",
           roles=[{"role": "ENERGY_PRODUCER", "commodity": "ELECTRICITY"}])
        rm("PowerMeasurement",
           values=[{"commodity_quantity": "ELECTRIC.POWER.L1", "value": -3450}])
    Do: Send what is produced with a minus. A device that does both has the role ENERGY_STORAGE.
    """
    roles = roles_of(conversation.details).get(ELECTRICITY, set())
    if len(roles) != 1 or not message.valid:
        return
    (role,) = roles
    sign = {"ENERGY_PRODUCER": 1, "ENERGY_CONSUMER": -1}.get(role)
    if sign is None:
        return
    found = _against(message, sign)
    if found is not None:
        place, what = found
        yield Found(
            place, f"{what}, and the role of the RM is {quoted(role)}", once="hint.role-sign"
        )


def _against(message: Message, sign: int) -> tuple[str, str] | None:
    """Where there is power of this sign, and what of it, in words; None for none."""
    content = message.content
    if message.message_type == "PowerMeasurement":
        watts = electric_power(content.parts("values"), "value")
        deed = "consumed" if sign > 0 else "produced"
        return ("/values", f"{abs(watts):g} W is {deed}") if watts * sign > SOME_WATTS else None
    deed = "consumption" if sign > 0 else "production"
    if message.message_type == "PowerForecast":
        for element in content.parts("elements"):
            watts = electric_power(element.parts("power_values"), "value_expected")
            if watts * sign > SOME_WATTS:
                return element.at("power_values"), f"a {deed} of {abs(watts):g} W is expected"
        return None
    most, place = 0.0, ""
    for part in _powers(message):
        if commodity_of(part.text("commodity_quantity") or "") != ELECTRICITY:
            continue
        for end in _numbers(part):
            if end * sign < 0:
                return None
            if end * sign > most:
                most, place = end * sign, part.path
    return (place, f"all power is {deed}, up to {most:g} W") if most > SOME_WATTS else None
