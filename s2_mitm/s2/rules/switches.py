"""What a status of FRBC, OMBC or DDBC says about the switch to the active operation mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from s2_mitm.s2.catalog import MODE_STATUSES, control_type_of
from s2_mitm.s2.conversation.memory import Active, Conversation, Instruction
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import Actuator, Description
from s2_mitm.s2.rules.common.descriptions import PREVIOUS, actuator_id_of, described
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.paths import TARGET
from s2_mitm.s2.rules.common.tolerances import CLOCKS, SWITCHING
from s2_mitm.s2.rules.common.words import labelled
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Role, Severity

_INSTRUCTION = {control_type_of(name): name for name in TARGET}
"""The instructions of each control type with operation modes."""


class _Switch(NamedTuple):
    """A switch that a status tells of, of which no status told before.

    ``given`` is the newest description that has both modes, ``actuator`` the actuator in it;
    ``last`` what the status before said.
    """

    actuator_id: str
    previous: str
    mode: str
    given: Description
    actuator: Actuator
    last: Active | None


@once_a_message
def _switch(message: Message, conversation: Conversation) -> _Switch | None:
    """The switch that a status tells of; None where it tells of none, or not clearly."""
    previous, mode = (
        message.content.text(PREVIOUS),
        message.content.text("active_operation_mode_id"),
    )
    actuator_id = actuator_id_of(message)
    if previous is None or mode is None or actuator_id is None:
        return None
    last = conversation.active_modes.get(actuator_id)
    moment = message.content.moment("transition_timestamp")
    if last is not None and (last.mode, last.previous, last.switched) == (mode, previous, moment):
        return None
    for given in described(message, conversation):
        actuator = given.actuators.get(actuator_id)
        if actuator and mode in actuator.modes and previous in actuator.modes:
            return _Switch(actuator_id, previous, mode, given, actuator, last)
    return None


@rule("modes.wrong-previous", Severity.WARNING, MODE_STATUSES)
def wrong_previous(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The previous mode is not the one that was active by the last status.

    One of the two statuses is wrong, or one in between was not sent. The CEM cannot tell which
    timers have started.

    Where: FRBC.ActuatorStatus, OMBC.Status, DDBC.ActuatorStatus: previous_operation_mode_id.
    Why: It is the mode that was active before the present one. But nothing says which of the two
    statuses is wrong.
    Wrong:
        begin("FRBC")
        rm("FRBC.ActuatorStatus", active_operation_mode_id="#charge",
           previous_operation_mode_id="#emergency", transition_timestamp=at(0))
    Right:
        begin("FRBC")
        rm("FRBC.ActuatorStatus", active_operation_mode_id="#charge",
           previous_operation_mode_id="#idle", transition_timestamp=at(0))
    Do: Send a status whenever the active mode changes, and name in it the one before.
    """
    switch = _switch(message, conversation)
    if switch is not None and (expected := _contradicted(message, conversation, switch)):
        modes, last = switch.actuator.modes, switch.last
        name = last.message.name(conversation.now) if last else ""
        yield Found(
            f"/{PREVIOUS}",
            f"{labelled(switch.previous, modes[switch.previous])} cannot have been active before:"
            f" it was {labelled(expected, modes[expected])} by {name}",
        )


def _contradicted(message: Message, conversation: Conversation, switch: _Switch) -> str | None:
    """The mode that should be the previous one, by the last status."""
    last, transitions = switch.last, switch.actuator.transitions
    if last is None or last.message.injected or last.message.changed:
        return None  # the RM did not say so
    if conversation.unreadable.get(Role.RM, -1) >= last.message.monotonic:
        return None  # that may have been the status in between
    if last.mode == switch.mode:
        same = last.switched is not None and last.switched == message.content.moment(
            "transition_timestamp"
        )
        expected = last.previous if same else None
    else:
        expected = last.mode
    if expected is None or expected == switch.previous or expected not in switch.actuator.modes:
        return None
    if (
        (expected, switch.mode) not in transitions
        and (expected, switch.previous) in transitions
        and (switch.previous, switch.mode) in transitions
    ):
        return None  # it may just have passed through, on the only way
    return expected


