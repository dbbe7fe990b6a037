"""FRBC, OMBC and DDBC: descriptions, and what drives an operation mode or says which is active."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from s2_mitm.s2.catalog import DESCRIPTIONS, control_type_of
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.validity import Actuator, Description
from s2_mitm.s2.meaning.amounts import (
    MOST,
    Spread,
    amount,
    count_of,
    holds,
    joined,
    moment,
    number,
    powers,
    rate,
    span,
    spread,
    when,
    widened,
)
from s2_mitm.s2.meaning.names import by_id, called, label_of, undescribed
from s2_mitm.s2.meaning.power import measured_lately
from s2_mitm.s2.meaning.storage import unit_of
from s2_mitm.s2.wording import counted

SOON = 60.0
"""Seconds for which the fill level, and the active mode, are taken to stay what they are."""

_MODE_FIELD = {"FRBC.Instruction": "operation_mode"}
"""The field of an instruction that names its mode, where it is not ``operation_mode_id``."""


class _Named(NamedTuple):
    """What a message names, as far as it is described.

    ``given`` is the description that has it, ``in_force`` says whether that may be referred to.
    """

    given: Description | None
    actuator: Actuator | None
    mode: Part | None = None
    in_force: bool = True


def description(message: Message, conversation: Conversation) -> str:
    """``Battery inverter: 3 modes, 4 transitions, 1 timer; 0 to 5,000 W; battery 0 to 100 %``."""
    content = message.content
    actuators = [content] if _is_one(message) else list(content.parts("actuators"))
    labels = [label_of(each) for each in actuators[:MOST]]
    told = ", ".join(labels) if labels and all(labels) and len(actuators) <= MOST else ""
    if not told and not _is_one(message):
        told = counted(len(actuators), "actuator")
    counts = joined(
        *(
            counted(sum(count_of(each, field) for each in actuators), noun)
            for field, noun in (
                ("operation_modes", "mode"),
                ("transitions", "transition"),
                ("timers", "timer"),
            )
        )
    )
    by_quantity, others = dict[str, Spread](), dict[str, Spread]()
    for actuator in actuators:
        for mode in actuator.parts("operation_modes"):
            for element in _elements(mode):
                for each in element.parts("power_ranges"):
                    _widen(by_quantity, each.text("commodity_quantity"), each)
                for field in ("fill_rate", "supply_range"):
                    if (part := element.part(field)) is not None:
                        _widen(others, field, part)
    storage = content.part("storage")
    unit = unit_of(storage)
    levels = storage.range("fill_level_range") if storage else None
    demand = content.range("present_demand_rate")
    return joined(
        joined(told, counts, by=": "),
        joined(
            powers(by_quantity),
            rate(others["fill_rate"], unit) if "fill_rate" in others else "",
            f"supply rate {spread(others['supply_range'])}" if "supply_range" in others else "",
        ),
        joined(label_of(storage), spread(levels, unit) if levels else "", by=" "),
        f"demand rate {spread(demand)}" if demand else "",
        holds(content, "valid_from", None, message.time),
        by="; ",
    )


def instruction(message: Message, conversation: Conversation) -> str:
    """``Battery inverter → charge at 0.6: 3,000 W (3-phase), +5.4 %/h, at once``."""
    content, now = message.content, message.time
    execution = max(content.moment("execution_time") or now, now)
    named = _resolved(message, conversation, execution)
    follows = _follows(named, message, conversation, soon=execution <= now + SOON)
    abnormal = "in an abnormal condition" if content.flag("abnormal_condition") else ""
    does = joined(*follows, when(content, "execution_time", now), abnormal)
    told = joined(instructed(message, conversation), does, by=": " if follows else ", ")
    return joined(told, _obstacle(named, message, conversation, execution), by="; ")


def instructed(message: Message, conversation: Conversation) -> str:
    """What an instruction drives to which mode: ``Battery inverter → charge at 0.6``."""
    execution = max(message.content.moment("execution_time") or message.time, message.time)
    named = _resolved(message, conversation, execution)
    device = _device(named, message, conversation)
    return joined(device, _configured(named, message, conversation), by=" → ")


def status(message: Message, conversation: Conversation) -> str:
    """``Battery inverter: charge at 0.6 since 12:01:00Z, idle before; 1,480 W measured``."""
    content, now = message.content, message.time
    named = _resolved(message, conversation, now)
    told = _configured(named, message, conversation)
    since = content.moment("transition_timestamp")
    if since is not None:
        told += f" since {moment(since, now)}"
    previous = content.text("previous_operation_mode_id")
    if previous is not None:
        before = named.actuator.modes.get(previous) if named.actuator else None
        told += f", {called('mode', previous, before)} before"
        told += "" if before else " (not described)"
    follows = joined(*_follows(named, message, conversation, soon=True))
    # What is measured is the power of the whole device.
    whole = named.given is not None and len(named.given.actuators) == 1
    return joined(
        joined(_device(named, message, conversation), told, by=": "),
        f"{follows} described" if follows else "",
        measured_lately(message, conversation, since) if whole else "",
        by="; ",
    )


def timer_status(message: Message, conversation: Conversation) -> str:
    """``timer 'rest' of Battery inverter runs until 12:01:00Z, for 50 s``."""
    content, now = message.content, message.time
    named = _resolved(message, conversation, now)
    name = content.text("timer_id")
    timer = named.actuator.timers.get(name or "") if named.actuator else None
    device = _device(named, message, conversation)
    told = _timer(name, timer)
    if timer is None and named.actuator is not None:
        told += ", not described,"
    told += f" of {device}" if device else ""
    finished = content.moment("finished_at")
    if finished is None:
        return f"{told}, finished at a time that is not said"
    if finished <= now:
        return f"{told} does not run"
    return f"{told} runs until {moment(finished, now)}, for {span(finished - now)}"


def _is_one(message: Message) -> bool:
    """Whether the whole device is one actuator, as in OMBC."""
    return control_type_of(message.message_type) == "OMBC"


def _description_type(message: Message) -> str:
    return DESCRIPTIONS[control_type_of(message.message_type) or ""]


def _mode_id(message: Message) -> str | None:
    content = message.content
    field = _MODE_FIELD.get(message.message_type, "operation_mode_id")
    return content.text(field) or content.text("active_operation_mode_id")


def _resolved(message: Message, conversation: Conversation, then: float) -> _Named:
    """What a message names, by the description that holds ``then``, or the newest that has it."""
    actuator_id = "" if _is_one(message) else message.content.text("actuator_id")
    mode_id = _mode_id(message)
    kind = _description_type(message)
    in_force = conversation.referable(kind, conversation.now)
    in_time = [given for given in in_force if given.valid_from <= then]
    held = reversed(conversation.descriptions_of(kind).all)
    candidates = [(given, True) for given in (*in_time, *in_force)]
    candidates += [(given, False) for given in held]
    best = _Named(None, None)
    for given, is_in_force in candidates:
        actuator = given.actuators.get(actuator_id) if actuator_id is not None else None
        if actuator is None:
            continue
        mode = actuator.modes.get(mode_id) if mode_id is not None else None
        found = _Named(given, actuator, mode, is_in_force)
        if mode is not None:
            return found
        best = best if best.actuator is not None else found
    return best


def _device(named: _Named, message: Message, conversation: Conversation) -> str:
    """The actuator; empty where it is the only one and has no label."""
    if _is_one(message):
        return ""
    if named.actuator is None or named.given is None:
        actuator = by_id("actuator", message.content.text("actuator_id"))
        return actuator + undescribed(message, conversation, _description_type(message))
    label = label_of(named.actuator.part)
    if label or len(named.given.actuators) == 1:
        return label
    return by_id("actuator", message.content.text("actuator_id"))


def _configured(named: _Named, message: Message, conversation: Conversation) -> str:
    """The mode with its factor: ``charge at 0.6``."""
    told = called("mode", _mode_id(message), named.mode)
    if named.mode is None and (named.actuator is not None or _is_one(message)):
        told += undescribed(message, conversation, _description_type(message)) + ","
    elif not named.in_force:
        told += ", no longer described,"
    factor = message.content.number("operation_mode_factor")
    if factor is None:
        return f"{told} at a factor that cannot be read"
    wrong = "" if 0 <= factor <= 1 else ", which is not from 0 to 1"
    return f"{told} at {number(factor)}{wrong}"


def _follows(
    named: _Named, message: Message, conversation: Conversation, *, soon: bool
) -> list[str]:
    """The power, and the fill rate or the supply rate, that follow from a mode and its factor.

    ``soon`` says that the fill level is still what it is. Where it is not known, they are those at
    all fill levels.
    """
    factor = message.content.number("operation_mode_factor")
    if named.mode is None or named.given is None or factor is None or not 0 <= factor <= 1:
        return []
    level = conversation.fill_level if soon else None
    elements = list(_elements(named.mode))
    unit = unit_of(named.given.content.part("storage"))
    if level is not None and control_type_of(message.message_type) == "FRBC":
        there = [element for element in elements if _applies(element, level)]
        if elements and not there:
            return [f"not described for the fill level {amount(level, unit)}"]
        elements = there
    by_quantity, others = dict[str, Spread](), dict[str, Spread]()
    for element in elements:
        for each in element.parts("power_ranges"):
            _widen(by_quantity, each.text("commodity_quantity"), each, factor)
        for field in ("fill_rate", "supply_range"):
            if (part := element.part(field)) is not None:
                _widen(others, field, part, factor)
    told = [powers(by_quantity)]
    if "fill_rate" in others:
        told.append(rate(others["fill_rate"], unit))
    if "supply_range" in others:
        told.append(f"supply rate {spread(others['supply_range'])}")
    varies = any(low != high for low, high in (*by_quantity.values(), *others.values()))
    return [each for each in told if each] + (["by the fill level"] if varies else [])


def _elements(mode: Part) -> Iterator[Part]:
    """The elements of a mode of FRBC; a mode of the others is the only one of its own."""
    return mode.parts("elements") if mode.has("elements") else iter((mode,))


def _applies(element: Part, level: float) -> bool:
    levels = element.range("fill_level_range")
    return levels is not None and min(levels) <= level <= max(levels)


def _widen(
    by_name: dict[str, Spread], name: str | None, ends: Part, factor: float | None = None
) -> None:
    """Let a spread contain a range, or the value in it that belongs to a factor."""
    start, end = ends.number("start_of_range"), ends.number("end_of_range")
    if name is None or start is None or end is None:
        return
    if factor is None:
        widened(by_name, name, start, end)
    else:  # so that nothing overflows
        widened(by_name, name, float(start) * (1 - factor) + float(end) * factor)


def _obstacle(named: _Named, message: Message, conversation: Conversation, execution: float) -> str:
    """What keeps the device from the mode: a timer that runs, or that no transition leads there."""
    actuator_id = "" if _is_one(message) else message.content.text("actuator_id")
    active = conversation.active_modes.get(actuator_id) if actuator_id is not None else None
    target = _mode_id(message)
    if (
        named.actuator is None
        or named.mode is None
        or actuator_id is None
        or active is None
        or target is None
        or active.mode in (target, None)
        or active.mode not in named.actuator.modes
        or execution > message.time + SOON
    ):
        return ""
    transitions = named.actuator.transitions.get((active.mode, target), ())
    if not transitions:
        present = called("mode", active.mode, named.actuator.modes[active.mode])
        return f"no transition leads there from {present}"
    abnormal = message.content.flag("abnormal_condition")
    runs = [
        _last_timer(conversation, actuator_id, each)
        for each in transitions
        if abnormal or not each.flag("abnormal_condition_only")
    ]
    finished, timer = min(runs, key=lambda run: run[0], default=(0.0, ""))
    if finished <= max(execution, message.time):
        return ""
    name = _timer(timer, named.actuator.timers.get(timer))
    return f"blocked until {moment(finished, message.time)} by the {name}"


def _last_timer(
    conversation: Conversation, actuator_id: str, transition: Part
) -> tuple[float, str]:
    """When the last of the timers that block a transition is finished, and which it is."""
    running = conversation.timers
    return max(
        (
            (running[actuator_id, timer].finished, timer)
            for timer in transition.texts("blocking_timers")
            if (actuator_id, timer) in running
        ),
        default=(0.0, ""),
    )


def _timer(name: str | None, timer: Part | None) -> str:
    label = label_of(timer)
    return f"timer '{label}'" if label else by_id("timer", name)
