"""PEBC: power and energy constraints, and the envelopes that are instructed."""

from __future__ import annotations

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.meaning.amounts import (
    UNITS,
    Spread,
    alternatives,
    holds,
    joined,
    lasting,
    moment,
    powers,
    span,
    spread,
    when,
    widened,
)
from s2_mitm.s2.meaning.names import by_id, undescribed
from s2_mitm.s2.wording import counted

CONSTRAINTS = "PEBC.PowerConstraints"

_CONSEQUENCES = {
    "VANISH": "what is limited is lost",
    "DEFER": "what is limited comes later",
}

_ENERGY = {"W": "Wh"}
"""The unit of what an average makes in an hour; of flows there is none that people use."""


def power_constraints(message: Message, conversation: Conversation) -> str:
    """``upper limit 0 to 5,000 W, lower limit -5,000 to 0 W; what is limited is lost``."""
    content = message.content
    limits: dict[str, dict[str, list[Spread]]] = {"UPPER_LIMIT": {}, "LOWER_LIMIT": {}}
    abnormal = False
    for each in content.parts("allowed_limit_ranges"):
        quantity, ends = each.text("commodity_quantity"), each.range("range_boundary")
        of_kind = limits.get(each.text("limit_type") or "")
        if each.flag("abnormal_condition_only"):
            abnormal = True
        elif quantity is not None and ends is not None and of_kind is not None:
            of_kind.setdefault(quantity, []).append((min(ends), max(ends)))
    upper, lower = (alternatives(limits[kind]) for kind in ("UPPER_LIMIT", "LOWER_LIMIT"))
    return joined(
        joined(
            f"upper limit {upper}" if upper else "no upper limit",
            f"lower limit {lower}" if lower else "no lower limit",
            "others in abnormal conditions" if abnormal else "",
        ),
        _CONSEQUENCES.get(content.text("consequence_type") or "", ""),
        holds(content, "valid_from", "valid_until", message.time),
        by="; ",
    )


def energy_constraint(message: Message, conversation: Conversation) -> str:
    """``1,000 to 3,000 W on average from 12:00:00Z to 13:00:00Z, which is 1,000 to 3,000 Wh``."""
    content, now = message.content, message.time
    low, high = content.number("lower_average_power"), content.number("upper_average_power")
    begins, ends = content.moment("valid_from"), content.moment("valid_until")
    quantity = content.text("commodity_quantity") or ""
    if low is None or high is None:
        return "averages that cannot be read"
    told = f"{powers({quantity: (low, high)})} on average"
    if begins is None or ends is None:
        return told
    told += f" from {moment(begins, now)} to {moment(ends, now)}"
    energy = _ENERGY.get(UNITS.get(quantity, ("", ""))[0])
    if energy is None or ends <= begins:
        return told
    hours = (ends - begins) / 3600
    return f"{told}, which is {spread((low * hours, high * hours), energy)}"


def instruction(message: Message, conversation: Conversation) -> str:
    """``-1,000 to 4,000 W for 15 min, at 12:00:05Z``."""
    content = message.content
    constraints = content.text("power_constraints_id")
    held = conversation.descriptions_of(CONSTRAINTS)
    by = ""
    if constraints is None or held.by_id(constraints) is None:
        by = by_id("by power constraints", constraints)
        by += undescribed(message, conversation, CONSTRAINTS) if constraints is not None else ""
    abnormal = "in an abnormal condition" if content.flag("abnormal_condition") else ""
    return joined(
        joined(instructed(content), when(content, "execution_time", message.time), abnormal),
        by,
        by="; ",
    )


def instructed(content: Part) -> str:
    """The envelopes of an instruction."""
    limits: dict[str, Spread] = {}
    first: dict[str, Spread] = {}
    spans: set[float | None] = set()
    elements = 0
    for envelope in content.parts("power_envelopes"):
        quantity = envelope.text("commodity_quantity") or ""
        parts = list(envelope.parts("power_envelope_elements"))
        spans.add(lasting(parts))
        elements = max(elements, len(parts))
        for part in parts:
            low, high = part.number("lower_limit"), part.number("upper_limit")
            if low is not None and high is not None:
                widened(limits, quantity, low, high)
                first.setdefault(quantity, (low, high))
    if not limits:
        return "no power envelope that can be read"
    duration = spans.pop() if len(spans) == 1 else None
    lasts = f" for {span(duration)}" if duration is not None else ""
    if elements == 1:
        return f"{_between(first)}{lasts}"
    begins = f"{_between(first)} at first, " if first != limits else ""
    return f"{begins}within {powers(limits)}{lasts}, {counted(elements, 'element')}"


def _between(limits: dict[str, Spread]) -> str:
    fixed = all(low == high for low, high in limits.values())
    return f"{powers(limits)}{' fixed' if fixed else ''}"
