"""From which operation mode an instruction leads: by the last status, and by a plan.

A plan are instructions that were given before and are executed before. What may have happened to
them meanwhile is in doubt: then every mode that may be active counts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from s2_mitm.s2.catalog import FINAL_STATUSES, INSTRUCTIONS
from s2_mitm.s2.conversation.memory import Active, Conversation, Instruction
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.crossing import may_cross
from s2_mitm.s2.rules.common.descriptions import WITH_MODE, actuator_id_of
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.references import unreadable_since
from s2_mitm.s2.rules.common.tolerances import SOON, SWITCHING

TARGET = {name: fields[0] for name, fields in WITH_MODE.items() if name in INSTRUCTIONS}
"""The field of an instruction that names the operation mode to activate."""


class Start(NamedTuple):
    """An operation mode from which an instruction may lead.

    ``message`` shows it: a status, or an instruction that is to be executed at ``time`` (seconds
    since 1970, 0 for a status). ``replaced`` is whether one that was given later may be in its
    place, since that is to be executed before it: the CEM may have planned anew.
    """

    mode: str
    message: Message
    time: float = 0.0
    replaced: bool = False

    @property
    def planned(self) -> bool:
        """Whether it will be active by an instruction."""
        return self.message.message_type in TARGET


class Starts(NamedTuple):
    """The operation modes from which an instruction may lead, the likeliest first.

    ``way`` are the modes through which the plan leads to it, as far as that is certain. ``later``
    is the active mode, in place of both, where nothing else is planned for the time until then:
    what is still to come may change it.
    """

    modes: list[Start]
    way: list[Start]
    later: Start | None = None


UNKNOWN = Starts([], [])


@once_a_message
def starts(message: Message, conversation: Conversation) -> Starts:
    """The operation modes from which an instruction may lead; `UNKNOWN` where all may be."""
    actuator_id, execution = actuator_id_of(message), message.content.moment("execution_time")
    if actuator_id is None or execution is None:
        return UNKNOWN
    if message.message_type in conversation.undelivered:
        return UNKNOWN  # what does the RM know of the last instruction?
    now = conversation.now
    start = max(execution, now)
    active = conversation.active_modes.get(actuator_id)
    if active is not None and (
        may_cross(message, active.first, conversation)
        or unreadable_since(conversation, message, active.message)
    ):
        active = None  # the CEM may not have seen that status yet, or there is one that we have not
    earlier = _earlier(message, conversation, actuator_id, active)
    if earlier is None:
        return UNKNOWN
    planned, unsure = [], []
    for each in earlier:
        ahead = each.time > now + SWITCHING
        # What was given just now for at once is done with when a minute has passed.
        ahead |= start > now + SOON and each.message.time > now - SOON
        if ahead and each.time < start - SWITCHING and not each.replaced:
            planned.append(each)
        elif each.time <= start + SWITCHING:
            unsure.append(each)
    known = [Start(active.mode, active.message)] if active else []
    if planned:
        planned.sort(key=lambda each: each.time)
        # What is executed at the same time may come first, or in place of the other.
        modes = [each for each in reversed(planned) if each.time >= planned[-1].time - SWITCHING]
        modes += [each for each in unsure if each.time > planned[-1].time]
        if all(each.message.faultless for each in modes):
            return Starts(modes, planned if unsure else known + planned)
        # The RM may reject what is wrong.
        return Starts([*modes, *known, *unsure], []) if known else UNKNOWN
    if not known:
        return UNKNOWN
    if start > now + SOON:
        return UNKNOWN if unsure else Starts([], [], known[0])
    return Starts(known + unsure, [])


def _earlier(
    message: Message, conversation: Conversation, actuator_id: str, active: Active | None
) -> list[Start] | None:
    """The earlier instructions that may still decide which mode is active.

    None where it is not known what one of them does.
    """
    earlier: list[Start] = []
    done = 0.0
    for instruction_id in conversation.plans.get(f"{message.message_type} {actuator_id}", ()):
        instruction = conversation.instructions.get(instruction_id)
        if instruction is None:
            continue
        given = instruction.message
        mode = given.content.text(TARGET[given.message_type])
        when = given.content.moment("execution_time")
        if instruction.doubled or mode is None or when is None:
            return None
        time = max(when, given.time)
        if active is not None and mode == active.mode and _led_to(instruction, time, active):
            done = max(done, time)
        elif active is not None and _is_over(instruction, active):
            continue
        elif not _is_off(message, instruction, conversation):
            if instruction.revoked or instruction.status in ("REJECTED", "REVOKED", "ABORTED"):
                return None  # how far did it come, and does the CEM know?
            earlier.append(Start(mode, given, time))
    if done and active is not None:  # and with it what was to be executed before
        first = active.first.number
        earlier = [each for each in earlier if each.time > done or each.message.number > first]
    soonest = math.inf
    for index in range(len(earlier) - 1, -1, -1):
        each = earlier[index]
        if each.time >= soonest - SWITCHING:
            earlier[index] = each._replace(replaced=True)
        soonest = min(soonest, each.time)
    return earlier


def _is_over(instruction: Instruction, active: Active) -> bool:
    """Whether the RM has told of its end, and then which mode is active."""
    return instruction.status in FINAL_STATUSES and instruction.since < active.message.monotonic


def _led_to(instruction: Instruction, time: float, active: Active) -> bool:
    """Whether an instruction to the active mode has led to it, as far as one can see."""
    return (
        instruction.message.number < active.first.number and time <= active.message.time + SWITCHING
    )


def _is_off(message: Message, instruction: Instruction, conversation: Conversation) -> bool:
    """Whether it will not be executed, or the CEM has reason to think so."""
    if instruction.refused:
        return True
    if instruction.status == "REJECTED":
        told = instruction.told
        return told is None or not may_cross(message, told, conversation)
    when = instruction.message.content.moment("execution_time") or 0.0
    ahead = when > conversation.now + SWITCHING
    return ahead and (instruction.revoked is not None or instruction.status == "REVOKED")
