"""Whether a clock is in another time zone than it says."""

from __future__ import annotations

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.rules.common.tolerances import CLOCKS

HALF_AN_HOUR = 1800
"""Seconds. The difference of two time zones is a multiple of it, nearly everywhere."""

ABOUT = 5.0
"""Seconds by which such a difference may be missed, for the message took some time."""

LEAST, MOST = 2, 28
"""Half hours: the differences of time zones that are told from a time that was chosen."""


def hours_ahead(moment: float, said: float) -> float:
    """By how many hours a time is ahead of when it was said, just as a time zone would be.

    Both are in seconds since 1970. Returns 0 where it is otherwise, or a whole minute, as a person
    or a plan chooses it.
    """
    ahead = moment - said
    zones = round(ahead / HALF_AN_HOUR)
    if not LEAST <= zones <= MOST or moment % 60 == 0:
        return 0.0
    return zones / 2 if abs(ahead - zones * HALF_AN_HOUR) <= ABOUT else 0.0


def clock_is_ahead(conversation: Conversation) -> bool:
    """Whether the latest timestamps of the RM are all ahead of when they were said."""
    latest = conversation.timestamps.latest
    return bool(latest) and all(each.lag < -CLOCKS for each in latest)
