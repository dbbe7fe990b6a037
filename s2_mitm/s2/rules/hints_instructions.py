"""Hints: instructions that contradict each other, and times of statuses that cannot be."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import FINAL_STATUSES, TIMER_STATUSES
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, clock
from s2_mitm.s2.rules.common.descriptions import actuator_id_of
from s2_mitm.s2.rules.common.paths import TARGET
from s2_mitm.s2.rules.common.tolerances import CLOCKS, SWITCHING
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Role, Severity

STATUS = "InstructionStatusUpdate"


@rule("hint.two-at-once", Severity.INFO, TARGET)
def two_at_once(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Two instructions for one actuator and the same moment.

    They ask for different things, and were given within a minute. The RM cannot tell which of them
    it is to follow.

    Where: FRBC.Instruction, OMBC.Instruction, DDBC.Instruction: execution_time.
    Why: No text says that the later one takes the place of the other, nor that it does not.
    Wrong:
        begin("OMBC")
        cem("OMBC.Instruction", id="#one", execution_time=at(300))
        cem("OMBC.Instruction", id="#two", operation_mode_id="#off", execution_time=at(300))
    Right:
        begin("OMBC")
        cem("OMBC.Instruction", id="#one", execution_time=at(300))
        cem("RevokeObject", object_type="OMBC.Instruction", object_id="#one")
        cem("OMBC.Instruction", id="#two", operation_mode_id="#off", execution_time=at(300))
    Do: Revoke an instruction before you give another one in its place.
    """
    content = message.content
    execution, actuator_id = content.moment("execution_time"), actuator_id_of(message)
    if execution is None or actuator_id is None or execution <= conversation.now + SWITCHING:
        return
    asked = _asked(message)
    for instruction_id in conversation.plans.get(f"{message.message_type} {actuator_id}", ()):
        instruction = conversation.instructions.get(instruction_id)
        if instruction is None or instruction.refused or instruction.revoked is not None:
            continue
        given = instruction.message
        if instruction.doubled or message.monotonic - given.monotonic > CLOCKS:
            continue
        same = given.content.moment("execution_time") == execution
        if same and instruction.status not in FINAL_STATUSES and _asked(given) != asked:
            yield Found(
                "/execution_time",
                f"{given.name(message.time)} asks for something else, of the same actuator, at"
                f" {clock(execution)} too",
                once="hint.two-at-once",
            )
            return


def _asked(message: Message) -> tuple[str | None, float | None]:
    """What an instruction asks for."""
    content = message.content
    return content.text(TARGET[message.message_type]), content.number("operation_mode_factor")


@rule("hint.status-time", Severity.INFO, [STATUS])
def status_time(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A status of an instruction is dated before what it follows.

    Its timestamp is before that of the status before, or, for the first one, more than a minute
    before the instruction was given. The CEM cannot tell when the RM did what.

    Where: InstructionStatusUpdate: timestamp.
    Why: It is the moment at which the status changed, and statuses follow each other. But clocks
    are set, and messages may overtake each other.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction")
        rm("InstructionStatusUpdate", status_type="STARTED", timestamp=at(0))
        rm("InstructionStatusUpdate", status_type="SUCCEEDED", timestamp=at(-10))
    Right:
        begin("FRBC")
        cem("FRBC.Instruction")
        rm("InstructionStatusUpdate", status_type="STARTED", timestamp=at(0))
        rm("InstructionStatusUpdate", status_type="SUCCEEDED", timestamp=at(0))
    Do: Take the time when the status changes, from one clock, and keep that set.
    """
    instruction = conversation.instructions.get(message.content.text("instruction_id") or "")
    moment = message.content.moment("timestamp")
    if instruction is None or moment is None or message.sender is not Role.RM:
        return
    if instruction.doubled:
        return
    given, told = instruction.message, instruction.told
    latest = conversation.timestamps.latest
    if told is None and latest and latest[-1].lag > CLOCKS:
        return  # the clock of the RM is late, which is another hint
    if told is None:
        before, tolerated, what = given.time, CLOCKS, f"when {given.name(message.time)} came"
    elif instruction.dated is None or instruction.dated > told.time + CLOCKS:
        return  # the status before is wrong, and that was said of it
    else:
        before, tolerated = instruction.dated, SWITCHING
        what = f"the timestamp in {told.name(message.time)}"
    if moment < before - tolerated:
        yield Found(
            "/timestamp",
            f"{clock(moment)} is before {clock(before)}, {what}",
            once="hint.status-time",
        )


@rule("hint.timer-finished-early", Severity.INFO, TIMER_STATUSES)
def timer_finished_early(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A timer is said to be finished, and a switch has just started it.

    By the switch and by its duration it still runs. A CEM that believes the status gives an
    instruction that the device cannot follow.

    Where: Transition: start_timers; Timer: duration; FRBC.TimerStatus, OMBC.TimerStatus and
    DDBC.TimerStatus: finished_at.
    Why: A transition starts its timers. But no text says that an RM may not end one earlier.
    Wrong:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        rm("OMBC.TimerStatus", finished_at=at(-600))
    Right:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        rm("OMBC.TimerStatus", finished_at=at(60))
    Do: Send the moment at which the timer will be finished: that of the switch and its duration.
    """
    timer, finished = message.content.text("timer_id"), message.content.moment("finished_at")
    if timer is None or finished is None or finished > conversation.now:
        return
    state = conversation.timers.get((actuator_id_of(message) or "", timer))
    # The status of a timer may be sent before that of the switch, and overtaken by it.
    if state is None or not state.started or state.finished <= conversation.now + CLOCKS / 2:
        return
    yield Found(
        "/finished_at",
        f"the timer should run until {clock(state.finished)}, since the switch in"
        f" {state.message.name(conversation.now)}",
        once="hint.timer-finished-early",
    )
