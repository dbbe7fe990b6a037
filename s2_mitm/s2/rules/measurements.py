"""Measurements, forecasts and costs, compared with what the RM says about itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s2_mitm.s2.catalog import DESCRIPTIONS, PHASES, QUANTITIES
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.rules.common.bands import BANDS, crossed
from s2_mitm.s2.rules.common.phases import SINGLE_PHASE, lone_phase
from s2_mitm.s2.rules.common.repeated import repeated
from s2_mitm.s2.rules.common.tolerances import OLD_MEASUREMENT
from s2_mitm.s2.rules.common.words import number
from s2_mitm.s2.rules.registry import Found, SayAgain, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted

MAX_LOOKED_INTO = 256 * 1024
"""Bytes. In a larger description no costs are looked for once more when new details come."""


@rule("measurement.not-promised", Severity.ERROR, ["PowerMeasurement"])
def not_promised(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A measurement of a quantity that the RM did not promise.

    The CEM expects the quantities that ResourceManagerDetails promises; it ignores the others or
    refuses the message.

    Where: ResourceManagerDetails: provides_power_measurement_types; PowerMeasurement: values.
    Why: The list has all the quantities that the RM can measure, and this one is not in it. Where
    the list is empty nothing is reported.
    Wrong:
        begin()
        rm("PowerMeasurement", values=[{"commodity_quantity": "HEAT.FLOW_RATE", "value": 1}])
    Right:
        begin()
        rm("PowerMeasurement", values=[{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 1}])
    Do: Add the quantity to provides_power_measurement_types, and send ResourceManagerDetails again.
    """
    details = _details(conversation)
    if details is None:
        return
    promised = details.content.texts("provides_power_measurement_types")
    if details.is_doubtful("/provides_power_measurement_types"):
        return
    if not promised or not QUANTITIES.issuperset(promised):
        return  # an unknown quantity there is the cause, and the schema reports it
    for value in message.content.parts("values"):
        quantity = value.text("commodity_quantity")
        if quantity in QUANTITIES and quantity not in promised:
            yield Found(
                value.at("commodity_quantity"),
                f"{quantity} is not among the quantities that"
                f" {details.name(message.time)}"
                f" promises: {', '.join(promised[:10])}",
            )


@rule(
    "measurement.quantity-twice",
    Severity.ERROR,
    ["PowerMeasurement"],
    statements=["N32"],
    alone=True,
)
def measured_twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Two values of the same quantity in one measurement.

    Which of them counts is not defined; s2-python refuses the message.

    Where: PowerMeasurement: values.
    Why: There must be at most one item for each commodity_quantity.
    Wrong:
        begin()
        one = {"commodity_quantity": "ELECTRIC.POWER.L1", "value": 230.5}
        rm("PowerMeasurement", values=[one, one], answer="INVALID_MESSAGE")
    Right:
        begin()
        rm("PowerMeasurement")
        rm("PowerMeasurement")
    Do: Send one value for each quantity; send another PowerMeasurement for another moment.
    """
    yield from _twice(message.content.parts("values"))


OLD = SayAgain("measurement.old")


@rule("measurement.old", Severity.INFO, ["PowerMeasurement"])
def old(message: Message, conversation: Conversation) -> Iterator[Found | SayAgain]:
    """A measurement that is more than a day old.

    It does not show the present state: the RM's clock is wrong, or was not set yet, or the RM sends
    what it has stored. It is reported once until a measurement is younger.

    Where: PowerMeasurement: measurement_timestamp.
    Why: No sentence says how old a measurement may be.
    Wrong:
        begin()
        rm("PowerMeasurement", measurement_timestamp=at(-100000))
    Right:
        begin()
        rm("PowerMeasurement", measurement_timestamp=at(-3600))
    Do: Set the clock of the RM before it measures.
    """
    moment = message.content.moment("measurement_timestamp")
    if moment is None or message.time - moment <= OLD_MEASUREMENT:
        yield OLD
    else:
        hours = (message.time - moment) / 3600
        age = f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
        yield Found("/measurement_timestamp", f"{clock(moment)} is {age} old", once=OLD.key)


@rule(
    "measurement.single-phase",
    Severity.WARNING,
    ["ResourceManagerDetails"],
    statements=["N36"],
    alone=True,
)
def single_phase(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A single phase that is not L1.

    A CEM takes what has a value on L2 or L3 for a device with three phases.

    Where: CommodityQuantity: ELECTRIC.POWER.L1; ResourceManagerDetails:
    provides_power_measurement_types.
    Why: A device that uses only one phase should always call it L1, whichever phase of the house it
    is connected to. What it measures shows how many it uses.
    Wrong:
        begin(details=False)
        rm("ResourceManagerDetails", provides_power_measurement_types=["ELECTRIC.POWER.L2"])
    Right:
        begin(details=False)
        rm("ResourceManagerDetails", provides_power_measurement_types=["ELECTRIC.POWER.L1"])
    Do: Call the only phase ELECTRIC.POWER.L1.
    """
    phases = _phases(message)
    if len(phases) == 1 and phases[0] != PHASES[0]:
        yield Found(
            "/provides_power_measurement_types",
            f"{phases[0]} is the only phase measured; a device with one phase should call it L1",
        )


