"""Power profile based control: when sequences start, and whether they are finished in time."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import FINAL_STATUSES
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, clock
from s2_mitm.s2.rules.common.profiles import PROFILE, SCHEDULE, duration_of, durations, sequence_of
from s2_mitm.s2.rules.common.references import execution_time
from s2_mitm.s2.rules.common.tolerances import ROUNDING
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted


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
            f"{quoted(sequence.text('id') or '')} takes {duration:.6g} s, until"
            f" {clock(earliest + duration)}, after {clock(end)}, the end_time of"
            f" {given.message.name(message.time)}",
        )


@rule("ppbc.out-of-order", Severity.WARNING, [SCHEDULE], statements=["N28"])
def out_of_order(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled before the one of the container before it is finished.

    The containers are the steps of a profile, one after the other: a washing machine washes before
    it spins.

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
    if before is not None and execution_time(message).latest < end:
        time = message.content.moment("execution_time") or message.time
        yield Found(
            "/execution_time",
            f"{clock(time)} is before {clock(end)}, when the container before is finished by"
            f" {before.name(message.time)}",
        )


@rule("ppbc.pause-too-long", Severity.WARNING, [SCHEDULE])
def pause_too_long(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence is scheduled too long after the one of the container before.

    The device can wait only for some time between two steps: in a washing machine the water gets
    cold.

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
    sequence = sequence_of(message, conversation)[1]
    longest = sequence.number("max_pause_before") if sequence else None
    if longest is None:
        return
    before, end = _before(message, conversation)
    pause = execution_time(message).earliest - end
    if before is not None and pause > longest / 1000 + ROUNDING:
        yield Found(
            "/execution_time",
            f"{pause:.6g} s after {clock(end)}, when the container before is finished by"
            f" {before.name(message.time)}; max_pause_before is {longest / 1000:.6g} s",
        )


@rule("ppbc.window-too-short", Severity.WARNING, [PROFILE], statements=["N26"], alone=True)
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
        min(durations(container.parts("power_sequences")), default=0.0)
        for container in message.content.parts("power_sequences_containers")
    )
    if needed > end - start:
        yield Found(
            "/end_time",
            f"{clock(end)} is {end - start:.6g} s after start_time, but the shortest sequences"
            f" take {needed:.6g} s",
        )


def _before(message: Message, conversation: Conversation) -> tuple[Message | None, float]:
    """What has scheduled the container before that of an instruction, and when that is finished.

    None where it was not scheduled, or need not go as it was scheduled.
    """
    given, sequence = sequence_of(message, conversation)
    profile, container = message.content.text("power_profile_id"), None
    if given is None or sequence is None or profile is None:
        return None, 0.0
    for name in given.containers:
        if name == message.content.text("sequence_container_id"):
            break
        container = name
    if container is None:
        return None, 0.0
    progress = conversation.progress.get((profile, container))
    if progress is None or progress.scheduled is None or progress.interrupted is not None:
        return None, 0.0
    if progress.status not in (None, "NOT_SCHEDULED", "SCHEDULED"):
        return None, 0.0
    scheduled = progress.scheduled
    instruction = conversation.instructions.get(scheduled.content.text("id") or "")
    if instruction is None or instruction.message.number != scheduled.number:
        return None, 0.0
    if instruction.refused or instruction.revoked or instruction.status in FINAL_STATUSES:
        return None, 0.0
    chosen = given.containers[container].get(scheduled.content.text("power_sequence_id") or "")
    duration = duration_of(chosen) if chosen else None
    start = scheduled.content.moment("execution_time")
    if duration is None or start is None:
        return None, 0.0
    return scheduled, max(start, scheduled.time) + duration
