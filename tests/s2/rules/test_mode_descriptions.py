"""What a status and a description say of modes, transitions and timers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mode_script import (
    FAMILIES,
    MODES,
    REST,
    STATUS,
    WITH_ACTUATORS,
    WORK,
    ModeScript,
    check,
    in_words,
    inside,
    mode,
    with_modes,
)

from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.examples.templates import (
    TEMPLATES,
    actuator,
    between,
    ddbc_actuator,
    frbc_mode,
    power,
    transition,
)
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import short_id


@FAMILIES
def test_a_switch_that_is_not_explained(family: str) -> None:
    script = ModeScript(family)
    script.rm(STATUS[family], active_operation_mode_id=MODES[family][WORK])
    check(
        script.only,
        "modes.no-previous",
        Severity.ERROR,
        "",
        f"before, {in_words(MODES[family][REST])} was active by the {STATUS[family]}",
        "previous_operation_mode_id and transition_timestamp are missing: ",
    )


@FAMILIES
@pytest.mark.parametrize("field", ["previous_operation_mode_id", "transition_timestamp"])
def test_a_switch_that_is_half_explained(family: str, field: str) -> None:
    script = ModeScript(family)
    absent: dict[str, Any] = {field: None}
    script.switched(WORK, **absent)
    assert script.only.text.startswith(f"{field} is missing: ")


@FAMILIES
def test_the_first_mode_needs_no_previous_one_and_the_same_one_neither(family: str) -> None:
    script = ModeScript(family)
    script.rm(STATUS[family], operation_mode_factor=0.5)
    assert script.found == []


@FAMILIES
def test_new_names_of_modes_are_no_switch(family: str) -> None:
    script = ModeScript(family)
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.rm(STATUS[family], active_operation_mode_id="#renamed")
    assert script.found == []


@WITH_ACTUATORS
def test_each_actuator_has_a_mode_of_its_own(family: str) -> None:
    script = ModeScript(family, described=False)
    make = actuator if family == "FRBC" else ddbc_actuator
    script.describe(actuators=[make(), make(id="#other")])
    script.rm(STATUS[family])
    script.rm(STATUS[family], actuator_id="#other", active_operation_mode_id=MODES[family][WORK])
    assert script.found == []


# What a description says


@FAMILIES
@pytest.mark.parametrize("field", ["from", "to"])
def test_a_transition_of_a_mode_that_is_not_there(family: str, field: str) -> None:
    script = ModeScript(family, described=False)
    fields = with_modes(
        family,
        mode(family, "a"),
        mode(family, "b"),
        transitions=[transition("a", "b"), transition("a", "b", **{"id": "#x", field: "#c"})],
    )
    script.describe("INVALID_CONTENT", **fields)
    check(
        script.only,
        "modes.transition-mode",
        Severity.ERROR,
        inside(family, "transitions", 1, field),
        f'"{identifier("c")}" is no operation mode beside this transition',
        in_words("a"),
    )
    assert "s2-python.refused" not in script.codes


@FAMILIES
@pytest.mark.parametrize("field", ["start_timers", "blocking_timers"])
def test_a_transition_with_a_timer_that_is_not_there(family: str, field: str) -> None:
    script = ModeScript(family, described=False)
    moves = [transition("a", "b", **{field: ["#rest", "#no-such"]})]
    fields = with_modes(family, mode(family, "a"), mode(family, "b"), transitions=moves)
    script.describe("INVALID_CONTENT", **fields)
    check(
        script.only,
        "modes.transition-timer",
        Severity.ERROR,
        inside(family, "transitions", 0, field, 1),
        f'"{identifier("no-such")}" is no timer beside this transition',
        short_id(identifier("rest")),
    )
    assert "s2-python.refused" not in script.codes


@FAMILIES
@pytest.mark.parametrize("name", ["operation_modes", "timers"])
def test_lists_that_cannot_be_read_are_not_searched(family: str, name: str) -> None:
    script = ModeScript(family, described=False)
    description = json.loads(json.dumps(TEMPLATES[f"{family}.SystemDescription"]))
    part = description if family == "OMBC" else description["actuators"][0]
    part[name] = [*part[name][1:], {"no": "id"}]
    script.describe("INVALID_MESSAGE", **description)
    part[name] = None
    script.describe("INVALID_MESSAGE", **description)
    assert script.found == []


def with_power(family: str, *ranges: dict[str, Any]) -> dict[str, Any]:
    """The fields of a description with one mode that has these power ranges."""
    if family != "FRBC":
        return with_modes(family, mode(family, "a", power_ranges=list(ranges)))
    element = frbc_mode("a")["elements"][0] | {"power_ranges": list(ranges)}
    return with_modes(family, mode(family, "a", elements=[element]))


def power_place(family: str, *rest: str | int) -> str:
    element = ("elements", 0) if family == "FRBC" else ()
    return inside(family, "operation_modes", 0, *element, "power_ranges", *rest)


@FAMILIES
def test_two_power_ranges_for_a_quantity(family: str) -> None:
    script = ModeScript(family, described=False)
    script.describe(**with_power(family, power(0, 1), power(1, 2)))
    check(
        script.only,
        "modes.power-range-twice",
        Severity.ERROR,
        power_place(family, 1, "commodity_quantity"),
        '"ELECTRIC.POWER.L1" has its power range in',
        power_place(family, 0),
    )


@FAMILIES
def test_a_power_range_for_each_phase(family: str) -> None:
    script = ModeScript(family, described=False)
    phases = [power(0, 1, f"ELECTRIC.POWER.L{phase}") for phase in (1, 2, 3)]
    script.describe(**with_power(family, *phases))
    assert script.found == []


@FAMILIES
def test_a_power_range_that_runs_downwards(family: str) -> None:
    script = ModeScript(family, described=False)
    script.describe("INVALID_CONTENT", **with_power(family, power(0, -2000)))
    check(
        script.only,
        "modes.power-range-order",
        Severity.WARNING,
        power_place(family, 0),
        "end_of_range -2000 is below start_of_range 0, which only s2-python refuses",
    )
    assert "s2-python.refused" not in script.codes


@FAMILIES
def test_a_power_range_of_one_power(family: str) -> None:
    script = ModeScript(family, described=False)
    script.describe(**with_power(family, power(-2000, -2000)))
    assert script.found == []


@FAMILIES
def test_running_costs_that_run_downwards(family: str) -> None:
    script = ModeScript(family, described=False)
    fields = with_power(family, power(0, 1))
    owner = fields if family == "OMBC" else fields["actuators"][0]
    part = owner["operation_modes"][0]
    part = part["elements"][0] if family == "FRBC" else part
    part["running_costs"] = between(0.2, 0.1)
    script.describe(**fields)
    path = power_place(family).replace("power_ranges", "running_costs")
    check(script.only, "modes.range-order", Severity.WARNING, path, "end_of_range 0.1 is below")
    part["running_costs"] = between(0.1, 0.1)
    script.describe(**fields)
    assert len(script.found) == 1


# Phases


@FAMILIES
def test_power_ranges_for_a_single_phase_that_is_not_l1(family: str) -> None:
    script = ModeScript(family, described=False)
    script.describe(**with_power(family, power(0, 2000, "ELECTRIC.POWER.L3")))
    script.describe(**with_power(family, power(0, 2000, "ELECTRIC.POWER.L3")))
    words = "ELECTRIC.POWER.L3 is the only phase with power ranges"
    check(script.only, "modes.single-phase", Severity.WARNING, "", words)


@FAMILIES
@pytest.mark.parametrize(
    "quantities",
    [["L1"], ["3_PHASE_SYMMETRIC"], ["L1", "L2"], ["L2", "L3"], ["L1", "L2", "L3"]],
)
def test_power_ranges_for_other_phases(family: str, quantities: list[str]) -> None:
    script = ModeScript(family, described=False)
    ranges = [power(0, 2000, f"ELECTRIC.POWER.{name}") for name in quantities]
    script.describe(**with_power(family, *ranges))
    assert script.found == []


@FAMILIES
def test_a_single_phase_of_a_device_that_measures_three(family: str) -> None:
    script = ModeScript(family, described=False)
    measured = [f"ELECTRIC.POWER.L{phase}" for phase in (1, 2, 3)]
    script.rm("ResourceManagerDetails", provides_power_measurement_types=measured)
    script.describe(**with_power(family, power(0, 2000, "ELECTRIC.POWER.L3")))
    assert script.found == []
