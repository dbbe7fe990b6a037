"""The system descriptions of FRBC, OMBC and DDBC, and what messages refer to in them.

They describe actuators, operation modes and timers; statuses and instructions name these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from s2_mitm.s2.catalog import (
    DESCRIPTIONS,
    MESSAGE_TYPES,
    Thing,
    control_type_of,
    only_sender,
    referring,
)
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Description
from s2_mitm.s2.rules.common.crossing import may_cross
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.references import Reference, ReferenceFault, unreadable_since
from s2_mitm.s2.rules.common.tolerances import SWITCHING
from s2_mitm.s2.rules.common.words import article, labelled, listed
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import quoted, short_id

REFERRING = referring(Thing.ACTUATOR, Thing.MODE, Thing.TIMER)
"""The fields that name actuators, operation modes and timers, of every message type with such.

What is named within an actuator comes after the actuator.
"""

WITH_ACTUATOR = referring(Thing.ACTUATOR)
WITH_MODE = referring(Thing.MODE)
WITH_TIMER = referring(Thing.TIMER)

PREVIOUS = "previous_operation_mode_id"
"""The field of a status that may name an operation mode of an earlier description."""


_DESCRIPTION_OF = {
    row.name: DESCRIPTIONS[row.control_type]
    for row in MESSAGE_TYPES.values()
    if row.control_type in DESCRIPTIONS
}


def description_of(message: Message) -> str:
    """The type of the system description that a message refers to."""
    return _DESCRIPTION_OF[message.message_type]


def actuator_id_of(message: Message) -> str | None:
    """The actuator that a message names; ``""`` where the whole device is one (OMBC)."""
    return message.content.text("actuator_id") if message.message_type in WITH_ACTUATOR else ""


@once_a_message
def described(message: Message, conversation: Conversation) -> list[Description]:
    """The system descriptions that a message may refer to, newest first, where they can be read.

    None where the schema faults what one of them says of actuators: what is not there may have been
    meant to be.
    """
    givens = _referable(message, conversation)
    return [] if any(given.message.is_doubtful(*_ACTUATORS) for given in givens) else givens


_ACTUATORS = ("/actuators", "/operation_modes", "/transitions", "/timers")
"""Where a description describes what can be driven; the whole device in OMBC."""


@once_a_message
def _referable(message: Message, conversation: Conversation) -> list[Description]:
    """The system descriptions that a message may refer to, readable or not, newest first.

    None where its control type is not the active one: the rules of the state report that.
    """
    if not _in_place(message, conversation):
        return []
    return conversation.referable(description_of(message), conversation.now - SWITCHING)


def _in_place(message: Message, conversation: Conversation) -> bool:
    """Whether a message is of the active control type, and comes from the side that may send it.

    Where the selection of the control type may have been missed, it is taken to be the active one.
    For all others the rules of direction and state report what is wrong.
    """
    if only_sender(message.message_type) is not message.sender:
        return False
    if conversation.family is None and conversation.selection is None:
        return not conversation.saw_beginning(message)
    return conversation.family == control_type_of(message.message_type)


def flags_denied(givens: Iterable[Description], *place: str) -> Description | None:
    """The newest description, when a flag is false in each of them; None otherwise."""
    newest = None
    for given in givens:
        part: Part | None = given.content
        for name in place[:-1]:
            part = part.part(name) if part else None
        if part is None or part.flag(place[-1]) is not False:
            return None
        newest = newest or given
    return newest


class Inside(NamedTuple):
    """A thing inside of a description that a message names: what it is, and the field."""

    thing: Thing
    field: str
    name: str


class Lookup(NamedTuple):
    """What the references of a message into its description came to.

    ``unknown`` is the first that leads nowhere, when it is that which is wrong.
    """

    reference: Reference
    unknown: Inside | None = None


_NOTHING_TO_SAY = Lookup(Reference())


@once_a_message
def look_up(message: Message, conversation: Conversation) -> Lookup:
    """Look up what a message names in the descriptions that it may refer to."""
    givens, unknown = _referable(message, conversation), _unknown(message, conversation)
    if givens and unknown is None:
        return _NOTHING_TO_SAY
    if not _in_place(message, conversation):
        return _NOTHING_TO_SAY
    if refused := _refused(message, conversation):
        return Lookup(refused)
    if doubt := _doubt(message, conversation):
        text = f"what this refers to cannot be checked: {doubt}"
        return Lookup(Reference(None, ReferenceFault.UNSURE, text))
    if unknown is None:
        return Lookup(_none_given(message, conversation))
    place = _elsewhere(message, conversation, unknown, givens)
    if place is None:
        return _NOTHING_TO_SAY
    actuator_id = actuator_id_of(message) or ""
    newest = next((each for each in givens if actuator_id in each.actuators), givens[0])
    # Where it is known what it is, the others are of no interest.
    known = place or f", which has {listed(_things(newest, actuator_id, unknown.thing))}"
    within = actuator_id and unknown.thing is not Thing.ACTUATOR
    owner = f"{_actuator(newest, actuator_id)} of " if within else ""
    text = (
        f"{unknown.thing} {short_id(unknown.name)} is not in {owner}"
        f"{newest.message.name(conversation.now)}{known}"
    )
    return Lookup(Reference(None, ReferenceFault.UNKNOWN, text), unknown)


def _none_given(message: Message, conversation: Conversation) -> Reference:
    """What the references come to where no description is in force."""
    description = description_of(message)
    held = conversation.descriptions_of(description).all
    if message.sender is Role.RM and conversation.before_selection:
        return Reference()  # it was under way when the CEM selected the control type
    if not held:
        missing = "none was given"
        if conversation.selection is not None:
            missing += f" since {conversation.selection.name(conversation.now)}"
    else:
        revoked = held[-1].revoked
        if revoked is None or may_cross(message, revoked, conversation):
            return Reference()
        missing = f"the last one was revoked by {revoked.name(conversation.now)}"
    text = f"{message.message_type} refers to {article(description)}, and {missing}"
    return Reference(None, ReferenceFault.NONE_GIVEN, text)


def _unknown(message: Message, conversation: Conversation) -> Inside | None:
    """The first reference that leads nowhere; None when there is none, or no description."""
    givens, actuator_id = _referable(message, conversation), actuator_id_of(message)
    if not givens or actuator_id is None:
        return None
    actuators = [each.actuators[actuator_id] for each in givens if actuator_id in each.actuators]
    if not actuators:
        return Inside(Thing.ACTUATOR, "actuator_id", actuator_id)
    for field in WITH_MODE.get(message.message_type, ()):
        mode = message.content.text(field)
        if mode is None or any(mode in actuator.modes for actuator in actuators):
            continue
        if field != PREVIOUS or not _was_known(message, conversation, mode):
            return Inside(Thing.MODE, field, mode)
    for field in WITH_TIMER.get(message.message_type, ()):
        timer = message.content.text(field)
        if timer is not None and not any(timer in actuator.timers for actuator in actuators):
            return Inside(Thing.TIMER, field, timer)
    return None


def _was_known(message: Message, conversation: Conversation, mode: str) -> bool:
    """Whether a previous mode is one of an earlier description, or may be of a forgotten one."""
    held = conversation.descriptions_of(description_of(message)).all
    since = message.content.moment("transition_timestamp")
    if since is None or since < held[0].message.time + SWITCHING:
        return True
    actuator_id = actuator_id_of(message) or ""
    return any(
        actuator_id in given.actuators and mode in given.actuators[actuator_id].modes
        for given in held
    )


def _refused(message: Message, conversation: Conversation) -> Reference | None:
    """What an instruction refers to, where the CEM has refused the last description that has it."""
    actuator_id = actuator_id_of(message)
    if message.sender is not Role.CEM or actuator_id is None:
        return None
    held = conversation.descriptions_of(description_of(message)).all
    if not held or not held[-1].refused or actuator_id not in held[-1].actuators:
        return None
    modes = held[-1].actuators[actuator_id].modes
    if any(message.content.text(field) not in modes for field in WITH_MODE[message.message_type]):
        return None
    name = held[-1].message.name(conversation.now)
    answer = quoted(held[-1].answer or "")
    text = f"it refers to {name}, which the CEM has answered with {answer}"
    return Reference(None, ReferenceFault.REFUSED, text)


def _doubt(message: Message, conversation: Conversation) -> str:
    """Why it cannot be checked whether a reference is right; empty when it can."""
    held = conversation.descriptions_of(description_of(message))
    if held.doubt:
        return held.doubt
    for given in _referable(message, conversation):
        if given.message.is_doubtful(*_ACTUATORS):
            return f"{given.message.name(conversation.now)} is not valid"
    since = held.all[-1].message if held.all else conversation.selection or message
    if unreadable := unreadable_since(conversation, message, since):
        return unreadable
    agreed = any(
        given.answer == "OK" and given.valid_from <= conversation.now for given in held.all
    )
    if not (conversation.saw_beginning(message) or agreed):
        return "what was said before the first message that was seen is unknown"
    return ""


def _elsewhere(
    message: Message, conversation: Conversation, unknown: Inside, in_force: list[Description]
) -> str | None:
    """Where else the thing is, for the end of a sentence; None where it was in force just now."""
    for given in reversed(conversation.descriptions_of(description_of(message)).all):
        for actuator_id in given.actuators:
            if unknown.name not in _things(given, actuator_id, unknown.thing):
                continue
            if any(given is each for each in in_force):
                return f"; it belongs to {_actuator(given, actuator_id)}"
            if given.revoked is not None and may_cross(message, given.revoked, conversation):
                return None
            return f"; it was in {_former(given, conversation.now)}"
    return ""


def _former(given: Description, now: float) -> str:
    """A description that is not in force any more, and why."""
    name = f"the description {short_id(given.message.message_id or '')}"
    if given.revoked is not None:
        return f"{name}, revoked {max(0.0, now - given.revoked.time):.1f} s before"
    if given.refused:
        return f"{name}, answered with {quoted(given.answer or '')}"
    return f"{name}, replaced since"


def _actuator(given: Description, actuator_id: str) -> str:
    return f"actuator {labelled(actuator_id, given.actuators[actuator_id].part)}"


def _things(given: Description, actuator_id: str, thing: Thing) -> Mapping[str, Part]:
    """The actuators of a description, or the modes or timers of one of them, by their ids."""
    if thing is Thing.ACTUATOR:
        return {name: actuator.part for name, actuator in given.actuators.items()}
    actuator = given.actuators[actuator_id]
    return actuator.timers if thing is Thing.TIMER else actuator.modes
