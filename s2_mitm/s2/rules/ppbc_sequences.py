"""Power profile based control: which sequence of a container runs, and how."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import ContainerProgress
from s2_mitm.s2.rules.common.profiles import END, PROFILE, SCHEDULE, START, STATUS, sequence_of
from s2_mitm.s2.rules.common.references import FEW
from s2_mitm.s2.rules.common.repeated import repeated
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted


@rule("ppbc.abnormal-sequence", Severity.ERROR, [SCHEDULE], statements=["N61"])
def abnormal_sequence(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled that is for abnormal conditions only.

    The RM keeps it for an emergency in the grid, and refuses it otherwise.

    Where: PPBC.PowerSequence.abnormal_condition_only (N61) and
    PPBC.ScheduleInstruction.abnormal_condition.
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
            f"{quoted(sequence.text('id') or '')} needs abnormal_condition to be true: it is for"
            f" abnormal conditions only, by {given.message.name(message.time)}",
        )


@rule("ppbc.not-interruptible", Severity.ERROR, [START])
def not_interruptible(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is interrupted that cannot be.

    The device has to finish it once it has begun; the RM refuses.

    Where: PPBC.PowerSequence.is_interruptible.
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
            f"{quoted(sequence.text('id') or '')} is not interruptible, by"
            f" {given.message.name(message.time)}",
        )


@rule("ppbc.not-scheduled", Severity.WARNING, [START])
def not_scheduled(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is interrupted that was not scheduled, nor reported as running.

    There is nothing to interrupt, or another sequence of the container runs.

    Where: PPBC.ScheduleInstruction, and the status and selected_sequence_id that the RM reports in
    PPBC.PowerProfileStatus.
    Wrong:
        begin("PPBC")
        cem("PPBC.StartInterruptionInstruction")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction")
        cem("PPBC.StartInterruptionInstruction")
    Do: Interrupt the sequence that you scheduled.
    """
    given, sequence = sequence_of(message, conversation)
    progress = _progress_of(message.content, conversation)
    if given is None or sequence is None or _may_run(progress, message.content):
        return
    wanted = quoted(sequence.text("id") or "")
    why = "nothing was scheduled"
    if progress.scheduled is not None:
        other = quoted(progress.scheduled.content.text("power_sequence_id") or "")
        why = f"{progress.scheduled.name(message.time)} schedules {other}"
    yield Found("/power_sequence_id", f"{wanted} was not scheduled: {why}")


@rule("ppbc.not-interrupted", Severity.INFO, [END])
def not_interrupted(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The end of an interruption that was not seen to begin.

    The sequence keeps running; the CEM and the RM may not agree on its state.

    Where: PPBC.StartInterruptionInstruction, and the status INTERRUPTED in
    PPBC.PowerProfileStatus.
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
    progress = _progress_of(message.content, conversation)
    if given is None or sequence is None:
        return
    if progress.interrupted is None and progress.status != "INTERRUPTED":
        wanted = quoted(sequence.text("id") or "")
        yield Found("/power_sequence_id", f"no interruption of {wanted} was seen to begin")


@rule("ppbc.progress-missing", Severity.ERROR, [STATUS], statements=["N63"], alone=True)
def progress_missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence that has started has no progress.

    The CEM cannot tell how long it still takes.

    Where: progress must be provided unless no sequence was selected or it has not started (N63).
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING"}])
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING", "progress": 60000}])
    Do: Send the milliseconds since the sequence has started, 0 at the very beginning.
    """
    missing = (
        part
        for part in message.content.parts("sequence_container_status")
        if part.text("status") in ("EXECUTING", "INTERRUPTED", "FINISHED")
        and part.has("selected_sequence_id")
        and not part.has("progress")
    )
    for part in islice(missing, FEW):
        yield Found(
            part.path, f"no progress, but the status is {quoted(part.text('status') or '')}"
        )


@rule("ppbc.selection-missing", Severity.WARNING, [STATUS], alone=True)
def selection_missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status says that a sequence is scheduled or has run, but not which.

    Without selected_sequence_id no sequence was selected yet, and then none is scheduled.

    Where: PPBC.PowerSequenceContainerStatus.selected_sequence_id and status.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "status": "SCHEDULED"}])
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "SCHEDULED"}])
    Do: Name the sequence, or say NOT_SCHEDULED.
    """
    missing = (
        part
        for part in message.content.parts("sequence_container_status")
        if part.text("status") in ("SCHEDULED", "EXECUTING", "INTERRUPTED", "FINISHED")
        and not part.has("selected_sequence_id")
    )
    for part in islice(missing, FEW):
        status = quoted(part.text("status") or "")
        yield Found(part.path, f"no selected_sequence_id, but the status is {status}")


@rule("ppbc.quantity-twice", Severity.WARNING, [PROFILE], statements=["N64"], alone=True)
def quantity_twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An element of a sequence has two values for the same quantity.

    The CEM cannot tell which is meant; some CEMs add them.

    Where: power_values should have at most one value for each commodity_quantity (N64).
    Wrong:
        begin("PPBC")
        value = {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 2000}
        rm("PPBC.PowerProfileDefinition", id="#newer", power_sequences_containers=[container("wash",
            sequence("eco", elements=[{"duration": 600000, "power_values": [value, value]}]))])
    Right:
        begin("PPBC")
        value = {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 2000}
        rm("PPBC.PowerProfileDefinition", id="#newer", power_sequences_containers=[container("wash",
            sequence("eco", elements=[{"duration": 600000, "power_values": [value]}]))])
    Do: Send one value for each phase, or one for all three together.
    """
    yield from islice(_twice(message.content), FEW)


def _twice(content: Part) -> Iterator[Found]:
    for container in content.parts("power_sequences_containers"):
        for sequence in container.parts("power_sequences"):
            for element in sequence.parts("elements"):
                values = element.parts("power_values")
                for value, _, quantity in repeated(values, "commodity_quantity"):
                    text = f"{quoted(quantity)} has a value in {element.path} already"
                    yield Found(value.at("commodity_quantity"), text)


def _progress_of(part: Part, conversation: Conversation) -> ContainerProgress:
    key = part.text("power_profile_id") or "", part.text("sequence_container_id") or ""
    return conversation.progress.get(key) or ContainerProgress()


def _may_run(progress: ContainerProgress, part: Part) -> bool:
    """Whether the sequence was scheduled last, or the RM says that it is selected."""
    wanted = part.text("power_sequence_id")
    active = progress.status in ("SCHEDULED", "EXECUTING", "INTERRUPTED")
    scheduled = progress.scheduled.content.text("power_sequence_id") if progress.scheduled else None
    return scheduled == wanted or (active and progress.selected in (None, wanted))
