"""Power profile based control: how far the sequences have come, as the RM says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Description, duration_of
from s2_mitm.s2.rules.common.profiles import (
    RUNNING,
    STARTED,
    STATUS,
    progress_of,
    referring_parts,
)
from s2_mitm.s2.rules.common.references import FEW
from s2_mitm.s2.rules.common.tolerances import CLOCKS, ROUNDING
from s2_mitm.s2.rules.common.words import number
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted, short_id


@rule("ppbc.progress-missing", Severity.ERROR, [STATUS], statements=["N63"], alone=True)
def progress_missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence that has started has no progress.

    The CEM cannot tell how long it still takes.

    Where: PPBC.PowerSequenceContainerStatus: progress.
    Why: A value must be provided, unless no sequence was selected or it has not started yet.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING"}, waiting("spin")])
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING", "progress": 60000},
            waiting("spin")])
    Do: Send the milliseconds since the sequence has started, 0 at the very beginning.
    """
    missing = (
        part
        for part in message.content.parts("sequence_container_status")
        if part.text("status") in STARTED
        and part.has("selected_sequence_id")
        and not part.has("progress")
    )
    for part in islice(missing, FEW):
        yield Found(
            part.path, f"no progress, but the status is {quoted(part.text('status') or '')}"
        )


@rule("ppbc.progress-beyond", Severity.WARNING, [STATUS])
def progress_beyond(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The progress of a sequence is longer than the sequence takes.

    The CEM cannot tell when it is finished. Interruptions may count, so that nothing is said of a
    sequence that was interrupted, or is finished, unless it has begun too recently for that.

    Where: PPBC.PowerSequenceContainerStatus: progress; PPBC.PowerSequenceElement: duration.
    Why: That the RM keeps to the durations that it has described follows, but is not said.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING", "progress": 900000},
            waiting("spin")])
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING", "progress": 600000},
            waiting("spin")])
    Do: Send milliseconds since the start; give a new profile when the device takes longer.
    """
    yield from islice(_beyond(message, conversation), FEW)


def _beyond(message: Message, conversation: Conversation) -> Iterator[Found]:
    for part, (given, *_) in referring_parts(message, conversation):
        progress = part.number("progress")
        if progress is None or given is None or part.text("status") not in STARTED:
            continue
        sequence = _selected(part, given)
        duration = duration_of(sequence) if sequence else None
        if duration is None or progress / 1000 <= duration + ROUNDING:
            continue
        before = progress_of(part, conversation)
        selected = part.text("selected_sequence_id")
        same = before.selected == selected
        paused = before.interrupted is not None or (same and before.paused)
        if part.text("status") == "EXECUTING" and not paused:
            longest = duration
        else:
            began = before.began if same and before.began is not None else given.message.time
            longest = max(duration, message.time - began + CLOCKS)
        if progress / 1000 > longest + ROUNDING:
            yield Found(
                part.at("progress"),
                f"{progress / 1000:.6g} s, but the sequence {short_id(selected or '')} takes"
                f" {duration:.6g} s, by {given.message.name(message.time)}",
            )


@rule("ppbc.progress-early", Severity.WARNING, [STATUS], alone=True)
def progress_early(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence that has not started has progress.

    The status says that it is still to come, the progress that it runs. The CEM cannot tell which.

    Where: PPBC.PowerSequenceContainerStatus: progress and status.
    Why: progress is the time since the start; that there is none before it is not said.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "SCHEDULED", "progress": 60000},
            waiting("spin")])
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING", "progress": 60000},
            waiting("spin")])
    Do: Leave progress out until the sequence has started.
    """
    early = (
        (part, progress)
        for part in message.content.parts("sequence_container_status")
        if part.text("status") in ("NOT_SCHEDULED", "SCHEDULED")
        and (progress := part.number("progress") or 0.0) > ROUNDING * 1000
    )
    for part, progress in islice(early, FEW):
        status = quoted(part.text("status") or "")
        yield Found(part.at("progress"), f"{number(progress)} ms, but the status is {status}")


@rule("ppbc.progress-back", Severity.WARNING, [STATUS])
def progress_back(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The progress of a sequence is less than it was.

    Time does not run backwards. Either the sequence was started once more, which nobody asked for,
    or one of the two is wrong.

    Where: PPBC.PowerSequenceContainerStatus: progress.
    Why: It is the time since the sequence has started; that it grows follows, but is not said.
    Wrong:
        begin("PPBC")
        run = {"power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING"}
        for progress in (300000, 120000):
            rm("PPBC.PowerProfileStatus",
                sequence_container_status=[{**run, "progress": progress}, waiting("spin")])
    Right:
        begin("PPBC")
        run = {"power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING"}
        for progress in (120000, 300000):
            rm("PPBC.PowerProfileStatus",
                sequence_container_status=[{**run, "progress": progress}, waiting("spin")])
    Do: Send milliseconds since the start of the sequence, not of its element.
    """
    yield from islice(_back(message, conversation), FEW)


def _back(message: Message, conversation: Conversation) -> Iterator[Found]:
    for part in message.content.parts("sequence_container_status"):
        progress = part.number("progress")
        if progress is None or part.text("status") not in STARTED:
            continue
        before = progress_of(part, conversation)
        if before.progress is None or before.said is None or before.status not in RUNNING:
            continue
        same = part.text("selected_sequence_id") == before.selected
        if same and progress / 1000 < before.progress - ROUNDING:
            yield Found(
                part.at("progress"),
                f"{progress / 1000:.6g} s, after {before.progress:.6g} s in"
                f" {before.said.name(message.time)}",
            )


@rule("ppbc.runs-again", Severity.WARNING, [STATUS])
def runs_again(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence runs that was finished or aborted, and was not scheduled again.

    The CEM has done with it, and does not expect its power.

    Where: PPBC.PowerSequenceStatus.
    Why: What was aborted will not continue; of what is finished it is not said.
    Wrong:
        begin("PPBC")
        run = {"power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "progress": 600000}
        for status in ("FINISHED", "EXECUTING"):
            rm("PPBC.PowerProfileStatus",
                sequence_container_status=[{**run, "status": status}, waiting("spin")])
    Right:
        begin("PPBC")
        run = {"power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "progress": 600000}
        for status in ("EXECUTING", "FINISHED"):
            rm("PPBC.PowerProfileStatus",
                sequence_container_status=[{**run, "status": status}, waiting("spin")])
    Do: Say FINISHED or ABORTED when it is really over, and INTERRUPTED until then.
    """
    yield from islice(_again(message, conversation), FEW)


def _again(message: Message, conversation: Conversation) -> Iterator[Found]:
    for part in message.content.parts("sequence_container_status"):
        if part.text("status") not in RUNNING:
            continue
        before = progress_of(part, conversation)
        if before.said is None or before.status not in ("FINISHED", "ABORTED"):
            continue
        scheduled = before.scheduled is not None and before.scheduled.number > before.said.number
        if part.text("selected_sequence_id") == before.selected and not scheduled:
            yield Found(
                part.at("status"),
                f"{part.text('status')} after {before.status} in {before.said.name(message.time)}",
            )


def _selected(part: Part, given: Description) -> Part | None:
    """The sequence that a status is about."""
    container = given.containers.get(part.text("sequence_container_id") or "", {})
    return container.get(part.text("selected_sequence_id") or "")
