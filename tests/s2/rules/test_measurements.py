"""Measurements, forecasts and costs, in short conversations."""

from __future__ import annotations

import pytest
from told import play, told

from s2_mitm.s2.examples.script import Script

DETAILS = 'begin(details=False)\nrm("ResourceManagerDetails", message_id="#details"{})\n'

HEAT = '{"commodity_quantity": "HEAT.FLOW_RATE", "value": 1}'
L1 = '{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 1}'


def test_a_quantity_that_was_not_promised() -> None:
    begin = DETAILS.format("")
    assert play(begin + f'rm("PowerMeasurement", values=[{L1}, {HEAT}])') == [
        "error measurement.not-promised /values/1/commodity_quantity: HEAT.FLOW_RATE is not among"
        ' the quantities that the ResourceManagerDetails "#details" from the RM (0.0 s before)'
        " promises: ELECTRIC.POWER.L1"
    ]
    both = ', provides_power_measurement_types=["HEAT.FLOW_RATE", "ELECTRIC.POWER.L1"]'
    assert play(DETAILS.format(both) + f'rm("PowerMeasurement", values=[{L1}])') == []
    later = f'rm("ResourceManagerDetails"{both})\n'
    assert play(begin + later + f'rm("PowerMeasurement", values=[{HEAT}])') == []


@pytest.mark.parametrize("promised", ['["HEAT.FLOW"]', '"HEAT.FLOW_RATE"', "[]", "None"])
def test_what_is_misspelt_in_the_promise_is_said_there(promised: str) -> None:
    begin = DETAILS.format(
        f', provides_power_measurement_types={promised}, answer="INVALID_MESSAGE"'
    )
    codes = [line.split()[1] for line in play(begin + f'rm("PowerMeasurement", values=[{HEAT}])')]
    assert [code for code in codes if not code.startswith("schema.")] == ["ack.refused"]


def test_a_misspelt_quantity_is_said_once() -> None:
    wrong = HEAT.replace("FLOW_RATE", "FLOW")
    assert [
        line.split()[:2]
        for line in play(f'begin()\nrm("PowerMeasurement", values=[{wrong}], answer=None)')
    ] == [["error", "schema.enum"]]


def test_the_promise_is_not_known() -> None:
    assert play(f'begin(details=False)\nrm("PowerMeasurement", values=[{HEAT}])') == []


def test_a_quantity_measured_twice() -> None:
    refused = ', answer="INVALID_MESSAGE")'
    assert play(f'begin()\nrm("PowerMeasurement", values=[{L1}, {L1}]{refused}') == [
        'error measurement.quantity-twice /values/1/commodity_quantity: "ELECTRIC.POWER.L1" has'
        " a value at /values/0 already",
        'info ack.refused : answered by the CEM with "INVALID_MESSAGE"',
    ]


def test_a_measurement_of_yesterday() -> None:
    old = 'rm("PowerMeasurement", measurement_timestamp=at(-90000))\n'
    young = 'rm("PowerMeasurement", measurement_timestamp=at(-86000))\n'
    words = "info measurement.old /measurement_timestamp: 2026-02-28T11:00:00Z is 25 h old"
    assert play("begin()\n" + young) == []
    assert play("begin()\n" + old + old) == [words]
    assert play("begin()\n" + old + young + old) == [words, words]


def test_a_single_phase_that_is_not_l1() -> None:
    assert play(
        DETAILS.format(', provides_power_measurement_types=["HEAT.FLOW_RATE", "ELECTRIC.POWER.L3"]')
    ) == [
        "warning measurement.single-phase /provides_power_measurement_types: ELECTRIC.POWER.L3 is"
        " the only phase measured; a device with one phase should call it L1"
    ]
    for measured in (
        '"HEAT.FLOW_RATE"',
        '"ELECTRIC.POWER.L1"',
        '"ELECTRIC.POWER.3_PHASE_SYMMETRIC"',
    ):
        assert play(DETAILS.format(f", provides_power_measurement_types=[{measured}]")) == []


