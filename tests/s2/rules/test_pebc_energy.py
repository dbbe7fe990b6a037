"""Energy constraints, and the energy that envelopes allow."""

from __future__ import annotations

from typing import Any

import pytest
from pebc_script import ERROR, WARNING, begun, constrain, instruct, of_rules, one

from s2_mitm.s2.examples.templates import at, limit

ENERGY = "/power_envelopes/0/power_envelope_elements"


def test_too_little_consumption_is_allowed() -> None:
    script = begun()
    instruct(script, (1800, 0, 5000), (1800, 0, 900), execution_time=at(0))
    text = one(script, "pebc.energy-not-allowed", ERROR, ENERGY)
    assert text.startswith("a consumption of at most 2950 W on average is allowed")
    assert "allowed from 2026-03-01T12:00:00Z to 2026-03-01T13:00:00Z, but" in text
    assert "but 3000 W is asked for by the PEBC.EnergyConstraint" in text


def test_too_little_production_is_allowed() -> None:
    script = begun()
    script.rm(
        "PEBC.EnergyConstraint",
        id="#sun",
        upper_average_power=-1000,
        lower_average_power=-3000,
    )
    instruct(script, (3600, -2000, 0), execution_time=at(0))
    text = one(script, "pebc.energy-not-allowed", ERROR, ENERGY)
    assert text.startswith("a production of at most 2000 W on average is allowed")
    assert "but 3000 W is asked for by the PEBC.EnergyConstraint" in text


@pytest.mark.parametrize(
    ("elements", "fields"),
    [
        (((1800, 0, 5000), (1800, 0, 1000)), {}),
        (((1200, 0, 3000), (1200, 0, 3000), (1200, 0, 3000)), {}),
        (((900, 0, 100),), {}),
        (((1800, 0, 100),), {"execution_time": at(3000)}),
        (((900, 0, 100),), {"execution_time": at(7200)}),
        (((3600, 0, 100),), {"abnormal_condition": True}),
    ],
    ids=["just enough", "in thirds", "a quarter", "mostly later", "later", "emergency"],
)
def test_enough_energy_or_unknown(
    elements: tuple[tuple[float, float, float], ...], fields: dict[str, Any]
) -> None:
    script = begun()
    instruct(script, *elements, **{"execution_time": at(0), **fields})
    assert script.codes == []


@pytest.mark.parametrize(
    ("seconds", "start", "most"),
    [(3600, 0, 1000), (3600, 30, 1058.33), (7200, 5, 1009.72), (3500, 40, 1194.44)],
    ids=["at once", "half a minute later", "longer", "not to the end"],
)
def test_too_little_in_nearly_all_of_the_time(seconds: float, start: float, most: float) -> None:
    """It cannot be made up for in the rest, with the 8000 that are allowed at most."""
    script = begun()
    instruct(script, (seconds, 0, 1000), execution_time=at(start))
    text = one(script, "pebc.energy-not-allowed", ERROR, ENERGY)
    assert text.startswith(f"a consumption of at most {most} W on average is allowed")
    beyond = start > 0 or seconds < 3600
    assert ("(8000 W where the envelope says nothing)" in text) is beyond


def test_too_little_at_once_by_an_instruction_that_is_late() -> None:
    script = begun()
    script.wait(70)
    instruct(script, (3600, 0, 1000), execution_time=at(0))
    one(script, "pebc.energy-not-allowed", ERROR, ENERGY)


def test_too_little_when_most_of_the_time_is_over() -> None:
    script = begun()
    script.wait(1800)
    instruct(script, (3600, 0, 1000), execution_time=at(1800))
    assert of_rules(script) == []


def test_energy_that_the_constraints_do_not_allow_either() -> None:
    """No envelope could: it is for the RM to say what it means."""
    script = begun()
    script.rm("PEBC.EnergyConstraint", id="#much", upper_average_power=9000)
    instruct(script, (3600, 0, 5000), execution_time=at(0))
    assert of_rules(script) == []


@pytest.mark.parametrize("answer", [None, "PERMANENT_ERROR"])
def test_an_energy_constraint_that_the_cem_has_not_taken(answer: str | None) -> None:
    script = begun(None)
    script.select("PEBC")
    constrain(script, "constraints")
    script.rm("PEBC.EnergyConstraint", answer)
    instruct(script, (3600, 0, 100), execution_time=at(0))
    assert of_rules(script) == []


def test_a_newer_energy_constraint_counts() -> None:
    script = begun()
    script.rm("PEBC.EnergyConstraint", id="#less", upper_average_power=50, lower_average_power=0)
    instruct(script, (3600, 0, 100), execution_time=at(0))
    assert script.codes == []


def test_a_revoked_energy_constraint_does_not_count() -> None:
    script = begun()
    script.rm("RevokeObject", object_type="PEBC.EnergyConstraint", object_id="#energy")
    instruct(script, (3600, 0, 100), execution_time=at(0))
    assert script.codes == []


def test_the_energy_of_a_quantity_that_is_not_limited() -> None:
    script = begun()
    script.rm("PEBC.EnergyConstraint", id="#other", commodity_quantity="ELECTRIC.POWER.L3")
    text = one(script, "pebc.energy-quantity", WARNING, "/commodity_quantity")
    assert '"ELECTRIC.POWER.L3" is not limited, only "ELECTRIC.POWER.L1", by the PEBC' in text


@pytest.mark.parametrize(
    ("limited", "asked"),
    [
        ("ELECTRIC.POWER.L1", "ELECTRIC.POWER.3_PHASE_SYMMETRIC"),
        ("ELECTRIC.POWER.3_PHASE_SYMMETRIC", "ELECTRIC.POWER.L1"),
    ],
)
def test_the_energy_of_all_phases_is_that_of_each(limited: str, asked: str) -> None:
    script = begun(None)
    script.select("PEBC")
    ranges = [limit(kind, 0, 0, commodity_quantity=limited) for kind in ("UPPER", "LOWER")]
    constrain(script, "constraints", allowed_limit_ranges=ranges)
    script.rm("PEBC.EnergyConstraint", commodity_quantity=asked)
    assert script.codes == []


def test_the_energy_before_any_constraints() -> None:
    script = begun(None)
    script.select("PEBC")
    script.rm("PEBC.EnergyConstraint")
    script.rm("PEBC.PowerConstraints")
    assert script.codes == []


def test_averages_crossed() -> None:
    script = begun()
    script.rm("PEBC.EnergyConstraint", id="#b", upper_average_power=5, lower_average_power=5)
    assert script.codes == []
    script.rm("PEBC.EnergyConstraint", id="#c", upper_average_power=-1, lower_average_power=5)
    text = one(script, "pebc.averages-crossed", ERROR, "/upper_average_power")
    assert text == "upper_average_power -1 is below lower_average_power 5"
