"""Power profile based control: when sequences start, and whether they are finished in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import ContainerProgress, duration_of
from s2_mitm.s2.rules.common.crossing import under_way
from s2_mitm.s2.rules.common.profiles import (
    END,
    PROFILE,
    SCHEDULE,
    START,
    durations,
    in_force,
    progress_of,
    sequence_of,
)
from s2_mitm.s2.rules.common.references import execution_time
from s2_mitm.s2.rules.common.tolerances import CLOCKS, ROUNDING
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import short_id


@rule("ppbc.too-early", Severity.ERROR, [SCHEDULE])
def too_early(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled before the power profile can start.

    The device cannot begin then: it is not loaded yet, or the user does not want it. Clocks may
    differ by a minute.

    Where: PPBC.PowerProfileDefinition: start_time; PPBC.ScheduleInstruction: execution_time.
    Why: It is the first time at which a sequence can start, by the RM itself.
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
    given, time = sequence_of(message, conversation)[0], message.content.moment("execution_time")
    if given is None or time is None:
        return
    start, end = given.content.moment("start_time"), given.valid_until
    if end is not None and start is not None and execution_time(message).latest < start <= end:
        yield Found(
            "/execution_time",
            f"{clock(time)} is before {clock(start)}, the start_time of"
            f" {given.message.name(message.time)}",
        )


@rule("ppbc.too-late", Severity.ERROR, [SCHEDULE], statements=["N26"])
def too_late(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled so late that it cannot be finished in time.

    The user gets the result too late. The duration of a sequence is the sum of those of its
    elements.

    Where: PPBC.PowerProfileDefinition: end_time; PPBC.ScheduleInstruction: execution_time.
    Why: The last sequence shall be finished by then.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(7000))
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(6000))
    Do: Schedule so that execution_time and the duration end before end_time.
    """
    given, sequence = sequence_of(message, conversation)
    if given is None or sequence is None or message.content.moment("execution_time") is None:
        return
    end, duration = given.valid_until, duration_of(sequence)
    if end is None or duration is None or duration > end - given.valid_from:
        return  # then it is the profile that is wrong
    earliest = execution_time(message).earliest
    if earliest + duration > end + ROUNDING:
        yield Found(
            "/execution_time",
            f"{short_id(sequence.text('id') or '')} takes {duration:.6g} s, until"
            f" {clock(earliest + duration)}, after {clock(end)}, the end_time of"
            f" {given.message.name(message.time)}",
        )


@rule("ppbc.rest-too-late", Severity.WARNING, [SCHEDULE, END], statements=["N26"])
def rest_too_late(message: Message, conversation: Conversation) -> Iterator[Found]:
    """After a sequence there is not enough time for the rest of the power profile.

    The sequence is scheduled, or continued after an interruption, so late that the profile is not
    finished by its end_time, even with the shortest of the sequences that follow.

    Where: PPBC.PowerProfileDefinition: end_time and power_sequences_containers.
    Why: The last sequence shall be finished by then; whether every container must run is not said.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(6400))
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(6000))
    Do: Add the shortest durations of the containers that follow when you look for a time.
    """
    given, sequence = sequence_of(message, conversation)
    if given is None or sequence is None or message.content.moment("execution_time") is None:
        return
    end, whole = given.valid_until, duration_of(sequence)
    rest = given.shortest_after.get(message.content.text("sequence_container_id") or "")
    if end is None or whole is None or rest is None:
        return
    first, sequences = next(iter(given.containers.items()))
    if min(durations(sequences.values())) + given.shortest_after[first] > end - given.valid_from:
        return  # then it is the profile that is wrong
    left = whole if message.message_type == SCHEDULE else _left(message, conversation, whole)
    if left is None:
        return
    done = execution_time(message).earliest + left
    if message.message_type == SCHEDULE and done > end + ROUNDING:
        return  # ppbc.too-late reports that
    if done + rest > end + ROUNDING:
        after = f" and {rest:.6g} s of what follows" if rest else ""
        yield Found(
            "/execution_time",
            f"{left:.6g} s of {short_id(sequence.text('id') or '')}{after} last until"
            f" {clock(done + rest)}, after {clock(end)}, the end_time of"
            f" {given.message.name(message.time)}",
        )


