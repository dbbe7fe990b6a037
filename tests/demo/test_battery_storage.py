"""The simulated battery obeys the arithmetic it publishes."""

from __future__ import annotations

import pytest

from s2_mitm.demo.storage import CAPACITY, EFFICIENCY, LEAKAGE_RATE, Storage, fill_rate


def test_an_hour_of_charging_stores_what_is_left_of_it() -> None:
    storage = Storage(fill_level=20)
    storage.switch(storage.modes[0], factor=1)
    storage.advance(3600)
    stored = 5000 * EFFICIENCY / CAPACITY * 100
    assert storage.fill_level == pytest.approx(20 + stored - 3600 * LEAKAGE_RATE, abs=1e-3)


def test_discharging_takes_more_than_it_gives() -> None:
    assert fill_rate(-1000) < -fill_rate(1000) / EFFICIENCY


@pytest.mark.parametrize(("mode", "limit"), [(0, 100), (2, 0)])
def test_it_is_never_more_than_full_nor_less_than_empty(mode: int, limit: float) -> None:
    storage = Storage()
    storage.switch(storage.modes[mode], factor=0.5)
    storage.advance(1e6)
    assert storage.fill_level == limit


def test_an_idle_battery_measures_nothing() -> None:
    assert Storage().power == 0


def test_the_meter_shows_about_the_power_of_the_mode() -> None:
    storage = Storage()
    storage.switch(storage.modes[2], factor=0)
    assert storage.power == pytest.approx(-5000, rel=0.02)


def test_an_unknown_mode_is_not_found() -> None:
    storage = Storage()
    assert storage.find_mode(storage.modes[1].id) is storage.modes[1]
    assert storage.find_mode(storage.id) is None
