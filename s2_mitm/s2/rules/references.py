"""References to what has an id of its own: power constraints and power profiles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from s2_mitm.s2.in_force import Given, Held
from s2_mitm.s2.message import Part, Said, clock
from s2_mitm.s2.rules.registry import Found
from s2_mitm.s2.states import family_of
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import excerpt, quoted

if TYPE_CHECKING:
    from s2_mitm.s2.conversation import Conversation

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


def execution(said: Said) -> Span:
    """When an instruction is to be executed; as soon as possible where its time has passed."""
    time = said.content.moment("execution_time")
    time = said.time if time is None else time
    return Span(max(time, said.time - SLACK), max(time, said.time + SLACK))


def refer(
    talk: Conversation, said: Said, kind: str, part: Part, field: str, *, timed: bool = False
) -> Reference:
    """What the id in a field refers to among the messages of one kind.

    ``part`` of the message has the field; with ``timed`` what it refers to must be in force when
    the message is to be executed.
    """
    identifier = part.text(field)
    if identifier is None or talk.family not in (None, family_of(kind)):
        return Reference()  # others say what is wrong
    key = (kind, identifier)
    known: Reference | None = talk.worked_out.get(key)
    if known is None:
        span = execution(said) if timed else None
        known = talk.worked_out[key] = _found(talk, said, kind, identifier, span)
    return known


def _found(
    talk: Conversation, said: Said, kind: str, identifier: str, span: Span | None
) -> Reference:
    held = talk.holds(kind)
    broken: Reference | None = None
    for index in range(len(held.given) - 1, -1, -1):
        given = held.given[index]
        if given.content.text("id") != identifier:
            continue
        fault, why = _out_of_force(talk, held, index, span, said.time)
        if fault is None:
            return Reference(given)
        text = f"{quoted(identifier)} is the id of {given.said.name(said.time)}, which {why}"
        broken = broken or Reference(None, fault, text)
    if broken is not None:
        return broken
    if doubt := _doubt(talk, held, said, replacing=span is not None):
        return Reference(None, Fault.UNSURE, f"{quoted(identifier)} cannot be checked: {doubt}")
    return _unknown(talk, held, said, kind, identifier)


def _out_of_force(
    talk: Conversation, held: Held, index: int, span: Span | None, now: float
) -> tuple[Fault | None, str]:
    """Why something given is not in force, as the end of a sentence."""
    given = held.given[index]
    if given.answer not in (None, "OK"):
        return Fault.REFUSED, f"its receiver answered with {quoted(str(given.answer))}"
    if given.revoked and not _under_way(talk, given.revoked):
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
            return Fault.NOT_IN_FORCE, f"was replaced from {since} on by {newer.said.name(now)}"
    return None, ""


def _under_way(talk: Conversation, said: Said) -> bool:
    """Whether the receiver may not have seen it yet."""
    return (said.sender, said.message_id) in talk.unanswered


def _replaces(newer: Given, older: Given, span: Span) -> bool:
    """Whether the one said later is in force in place of the other, and both sides know.

    One that was said later for an earlier time does not end what is to come after it.
    """
    return (
        newer.answer == "OK"
        and not newer.revoked
        and newer.valid_from >= older.valid_from
        and newer.valid_from <= max(span.earliest, newer.said.time)
        and (newer.valid_until is None or newer.valid_until > span.earliest)
    )


def _doubt(talk: Conversation, held: Held, said: Said, *, replacing: bool) -> str:
    """Why it cannot be told whether an id is known; empty when it can.

    Where each replaces the one before (``replacing``), those before the latest do not matter.
    """
    if not talk.saw_beginning and talk.selection is None:
        return "the beginning of this conversation was not seen"
    since = held.given[-1].said if replacing and held.given else talk.selection
    unreadable = talk.unreadable.get(Role.RM)
    if unreadable is not None and (since is None or unreadable >= since.monotonic):
        return f"what the RM sent {said.monotonic - unreadable:.1f} s before could not be read"
    return held.doubt


def _unknown(talk: Conversation, held: Held, said: Said, kind: str, identifier: str) -> Reference:
    """What is to be said of an id that is not that of anything held."""
    if not held.given:
        if talk.family is None:
            return Reference()
        text = f"{quoted(identifier)} refers to a {kind}, and the RM has given none"
        return Reference(None, Fault.NONE_GIVEN, text)
    if held.forgotten and talk.remembers("id", identifier):
        text = f"{quoted(identifier)} cannot be checked: only the latest {kind} are remembered"
        return Reference(None, Fault.UNSURE, text)
    for given in held.given:
        if given.said.message_id == identifier:
            text = f"{quoted(identifier)} is the message_id of {given.said.name(said.time)}"
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
    talk: Conversation, key: str, reference: Reference, fault: Fault, part: Part, field: str
) -> Iterator[Found]:
    """The same, but only once until a reference holds again."""
    if reference.given is not None:
        talk.again(key)
    elif reference.fault is fault and talk.once(key, talk.selection):
        yield Found(part.at(field), reference.text, reference.hint)
