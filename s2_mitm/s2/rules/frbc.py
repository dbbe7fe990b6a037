"""Fill Rate Based Control: the storage, its fill levels, and what is forecast of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.rules.common.bands import BANDS, crossed_elements
from s2_mitm.s2.rules.common.crossing import may_cross
from s2_mitm.s2.rules.common.descriptions import actuator_id_of, described, flags_denied
from s2_mitm.s2.rules.common.ranges import upside_down
from s2_mitm.s2.rules.common.tolerances import SAME, SOON
from s2_mitm.s2.rules.common.words import labelled, number
from s2_mitm.s2.rules.registry import Found, SayAgain, rule
from s2_mitm.s2.verdict import Severity

PROVIDED = {
    "FRBC.LeakageBehaviour": "provides_leakage_behaviour",
    "FRBC.FillLevelTargetProfile": "provides_fill_level_target_profile",
    "FRBC.UsageForecast": "provides_usage_forecast",
}
"""Where the storage says whether it provides a message type."""


def _elements(message: Message) -> Iterator[Iterable[Part]]:
    """The lists of elements that each hold for a range of fill levels."""
    if message.message_type != "FRBC.SystemDescription":
        yield message.content.parts("elements")
        return
    for actuator in message.content.parts("actuators"):
        for mode in actuator.parts("operation_modes"):
            yield mode.parts("elements")


@rule(
    "frbc.fill-level-order",
    Severity.ERROR,
    ["FRBC.SystemDescription", "FRBC.LeakageBehaviour", "FRBC.FillLevelTargetProfile"],
    statements=["N45", "N47", "N51"],
    alone=True,
)
def fill_level_order(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A range of fill levels that ends where it starts, or below.

    No fill level lies within it, so that the element never applies. A target may be a single fill
    level.

    Where: FRBC.OperationModeElement: fill_level_range, FRBC.LeakageBehaviourElement:
    fill_level_range (start smaller than end); FRBC.FillLevelTargetProfileElement: fill_level_range
    (smaller or equal).
    Why: The start must be below the end, or, for a target, not above it.
    Wrong:
        begin("FRBC")
        rm("FRBC.FillLevelTargetProfile", answer="INVALID_CONTENT",
           elements=[{"duration": 60000, "fill_level_range": between(80, 20)}])
    Right:
        begin("FRBC")
        rm("FRBC.FillLevelTargetProfile",
           elements=[{"duration": 60000, "fill_level_range": between(80, 80)}])
    Do: Send the lower fill level first, and leave empty ranges out.
    """
    strictly = message.message_type != "FRBC.FillLevelTargetProfile"
    for elements in _elements(message):
        for element in elements:
            if levels := element.part("fill_level_range"):
                yield from upside_down(levels, strictly=strictly)


