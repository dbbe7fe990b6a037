"""The mistakes that the demo makes on purpose: typical ones, at fixed moments of its day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from s2_mitm.s2.verdict import pointer


@dataclass(frozen=True, slots=True)
class Mistake:
    """One planted mistake.

    ``moment`` is when it happens, as a fraction of the demo's day; ``place`` are the keys that
    lead to the field at fault; ``spoil`` takes the right value there (None where there is none)
    and returns the wrong one. ``valid`` is True when the message itself is right, and the mistake
    is that its receiver never acknowledges it.
    """

    moment: float
    message_type: str
    what: str
    place: tuple[str | int, ...] = ()
    spoil: Callable[[Any], Any] | None = None

    @property
    def valid(self) -> bool:
        return self.spoil is None

    @property
    def path(self) -> str:
        """The JSON Pointer of the field at fault, ``""`` for a mistake without one."""
        return pointer(*self.place)

    def apply(self, message: dict[str, Any]) -> None:
        """Make the mistake in ``message``, in place."""
        if self.spoil is None:
            return
        *parents, last = self.place
        target: Any = message
        for key in parents:
            target = target[key]
        target[last] = self.spoil(target.get(last))


MISTAKES = (
    Mistake(
        0.25,
        "PowerForecast",
        "a null where the field should be absent",
        ("elements", 0, "power_values", 0, "value_upper_limit"),
        lambda _: None,
    ),
    Mistake(
        0.40,
        "FRBC.StorageStatus",
        "a number sent as text",
        ("present_fill_level",),
        str,
    ),
    Mistake(
        0.60,
        "PowerMeasurement",
        "a field that S2 does not know",
        ("values", 0, "unit"),
        lambda _: "W",
    ),
    Mistake(
        0.65,
        "FRBC.LeakageBehaviour",
        "right, but the CEM never acknowledges it",
    ),
)
"""Every planted mistake, in the order of the day. All messages but these are right."""
