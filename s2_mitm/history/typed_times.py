"""Times as people type them: a date and time, how long ago, how long."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.ASCII)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
"""The units of a duration, and their names in a timedelta."""


def parse_time(text: str, *, now: datetime) -> datetime:
    """The point in time that ``text`` names, an aware datetime.

    It is ISO 8601, in UTC unless it names an offset, or a duration before ``now``, which is an
    aware datetime too: ``10m``, ``2h``, ``3d``, also with ``s`` and ``w``. Raises ValueError, with
    a sentence for the person who typed it, where it is neither or not of the years 1 to 9999.
    """
    text = text.strip()
    try:
        if ago := _AGO.fullmatch(text):
            return now - duration(float(ago[1]), ago[2])
        time = datetime.fromisoformat(text)
        # To UTC here: a time at the end of the calendar may have none, and that must fail here.
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"'{text}' is no time: give 2026-11-21T19:56 (UTC), or 10m, 2h, 3d for so long ago"
        ) from None


def duration(number: float, unit: str) -> timedelta:
    """``number`` of a ``unit``, which is one of ``UNITS``; at most the longest timedelta."""
    try:
        return timedelta(**{UNITS[unit]: number})
    except OverflowError:
        return timedelta.max
