"""Actuators, operation modes and timers: what FRBC, OMBC and DDBC have in common.

What their descriptions say is in `descriptions`, what instructions ask for in `moves`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from s2_mitm.s2.catalog import only_sender
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Given
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted

if TYPE_CHECKING:
    from s2_mitm.s2.conversation.judging import Conversation

T = TypeVar("T")

DESCRIPTIONS = ("FRBC.SystemDescription", "OMBC.SystemDescription", "DDBC.SystemDescription")
STATUSES = ("FRBC.ActuatorStatus", "OMBC.Status", "DDBC.ActuatorStatus")
TIMERS = ("FRBC.TimerStatus", "OMBC.TimerStatus", "DDBC.TimerStatus")

TARGET = {
    "FRBC.Instruction": "operation_mode",
    "OMBC.Instruction": "operation_mode_id",
    "DDBC.Instruction": "operation_mode_id",
}
"""The field of an instruction that names the operation mode to activate."""

MODES = {
    **{name: (field,) for name, field in TARGET.items()},
    **dict.fromkeys(STATUSES, ("active_operation_mode_id", "previous_operation_mode_id")),
    **dict.fromkeys(TIMERS, ()),
}
"""The fields that name operation modes, of every message type that refers to a description."""

CLOCKS = 2.0
"""Seconds that the clocks of the two sides may differ before a rule says something about it."""

MAX_LISTED = 5
"""Things that a text lists of those that are known."""


# What a message refers to


class _Unknown(NamedTuple):
    """A reference to something that no description in force has."""

    what: str
    field: str
    name: str


def worked_out_once(
    function: Callable[[Message, Conversation], T],
) -> Callable[[Message, Conversation], T]:
    """Let a function work for each message once, however many rules ask it."""
    key = function.__module__, function.__name__

    def ask(message: Message, conversation: Conversation) -> T:
        if key not in conversation.worked_out:
            conversation.worked_out[key] = function(message, conversation)
        answer: T = conversation.worked_out[key]
        return answer

    return ask


@worked_out_once
def described(message: Message, conversation: Conversation) -> list[Given]:
    """The system descriptions that a message may go by, newest first.

    None where its control type is not the active one, which rules of the state tell.
    """
    if not _in_place(message, conversation):
        return []
    return conversation.given(
        f"{message.message_type[:4]}.SystemDescription", conversation.now - CLOCKS
    )


def _in_place(message: Message, conversation: Conversation) -> bool:
    """Whether a message is of the active control type, as far as is known, and its sender's to say.

    Otherwise rules of direction and state tell.
    """
    if only_sender(message.message_type) is not message.sender:
        return False
    if conversation.family is None and conversation.selection is None:
        return not conversation.saw_beginning
    return conversation.family == message.message_type[:4]


def actuator_id_of(message: Message) -> str | None:
    return "" if message.message_type[:4] == "OMBC" else message.content.text("actuator_id")


@worked_out_once
def _unknown(message: Message, conversation: Conversation) -> _Unknown | None:
    """The first reference that leads nowhere; None when there is none, or no description."""
    given, actuator_id = described(message, conversation), actuator_id_of(message)
    if not given or actuator_id is None:
        return None
    actuators = [each.actuators[actuator_id] for each in given if actuator_id in each.actuators]
    if not actuators:
        return _Unknown("actuator", "actuator_id", actuator_id)
    for field in MODES[message.message_type]:
        mode = message.content.text(field)
        if mode is None or mode in actuators[0].modes:
            continue
        if any(mode in actuator.modes for actuator in actuators):
            continue
        if field != "previous_operation_mode_id" or not _was_known(message, conversation, mode):
            return _Unknown("operation mode", field, mode)
    timer = message.content.text("timer_id") if message.message_type in TIMERS else None
    if timer is not None and not any(timer in actuator.timers for actuator in actuators):
        return _Unknown("timer", "timer_id", timer)
    return None


def _was_known(message: Message, conversation: Conversation, mode: str) -> bool:
    """Whether a previous mode is one of an earlier description, or may be of a forgotten one."""
    held = conversation.holds(f"{message.message_type[:4]}.SystemDescription").given
    since = message.content.moment("transition_timestamp")
    if since is None or since < held[0].message.time + CLOCKS:
        return True
    actuator_id = actuator_id_of(message) or ""
    return any(
        actuator_id in given.actuators and mode in given.actuators[actuator_id].modes
        for given in held
    )


@worked_out_once
def _doubt(message: Message, conversation: Conversation) -> str:
    """Why it cannot be told whether a reference is right; empty when it can."""
    family = message.message_type[:4]
    if not _in_place(message, conversation):
        return ""
    held = conversation.holds(f"{family}.SystemDescription")
    if held.doubt:
        return held.doubt
    unreadable = conversation.unreadable.get(Role.RM, 0.0)
    if (
        unreadable
        > (held.given[-1].message if held.given else conversation.selection or message).monotonic
    ):
        return (
            f"what the RM sent {conversation.monotonic - unreadable:.1f} s before could not be read"
        )
    agreed = any(
        given.answer == "OK" and given.valid_from <= conversation.now for given in held.given
    )
    if not (conversation.saw_beginning or agreed):
        return "what was said before the first message that was seen is unknown"
    return ""


def _found(message: Message, conversation: Conversation, what: str) -> Iterator[Found]:
    """What is to be said of a reference to an actuator, a mode or a timer that leads nowhere."""
    unknown = _unknown(message, conversation)
    if unknown is None or unknown.what != what or _doubt(message, conversation):
        return
    given, actuator_id = described(message, conversation), actuator_id_of(message) or ""
    newest = next((each for each in given if actuator_id in each.actuators), given[0])
    known = _things(newest, actuator_id, what)
    owner = f"actuator {quoted(actuator_id)} of " if actuator_id and what != "actuator" else ""
    text = (
        f"{what} {quoted(unknown.name)} is not in {owner}{newest.message.name(conversation.now)},"
        " which has"
        f" {listed(known)}"
    )
    elsewhere = _elsewhere(message, conversation, unknown, given)
    if elsewhere is not None:
        yield Found(message.content.at(unknown.field), text + elsewhere)


def _elsewhere(
    message: Message, conversation: Conversation, unknown: _Unknown, in_force: list[Given]
) -> str | None:
    """Where else the thing is, for the end of a sentence; None where it was in force just now."""
    for given in reversed(
        conversation.holds(f"{message.message_type[:4]}.SystemDescription").given
    ):
        for actuator_id in given.actuators:
            if unknown.name not in _things(given, actuator_id, unknown.what):
                continue
            if any(given is each for each in in_force):
                return f"; it belongs to actuator {quoted(actuator_id)}"
            name = given.message.name(conversation.now)
            if given.revoked is None:
                why = f"answered with {given.answer}" if given.refused else "replaced since"
                return f"; it was in {name}, {why}"
            if _under_way(message, conversation, given):
                return None
            return f"; it was in {name}, revoked by {given.revoked.name(conversation.now)}"
    return ""


def _under_way(message: Message, conversation: Conversation, given: Given) -> bool:
    """Whether the other side may not have received the revocation when it said this."""
    revoked = given.revoked
    return (
        revoked is not None
        and revoked.sender is not message.sender
        and (revoked.sender, revoked.message_id) in conversation.unanswered
    )


def _things(given: Given, actuator_id: str, what: str) -> Mapping[str, Part]:
    """The actuators of a description, or the modes or timers of one of them, by their ids."""
    if what == "actuator":
        return {name: actuator.part for name, actuator in given.actuators.items()}
    actuator = given.actuators[actuator_id]
    return actuator.timers if what == "timer" else actuator.modes


def listed(things: Mapping[str, Part]) -> str:
    """Some things with their labels, for a text."""
    names = [labelled(name, thing) for name, thing in list(things.items())[:MAX_LISTED]]
    more = len(things) - len(names)
    return (", ".join(names) + (f" and {more} more" if more else "")) or "none"


def labelled(name: str, thing: Part | None) -> str:
    """An id and, where there is one, its label."""
    label = thing.text("diagnostic_label") if thing else None
    return f"{quoted(name)} ({quoted(label)})" if label else quoted(name)


def article(name: str) -> str:
    """A message type with its article, for a text."""
    return f"{'an' if name[0] in 'FO' else 'a'} {name}"


def flags_denied(givens: Iterable[Given], *place: str) -> Given | None:
    """The newest description, when all that may be gone by have this flag false."""
    newest = None
    for given in givens:
        part: Part | None = given.content
        for name in place[:-1]:
            part = part.part(name) if part else None
        if part is None or part.flag(place[-1]) is not False:
            return None
        newest = newest or given
    return newest


@rule("modes.no-description", Severity.ERROR, MODES)
def no_description(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status or instruction comes before any system description.

    It names operation modes, timers or actuators that the receiver knows nothing of. It is said
    once until a description is given.

    Where: the ids in instructions and statuses refer to the SystemDescription in force.
    Wrong:
        begin()
        select("FRBC")
        cem("FRBC.Instruction")
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription")
        cem("FRBC.Instruction")
    Do: The RM describes itself as soon as a control type is selected; the CEM waits for it.
    """
    if (
        described(message, conversation)
        or not _in_place(message, conversation)
        or _doubt(message, conversation)
    ):
        return
    family = message.message_type[:4]
    held = conversation.holds(f"{family}.SystemDescription").given
    last = held[-1] if held else None
    if message.sender is Role.RM and conversation.before_selection:
        return  # it was under way when the CEM selected the control type
    if last is None:
        missing = "none was given"
        if conversation.selection is not None:
            missing += f" since {conversation.selection.name(conversation.now)}"
    elif last.revoked is not None and not _under_way(message, conversation, last):
        name = last.message.name(conversation.now)
        missing = f"{name}, was revoked by {last.revoked.name(conversation.now)}"
    else:
        return
    if conversation.once(
        f"no-description {family}", last.message if last else conversation.selection
    ):
        description = f"{family}.SystemDescription"
        yield Found("", f"{message.message_type} refers to {article(description)}, and {missing}")


