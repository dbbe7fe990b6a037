"""Power profile based control: what is wrong within a power profile."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.rules.common.bands import BANDS, crossed
from s2_mitm.s2.rules.common.phases import SINGLE_PHASE, lone_phase
from s2_mitm.s2.rules.common.profiles import PROFILE
from s2_mitm.s2.rules.common.references import FEW
from s2_mitm.s2.rules.common.repeated import repeated
from s2_mitm.s2.rules.common.words import number
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted

VALUE_BANDS = tuple(f"value_{band}" for band in BANDS)


@rule("ppbc.quantity-twice", Severity.WARNING, [PROFILE], statements=["N64"], alone=True)
def quantity_twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An element of a sequence has two values for the same quantity.

    The CEM cannot tell which is meant; some CEMs add them.

    Where: PPBC.PowerSequenceElement: power_values.
    Why: There should be at most one value for each commodity_quantity; it is no must.
    Wrong:
        begin("PPBC")
        value = {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 2000}
        rm("PPBC.PowerProfileDefinition", id="#newer", power_sequences_containers=[container("wash",
            sequence("eco", elements=[{"duration": 600000, "power_values": [value, value]}]))])
    Right:
        begin("PPBC")
        value = {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 2000}
        rm("PPBC.PowerProfileDefinition", id="#newer", power_sequences_containers=[container("wash",
            sequence("eco", elements=[{"duration": 600000, "power_values": [value]}]))])
    Do: Send one value for each phase, or one for all three together.
    """
    yield from islice(_twice(message.content), FEW)


def _twice(content: Part) -> Iterator[Found]:
    for element in _elements(content):
        values = element.parts("power_values")
        for value, _, quantity in repeated(values, "commodity_quantity"):
            text = f"{quoted(quantity)} has a value in {element.path} already"
            yield Found(value.at("commodity_quantity"), text)


@rule("ppbc.bands-crossed", Severity.WARNING, [PROFILE], alone=True)
def bands_crossed(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The probability bands of a power in a profile are not within each other.

    What lies within the 68 % band lies within the 95 % band and within the limits. A CEM that
    calculates with the bands gets negative widths.

    Where: PowerForecastValue.
    Why: The order follows from what the bands mean; no text demands it.
    Wrong:
        begin("PPBC")
        value = {"commodity_quantity": "ELECTRIC.POWER.L1"}
        value |= {"value_lower_limit": 240, "value_expected": 230}
        rm("PPBC.PowerProfileDefinition", id="#newer", power_sequences_containers=[container("wash",
            sequence("eco", elements=[{"duration": 600000, "power_values": [value]}]))])
    Right:
        begin("PPBC")
        value = {"commodity_quantity": "ELECTRIC.POWER.L1"}
        value |= {"value_lower_limit": 230, "value_expected": 230}
        rm("PPBC.PowerProfileDefinition", id="#newer", power_sequences_containers=[container("wash",
            sequence("eco", elements=[{"duration": 600000, "power_values": [value]}]))])
    Do: Look for upper and lower exchanged; production is negative, and its lower limit is the
        larger production.
    """
    wrong = (
        (value, pair)
        for element in _elements(message.content)
        for value in element.parts("power_values")
        if (pair := crossed(value, VALUE_BANDS)) is not None
    )
    for value, (lower, upper) in islice(wrong, FEW):
        yield Found(
            value.at(upper),
            f"{upper} {number(value.value[upper])} is below {lower} {number(value.value[lower])}",
        )


@rule("ppbc.single-phase", Severity.WARNING, [PROFILE], statements=["N36"])
def single_phase(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A power profile for a single phase that is not L1.

    A CEM takes what has a value on L2 or L3 for a device with three phases. It is reported once for
    each ResourceManagerDetails.

    Where: CommodityQuantity: ELECTRIC.POWER.L1.
    Why: A device that uses only one phase should always call it L1; it is no must.
    Wrong:
        begin("PPBC")
        value = {"commodity_quantity": "ELECTRIC.POWER.L2", "value_expected": 2000}
        rm("PPBC.PowerProfileDefinition", id="#newer", power_sequences_containers=[container("wash",
            sequence("eco", elements=[{"duration": 600000, "power_values": [value]}]))])
    Right:
        begin("PPBC")
        value = {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 2000}
        rm("PPBC.PowerProfileDefinition", id="#newer", power_sequences_containers=[container("wash",
            sequence("eco", elements=[{"duration": 600000, "power_values": [value]}]))])
    Do: Call the only phase ELECTRIC.POWER.L1, whichever phase of the house it is connected to.
    """
    values = (
        value.text("commodity_quantity")
        for element in _elements(message.content)
        for value in element.parts("power_values")
    )
    phase = lone_phase(values, conversation)
    if phase is not None:
        yield Found(
            "/power_sequences_containers",
            f"{phase} is the only phase used; a device with one phase should call it L1",
            once=SINGLE_PHASE,
            since=conversation.details,
        )


def _elements(content: Part) -> Iterator[Part]:
    """The elements of all sequences of a profile."""
    for container in content.parts("power_sequences_containers"):
        for sequence in container.parts("power_sequences"):
            yield from sequence.parts("elements")