@rule(
    "measurement.two-phases",
    Severity.INFO,
    ["ResourceManagerDetails"],
    statements=["N37"],
    alone=True,
)
def two_phases(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Two phases out of three.

    L2, L3 and 3_PHASE_SYMMETRIC are for devices with three phases. The CEM does not know whether
    the third has no power or is not measured.

    Where: CommodityQuantity: ELECTRIC.POWER.L2, ELECTRIC.POWER.L3; ResourceManagerDetails:
    provides_power_measurement_types.
    Why: L2 and L3 are only for devices with three phases, and no message says how many a device
    has.
    Wrong:
        begin(details=False)
        measured = ["ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2"]
        rm("ResourceManagerDetails", provides_power_measurement_types=measured)
    Right:
        begin(details=False)
        measured = ["ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2", "ELECTRIC.POWER.L3"]
        rm("ResourceManagerDetails", provides_power_measurement_types=measured)
    Do: Measure all three phases, and send 0 for the one without power.
    """
    phases = _phases(message)
    if len(phases) == 2:
        yield Found(
            "/provides_power_measurement_types",
            f"{' and '.join(phases)} are measured, the third phase is not",
        )


@rule("forecast.not-provided", Severity.ERROR, ["PowerForecast"])
def not_provided(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A forecast from an RM that said it provides none.

    The CEM plans without it.

    Where: ResourceManagerDetails: provides_forecast; PowerForecast.
    Why: It says whether the RM is able to provide forecasts, and it said that it is not.
    Wrong:
        begin(details=False)
        rm("ResourceManagerDetails", provides_forecast=False)
        rm("PowerForecast")
    Right:
        begin(details=False)
        rm("ResourceManagerDetails", provides_forecast=True)
        rm("PowerForecast")
    Do: Say provides_forecast true, in a new ResourceManagerDetails if need be.
    """
    details = _details(conversation)
    if details is not None and details.content.flag("provides_forecast") is False:
        text = f"provides_forecast is false in {details.name(message.time)}"
        yield Found("/message_type", text)


@rule("forecast.quantity-twice", Severity.ERROR, ["PowerForecast"], statements=["N65"], alone=True)
def forecast_twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Two values of the same quantity in one element of a forecast.

    Which of them counts is not defined; s2-python refuses the message.

    Where: PowerForecastElement: power_values.
    Why: There shall be at most one value for each commodity_quantity.
    Wrong:
        begin()
        value = {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 230}
        element = {"duration": 900000, "power_values": [value, value]}
        rm("PowerForecast", elements=[element], answer="INVALID_MESSAGE")
    Right:
        begin()
        element = {"duration": 900000, "power_values": [
            {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 230},
        ]}
        rm("PowerForecast", elements=[element, element])
    Do: Send one value for each quantity; another moment is another element.
    """
    for element in message.content.parts("elements"):
        yield from _twice(element.parts("power_values"))


VALUE_BANDS = tuple(f"value_{band}" for band in BANDS)


@rule("forecast.bands-crossed", Severity.WARNING, ["PowerForecast"], alone=True)
def bands(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The probability bands of a forecast are not within each other.

    What lies within the 68 % band lies within the 95 % band and within the limits. A CEM that
    calculates with the bands gets negative widths.

    Where: PowerForecastValue: value_lower_limit ≤ value_lower_95PPR ≤ value_lower_68PPR ≤
    value_expected ≤ value_upper_68PPR ≤ value_upper_95PPR ≤ value_upper_limit.
    Why: The order follows from what the bands mean; no sentence says it.
    Wrong:
        begin()
        value = {"commodity_quantity": "ELECTRIC.POWER.L1"}
        value |= {"value_lower_limit": 240, "value_expected": 230}
        rm("PowerForecast", elements=[{"duration": 900000, "power_values": [value]}])
    Right:
        begin()
        value = {"commodity_quantity": "ELECTRIC.POWER.L1"}
        value |= {"value_lower_limit": 230, "value_expected": 230}
        rm("PowerForecast", elements=[{"duration": 900000, "power_values": [value]}])
    Do: Look for upper and lower exchanged; production is negative, and its lower limit is the
        larger production.
    """
    for element in message.content.parts("elements"):
        for value in element.parts("power_values"):
            if pair := crossed(value, VALUE_BANDS):
                lower, upper = pair
                yield Found(
                    value.at(upper),
                    f"{upper} {number(value.value[upper])} is below {lower}"
                    f" {number(value.value[lower])}",
                )


@rule("forecast.single-phase", Severity.WARNING, ["PowerForecast"], statements=["N36"])
def forecast_single_phase(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A forecast for a single phase that is not L1.

    A CEM takes what has a value on L2 or L3 for a device with three phases. It is reported once for
    each ResourceManagerDetails.

    Where: CommodityQuantity: ELECTRIC.POWER.L1.
    Why: A device that uses only one phase should always call it L1; it is no must.
    Wrong:
        begin()
        value = {"commodity_quantity": "ELECTRIC.POWER.L2", "value_expected": 230}
        rm("PowerForecast", elements=[{"duration": 900000, "power_values": [value]}])
    Right:
        begin()
        value = {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 230}
        rm("PowerForecast", elements=[{"duration": 900000, "power_values": [value]}])
    Do: Call the only phase ELECTRIC.POWER.L1, whichever phase of the house it is connected to.
    """
    quantities = (
        value.text("commodity_quantity")
        for element in message.content.parts("elements")
        for value in element.parts("power_values")
    )
    phase = lone_phase(quantities, conversation)
    if phase is not None:
        yield Found(
            "/elements",
            f"{phase} is the only phase in it; a device with one phase should call it L1",
            once=SINGLE_PHASE,
            since=conversation.details,
        )


@rule(
    "costs.no-currency",
    Severity.ERROR,
    [*DESCRIPTIONS.values(), "ResourceManagerDetails"],
    statements=["N34"],
)
def no_currency(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Costs without a currency.

    The CEM cannot weigh costs that it cannot read: 1 may be a euro or a yen. It is reported once
    for each ResourceManagerDetails, also of new ones without the currency that those before had.

    Where: ResourceManagerDetails: currency; Transition: transition_costs; OMBC.OperationMode:
    running_costs, and those of FRBC and DDBC.
    Why: The currency is mandatory if cost information is published. Costs of 0 are not reported:
    the documentation has an example with them and without a currency.
    Wrong:
        begin(details=False)
        rm("ResourceManagerDetails", currency=None)
        select("OMBC")
        rm("OMBC.SystemDescription", operation_modes=[
            ombc_mode("off"), ombc_mode("on", running_costs=between(0, 0.01)), ombc_mode("boost"),
        ])
    Right:
        begin(details=False)
        rm("ResourceManagerDetails", currency="EUR")
        select("OMBC")
        rm("OMBC.SystemDescription", operation_modes=[
            ombc_mode("off"), ombc_mode("on", running_costs=between(0, 0.01)), ombc_mode("boost"),
        ])
    Do: Add the currency to ResourceManagerDetails.
    """
    if message.message_type == "ResourceManagerDetails":
        yield from _dropped(message, conversation)
        return
    details = _details(conversation)
    if details is None or details.content.has("currency") or details.is_doubtful("/currency"):
        return
    place = next(_costs(message.content), None)
    if place is not None:
        yield Found(
            place,
            f"costs, but {details.name(message.time)} has no currency",
            once="no-currency",
            since=details,
        )


def _dropped(message: Message, conversation: Conversation) -> Iterator[Found]:
    """New details have no currency any more, but the description in force has costs."""
    before, family = conversation.details, conversation.family
    if before is None or not before.content.has("currency") or family not in DESCRIPTIONS:
        return
    if message.content.has("currency") or message.is_doubtful("/currency"):
        return
    given = _in_force(DESCRIPTIONS[family], conversation)
    if given is not None and next(_costs(given.content), None) is not None:
        yield Found(
            "",
            f"no currency any more, but {given.name(message.time)} has costs",
            "Give the currency with all details while a description with costs is in force.",
            once="no-currency",
            since=message,
        )


def _in_force(message_type: str, conversation: Conversation) -> Message | None:
    """The description that holds now, where that is sure and it is not too large to look into."""
    if conversation.descriptions_of(message_type).doubt:
        return None
    now = conversation.now
    known = (
        given for given in conversation.referable(message_type, now) if given.valid_from <= now
    )
    newest = next(known, None)
    return newest.message if newest and newest.message.size <= MAX_LOOKED_INTO else None


def _details(conversation: Conversation) -> Message | None:
    """The latest details, where none may have come since that nobody could read."""
    details = conversation.details
    if conversation.may_have_said("ResourceManagerDetails", details):
        return None
    return details


def _twice(values: Iterable[Part]) -> Iterator[Found]:
    for value, first, quantity in repeated(values, "commodity_quantity"):
        text = f"{quoted(quantity)} has a value at {first.path} already"
        yield Found(value.at("commodity_quantity"), text)


def _phases(details: Message) -> list[str]:
    """The phases that an RM measures one by one."""
    measured = details.content.texts("provides_power_measurement_types")
    return [phase for phase in PHASES if phase in measured]


def _costs(description: Part) -> Iterator[str]:
    """The places of costs in a system description, of those that are not 0."""
    for actuator in (description, *description.parts("actuators")):
        for transition in actuator.parts("transitions"):
            if transition.number("transition_costs"):
                yield transition.at("transition_costs")
        for mode in actuator.parts("operation_modes"):
            for part in (mode, *mode.parts("elements")):
                if any(part.range("running_costs") or ()):
                    yield part.at("running_costs")
