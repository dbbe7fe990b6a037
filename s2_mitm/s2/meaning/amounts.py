"""Amounts in words: numbers with their units, ranges, times and durations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from math import isfinite

from s2_mitm.s2.conversation.message import Part, clock
from s2_mitm.s2.wording import counted, excerpt

UNITS: dict[str, tuple[str, str]] = {
    "ELECTRIC.POWER.L1": ("W", "L1"),
    "ELECTRIC.POWER.L2": ("W", "L2"),
    "ELECTRIC.POWER.L3": ("W", "L3"),
    "ELECTRIC.POWER.3_PHASE_SYMMETRIC": ("W", "3-phase"),
    "NATURAL_GAS.FLOW_RATE": ("l/s", "gas"),
    "HYDROGEN.FLOW_RATE": ("g/s", "hydrogen"),
    "HEAT.TEMPERATURE": ("°C", "heat"),
    "HEAT.FLOW_RATE": ("l/s", "heat"),
    "HEAT.THERMAL_POWER": ("W", "heat"),
    "OIL.FLOW_RATE": ("l/h", "oil"),
}
"""The unit of each commodity quantity, and what is measured in it, as CommodityQuantity has it."""

MOST = 4
"""Amounts, or names, that are told of many."""

AT_ONCE = 1.0
"""Seconds: what is to happen within them happens at once."""

SHORT_UNIT = 3
"""Characters of a unit that is written as a symbol, such as ``%``; others are words."""

_SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

Spread = tuple[float, float]
"""The smallest and the largest of some numbers."""


def number(value: float, *, signed: bool = False) -> str:
    """A number as people read it: ``3,000``, ``0.6``, ``57.3``; with four digits, or all before
    the point."""
    sign = "+" if signed and value > 0 else ""
    if not isfinite(value):
        return f"{sign}{value}"
    size = abs(value)
    if size >= 1e12 or 0 < size < 1e-4:
        return f"{sign}{float(value):.3g}"
    if size >= 1000:
        return f"{sign}{round(value):,}"
    return f"{sign}{float(value) + 0.0:.4g}"


def amount(value: float, unit: str, *, signed: bool = False) -> str:
    """A number with its unit, which may be none."""
    return f"{number(value, signed=signed)} {unit}".rstrip()


def spread(values: Spread, unit: str = "", *, signed: bool = False) -> str:
    """``0 to 5,000 W``, or one amount where both are the same to people."""
    low, high = (number(value, signed=signed) for value in values)
    return f"{low if low == high else f'{low} to {high}'} {unit}".rstrip()


def widened(by_name: dict[str, Spread], name: str, *values: float) -> None:
    """Let a spread contain these values, too."""
    low, high = by_name.get(name, (values[0], values[0]))
    by_name[name] = min(low, *values), max(high, *values)


def powers(by_quantity: Mapping[str, Spread]) -> str:
    """Amounts of commodity quantities, one spread each; see `alternatives`."""
    return alternatives({quantity: [values] for quantity, values in by_quantity.items()})


def alternatives(by_quantity: Mapping[str, Collection[Spread]]) -> str:
    """Amounts of commodity quantities: ``3,000 W (3-phase)``; empty where there are none.

    One phase alone is not named: a device with a single phase uses L1. Those that have the same are
    told together: ``0 to 3,680 W (L1, L2, L3)``.
    """
    alone = len(by_quantity) == 1
    told: dict[str, list[str]] = {}
    for quantity, values in islice(by_quantity.items(), MOST):
        unit, of = UNITS.get(quantity, ("", excerpt(quantity)))
        told.setdefault(_apart(values, unit), []).append("" if alone and of == "L1" else of)
    texts = [
        f"{amounts} ({', '.join(names)})" if any(names) else amounts
        for amounts, names in told.items()
    ]
    if (more := len(by_quantity) - MOST) > 0:
        texts.append(f"{more} more")
    return ", ".join(texts)


def _apart(values: Collection[Spread], unit: str) -> str:
    """``0 or 1,400 to 7,400 W``: several spreads, those that touch as one."""
    if len(values) == 1:
        return spread(next(iter(values)), unit)
    merged: list[Spread] = []
    for low, high in sorted(values):
        if merged and low <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], high)
        else:
            merged.append((low, high))
    told = f"{' or '.join(spread(ends) for ends in merged[:MOST])} {unit}".rstrip()
    more = len(merged) - MOST
    return f"{told} or {more} more" if more > 0 else told


def rate(values: Spread, unit: str) -> str:
    """A change of the fill level, which S2 has by the second, as people reckon: by the hour."""
    return _per_hour(spread(_an_hour(values), signed=True), unit)


def flow(values: Spread, unit: str) -> str:
    """The same without a sign, of what goes in one direction only."""
    return _per_hour(spread(_an_hour(values)), unit)


def _an_hour(values: Spread) -> Spread:
    return float(values[0]) * 3600, float(values[1]) * 3600


def _per_hour(text: str, unit: str) -> str:
    if not unit:
        return f"{text} per hour"
    return f"{text} {unit}/h" if len(unit) <= SHORT_UNIT else f"{text} {unit} per hour"


def span(seconds: float) -> str:
    """A duration: ``15 min``, ``1 h 30 min``, ``2.5 s``."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 1:
        return f"{number(seconds * 1000)} ms" if seconds else "0 s"
    if seconds < 60:
        return f"{number(round(seconds, 1) if seconds >= 10 else seconds)} s"
    if seconds >= 1e11:
        return f"{number(seconds / 86400)} d"
    left, told = round(seconds), []
    for size, unit in _SPANS:
        count, left = divmod(left, size)
        if count:
            told.append(f"{number(count)} {unit}")
        elif told:
            break  # the two largest that follow each other
        if len(told) == 2:
            break
    return " ".join(told)


