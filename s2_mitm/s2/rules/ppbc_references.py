"""Power profile based control: references to power profiles, their containers and sequences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.profiles import (
    END,
    FIELD,
    REFERRING,
    SCHEDULE,
    SEQUENCE_FIELDS,
    START,
    referring_parts,
)
from s2_mitm.s2.rules.common.references import FEW, Reference, ReferenceFault, each, once
from s2_mitm.s2.rules.common.words import named
from s2_mitm.s2.rules.registry import Found, SayAgain, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import short_id

NO_PROFILE = SayAgain("ppbc.no-profile")
PROFILE_REFUSED = SayAgain("ppbc.profile-refused")
CANNOT_CHECK = SayAgain("ppbc.cannot-check")


@rule("ppbc.no-profile", Severity.ERROR, REFERRING)
def no_profile(message: Message, conversation: Conversation) -> Iterator[Found | SayAgain]:
    """A power profile is referred to before the RM has given any.

    Its receiver cannot know what is meant. It is reported once until there is a profile.

    Where: PPBC.ScheduleInstruction: power_profile_id, and the other messages that have this field.
    Why: It identifies a power profile, and there is none.
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
    for part, reference in referring_parts(message, conversation):
        yield from once(conversation, NO_PROFILE, reference, ReferenceFault.NONE_GIVEN, part, FIELD)


@rule("ppbc.unknown-profile", Severity.ERROR, REFERRING)
def unknown_profile(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A power profile is referred to that nobody gave.

    Its receiver cannot know what is meant, and refuses the message or ignores it.

    Where: PPBC.ScheduleInstruction: power_profile_id, and the other messages that have this field;
    PPBC.PowerProfileDefinition: id.
    Why: It identifies a power profile, and there is none.
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
        for part, reference in referring_parts(message, conversation)
        for found in each(reference, ReferenceFault.UNKNOWN, part, FIELD)
    )
    yield from islice(unknown, FEW)


@rule("ppbc.profile-not-in-force", Severity.ERROR, [SCHEDULE, START, END])
def profile_not_in_force(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction for a power profile that the RM has revoked.

    The device will not run it any more. A RevokeObject counts once it was answered.

    Where: RevokeObject; PPBC.ScheduleInstruction: power_profile_id.
    Why: The RM takes back what it revokes, and the CEM has answered that.
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
    for part, reference in referring_parts(message, conversation):
        yield from each(reference, ReferenceFault.NOT_IN_FORCE, part, FIELD)


@rule("ppbc.profile-refused", Severity.WARNING, [SCHEDULE, START, END])
def profile_refused(message: Message, conversation: Conversation) -> Iterator[Found | SayAgain]:
    """An instruction for a power profile that the CEM itself has refused.

    What its receiver did not accept is not in force: the RM does not expect to be instructed. It is
    reported once until a message refers to something in force.

    Where: ReceptionStatus: status; PPBC.ScheduleInstruction: power_profile_id.
    Why: That what was refused is not in force follows from the answer; no text says it.
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
    for part, reference in referring_parts(message, conversation):
        yield from once(
            conversation, PROFILE_REFUSED, reference, ReferenceFault.REFUSED, part, FIELD
        )


@rule("ppbc.cannot-check", Severity.INFO, REFERRING)
def cannot_check(message: Message, conversation: Conversation) -> Iterator[Found | SayAgain]:
    """Whether a reference to a power profile is right cannot be checked.

    The profile was given before the first message that was seen, or the last one was refused or is
    not valid. It is reported once until this can be checked again.

    Where: PPBC.ScheduleInstruction: power_profile_id, and the other messages that have this field.
    Why: Nothing need be wrong with the message.
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
    Do: See the findings about the PPBC.PowerProfileDefinition, if it was seen.
    """
    for part, reference in referring_parts(message, conversation):
        given = reference.given
        if given is not None and not given.message.valid:
            container = part.text("sequence_container_id")
            if container is not None and container not in given.containers:
                text = (
                    f"{given.message.name(message.time)} is not valid; containers are not checked"
                )
                reference = Reference(None, ReferenceFault.UNSURE, text)
        yield from once(conversation, CANNOT_CHECK, reference, ReferenceFault.UNSURE, part, FIELD)


@rule("ppbc.unknown-container", Severity.ERROR, REFERRING)
def unknown_container(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A container is referred to that the power profile does not have.

    Its receiver cannot know which step of the profile is meant.

    Where: PPBC.ScheduleInstruction: sequence_container_id, and the other messages that have this
    field; PPBC.PowerSequenceContainer: id.
    Why: It identifies a container of the power profile, and there is none.
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
        for part, (given, *_) in referring_parts(message, conversation)
        if given is not None
        and given.message.valid
        and (container := part.text("sequence_container_id")) is not None
        and container not in given.containers
    )
    for part, given, container in islice(unknown, FEW):
        yield Found(
            part.at("sequence_container_id"),
            f"{short_id(container)} is not a container of {given.message.name(message.time)};"
            f" known: {named(iter(given.containers))}",
        )


@rule("ppbc.unknown-sequence", Severity.ERROR, REFERRING)
def unknown_sequence(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A power sequence is referred to that the container does not have.

    Its receiver cannot know which of the alternatives is meant.

    Where: PPBC.ScheduleInstruction: power_sequence_id; PPBC.PowerSequenceContainerStatus:
    selected_sequence_id; PPBC.PowerSequence: id.
    Why: It identifies a sequence of the container, and there is none with this id.
    Wrong:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", sequence_container_id="#wash", power_sequence_id="#slow")
    Right:
        begin("PPBC")
        cem("PPBC.ScheduleInstruction", sequence_container_id="#spin", power_sequence_id="#slow")
    Do: Take the id from power_sequences of that container.
    """
    (name,) = SEQUENCE_FIELDS[message.message_type]
    unknown = (
        (part, given, sequences, sequence)
        for part, (given, *_) in referring_parts(message, conversation)
        if given is not None
        and given.message.valid
        and (sequence := part.text(name)) is not None
        and (sequences := given.containers.get(part.text("sequence_container_id") or ""))
        and sequence not in sequences
    )
    for part, given, sequences, sequence in islice(unknown, FEW):
        others = [owner for owner, held in given.containers.items() if sequence in held]
        where = (
            f"it belongs to the container {short_id(others[0])}"
            if others
            else f"known: {named(iter(sequences))}"
        )
        yield Found(
            part.at(name),
            f"{short_id(sequence)} is not a sequence of that container in"
            f" {given.message.name(message.time)}; {where}",
        )
