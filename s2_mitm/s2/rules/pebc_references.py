"""Power envelope based control: the constraints that an instruction refers to."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.constraints import (
    FIELD,
    INSTRUCTION,
    constraints_of,
)
from s2_mitm.s2.rules.common.references import Reference, ReferenceFault, each, once
from s2_mitm.s2.rules.registry import Found, SayAgain, rule
from s2_mitm.s2.verdict import Severity

NO_CONSTRAINTS = SayAgain("pebc.no-constraints")
CONSTRAINTS_REFUSED = SayAgain("pebc.constraints-refused")
CANNOT_CHECK = SayAgain("pebc.cannot-check")


@rule("pebc.no-constraints", Severity.ERROR, INSTRUCTION)
def no_constraints(message: Message, conversation: Conversation) -> Iterator[Found | SayAgain]:
    """An instruction while the RM has given no power constraints.

    The CEM cannot know which limits the device can follow; it guesses. It is reported once until
    there are constraints.

    Where: PEBC.Instruction: power_constraints_id.
    Why: It identifies the constraints that the instruction is based on, and there are none.
    Wrong:
        begin()
        select("PEBC")
        cem("PEBC.Instruction")
    Right:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints")
        cem("PEBC.Instruction")
    Do: The CEM waits for the PEBC.PowerConstraints after it has selected the control type.
    """
    reference = constraints_of(message, conversation)
    yield from once(
        conversation,
        NO_CONSTRAINTS,
        reference,
        ReferenceFault.NONE_GIVEN,
        message.content,
        FIELD,
    )


@rule("pebc.unknown-constraints", Severity.ERROR, INSTRUCTION)
def unknown_constraints(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction is based on constraints that nobody gave.

    The RM cannot know which constraints the CEM means, and refuses the instruction.

    Where: PEBC.Instruction: power_constraints_id; PEBC.PowerConstraints: id.
    Why: It identifies the constraints that the instruction is based on, and there are none.
    Wrong:
        begin("PEBC")
        cem("PEBC.Instruction", power_constraints_id="#typo")
    Right:
        begin("PEBC")
        cem("PEBC.Instruction", power_constraints_id="#constraints")
    Do: Take the id of the PEBC.PowerConstraints, not its message_id.
    """
    yield from each(
        constraints_of(message, conversation), ReferenceFault.UNKNOWN, message.content, FIELD
    )


@rule("pebc.constraints-not-in-force", Severity.ERROR, INSTRUCTION)
def constraints_not_in_force(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction is based on constraints that are not in force when it is executed.

    They were revoked, or their time is over or has not come, and the device may be unable to do
    what they allow. Clocks may differ by a minute, and a RevokeObject counts once it was answered.

    Where: PEBC.PowerConstraints: valid_from and valid_until; RevokeObject.
    Why: The RM says from when until when its constraints are valid, and takes back what it revokes.
    Wrong:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#later", valid_from=at(3600))
        cem("PEBC.Instruction", power_constraints_id="#later", execution_time=at(60))
    Right:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#later", valid_from=at(3600))
        cem("PEBC.Instruction", power_constraints_id="#later", execution_time=at(3600))
    Do: Plan with the latest constraints whose time includes the execution_time.
    """
    yield from each(
        constraints_of(message, conversation), ReferenceFault.NOT_IN_FORCE, message.content, FIELD
    )


@rule("pebc.constraints-replaced", Severity.WARNING, INSTRUCTION)
def constraints_replaced(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction is based on constraints although there are later ones.

    The later ones are for the same quantity, are valid when the instruction is executed, and the
    CEM has answered them. The device may be unable to do what the older ones allow.

    Where: PEBC.PowerConstraints: valid_from and valid_until.
    Why: That later constraints take the place of earlier ones is how RMs use them; it is not said.
    Wrong:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer")
        cem("PEBC.Instruction", power_constraints_id="#constraints")
    Right:
        begin("PEBC")
        rm("PEBC.PowerConstraints", id="#newer")
        cem("PEBC.Instruction", power_constraints_id="#newer")
    Do: Plan with the latest constraints whose time includes the execution_time.
    """
    yield from each(
        constraints_of(message, conversation), ReferenceFault.REPLACED, message.content, FIELD
    )


@rule("pebc.constraints-refused", Severity.WARNING, INSTRUCTION)
def constraints_refused(message: Message, conversation: Conversation) -> Iterator[Found | SayAgain]:
    """An instruction is based on constraints that the CEM itself has refused.

    What its receiver did not accept is not in force: the RM does not expect to be held to it. It is
    reported once until an instruction refers to something in force.

    Where: ReceptionStatus: status; PEBC.Instruction: power_constraints_id.
    Why: That what was refused is not in force follows from the answer; no text says it.
    Wrong:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints", answer="TEMPORARY_ERROR")
        cem("PEBC.Instruction")
    Right:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints", answer="OK")
        cem("PEBC.Instruction")
    Do: Answer with OK what you mean to use; the RM sends again what was refused.
    """
    reference = constraints_of(message, conversation)
    yield from once(
        conversation,
        CONSTRAINTS_REFUSED,
        reference,
        ReferenceFault.REFUSED,
        message.content,
        FIELD,
    )


@rule("pebc.cannot-check", Severity.INFO, INSTRUCTION)
def cannot_check(message: Message, conversation: Conversation) -> Iterator[Found | SayAgain]:
    """Whether an instruction keeps to the constraints cannot be checked.

    The constraints were given before the first message that was seen, or the last ones were refused
    or can be read only in part. It is reported once until this can be checked again.

    Where: PEBC.Instruction: power_constraints_id.
    Why: Nothing need be wrong with the instruction.
    Wrong:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints", answer="TEMPORARY_ERROR")
        cem("PEBC.Instruction", power_constraints_id="#other")
    Right:
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints", answer="TEMPORARY_ERROR")
        rm("PEBC.PowerConstraints", id="#other")
        cem("PEBC.Instruction", power_constraints_id="#other")
    Do: See the findings about the PEBC.PowerConstraints, if they were seen.
    """
    reference = constraints_of(message, conversation)
    given = reference.given
    if given is not None and given.limits is None:
        text = f"{given.message.name(message.time)} cannot be read in full; limits are not checked"
        reference = Reference(None, ReferenceFault.UNSURE, text)
    yield from once(
        conversation, CANNOT_CHECK, reference, ReferenceFault.UNSURE, message.content, FIELD
    )
