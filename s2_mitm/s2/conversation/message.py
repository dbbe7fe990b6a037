"""A message as the rules of the conversation see it: who said what when, read without trusting it.

What breaks its schema still says what it readably says: every reader here gives None, or nothing,
for what is absent or of the wrong type, and a rule then has nothing to say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from s2_mitm.s2.catalog import ID_NAMES
from s2_mitm.s2.timestamps import seconds_of
from s2_mitm.s2.verdict import Role, pointer
from s2_mitm.s2.wording import excerpt, short_id

LARGEST = sys.float_info.max
"""Rules reckon with numbers up to this one; JSON has larger ones."""

_seconds_of = lru_cache(256)(seconds_of)
"""Several rules ask for the same moment; what is longer than a date-time needs is not kept."""


class Part:
    """A JSON object somewhere in a message; ``path`` is its JSON Pointer."""

    __slots__ = ("_above", "_place", "value")

    def __init__(
        self, value: Mapping[str, Any], above: Part | None = None, place: tuple[str | int, ...] = ()
    ) -> None:
        self.value = value
        self._above = above
        self._place = place

    @property
    def path(self) -> str:
        # Written only when it is said: most messages are right.
        return self._above.at(*self._place) if self._above else pointer(*self._place)

    def at(self, *names: str | int) -> str:
        """The JSON Pointer of a place in this object."""
        return self.path + pointer(*names)

    def has(self, name: str) -> bool:
        """Whether the field is there, with whatever value."""
        return name in self.value

    def text(self, name: str) -> str | None:
        """A field that is text."""
        value = self.value.get(name)
        return value if isinstance(value, str) else None

    @property
    def id_name(self) -> str:
        """The field with the id of this thing: ``id``, or the odd name that stands for it."""
        return next((name for name in ID_NAMES if name in self.value), ID_NAMES[0])

    @property
    def identifier(self) -> str | None:
        """The id of this thing."""
        return self.text(self.id_name)

    def number(self, name: str) -> float | None:
        """A field that is a number, of those that can be reckoned with as floating point."""
        value = self.value.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return value if -LARGEST <= value <= LARGEST else None

    def flag(self, name: str) -> bool | None:
        """A field that is true or false."""
        value = self.value.get(name)
        return value if isinstance(value, bool) else None

    def moment(self, name: str) -> float | None:
        """A field that is a date-time, in seconds since 1970."""
        value = self.value.get(name)
        if not isinstance(value, str):
            return None
        return _seconds_of(value) if len(value) <= 40 else seconds_of(value)

    def part(self, name: str) -> Part | None:
        """A field that is an object."""
        value = self.value.get(name)
        return Part(value, self, (name,)) if isinstance(value, dict) else None

    def parts(self, name: str) -> Iterator[Part]:
        """The objects in a field that is a list."""
        value = self.value.get(name)
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    yield Part(item, self, (name, index))

    def texts(self, name: str) -> list[str]:
        """The texts in a field that is a list."""
        value = self.value.get(name)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def range(self, name: str) -> tuple[float, float] | None:
        """A field that is a range: its start and its end, in the order in which they stand."""
        part = self.part(name)
        if part is None:
            return None
        start, end = part.number("start_of_range"), part.number("end_of_range")
        return None if start is None or end is None else (start, end)


class Message(NamedTuple):
    """A message that was said.

    ``number`` counts the messages of the conversation from 1, ``time`` is in seconds since 1970,
    ``monotonic`` in seconds of a clock that nobody sets, for what lies between two messages,
    ``size`` in bytes on the wire; ``valid`` is about the message by itself, ``faultless`` says
    that nothing at all was found wrong with it, by the rules either; ``changed`` says that it was
    changed on its way, and that this is how it went; ``faults`` are the places (JSON Pointers) that
    are not as the schema has them.
    """

    number: int
    time: float
    monotonic: float
    sender: Role
    message_type: str
    message_id: str | None
    content: Part
    size: int
    valid: bool
    faultless: bool
    injected: bool
    changed: bool = False
    faults: tuple[str, ...] = ()

    def is_doubtful(self, *places: str) -> bool:
        """Whether the schema faults something at one of these places, in it or around it.

        What stands there, or does not, may not be what its sender meant.
        """
        return bool(self.faults) and any(
            fault == place or fault.startswith(f"{place}/") or place.startswith(f"{fault}/")
            for place in places
            for fault in self.faults
        )

    def name(self, now: float) -> str:
        """Which message this is, for a text that is about another one."""
        message_id = f" {short_id(self.message_id)}" if self.message_id else ""
        how = "injected, " if self.injected else ""
        how += "changed on its way, " if self.changed else ""
        ago = f"{max(0.0, now - self.time):.1f} s before"
        what = f"the {excerpt(self.message_type)}{message_id}"
        return f"{what} from the {self.sender} ({how}{ago})"


def clock(seconds: float) -> str:
    """A moment, in seconds since 1970, as people read it in a text: ``2026-03-01T12:00:00Z``."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return f"{seconds:g} s after 1970"
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
