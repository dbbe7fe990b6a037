"""Power envelope based control: what is wrong within power constraints."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.conversation.validity import Description
from s2_mitm.s2.rules.common.constraints import (
    CONSTRAINTS,
    LIMITS,
)
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.phases import SINGLE_PHASE, lone_phase
from s2_mitm.s2.rules.common.references import FEW
from s2_mitm.s2.rules.common.words import number
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted


@rule("pebc.range-upside-down", Severity.ERROR, [CONSTRAINTS], statements=["N54"], alone=True)
def range_upside_down(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A range of allowed limits ends before it starts.

    Read strictly, it allows nothing. Mind the sign: what is produced is negative, so the larger
    production is the start.

    Where: PEBC.AllowedLimitRange: range_boundary.
    Why: The start of the range shall not be above its end.
    Wrong:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer",
            allowed_limit_ranges=[limit("UPPER", 0, 5000), limit("LOWER", 0, -5000)],
            answer="INVALID_CONTENT")
    Right:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer",
            allowed_limit_ranges=[limit("UPPER", 0, 5000), limit("LOWER", -5000, 0)])
    Do: Swap the two.
    """
    upside_down = (
        (part, ends)
        for part in message.content.parts("allowed_limit_ranges")
        if (ends := part.range("range_boundary")) is not None and ends[0] > ends[1]
    )
    for part, (start, end) in islice(upside_down, FEW):
        text = f"start_of_range {number(start)} is above end_of_range {number(end)}"
        yield Found(part.at("range_boundary"), text)


@rule("pebc.limit-type-missing", Severity.ERROR, [CONSTRAINTS], statements=["N24"], alone=True)
def limit_type_missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Constraints have no range for one of the two limits.

    An envelope has both limits, and each must lie in a range. The CEM cannot make one that keeps to
    these constraints. s2-python refuses them.

    Where: PEBC.PowerConstraints: allowed_limit_ranges.
    Why: There shall be at least one range for the UPPER_LIMIT and one for the LOWER_LIMIT.
    Wrong:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer",
            allowed_limit_ranges=[limit("UPPER", 0, 3000), limit("UPPER", 4000, 5000)],
            answer="INVALID_CONTENT")
    Right:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer",
            allowed_limit_ranges=[limit("UPPER", 0, 3000), limit("LOWER", 0, 0)])
    Do: Add a range for the other limit; from 0 to 0 where it cannot be chosen.
    """
    for limit_type in _lacking(message, conversation)[0]:
        yield Found("/allowed_limit_ranges", f"no {limit_type} range at all")


@rule("pebc.quantity-limit-missing", Severity.WARNING, [CONSTRAINTS], alone=True)
def quantity_limit_missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Constraints lack one of the two limits for a quantity, and have it for another.

    An envelope is for one quantity and has both limits. The CEM does not know which it may choose.
    s2-python refuses such constraints.

    Where: PEBC.PowerConstraints: allowed_limit_ranges.
    Why: The text asks for a range of each limit, but does not say that each quantity needs both.
    Wrong:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer", answer="INVALID_CONTENT", allowed_limit_ranges=[
            limit("UPPER", 0, 3000), limit("LOWER", 0, 0),
            limit("UPPER", 0, 3000, commodity_quantity="ELECTRIC.POWER.L2")])
    Right:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer", allowed_limit_ranges=[
            limit("UPPER", 0, 3000), limit("LOWER", 0, 0),
            limit("UPPER", 0, 3000, commodity_quantity="ELECTRIC.POWER.L2"),
            limit("LOWER", 0, 0, commodity_quantity="ELECTRIC.POWER.L2")])
    Do: Add a range for the other limit; from 0 to 0 where it cannot be chosen.
    """
    for quantity, limit_type in _lacking(message, conversation)[1]:
        yield Found("/allowed_limit_ranges", f"no {limit_type} range for {quoted(quantity)}")


@once_a_message
def _lacking(
    message: Message, conversation: Conversation
) -> tuple[list[str], list[tuple[str, str]]]:
    """The limits without any range; where there are none, the first few that a quantity lacks."""
    limits = Description(message).limits
    known = [limit_type for _, limit_type in LIMITS]
    stated = {kind for ranges in (limits or {}).values() for kind, _ in ranges}
    if not limits or not stated.issubset(known):
        return [], []  # an unknown limit_type may be the one that is missing
    if len(stated) < len(known):
        return [limit_type for limit_type in known if limit_type not in stated], []
    lacking = (
        (quantity, limit_type)
        for quantity, ranges in limits.items()
        for limit_type in known
        if not any((limit_type, abnormal) in ranges for abnormal in (False, True))
    )
    return [], list(islice(lacking, FEW))


@rule("pebc.single-phase", Severity.WARNING, [CONSTRAINTS], statements=["N36"])
def single_phase(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Constraints for a single phase that is not L1.

    A CEM takes what is limited on L2 or L3 for a device with three phases. It is reported once for
    each ResourceManagerDetails.

    Where: CommodityQuantity: ELECTRIC.POWER.L1.
    Why: A device that uses only one phase should always call it L1; it is no must.
    Wrong:
        begin()
        select("PEBC")
        l2 = {"commodity_quantity": "ELECTRIC.POWER.L2"}
        rm("PEBC.PowerConstraints",
            allowed_limit_ranges=[limit("UPPER", 0, 3000, **l2), limit("LOWER", 0, 0, **l2)])
    Right:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints",
            allowed_limit_ranges=[limit("UPPER", 0, 3000), limit("LOWER", 0, 0)])
    Do: Call the only phase ELECTRIC.POWER.L1, whichever phase of the house it is connected to.
    """
    parts = message.content.parts("allowed_limit_ranges")
    phase = lone_phase((part.text("commodity_quantity") for part in parts), conversation)
    if phase is not None:
        yield Found(
            "/allowed_limit_ranges",
            f"{phase} is the only phase limited; a device with one phase should call it L1",
            once=SINGLE_PHASE,
            since=conversation.details,
        )
