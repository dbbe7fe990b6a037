"""The states of a conversation, and what may be said in them, as tables.

From the state descriptions of S2 0.0.2-beta. Everything that asks what may be said asks here.
"""

from __future__ import annotations

from enum import IntEnum

from s2_mitm.s2.verdict import Role


class State(IntEnum):
    """How far a conversation has come; a later state allows what an earlier one does."""

    CONNECTED = 0
    """No handshake yet, or that of one side."""
    SHAKEN = 1
    """Both handshakes were seen; the CEM selects the version."""
    INITIALISED = 2
    """The version is selected; the RM introduces itself and measures."""
    CONTROLLED = 3
    """A control type is active."""


FAMILIES = ("PEBC", "PPBC", "OMBC", "FRBC", "DDBC")
"""The control types that have messages of their own, by what those messages begin with."""

ANY_TIME = frozenset({"Handshake", "ReceptionStatus", "SessionRequest"})
"""What may be said in every state (that a Handshake comes once is a rule of its own)."""

EARLIEST: dict[str, dict[Role, State]] = {
    "HandshakeResponse": {Role.CEM: State.SHAKEN},
    "ResourceManagerDetails": {Role.RM: State.INITIALISED},
    "PowerMeasurement": {Role.RM: State.INITIALISED},
    "PowerForecast": {Role.RM: State.INITIALISED},
    "SelectControlType": {Role.CEM: State.INITIALISED},
    "RevokeObject": {Role.CEM: State.INITIALISED, Role.RM: State.CONTROLLED},
    "InstructionStatusUpdate": {Role.RM: State.CONTROLLED},
}
"""The state from which on a role may send a message type. All others of a control type need
CONTROLLED, with that control type active."""


def family_of(message_type: str) -> str | None:
    """The control type that a message type belongs to, by what its name begins with."""
    family = message_type.partition(".")[0]
    return family if family in FAMILIES else None


def earliest_state(message_type: str, sender: Role) -> State:
    """The state from which on this may be sent by this side."""
    if message_type in ANY_TIME:
        return State.CONNECTED
    if family_of(message_type):
        return State.CONTROLLED
    return EARLIEST.get(message_type, {}).get(sender, State.CONNECTED)
