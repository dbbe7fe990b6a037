"""Power profiles: what PPBC messages refer to in them, and how long their sequences take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s2_mitm.s2.catalog import FINAL_STATUSES, Thing, field_for, referring
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import ContainerProgress, Description, duration_of
from s2_mitm.s2.rules.common.references import Reference, refer

PROFILE = "PPBC.PowerProfileDefinition"
STATUS = "PPBC.PowerProfileStatus"

RUNNING = ("EXECUTING", "INTERRUPTED")
STARTED = (*RUNNING, "FINISHED")
"""The statuses of a sequence that runs, and of one that has started; ABORTED may be either."""

SCHEDULE = "PPBC.ScheduleInstruction"
START = "PPBC.StartInterruptionInstruction"
END = "PPBC.EndInterruptionInstruction"

REFERRING = referring(Thing.PROFILE)
FIELD = field_for(Thing.PROFILE)
"""The message types that refer to a power profile, and the field that does."""

SEQUENCE_FIELDS = referring(Thing.SEQUENCE)
"""The message types that refer to a sequence, and the field that does."""


def referring_parts(
    message: Message, conversation: Conversation
) -> Iterator[tuple[Part, Reference]]:
    """What refers to a power profile in a message, and what that came to."""
    if message.message_type != STATUS:
        yield message.content, refer(conversation, message, PROFILE, message.content, FIELD)
        return
    for part in message.content.parts("sequence_container_status"):
        yield part, refer(conversation, message, PROFILE, part, FIELD)


def sequence_of(
    message: Message, conversation: Conversation
) -> tuple[Description | None, Part | None]:
    """The profile and the sequence that an instruction is about, if they are known."""
    given = refer(conversation, message, PROFILE, message.content, FIELD).given
    if given is None:
        return None, None
    container = given.containers.get(message.content.text("sequence_container_id") or "", {})
    return given, container.get(message.content.text("power_sequence_id") or "")


def progress_of(part: Part, conversation: Conversation) -> ContainerProgress:
    """How far the container that is named here has come."""
    key = part.text("power_profile_id") or "", part.text("sequence_container_id") or ""
    return conversation.progress.get(key) or ContainerProgress()


def in_force(scheduled: Message | None, conversation: Conversation) -> Message | None:
    """An instruction that was not refused, revoked, or brought to its end."""
    if scheduled is None:
        return None
    instruction = conversation.instructions.get(scheduled.content.text("id") or "")
    if instruction is None or instruction.message.number != scheduled.number:
        return None
    if instruction.refused or instruction.revoked or instruction.status in FINAL_STATUSES:
        return None
    return scheduled


def durations(sequences: Iterable[Part]) -> Iterator[float]:
    """How long each sequence takes."""
    return (duration for sequence in sequences if (duration := duration_of(sequence)) is not None)
