"""RevokeObject: one side takes back what it has given."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import DESCRIPTIONS, FINAL_STATUSES, control_type_of, only_sender
from s2_mitm.s2.conversation.memory import Conversation, Instruction
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.conversation.validity import Description
from s2_mitm.s2.rules.common.tolerances import CROSSING
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted

REVOKE = ("RevokeObject",)


@rule("revoke.not-own", Severity.WARNING, REVOKE)
def not_own(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Something is revoked by the side that did not give it.

    Each side revokes its own: the CEM its instructions, the RM its descriptions, constraints and
    profiles. The receiver continues with what it has given.

    Where: RevokeObject: object_type; RevokableObjects.
    Why: No sentence says who may revoke what. The table of the states has RevokeObject for the RM
    only, and RevokableObjects names instructions, which only a CEM gives.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        rm("RevokeObject", object_type="FRBC.Instruction", object_id="#one")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        cem("RevokeObject", object_type="FRBC.Instruction", object_id="#one")
    Do: An RM that cannot follow an instruction says REJECTED or ABORTED; a CEM that cannot use a
        description answers it with INVALID_CONTENT.
    """
    object_type = message.content.text("object_type")
    owner = only_sender(object_type)
    if owner is not None and owner is not message.sender:
        yield Found(
            "/object_type",
            f"{object_type} comes from the {owner}; the {message.sender} cannot revoke it",
        )


