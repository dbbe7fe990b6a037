"""Instructions of the CEM, and the statuses that the RM reports of them."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import FINAL_STATUSES, INSTRUCTIONS, STATUSES_AFTER
from s2_mitm.s2.conversation.memory import Conversation, Instruction
from s2_mitm.s2.conversation.message import Message, clock
from s2_mitm.s2.rules.common.tolerances import (
    CLOCKS,
    CROSSING,
    PATIENCE,
    PROMPT_STATUS,
    WINDING_UP,
)
from s2_mitm.s2.rules.registry import AT_THE_END, Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted

STATUS = "InstructionStatusUpdate"

PROMPT = frozenset({"NEW", "ACCEPTED", "REJECTED", "STARTED"})
"""The statuses that an RM can report at once; the others come when the execution has ended."""


GOES_ON = frozenset({"NEW", "ACCEPTED", "STARTED", "SUCCEEDED"})
"""The statuses that say that the RM follows an instruction."""


@rule("instruction.unknown", Severity.ERROR, [STATUS])
def unknown(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status for an instruction that was never given.

    The CEM cannot tell what the status is about, and still waits for the one that it needs.

    Where: InstructionStatusUpdate: instruction_id.
    Why: The field is the id of an instruction as the CEM gave it, and it gave none with this id, of
    the latest 2,000. It is not reported where one may have come that could not be read.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        rm("InstructionStatusUpdate", instruction_id="#another")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        rm("InstructionStatusUpdate", instruction_id="#one")
    Do: Copy the id from the instruction; do not make a new one.
    """
    instruction_id = message.content.text("instruction_id")
    if instruction_id is None or message.sender is not Role.RM:
        return
    if not conversation.saw_beginning(message) or Role.CEM in conversation.unreadable:
        return  # it may have been in a message that could not be read
    if conversation.was_not_delivered(instruction_id) or conversation.unclear & INSTRUCTIONS:
        return
    if conversation.remembers_id(instruction_id) or conversation.remembers_message(
        Role.CEM, instruction_id
    ):
        return  # it was given; it may have been forgotten, or ended with its control type
    yield Found("/instruction_id", f"no instruction has the id {quoted(instruction_id)}")


