"""Ids: what must be unique, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s2_mitm.s2.catalog import ANSWERED, ID_FIELDS, MESSAGE_TYPES, only_sender
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted


@rule("ids.message-id-again", Severity.WARNING, ANSWERED)
def message_id_again(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A message_id that its sender has used before.

    An answer to it could be meant for either message, and a receiver may take the second for a
    repetition of the first and ignore it.

    Where: message_id identifies the message among those of its sender. The latest 2,000 are
    remembered.
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
        yield Found("/message_id", f"{quoted(message_id)} was used before{whose}")


@rule("ids.id-again", Severity.ERROR, ID_FIELDS, statements=["N04"])
def id_again(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An id that was given to something else before.

    What refers to it could mean either: a status the first instruction or the second.

    Where: the id of instructions, constraints and profiles must be unique for the session (N04).
    The latest 2,000 are remembered. What was refused may be sent again with its id.
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
    if conversation.remembers_id(object_id):
        instruction = conversation.instructions.get(object_id)
        before = instruction or conversation.descriptions_of(message.message_type).by_id(object_id)
        if before is None or not before.refused:
            whose = f", by {before.message.name(message.time)}" if before else ""
            yield Found("/id", f"{quoted(object_id)} was used before{whose}")


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

    Where: actuators (N04), operation modes (N41, N48), timers and transitions (N67), power
    sequences (N60) and their containers (N62), power envelopes (N04).
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
                text = f"{quoted(identifier)} is the id of {first.path} already"
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
