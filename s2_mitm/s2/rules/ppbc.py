"""Power profile based control: profiles, their sequences, and when they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import Course, Given
from s2_mitm.s2.rules.common.references import (
    FEW,
    Fault,
    Reference,
    each,
    execution,
    named,
    once,
    refer,
)
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted

if TYPE_CHECKING:
    from s2_mitm.s2.conversation.judging import Conversation

PROFILE = "PPBC.PowerProfileDefinition"
STATUS = "PPBC.PowerProfileStatus"
SCHEDULE = "PPBC.ScheduleInstruction"
START = "PPBC.StartInterruptionInstruction"
END = "PPBC.EndInterruptionInstruction"
INSTRUCTIONS = (SCHEDULE, START, END)
FIELD = "power_profile_id"
REFERRING = (*INSTRUCTIONS, STATUS)

OVER = frozenset({"REJECTED", "REVOKED", "ABORTED", "SUCCEEDED"})
"""The statuses of an instruction that no longer says what will happen."""


@rule("ppbc.no-profile", Severity.ERROR, REFERRING)
def no_profile(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A power profile is referred to before the RM has given any.

    Its receiver cannot know what is meant. It is said once until there is a profile.

    Where: power_profile_id, the id of a PPBC.PowerProfileDefinition.
    Wrong:
        begin()
        select("PPBC")
        cem("PPBC.ScheduleInstruction")
    Right:
        begin()
        select("PPBC")
        rm("PPBC.PowerProfileDefinition")
        cem("PPBC.ScheduleInstruction")
    Do: The RM gives the profile first; the CEM waits for it.
    """
    for part, reference in _referring(message, conversation):
        yield from once(conversation, "ppbc.no-profile", reference, Fault.NONE_GIVEN, part, FIELD)