@rule("revoke.other-control-type", Severity.WARNING, REVOKE)
def other_control_type(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Something is revoked that belongs to another control type.

    What another control type has described ended when this one was selected.

    Where: RevokeObject: object_type; S2 Connect 1.0.0 (docs.s2standard.org), State of
    communication.
    Why: RevokeObject belongs to every control type; no sentence says that it is for the things of
    the active one only.
    Wrong:
        begin("OMBC")
        cem("RevokeObject", object_type="FRBC.Instruction")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction")
        cem("RevokeObject", object_type="FRBC.Instruction")
    Do: Nothing needs to be revoked when the control type changes.
    """
    object_type = message.content.text("object_type")
    if not _is_of_other_control_type(message, conversation) or conversation.selection is None:
        return
    if conversation.may_have_said("SelectControlType", conversation.selection):
        return
    thing = _thing(message, conversation)
    if thing is not None and thing.message.message_type != object_type:
        return  # revoke.wrong-type reports that
    if only_sender(object_type) is message.sender and not conversation.may_go_on_with(
        control_type_of(object_type)
    ):
        yield Found(
            "/object_type",
            f"{object_type} while {conversation.family} is active, by"
            f" {conversation.selection.name(message.time)}",
        )


@rule("revoke.unknown", Severity.WARNING, REVOKE)
def unknown(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Something is revoked that was never given.

    The receiver finds nothing to revoke; what was meant stays in force.

    Where: RevokeObject: object_id. A SystemDescription has no id, and is named by its message_id.
    Why: It is the id of what is revoked, and nothing with this id is known, of the latest 2,000.
    No sentence forbids to revoke what does not exist.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        cem("RevokeObject", object_type="FRBC.Instruction", object_id="#another")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        cem("RevokeObject", object_type="FRBC.Instruction", object_id="#one")
    Do: Copy the id from what you revoke.
    """
    object_type, object_id = message.content.text("object_type"), message.content.text("object_id")
    if object_type is None or object_id is None or only_sender(object_type) is not message.sender:
        return
    if not conversation.saw_beginning(message) or _is_of_other_control_type(message, conversation):
        return
    if _thing(message, conversation) or conversation.descriptions_of(object_type).forgotten:
        return
    if conversation.remembers_id(object_id) or conversation.remembers_message(
        message.sender, object_id
    ):
        return  # it ended with its control type, or is another mistake
    if conversation.was_not_delivered(object_id) or object_type in conversation.unclear:
        return
    if message.sender in conversation.unreadable:
        return
    yield Found(
        "/object_id", f"the {message.sender} has given nothing with the id {quoted(object_id)}"
    )


@rule("revoke.wrong-type", Severity.ERROR, REVOKE)
def wrong_type(message: Message, conversation: Conversation) -> Iterator[Found]:
    """What is revoked is of another type than the RevokeObject says.

    The receiver looks among things of that type and finds nothing.

    Where: RevokeObject: object_type, object_id.
    Why: The one is the type of what the other names, and here it is not.
    Wrong:
        begin("PEBC")
        rm("RevokeObject", object_type="PEBC.EnergyConstraint", object_id="#constraints")
    Right:
        begin("PEBC")
        rm("RevokeObject", object_type="PEBC.PowerConstraints", object_id="#constraints")
    Do: Send the message_type of what you revoke.
    """
    object_type = message.content.text("object_type")
    thing = _thing(message, conversation)
    if thing is None or thing.message.sender is not message.sender:
        return
    if only_sender(object_type) is message.sender and thing.message.message_type != object_type:
        yield Found("/object_type", f"{object_type}, but it is {thing.message.name(message.time)}")


@rule("revoke.message-id", Severity.ERROR, REVOKE)
def message_id(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A RevokeObject names a message_id where there is an id.

    The receiver looks for something with that id and finds nothing. Only a SystemDescription,
    which has no id, is named by its message_id.

    Where: RevokeObject: object_id; FRBC.Instruction: id, and that of the others.
    Why: object_id is the id of what is revoked, and this thing has another.
    Wrong:
        begin("FRBC")
        given = cem("FRBC.Instruction", id="#one")
        cem("RevokeObject", object_type="FRBC.Instruction", object_id=given)
    Right:
        begin("FRBC")
        given = rm("FRBC.SystemDescription")
        rm("RevokeObject", object_type="FRBC.SystemDescription", object_id=given)
    Do: Take the id of what you revoke.
    """
    thing = _own(message, conversation)
    named = message.content.text("object_id") or ""
    right = thing.message.content.text("id") if thing else None
    if thing is not None and right is not None and right != named:
        yield Found(
            "/object_id",
            f"this is the message_id of {thing.message.name(message.time)}, not its id",
            f"Its id is {quoted(right)}.",
        )


@rule("revoke.twice", Severity.WARNING, REVOKE)
def twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Something is revoked a second time.

    It is out of force already. A revocation that was refused may be sent again.

    Where: RevokeObject: object_id.
    Why: No sentence forbids it, and it changes nothing; but one of the two was not meant.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        cem("RevokeObject", object_type="FRBC.Instruction", object_id="#one")
        cem("RevokeObject", object_type="FRBC.Instruction", object_id="#one")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        cem("RevokeObject", object_id="#one", answer="TEMPORARY_ERROR")
        cem("RevokeObject", object_id="#one")
    Do: Look for two places in the code that clean up.
    """
    thing = _own(message, conversation)
    if thing is not None and thing.revoked:
        yield Found(
            "/object_id",
            f"{thing.message.name(message.time)} was revoked by {thing.revoked.name(message.time)}",
        )


@rule("revoke.over", Severity.INFO, REVOKE)
def over(message: Message, conversation: Conversation) -> Iterator[Found]:
    """What is revoked is over already.

    It is an instruction that came to its end, or something that was refused or replaced: the
    RevokeObject changes nothing. It is not reported where the two messages may have crossed.

    Where: RevokeObject: object_id.
    Why: No sentence forbids it, and it changes nothing.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        rm("InstructionStatusUpdate", instruction_id="#one", status_type="SUCCEEDED")
        wait(60)
        cem("RevokeObject", object_type="FRBC.Instruction", object_id="#one")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        rm("InstructionStatusUpdate", instruction_id="#one", status_type="SUCCEEDED")
        cem("RevokeObject", object_type="FRBC.Instruction", object_id="#one")
    Do: Nothing to mend.
    """
    thing = _own(message, conversation)
    if thing is None or thing.revoked:
        return
    name = thing.message.name(message.time)
    if thing.refused:
        if message.monotonic - thing.answered_at > CROSSING:
            yield Found("/object_id", f"{name} was answered with {quoted(thing.answer or '')}")
    elif isinstance(thing, Description):
        message_type = thing.message.message_type
        # Of other types several are in force at the same time.
        if message_type in DESCRIPTIONS.values() and not any(
            given is thing for given in conversation.referable(message_type, message.time)
        ):
            yield Found("/object_id", f"{name} was replaced by a later one")
    elif thing.status in FINAL_STATUSES:
        ago = message.monotonic - thing.since
        if ago > conversation.settings.ack_timeout:
            yield Found("/object_id", f"{name} is over: {thing.status} {ago:.1f} s before")


def _is_of_other_control_type(message: Message, conversation: Conversation) -> bool:
    family = control_type_of(message.content.text("object_type"))
    return family is not None and conversation.family is not None and family != conversation.family


def _thing(message: Message, conversation: Conversation) -> Instruction | Description | None:
    """What a RevokeObject names, by its id or message_id, of whatever type."""
    named = message.content.text("object_id") or ""
    instruction = conversation.instructions.get(named) or conversation.instructions_by_message.get(
        named
    )
    if instruction is not None:
        return instruction
    found = (held.named(named) for held in conversation.descriptions.values())
    return next((given for given in found if given is not None), None)


def _own(message: Message, conversation: Conversation) -> Instruction | Description | None:
    """What a RevokeObject names, where it is of that type and its sender's own."""
    thing = _thing(message, conversation)
    if thing is None or thing.message.sender is not message.sender:
        return None
    return thing if thing.message.message_type == message.content.text("object_type") else None
