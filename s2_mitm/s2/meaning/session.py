"""Who is who, what is agreed, and what answers, follows and takes back what was said before."""

from __future__ import annotations

from s2_mitm.s2.catalog import CONTROL_TYPES, IN_FORCE, control_type_of
from s2_mitm.s2.conversation.memory import NOTHING, Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.meaning import envelopes, modes, profiles
from s2_mitm.s2.meaning.amounts import MOST, UNITS, joined, moment, span
from s2_mitm.s2.meaning.names import REASON_LENGTH, by_id, label_of
from s2_mitm.s2.wording import excerpt

_ROLES = {
    "ENERGY_PRODUCER": "producer",
    "ENERGY_CONSUMER": "consumer",
    "ENERGY_STORAGE": "storage",
}

_NAMES = {
    "POWER_ENVELOPE_BASED_CONTROL": "power envelopes",
    "POWER_PROFILE_BASED_CONTROL": "power profiles",
    "OPERATION_MODE_BASED_CONTROL": "operation modes",
    "FILL_RATE_BASED_CONTROL": "fill rate",
    "DEMAND_DRIVEN_BASED_CONTROL": "demand driven",
}


def handshake(message: Message, conversation: Conversation) -> str:
    """``the RM speaks S2 0.0.2-beta``."""
    content = message.content
    versions = _some(content.texts("supported_protocol_versions"))
    role = excerpt(content.text("role") or str(message.sender))
    return f"the {role} speaks S2 {versions}" if versions else f"the {role} names no version"


def handshake_response(message: Message, conversation: Conversation) -> str:
    """``S2 0.0.2-beta from now on``."""
    version = message.content.text("selected_protocol_version")
    return f"S2 {excerpt(version)} from now on" if version else "no version"


def session_request(message: Message, conversation: Conversation) -> str:
    """``the CEM asks to end the session: maintenance``."""
    request = message.content.text("request")
    asks = {"TERMINATE": "end the session", "RECONNECT": "connect again"}.get(request or "")
    wanted = asks or f"do {excerpt(request or 'nothing')}"
    return joined(
        f"the {message.sender} asks to {wanted}",
        label_of(message.content, length=REASON_LENGTH),
        by=": ",
    )


def details(message: Message, conversation: Conversation) -> str:
    """``Test device (electricity storage): offers FRBC; measures L1; gives forecasts``."""
    content = message.content
    name = label_of(content, "name") or by_id("resource", content.text("resource_id"))
    roles = (
        joined(
            (each.text("commodity") or "").lower(),
            _ROLES.get(each.text("role") or "", excerpt(each.text("role") or "")),
            by=" ",
        )
        for each in content.parts("roles")
    )
    device = joined(label_of(content, "manufacturer"), label_of(content, "model"), by=" ")
    offered = [CONTROL_TYPES.get(each, each) for each in content.texts("available_control_types")]
    measured = [
        UNITS.get(each, ("", each))[1] for each in content.texts("provides_power_measurement_types")
    ]
    about = joined(_some(list(roles)), device)
    return joined(
        joined(f"{name}{f' ({about})' if about else ''}", _offer(offered), by=": "),
        f"measures {_some(measured)}" if measured else "measures nothing",
        "forecasts" if content.flag("provides_forecast") else "",
        by="; ",
    )


def _offer(offered: list[str]) -> str:
    return f"offers {_some(offered, len(CONTROL_TYPES))}" if offered else "offers nothing"


def selection(message: Message, conversation: Conversation) -> str:
    """``FRBC (fill rate) from now on, OMBC until now``."""
    wanted = message.content.text("control_type")
    told = "a control type that cannot be read" if wanted is None else _control_type(wanted)
    before = conversation.control_type
    if before == wanted and before is not None:
        return f"{told} again"
    return joined(f"{told} from now on", f"{_control_type(before)} until now" if before else "")


def _control_type(on_the_wire: str) -> str:
    name = CONTROL_TYPES.get(on_the_wire) or excerpt(on_the_wire)
    about = _NAMES.get(on_the_wire)
    return f"{name} ({about})" if about else name


def reception_status(message: Message, conversation: Conversation) -> str:
    """``OK → PowerMeasurement``, and what its sender adds."""
    content = message.content
    status, subject = content.text("status"), content.text("subject_message_id")
    key = (message.sender.other, subject or "")
    answered = (
        conversation.unanswered.get(key)
        or conversation.overdue.get(key)
        or conversation.answered.get(key)
    )
    about = excerpt(answered.message_type) if answered else f"{by_id('message', subject)}, not seen"
    return joined(
        f"{excerpt(status or 'no status')} → {about}",
        label_of(content, length=REASON_LENGTH),
        by=": ",
    )


def instruction_status(message: Message, conversation: Conversation) -> str:
    """``started at 12:00:05Z: Battery inverter → charge at 0.6``."""
    content = message.content
    named = content.text("instruction_id")
    status = excerpt(content.text("status_type") or "no status").lower()
    time = content.moment("timestamp")
    at = f" at {moment(time, message.time)}" if time is not None else ""
    return f"{status}{at}: {_instruction(conversation, named)}"


def revoke_object(message: Message, conversation: Conversation) -> str:
    """``takes back the FRBC.Instruction Battery inverter → charge at 0.6``."""
    content = message.content
    kind, named = content.text("object_type"), content.text("object_id")
    shown = excerpt(kind or "object")
    if kind not in IN_FORCE:
        return f"takes back the {shown}: {_instruction(conversation, named)}"
    given = conversation.descriptions_of(kind).named(named) if named is not None else None
    if given is None:
        return f"takes back the {by_id(shown, named)}, not seen"
    return f"takes back the {shown} of {span(max(0.0, message.time - given.message.time))} before"


def _instruction(conversation: Conversation, named: str | None) -> str:
    """An instruction that is named by its id."""
    given = conversation.instructions.get(named or "")
    if given is None:
        return f"{by_id('instruction', named)}, not seen"
    message = given.message
    if message.content is NOTHING:
        return by_id(message.message_type, named)
    match control_type_of(message.message_type):
        case "PEBC":
            return envelopes.instructed(message.content)
        case "PPBC":
            return profiles.instructed(message, conversation)
        case _:
            return modes.instructed(message, conversation)


def _some(texts: list[str], most: int = MOST) -> str:
    """The first few."""
    more = len(texts) - most
    return ", ".join(map(excerpt, texts[:most])) + (f" and {more} more" if more > 0 else "")
