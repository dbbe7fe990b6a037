"""Ranges of numbers: start_of_range and end_of_range."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.conversation.message import Part
from s2_mitm.s2.rules.common.words import number
from s2_mitm.s2.rules.registry import Found


def upside_down(part: Part, *, strictly: bool = False) -> Iterator[Found]:
    """The finding about a range that ends below its start; with ``strictly``, or at its start.

    Nothing where one of the two cannot be read.
    """
    start, end = part.number("start_of_range"), part.number("end_of_range")
    if start is None or end is None or start < end or (start == end and not strictly):
        return
    how = "below" if end < start else "not above"
    yield Found(part.path, f"end_of_range {number(end)} is {how} start_of_range {number(start)}")
