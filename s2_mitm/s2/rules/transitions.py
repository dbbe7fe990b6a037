"""Whether the device can do what an instruction of FRBC, OMBC or DDBC asks for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import Actuator, Description
from s2_mitm.s2.rules.common.crossing import may_cross
from s2_mitm.s2.rules.common.descriptions import WITH_MODE, actuator_id_of, described
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.paths import TARGET, Start, starts
from s2_mitm.s2.rules.common.references import unreadable_since
from s2_mitm.s2.rules.common.tolerances import CLOCKS, SAME, SWITCHING
from s2_mitm.s2.rules.common.words import labelled
from s2_mitm.s2.rules.common.zones import clock_is_ahead, hours_ahead
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import describe, quoted, short_id


@rule("modes.factor", Severity.WARNING, WITH_MODE, statements=["N01", "N09"], alone=True)
def factor(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An operation_mode_factor that is not between 0 and 1.

    0 stands for the start of the ranges of the operation mode, 1 for their end. What lies beyond
    is not described, and most RMs reject it.

    Where: operation_mode_factor of FRBC.Instruction, OMBC.Instruction, DDBC.Instruction,
    FRBC.ActuatorStatus, OMBC.Status and DDBC.ActuatorStatus.
    Why: The factor should be at least 0 and at most 1.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", operation_mode_factor=50)
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", operation_mode_factor=0.5)
    Do: Send a fraction, not a percentage and not a power.
    """
    value = message.content.number("operation_mode_factor")
    if value is not None and not -SAME <= value <= 1 + SAME:
        yield Found("/operation_mode_factor", f"{describe(value)} is not between 0 and 1")