@rule("ppbc.unknown-profile", Severity.ERROR, REFERRING)
def unknown_profile(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A power profile is referred to that nobody gave.

    Its receiver cannot know what is meant, and refuses the message or ignores it.

    Where: power_profile_id, the id of a PPBC.PowerProfileDefinition.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", power_profile_id="#typo")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", power_profile_id="#profile")
    Do: Take the id of the PPBC.PowerProfileDefinition, not its message_id.
    """
    unknown = (
        found
        for part, reference in _referring(message, conversation)
        for found in each(reference, Fault.UNKNOWN, part, FIELD)
    )
    yield from islice(unknown, FEW)


@rule("ppbc.profile-not-in-force", Severity.ERROR, INSTRUCTIONS)
def profile_not_in_force(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction for a power profile that the RM has revoked.

    The device will not run it any more.

    Where: RevokeObject, once it was answered.
    Wrong:
        begin("PPBC")
        rm("RevokeObject", object_type="PPBC.PowerProfileDefinition", object_id="#profile")
        cem("PPBC.ScheduleInstruction")
    Right:
        begin("PPBC")
        rm("RevokeObject", object_type="PPBC.PowerProfileDefinition", object_id="#profile")
        rm("PPBC.PowerProfileDefinition", id="#newer")
        cem("PPBC.ScheduleInstruction", power_profile_id="#newer")
    Do: Forget the schedule of a profile when it is revoked.
    """
    for part, reference in _referring(message, conversation):
        yield from each(reference, Fault.NOT_IN_FORCE, part, FIELD)


@rule("ppbc.profile-refused", Severity.ERROR, INSTRUCTIONS)
def profile_refused(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction for a power profile that the CEM itself has refused.

    What its receiver did not accept is not in force: the RM does not expect to be instructed. It
    is said once until something in force is referred to.

    Where: ReceptionStatus.status of the PPBC.PowerProfileDefinition.
    Wrong:
        begin()
        select("PPBC")
        rm("PPBC.PowerProfileDefinition", answer="TEMPORARY_ERROR")
        cem("PPBC.ScheduleInstruction")
    Right:
        begin()
        select("PPBC")
        rm("PPBC.PowerProfileDefinition", answer="OK")
        cem("PPBC.ScheduleInstruction")
    Do: Answer with OK what you mean to use; the RM sends again what was refused.
    """
    for part, reference in _referring(message, conversation):
        yield from once(conversation, "ppbc.profile-refused", reference, Fault.REFUSED, part, FIELD)


@rule("ppbc.cannot-check", Severity.INFO, REFERRING)
def cannot_check(message: Message, conversation: Conversation) -> Iterator[Found]:
    """It cannot be told whether a reference to a power profile is right.

    The profile was given before the beginning that we know of, or the last that was given was
    refused or is not valid. It is said once until it can be told again.

    Where: nothing need be wrong with the message.
    Wrong:
        begin()
        select("PPBC")
        rm("PPBC.PowerProfileDefinition", answer="TEMPORARY_ERROR")
        cem("PPBC.ScheduleInstruction", power_profile_id="#other")
    Right:
        begin()
        select("PPBC")
        rm("PPBC.PowerProfileDefinition", answer="TEMPORARY_ERROR")
        rm("PPBC.PowerProfileDefinition", id="#other")
        cem("PPBC.ScheduleInstruction", power_profile_id="#other")
    Do: See what is said of the PPBC.PowerProfileDefinition, if we have it.
    """
    for part, reference in _referring(message, conversation):
        given = reference.given
        if given is not None and not given.message.valid:
            container = part.text("sequence_container_id")
            if container is not None and container not in given.containers:
                text = (
                    f"{given.message.name(message.time)} is not valid; containers are not checked"
                )
                reference = Reference(None, Fault.UNSURE, text)
        yield from once(conversation, "ppbc.cannot-check", reference, Fault.UNSURE, part, FIELD)


@rule("ppbc.unknown-container", Severity.ERROR, REFERRING)
def unknown_container(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A container is referred to that the power profile does not have.

    Its receiver cannot know which step of the profile is meant.

    Where: sequence_container_id, the id of a container in the PPBC.PowerProfileDefinition.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", sequence_container_id="#typo")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", sequence_container_id="#wash")
    Do: Take the id from power_sequences_containers of the profile with power_profile_id.
    """
    unknown = (
        (part, given, container)
        for part, (given, *_) in _referring(message, conversation)
        if given is not None
        and given.message.valid
        and (container := part.text("sequence_container_id")) is not None
        and container not in given.containers
    )
    for part, given, container in islice(unknown, FEW):
        yield Found(
            part.at("sequence_container_id"),
            f"{quoted(container)} is not a container of {given.message.name(message.time)};"
            f" known: {named(iter(given.containers))}",
        )


@rule("ppbc.unknown-sequence", Severity.ERROR, REFERRING)
def unknown_sequence(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A power sequence is referred to that the container does not have.

    Its receiver cannot know which of the alternatives is meant.

    Where: power_sequence_id of an instruction and selected_sequence_id of a status, the id of a
    sequence in the container with sequence_container_id.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", sequence_container_id="#wash", power_sequence_id="#slow")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", sequence_container_id="#spin", power_sequence_id="#slow")
    Do: Take the id from power_sequences of that container.
    """
    name = "selected_sequence_id" if message.message_type == STATUS else "power_sequence_id"
    unknown = (
        (part, given, sequences, sequence)
        for part, (given, *_) in _referring(message, conversation)
        if given is not None
        and given.message.valid
        and (sequence := part.text(name)) is not None
        and (sequences := given.containers.get(part.text("sequence_container_id") or ""))
        and sequence not in sequences
    )
    for part, given, sequences, sequence in islice(unknown, FEW):
        yield Found(
            part.at(name),
            f"{quoted(sequence)} is not a sequence of that container in"
            f" {given.message.name(message.time)}; known: {named(iter(sequences))}",
        )


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
    given, sequence = _sequence(message, conversation)
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
    given, sequence = _sequence(message, conversation)
    if given is not None and sequence and sequence.flag("is_interruptible") is False:
        yield Found(
            "/power_sequence_id",
            f"{quoted(sequence.text('id') or '')} is not interruptible, by"
            f" {given.message.name(message.time)}",
        )


@rule("ppbc.not-scheduled", Severity.WARNING, [START])
def not_scheduled(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is interrupted that was not scheduled, and that is not said to run.

    There is nothing to interrupt, or another sequence of the container runs.

    Where: PPBC.ScheduleInstruction, and the status and selected_sequence_id that the RM tells in
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
    given, sequence = _sequence(message, conversation)
    course = _course(message.content, conversation)
    if given is None or sequence is None or _may_run(course, message.content):
        return
    wanted = quoted(sequence.text("id") or "")
    why = "nothing was scheduled"
    if course.scheduled is not None:
        other = quoted(course.scheduled.content.text("power_sequence_id") or "")
        why = f"{course.scheduled.name(message.time)} schedules {other}"
    yield Found("/power_sequence_id", f"{wanted} was not scheduled: {why}")


@rule("ppbc.not-interrupted", Severity.INFO, [END])
def not_interrupted(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The end of an interruption that was not seen to begin.

    The sequence runs on as it does; the CEM and the RM may see its state differently.

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
    given, sequence = _sequence(message, conversation)
    course = _course(message.content, conversation)
    if given is None or sequence is None:
        return
    if course.interrupted is None and course.status != "INTERRUPTED":
        wanted = quoted(sequence.text("id") or "")
        yield Found("/power_sequence_id", f"no interruption of {wanted} was seen to begin")


@rule("ppbc.too-early", Severity.ERROR, [SCHEDULE])
def too_early(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled before the power profile can start.

    The device cannot begin then: it is not loaded yet, or the user does not want it.

    Where: PPBC.PowerProfileDefinition.start_time, the first possible time. Clocks may differ by a
    minute.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileDefinition", id="#tonight", start_time=at(3600))
        cem("PPBC.ScheduleInstruction", power_profile_id="#tonight", execution_time=at(1800))
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileDefinition", id="#tonight", start_time=at(3600))
        cem("PPBC.ScheduleInstruction", power_profile_id="#tonight", execution_time=at(3600))
    Do: Schedule between start_time and end_time.
    """
    given, time = _sequence(message, conversation)[0], message.content.moment("execution_time")
    if given is None or time is None:
        return
    start, end = given.content.moment("start_time"), given.valid_until
    if end is not None and start is not None and execution(message).latest < start <= end:
        yield Found(
            "/execution_time",
            f"{clock(time)} is before {clock(start)}, the start_time of"
            f" {given.message.name(message.time)}",
        )


@rule("ppbc.too-late", Severity.ERROR, [SCHEDULE], statements=["N26"])
def too_late(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled so late that it cannot be finished in time.

    The user finds the laundry wet. The durations of the sequence's elements are added up.

    Where: PPBC.PowerProfileDefinition.end_time, when the last sequence shall be finished at the
    latest (N26).
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(7000))
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(6600))
    Do: Schedule so that execution_time and the duration end before end_time.
    """
    given, sequence = _sequence(message, conversation)
    if given is None or sequence is None or message.content.moment("execution_time") is None:
        return
    end, duration = given.valid_until, _duration(sequence)
    if end is None or duration is None or duration > end - given.valid_from:
        return  # then it is the profile that is wrong
    earliest = execution(message).earliest
    if earliest + duration > end + 1:
        yield Found(
            "/execution_time",
            f"{quoted(sequence.text('id') or '')} takes {duration:.6g} s, until"
            f" {clock(earliest + duration)}, after {clock(end)}, the end_time of"
            f" {given.message.name(message.time)}",
        )


@rule("ppbc.out-of-order", Severity.WARNING, [SCHEDULE], statements=["N28"])
def out_of_order(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled before the one of the container before it is finished.

    The containers are the steps of a profile, and one follows the other; the laundry is not spun
    before it is washed.

    Where: the containers of a profile are in chronological order (N28).
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(3600))
        cem("PPBC.ScheduleInstruction", id="#then", sequence_container_id="#spin",
            power_sequence_id="#slow", execution_time=at(1800))
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(1800))
        cem("PPBC.ScheduleInstruction", id="#then", sequence_container_id="#spin",
            power_sequence_id="#slow", execution_time=at(3600))
    Do: Schedule the containers in their order, each after the one before; when all are moved to
    an earlier time, move the first one first.
    """
    before, end = _before(message, conversation)
    if before is not None and execution(message).latest < end:
        time = message.content.moment("execution_time") or message.time
        yield Found(
            "/execution_time",
            f"{clock(time)} is before {clock(end)}, when the container before is finished by"
            f" {before.name(message.time)}",
        )


@rule("ppbc.pause-too-long", Severity.WARNING, [SCHEDULE])
def pause_too_long(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled too long after the one of the container before.

    The device can wait between two steps only so long: the water gets cold.

    Where: PPBC.PowerSequence.max_pause_before, from the end of the sequence before to the start of
    this one.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileDefinition", id="#brisk", power_sequences_containers=[
            container("wash"), container("spin", sequence("slow", max_pause_before=600000))])
        cem("PPBC.ScheduleInstruction", power_profile_id="#brisk", execution_time=at(600))
        cem("PPBC.ScheduleInstruction", power_profile_id="#brisk", id="#then",
            sequence_container_id="#spin", power_sequence_id="#slow", execution_time=at(3600))
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileDefinition", id="#brisk", power_sequences_containers=[
            container("wash"), container("spin", sequence("slow", max_pause_before=600000))])
        cem("PPBC.ScheduleInstruction", power_profile_id="#brisk", execution_time=at(600))
        cem("PPBC.ScheduleInstruction", power_profile_id="#brisk", id="#then",
            sequence_container_id="#spin", power_sequence_id="#slow", execution_time=at(1800))
    Do: Schedule it within max_pause_before after the end of the one before.
    """
    sequence = _sequence(message, conversation)[1]
    longest = sequence.number("max_pause_before") if sequence else None
    if longest is None:
        return
    before, end = _before(message, conversation)
    pause = execution(message).earliest - end
    if before is not None and pause > longest / 1000 + 1:
        yield Found(
            "/execution_time",
            f"{pause:.6g} s after {clock(end)}, when the container before is finished by"
            f" {before.name(message.time)}; max_pause_before is {longest / 1000:.6g} s",
        )


@rule("ppbc.progress-missing", Severity.ERROR, [STATUS], statements=["N63"])
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


@rule("ppbc.selection-missing", Severity.WARNING, [STATUS])
def selection_missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A container is said to have a sequence scheduled or running, but not which.

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


@rule("ppbc.quantity-twice", Severity.WARNING, [PROFILE], statements=["N64"])
def quantity_twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An element of a sequence has two values for the same quantity.

    The CEM cannot tell which is meant; some add them up.

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
                seen: set[str] = set()
                for value in element.parts("power_values"):
                    quantity = value.text("commodity_quantity")
                    if quantity is None:
                        continue
                    if quantity in seen:
                        place = value.at("commodity_quantity")
                        yield Found(
                            place, f"{quoted(quantity)} has a value in {element.path} already"
                        )
                    seen.add(quantity)


@rule("ppbc.window-too-short", Severity.WARNING, [PROFILE], statements=["N26"])
def window_too_short(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A power profile cannot be finished between its start and its end.

    Even the shortest sequences, one after the other, take longer; whatever the CEM schedules, the
    last is finished too late.

    Where: start_time and end_time, when the last sequence shall be finished at the latest (N26).
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileDefinition", id="#brief", end_time=at(600))
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileDefinition", id="#brief", end_time=at(1200))
    Do: Look at the durations (milliseconds) and at the end_time that the user has chosen.
    """
    start, end = message.content.moment("start_time"), message.content.moment("end_time")
    if start is None or end is None or end <= start or not message.valid:
        return
    needed = sum(
        min(_durations(container.parts("power_sequences")), default=0.0)
        for container in message.content.parts("power_sequences_containers")
    )
    if needed > end - start:
        yield Found(
            "/end_time",
            f"{clock(end)} is {end - start:.6g} s after start_time, but the shortest sequences"
            f" take {needed:.6g} s",
        )


