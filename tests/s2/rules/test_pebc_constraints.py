"""Power constraints by themselves."""

from __future__ import annotations

from typing import Any

import pytest
from pebc_script import ERROR, WARNING, begun, constrain, instruct, of_rules, one

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import limit


def test_a_range_upside_down() -> None:
    script = begun()
    ranges = [limit("UPPER", 0, 0), limit("LOWER", 0, -5000)]
    constrain(script, "newer", answer=None, allowed_limit_ranges=ranges)
    path = "/allowed_limit_ranges/1/range_boundary"
    text = one(script, "pebc.range-upside-down", ERROR, path)
    assert text == "start_of_range 0 is above end_of_range -5000"
    assert script.codes == ["pebc.range-upside-down"]  # and not what s2-python says of it
    instruct(script, (60, -4000, 0), power_constraints_id="#newer")
    assert script.codes == ["pebc.range-upside-down"]


def test_a_limit_type_is_missing() -> None:
    script = begun()
    ranges = [limit("UPPER", 0, 1000), limit("UPPER", 2000, 3000)]
    constrain(script, "newer", answer=None, allowed_limit_ranges=ranges)
    text = one(script, "pebc.limit-type-missing", ERROR, "/allowed_limit_ranges")
    assert text == "no LOWER_LIMIT range at all"
    assert script.codes == ["pebc.limit-type-missing"]
    instruct(script, (60, -9999, 3000), power_constraints_id="#newer")
    assert script.codes == ["pebc.limit-type-missing"]


def test_a_limit_type_that_is_there_in_abnormal_conditions_only() -> None:
    script = begun()
    lower = limit("LOWER", -1000, 0, abnormal_condition_only=True)
    constrain(script, "newer", allowed_limit_ranges=[limit("UPPER", 0, 1000), lower])
    assert script.codes == []


def test_a_limit_type_is_missing_for_one_quantity() -> None:
    script = begun()
    second = limit("UPPER", 0, 1000, commodity_quantity="ELECTRIC.POWER.L2")
    ranges = [limit("UPPER", 0, 1000), limit("LOWER", 0, 0), second]
    constrain(script, "newer", answer=None, allowed_limit_ranges=ranges)
    text = one(script, "pebc.quantity-limit-missing", WARNING, "/allowed_limit_ranges")
    assert text == 'no LOWER_LIMIT range for "ELECTRIC.POWER.L2"'
    assert script.codes == ["pebc.quantity-limit-missing"]  # and not what s2-python says of it


def test_a_limit_type_that_is_misspelt_is_not_missing() -> None:
    script = begun()
    ranges = [limit("UPPER", 0, 1000), limit("LOWER", 0, 0, limit_type="LOWER")]
    constrain(script, "newer", answer=None, allowed_limit_ranges=ranges)
    assert not of_rules(script)


def test_the_only_phase_is_not_the_first() -> None:
    script = selected()
    constrain(script, "newer", allowed_limit_ranges=on("L2"))
    constrain(script, "newest", allowed_limit_ranges=on("L2"))
    text = one(script, "pebc.single-phase", WARNING, "/allowed_limit_ranges")
    assert text.startswith("ELECTRIC.POWER.L2 is the only phase limited")


@pytest.mark.parametrize(
    ("measured", "limited"),
    [
        (["L1", "L2", "L3"], ["L2"]),
        (["3_PHASE_SYMMETRIC"], ["L2"]),
        (["L1"], ["3_PHASE_SYMMETRIC"]),
        (["L1"], ["L1"]),
        (["L1"], ["L2", "L3"]),
    ],
    ids=["three measured", "all measured", "all limited", "the first", "two limited"],
)
def test_phases_of_devices_that_may_have_three(measured: list[str], limited: list[str]) -> None:
    script = selected()
    names = [f"ELECTRIC.POWER.{name}" for name in measured]
    script.rm("ResourceManagerDetails", provides_power_measurement_types=names)
    constrain(script, "newer", allowed_limit_ranges=on(*limited))
    assert script.codes == []


def test_a_single_phase_that_the_details_show_is_said_of_them() -> None:
    script = selected()
    script.rm("ResourceManagerDetails", provides_power_measurement_types=["ELECTRIC.POWER.L2"])
    constrain(script, "newer", allowed_limit_ranges=on("L2"))
    assert script.codes == ["measurement.single-phase"]


def test_constraints_of_one_phase_after_those_of_another() -> None:
    script = begun()
    constrain(script, "newer", allowed_limit_ranges=on("L2"))
    assert script.codes == []


def selected() -> Script:
    script = begun(None)
    script.select("PEBC")
    return script


def on(*phases: str) -> list[dict[str, Any]]:
    return [
        limit(kind, 0, 0, commodity_quantity=f"ELECTRIC.POWER.{phase}")
        for phase in phases
        for kind in ("UPPER", "LOWER")
    ]
