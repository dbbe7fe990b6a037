"""What S2 consists of, as tables: versions, message types and who sends them.

From the message lists of the AsyncAPI documents of s2-ws-json 0.0.2-beta, and from the schemas of
1.0.0-beta.
"""

from __future__ import annotations

import re

from s2_mitm.s2.verdict import Role

VERSIONS = ("0.0.2-beta", "1.0.0-beta")
"""The published versions of S2 that s2-mitm knows."""

DEFAULT_VERSION = "0.0.2-beta"
"""The version that nearly all devices speak today."""

_RM = frozenset({Role.RM})
_CEM = frozenset({Role.CEM})
_BOTH = frozenset(Role)

SENDERS: dict[str, frozenset[Role]] = {
    "Handshake": _BOTH,
    "HandshakeResponse": _CEM,
    "ReceptionStatus": _BOTH,
    "SessionRequest": _BOTH,
    "RevokeObject": _BOTH,
    "ResourceManagerDetails": _RM,
    "SelectControlType": _CEM,
    "PowerMeasurement": _RM,
    "PowerForecast": _RM,
    "InstructionStatusUpdate": _RM,
    "PEBC.PowerConstraints": _RM,
    "PEBC.EnergyConstraint": _RM,
    "PEBC.Instruction": _CEM,
    "PPBC.PowerProfileDefinition": _RM,
    "PPBC.PowerProfileStatus": _RM,
    "PPBC.ScheduleInstruction": _CEM,
    "PPBC.StartInterruptionInstruction": _CEM,
    "PPBC.EndInterruptionInstruction": _CEM,
    "OMBC.SystemDescription": _RM,
    "OMBC.Status": _RM,
    "OMBC.TimerStatus": _RM,
    "OMBC.Instruction": _CEM,
    "FRBC.SystemDescription": _RM,
    "FRBC.ActuatorStatus": _RM,
    "FRBC.StorageStatus": _RM,
    "FRBC.LeakageBehaviour": _RM,
    "FRBC.UsageForecast": _RM,
    "FRBC.FillLevelTargetProfile": _RM,
    "FRBC.TimerStatus": _RM,
    "FRBC.Instruction": _CEM,
    "DDBC.SystemDescription": _RM,
    "DDBC.ActuatorStatus": _RM,
    "DDBC.AverageDemandRateForecast": _RM,
    "DDBC.TimerStatus": _RM,
    "DDBC.PresentDemandStatus": _RM,
    "DDBC.Instruction": _CEM,
}
"""Every message type and the roles that may send it."""

INSTRUCTIONS = tuple(name for name in SENDERS if name.endswith("Instruction"))
"""The message types that instruct the RM; each has an id beside its message_id."""

SINCE: dict[str, str] = {"DDBC.PresentDemandStatus": "1.0.0-beta"}
"""The version that a message type came with, where it was not the first."""

CONTROL_TYPES: dict[str, str] = {
    "POWER_ENVELOPE_BASED_CONTROL": "PEBC",
    "POWER_PROFILE_BASED_CONTROL": "PPBC",
    "OPERATION_MODE_BASED_CONTROL": "OMBC",
    "FILL_RATE_BASED_CONTROL": "FRBC",
    "DEMAND_DRIVEN_BASED_CONTROL": "DDBC",
    "NOT_CONTROLABLE": "not controllable",
    "NO_SELECTION": "no selection",
}
"""The control types as they stand on the wire, and what people call them."""


def closest_version(version: str) -> str:
    """The known version that is nearest to one that may be unknown, by its numbers."""
    if version in VERSIONS:
        return version
    wanted = _numbers(version)
    if not wanted:
        return DEFAULT_VERSION
    return min(
        VERSIONS,
        key=lambda known: [abs(a - b) for a, b in zip(_numbers(known), wanted, strict=False)],
    )


def _numbers(version: str) -> list[int]:
    return [int(number[:9]) for number in re.findall(r"[0-9]+", version)[:3]]


_ONLY_SENDER = {
    message_type: next(iter(senders))
    for message_type, senders in SENDERS.items()
    if len(senders) == 1
}


def only_sender(message_type: str | None) -> Role | None:
    """The one role that may send this type; None where both may, or the type is unknown."""
    return _ONLY_SENDER.get(message_type or "")
