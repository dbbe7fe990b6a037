"""Whether the device can do what an instruction of FRBC, OMBC or DDBC asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from s2_mitm.s2.catalog import FINAL_STATUSES
from s2_mitm.s2.conversation.memory import Active, Conversation
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import Actuator, Description
from s2_mitm.s2.rules.common.descriptions import (
    TARGET,
    WITH_MODE,
    actuator_id_of,
    described,
)
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.tolerances import CLOCKS, SAME, SOON, SWITCHING
from s2_mitm.s2.rules.common.words import labelled
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import describe


@rule(
    "modes.factor", Severity.WARNING, WITH_MODE, statements=["N01", "N06", "N09", "N13"], alone=True
)
def factor(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An operation_mode_factor that is not between 0 and 1.

    0 stands for the start of the ranges of the operation mode, 1 for their end. What lies beyond
    is not described, and most RMs reject it.

    Where: operation_mode_factor of instructions and statuses (N01, N09; also N06, N13).
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

    Where: abnormal_condition_only of the operation mode (N43, N50, N53).
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
            f"operation mode {labelled(target, modes[0])} is for abnormal conditions only, by"
            f" {givens[0].message.name(conversation.now)}, and abnormal_condition is false",
        )


@rule("modes.not-yet-valid", Severity.WARNING, TARGET)
def not_yet_valid(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A mode is instructed for a time at which its description is not valid yet.

    A description may be given ahead, and instructions for its time too; until then the device
    has the modes of the description before.

    Where: SystemDescription.valid_from, and execution_time of the instruction.
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
    if execution is not None and first.valid_from > max(execution, conversation.now) + CLOCKS:
        yield Found(
            "/execution_time",
            f"{clock(execution)} is before {first.message.name(conversation.now)}, is valid,"
            " which is from"
            f" {clock(first.valid_from)} on",
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


class _Transition(NamedTuple):
    """The modes that an instruction leads from and to, and the transitions described between them.

    ``given`` is the newest description that has both modes.
    """

    actuator_id: str
    active: Active
    target: str
    execution: float
    transitions: list[Part]
    given: Description

    @property
    def actuator(self) -> Actuator:
        return self.given.actuators[self.actuator_id]


@once_a_message
def _asked(message: Message, conversation: Conversation) -> _Transition | None:
    """The transition that an instruction asks for.

    None when it stays in its operation mode, or when the active mode is not known.
    """
    actuator_id, target = (
        actuator_id_of(message),
        message.content.text(TARGET[message.message_type]),
    )
    active = conversation.active_modes.get(actuator_id) if actuator_id is not None else None
    if actuator_id is None or target is None or active is None or active.mode == target:
        return None
    execution = message.content.moment("execution_time")
    if execution is None or execution > conversation.now + SOON:
        return None
    having = [
        given
        for given in _having(message, conversation)
        if active.mode in given.actuators[actuator_id].modes
    ]
    if not having:
        return None
    transitions = [
        transition
        for given in having
        for transition in given.actuators[actuator_id].transitions.get((active.mode, target), ())
    ]
    return _Transition(actuator_id, active, target, execution, transitions, having[0])


def _between(asked: _Transition, conversation: Conversation) -> str:
    """The two modes, for a text."""
    modes, active = asked.actuator.modes, asked.active
    return (
        f"from {labelled(active.mode, modes[active.mode])}, active by"
        f" {active.message.name(conversation.now)}, to"
        f" {labelled(asked.target, modes[asked.target])}"
    )


def _settled(message: Message, conversation: Conversation, asked: _Transition) -> bool:
    """Whether the active mode is that of the last status: no instruction may change it yet."""
    for instruction in conversation.instructions.values():
        before = instruction.message
        if instruction.doubled or (
            before.message_type == message.message_type
            and (actuator_id_of(before) or "") == asked.actuator_id
            and before.content.text(TARGET[before.message_type]) != asked.active.mode
            and not instruction.refused
            and instruction.status != "REJECTED"
            and not (
                instruction.status in FINAL_STATUSES
                and instruction.since < asked.active.message.monotonic
            )
        ):
            return False
    return True


def _usable(message: Message, asked: _Transition) -> list[Part]:
    """The transitions that may be used in the condition that an instruction names."""
    if message.content.flag("abnormal_condition") is not False:
        return asked.transitions
    return [each for each in asked.transitions if not each.flag("abnormal_condition_only")]


@rule("modes.unreachable", Severity.WARNING, TARGET)
def unreachable(message: Message, conversation: Conversation) -> Iterator[Found]:
    """No transition leads from the active mode to the one instructed.

    The device cannot switch that way; the RM rejects the instruction, or chooses a way of its own.
    This is checked when a status has told the active mode, no earlier instruction may still change
    that, and the execution_time is within a minute.

    Where: the transitions of the actuator in the SystemDescription in force.
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
    asked = _asked(message, conversation)
    if asked is None or asked.transitions or not _settled(message, conversation, asked):
        return
    path = message.content.at(TARGET[message.message_type])
    text = (
        f"no transition {_between(asked, conversation)} in"
        f" {asked.given.message.name(conversation.now)}"
    )
    if asked.actuator.transitions:
        yield Found(path, text)
    elif message.message_type != "DDBC.Instruction":  # ddbc.no-transitions reports that
        yield Found(
            path,
            f"{text}, which has no transitions at all",
            once=f"no-transitions {message.message_type}",
            since=asked.given.message,
        )