def _left(message: Message, conversation: Conversation, whole: float) -> float | None:
    """How many seconds an interrupted sequence takes at least when it goes on."""
    progress = progress_of(message.content, conversation)
    if progress.status != "INTERRUPTED" or progress.progress is None:
        return None
    return max(0.0, whole - progress.progress)


@rule("ppbc.interruption-time", Severity.WARNING, [START, END])
def interruption_time(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An interruption begins before its sequence or after it, or ends before it begins.

    There is nothing to interrupt, or to continue, at that time. Clocks may differ by a minute.

    Where: PPBC.StartInterruptionInstruction, PPBC.EndInterruptionInstruction and
    PPBC.ScheduleInstruction: execution_time.
    Why: No text says that these times must fit; it follows from what the instructions mean.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(3600))
        cem("PPBC.StartInterruptionInstruction", execution_time=at(1800))
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(3600))
        cem("PPBC.StartInterruptionInstruction", execution_time=at(3900))
    Do: Interrupt between the start of the sequence and its end, and continue it after that.
    """
    given, sequence = sequence_of(message, conversation)
    asked = message.content.moment("execution_time")
    if given is None or sequence is None or asked is None:
        return
    progress, wanted = progress_of(message.content, conversation), sequence.text("id")
    time = execution_time(message)
    if message.message_type == END:
        begun = progress.interrupted
        if begun is None or begun.content.text("power_sequence_id") != wanted:
            return
        since = begun.content.moment("execution_time")
        if since is not None and time.latest < since:
            yield Found(
                "/execution_time",
                f"{clock(asked)} is before {clock(since)}, when {begun.name(message.time)}"
                " interrupts the sequence",
            )
        return
    if progress.status == "EXECUTING" and progress.selected == wanted:
        said, over = _finished(progress, {wanted or "": sequence}, conversation)
        if said is not None and time.earliest > over + CLOCKS:
            yield Found(
                "/execution_time",
                f"{clock(asked)} is after {clock(over)}, when the sequence that runs is finished by"
                f" {said.name(message.time)}",
            )
        return
    scheduled = in_force(progress.scheduled, conversation)
    if scheduled is None or scheduled.content.text("power_sequence_id") != wanted:
        return
    start, duration = scheduled.content.moment("execution_time"), duration_of(sequence)
    if start is None or progress.status not in (None, "NOT_SCHEDULED", "SCHEDULED"):
        return
    start = max(start, scheduled.time)
    if time.latest < start:
        yield Found(
            "/execution_time",
            f"{clock(asked)} is before {clock(start)}, when the sequence starts by"
            f" {scheduled.name(message.time)}",
        )
        return
    end = None if duration is None or progress.interrupted else start + duration
    if end is not None and time.earliest > end + CLOCKS:
        yield Found(
            "/execution_time",
            f"{clock(asked)} is after {clock(end)}, when the sequence is finished by"
            f" {scheduled.name(message.time)}",
        )


def _finished_by(before: Message) -> str:
    """How it is known when a container is finished, for what says so to follow."""
    if before.message_type == SCHEDULE:
        return "would be finished, as scheduled by"
    return "is finished by"


@rule("ppbc.out-of-order", Severity.WARNING, [SCHEDULE], statements=["N28"])
def out_of_order(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled before the one of the container before it is finished.

    The containers are the steps of a profile, one after the other: a washing machine washes before
    it spins.

    Where: PPBC.PowerProfileDefinition: power_sequences_containers.
    Why: The containers stand in chronological order; that their sequences do not overlap is not
    said.
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
    if before is not None and execution_time(message).latest < end:
        time = message.content.moment("execution_time") or message.time
        yield Found(
            "/execution_time",
            f"{clock(time)} is before {clock(end)}, when the container before"
            f" {_finished_by(before)} {before.name(message.time)}",
        )


@rule("ppbc.pause-too-long", Severity.WARNING, [SCHEDULE])
def pause_too_long(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled too long after the one of the container before.

    The device can wait only for some time between two steps: in a washing machine the water gets
    cold.

    Where: PPBC.PowerSequence: max_pause_before.
    Why: The text says how long the device can wait, but not that the CEM must not exceed it.
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
    sequence = sequence_of(message, conversation)[1]
    longest = sequence.number("max_pause_before") if sequence else None
    if longest is None:
        return
    before, end = _before(message, conversation)
    pause = execution_time(message).earliest - end
    if before is not None and pause > longest / 1000 + ROUNDING:
        yield Found(
            "/execution_time",
            f"{pause:.6g} s after {clock(end)}, when the container before"
            f" {_finished_by(before)} {before.name(message.time)};"
            f" max_pause_before is {longest / 1000:.6g} s",
        )


@rule("ppbc.window-too-short", Severity.WARNING, [PROFILE], alone=True)
def window_too_short(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A power profile cannot be finished between its start and its end.

    Even the shortest sequences, one after the other, take longer; whatever the CEM schedules, the
    last is finished too late.

    Where: PPBC.PowerProfileDefinition: start_time and end_time; PPBC.PowerSequenceElement:
    duration.
    Why: The last sequence shall be finished by end_time; that it can be, no text demands of the RM.
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
        min(durations(container.parts("power_sequences")), default=0.0)
        for container in message.content.parts("power_sequences_containers")
    )
    if needed > end - start + ROUNDING:
        yield Found(
            "/end_time",
            f"{clock(end)} is {end - start:.6g} s after start_time, but the shortest sequences"
            f" take {needed:.6g} s",
        )


def _before(message: Message, conversation: Conversation) -> tuple[Message | None, float]:
    """What says when the sequence before that of an instruction is finished, and when that is.

    None where nothing was scheduled before, or where it need not go as it was scheduled.
    """
    given, sequence = sequence_of(message, conversation)
    profile, containers = message.content.text("power_profile_id"), []
    if given is None or sequence is None or profile is None:
        return None, 0.0
    for name in given.containers:
        if name == message.content.text("sequence_container_id"):
            break
        containers.append(name)
    for container in reversed(containers):
        progress = conversation.progress.get((profile, container))
        if progress is None or (
            progress.scheduled is None and progress.status not in ("EXECUTING", "FINISHED")
        ):
            continue
        return _finished(progress, given.containers[container], conversation)
    return None, 0.0


def _finished(
    progress: ContainerProgress, sequences: Mapping[str, Part], conversation: Conversation
) -> tuple[Message | None, float]:
    """What says when a container is finished, or was at the latest, and when that is."""
    if progress.status == "FINISHED":
        said, scheduled = progress.finished, progress.scheduled
        if said is None or under_way(conversation, said):
            return None, 0.0
        anew = scheduled is not None and scheduled.number > said.number
        return (None, 0.0) if anew else (said, said.time)
    if progress.interrupted is not None or progress.paused:
        return None, 0.0
    if progress.status == "EXECUTING":
        said, chosen = progress.said, sequences.get(progress.selected or "")
        duration = duration_of(chosen) if chosen else None
        if said is None or duration is None or under_way(conversation, said):
            return None, 0.0
        return said, said.time + max(0.0, duration - (progress.progress or 0.0))
    scheduled = in_force(progress.scheduled, conversation)
    if scheduled is None or progress.status not in (None, "NOT_SCHEDULED", "SCHEDULED"):
        return None, 0.0
    chosen = sequences.get(scheduled.content.text("power_sequence_id") or "")
    duration = duration_of(chosen) if chosen else None
    start = scheduled.content.moment("execution_time")
    if duration is None or start is None:
        return None, 0.0
    return scheduled, max(start, scheduled.time) + duration
