"""Points in time as S2 writes them: date-time of RFC 3339, section 5.6."""

from __future__ import annotations

import re
from datetime import datetime

_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)

_FAULTS = (
    (r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?", "has no zone", "Add Z for UTC, or +01:00."),
    (r"\d{4}-\d\d-\d\d", "is a date without a time", ""),
    (r"\d{4}-\d\d-\d\d .+", "has a space where a T belongs", "Put a T between date and time."),
    (r".*[+-]\d{4}", "has a zone without a colon", "Write the zone as +01:00."),
    (r".*[+-]\d\d", "has a zone without minutes", "Write the zone as +01:00."),
    (r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d([Zz]|[+-].*)", "has no seconds", "Add them, as in 12:00:00."),
    (r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d,.*", "has a comma in the seconds", "Write a point."),
    (r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d.*", "names a day or an hour that does not exist", ""),
)
"""What people get wrong: what it looks like, what to call it, what to do."""


def is_date_time(text: str) -> bool:
    """Whether text is an RFC 3339 date-time of a day that exists. A leap second may be."""
    if _DATE_TIME.fullmatch(_at_most_microseconds(text)) is None:
        return False
    try:
        datetime.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def fault_of_date_time(text: str) -> tuple[str, str]:
    """Why text is no date-time, as the end of a sentence, and what to do about it."""
    for shape, reason, hint in _FAULTS:
        if re.fullmatch(shape, text[:100], re.ASCII | re.DOTALL):
            return reason, hint
    return "is no time", "Send it as in 2026-03-01T12:00:00Z (RFC 3339)."


def seconds_of(text: str) -> float | None:
    """A date-time in seconds since 1970; None where text is none."""
    if not is_date_time(text):
        return None
    leap = text[17:19] == "60"
    plain = f"{text[:17]}59{text[19:]}" if leap else text
    try:
        moment = datetime.fromisoformat(_at_most_microseconds(plain).upper())
        return moment.timestamp() + leap
    except (ValueError, OverflowError):  # before the year 1 in UTC, or after 9999
        return None


def _at_most_microseconds(text: str) -> str:
    """Text with no more than six digits after the point of its seconds; a peer may send a million.

    What is left out is not matched but looked at as bytes, which takes no time.
    """
    longest_zone = len("+01:00")
    more = text[26:-longest_zone]
    if more and text[19] == "." and text.isascii() and more.encode().isdigit():
        return text[:26] + text[-longest_zone:]
    return text