@rule("instruction.message-id", Severity.ERROR, [STATUS])
def message_id(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status names the message_id of an instruction instead of its id.

    The CEM looks for an instruction with that id and finds none: the status is lost.

    Where: InstructionStatusUpdate: instruction_id; FRBC.Instruction: id, and that of the others.
    Why: The field is the id of the instruction, which stands in it beside its message_id.
    Wrong:
        begin("FRBC")
        given = cem("FRBC.Instruction", id="#one")
        rm("InstructionStatusUpdate", instruction_id=given)
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        rm("InstructionStatusUpdate", instruction_id="#one")
    Do: Take the id of the instruction; the message_id is for the ReceptionStatus.
    """
    named = message.content.text("instruction_id") or ""
    instruction = conversation.instructions_by_message.get(named)
    if instruction is not None and named not in conversation.instructions:
        yield Found(
            "/instruction_id",
            f"this is the message_id of {instruction.message.name(message.time)}, not its id",
            f"Its id is {quoted(instruction.message.content.text('id') or '')}.",
        )


@rule("instruction.wrong-step", Severity.WARNING, [STATUS])
def wrong_step(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status that cannot follow the one before.

    An instruction moves from NEW to ACCEPTED or REJECTED, from ACCEPTED to STARTED, from STARTED to
    SUCCEEDED; once accepted it can be ABORTED or REVOKED. Steps may be left out, but none leads
    back. The CEM now plans with a wrong status.

    Where: InstructionStatusUpdate: status_type; InstructionStatus.
    Why: The order follows from what the statuses mean; no sentence says it.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction")
        rm("InstructionStatusUpdate", status_type="STARTED")
        rm("InstructionStatusUpdate", status_type="ACCEPTED")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction")
        rm("InstructionStatusUpdate", status_type="ACCEPTED")
        rm("InstructionStatusUpdate", status_type="SUCCEEDED")
    Do: Look for two places that send statuses, or for messages that overtake each other.
    """
    instruction, before, status = _step(message, conversation)
    if (
        instruction
        and STATUSES_AFTER[before]
        and status != before
        and status not in STATUSES_AFTER[before]
    ):
        yield Found(
            "/status_type",
            f"{status} after {before}, of {instruction.message.name(message.time)}",
            f"{before} can be followed by {', '.join(STATUSES_AFTER[before])}.",
        )


@rule("instruction.after-final", Severity.WARNING, [STATUS])
def after_final(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status after the final one.

    REJECTED, REVOKED, SUCCEEDED and ABORTED end an instruction. The CEM expects no further status.

    Where: InstructionStatusUpdate: status_type; InstructionStatus.
    Why: That nothing follows these four follows from what they mean; no sentence says it.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction")
        rm("InstructionStatusUpdate", status_type="SUCCEEDED")
        rm("InstructionStatusUpdate", status_type="ABORTED")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction")
        rm("InstructionStatusUpdate", status_type="STARTED")
        rm("InstructionStatusUpdate", status_type="ABORTED")
    Do: Send a final status when it is really over: an instruction that still runs is STARTED.
    """
    instruction, before, status = _step(message, conversation)
    if instruction and before in FINAL_STATUSES and status != before:
        ago = f"{message.monotonic - instruction.since:.1f} s before"
        name = instruction.message.name(message.time)
        yield Found("/status_type", f"{status} after {before} ({ago}) of {name}")


@rule("instruction.same-status", Severity.INFO, [STATUS])
def same_status(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The same status of an instruction again.

    It tells the CEM nothing new.

    Where: InstructionStatusUpdate: status_type.
    Why: Nothing forbids it. It may hint at two places that report.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction")
        rm("InstructionStatusUpdate", status_type="STARTED")
        rm("InstructionStatusUpdate", status_type="STARTED")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction")
        rm("InstructionStatusUpdate", status_type="ACCEPTED")
        rm("InstructionStatusUpdate", status_type="STARTED")
    Do: Send a status when it changes.
    """
    instruction, before, status = _step(message, conversation)
    if instruction and status == before:
        name = instruction.message.name(message.time)
        yield Found("/status_type", f"{status} is what {name} was already")


@rule("instruction.refused", Severity.WARNING, [STATUS])
def refused(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction goes on that was refused on reception.

    A ReceptionStatus other than OK says that the message is ignored. The CEM may have given the
    instruction to another device by then.

    Where: ReceptionStatusValues: INVALID_CONTENT and the others.
    Why: With any status but OK a message is ignored; that it may be followed all the same is
    nowhere said, and nowhere forbidden.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", answer="TEMPORARY_ERROR")
        rm("InstructionStatusUpdate", status_type="STARTED")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", answer="TEMPORARY_ERROR")
        rm("InstructionStatusUpdate", status_type="REJECTED")
    Do: Answer OK to an instruction that you understand; say REJECTED if you will not follow it.
    """
    instruction = _instruction(message, conversation)
    status = message.content.text("status_type")
    if instruction is None or not instruction.refused or instruction.status is not None:
        return
    if status in STATUSES_AFTER and status != "REJECTED":
        name = instruction.message.name(message.time)
        answer = quoted(instruction.answer or "")
        yield Found("/status_type", f"{status} of {name}, which was answered with {answer}")


@rule("instruction.after-revoked", Severity.WARNING, [STATUS])
def after_revoked(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction goes on that was revoked.

    The RM has answered the RevokeObject with OK, and now says that it accepts, executes or has
    executed the instruction. The CEM goes by another plan by then.

    Where: RevokeObject: object_id; InstructionStatus: REVOKED.
    Why: What is revoked is to be given up; which status tells that is nowhere said. REVOKED,
    ABORTED and REJECTED are not reported, nor what comes before the RM has answered.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        cem("RevokeObject", object_id="#one")
        rm("InstructionStatusUpdate", instruction_id="#one", status_type="STARTED")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        cem("RevokeObject", object_id="#one")
        rm("InstructionStatusUpdate", instruction_id="#one", status_type="REVOKED")
    Do: Drop an instruction that is revoked, or refuse the RevokeObject when it is too late for it.
    """
    instruction = _instruction(message, conversation)
    status = message.content.text("status_type")
    if instruction is None or instruction.revoked is None or not instruction.revocation_accepted:
        return
    if status not in GOES_ON or instruction.status in FINAL_STATUSES:
        return  # after-final reports the latter
    name, revoked = instruction.message.name(message.time), instruction.revoked.name(message.time)
    yield Found("/status_type", f"{status} of {name}, after OK to {revoked}")


@rule("instruction.other-control-type", Severity.WARNING, [STATUS])
def other_control_type(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction goes on that was given under another control type.

    Selecting another control type ends what the one before was about. The CEM no longer plans with
    the instruction.

    Where: docs.s2standard.org/s2-connect/1.0.0/discovery-pairing-authentication, State of
    communication; InstructionStatusUpdate: instruction_id.
    Why: That a selection ends the instructions before it follows from the states; no sentence says
    it. How they ended may be told within half a minute.
    Wrong:
        begin("OMBC")
        cem("OMBC.Instruction", id="#one", execution_time=at(300))
        select("PEBC")
        rm("PEBC.PowerConstraints")
        wait(300)
        rm("InstructionStatusUpdate", instruction_id="#one", status_type="STARTED")
    Right:
        begin("OMBC")
        cem("OMBC.Instruction", id="#one", execution_time=at(300))
        select("PEBC")
        rm("InstructionStatusUpdate", instruction_id="#one", status_type="ABORTED")
    Do: Drop all instructions when another control type is selected.
    """
    instruction_id, selection = message.content.text("instruction_id") or "", conversation.selection
    if instruction_id not in conversation.former_instructions or selection is None:
        return
    if instruction_id in conversation.instructions or message.sender is not Role.RM:
        return
    if conversation.family is None or conversation.before_selection:
        return  # that is another finding; or the RM has not answered yet
    status = message.content.text("status_type")
    took = message.monotonic - selection.monotonic
    if took < CROSSING or (status in FINAL_STATUSES and took < WINDING_UP):
        return
    yield Found(
        "/instruction_id",
        f"{status} of an instruction from before {selection.name(message.time)}",
        once="instruction.other-control-type",
        since=selection,
    )


@rule("instruction.slow", Severity.INFO, [STATUS])
def slow(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The first status of an instruction took long.

    The CEM plans with the instruction_processing_delay that the RM announces. This one took more
    than ten times as long, and more than a second.

    Where: ResourceManagerDetails: instruction_processing_delay, in milliseconds.
    Why: The delay is an average, so that a single one may be longer.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction")
        wait(20)
        rm("InstructionStatusUpdate")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction")
        wait(5)
        rm("InstructionStatusUpdate")
    Do: Announce the delay that your device has, or look for what holds it up.
    """
    instruction = _instruction(message, conversation)
    status = message.content.text("status_type")
    delay = _announced_delay(conversation)
    if not instruction or instruction.status or status not in PROMPT or delay is None or delay < 0:
        return
    ahead = _ahead(instruction.message) if status == "STARTED" else 0.0
    if message.monotonic - instruction.message.monotonic - ahead > _patience(conversation):
        yield Found(
            "",
            f"{status} is the first status of {instruction.message.name(message.time)}; the RM"
            f" announces {delay:g} ms",
        )


@rule("instruction.no-status", Severity.INFO, [AT_THE_END])
def no_status(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The RM sent no status of an instruction.

    It was received, and its time came, but the CEM never learnt whether it was accepted. This is
    reported at the end of the conversation, for the last instruction for each actuator only. An
    instruction that still runs may be STARTED at the end.

    Where: InstructionStatusUpdate: status_type.
    Why: No sentence says which statuses an RM has to send.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction")
        wait(60)
        close()
    Right:
        begin("FRBC")
        cem("FRBC.Instruction")
        rm("InstructionStatusUpdate", status_type="STARTED")
        wait(60)
        close()
    Do: Send an InstructionStatusUpdate when you accept, start and finish an instruction.
    """
    instruction = conversation.instructions.get(message.content.text("id") or "")
    if instruction is None or instruction.answer != "OK" or instruction.status not in (None, "NEW"):
        return
    if instruction.revoked or instruction.doubled:
        return
    if STATUS in conversation.unclear or conversation.may_have_said(STATUS, message):
        return
    if not message.valid or instruction.family != conversation.family:
        return  # other rules report that
    if conversation.latest_instructions.get(instruction.target) is not instruction:
        return
    waited = conversation.monotonic - message.monotonic
    if waited - _ahead(message) > _patience(conversation):
        status = "no status but NEW" if instruction.status else "no InstructionStatusUpdate"
        yield Found("", f"{status} in the {waited:.1f} s before the end")


@rule("instruction.in-the-past", Severity.INFO, INSTRUCTIONS)
def in_the_past(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction that should have been executed before it was given.

    The RM is to execute it as soon as it can, which is later than the CEM has planned; or the CEM's
    clock is wrong. Up to a minute is tolerated.

    Where: FRBC.Instruction: execution_time, and that of the other instructions.
    Why: It is allowed: execution then starts as soon as possible. It may hint at a wrong clock.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", execution_time=at(-120))
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", execution_time=at(-30))
    Do: Set the clock of the CEM; send the present time for what is to be done at once.
    """
    moment = message.content.moment("execution_time")
    if moment is not None and message.time - moment > CLOCKS:
        yield Found(
            "/execution_time",
            f"{clock(moment)} is {message.time - moment:.0f} s before the instruction was given",
        )


def _instruction(message: Message, conversation: Conversation) -> Instruction | None:
    """What a status from the RM is about, where that is certain."""
    instruction = conversation.instructions.get(message.content.text("instruction_id") or "")
    if instruction is None or instruction.doubled or message.sender is not Role.RM:
        return None
    return instruction


def _step(message: Message, conversation: Conversation) -> tuple[Instruction | None, str, str]:
    """An instruction, its status before and now; no instruction where one of them is unknown."""
    instruction = _instruction(message, conversation)
    before = (instruction.status if instruction else None) or ""
    status = message.content.text("status_type") or ""
    known = before in STATUSES_AFTER and status in STATUSES_AFTER
    return (instruction if known else None), before, status


def _announced_delay(conversation: Conversation) -> float | None:
    """How long the RM says that it takes with an instruction, in milliseconds."""
    details = conversation.details
    return details.content.number("instruction_processing_delay") if details else None


def _patience(conversation: Conversation) -> float:
    """How long a first status may take, in seconds."""
    return max(PROMPT_STATUS, PATIENCE * (_announced_delay(conversation) or 0) / 1000)


def _ahead(instruction: Message) -> float:
    """How long after it was given an instruction is to be executed, in seconds."""
    return max(0.0, (instruction.content.moment("execution_time") or 0.0) - instruction.time)
