"""References to what has an id of its own: power constraints and power profiles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from s2_mitm.s2.catalog import control_type_of
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import Given, Held
from s2_mitm.s2.rules.registry import Found
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import excerpt, quoted

if TYPE_CHECKING:
    from s2_mitm.s2.conversation.judging import Conversation

FEW = 3
"""Findings that one rule makes of one message; more of the same do not help."""

SLACK = 60.0
"""Seconds that the clocks of the two sides, and ours, may differ before it is held against them."""


class Fault(Enum):
    """Why a reference does not hold."""

    NONE_GIVEN = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    NOT_IN_FORCE = auto()
    UNSURE = auto()
    """It cannot be checked."""


class Reference(NamedTuple):
    """What a reference came to: the thing that is meant, or why it does not hold, in words.

    Neither where there is nothing to say of it.
    """

    given: Given | None = None
    fault: Fault | None = None
    text: str = ""
    hint: str = ""


class Span(NamedTuple):
    """When something is to happen, at the earliest and at the latest (seconds since 1970)."""

    earliest: float
    latest: float


def execution(message: Message) -> Span:
    """When an instruction is to be executed; as soon as possible where its time has passed."""
    time = message.content.moment("execution_time")
    time = message.time if time is None else time
    return Span(max(time, message.time - SLACK), max(time, message.time + SLACK))


def refer(
    conversation: Conversation,
    message: Message,
    kind: str,
    part: Part,
    field: str,
    *,
    timed: bool = False,
) -> Reference:
    """What the id in a field refers to among the messages of one kind.

    ``part`` of the message has the field; with ``timed`` what it refers to must be in force when
    the message is to be executed.
    """
    identifier = part.text(field)
    if identifier is None or conversation.family not in (None, control_type_of(kind)):
        return Reference()  # others say what is wrong
    key = (kind, identifier)
    known: Reference | None = conversation.worked_out.get(key)
    if known is None:
        span = execution(message) if timed else None
        known = conversation.worked_out[key] = _found(conversation, message, kind, identifier, span)
    return known


def _found(
    conversation: Conversation, message: Message, kind: str, identifier: str, span: Span | None
) -> Reference:
    held = conversation.holds(kind)
    broken: Reference | None = None
    for index in range(len(held.given) - 1, -1, -1):
        given = held.given[index]
        if given.content.text("id") != identifier:
            continue
        fault, why = _out_of_force(conversation, held, index, span, message.time)
        if fault is None:
            return Reference(given)
        text = f"{quoted(identifier)} is the id of {given.message.name(message.time)}, which {why}"
        broken = broken or Reference(None, fault, text)
    if broken is not None:
        return broken
    if doubt := _doubt(conversation, held, message, replacing=span is not None):
        return Reference(None, Fault.UNSURE, f"{quoted(identifier)} cannot be checked: {doubt}")
    return _unknown(conversation, held, message, kind, identifier)


def _out_of_force(
    conversation: Conversation, held: Held, index: int, span: Span | None, now: float
) -> tuple[Fault | None, str]:
    """Why something given is not in force, as the end of a sentence."""
    given = held.given[index]
    if given.answer not in (None, "OK"):
        return Fault.REFUSED, f"its receiver answered with {quoted(str(given.answer))}"
    if given.revoked and not _under_way(conversation, given.revoked):
        return Fault.NOT_IN_FORCE, f"was revoked by {given.revoked.name(now)}"
    if span is None:
        return None, ""
    if given.valid_until is not None and given.valid_until < span.earliest:
        return Fault.NOT_IN_FORCE, f"was valid until {clock(given.valid_until)}"
    if given.valid_from > span.latest:
        return Fault.NOT_IN_FORCE, f"is not valid before {clock(given.valid_from)}"
    for newer in held.given[index + 1 :]:
        if _replaces(newer, given, span):
            since = clock(newer.valid_from)
            return Fault.NOT_IN_FORCE, f"was replaced from {since} on by {newer.message.name(now)}"
    return None, ""


def _under_way(conversation: Conversation, message: Message) -> bool:
    """Whether the receiver may not have seen it yet."""
    return (message.sender, message.message_id) in conversation.unanswered


def _replaces(newer: Given, older: Given, span: Span) -> bool:
    """Whether the one said later is in force in place of the other, and both sides know.

    One that was said later for an earlier time does not end what is to come after it.
    """
    return (
        newer.answer == "OK"
        and not newer.revoked
        and newer.valid_from >= older.valid_from
        and newer.valid_from <= max(span.earliest, newer.message.time)
        and (newer.valid_until is None or newer.valid_until > span.earliest)
    )


def _doubt(conversation: Conversation, held: Held, message: Message, *, replacing: bool) -> str:
    """Why it cannot be told whether an id is known; empty when it can.

    Where each replaces the one before (``replacing``), those before the latest do not matter.
    """
    if not conversation.saw_beginning and conversation.selection is None:
        return "the beginning of this conversation was not seen"
    since = held.given[-1].message if replacing and held.given else conversation.selection
    unreadable = conversation.unreadable.get(Role.RM)
    if unreadable is not None and (since is None or unreadable >= since.monotonic):
        return f"what the RM sent {message.monotonic - unreadable:.1f} s before could not be read"
    return held.doubt


def _unknown(
    conversation: Conversation, held: Held, message: Message, kind: str, identifier: str
) -> Reference:
    """What is to be said of an id that is not that of anything held."""
    if not held.given:
        if conversation.family is None:
            return Reference()
        text = f"{quoted(identifier)} refers to a {kind}, and the RM has given none"
        return Reference(None, Fault.NONE_GIVEN, text)
    if held.forgotten and conversation.remembers("id", identifier):
        text = f"{quoted(identifier)} cannot be checked: only the latest {kind} are remembered"
        return Reference(None, Fault.UNSURE, text)
    for given in held.given:
        if given.message.message_id == identifier:
            text = f"{quoted(identifier)} is the message_id of {given.message.name(message.time)}"
            own = given.content.text("id")
            hint = f"Refer to its id, {quoted(own)}." if own is not None else ""
            return Reference(None, Fault.UNKNOWN, text, hint)
    ids = (given.content.text("id") for given in reversed(held.given))
    known = named(name for name in ids if name is not None)
    text = f"{quoted(identifier)} is not the id of a {kind}; known: {known}"
    return Reference(None, Fault.UNKNOWN, text)


def named(names: Iterator[str]) -> str:
    """The first few ids, for a text."""
    some = [quoted(name) for _, name in zip(range(5), names, strict=False)]
    return ", ".join(some) or "none with an id"


def number(value: float) -> str:
    """A number as it stands in the message."""
    return excerpt(json.dumps(value))


def each(reference: Reference, fault: Fault, part: Part, field: str) -> Iterator[Found]:
    """A finding where the reference in a field has this fault."""
    if reference.fault is fault:
        yield Found(part.at(field), reference.text, reference.hint)


def once(
    conversation: Conversation, key: str, reference: Reference, fault: Fault, part: Part, field: str
) -> Iterator[Found]:
    """The same, but only once until a reference holds again."""
    if reference.given is not None:
        conversation.again(key)
    elif reference.fault is fault and conversation.once(key, conversation.selection):
        yield Found(part.at(field), reference.text, reference.hint)