def moment(seconds: float, now: float) -> str:
    """A time in UTC: ``12:03:10Z``, with its date where that is another day than ``now``."""
    then = clock(seconds)
    day, separator, time = then.partition("T")
    return time if separator and clock(now).startswith(day + "T") else then


def when(content: Part, field: str, now: float) -> str:
    """When something is to happen: ``at once``, ``at 12:03:10Z``."""
    time = content.moment(field)
    if time is None:
        return "at a time that is not said"
    return "at once" if time <= now + AT_ONCE else f"at {moment(time, now)}"


def holds(content: Part, start: str, end: str | None, now: float) -> str:
    """For which time something holds; empty where it holds from now on."""
    begins = content.moment(start)
    ends = content.moment(end) if end else None
    told = ""
    if begins is not None and begins > now + AT_ONCE:
        told = f" from {moment(begins, now)}"
    if ends is not None:
        told += f" until {moment(ends, now)}"
    return f"valid{told}" if told else ""


def lasting(elements: Iterable[Part]) -> float | None:
    """The durations of elements together, in seconds; None where one does not say."""
    total = 0.0
    for element in elements:
        duration = element.number("duration")
        if duration is None:
            return None
        total += duration / 1000
    return total


def course(content: Part, now: float) -> str:
    """The time that a forecast or a profile is about: ``from 12:00:00Z for 1 h, 4 elements``."""
    begins, duration = content.moment("start_time"), lasting(content.parts("elements"))
    told = f"from {moment(begins, now)}" if begins is not None else "from a time that is not said"
    if duration is not None:
        told += f" for {span(duration)}"
    return f"{told}, {counted(count_of(content, 'elements'), 'element')}"


def count_of(part: Part, field: str) -> int:
    """How many things there are in a field that is a list."""
    value = part.value.get(field)
    return len(value) if isinstance(value, list) else 0


def joined(*parts: str, by: str = ", ") -> str:
    """Those that say anything."""
    return by.join(part for part in parts if part)