def _referring(message: Message, conversation: Conversation) -> Iterator[tuple[Part, Reference]]:
    """What refers to a power profile in a message, and what that came to."""
    if message.message_type != STATUS:
        yield message.content, refer(conversation, message, PROFILE, message.content, FIELD)
        return
    for part in message.content.parts("sequence_container_status"):
        yield part, refer(conversation, message, PROFILE, part, FIELD)


def _sequence(message: Message, conversation: Conversation) -> tuple[Given | None, Part | None]:
    """The profile and the sequence that an instruction is about, if they are known."""
    given = refer(conversation, message, PROFILE, message.content, FIELD).given
    if given is None:
        return None, None
    container = given.containers.get(message.content.text("sequence_container_id") or "", {})
    return given, container.get(message.content.text("power_sequence_id") or "")


def _course(part: Part, conversation: Conversation) -> Course:
    key = part.text("power_profile_id") or "", part.text("sequence_container_id") or ""
    return conversation.courses.get(key) or Course()


def _may_run(course: Course, part: Part) -> bool:
    """Whether the sequence was scheduled last, or the RM says that it is selected."""
    wanted = part.text("power_sequence_id")
    active = course.status in ("SCHEDULED", "EXECUTING", "INTERRUPTED")
    scheduled = course.scheduled.content.text("power_sequence_id") if course.scheduled else None
    return scheduled == wanted or (active and course.selected in (None, wanted))