@rule("modes.abnormal-mode", Severity.ERROR, TARGET, statements=["N43", "N50", "N53"])
def abnormal_mode(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A mode for abnormal conditions is instructed in normal ones.

    Such a mode may harm the comfort or the device; the RM rejects the instruction.

    Where: FRBC.OperationMode, OMBC.OperationMode, DDBC.OperationMode: abnormal_condition_only.
    Why: Such a mode may only be used during an abnormal condition.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", operation_mode="#emergency")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", operation_mode="#emergency", abnormal_condition=True)
    Do: Leave such modes out of planning; when the condition is abnormal, say so in the instruction.
    """
    if message.content.flag("abnormal_condition") is not False:
        return
    field = TARGET[message.message_type]
    givens = _having(message, conversation)
    target, actuator_id = message.content.text(field) or "", actuator_id_of(message) or ""
    modes = [given.actuators[actuator_id].modes[target] for given in givens]
    if modes and all(mode.flag("abnormal_condition_only") for mode in modes):
        yield Found(
            message.content.at(field),
            f"operation mode {labelled(target, modes[0])} needs abnormal_condition to be true: it"
            f" is for abnormal conditions only, by {givens[0].message.name(conversation.now)}",
        )


@rule("modes.not-yet-valid", Severity.WARNING, TARGET)
def not_yet_valid(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A mode is instructed for a time at which its description is not valid yet.

    A description may be given ahead, and instructions for its time too; until then the device
    has the modes of the description before.

    Where: FRBC.SystemDescription, OMBC.SystemDescription, DDBC.SystemDescription: valid_from;
    execution_time of the instruction.
    Why: The mode is described, but not yet in force; no text says that one may not name it.
    Wrong:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", valid_from=at(3600))
        cem("FRBC.Instruction")
    Right:
        begin()
        select("FRBC")
        rm("FRBC.SystemDescription", valid_from=at(3600))
        cem("FRBC.Instruction", execution_time=at(3600))
    Do: Plan with the description that is valid at the execution_time.
    """
    givens = _having(message, conversation)
    if not givens or givens[-1].valid_from <= conversation.now:
        return
    first = min(givens, key=lambda given: given.valid_from)
    execution = message.content.moment("execution_time")
    if hours_ahead(first.valid_from, first.message.time) or clock_is_ahead(conversation):
        return  # it is the RM's clock that is wrong, which other rules tell
    if execution is not None and first.valid_from > max(execution, conversation.now) + CLOCKS:
        yield Found(
            "/execution_time",
            f"at {clock(execution)} this mode is not described yet:"
            f" {first.message.name(conversation.now)} is valid from {clock(first.valid_from)} on",
        )


@once_a_message
def _having(message: Message, conversation: Conversation) -> list[Description]:
    """The descriptions that have the mode of an instruction."""
    target, actuator_id = (
        message.content.text(TARGET[message.message_type]),
        actuator_id_of(message),
    )
    if target is None or actuator_id is None:
        return []
    return [
        given
        for given in described(message, conversation)
        if actuator_id in given.actuators and target in given.actuators[actuator_id].modes
    ]


class _Way(NamedTuple):
    """The transitions from a mode from which an instruction may lead to the one instructed.

    ``given`` is the newest description that has both modes.
    """

    start: Start
    transitions: list[Part]
    given: Description


@once_a_message
def _ways(message: Message, conversation: Conversation) -> list[_Way]:
    """Every way that an instruction may take.

    None when the device may stay in its operation mode, or when it is not known which that is.
    """
    actuator_id, target = actuator_id_of(message), _target(message)
    if actuator_id is None or target is None:
        return []
    ways = []
    for start in starts(message, conversation).modes:
        if start.mode == target:
            return []
        having = [
            given
            for given in _having(message, conversation)
            if start.mode in given.actuators[actuator_id].modes
        ]
        if not having:
            return []
        transitions = [
            transition
            for given in having
            for transition in given.actuators[actuator_id].transitions.get((start.mode, target), ())
        ]
        ways.append(_Way(start, transitions, having[0]))
    return ways


def _target(message: Message) -> str | None:
    return message.content.text(TARGET[message.message_type])


def _actuator(message: Message, given: Description) -> Actuator:
    return given.actuators[actuator_id_of(message) or ""]


def _between(message: Message, way: _Way) -> str:
    """The two modes, for a text."""
    modes, target = _actuator(message, way.given).modes, _target(message) or ""
    start = way.start.mode
    return f"from {labelled(start, modes[start])} to {labelled(target, modes[target])}"


def _shown(message: Message, conversation: Conversation, way: _Way) -> str:
    """What shows that an instruction leads from there, for the end of a text."""
    start, name = way.start, way.start.message.name(conversation.now)
    mode = _actuator(message, way.given).modes[start.mode]
    label = quoted(mode.text("diagnostic_label") or "") if mode.text("diagnostic_label") else ""
    which = label or short_id(start.mode)
    if start.planned:
        return f"{which} is to be active from {clock(start.time)} on by {name}"
    return f"{which} is active by {name}"


def _usable(message: Message, way: _Way) -> list[Part]:
    """The transitions that may be used in the condition that an instruction names."""
    if message.content.flag("abnormal_condition") is not False:
        return way.transitions
    return [each for each in way.transitions if not each.flag("abnormal_condition_only")]


@rule("modes.unreachable", Severity.WARNING, TARGET)
def unreachable(message: Message, conversation: Conversation) -> Iterator[Found]:
    """No transition leads from the active mode to the one instructed.

    The device cannot switch that way; the RM rejects the instruction, or chooses a way of its own.
    An instruction leads from the mode that a status tells (when it is executed within a minute), or
    from that of the instruction before it in time. Where several may be active, each is tried.

    Where: Guide to Operation Modes (docs.s2standard.org), State machine: a device goes to another
    mode only by a transition. Transition: from, to.
    Why: The CEM goes by transitions, but the same page lets an RM switch without one.
    Wrong:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#boost", operation_mode_factor=1,
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        cem("OMBC.Instruction", operation_mode_id="#on")
    Right:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#boost", operation_mode_factor=1,
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        cem("OMBC.Instruction", operation_mode_id="#off")
    Do: Instruct the modes on the way one after the other. An RM that can switch from each mode to
    each other describes a transition for each pair.
    """
    ways = _ways(message, conversation)
    if not ways or any(way.transitions for way in ways):
        return
    way = ways[0]
    path = message.content.at(TARGET[message.message_type])
    text = f"no transition leads {_between(message, way)}"
    if _actuator(message, way.given).transitions:
        yield Found(path, f"{text}; {_shown(message, conversation, way)}")
    elif message.message_type != "DDBC.Instruction":  # ddbc.no-transitions reports that
        yield Found(
            path,
            f"{text}; {way.given.message.name(conversation.now)} has no transitions at all",
            once=f"no-transitions {message.message_type}",
            since=way.given.message,
        )


@rule("modes.abnormal-transition", Severity.ERROR, TARGET, statements=["N70"])
def abnormal_transition(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The only transition to the mode instructed is for abnormal conditions.

    The RM may not use it, and rejects the instruction. It is checked when modes.unreachable is.

    Where: Transition: abnormal_condition_only.
    Why: Such a transition may only be used during an abnormal condition.
    Wrong:
        begin()
        select("OMBC")
        rm("OMBC.SystemDescription",
           transitions=[transition("off", "on", abnormal_condition_only=True)])
        rm("OMBC.Status")
        cem("OMBC.Instruction")
    Right:
        begin()
        select("OMBC")
        rm("OMBC.SystemDescription",
           transitions=[transition("off", "on", abnormal_condition_only=True)])
        rm("OMBC.Status")
        cem("OMBC.Instruction", abnormal_condition=True)
    Do: Leave such transitions out of planning; when the condition is abnormal, say so in the
    instruction.
    """
    ways = _ways(message, conversation)
    if not ways or not all(way.transitions and not _usable(message, way) for way in ways):
        return
    way = ways[0]
    if _actuator(message, way.given).modes[_target(message) or ""].flag("abnormal_condition_only"):
        return  # the mode itself is not to be instructed
    yield Found(
        message.content.at(TARGET[message.message_type]),
        f"the transition {_between(message, way)} needs abnormal_condition to be true;"
        f" {_shown(message, conversation, way)}",
    )


@rule("hint.no-way-planned", Severity.INFO, TARGET)
def no_way_planned(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction for later, to which no transition leads from the active mode.

    Nothing is planned for the time until then, so that the device will still be in that mode as
    far as one can see. Instructions for the modes on the way may still come.

    Where: docs.s2standard.org, Guide to Operation Modes, State machine: a device goes to another
    mode only by a transition. Transition: from, to.
    Why: No text says that the CEM gives its instructions in the order of their times.
    Wrong:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#boost", operation_mode_factor=1,
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        cem("OMBC.Instruction", operation_mode_id="#on", execution_time=at(600))
    Right:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#boost", operation_mode_factor=1,
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        cem("OMBC.Instruction", id="#one", operation_mode_id="#off", execution_time=at(300))
        cem("OMBC.Instruction", id="#two", operation_mode_id="#on", execution_time=at(600))
    Do: Instruct the modes on the way too, and first what is to be executed first.
    """
    start, actuator_id = starts(message, conversation).later, actuator_id_of(message) or ""
    target = _target(message)
    if start is None or target is None or start.mode == target:
        return
    having = [
        given
        for given in _having(message, conversation)
        if start.mode in given.actuators[actuator_id].modes
    ]
    actuators = [given.actuators[actuator_id] for given in having]
    if not actuators or any((start.mode, target) in each.transitions for each in actuators):
        return
    if not actuators[0].transitions:
        return  # modes.unreachable, or ddbc.no-transitions, reports that
    way = _Way(start, [], having[0])
    yield Found(
        message.content.at(TARGET[message.message_type]),
        f"no transition leads {_between(message, way)}, and nothing else is planned;"
        f" {_shown(message, conversation, way)}",
        once="hint.no-way-planned",
    )


@rule("modes.blocked", Severity.WARNING, TARGET, statements=["N69"])
def blocked(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A timer blocks the transition to the mode instructed.

    The device has to rest, or to run on, before it may switch; the RM rejects the instruction or
    executes it late. It is checked when modes.unreachable is; for a later time it is reported where
    timers block every transition to that mode.

    Where: Transition: blocking_timers, start_timers; Timer: duration.
    Why: The timers block the transition, but an RM may wait for their end, or may know better.
    Wrong:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        rm("OMBC.TimerStatus", finished_at=at(60))
        cem("OMBC.Instruction", operation_mode_id="#off", execution_time=at(30))
    Right:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        rm("OMBC.TimerStatus", finished_at=at(20))
        cem("OMBC.Instruction", operation_mode_id="#off", execution_time=at(30))
    Do: Give the instruction an execution_time after the timer is finished.
    """
    ways = _ways(message, conversation)
    which = f"the transition {_between(message, ways[0])}" if ways else ""
    execution = message.content.moment("execution_time")
    if not ways and (ways := _all_ways(message, conversation)):
        target = _target(message) or ""
        mode = _actuator(message, ways[0].given).modes[target]
        which = f"every transition to {labelled(target, mode)}"
    if not ways or execution is None:
        return
    last: _Timer | None = None
    for way in ways:
        usable = _usable(message, way)
        if not usable:
            return
        runs = [_last_to_finish(message, conversation, way, each) for each in usable]
        first = min(runs, key=lambda run: run.finished)
        last = first if last is None else min(last, first, key=lambda run: run.finished)
    start = max(execution, conversation.now)
    if last is not None and last.finished > start + SWITCHING:
        timer = _actuator(message, ways[0].given).timers.get(last.name)
        yield Found(
            "/execution_time",
            f"timer {labelled(last.name, timer)} blocks {which} until"
            f" {clock(last.finished)}, {last.shown}",
        )


def _all_ways(message: Message, conversation: Conversation) -> list[_Way]:
    """Every way to the mode of an instruction for later, of which nothing else is known.

    Whatever mode will be active by then, but the one instructed itself: one of these leads to it.
    None where another mode than that may lead to it already.
    """
    start, actuator_id = starts(message, conversation).later, actuator_id_of(message) or ""
    target, givens = _target(message), _having(message, conversation)
    if start is None or start.mode == target:
        return []
    if any(start.mode not in given.actuators[actuator_id].modes for given in givens):
        return []
    return [
        _Way(start, given.actuators[actuator_id].leading_to.get(target or "", []), given)
        for given in givens
    ]


class _Timer(NamedTuple):
    """A timer, when it is finished (seconds since 1970), and what shows it, in words."""

    finished: float
    name: str
    shown: str


def _last_to_finish(
    message: Message, conversation: Conversation, way: _Way, transition: Part
) -> _Timer:
    """The last of the timers that block a transition."""
    now, actuator = conversation.now, _actuator(message, way.given)
    planned = _started_by_plan(message, conversation, actuator)
    last = _Timer(0.0, "", "")
    for timer in transition.texts("blocking_timers"):
        part = actuator.timers.get(timer)
        duration = part.number("duration") if part else None
        if duration is None:
            continue
        state = conversation.timers.get((actuator_id_of(message) or "", timer))
        # A timer that runs longer than its duration has a wrong status.
        if timer in planned:
            last = max(last, planned[timer])
        elif (
            state is not None
            and state.finished <= now + duration / 1000 + CLOCKS
            and not may_cross(message, state.message, conversation)
            and not unreadable_since(conversation, message, state.message)
        ):
            how = "since the switch in" if state.started else "by"
            shown = f"{how} {state.message.name(now)}"
            last = max(last, _Timer(state.finished, timer, shown))
    return last


def _started_by_plan(
    message: Message, conversation: Conversation, actuator: Actuator
) -> dict[str, _Timer]:
    """The timers that start on the way to the mode from which an instruction leads."""
    started: dict[str, _Timer] = {}
    for before, step in pairwise(starts(message, conversation).way):
        shown = f"since the switch by {step.message.name(conversation.now)}"
        for timer, seconds in actuator.started_by(before.mode, step.mode).items():
            started[timer] = _Timer(step.time + seconds, timer, shown)
    return started
