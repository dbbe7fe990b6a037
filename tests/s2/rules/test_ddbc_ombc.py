"""What is peculiar to Demand Driven and to Operation Mode Based Control."""

from __future__ import annotations

from typing import Any

import pytest

from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import between, ddbc_actuator, ddbc_mode, ombc_mode, transition
from s2_mitm.s2.rules.common.bands import BANDS
from s2_mitm.s2.verdict import Severity, Source
from s2_mitm.s2.wording import short_id


def under(family: str, *, described: bool = True, settings: Settings | None = None) -> Script:
    script = Script(settings)
    script.begin(family if described else None)
    if not described:
        script.select(family)
    return script


def check(script: Script, code: str, severity: Severity, path: str, *words: str) -> None:
    """There is one finding, this one."""
    (finding,) = script.findings
    assert finding.source is Source.RULE
    assert (finding.code, finding.severity, finding.path) == (code, severity, path)
    for word in words:
        assert word in finding.text


# DDBC


def test_modes_between_which_nothing_leads() -> None:
    script = under("DDBC", described=False)
    actuators = [ddbc_actuator(), ddbc_actuator(id="#other", transitions=[])]
    script.rm("DDBC.SystemDescription", actuators=actuators)
    check(
        script,
        "ddbc.no-transitions",
        Severity.ERROR,
        "/actuators/1/transitions",
        "no transitions between 3 modes",
    )


def test_a_device_with_a_single_mode_has_nowhere_to_go() -> None:
    script = under("DDBC", described=False)
    only = ddbc_actuator(operation_modes=[ddbc_mode("off")], transitions=[], timers=[])
    script.rm("DDBC.SystemDescription", actuators=[only])
    assert script.findings == []


@pytest.mark.parametrize("transitions", [None, "none", {}])
def test_transitions_that_cannot_be_read_are_not_missing(transitions: Any) -> None:
    script = under("DDBC", described=False)
    only = {**ddbc_actuator(), "transitions": transitions}
    script.rm("DDBC.SystemDescription", "INVALID_MESSAGE", actuators=[only])
    assert not any(code.startswith(("ddbc.", "modes.")) for code in script.codes)


def test_modes_with_a_small_id_are_found_all_the_same() -> None:
    script = under("DDBC", described=False)
    modes = [ddbc_mode(name, Id=None, id=f"#{name}") for name in ("off", "heat", "boost")]
    actuators = [ddbc_actuator(operation_modes=modes)]
    script.rm("DDBC.SystemDescription", "INVALID_MESSAGE", actuators=actuators)
    assert not any(code.startswith("modes.") for code in script.codes)
    script.rm("DDBC.SystemDescription", actuators=actuators)
    script.cem("DDBC.Instruction")
    assert not any(code.startswith("modes.") for code in script.codes)


def test_a_demand_forecast_that_is_not_provided() -> None:
    script = under("DDBC", described=False)
    script.rm("DDBC.SystemDescription", provides_average_demand_rate_forecast=False)
    script.rm("DDBC.AverageDemandRateForecast")
    check(
        script,
        "ddbc.not-provided",
        Severity.ERROR,
        "/message_type",
        "provides_average_demand_rate_forecast is false in",
        "the DDBC.SystemDescription",
    )


def test_a_demand_forecast_that_is_provided_by_now() -> None:
    script = under("DDBC", described=False)
    script.rm("DDBC.SystemDescription", provides_average_demand_rate_forecast=False)
    script.rm("DDBC.SystemDescription", None)
    script.rm("DDBC.AverageDemandRateForecast")
    assert script.findings == []


def test_bands_of_a_demand_forecast_that_cross() -> None:
    script = under("DDBC")
    element = {"duration": 60000, "demand_rate_expected": 2, "demand_rate_lower_95PPR": 2.5}
    script.rm("DDBC.AverageDemandRateForecast", elements=[element])
    check(
        script,
        "ddbc.bands-crossed",
        Severity.WARNING,
        "/elements/0/demand_rate_expected",
        "is below demand_rate_lower_95PPR 2.5",
    )


def test_bands_of_a_demand_forecast_that_touch() -> None:
    script = under("DDBC")
    bands = {f"demand_rate_{band}": 2 for band in BANDS}
    script.rm("DDBC.AverageDemandRateForecast", elements=[{"duration": 60000, **bands}])
    assert script.findings == []


def test_a_demand_that_is_upside_down() -> None:
    script = under("DDBC", described=False)
    script.rm("DDBC.SystemDescription", present_demand_rate=between(2, 1.5))
    path, words = "/present_demand_rate", "end_of_range 1.5 is below start_of_range 2"
    check(script, "modes.range-order", Severity.WARNING, path, words)


def test_a_demand_that_is_upside_down_in_the_later_version() -> None:
    script = under("DDBC", settings=Settings(version="1.0.0"))
    script.findings.clear()
    script.rm("DDBC.PresentDemandStatus", present_demand_rate=between(2, 2))
    script.rm("DDBC.PresentDemandStatus", present_demand_rate=between(2, 1))
    assert [each.code for each in script.findings if each.code.startswith("modes.")] == [
        "modes.range-order"
    ]


def test_a_supply_that_falls_with_the_factor_is_fine() -> None:
    script = under("DDBC", described=False)
    modes = [ddbc_mode("off"), ddbc_mode("generate", supply_range=between(5, 0))]
    moves = [transition("off", "generate")]
    actuators = [ddbc_actuator(operation_modes=modes, transitions=moves)]
    script.rm("DDBC.SystemDescription", actuators=actuators)
    assert script.findings == []


# OMBC


def test_an_instruction_to_a_device_has_no_actuator() -> None:
    script = under("OMBC")
    script.cem("OMBC.Instruction", "INVALID_MESSAGE", actuator_id="#actuator")
    assert not any(code.startswith("modes.") for code in script.codes)


def test_an_unknown_mode_of_a_device_names_no_actuator() -> None:
    script = under("OMBC")
    script.cem("OMBC.Instruction", operation_mode_id="#no-such")
    check(
        script,
        "modes.unknown-mode",
        Severity.ERROR,
        "/operation_mode_id",
        f"operation mode {short_id(identifier('no-such'))} is not in the OMBC.SystemDescription",
    )
    assert "actuator" not in script.findings[0].text


def test_a_mode_that_was_given_a_new_id() -> None:
    script = under("OMBC")
    modes = [ombc_mode("off", id="#off-2"), ombc_mode("on", id="#on-2")]
    moves = [transition("off-2", "on-2")]
    script.rm("OMBC.SystemDescription", operation_modes=modes, transitions=moves, timers=[])
    script.rm("OMBC.Status", active_operation_mode_id="#off-2")
    script.cem("OMBC.Instruction", operation_mode_id="#on-2")
    assert script.findings == []