@rule(
    "frbc.fill-levels-apart",
    Severity.ERROR,
    ["FRBC.SystemDescription", "FRBC.LeakageBehaviour"],
    statements=["N15", "N49"],
    alone=True,
)
def fill_levels_apart(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Ranges of fill levels that leave a gap or overlap.

    In a gap the CEM does not know what the device does. Where two overlap, it does not know which
    of them applies. Their order in the list does not matter.

    Where: FRBC.OperationMode: elements, FRBC.LeakageBehaviour: elements.
    Why: The ranges must be contiguous: each begins where one ends.
    Wrong:
        begin("FRBC")
        rm("FRBC.LeakageBehaviour", elements=[
            {"fill_level_range": between(0, 50), "leakage_rate": 0.0001},
            {"fill_level_range": between(51, 100), "leakage_rate": 0.0002}])
    Right:
        begin("FRBC")
        rm("FRBC.LeakageBehaviour", elements=[
            {"fill_level_range": between(50, 100), "leakage_rate": 0.0002},
            {"fill_level_range": between(0, 50), "leakage_rate": 0.0001}])
    Do: Begin each range with exactly the number with which the one below ends.
    """
    for elements in _elements(message):
        ranges = [(element, element.range("fill_level_range")) for element in elements]
        known = [(levels, element) for element, levels in ranges if levels]
        if len(known) < len(ranges) or any(start >= end for (start, end), _ in known):
            continue  # other rules report what is wrong then
        known.sort(key=lambda item: item[0])
        for ((_, end), lower), ((start, _), upper) in pairwise(known):
            if abs(start / 2 - end / 2) > SAME * max(abs(start), abs(end)):
                what = "there is a gap" if start > end else "it overlaps with the one"
                yield Found(
                    upper.at("fill_level_range"),
                    f"{what} below: it starts at {number(start)}, and {lower.path} ends at"
                    f" {number(end)}",
                )


FILL_LEVEL_OUTSIDE = SayAgain("fill-level-outside")


@rule("frbc.fill-level-outside", Severity.WARNING, ["FRBC.StorageStatus"], statements=["N52"])
def fill_level_outside(message: Message, conversation: Conversation) -> Iterator[Found | SayAgain]:
    """The fill level is outside the range in which it should remain.

    The RM need not follow instructions until it is back. It can happen, and it can be a mistake in
    the units. It is reported once until the fill level is back.

    Where: FRBC.StorageDescription: fill_level_range.
    Why: The fill level should remain in this range. It can happen without a mistake.
    Wrong:
        begin("FRBC")
        rm("FRBC.StorageStatus", present_fill_level=100.5)
    Right:
        begin("FRBC")
        rm("FRBC.StorageStatus", present_fill_level=100)
    Do: The CEM instructs a mode that brings it back; the RM looks at its units (0 to 1, percent).
    """
    level = message.content.number("present_fill_level")
    if level is None:
        return
    outside = None
    for given in described(message, conversation):
        levels = given.fill_levels
        if levels is None or levels[0] > levels[1]:
            return
        rounding = SAME * max(abs(levels[0]), abs(levels[1]))
        if levels[0] - rounding <= level <= levels[1] + rounding:
            outside = None
            break
        outside = outside or (given, levels)
    if outside is None:
        yield FILL_LEVEL_OUTSIDE
    else:
        given, (start, end) = outside
        yield Found(
            "/present_fill_level",
            f"{number(level)} is outside {number(start)} to {number(end)}, the range in"
            f" {given.message.name(conversation.now)}",
            once=FILL_LEVEL_OUTSIDE.key,
        )


@rule("frbc.not-provided", Severity.ERROR, PROVIDED)
def not_provided(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The RM sends something that it has said it does not provide.

    A CEM that follows the description has no use for it and may refuse it.

    Where: FRBC.StorageDescription: provides_leakage_behaviour, provides_fill_level_target_profile,
    provides_usage_forecast.
    Why: The RM has said plainly that it does not send this.
    Wrong:
        begin()
        select("FRBC")
        storage = TEMPLATES["FRBC.SystemDescription"]["storage"]
        rm("FRBC.SystemDescription", storage={**storage, "provides_usage_forecast": False})
        rm("FRBC.UsageForecast")
    Right:
        begin("FRBC")
        rm("FRBC.UsageForecast")
    Do: Say true in the SystemDescription; a new one may be sent at any time.
    """
    flag = PROVIDED[message.message_type]
    if given := flags_denied(described(message, conversation), "storage", flag):
        yield Found(
            "/message_type",
            f"{flag} is false in {given.message.name(conversation.now)}",
        )


USAGE_RATES = tuple(f"usage_rate_{band}" for band in BANDS)


@rule("frbc.bands-crossed", Severity.WARNING, ["FRBC.UsageForecast"], alone=True)
def bands_crossed(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The probability bands of a usage forecast are not within each other.

    The range of 68 % lies within that of 95 %, and that within the limits. A CEM that plans with
    the bands gets wrong results.

    Where: FRBC.UsageForecastElement: usage_rate_lower_limit, usage_rate_lower_95PPR,
    usage_rate_lower_68PPR, usage_rate_expected and the same upwards.
    Why: It follows from what the bands mean, but no text says it.
    Wrong:
        begin("FRBC")
        rm("FRBC.UsageForecast", elements=[{"duration": 60000, "usage_rate_expected": 2,
                                            "usage_rate_upper_limit": 1}])
    Right:
        begin("FRBC")
        rm("FRBC.UsageForecast", elements=[{"duration": 60000, "usage_rate_expected": 1,
                                            "usage_rate_upper_limit": 1}])
    Do: Look at the signs: a positive usage rate empties the storage, and lower means less.
    """
    yield from crossed_elements(message, USAGE_RATES)


@rule("frbc.level-not-described", Severity.WARNING, ["FRBC.Instruction"])
def level_not_described(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A mode is instructed at a fill level for which it is not described.

    None of its elements applies, so that nobody knows what the device does then: most cannot run
    that mode there, and the RM rejects the instruction. This is checked of instructions for the
    next minute, against the last status of the storage and how fast the fill level can have changed
    since. It is not checked while the fill level is outside the range of the storage.

    Where: FRBC.OperationModeElement: fill_level_range; FRBC.StorageStatus: present_fill_level.
    Why: An element applies for its fill levels only, but no text forbids to instruct the mode, and
    the fill level may have changed.
    Wrong:
        begin()
        select("FRBC")
        filling = {"fill_level_range": between(0, 90), "fill_rate": between(0, 0.01),
                   "power_ranges": [power(0, 5000)]}
        rm("FRBC.SystemDescription", actuators=[
            actuator(operation_modes=[frbc_mode("idle"), frbc_mode("charge", elements=[filling])],
                     transitions=[transition("idle", "charge")])])
        rm("FRBC.StorageStatus", present_fill_level=97)
        cem("FRBC.Instruction", operation_mode="#charge")
    Right:
        begin()
        select("FRBC")
        filling = {"fill_level_range": between(0, 90), "fill_rate": between(0, 0.01),
                   "power_ranges": [power(0, 5000)]}
        rm("FRBC.SystemDescription", actuators=[
            actuator(operation_modes=[frbc_mode("idle"), frbc_mode("charge", elements=[filling])],
                     transitions=[transition("idle", "charge")])])
        rm("FRBC.StorageStatus", present_fill_level=80)
        cem("FRBC.Instruction", operation_mode="#charge")
    Do: Plan each mode for the fill levels of its elements; see what the storage will have by then.
    """
    level, status = conversation.fill_level, conversation.storage_status
    if level is None or status is None or status.message_type in conversation.undelivered:
        return
    target, actuator_id = message.content.text("operation_mode"), actuator_id_of(message)
    execution = message.content.moment("execution_time")
    if target is None or actuator_id is None or execution is None:
        return
    start = max(execution, conversation.now)
    if start > conversation.now + SOON or may_cross(message, status, conversation):
        return
    far: Part | None = None
    for given in described(message, conversation):
        actuator = given.actuators.get(actuator_id)
        mode = actuator.modes.get(target) if actuator else None
        if mode is None:
            continue
        levels = _levels(mode)
        storage = given.fill_levels
        if not levels or storage is None or not storage[0] <= level <= storage[1]:
            return
        near = 2 * LEVEL_ROUNDED * (storage[1] / 2 - storage[0] / 2)
        near += given.fastest_filling * (start - status.time)
        if any(low - near <= level <= high + near for low, high in levels):
            return
        far = far or mode
    if far is not None:
        name = status.name(conversation.now)
        yield Found(
            "/operation_mode",
            f"operation mode {labelled(target, far)} is not described for a fill level of"
            f" {number(level)}, which the storage has by {name}",
        )


LEVEL_ROUNDED = 0.01
"""The part of the range of a storage by which a fill level may be off, since it comes rounded."""

MAX_ELEMENTS = 1000
"""A mode with more elements is not looked at; the schema allows a hundred."""


def _levels(mode: Part) -> list[tuple[float, float]]:
    """The fill levels for which a mode is described; none where that cannot be read."""
    stated = mode.value.get("elements")
    if not isinstance(stated, list) or len(stated) > MAX_ELEMENTS:
        return []
    levels = [element.range("fill_level_range") for element in mode.parts("elements")]
    known = [each for each in levels if each is not None and each[0] < each[1]]
    return known if len(known) == len(stated) else []
