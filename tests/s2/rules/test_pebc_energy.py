"""Energy constraints, and the energy that envelopes allow."""

from __future__ import annotations

from typing import Any

import pytest
from pebc_script import ERROR, WARNING, begun, constrain, instruct, of_rules, one

from s2_mitm.s2.examples.templates import at

ENERGY = "/power_envelopes/0/power_envelope_elements"


def test_too_little_consumption_is_allowed() -> None:
    script = begun()
    instruct(script, (1800, 0, 5000), (1800, 0, 900), execution_time=at(0))
    text = one(script, "pebc.energy-not-allowed", ERROR, ENERGY)
    assert text.startswith("a consumption of at most 2950 on average is allowed")
    assert "but 3000 is asked for by the PEBC.EnergyConstraint" in text


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
    assert text.startswith("a production of at most 2000 on average is allowed")
    assert "but 3000 is asked for by the PEBC.EnergyConstraint" in text


@pytest.mark.parametrize(
    ("elements", "fields"),
    [
        (((1800, 0, 5000), (1800, 0, 1000)), {}),
        (((1200, 0, 3000), (1200, 0, 3000), (1200, 0, 3000)), {}),
        (((3599, 0, 100),), {}),
        (((7200, 0, 100),), {"execution_time": at(5)}),
        (((3600, 0, 100),), {"abnormal_condition": True}),
    ],
    ids=["just enough", "in thirds", "not the whole time", "begins later", "emergency"],
)
def test_enough_energy_or_unknown(
    elements: tuple[tuple[float, float, float], ...], fields: dict[str, Any]
) -> None:
    script = begun()
    instruct(script, *elements, **{"execution_time": at(0), **fields})
    assert script.codes == []


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
