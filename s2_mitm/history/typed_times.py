"""Times as people type them: a date and time, how long ago, how long."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.ASCII)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
"""The units of a duration, and their names in a timedelta."""


def moment(text: str, *, now: datetime) -> datetime:
    """What ``text`` means: ISO 8601, in UTC unless it says otherwise, or ``10m``, ``2h``, ``3d``
    (also ``s`` and ``w``) before ``now``.

    ``now`` is an aware datetime, and so is what is returned. Raises ValueError, with a sentence
    for the one who typed it, where it is neither, or lies before the year 1.
    """
    text = text.strip()
    try:
        if ago := _AGO.fullmatch(text):
            return now - duration(float(ago[1]), ago[2])
        time = datetime.fromisoformat(text)
        # To UTC at once: a time at the edge of the calendar has none, and must fail here.
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"'{text}' is no time: give 2026-11-21T19:56 (UTC), or 10m, 2h, 3d for so long ago"
        ) from None


def duration(number: float, unit: str) -> timedelta:
    """So many of a unit, one of ``UNITS``; the longest timedelta where there is none so long."""
    try:
        return timedelta(**{UNITS[unit]: number})
    except OverflowError:
        return timedelta.max
