"""Actuators, operation modes and timers: what FRBC, OMBC and DDBC have in common.

What their descriptions say is in `descriptions`, what instructions ask for in `moves`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from s2_mitm.s2.catalog import only_sender
from s2_mitm.s2.in_force import Given
from s2_mitm.s2.message import Part, Said
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import quoted

if TYPE_CHECKING:
    from s2_mitm.s2.conversation import Conversation

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
    function: Callable[[Said, Conversation], T],
) -> Callable[[Said, Conversation], T]:
    """Let a function work for each message once, however many rules ask it."""
    key = function.__module__, function.__name__

    def ask(said: Said, talk: Conversation) -> T:
        if key not in talk.worked_out:
            talk.worked_out[key] = function(said, talk)
        answer: T = talk.worked_out[key]
        return answer

    return ask


@worked_out_once
def described(said: Said, talk: Conversation) -> list[Given]:
    """The system descriptions that a message may go by, newest first.

    None where its control type is not the active one, which rules of the state tell.
    """
    if not _in_place(said, talk):
        return []
    return talk.given(f"{said.message_type[:4]}.SystemDescription", talk.now - CLOCKS)


def _in_place(said: Said, talk: Conversation) -> bool:
    """Whether a message is of the active control type, as far as is known, and its sender's to say.

    Otherwise rules of direction and state tell.
    """
    if only_sender(said.message_type) is not said.sender:
        return False
    if talk.family is None and talk.selection is None:
        return not talk.saw_beginning
    return talk.family == said.message_type[:4]


def actuator_id_of(said: Said) -> str | None:
    return "" if said.message_type[:4] == "OMBC" else said.content.text("actuator_id")


@worked_out_once
def _unknown(said: Said, talk: Conversation) -> _Unknown | None:
    """The first reference that leads nowhere; None when there is none, or no description."""
    given, actuator_id = described(said, talk), actuator_id_of(said)
    if not given or actuator_id is None:
        return None
    actuators = [each.actuators[actuator_id] for each in given if actuator_id in each.actuators]
    if not actuators:
        return _Unknown("actuator", "actuator_id", actuator_id)
    for field in MODES[said.message_type]:
        mode = said.content.text(field)
        if mode is None or mode in actuators[0].modes:
            continue
        if any(mode in actuator.modes for actuator in actuators):
            continue
        if field != "previous_operation_mode_id" or not _was_known(said, talk, mode):
            return _Unknown("operation mode", field, mode)
    timer = said.content.text("timer_id") if said.message_type in TIMERS else None
    if timer is not None and not any(timer in actuator.timers for actuator in actuators):
        return _Unknown("timer", "timer_id", timer)
    return None


def _was_known(said: Said, talk: Conversation, mode: str) -> bool:
    """Whether a previous mode is one of an earlier description, or may be of a forgotten one."""
    held = talk.holds(f"{said.message_type[:4]}.SystemDescription").given
    since = said.content.moment("transition_timestamp")
    if since is None or since < held[0].said.time + CLOCKS:
        return True
    actuator_id = actuator_id_of(said) or ""
    return any(
        actuator_id in given.actuators and mode in given.actuators[actuator_id].modes
        for given in held
    )


@worked_out_once
def _doubt(said: Said, talk: Conversation) -> str:
    """Why it cannot be told whether a reference is right; empty when it can."""
    family = said.message_type[:4]
    if not _in_place(said, talk):
        return ""
    held = talk.holds(f"{family}.SystemDescription")
    if held.doubt:
        return held.doubt
    unreadable = talk.unreadable.get(Role.RM, 0.0)
    if unreadable > (held.given[-1].said if held.given else talk.selection or said).monotonic:
        return f"what the RM sent {talk.monotonic - unreadable:.1f} s before could not be read"
    agreed = any(given.answer == "OK" and given.valid_from <= talk.now for given in held.given)
    if not (talk.saw_beginning or agreed):
        return "what was said before the first message that was seen is unknown"
    return ""


def _found(said: Said, talk: Conversation, what: str) -> Iterator[Found]:
    """What is to be said of a reference to an actuator, a mode or a timer that leads nowhere."""
    unknown = _unknown(said, talk)
    if unknown is None or unknown.what != what or _doubt(said, talk):
        return
    given, actuator_id = described(said, talk), actuator_id_of(said) or ""
    newest = next((each for each in given if actuator_id in each.actuators), given[0])
    known = _things(newest, actuator_id, what)
    owner = f"actuator {quoted(actuator_id)} of " if actuator_id and what != "actuator" else ""
    text = (
        f"{what} {quoted(unknown.name)} is not in {owner}{newest.said.name(talk.now)}, which has"
        f" {listed(known)}"
    )
    elsewhere = _elsewhere(said, talk, unknown, given)
    if elsewhere is not None:
        yield Found(said.content.at(unknown.field), text + elsewhere)


def _elsewhere(
    said: Said, talk: Conversation, unknown: _Unknown, in_force: list[Given]
) -> str | None:
    """Where else the thing is, for the end of a sentence; None where it was in force just now."""
    for given in reversed(talk.holds(f"{said.message_type[:4]}.SystemDescription").given):
        for actuator_id in given.actuators:
            if unknown.name not in _things(given, actuator_id, unknown.what):
                continue
            if any(given is each for each in in_force):
                return f"; it belongs to actuator {quoted(actuator_id)}"
            name = given.said.name(talk.now)
            if given.revoked is None:
                why = f"answered with {given.answer}" if given.refused else "replaced since"
                return f"; it was in {name}, {why}"
            if _under_way(said, talk, given):
                return None
            return f"; it was in {name}, revoked by {given.revoked.name(talk.now)}"
    return ""


def _under_way(said: Said, talk: Conversation, given: Given) -> bool:
    """Whether the other side may not have received the revocation when it said this."""
    revoked = given.revoked
    return (
        revoked is not None
        and revoked.sender is not said.sender
        and (revoked.sender, revoked.message_id) in talk.unanswered
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
def no_description(said: Said, talk: Conversation) -> Iterator[Found]:
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
    if described(said, talk) or not _in_place(said, talk) or _doubt(said, talk):
        return
    family = said.message_type[:4]
    held = talk.holds(f"{family}.SystemDescription").given
    last = held[-1] if held else None
    if said.sender is Role.RM and talk.before_selection:
        return  # it was under way when the CEM selected the control type
    if last is None:
        missing = "none was given"
        if talk.selection is not None:
            missing += f" since {talk.selection.name(talk.now)}"
    elif last.revoked is not None and not _under_way(said, talk, last):
        name = last.said.name(talk.now)
        missing = f"{name}, was revoked by {last.revoked.name(talk.now)}"
    else:
        return
    if talk.once(f"no-description {family}", last.said if last else talk.selection):
        description = f"{family}.SystemDescription"
        yield Found("", f"{said.message_type} refers to {article(description)}, and {missing}")


@rule("modes.cannot-check", Severity.INFO, MODES)
def cannot_check(said: Said, talk: Conversation) -> Iterator[Found]:
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
    if described(said, talk) and _unknown(said, talk) is None:
        return
    if not (doubt := _doubt(said, talk)):
        return
    family = said.message_type[:4]
    held = talk.holds(f"{family}.SystemDescription").given
    if talk.once(f"cannot-check {family}", held[-1].said if held else talk.selection):
        yield Found("", f"what this refers to cannot be checked: {doubt}")


@rule("modes.unknown-actuator", Severity.ERROR, [name for name in MODES if "OMBC" not in name])
def unknown_actuator(said: Said, talk: Conversation) -> Iterator[Found]:
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
    yield from _found(said, talk, "actuator")


@rule(
    "modes.unknown-mode",
    Severity.ERROR,
    [*TARGET, *STATUSES],
    statements=["N12", "N17"],
)
def unknown_mode(said: Said, talk: Conversation) -> Iterator[Found]:
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
    yield from _found(said, talk, "operation mode")


@rule("modes.unknown-timer", Severity.ERROR, TIMERS)
def unknown_timer(said: Said, talk: Conversation) -> Iterator[Found]:
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
    yield from _found(said, talk, "timer")


# What a status tells


@rule("modes.no-previous", Severity.ERROR, STATUSES, statements=["N02", "N10", "N18"])
def no_previous(said: Said, talk: Conversation) -> Iterator[Found]:
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
    actuator_id, mode = actuator_id_of(said), said.content.text("active_operation_mode_id")
    active = talk.active_modes.get(actuator_id) if actuator_id is not None else None
    if actuator_id is None or active is None or mode is None or active.mode == mode:
        return
    absent = [
        name
        for name in ("previous_operation_mode_id", "transition_timestamp")
        if not said.content.has(name)
    ]
    if not absent:
        return
    for given in described(said, talk):  # an RM may give its modes new ids with each description
        actuator = given.actuators.get(actuator_id)
        if actuator and mode in actuator.modes and active.mode in actuator.modes:
            yield Found(
                "",
                f"the active mode is {labelled(mode, actuator.modes[mode])} and was"
                f" {labelled(active.mode, actuator.modes[active.mode])} by"
                f" {active.said.name(talk.now)}; {' and '.join(absent)}"
                f" {'is' if len(absent) == 1 else 'are'} missing",
            )
            return
