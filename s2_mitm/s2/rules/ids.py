"""Ids: what must be unique, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s2_mitm.s2.catalog import ANSWERED, ID_FIELDS, IN_FORCE, MESSAGE_TYPES, only_sender
from s2_mitm.s2.conversation.memory import Conversation, Instruction
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Description
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import short_id


@rule("ids.message-id-again", Severity.WARNING, ANSWERED)
def message_id_again(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message_id that its sender has used before.

    An answer to it could be meant for either message, and a receiver may take the second for a
    repetition of the first and ignore it. The latest 2,000 are remembered.

    Where: PowerMeasurement: message_id, and that of all others; ReceptionStatus:
    subject_message_id.
    Why: An answer names the message by it; but no sentence says that it is unique.
    Wrong:
        begin()
        rm("PowerMeasurement", message_id="#same")
        rm("PowerMeasurement", message_id="#same")
    Right:
        begin()
        rm("PowerMeasurement", message_id="#one")
        rm("PowerMeasurement", message_id="#another")
    Do: Make a new UUID for each message, also when you send the same again.
    """
    message_id = message.message_id
    if message_id is not None and conversation.remembers_message(message.sender, message_id):
        key = (message.sender, message_id)
        before = (
            conversation.unanswered.get(key)
            or conversation.answered.get(key)
            or conversation.overdue.get(key)
        )
        whose = f", by {before.name(message.time)}" if before else f" by the {message.sender}"
        yield Found("/message_id", f"{short_id(message_id)} was used before{whose}")


@rule("ids.id-again", Severity.ERROR, ID_FIELDS, statements=["N04"])
def id_again(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An id that was given to something else before.

    What refers to it could mean either: a status the first instruction or the second. The latest
    2,000 are remembered.

    Where: FRBC.Instruction: id; PEBC.PowerConstraints: id; PPBC.PowerProfileDefinition: id, and
    that of the other instructions and constraints.
    Why: It must be unique for the session at least. What was refused may be sent again with its
    id. The same constraints or profile again are no second thing (ids.same-again).
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", id="#same")
        cem("FRBC.Instruction", id="#same")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        cem("FRBC.Instruction", id="#another")
    Do: Make a new UUID for each, beside the message_id.
    """
    object_id = message.content.text(ID_FIELDS[message.message_type])
    if object_id is None or only_sender(message.message_type) is not message.sender:
        return
    if not conversation.remembers_id(object_id):
        return
    before = _before(message, conversation, object_id)
    if conversation.said_the_same(message, object_id) or (before and before.refused):
        return
    before = before or conversation.thing_with_id(object_id)  # of another type
    whose = f", by {before.message.name(message.time)}" if before else ""
    yield Found("/id", f"{short_id(object_id)} was used before{whose}")


@rule("ids.same-again", Severity.INFO, sorted(IN_FORCE & ID_FIELDS.keys()))
def same_again(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Constraints or a profile come again, word for word and with their id.

    They are in force already: the receiver may take them as the same, or as new ones with an id
    that was used before.

    Where: PEBC.PowerConstraints: id; PEBC.EnergyConstraint: id; PPBC.PowerProfileDefinition: id.
    Why: An id must be unique, but whether the same may be said again with it is nowhere said. After
    another selection it must be said again, and is not reported.
    Wrong:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#energy")
    Right:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#later", valid_from=at(3600), valid_until=at(7200))
    Do: Say it once; give constraints that differ an id of their own.
    """
    object_id = message.content.text("id")
    if object_id is None or not conversation.remembers_id(object_id):
        return
    before, selection = _before(message, conversation, object_id), conversation.selection
    if before is None or before.refused or (selection and before.message.number < selection.number):
        return
    if conversation.said_the_same(message, object_id):
        name = before.message.name(message.time)
        yield Found("/id", f"the same as {name} with the same id")


def _before(
    message: Message, conversation: Conversation, object_id: str
) -> Instruction | Description | None:
    """What had this id before, if it is still known."""
    instruction = conversation.instructions.get(object_id)
    return instruction or conversation.descriptions_of(message.message_type).by_id(object_id)


WITH_IDS_INSIDE = [row.name for row in MESSAGE_TYPES.values() if row.contains]


@rule(
    "ids.twice-in-message",
    Severity.ERROR,
    WITH_IDS_INSIDE,
    statements=["N04", "N41", "N48", "N60", "N62", "N67"],
    alone=True,
)
def twice_in_message(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Two things in one message have the same id.

    What refers to it could mean either.

    Where: FRBC.ActuatorDescription: id; FRBC.OperationMode: id; Timer: id; Transition: id;
    PPBC.PowerSequence: id; PPBC.PowerSequenceContainer: id; PEBC.PowerEnvelope: id.
    Why: Each must be unique within what it stands in.
    Wrong:
        begin("FRBC")
        rm("FRBC.SystemDescription", actuators=[actuator(), actuator()])
    Right:
        begin("FRBC")
        rm("FRBC.SystemDescription", actuators=[actuator(), actuator(id="#other")])
    Do: Give each its own id; the same mode may have the same id in two actuators.
    """
    for things in _scopes(message.content):
        seen: dict[str, Part] = {}
        for thing in things:
            identifier = thing.identifier
            if identifier is None:
                continue
            if first := seen.get(identifier):
                text = f"{short_id(identifier)} is the id of {first.path} already"
                yield Found(thing.at(thing.id_name), text)
            seen.setdefault(identifier, thing)


def _scopes(content: Part) -> Iterator[Iterable[Part]]:
    """The lists within which ids must be unique."""
    yield content.parts("actuators")
    for actuator in (content, *content.parts("actuators")):
        for name in ("operation_modes", "transitions", "timers"):
            yield actuator.parts(name)
    yield content.parts("power_envelopes")
    yield content.parts("power_sequences_containers")
    for container in content.parts("power_sequences_containers"):
        yield container.parts("power_sequences")