@rule("modes.abnormal-transition", Severity.ERROR, TARGET, statements=["N70"])
def abnormal_transition(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The only transition to the mode instructed is for abnormal conditions.

    The RM may not use it, and rejects the instruction. It is checked when modes.unreachable is.

    Where: abnormal_condition_only of the transition (N70).
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
    asked = _asked(message, conversation)
    if asked is None or not asked.transitions or _usable(message, asked):
        return
    if asked.actuator.modes[asked.target].flag("abnormal_condition_only"):
        return  # the mode itself is not to be instructed
    if _settled(message, conversation, asked):
        yield Found(
            message.content.at(TARGET[message.message_type]),
            f"the transition {_between(asked, conversation)} is for abnormal conditions only, by"
            f" {asked.given.message.name(conversation.now)}, and abnormal_condition is false",
        )


@rule("modes.blocked", Severity.WARNING, TARGET, statements=["N69"])
def blocked(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A timer blocks the transition to the mode instructed.

    The device has to rest, or to run on, before it may switch; the RM rejects the instruction or
    executes it late. It is checked when modes.unreachable is.

    Where: blocking_timers of the transition (N69), and the latest TimerStatus of each.
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
    asked = _asked(message, conversation)
    usable = _usable(message, asked) if asked else []
    if asked is None or not usable:
        return
    runs = [_last_to_finish(conversation, asked, each) for each in usable]
    finished, timer = min(runs, key=lambda run: run[0])
    if finished > max(asked.execution, conversation.now) + SWITCHING and _settled(
        message, conversation, asked
    ):
        yield Found(
            "/execution_time",
            f"at {clock(asked.execution)} the transition {_between(asked, conversation)} is blocked"
            " by timer"
            f" {labelled(timer, asked.actuator.timers.get(timer))}, which is finished at"
            f" {clock(finished)} by its latest TimerStatus",
        )


def _last_to_finish(
    conversation: Conversation, asked: _Transition, transition: Part
) -> tuple[float, str]:
    """When the last of the blocking timers is finished, and which it is."""
    last = (0.0, "")
    for timer in transition.texts("blocking_timers"):
        finished = conversation.timers.get((asked.actuator_id, timer), 0.0)
        part = asked.actuator.timers.get(timer)
        duration = part.number("duration") if part else None
        # A timer that runs longer than its duration has a wrong status.
        if duration is not None and finished <= conversation.now + duration / 1000 + CLOCKS:
            last = max(last, (finished, timer))
    return last