@rule("modes.cannot-check", Severity.INFO, MODES)
def cannot_check(message: Message, conversation: Conversation) -> Iterator[Found]:
    """References to the system description cannot be checked.

    The description was refused or is not valid, or was given before s2-mitm was put in between.
    What it says readably is gone by all the same; whether something that is not in it is wrong
    cannot be told. It is said once until the next description.

    Where: nothing need be wrong with the message.
    Wrong:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", answer="TEMPORARY_ERROR")
        cem("FRBC.Instruction")
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", answer="TEMPORARY_ERROR")
        rm("FRBC.SystemDescription")
        cem("FRBC.Instruction")
    Do: See what is wrong with the description, and send it again.
    """
    if described(message, conversation) and _unknown(message, conversation) is None:
        return
    if not (doubt := _doubt(message, conversation)):
        return
    family = message.message_type[:4]
    held = conversation.holds(f"{family}.SystemDescription").given
    if conversation.once(
        f"cannot-check {family}", held[-1].message if held else conversation.selection
    ):
        yield Found("", f"what this refers to cannot be checked: {doubt}")


@rule("modes.unknown-actuator", Severity.ERROR, [name for name in MODES if "OMBC" not in name])
def unknown_actuator(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An actuator that was not described.

    The receiver cannot tell what is meant: the RM rejects such an instruction, the CEM ignores
    such a status.

    Where: actuator_id is the id of an actuator in the SystemDescription in force.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", actuator_id="#other")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", actuator_id="#actuator")
    Do: Use the id from the latest description; an RM keeps its ids when it describes itself again.
    """
    yield from _found(message, conversation, "actuator")


@rule(
    "modes.unknown-mode",
    Severity.ERROR,
    [*TARGET, *STATUSES],
    statements=["N12", "N17"],
)
def unknown_mode(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An operation mode that this actuator was not described with.

    The receiver cannot tell what is meant: the RM rejects such an instruction, the CEM does not
    know what the device is doing.

    Where: the mode of an instruction (N12, N17) and those of a status are modes of the actuator, in
    the SystemDescription in force. The previous mode may be one of an earlier description.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", operation_mode="#discharge")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", operation_mode="#charge")
    Do: Use the id of the mode, not its label, and from the latest description.
    """
    yield from _found(message, conversation, "operation mode")


@rule("modes.unknown-timer", Severity.ERROR, TIMERS)
def unknown_timer(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The status of a timer that was not described.

    The CEM cannot tell which transitions it blocks.

    Where: timer_id is the id of a timer of the actuator, in the SystemDescription in force.
    Wrong:
        begin("FRBC")
        rm("FRBC.TimerStatus", timer_id="#idle-to-charge")
    Right:
        begin("FRBC")
        rm("FRBC.TimerStatus", timer_id="#rest")
    Do: Use the id of the timer, not that of a transition that it blocks.
    """
    yield from _found(message, conversation, "timer")


# What a status tells


@rule("modes.no-previous", Severity.ERROR, STATUSES, statements=["N02", "N10", "N18"])
def no_previous(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The active mode has changed, and the status does not say from which or when.

    The CEM needs the moment to know how far the transition is and which timers have started.

    Where: previous_operation_mode_id and transition_timestamp are always provided, unless the RM
    knows of no mode before (N02, N10, N18).
    Wrong:
        begin("FRBC")
        rm("FRBC.ActuatorStatus", active_operation_mode_id="#charge")
    Right:
        begin("FRBC")
        rm("FRBC.ActuatorStatus", active_operation_mode_id="#charge",
           previous_operation_mode_id="#idle", transition_timestamp=at(0))
    Do: Keep the mode before and the time of the switch, and send them in every status from then on.
    """
    actuator_id, mode = actuator_id_of(message), message.content.text("active_operation_mode_id")
    active = conversation.active_modes.get(actuator_id) if actuator_id is not None else None
    if actuator_id is None or active is None or mode is None or active.mode == mode:
        return
    absent = [
        name
        for name in ("previous_operation_mode_id", "transition_timestamp")
        if not message.content.has(name)
    ]
    if not absent:
        return
    for given in described(
        message, conversation
    ):  # an RM may give its modes new ids with each description
        actuator = given.actuators.get(actuator_id)
        if actuator and mode in actuator.modes and active.mode in actuator.modes:
            yield Found(
                "",
                f"the active mode is {labelled(mode, actuator.modes[mode])} and was"
                f" {labelled(active.mode, actuator.modes[active.mode])} by"
                f" {active.message.name(conversation.now)}; {' and '.join(absent)}"
                f" {'is' if len(absent) == 1 else 'are'} missing",
            )
            return
