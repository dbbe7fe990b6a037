"""The simulated home battery itself: what it can do, and how full it is. It knows no messages."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field

CAPACITY = 10_000.0
"""Wh"""

EFFICIENCY = 0.95
"""What remains of the energy, each way."""

LEAKAGE_RATE = 2e-6
"""Percent of the capacity lost each second; about 5 % a month."""


@dataclass(frozen=True, slots=True)
class Mode:
    """An operation mode. ``power`` is in W (consumed: positive), at factor 0 and at factor 1."""

    label: str
    power: tuple[float, float]
    id: uuid.UUID = field(default_factory=uuid.uuid4)

    def power_at(self, factor: float) -> float:
        """The power in W at ``factor`` (0 to 1)."""
        low, high = self.power
        return low + factor * (high - low)


class Storage:
    """A 10 kWh battery that charges and discharges with up to 5 kW, or stands idle."""

    def __init__(self, fill_level: float = 57.3) -> None:
        """``fill_level`` is in percent."""
        self.id = uuid.uuid4()
        self.modes = (
            Mode("charge", (500.0, 5000.0)),
            Mode("idle", (0.0, 0.0)),
            Mode("discharge", (-5000.0, -500.0)),
        )
        self.mode = self.modes[1]
        self.factor = 0.0
        self._fill_level = fill_level
        # The meter's noise is the same at each run: a demo should show the same thing twice.
        self._noise = random.Random(50491)

    @property
    def power(self) -> float:
        """The power in W that a meter would show now; a meter is not exact."""
        return round(self.mode.power_at(self.factor) * self._noise.gauss(1.0, 0.003), 1)

    @property
    def fill_level(self) -> float:
        """How full it is, in percent."""
        return round(self._fill_level, 4)

    def find_mode(self, mode_id: uuid.UUID) -> Mode | None:
        """The mode of that id, None when this battery has none."""
        return next((mode for mode in self.modes if mode.id == mode_id), None)

    def switch(self, mode: Mode, factor: float) -> None:
        """Go over to ``mode``, at ``factor`` (0 to 1)."""
        self.mode = mode
        self.factor = factor

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        rate = fill_rate(self.mode.power_at(self.factor)) - LEAKAGE_RATE
        self._fill_level = min(100.0, max(0.0, self._fill_level + rate * seconds))


def fill_rate(power: float) -> float:
    """How fast ``power`` (W) changes the fill level, in percent a second."""
    stored = power * EFFICIENCY if power > 0 else power / EFFICIENCY
    return stored / CAPACITY * 100 / 3600
