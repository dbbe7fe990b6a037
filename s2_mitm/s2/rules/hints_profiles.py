"""Hints: what an RM does with the sequences of a power profile, and what it was told to."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.rules.common.profiles import STATUS, in_force, progress_of, referring_parts
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import short_id


def _scheduled(part: Part, conversation: Conversation) -> tuple[Message | None, str | None]:
    """The schedule of a container that the RM has answered with OK, and the status of that.

    None where something was wrong with it: what the RM makes of that follows from it.
    """
    scheduled = in_force(progress_of(part, conversation).scheduled, conversation)
    if scheduled is None or not scheduled.faultless:
        return None, None
    instruction = conversation.instructions[scheduled.content.text("id") or ""]
    return (scheduled, instruction.status) if instruction.answer == "OK" else (None, None)


@rule("hint.other-sequence", Severity.INFO, [STATUS])
def other_sequence(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Another sequence of a container runs than was scheduled.

    The RM has taken the instruction, and the device does something else. The CEM expects another
    power. It is reported once for each instruction.

    Where: PPBC.ScheduleInstruction: power_sequence_id; PPBC.PowerSequenceContainerStatus:
    selected_sequence_id.
    Why: The device may have been switched by hand; no text forbids it.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(0))
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#fast", "status": "EXECUTING", "progress": 0},
            waiting("spin")])
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(0))
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING", "progress": 0},
            waiting("spin")])
    Do: Report the instruction as ABORTED when the device does something else.
    """
    for part, (given, *_) in referring_parts(message, conversation):
        selected = part.text("selected_sequence_id")
        if part.text("status") != "EXECUTING" or selected is None or given is None:
            continue
        if selected not in given.containers.get(part.text("sequence_container_id") or "", {}):
            continue
        before = progress_of(part, conversation)
        if before.status == "EXECUTING" and before.selected == selected:
            continue  # it ran before it was scheduled otherwise
        scheduled, _ = _scheduled(part, conversation)
        wanted = scheduled.content.text("power_sequence_id") if scheduled else None
        if scheduled is not None and wanted is not None and wanted != selected:
            yield Found(
                part.at("selected_sequence_id"),
                f"{short_id(selected)} runs, but {scheduled.name(message.time)} schedules"
                f" {short_id(wanted)}",
                once="hint.other-sequence",
                since=scheduled,
            )


@rule("hint.accepted-not-scheduled", Severity.INFO, [STATUS])
def accepted_not_scheduled(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Nothing is scheduled for a container, though an instruction was accepted.

    The CEM counts on the sequence. It is reported once for each instruction.

    Where: PPBC.PowerSequenceStatus: NOT_SCHEDULED; InstructionStatus: ACCEPTED.
    Why: The device may have given up its plan; no text forbids it.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction")
        rm("InstructionStatusUpdate")
        rm("PPBC.PowerProfileStatus")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction")
        rm("PPBC.PowerProfileStatus")
        rm("InstructionStatusUpdate")
    Do: Report the instruction as ABORTED when its sequence will not run.
    """
    for part in message.content.parts("sequence_container_status"):
        if part.text("status") != "NOT_SCHEDULED":
            continue
        scheduled, status = _scheduled(part, conversation)
        if scheduled is not None and status == "ACCEPTED":
            yield Found(
                part.at("status"),
                f"NOT_SCHEDULED, but {scheduled.name(message.time)} was reported as ACCEPTED",
                once="hint.accepted-not-scheduled",
                since=scheduled,
            )


@rule("hint.interrupted-anyway", Severity.INFO, [STATUS])
def interrupted_anyway(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is interrupted that cannot be, as its description says.

    It is reported once for each power profile.

    Where: PPBC.PowerSequence: is_interruptible; PPBC.PowerSequenceStatus: INTERRUPTED.
    Why: The device may have stopped by itself, such as when its door was opened.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileDefinition", id="#firm", power_sequences_containers=[
            container("wash", sequence("eco", is_interruptible=False))])
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#firm", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "INTERRUPTED", "progress": 1000}])
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "INTERRUPTED", "progress": 1000},
            waiting("spin")])
    Do: Say is_interruptible true where the sequence can be paused.
    """
    for part, (given, *_) in referring_parts(message, conversation):
        if part.text("status") != "INTERRUPTED" or given is None:
            continue
        if progress_of(part, conversation).interrupted is not None:
            continue  # ppbc.not-interruptible has reported that of the CEM
        sequences = given.containers.get(part.text("sequence_container_id") or "", {})
        selected = part.text("selected_sequence_id") or ""
        sequence = sequences.get(selected)
        if sequence is not None and sequence.flag("is_interruptible") is False:
            yield Found(
                part.at("status"),
                f"{short_id(selected)} is not interruptible, by {given.message.name(message.time)}",
                once="hint.interrupted-anyway",
                since=given.message,
            )
