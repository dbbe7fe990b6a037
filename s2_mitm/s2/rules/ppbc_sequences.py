"""Power profile based control: which sequence of a container runs, and how."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.conversation.validity import ContainerProgress
from s2_mitm.s2.rules.common.crossing import under_way
from s2_mitm.s2.rules.common.profiles import END, SCHEDULE, START, progress_of, sequence_of
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import short_id


@rule("ppbc.abnormal-sequence", Severity.ERROR, [SCHEDULE], statements=["N61"])
def abnormal_sequence(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled that is for abnormal conditions only.

    The RM keeps it for an emergency in the grid, and refuses it otherwise.

    Where: PPBC.PowerSequence: abnormal_condition_only; PPBC.ScheduleInstruction:
    abnormal_condition.
    Why: Such a sequence may only be used during an abnormal condition.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", sequence_container_id="#spin", power_sequence_id="#hot")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", sequence_container_id="#spin", power_sequence_id="#hot",
            abnormal_condition=True)
    Do: Schedule another sequence of the container, or say that the condition is abnormal.
    """
    given, sequence = sequence_of(message, conversation)
    if given is None or sequence is None or not sequence.flag("abnormal_condition_only"):
        return
    if message.content.flag("abnormal_condition") is False:
        yield Found(
            "/power_sequence_id",
            f"{short_id(sequence.text('id') or '')} needs abnormal_condition to be true: it is for"
            f" abnormal conditions only, by {given.message.name(message.time)}",
        )


@rule("ppbc.not-interruptible", Severity.ERROR, [START])
def not_interruptible(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is interrupted that cannot be.

    The device has to finish it once it has begun; the RM refuses.

    Where: PPBC.PowerSequence: is_interruptible.
    Why: It says that the option of pausing the sequence is not available.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileDefinition", id="#firm", power_sequences_containers=[
            container("wash", sequence("eco", is_interruptible=False))])
        cem("PPBC.ScheduleInstruction", power_profile_id="#firm")
        cem("PPBC.StartInterruptionInstruction", power_profile_id="#firm")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction")
        cem("PPBC.StartInterruptionInstruction")
    Do: Interrupt only sequences with is_interruptible true.
    """
    given, sequence = sequence_of(message, conversation)
    if given is not None and sequence and sequence.flag("is_interruptible") is False:
        yield Found(
            "/power_sequence_id",
            f"{short_id(sequence.text('id') or '')} is not interruptible, by"
            f" {given.message.name(message.time)}",
        )


@rule("ppbc.not-scheduled", Severity.WARNING, [START])
def not_scheduled(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is interrupted that does not run and is not to run.

    It was not scheduled, nor reported as running, or it is over. There is nothing to interrupt, or
    another sequence of the container runs.

    Where: PPBC.StartInterruptionInstruction: power_sequence_id; PPBC.ScheduleInstruction;
    PPBC.PowerSequenceContainerStatus: status and selected_sequence_id.
    Why: No text says that only such a sequence may be interrupted; it follows from what it means.
    Wrong:
        begin("PPBC")
        cem("PPBC.StartInterruptionInstruction")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction")
        cem("PPBC.StartInterruptionInstruction")
    Do: Interrupt the sequence that you scheduled, before it is over.
    """
    given, sequence = sequence_of(message, conversation)
    if given is None or sequence is None or _unsure(SCHEDULE, conversation):
        return
    progress, wanted = progress_of(message.content, conversation), sequence.text("id") or ""
    if over := _over(progress, wanted, conversation):
        text = f"{short_id(wanted)} is over: {over}"
        yield Found("/power_sequence_id", f"{text} by {_said(progress, message)}")
    elif not _may_run(progress, wanted):
        why = "nothing was scheduled"
        if progress.scheduled is not None:
            other = short_id(progress.scheduled.content.text("power_sequence_id") or "")
            why = f"{progress.scheduled.name(message.time)} schedules {other}"
        yield Found("/power_sequence_id", f"{short_id(wanted)} was not scheduled: {why}")


@rule("ppbc.not-interrupted", Severity.WARNING, [END])
def not_interrupted(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The end of an interruption that did not begin.

    Neither has the CEM interrupted the sequence, nor has the RM said that it is interrupted. The
    two may not agree on its state.

    Where: PPBC.EndInterruptionInstruction: power_sequence_id; PPBC.StartInterruptionInstruction;
    PPBC.PowerSequenceContainerStatus: status.
    Why: No text says that an interruption must have begun; it follows from what the message means.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction")
        cem("PPBC.EndInterruptionInstruction")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction")
        cem("PPBC.StartInterruptionInstruction")
        cem("PPBC.EndInterruptionInstruction")
    Do: Send it only after a PPBC.StartInterruptionInstruction for the same sequence.
    """
    given, sequence = sequence_of(message, conversation)
    if given is None or sequence is None or _unsure(START, conversation):
        return
    progress = progress_of(message.content, conversation)
    if progress.interrupted is None and not progress.paused and progress.status != "INTERRUPTED":
        wanted = short_id(sequence.text("id") or "")
        yield Found("/power_sequence_id", f"no interruption of {wanted} was seen to begin")


@rule("ppbc.already-started", Severity.WARNING, [SCHEDULE])
def already_started(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A container is scheduled of which a sequence runs or is finished.

    The step is under way, or done. Whether the device can do it once more is not known.

    Where: PPBC.PowerSequenceContainerStatus: status; PPBC.ScheduleInstruction.
    Why: No text says that a container is scheduled only before it runs; it follows from its steps.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING", "progress": 60000},
            waiting("spin")])
        cem("PPBC.ScheduleInstruction", power_sequence_id="#fast")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", id="#one", power_sequence_id="#eco")
        cem("PPBC.ScheduleInstruction", id="#two", power_sequence_id="#fast")
    Do: Schedule it anew only until it starts; to pause it is PPBC.StartInterruptionInstruction.
    """
    progress = progress_of(message.content, conversation)
    if progress.status not in ("EXECUTING", "FINISHED"):
        return
    given, sequence = sequence_of(message, conversation)
    if given is None or sequence is None or not _known(progress, conversation):
        return
    yield Found(
        "/sequence_container_id",
        f"this container is {progress.status} by {_said(progress, message)}",
    )


def _may_run(progress: ContainerProgress, wanted: str) -> bool:
    """Whether the sequence was scheduled last, or the RM says that it is selected."""
    active = progress.status in ("SCHEDULED", "EXECUTING", "INTERRUPTED")
    scheduled = progress.scheduled.content.text("power_sequence_id") if progress.scheduled else None
    return scheduled == wanted or (active and progress.selected in (None, wanted))


def _over(progress: ContainerProgress, wanted: str, conversation: Conversation) -> str:
    """The status by which a sequence is over, if both sides know."""
    if progress.status not in ("FINISHED", "ABORTED") or not _known(progress, conversation):
        return ""
    return progress.status if progress.selected == wanted else ""


def _known(progress: ContainerProgress, conversation: Conversation) -> bool:
    """Whether the CEM knows the last status, and has scheduled nothing since."""
    said, scheduled = progress.said, progress.scheduled
    if said is None or under_way(conversation, said):
        return False
    return scheduled is None or scheduled.number < said.number


def _unsure(message_type: str, conversation: Conversation) -> bool:
    """Whether the CEM may have sent such a message that could not be read, or was not delivered."""
    return Role.CEM in conversation.unreadable or message_type in conversation.undelivered


def _said(progress: ContainerProgress, message: Message) -> str:
    """The message with the last status."""
    return progress.said.name(message.time) if progress.said else ""
