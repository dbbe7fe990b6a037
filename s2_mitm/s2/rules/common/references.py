"""References: what the ids in a message refer to, and why one does not hold.

`refer` is for what has an id of its own, power constraints and power profiles. What is inside of a
system description is looked up in `descriptions`, and comes to the same `Reference`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from s2_mitm.s2.catalog import control_type_of
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import Description, Descriptions
from s2_mitm.s2.rules.common.crossing import under_way
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.tolerances import CLOCKS
from s2_mitm.s2.rules.common.words import named
from s2_mitm.s2.rules.registry import Found, SayAgain
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import quoted, short_id

FEW = 3
"""Findings that one rule makes of one message; more of the same do not help."""


class ReferenceFault(Enum):
    """Why a reference does not hold."""

    NONE_GIVEN = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    NOT_IN_FORCE = auto()
    REPLACED = auto()
    """One that was given later holds at that time; no text says that it takes the place."""
    UNSURE = auto()
    """It cannot be checked."""


class Reference(NamedTuple):
    """What a reference came to: the thing that is meant, or why it does not hold, in words.

    Both are None where there is nothing to report.
    """

    given: Description | None = None
    fault: ReferenceFault | None = None
    text: str = ""
    hint: str = ""


class ExecutionTime(NamedTuple):
    """When an instruction is executed, at the earliest and at the latest (seconds since 1970)."""

    earliest: float
    latest: float


class Execution(NamedTuple):
    """The same, and the commodity quantities that it is about."""

    earliest: float
    latest: float
    quantities: frozenset[str]


def execution_time(message: Message) -> ExecutionTime:
    """When an instruction is to be executed; as soon as possible where its time has passed."""
    time = message.content.moment("execution_time")
    time = message.time if time is None else time
    return ExecutionTime(max(time, message.time - CLOCKS), max(time, message.time + CLOCKS))


def refer(
    conversation: Conversation,
    message: Message,
    message_type: str,
    part: Part,
    field: str,
    *,
    quantities: frozenset[str] | None = None,
) -> Reference:
    """What the id in a field refers to among the messages of one type.

    ``part`` of the message has the field. With ``quantities`` what it refers to must be in force
    for them when the message is to be executed.
    """
    identifier = part.text(field)
    if identifier is None or conversation.family not in (None, control_type_of(message_type)):
        return Reference()  # other rules report what is wrong
    references = _references(message, conversation)
    known = references.get((message_type, identifier))
    if known is None:
        execution = None
        if quantities is not None:
            execution = Execution(*execution_time(message), quantities)
        known = _found(conversation, message, message_type, identifier, execution)
        references[message_type, identifier] = known
    return known


@once_a_message
def _references(message: Message, conversation: Conversation) -> dict[tuple[str, str], Reference]:
    """What the references of a message came to so far, by message type and id."""
    return {}


def _found(
    conversation: Conversation,
    message: Message,
    message_type: str,
    identifier: str,
    execution: Execution | None,
) -> Reference:
    held = conversation.descriptions_of(message_type)
    broken: Reference | None = None
    for index in range(len(held.all) - 1, -1, -1):
        given = held.all[index]
        if given.content.text("id") != identifier:
            continue
        fault, why = _out_of_force(conversation, held, index, execution, message.time)
        if fault is None:
            return Reference(given)
        text = f"it refers to {given.message.name(message.time)}, which {why}"
        broken = broken or Reference(None, fault, text)
    if broken is not None:
        return broken
    if doubt := _doubt(conversation, held, message, replacing=execution is not None):
        return Reference(
            None, ReferenceFault.UNSURE, f"{short_id(identifier)} cannot be checked: {doubt}"
        )
    return _unknown(conversation, held, message, message_type, identifier)


def _out_of_force(
    conversation: Conversation,
    held: Descriptions,
    index: int,
    execution: Execution | None,
    now: float,
) -> tuple[ReferenceFault | None, str]:
    """Why something given is not in force, as the end of a sentence."""
    given = held.all[index]
    if given.answer not in (None, "OK"):
        return ReferenceFault.REFUSED, f"its receiver answered with {quoted(str(given.answer))}"
    if given.revoked and not under_way(conversation, given.revoked):
        return ReferenceFault.NOT_IN_FORCE, f"was revoked by {given.revoked.name(now)}"
    if execution is None:
        return None, ""
    if given.valid_until is not None and given.valid_until < execution.earliest:
        return ReferenceFault.NOT_IN_FORCE, f"was valid until {clock(given.valid_until)}"
    if given.valid_from > execution.latest:
        return ReferenceFault.NOT_IN_FORCE, f"is not valid before {clock(given.valid_from)}"
    for newer in held.all[index + 1 :]:
        if _replaces(newer, given, execution):
            since = clock(newer.valid_from)
            return (
                ReferenceFault.REPLACED,
                f"was replaced from {since} on by {newer.message.name(now)}",
            )
    return None, ""


def unreadable_since(conversation: Conversation, message: Message, since: Message | None) -> str:
    """What of the RM could not be read since a message, or at all; empty where all could be.

    It may have been what a reference is to.
    """
    unreadable = conversation.unreadable.get(Role.RM)
    if unreadable is None or (since is not None and unreadable < since.monotonic):
        return ""
    return f"what the RM sent {message.monotonic - unreadable:.1f} s before could not be read"


def _replaces(newer: Description, older: Description, execution: Execution) -> bool:
    """Whether the one given later is in force in place of the other, and both sides know.

    One that was given later, but for an earlier time, does not end what comes after that time; one
    that is about other quantities does not end anything.
    """
    return (
        newer.answer == "OK"
        and not execution.quantities.isdisjoint(newer.limits or ())
        and not newer.revoked
        and newer.valid_from >= older.valid_from
        and newer.valid_from <= max(execution.earliest, newer.message.time)
        and (newer.valid_until is None or newer.valid_until > execution.earliest)
    )


def _doubt(
    conversation: Conversation, held: Descriptions, message: Message, *, replacing: bool
) -> str:
    """Why it cannot be checked whether an id is known; empty when it can.

    Where each replaces the one before (``replacing``), those before the latest do not matter.
    """
    if not conversation.saw_beginning(message) and conversation.selection is None:
        return "the beginning of this conversation was not seen"
    since = held.all[-1].message if replacing and held.all else conversation.selection
    return unreadable_since(conversation, message, since) or held.doubt


def _unknown(
    conversation: Conversation,
    held: Descriptions,
    message: Message,
    message_type: str,
    identifier: str,
) -> Reference:
    """What a reference comes to whose id is not that of anything remembered."""
    if not held.all:
        if conversation.family is None:
            return Reference()
        since = ""
        if conversation.selection is not None:
            since = f" since {conversation.selection.name(message.time)}"
        text = f"{quoted(identifier)} refers to a {message_type}, and none was given{since}"
        return Reference(None, ReferenceFault.NONE_GIVEN, text)
    if held.forgotten and conversation.remembers_id(identifier):
        text = (
            f"{short_id(identifier)} cannot be checked: only the latest {message_type} are"
            " remembered"
        )
        return Reference(None, ReferenceFault.UNSURE, text)
    for given in held.all:
        if given.message.message_id == identifier:
            text = f"{short_id(identifier)} is the message_id of {given.message.name(message.time)}"
            own = given.content.text("id")
            hint = f"Refer to its id, {quoted(own)}." if own is not None else ""
            return Reference(None, ReferenceFault.UNKNOWN, text, hint)
    ids = (given.content.text("id") for given in reversed(held.all))
    known = named(name for name in ids if name is not None)
    text = f"{short_id(identifier)} is not the id of a {message_type}; known: {known}"
    return Reference(None, ReferenceFault.UNKNOWN, text)


def each(reference: Reference, fault: ReferenceFault, part: Part, field: str) -> Iterator[Found]:
    """A finding where the reference in a field has this fault."""
    if reference.fault is fault:
        yield Found(part.at(field), reference.text, reference.hint)


def once(
    conversation: Conversation,
    again: SayAgain,
    reference: Reference,
    fault: ReferenceFault,
    part: Part,
    field: str,
) -> Iterator[Found | SayAgain]:
    """The same, but only once until a reference holds again; ``again`` has the key for it."""
    if reference.given is not None:
        yield again
    elif reference.fault is fault:
        yield Found(
            part.at(field),
            reference.text,
            reference.hint,
            once=again.key,
            since=conversation.selection,
        )
