"""The constraints of PEBC: their message types, their limits, and what refers to them."""

from __future__ import annotations

from s2_mitm.s2.catalog import Thing, field_for, referring
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.references import Reference, refer

CONSTRAINTS = "PEBC.PowerConstraints"
ENERGY = "PEBC.EnergyConstraint"

INSTRUCTION = tuple(referring(Thing.CONSTRAINTS))
FIELD = field_for(Thing.CONSTRAINTS)
"""The message type that refers to power constraints, and the field that does."""

LOWER, UPPER = "LOWER_LIMIT", "UPPER_LIMIT"

LIMITS = (("lower_limit", LOWER), ("upper_limit", UPPER))
"""The limits of an envelope, and the limit_type of the ranges in which they must lie."""


@once_a_message
def constraints_of(message: Message, conversation: Conversation) -> Reference:
    """The constraints that an instruction is based on."""
    quantities = frozenset(
        quantity
        for envelope in message.content.parts("power_envelopes")
        if (quantity := envelope.text("commodity_quantity")) is not None
    )
    return refer(conversation, message, CONSTRAINTS, message.content, FIELD, quantities=quantities)