def _before(message: Message, conversation: Conversation) -> tuple[Message | None, float]:
    """What has scheduled the container before that of an instruction, and when that is finished.

    None where it was not scheduled, or need not go as it was scheduled.
    """
    given, sequence = _sequence(message, conversation)
    profile, container = message.content.text("power_profile_id"), None
    if given is None or sequence is None or profile is None:
        return None, 0.0
    for name in given.containers:
        if name == message.content.text("sequence_container_id"):
            break
        container = name
    if container is None:
        return None, 0.0
    course = conversation.courses.get((profile, container))
    if course is None or course.scheduled is None or course.interrupted is not None:
        return None, 0.0
    if course.status not in (None, "NOT_SCHEDULED", "SCHEDULED"):
        return None, 0.0
    scheduled = course.scheduled
    instruction = conversation.instructions.get(scheduled.content.text("id") or "")
    if instruction is None or instruction.message.number != scheduled.number:
        return None, 0.0
    if instruction.refused or instruction.revoked or instruction.status in OVER:
        return None, 0.0
    chosen = given.containers[container].get(scheduled.content.text("power_sequence_id") or "")
    duration = _duration(chosen) if chosen else None
    start = scheduled.content.moment("execution_time")
    if duration is None or start is None:
        return None, 0.0
    return scheduled, max(start, scheduled.time) + duration


def _duration(sequence: Part) -> float | None:
    """How long a sequence takes, in seconds; None where that cannot be read."""
    total = 0.0
    for element in sequence.parts("elements"):
        duration = element.number("duration")
        if duration is None:
            return None
        total += duration / 1000
    return total


def _durations(sequences: Iterable[Part]) -> Iterator[float]:
    """How long each sequence takes."""
    return (duration for sequence in sequences if (duration := _duration(sequence)) is not None)
