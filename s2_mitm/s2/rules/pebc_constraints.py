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

    Where: the start of range_boundary shall be smaller than or equal to its end (N54).
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
    """Constraints for a quantity lack the ranges for one of the two limits.

    An envelope has both limits. The CEM cannot make one for that quantity that keeps to the
    constraints. s2-python refuses such constraints.

    Where: at least one PEBC.AllowedLimitRange for UPPER_LIMIT and one for LOWER_LIMIT (N24); as
    an envelope is for one quantity, that holds for each.
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
    limits = Description(message).limits or {}
    missing = (
        (quantity, limit_type)
        for quantity, ranges in limits.items()
        for _, limit_type in LIMITS
        if not any((limit_type, abnormal) in ranges for abnormal in (False, True))
    )
    for quantity, limit_type in islice(missing, FEW):
        yield Found("/allowed_limit_ranges", f"no {limit_type} range for {quoted(quantity)}")