def test_two_phases_of_three() -> None:
    phases = '"ELECTRIC.POWER.L3", "ELECTRIC.POWER.L1"'
    assert play(DETAILS.format(f", provides_power_measurement_types=[{phases}]")) == [
        "info measurement.two-phases /provides_power_measurement_types: ELECTRIC.POWER.L1 and"
        " ELECTRIC.POWER.L3 are measured, the third phase is not"
    ]
    phases += ', "ELECTRIC.POWER.L2"'
    assert play(DETAILS.format(f", provides_power_measurement_types=[{phases}]")) == []


def test_a_forecast_that_was_not_announced() -> None:
    assert play(DETAILS.format(", provides_forecast=False") + 'rm("PowerForecast")') == [
        "error forecast.not-provided /message_type: provides_forecast is false in the"
        ' ResourceManagerDetails "#details" from the RM (0.0 s before)'
    ]
    assert play('begin(details=False)\nrm("PowerForecast")') == []
    later = 'rm("ResourceManagerDetails")\nrm("PowerForecast")'
    assert play(DETAILS.format(", provides_forecast=False") + later) == []


def forecast(*values: str, answer: str = '"OK"') -> str:
    """A forecast with one element for each list of values."""
    elements = ", ".join(f'{{"duration": 900000, "power_values": {value}}}' for value in values)
    return f'begin()\nrm("PowerForecast", elements=[{elements}], answer={answer})'


def test_a_quantity_forecast_twice() -> None:
    value = '{"commodity_quantity": "HEAT.FLOW_RATE", "value_expected": 1}'
    assert play(forecast(f"[{value}]", f"[{value}, {value}]", answer="None")) == [
        "error forecast.quantity-twice /elements/1/power_values/1/commodity_quantity:"
        ' "HEAT.FLOW_RATE" has a value at /elements/1/power_values/0 already'
    ]
    assert play(forecast(f"[{value}]", f"[{value}]")) == []


def test_bands_that_cross() -> None:
    value = (
        '[{{"commodity_quantity": "HEAT.FLOW_RATE", "value_expected": 1, "value_upper_95PPR": {}}}]'
    )
    assert play(forecast(value.format(0.5))) == [
        "warning forecast.bands-crossed /elements/0/power_values/0/value_upper_95PPR:"
        " value_upper_95PPR 0.5 is below value_expected 1"
    ]
    assert play(forecast(value.format(1))) == []


