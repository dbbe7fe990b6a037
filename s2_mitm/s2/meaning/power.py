"""What is measured and forecast of power."""

from __future__ import annotations

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.meaning.amounts import Spread, course, joined, moment, powers, widened

PRESENT = 60.0
"""Seconds for which a measurement is that of the present."""

LATE = 5.0
"""Seconds after which it is said when something was measured."""


def measurement(message: Message, conversation: Conversation) -> str:
    """``1,480 W``."""
    content = message.content
    told = measured(content) or "no power"
    time = content.moment("measurement_timestamp")
    if time is not None and abs(message.time - time) > LATE:
        told += f", measured at {moment(time, message.time)}"
    return told


def forecast(message: Message, conversation: Conversation) -> str:
    """``100 to 300 W expected from 12:00:00Z for 1 h, 4 elements``."""
    content = message.content
    values: dict[str, Spread] = {}
    for element in content.parts("elements"):
        widen_by_expected(values, element)
    expected = powers(values)
    return joined(f"{expected} expected" if expected else "", course(content, message.time), by=" ")


def widen_by_expected(values: dict[str, Spread], element: Part) -> None:
    """Let ``values`` contain the power that is expected in an element."""
    for each in element.parts("power_values"):
        quantity, value = each.text("commodity_quantity"), each.number("value_expected")
        if quantity is not None and value is not None:
            widened(values, quantity, value)


def measured(content: Part) -> str:
    """The values of a PowerMeasurement."""
    values: dict[str, Spread] = {}
    for each in content.parts("values"):
        quantity, value = each.text("commodity_quantity"), each.number("value")
        if quantity is not None and value is not None:
            widened(values, quantity, value)
    return powers(values)


def measured_lately(message: Message, conversation: Conversation, since: float | None) -> str:
    """The power of the device at present, measured after ``since``; empty where it is not known."""
    latest = conversation.measurement
    if latest is None or message.time - latest.time > PRESENT:
        return ""
    time = latest.content.moment("measurement_timestamp")
    if since is not None and (latest.time if time is None else time) < since:
        return ""
    power = measured(latest.content)
    return f"{power} measured" if power else ""
