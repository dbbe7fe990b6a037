"""Power profile based control: what the RM says of the containers of a profile."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from s2_mitm.s2.catalog import STATUSES_AFTER
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import Description
from s2_mitm.s2.rules.common.profiles import (
    FIELD,
    RUNNING,
    STARTED,
    STATUS,
    in_force,
    progress_of,
    referring_parts,
)
from s2_mitm.s2.rules.common.references import FEW, ReferenceFault, each
from s2_mitm.s2.rules.common.tolerances import CLOCKS
from s2_mitm.s2.rules.common.words import named
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import quoted, short_id


@rule("ppbc.selection-missing", Severity.WARNING, [STATUS], alone=True)
def selection_missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status says that a sequence is scheduled or has run, but not which.

    Without selected_sequence_id no sequence was selected yet, and then none is scheduled.

    Where: PPBC.PowerSequenceContainerStatus: selected_sequence_id and status.
    Why: Without the id no sequence was selected; that the status needs one is not said.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "status": "SCHEDULED"}, waiting("spin")])
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "SCHEDULED"}, waiting("spin")])
    Do: Name the sequence, or say NOT_SCHEDULED.
    """
    missing = (
        part
        for part in message.content.parts("sequence_container_status")
        if part.text("status") in ("SCHEDULED", *STARTED) and not part.has("selected_sequence_id")
    )
    for part in islice(missing, FEW):
        status = quoted(part.text("status") or "")
        yield Found(part.path, f"no selected_sequence_id, but the status is {status}")


@rule("ppbc.container-missing", Severity.WARNING, [STATUS])
def container_missing(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status leaves out a container of the power profile.

    The CEM does not know how that step stands. It is reported once for each power profile.

    Where: PPBC.PowerProfileStatus: sequence_container_status.
    Why: The list is said to have the status of all containers, but not that it must.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[waiting("wash")])
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[waiting("wash"), waiting("spin")])
    Do: Send the status of all containers each time, NOT_SCHEDULED where nothing is planned yet.
    """
    profiles: dict[int, Description] = {}
    told: dict[int, set[str | None]] = {}
    for part, (given, *_) in referring_parts(message, conversation):
        if given is not None and given.message.valid:
            profiles[given.message.number] = given
            told.setdefault(given.message.number, set()).add(part.text("sequence_container_id"))
    for key, given in islice(profiles.items(), FEW):
        if not told[key].issubset(given.containers):
            continue  # the one that is unknown may be meant for the one that is missing
        missing = [name for name in given.containers if name not in told[key]]
        if missing:
            yield Found(
                "/sequence_container_status",
                f"no status of the container {named(missing)} of"
                f" {given.message.name(message.time)}",
                once="ppbc.container-missing",
                since=given.message,
            )


@rule("ppbc.container-twice", Severity.WARNING, [STATUS], alone=True)
def container_twice(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status has the same container twice.

    The CEM cannot tell which of the two holds.

    Where: PPBC.PowerProfileStatus: sequence_container_status.
    Why: The list has the status of each container; that it has one only follows, but is not said.
    Wrong:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus",
            sequence_container_status=[waiting("wash"), waiting("spin"), waiting("wash")])
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", sequence_container_status=[waiting("wash"), waiting("spin")])
    Do: Send one status of each container, that of its selected sequence.
    """
    yield from islice(_twice(message), FEW)


def _twice(message: Message) -> Iterator[Found]:
    seen: dict[tuple[str, str], Part] = {}
    for part in message.content.parts("sequence_container_status"):
        profile, container = part.text("power_profile_id"), part.text("sequence_container_id")
        if profile is None or container is None:
            continue
        if first := seen.get((profile, container)):
            text = f"{first.path} is the status of the container {short_id(container)} already"
            yield Found(part.at("sequence_container_id"), text)
        else:
            seen[profile, container] = part


@rule("ppbc.status-of-revoked", Severity.WARNING, [STATUS])
def status_of_revoked(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status of a power profile that the RM has revoked.

    The CEM has forgotten the profile. That a sequence was finished or aborted may still be said.

    Where: RevokeObject; PPBC.PowerSequenceContainerStatus: power_profile_id.
    Why: What was revoked is not there any more; that its status ends with it is not said.
    Wrong:
        begin("PPBC")
        rm("RevokeObject", object_type="PPBC.PowerProfileDefinition", object_id="#profile")
        rm("PPBC.PowerProfileStatus")
    Right:
        begin("PPBC")
        rm("PPBC.PowerProfileStatus")
        rm("RevokeObject", object_type="PPBC.PowerProfileDefinition", object_id="#profile")
    Do: Send no status of a profile after its RevokeObject.
    """
    revoked = (
        found
        for part, reference in referring_parts(message, conversation)
        if part.text("status") not in ("FINISHED", "ABORTED")
        for found in each(reference, ReferenceFault.NOT_IN_FORCE, part, FIELD)
    )
    yield from islice(revoked, 1)


@rule("ppbc.started-early", Severity.WARNING, [STATUS], statements=["N29"])
def started_early(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A sequence runs before the time for which it was scheduled.

    The RM has taken the instruction. Clocks may differ by a minute.

    Where: PPBC.ScheduleInstruction: execution_time.
    Why: It is when the sequence shall start; whether the device may start it itself is not said.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(3600))
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING", "progress": 0},
            waiting("spin")])
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", execution_time=at(0))
        rm("PPBC.PowerProfileStatus", sequence_container_status=[{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "EXECUTING", "progress": 0},
            waiting("spin")])
    Do: Start it at its time; report the instruction as ABORTED when the user was faster.
    """
    yield from islice(_early(message, conversation), FEW)


TOLD = frozenset(STATUSES_AFTER) - {"NEW", "ACCEPTED"}
"""The statuses of an instruction that say that it was started: by then that was told of them."""


def _early(message: Message, conversation: Conversation) -> Iterator[Found]:
    for part in message.content.parts("sequence_container_status"):
        if part.text("status") != "EXECUTING":
            continue
        before = progress_of(part, conversation)
        scheduled = in_force(before.scheduled, conversation)
        if scheduled is None or before.status in RUNNING:
            continue
        instruction = conversation.instructions[scheduled.content.text("id") or ""]
        time = scheduled.content.moment("execution_time")
        selected = part.text("selected_sequence_id")
        if time is None or instruction.answer != "OK" or instruction.status in TOLD:
            continue
        if selected == scheduled.content.text("power_sequence_id") and message.time + CLOCKS < time:
            yield Found(
                part.at("status"),
                f"{short_id(selected or '')} runs before {clock(time)}, for which"
                f" {scheduled.name(message.time)} schedules it",
            )