COST = {
    "OMBC": (
        "OMBC.SystemDescription",
        {"operation_modes": "[ombc_mode('off'), ombc_mode('on', running_costs=between(0, 1)),"
        " ombc_mode('boost')]"},
        "/operation_modes/1/running_costs",
    ),
    "FRBC": (
        "FRBC.SystemDescription",
        {"actuators": "[actuator(transitions=[transition('idle', 'charge', transition_costs=9)])]"},
        "/actuators/0/transitions/0/transition_costs",
    ),
    "FRBC, an element": (
        "FRBC.SystemDescription",
        {"actuators": "[actuator(transitions=[], operation_modes=[frbc_mode('idle', elements=[{"
        "'fill_level_range': between(0, 100), 'fill_rate': between(0, 1), 'power_ranges':"
        " [power(0, 100)], 'running_costs': between(0, 1)}])])]"},
        "/actuators/0/operation_modes/0/elements/0/running_costs",
    ),
    "DDBC": (
        "DDBC.SystemDescription",
        {"actuators": "[ddbc_actuator(operation_modes=[ddbc_mode('off'), ddbc_mode('heat',"
        " running_costs=between(0, 1)), ddbc_mode('boost')])]"},
        "/actuators/0/operation_modes/1/running_costs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", COST)
def test_costs_without_a_currency(kind: str) -> None:
    message_type, fields, place = COST[kind]
    described = ", ".join(f"{name}={value}" for name, value in fields.items())
    select = f'select("{kind[:4]}")\n'
    described = f'rm("{message_type}", {described})\n'
    none = DETAILS.format(", currency=None")
    assert play(none + select + described + described) == [
        f'error costs.no-currency {place}: costs, but the ResourceManagerDetails "#details" from'
        " the RM (0.0 s before) has no currency"
    ]
    assert play(DETAILS.format("") + select + described) == []
    assert play(none + select + f'rm("{message_type}")\n') == []
    assert len(play(none + select + described + none.split("\n")[1] + "\n" + described)) == 3


def test_measurements_cross_a_selection() -> None:
    script = Script()
    script.begin("FRBC")
    script.cem("SelectControlType", answer=None, control_type="NO_SELECTION")
    script.rm("PowerMeasurement")
    script.rm("PowerForecast")
    assert told(script) == []


@pytest.mark.parametrize(
    ("measured", "forecast", "codes"),
    [
        (["L1"], ["L3"], ["forecast.single-phase"]),
        (["L1"], ["L1"], []),
        (["L1", "L2", "L3"], ["L2"], []),
        (["3_PHASE_SYMMETRIC"], ["L2"], []),
        (["L1"], ["L2", "L3"], []),
    ],
)
def test_a_forecast_for_a_single_phase(
    measured: list[str], forecast: list[str], codes: list[str]
) -> None:
    script = Script()
    script.begin(details=False)
    names = [f"ELECTRIC.POWER.{phase}" for phase in measured]
    script.rm("ResourceManagerDetails", provides_power_measurement_types=names)
    values = [
        {"commodity_quantity": f"ELECTRIC.POWER.{phase}", "value_expected": 1} for phase in forecast
    ]
    elements = [{"duration": 900_000, "power_values": [value]} for value in values]
    for _ in range(2):
        script.rm("PowerForecast", elements=elements)
    assert script.codes == codes


def test_a_single_phase_that_the_details_show_is_said_once() -> None:
    script = Script()
    script.begin(details=False)
    second = "ELECTRIC.POWER.L2"
    script.rm("ResourceManagerDetails", provides_power_measurement_types=[second])
    value = {"commodity_quantity": second, "value_expected": 1}
    script.rm("PowerForecast", elements=[{"duration": 900_000, "power_values": [value]}])
    assert script.codes == ["measurement.single-phase"]


def test_costs_of_nothing_need_no_currency() -> None:
    """The documentation has an example with them."""
    begin = 'begin(details=False)\nrm("ResourceManagerDetails", currency=None)\nselect("OMBC")\n'
    free = (
        "transitions=[transition('off', 'on', transition_costs=0)], operation_modes=["
        "ombc_mode('off', running_costs=between(0, 0)), ombc_mode('on')"
    )
    described = 'rm("OMBC.SystemDescription", ' + free
    assert "costs" not in " ".join(play(begin + described + "])"))
    dear = ", ombc_mode('boost', running_costs=between(0, 0.01))])"
    assert "costs.no-currency" in " ".join(play(begin + described + dear))


PRICED = """
begin(details=False)
rm("ResourceManagerDetails", currency={before})
select("OMBC")
rm("OMBC.SystemDescription", message_id="#described", valid_from=at({start}), operation_modes=[
    ombc_mode("off"), ombc_mode("on", running_costs=between(0, {costs})), ombc_mode("boost"),
])
rm("ResourceManagerDetails", currency={after})
"""


def _priced(**how: object) -> list[str]:
    usual = {"before": '"EUR"', "after": None, "costs": 0.01, "start": 0}
    return play(PRICED.format(**{**usual, **how}))


def test_new_details_drop_the_currency_of_costs() -> None:
    assert _priced() == [
        "error costs.no-currency : no currency any more, but the OMBC.SystemDescription"
        ' "#described" from the RM (0.0 s before) has costs → Give the currency with all details'
        " while a description with costs is in force."
    ]


@pytest.mark.parametrize("how", [{"after": '"USD"'}, {"costs": 0}, {"start": 3600}])
def test_details_that_drop_no_currency_of_costs(how: dict[str, object]) -> None:
    assert "costs.no-currency" not in " ".join(_priced(**how))


def test_costs_without_a_currency_from_the_start_are_told_once() -> None:
    (said,) = [line for line in _priced(before=None) if "costs.no-currency" in line]
    assert "has no currency" in said
