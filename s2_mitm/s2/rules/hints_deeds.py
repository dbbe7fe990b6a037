"""Hints: what the RM says of itself, and what it is then seen to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from s2_mitm.s2.catalog import DESCRIPTIONS, FINAL_STATUSES, MODE_STATUSES, control_type_of
from s2_mitm.s2.conversation.memory import Active, Conversation, Instruction
from s2_mitm.s2.conversation.message import Message, Part, clock
from s2_mitm.s2.conversation.validity import Actuator, Description
from s2_mitm.s2.rules.common.descriptions import actuator_id_of
from s2_mitm.s2.rules.common.once_a_message import once_a_message
from s2_mitm.s2.rules.common.paths import TARGET
from s2_mitm.s2.rules.common.power import ELECTRICITY, electric_power, roles_of
from s2_mitm.s2.rules.common.profiles import SCHEDULE
from s2_mitm.s2.rules.common.profiles import STATUS as PROFILE_STATUS
from s2_mitm.s2.rules.common.tolerances import CLOCKS, SWITCHING
from s2_mitm.s2.rules.common.words import labelled, number
from s2_mitm.s2.rules.registry import AT_THE_END, Found, rule
from s2_mitm.s2.verdict import Role, Severity

STATUS = "InstructionStatusUpdate"

PROMPT = 10.0
"""Seconds within which a status follows, when the operation mode has changed."""

SETTLED = 20.0
"""Seconds after which a device has mostly reached the power of a new operation mode."""

SURELY_SETTLED = 120.0
"""Seconds after which it has, so that a single measurement tells."""

GIVEN_UP = 600.0
"""Seconds after which it takes less than described for good: something keeps it from more."""

SOME_WATTS = 50.0
"""W. What a device takes for itself besides."""

MUCH = 500.0
"""W. A thousandth of less may be what a device takes for itself, or the noise of a meter."""

FEW_WATTS = 25.0
"""W. A description with no more than this is in kW, and that was said of it."""


class _Move(NamedTuple):
    """The operation mode that an instruction leads from, and the one that it asks for."""

    active: Active
    target: str
    actuator: Actuator

    def names(self) -> tuple[str, str]:
        modes = self.actuator.modes
        return (
            labelled(self.active.mode, modes[self.active.mode]),
            labelled(self.target, modes[self.target]),
        )

    def duration(self) -> float:
        """How long the transition takes, in seconds, by its description."""
        transitions = self.actuator.transitions.get((self.active.mode, self.target), [])
        durations = [each.number("transition_duration") or 0 for each in transitions]
        return max(durations, default=0) / 1000


def _move(instruction: Instruction, conversation: Conversation) -> _Move | None:
    """Where an instruction leads, while no status has said that anything has changed since."""
    message = instruction.message
    if instruction.doubled or instruction.refused or instruction.revoked or not message.valid:
        return None
    if message.message_type not in TARGET or instruction.family != conversation.family:
        return None
    target, actuator_id = (
        message.content.text(TARGET[message.message_type]),
        actuator_id_of(message),
    )
    active = conversation.active_modes.get(actuator_id) if actuator_id is not None else None
    if target is None or active is None or active.mode == target:
        return None
    if active.first.number > message.number:
        return None  # it may have been in that mode, and left it since
    if active.message.message_type in conversation.undelivered:
        return None
    unreadable = conversation.unreadable.get(Role.RM)
    if unreadable is not None and unreadable >= message.monotonic:
        return None
    for given in reversed(conversation.descriptions_of(_description(message)).all):
        actuator = given.actuators.get(actuator_id or "")
        if actuator and target in actuator.modes and active.mode in actuator.modes:
            return _Move(active, target, actuator)
    return None


def _description(message: Message) -> str:
    return DESCRIPTIONS[control_type_of(message.message_type) or ""]


def _latest(message: Message, conversation: Conversation) -> Instruction | None:
    """The latest instruction for the actuator whose status this is."""
    family, actuator_id = control_type_of(message.message_type), actuator_id_of(message)
    return conversation.latest_instructions.get(f"{family}.Instruction {actuator_id}")


def _execution(instruction: Instruction) -> float:
    """When an instruction is executed at the earliest, in seconds since 1970."""
    moment = instruction.message.content.moment("execution_time")
    return max(instruction.message.time, moment or 0.0)


@rule("hint.not-done", Severity.INFO, [*MODE_STATUSES, AT_THE_END])
def not_done(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction has succeeded, and the operation mode has not changed.

    The CEM counts on the new mode. Either the device has not followed, or its status does not show
    what it does. It is said when a status names the old mode again, or none came by the end.

    Where: InstructionStatusUpdate: status_type; FRBC.ActuatorStatus, DDBC.ActuatorStatus,
    OMBC.Status: active_operation_mode_id.
    Why: No text says how soon the status must follow. That it never does hints at a mistake.
    Wrong:
        begin("OMBC")
        cem("OMBC.Instruction", execution_time=at(0))
        rm("InstructionStatusUpdate", status_type="SUCCEEDED")
        wait(30)
        rm("OMBC.Status")
    Right:
        begin("OMBC")
        cem("OMBC.Instruction", execution_time=at(0))
        rm("InstructionStatusUpdate", status_type="SUCCEEDED")
        wait(30)
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
    Do: Send a status as soon as the operation mode changes, and SUCCEEDED when it has.
    """
    at_the_end = message.message_type in TARGET
    if at_the_end:
        instruction = conversation.instructions.get(message.content.text("id") or "")
        if instruction is None or (
            conversation.latest_instructions.get(instruction.target) is not instruction
        ):
            return
    else:
        instruction = _latest(message, conversation)
    if instruction is None or instruction.status != "SUCCEEDED":
        return
    move = _move(instruction, conversation)
    if move is None or _execution(instruction) > conversation.now:
        return
    waited = conversation.monotonic - instruction.since
    active, target = move.names()
    done = f"after SUCCEEDED of {instruction.message.name(conversation.now)} to {target}"
    if at_the_end:
        told_again = move.active.message.monotonic > instruction.since
        if told_again or waited > PROMPT + move.duration():
            yield Found(
                "",
                f"the last status still has mode {active}, {done}",
                on=instruction.told,
                once="hint.not-done",
            )
    elif (
        message.content.text("active_operation_mode_id") == move.active.mode
        and waited > SWITCHING + move.duration()
    ):
        yield Found(
            "/active_operation_mode_id", f"it is still {active}, {done}", once="hint.not-done"
        )


