"""RevokeObject: taking back what one has said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from s2_mitm.s2.catalog import only_sender
from s2_mitm.s2.in_force import Given
from s2_mitm.s2.message import Said
from s2_mitm.s2.rules.instructions import FOLLOWING
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.states import family_of
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted

if TYPE_CHECKING:
    from s2_mitm.s2.conversation import Conversation, Instruction

REVOKE = ("RevokeObject",)


@rule("revoke.not-own", Severity.ERROR, REVOKE)
def not_own(said: Said, talk: Conversation) -> Iterator[Found]:
    """Something is revoked by the side that did not give it.

    Each side takes back its own: the CEM its instructions, the RM its descriptions, constraints
    and profiles. The receiver goes on with what it has given.

    Where: RevokeObject.object_type, and who sends that type.
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
    object_type = said.content.text("object_type")
    owner = only_sender(object_type)
    if owner is not None and owner is not said.sender:
        yield Found(
            "/object_type",
            f"{object_type} comes from the {owner}; the {said.sender} cannot revoke it",
        )


@rule("revoke.other-control-type", Severity.ERROR, REVOKE)
def other_control_type(said: Said, talk: Conversation) -> Iterator[Found]:
    """Something is revoked that belongs to another control type.

    What another control type has described ended when this one was selected.

    Where: the states of S2 0.0.2-beta: control type active.
    Wrong:
        begin("OMBC")
        cem("RevokeObject", object_type="FRBC.Instruction")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction")
        cem("RevokeObject", object_type="FRBC.Instruction")
    Do: Nothing needs to be revoked when the control type changes.
    """
    object_type = said.content.text("object_type")
    if not _is_of_other_control_type(said, talk) or talk.selection is None:
        return
    if only_sender(object_type) is said.sender and family_of(object_type or "") != (
        talk.before_selection
    ):
        yield Found(
            "/object_type",
            f"{object_type} while {talk.family} is active, by {talk.selection.name(said.time)}",
        )


@rule("revoke.unknown", Severity.ERROR, REVOKE)
def unknown(said: Said, talk: Conversation) -> Iterator[Found]:
    """Something is revoked that was never given.

    The receiver finds nothing to take back; what was meant stays in force.

    Where: RevokeObject.object_id is the id of something that its sender has given; a
    SystemDescription has none and is named by its message_id. The latest 2,000 are remembered.
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
    object_type, object_id = said.content.text("object_type"), said.content.text("object_id")
    if object_type is None or object_id is None or only_sender(object_type) is not said.sender:
        return
    if not talk.saw_beginning or _is_of_other_control_type(said, talk):
        return
    if _thing(said, talk) or talk.holds(object_type).forgotten:
        return
    if talk.remembers("id", object_id) or talk.remembers(f"message {said.sender}", object_id):
        return  # it ended with its control type, or is another mistake
    yield Found(
        "/object_id", f"the {said.sender} has given nothing with the id {quoted(object_id)}"
    )


@rule("revoke.wrong-type", Severity.ERROR, REVOKE)
def wrong_type(said: Said, talk: Conversation) -> Iterator[Found]:
    """What is revoked is of another type than the RevokeObject says.

    The receiver looks among things of that type and finds nothing.

    Where: RevokeObject.object_type is the type of the object that object_id names.
    Wrong:
        begin("PEBC")
        rm("RevokeObject", object_type="PEBC.EnergyConstraint", object_id="#constraints")
    Right:
        begin("PEBC")
        rm("RevokeObject", object_type="PEBC.PowerConstraints", object_id="#constraints")
    Do: Send the message_type of what you revoke.
    """
    object_type = said.content.text("object_type")
    thing = _thing(said, talk)
    if thing is None or thing.said.sender is not said.sender:
        return
    if only_sender(object_type) is said.sender and thing.said.message_type != object_type:
        yield Found("/object_type", f"{object_type}, but it is {thing.said.name(said.time)}")


@rule("revoke.message-id", Severity.ERROR, REVOKE)
def message_id(said: Said, talk: Conversation) -> Iterator[Found]:
    """A RevokeObject names a message_id where there is an id.

    The receiver looks for something with that id and finds nothing. Only a SystemDescription,
    which has no id, is named by its message_id.

    Where: RevokeObject.object_id.
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
    thing = _own(said, talk)
    named = said.content.text("object_id") or ""
    right = thing.said.content.text("id") if thing else None
    if thing is not None and right is not None and right != named:
        yield Found(
            "/object_id",
            f"{quoted(named)} is the message_id of {thing.said.name(said.time)}, not its id",
            f"Its id is {quoted(right)}.",
        )


@rule("revoke.twice", Severity.WARNING, REVOKE)
def twice(said: Said, talk: Conversation) -> Iterator[Found]:
    """Something is revoked a second time.

    It is out of force already. A revocation that was refused may be sent again.

    Where: RevokeObject.object_id names something that is in force.
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
    thing = _own(said, talk)
    if thing is not None and thing.revoked:
        yield Found(
            "/object_id",
            f"{thing.said.name(said.time)} was revoked by {thing.revoked.name(said.time)}",
        )


@rule("revoke.over", Severity.INFO, REVOKE)
def over(said: Said, talk: Conversation) -> Iterator[Found]:
    """What is revoked is over already.

    An instruction that came to its end, or something that was refused or replaced: the RevokeObject
    changes nothing. Not said where the two may have crossed.

    Where: RevokeObject.object_id names something that is in force.
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
    thing = _own(said, talk)
    if thing is None or thing.revoked:
        return
    name = thing.said.name(said.time)
    if thing.refused:
        yield Found("/object_id", f"{name} was answered with {quoted(thing.answer or '')}")
    elif isinstance(thing, Given):
        kind = thing.said.message_type
        described = kind.endswith(".SystemDescription")  # there can be several of the others
        if described and not any(given is thing for given in talk.given(kind, said.time)):
            yield Found("/object_id", f"{name} was replaced by a later one")
    elif not FOLLOWING.get(thing.status or "", ("unknown",)):
        ago = said.monotonic - thing.since
        if ago > talk.settings.ack_timeout:
            yield Found("/object_id", f"{name} has been {thing.status} for {ago:.1f} s")


def _is_of_other_control_type(said: Said, talk: Conversation) -> bool:
    family = family_of(said.content.text("object_type") or "")
    return family is not None and talk.family is not None and family != talk.family


def _thing(said: Said, talk: Conversation) -> Instruction | Given | None:
    """What a RevokeObject names, by its id or message_id, of whatever type."""
    named = said.content.text("object_id") or ""
    instruction = talk.instructions.get(named) or talk.instructions_by_message.get(named)
    if instruction is not None:
        return instruction
    found = (held.named(named) for held in talk.held.values())
    return next((given for given in found if given is not None), None)


def _own(said: Said, talk: Conversation) -> Instruction | Given | None:
    """What a RevokeObject names, where it is of that type and its sender's own."""
    thing = _thing(said, talk)
    if thing is None or thing.said.sender is not said.sender:
        return None
    return thing if thing.said.message_type == said.content.text("object_type") else None