@rule("modes.no-transition", Severity.INFO, MODE_STATUSES)
def no_transition(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The device has switched as no transition leads.

    The CEM plans with the transitions, and does not expect that. An RM may do so; but a transition
    may also be missing in its description. It is reported once for a description.

    Where: Guide to Operation Modes (docs.s2standard.org), State machine. Transition: from, to.
    Why: The page allows an RM to switch without a transition, and calls it not preferable.
    Wrong:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        wait(60)
        rm("OMBC.Status", active_operation_mode_id="#boost",
           previous_operation_mode_id="#on", transition_timestamp=at(60))
    Right:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        wait(60)
        rm("OMBC.Status", active_operation_mode_id="#off",
           previous_operation_mode_id="#on", transition_timestamp=at(60))
    Do: Describe each transition that the device makes by itself, too.
    """
    switch = _switch(message, conversation)
    if switch is None or switch.previous == switch.mode or not switch.actuator.transitions:
        return
    way, moment = (
        (switch.previous, switch.mode),
        message.content.moment("transition_timestamp"),
    )
    if moment is None or moment < switch.given.message.time or _followed(conversation, switch):
        return  # it may have been before that description, or is not by the RM itself
    if any(
        way in actuator.transitions
        for given in described(message, conversation)
        if (actuator := given.actuators.get(switch.actuator_id))
    ) or _contradicted(message, conversation, switch):
        return
    yield Found(
        "/active_operation_mode_id",
        f"no transition leads {_between(switch)}, by {switch.given.message.name(conversation.now)}",
        once=f"no-transition {message.message_type}",
        since=switch.given.message,
    )


@rule("modes.switched-early", Severity.WARNING, MODE_STATUSES, statements=["N69"])
def switched_early(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The device has switched while a timer blocked the transition.

    The timer says that the device must rest, or run on, until then. The CEM plans with it.

    Where: Transition: blocking_timers; FRBC.TimerStatus, OMBC.TimerStatus and DDBC.TimerStatus:
    finished_at; Timer: duration.
    Why: A timer that is not finished blocks the transition. But the documentation (Guide to
    Operation Modes, State machine) lets an RM switch as it has to. It is not reported of an RM that
    leaves a mode after it has said that the instruction to it is aborted.
    Wrong:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        rm("OMBC.TimerStatus", finished_at=at(60))
        wait(30)
        rm("OMBC.Status", active_operation_mode_id="#off",
           previous_operation_mode_id="#on", transition_timestamp=at(30))
    Right:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        rm("OMBC.TimerStatus", finished_at=at(60))
        wait(60)
        rm("OMBC.Status", active_operation_mode_id="#off",
           previous_operation_mode_id="#on", transition_timestamp=at(60))
    Do: Wait for the timer; or send a TimerStatus when it is finished earlier.
    """
    switch, moment = (
        _switch(message, conversation),
        message.content.moment("transition_timestamp"),
    )
    if switch is None or moment is None or _followed(conversation, switch):
        return
    if _given_up(conversation, switch):
        return
    transitions = switch.actuator.transitions.get((switch.previous, switch.mode), ())
    blocked = [_blocking(conversation, switch, each, moment) for each in transitions]
    if not blocked or None in blocked:
        return
    name = blocked[0] or ""
    state = conversation.timers[switch.actuator_id, name]
    how = "since the switch in" if state.started else "by"
    yield Found(
        "/transition_timestamp",
        f"timer {labelled(name, switch.actuator.timers[name])} blocks the transition"
        f" {_between(switch)} until {clock(state.finished)},"
        f" {how} {state.message.name(conversation.now)}",
    )


def _blocking(
    conversation: Conversation, switch: _Switch, transition: Part, moment: float
) -> str | None:
    """A timer that blocked a transition at a moment; None where none did."""
    restarted = transition.texts("start_timers")
    for timer in transition.texts("blocking_timers"):
        state = conversation.timers.get((switch.actuator_id, timer))
        part = switch.actuator.timers.get(timer)
        duration = part.number("duration") if part else None
        if state is None or duration is None or state.finished <= moment + SWITCHING:
            continue
        # A timer that runs longer than its duration has a wrong status.
        if state.finished > conversation.now + duration / 1000 + CLOCKS:
            continue
        # The transition itself may have started it, before the status of the actuator came.
        if timer in restarted and not state.started:
            continue
        return timer
    return None


def _followed(conversation: Conversation, switch: _Switch) -> bool:
    """Whether the RM has followed an instruction that is wrong, which was reported there."""
    instruction = _latest(conversation, switch, to=switch.mode)
    return instruction is not None and not instruction.message.faultless


def _given_up(conversation: Conversation, switch: _Switch) -> bool:
    """Whether the RM leaves a mode since it had to give up the instruction to it."""
    instruction = _latest(conversation, switch, to=switch.previous)
    return instruction is not None and instruction.status in ("ABORTED", "REVOKED")


def _latest(conversation: Conversation, switch: _Switch, *, to: str) -> Instruction | None:
    """The latest instruction to the actuator, where it is one to this mode."""
    kind = _INSTRUCTION[control_type_of(switch.given.message.message_type)]
    instruction = conversation.latest_instructions.get(f"{kind} {switch.actuator_id}")
    if instruction is None or instruction.message.content.text(TARGET[kind]) != to:
        return None
    return instruction


def _between(switch: _Switch) -> str:
    """The two modes, for a text."""
    modes = switch.actuator.modes
    return (
        f"from {labelled(switch.previous, modes[switch.previous])}"
        f" to {labelled(switch.mode, modes[switch.mode])}"
    )