@rule("hint.done-though-rejected", Severity.INFO, [*MODE_STATUSES, PROFILE_STATUS])
def done_though_rejected(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction was rejected, and the device does what it asked for.

    The CEM does not count on it. The device may have had reasons of its own to do just that.

    Where: InstructionStatusUpdate: status_type; FRBC.ActuatorStatus, DDBC.ActuatorStatus,
    OMBC.Status: active_operation_mode_id; PPBC.PowerSequenceContainerStatus: selected_sequence_id.
    Why: No text forbids it, since an RM may switch by itself; right after a rejection it is odd.
    Wrong:
        begin("OMBC")
        cem("OMBC.Instruction", execution_time=at(0))
        rm("InstructionStatusUpdate", status_type="REJECTED")
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
    Right:
        begin("OMBC")
        cem("OMBC.Instruction", execution_time=at(0))
        rm("InstructionStatusUpdate", status_type="ACCEPTED")
        rm("OMBC.Status", active_operation_mode_id="#on",
           previous_operation_mode_id="#off", transition_timestamp=at(0))
    Do: Say ACCEPTED to what you will do, and leave undone what you reject.
    """
    if not conversation.latest_instructions or not message.valid:
        return
    if message.message_type == PROFILE_STATUS:
        yield from _sequence_though_rejected(message, conversation)
        return
    instruction = _latest(message, conversation)
    if instruction is None or instruction.status != "REJECTED":
        return
    move = _move(instruction, conversation)
    if move is None or message.content.text("active_operation_mode_id") != move.target:
        return
    late = message.time - max(_execution(instruction), message.time - _since(instruction, message))
    if late <= CLOCKS and not _asked_before(instruction, move.target, conversation):
        yield Found(
            "/active_operation_mode_id",
            f"{move.names()[1]} is what {instruction.message.name(message.time)} asked for, which"
            " was REJECTED",
            once="hint.done-though-rejected",
        )


def _since(instruction: Instruction, message: Message) -> float:
    """For how many seconds an instruction has had its status."""
    return message.monotonic - instruction.since


def _asked_before(instruction: Instruction, target: str, conversation: Conversation) -> bool:
    """Whether another instruction asked for the same, and may still be followed."""
    return any(
        other is not instruction
        and other.target == instruction.target
        and other.message.content.text(TARGET[other.message.message_type]) in (target, None)
        and other.status not in FINAL_STATUSES
        for other in conversation.instructions.values()
    )


def _sequence_though_rejected(message: Message, conversation: Conversation) -> Iterator[Found]:
    for part in message.content.parts("sequence_container_status"):
        container = part.text("sequence_container_id") or ""
        instruction = conversation.latest_instructions.get(f"{SCHEDULE} {container}")
        if instruction is None or instruction.status != "REJECTED" or instruction.doubled:
            continue
        content, sequence = instruction.message.content, part.text("selected_sequence_id")
        key = part.text("power_profile_id") or "", container
        before = conversation.progress.get(key)
        if (
            part.text("status") in ("SCHEDULED", "EXECUTING")
            and sequence is not None
            and sequence == content.text("power_sequence_id")
            and key[0] == content.text("power_profile_id")
            and before is not None
            and before.selected is None
            and sum(
                other.target == instruction.target for other in conversation.instructions.values()
            )
            == 1
        ):
            yield Found(
                part.at("selected_sequence_id"),
                f"this is what {instruction.message.name(message.time)} asked for, which was"
                " REJECTED",
                once="hint.done-though-rejected",
            )
            return


@rule("hint.too-early", Severity.INFO, [STATUS], statements=["N05", "N25", "N29", "N30"])
def too_early(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An instruction is started, or has succeeded, before its execution time.

    The CEM has planned it for later. Clocks may differ by a minute; the time of the status counts,
    too, so that an RM is judged by its own clock.

    Where: FRBC.Instruction and all others: execution_time; InstructionStatus: STARTED, SUCCEEDED.
    Why: No text says when a status may be sent; but what starts at a time has not happened before.
    Wrong:
        begin("FRBC")
        cem("FRBC.Instruction", execution_time=at(900))
        rm("InstructionStatusUpdate", status_type="SUCCEEDED")
    Right:
        begin("FRBC")
        cem("FRBC.Instruction", execution_time=at(900))
        rm("InstructionStatusUpdate", status_type="ACCEPTED")
    Do: Say ACCEPTED at first, STARTED at the execution_time, and SUCCEEDED when it is done.
    """
    status = message.content.text("status_type")
    if status not in ("STARTED", "SUCCEEDED"):
        return
    instruction = conversation.instructions.get(message.content.text("instruction_id") or "")
    if instruction is None or instruction.doubled or not message.valid:
        return
    if instruction.revoked or instruction.refused or instruction.status in FINAL_STATUSES:
        return  # other rules say that it should not have happened at all
    execution = instruction.message.content.moment("execution_time")
    told = max(message.time, message.content.moment("timestamp") or 0.0)
    if execution is not None and execution - told > CLOCKS:
        yield Found(
            "/status_type",
            f"{status} of {instruction.message.name(message.time)}, {execution - told:.0f} s before"
            f" its execution_time {clock(execution)}",
            once="hint.too-early",
        )


@rule("hint.power-outside-mode", Severity.INFO, ["PowerMeasurement"])
def power_outside_mode(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The power measured is far from that of the active operation modes.

    The CEM plans with the described power. It is said when a device has had time to reach it, and
    not while an instruction may still change the mode. Far means by a quarter of its largest power,
    or less than a quarter of the least described, for ten minutes.

    Where: PowerMeasurement: values; FRBC.OperationModeElement, DDBC.OperationMode,
    OMBC.OperationMode: power_ranges.
    Why: No text says how exact a description is; so far off it is of no use.
    Wrong:
        begin("OMBC")
        wait(300)
        rm("PowerMeasurement", measurement_timestamp=at(300),
           values=[{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 7500}])
    Right:
        begin("OMBC")
        wait(300)
        rm("PowerMeasurement", measurement_timestamp=at(300),
           values=[{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 1500}])
    Do: Report the mode that the device is in, and describe the power that it takes there.
    """
    if conversation.family not in DESCRIPTIONS or not conversation.active_modes:
        return
    expected = _expected(message, conversation)
    if expected is None:
        return
    values = _values(message)
    for quantity, (low, high) in expected.ranges.items():
        part, value = values[quantity]
        if low <= value <= high or not expected.is_far(quantity, value):
            continue
        if _is_told(message, conversation, expected, quantity, value):
            yield Found(
                part.at("value"),
                f"{number(value)} W, but {expected.names()} with {low:g} to {high:g} W",
                once="hint.power-outside-mode",
            )
            return


def _values(message: Message) -> dict[str, tuple[Part, float]]:
    """The electric powers in a measurement."""
    found = {}
    for part in message.content.parts("values"):
        quantity, value = part.text("commodity_quantity"), part.number("value")
        if quantity is not None and value is not None and quantity.startswith("ELECTRIC."):
            found[quantity] = part, value
    return found


class _Expected(NamedTuple):
    """What the active operation modes are described with, together."""

    ranges: dict[str, tuple[float, float]]
    """The least and the most of each quantity."""
    given: Description
    modes: dict[str, Active]

    @property
    def settled(self) -> float:
        """When the last of them has become active, by the clock that nobody sets."""
        return max(active.first.monotonic for active in self.modes.values())

    def at_factor(self, quantity: str) -> tuple[float, float] | None:
        """How much it takes, or gives, at least and at most, at the factors of the statuses.

        None where a factor is not known, or it may be little.
        """
        low = high = 0.0
        for actuator_id, active in self.modes.items():
            mode, factor = self.given.actuators[actuator_id].modes[active.mode], active.factor
            if factor is None or not 0 <= factor <= 1:
                return None
            each = [
                start + factor * (end - start)
                for part in (mode, *mode.parts("elements"))
                for power in part.parts("power_ranges")
                if power.text("commodity_quantity") == quantity
                and (start := power.number("start_of_range")) is not None
                and (end := power.number("end_of_range")) is not None
            ]
            low, high = low + min(each, default=0.0), high + max(each, default=0.0)
        if high < 0:
            low, high = -high, -low
        return (low, high) if low >= MUCH else None

    def largest(self, quantity: str) -> float:
        """The largest power that the device can have, in whichever modes."""
        return sum(
            max(
                (max(map(abs, each[quantity])) for each in modes.values() if quantity in each),
                default=0.0,
            )
            for modes in self.given.mode_powers.values()
        )

    def is_far(self, quantity: str, value: float) -> bool:
        low, high = self.ranges[quantity]
        if self.is_less(quantity, value):
            least = min(abs(low), abs(high))
            return least > SOME_WATTS and abs(value) < least / 4
        margin = max(SOME_WATTS, self.largest(quantity) / 4)
        return not low - margin <= value <= high + margin

    def is_less(self, quantity: str, value: float) -> bool:
        """Whether the device does the same as described, but less of it."""
        low, high = self.ranges[quantity]
        return 0 <= value < low or high < value <= 0

    def names(self) -> str:
        if len(self.modes) > 1:
            return "the active operation modes are described"
        ((actuator_id, active),) = self.modes.items()
        part = self.given.actuators[actuator_id].modes[active.mode]
        return f"the active mode {labelled(active.mode, part)} is described"


@once_a_message
def _expected(message: Message, conversation: Conversation) -> _Expected | None:
    """What the device that is measured takes by its description; None where that is not known."""
    values = _values(message)
    if not values:
        return None
    givens = conversation.referable(DESCRIPTIONS[conversation.family or ""], conversation.now)
    if len(givens) != 1 or not givens[0].message.valid:
        return None
    ranges: dict[str, tuple[float, float]] = {}
    modes = {}
    for actuator_id, powers in givens[0].mode_powers.items():
        active = conversation.active_modes.get(actuator_id)
        if active is None or active.mode not in powers:
            return None
        modes[actuator_id] = active
        here = powers[active.mode]
        for quantity in values:
            if quantity in here:
                low, high = ranges.get(quantity, (0.0, 0.0))
                ranges[quantity] = low + here[quantity][0], high + here[quantity][1]
            elif any(other.startswith("ELECTRIC.") for other in here):
                return None  # described by other phases than measured
    return _Expected(ranges, givens[0], modes) if modes else None


def _is_told(
    message: Message, conversation: Conversation, expected: _Expected, quantity: str, value: float
) -> bool:
    """Whether nothing explains a power that is far from what was described."""
    measured = message.content.moment("measurement_timestamp")
    if not message.valid or measured is None or message.time - measured > CLOCKS:
        return False
    if expected.largest(quantity) <= FEW_WATTS:
        return False
    roles = roles_of(conversation.details).get(ELECTRICITY, set())
    total = electric_power(message.content.parts("values"), "value")
    if (total > 0 and roles == {"ENERGY_PRODUCER"}) or (total < 0 and roles == {"ENERGY_CONSUMER"}):
        return False  # another hint says that
    if any(_may_change(each, conversation) for each in conversation.latest_instructions.values()):
        return False
    waited = message.monotonic - expected.settled
    before = conversation.measurement
    again = (
        before is not None
        and before.monotonic - expected.settled > SETTLED
        and quantity in (earlier := _values(before))
        and expected.is_far(quantity, earlier[quantity][1])
    )
    if expected.is_less(quantity, value):
        return again and waited > GIVEN_UP
    return waited > (SETTLED if again else SURELY_SETTLED)


def _may_change(instruction: Instruction, conversation: Conversation) -> bool:
    """Whether an instruction may just be changing the operation mode."""
    if instruction.refused or instruction.status in FINAL_STATUSES or instruction.revoked:
        return False
    message = instruction.message
    active = conversation.active_modes.get(actuator_id_of(message) or "")
    target = message.content.text(TARGET.get(message.message_type, ""))
    return active is None or active.mode != target


@rule("hint.measured-in-kilowatts", Severity.INFO, ["PowerMeasurement"])
def measured_in_kilowatts(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A measurement that looks like kilowatts.

    Times a thousand it is just what the active operation mode is described with, at the factor
    that the status names.

    Where: CommodityQuantity, which has the units; FRBC.ActuatorStatus,
    DDBC.ActuatorStatus, OMBC.Status: operation_mode_factor.
    Why: No text forbids that a device takes so much less. The thousandth is no coincidence.
    Wrong:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#on", operation_mode_factor=0.8,
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        wait(60)
        rm("PowerMeasurement", measurement_timestamp=at(60),
           values=[{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 1.6}])
    Right:
        begin("OMBC")
        rm("OMBC.Status", active_operation_mode_id="#on", operation_mode_factor=0.8,
           previous_operation_mode_id="#off", transition_timestamp=at(0))
        wait(60)
        rm("PowerMeasurement", measurement_timestamp=at(60),
           values=[{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 1600}])
    Do: Send watts.
    """
    if conversation.family not in DESCRIPTIONS or not conversation.active_modes:
        return
    expected = _expected(message, conversation)
    if expected is None:
        return
    values = _values(message)
    if not any(0.3 <= abs(value) <= 100 for _, value in values.values()):
        return
    if message.monotonic - expected.settled < SETTLED or not message.valid:
        return
    if any(_may_change(each, conversation) for each in conversation.latest_instructions.values()):
        return
    for quantity in expected.ranges:
        part, value = values[quantity]
        reach = expected.at_factor(quantity)
        if reach is not None and reach[0] * 0.8 <= abs(value) * 1000 <= reach[1] * 1.2:
            yield Found(
                part.at("value"),
                f"{number(value)} W; {expected.names()} with {reach[1]:g} W at the factor of its"
                " status, so it looks like kW",
                once="hint.measured-in-kilowatts",
            )
            return
