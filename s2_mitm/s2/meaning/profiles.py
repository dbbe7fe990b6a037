"""PPBC: power profiles, their containers and sequences, which have no labels: only their places."""

from __future__ import annotations

from itertools import islice

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Description
from s2_mitm.s2.meaning.amounts import (
    MOST,
    Spread,
    count_of,
    joined,
    lasting,
    moment,
    powers,
    span,
    when,
)
from s2_mitm.s2.meaning.names import by_id, undescribed
from s2_mitm.s2.meaning.power import widen_by_expected
from s2_mitm.s2.wording import counted, excerpt

DEFINITION = "PPBC.PowerProfileDefinition"

_DOES = {
    "PPBC.ScheduleInstruction": "schedules",
    "PPBC.StartInterruptionInstruction": "interrupts",
    "PPBC.EndInterruptionInstruction": "continues",
}


def definition(message: Message, conversation: Conversation) -> str:
    """``2 containers with 4 sequences, 2,000 W expected, from 12:00:00Z to 14:00:00Z``."""
    content, now = message.content, message.time
    sequences, values = 0, dict[str, Spread]()
    for container in content.parts("power_sequences_containers"):
        sequences += count_of(container, "power_sequences")
        for sequence in container.parts("power_sequences"):
            for element in sequence.parts("elements"):
                widen_by_expected(values, element)
    begins, ends = content.moment("start_time"), content.moment("end_time")
    containers = counted(count_of(content, "power_sequences_containers"), "container")
    return joined(
        f"{containers} with {counted(sequences, 'sequence')}",
        f"{powers(values)} expected" if values else "",
        joined(
            f"from {moment(begins, now)}" if begins is not None else "",
            f"to {moment(ends, now)}" if ends is not None else "",
            by=" ",
        ),
    )


def status(message: Message, conversation: Conversation) -> str:
    """``container 1 of 2: executing sequence 1 of 2, 5 min in; container 2 of 2: scheduled``."""
    content, told = message.content, []
    for part in islice(content.parts("sequence_container_status"), MOST):
        container = _container(message, conversation, part)
        state = excerpt(part.text("status") or "no status").lower().replace("_", " ")
        if part.has("selected_sequence_id"):
            state += f" {_sequence(conversation, part, 'selected_sequence_id')}"
        progress = part.number("progress")
        if progress is not None:
            state += f", {span(progress / 1000)} in"
        told.append(f"{container}: {state}")
    if (more := count_of(content, "sequence_container_status") - len(told)) > 0:
        told.append(f"{more} more")
    return "; ".join(told) or "no container"


def instruction(message: Message, conversation: Conversation) -> str:
    """``schedules sequence 1 of 2 (10 min, 2,000 W) of container 1 of 2, at 12:01:00Z``."""
    content = message.content
    abnormal = "in an abnormal condition" if content.flag("abnormal_condition") else ""
    time = when(content, "execution_time", message.time)
    return joined(instructed(message, conversation), time, abnormal)


def instructed(message: Message, conversation: Conversation) -> str:
    """What an instruction does, and to which sequence."""
    content = message.content
    does = _DOES[message.message_type]
    sequence = _sequence(conversation, content, "power_sequence_id")
    return f"{does} {sequence} of {_container(message, conversation, content)}"


def _profile(conversation: Conversation, part: Part) -> Description | None:
    profile = part.text("power_profile_id")
    if profile is None:
        return None
    return conversation.descriptions_of(DEFINITION).by_id(profile)


def _container(message: Message, conversation: Conversation, part: Part) -> str:
    """A container by its place in its profile."""
    given, name = _profile(conversation, part), part.text("sequence_container_id")
    if given is None:
        profile = by_id("power profile", part.text("power_profile_id"))
        missing = undescribed(message, conversation, DEFINITION)
        return f"{by_id('container', name)} of {profile}{missing}"
    places = list(given.containers)
    if name not in given.containers:
        return f"{by_id('container', name)}, not in its profile"
    return f"container {places.index(name) + 1} of {len(places)}"


def _sequence(conversation: Conversation, part: Part, field: str) -> str:
    """A sequence by its place in its container, with what it takes."""
    given, name = _profile(conversation, part), part.text(field)
    container = part.text("sequence_container_id")
    sequences = given.containers.get(container or "", {}) if given else {}
    if name not in sequences:
        return by_id("sequence", name) + (", not in its container," if sequences else "")
    place, values = [*sequences].index(name) + 1, dict[str, Spread]()
    elements = list(sequences[name].parts("elements"))
    for element in elements:
        widen_by_expected(values, element)
    duration = lasting(elements)
    takes = joined("" if duration is None else span(duration), powers(values))
    return f"sequence {place} of {len(sequences)}{f' ({takes})' if takes else ''}"
