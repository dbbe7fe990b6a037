"""What a message means, in one line for people: resolved by what was in force before it.

An instruction is named by the labels of what it drives, with the power and the fill rate that
follow from it. Nothing is guessed: what cannot be resolved is named as such. Nobody is judged here,
that is what rules are for.
"""

from __future__ import annotations

from collections.abc import Callable

from s2_mitm.s2.conversation.memory import UNREADABLE, Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.meaning import envelopes, modes, power, profiles, session, storage
from s2_mitm.s2.wording import printable

MAX_LENGTH = 200
"""Characters of a meaning."""

MEANINGS: dict[str, Callable[[Message, Conversation], str]] = {
    "Handshake": session.handshake,
    "HandshakeResponse": session.handshake_response,
    "ReceptionStatus": session.reception_status,
    "SessionRequest": session.session_request,
    "RevokeObject": session.revoke_object,
    "ResourceManagerDetails": session.details,
    "SelectControlType": session.selection,
    "InstructionStatusUpdate": session.instruction_status,
    "PowerMeasurement": power.measurement,
    "PowerForecast": power.forecast,
    "PEBC.PowerConstraints": envelopes.power_constraints,
    "PEBC.EnergyConstraint": envelopes.energy_constraint,
    "PEBC.Instruction": envelopes.instruction,
    "PPBC.PowerProfileDefinition": profiles.definition,
    "PPBC.PowerProfileStatus": profiles.status,
    "PPBC.ScheduleInstruction": profiles.instruction,
    "PPBC.StartInterruptionInstruction": profiles.instruction,
    "PPBC.EndInterruptionInstruction": profiles.instruction,
    "OMBC.SystemDescription": modes.description,
    "OMBC.Status": modes.status,
    "OMBC.TimerStatus": modes.timer_status,
    "OMBC.Instruction": modes.instruction,
    "FRBC.SystemDescription": modes.description,
    "FRBC.ActuatorStatus": modes.status,
    "FRBC.StorageStatus": storage.status,
    "FRBC.LeakageBehaviour": storage.leakage,
    "FRBC.UsageForecast": storage.usage,
    "FRBC.FillLevelTargetProfile": storage.target,
    "FRBC.TimerStatus": modes.timer_status,
    "FRBC.Instruction": modes.instruction,
    "DDBC.SystemDescription": modes.description,
    "DDBC.ActuatorStatus": modes.status,
    "DDBC.AverageDemandRateForecast": storage.demand,
    "DDBC.TimerStatus": modes.timer_status,
    "DDBC.Instruction": modes.instruction,
    "DDBC.PresentDemandStatus": storage.present_demand,
}
"""What says the meaning of each message type."""


def meaning(message: Message, conversation: Conversation) -> str:
    """What a message means, by the conversation as it was before it.

    One printable line of at most ``MAX_LENGTH`` characters; empty where there is nothing to say, as
    of what is no message of S2.
    """
    says = MEANINGS.get(message.message_type)
    if says is None or message.content is UNREADABLE:
        return ""
    line = printable(says(message, conversation))
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 1] + "…"
