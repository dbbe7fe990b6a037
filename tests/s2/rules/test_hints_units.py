"""Hints about units and signs."""

from __future__ import annotations

import pytest
from told import play


def hints(script: str) -> list[str]:
    """What is told, all of which is hints."""
    lines = play(script)
    assert all(line.startswith("info hint.") for line in lines), lines
    return [line.removeprefix("info hint.") for line in lines]


# Seconds

FORECAST = """
element = {{"power_values": [{{"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 9}}]}}
rm("PowerForecast", elements=[{{**element, "duration": each}} for each in {}])
"""


@pytest.mark.parametrize(
    ("durations", "seconds"),
    [
        ([900], 900),
        ([900, 3600, 86400], 900),
        ([86400], 86400),
        ([15, 45], 15),
        ([1, 1], None),
        ([900, 900000], None),
        ([60000], None),  # a minute, in milliseconds
        ([1800000, 3600000], None),
        ([0, 900], None),
        ([123456], None),
    ],
)
def test_durations_of_a_forecast(durations: list[int], seconds: int | None) -> None:
    expected = (
        f"seconds /elements/0/duration: the duration, {seconds} ms, is {(seconds or 0) / 1000:g} s;"
        " this looks like seconds, and so do all durations here"
    )
    script = "begin()\n" + FORECAST.format(durations) * 2
    said = [line for line in hints(script) if line.startswith("seconds ")]
    assert said == ([expected] if seconds else [])


@pytest.mark.parametrize("duration", [45, 300, 3600])
def test_durations_of_timers(duration: int) -> None:
    described = 'begin()\nselect("OMBC")\nrm("OMBC.SystemDescription", timers=['
    rest = f'timer("rest", duration={duration}, diagnostic_label="minimum rest")'
    assert hints(f"{described}{rest}])") == [
        'seconds /timers/0/duration: the duration of timer "minimum rest" ("#rest"),'
        f" {duration} ms, is {duration / 1000:g} s; this looks like seconds, and so do all"
        " durations here"
    ]
    assert hints(f'{described}{rest}, timer("run", duration=60000)])') == []


@pytest.mark.parametrize("duration", [500, 750, 2000, 60000, 600000])
def test_short_timers(duration: int) -> None:
    """A relay may need half a second."""
    script = 'begin()\nselect("FRBC")\nrm("FRBC.SystemDescription", actuators=[actuator('
    assert hints(script + f'timers=[timer("rest", duration={duration})])])') == []


def test_durations_of_an_envelope_and_of_a_sequence() -> None:
    script = 'begin("PEBC")\ncem("PEBC.Instruction", power_envelopes=[envelope((0.9, 0, 5000))])'
    (line,) = hints(script)
    assert line.startswith("seconds /power_envelopes/0/power_envelope_elements/0/duration: ")
    script = """
begin()
select("PPBC")
power_values = [{"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 2000}]
element = {"duration": 600, "power_values": power_values}
rm("PPBC.PowerProfileDefinition",
   power_sequences_containers=[container("wash", sequence("eco", elements=[element, element]))])
"""
    (line,) = hints(script)
    assert line.startswith(
        "seconds /power_sequences_containers/0/power_sequences/0/elements/0/duration: "
    )


# Kilowatts


def ombc(*ranges: str) -> str:
    modes = [f'ombc_mode("m{number}", power_ranges=[{one}])' for number, one in enumerate(ranges)]
    return (
        'begin()\nselect("OMBC")\nrm("OMBC.SystemDescription", timers=[],'
        f' transitions=[transition("m0", "m{len(ranges) - 1}")],'
        f" operation_modes=[{', '.join(modes)}])\n"
    )


@pytest.mark.parametrize(
    ("ranges", "largest"),
    [
        (["power(0, 0)", "power(1.4, 11)"], "11"),
        (["power(-5, 0)", "power(0, 4)"], "-5"),
        (["power(0, 0)", "power(0, 60)"], None),
        (["power(0, 0)", "power(0, 0)"], None),
        (["power(0, 20)", 'power(0.1, 0.6, "NATURAL_GAS.FLOW_RATE")'], None),
    ],
)
def test_powers_that_look_like_kilowatts(ranges: list[str], largest: str | None) -> None:
    told = [line for line in hints(ombc(*ranges)) if not line.startswith("commodity-without")]
    if largest is None:
        assert told == []
        return
    place = next(n for n, one in enumerate(ranges) if largest in one)
    assert told == [
        f"kilowatts /operation_modes/{place}/power_ranges/0: {largest.lstrip('-')} W is the largest"
        " power of all here; it looks like kW"
    ]


def test_limits_and_profiles_that_look_like_kilowatts() -> None:
    constraints = 'rm("PEBC.PowerConstraints", id="#{}", allowed_limit_ranges=['
    constraints += 'limit("UPPER", 0, {}), limit("LOWER", 0, 0)])\n'
    begin = 'begin()\nselect("PEBC")\n'
    assert hints(begin + constraints.format("first", 3.7)) == [
        "kilowatts /allowed_limit_ranges/0: 3.7 W is the largest power of all here; it looks like"
        " kW"
    ]
    # A roof at dusk allows less and less.
    assert hints(begin + constraints.format("day", 3700) + constraints.format("dusk", 9)) == []
    script = """
begin()
select("PPBC")
element = {{"duration": 600000, "power_values": [
    {{"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": {}}}]}}
rm("PPBC.PowerProfileDefinition",
   power_sequences_containers=[container("wash", sequence("eco", elements=[element]))])
"""
    assert [line.split()[0] for line in hints(script.format(2.1))] == ["kilowatts"]
    assert hints(script.format(2100)) == []


# Fractions

STORAGE = """
storage = dict(TEMPLATES["FRBC.SystemDescription"]["storage"])
storage["fill_level_range"] = between({})
element = {{"fill_level_range": between({}), "fill_rate": between(0, 0.0001),
           "power_ranges": [power(0, 5000)]}}
modes = [frbc_mode(name, elements=[element]) for name in ["idle", "charge", "emergency"]]
rm("FRBC.SystemDescription", storage=storage, actuators=[actuator(operation_modes=modes)])
"""
FRBC = 'begin()\nselect("FRBC")\n'
LEVEL = 'rm("FRBC.StorageStatus", present_fill_level={})\n'


@pytest.mark.parametrize(
    ("storage", "levels", "said"),
    [
        ("0, 100", [0.57], "0.57"),
        ("0, 100", [57, 0.56], "0.56"),
        ("0, 100", [1.5, 0.9, 0.6, 0.3], None),  # it runs empty
        ("0, 100", [57], None),
        ("0, 100", [0], None),
        ("0, 100", [0.01], None),
        ("0, 1", [0.57], None),
        ("0, 10", [0.57], None),  # kWh
    ],
)
def test_a_fill_level_that_looks_like_a_fraction(
    storage: str, levels: list[float], said: str | None
) -> None:
    script = FRBC + STORAGE.format(storage, storage) + "".join(map(LEVEL.format, levels))
    expected = (
        f"fraction /present_fill_level: {said}, the storage goes from 0 to 100; one looks like a"
        " fraction, one like percent"
    )
    assert hints(script + LEVEL.format(levels[-1])) == ([expected] if said else [])


@pytest.mark.parametrize(
    ("message_type", "rest"),
    [
        ("FillLevelTargetProfile", '"duration": 900000'),
        ("LeakageBehaviour", '"leakage_rate": 0.0001'),
    ],
)
def test_other_fill_levels_that_look_like_fractions(message_type: str, rest: str) -> None:
    script = FRBC + STORAGE.format("0, 100", "0, 100") + f'rm("FRBC.{message_type}", elements=['
    element = '{{"fill_level_range": between({}), {}}}])'
    (line,) = hints(script + element.format("0.2, 0.8", rest))
    assert line.startswith("fraction /elements/0/fill_level_range: 0.8 is the highest here, and")
    assert hints(script + element.format("20, 80", rest)) == []


def test_modes_that_have_percent_where_the_storage_has_a_fraction() -> None:
    (line,) = hints(FRBC + STORAGE.format("0, 1", "0, 100"))
    assert line.startswith("fraction /actuators/0/operation_modes/0/elements/0/fill_level_range: ")
    assert hints(FRBC + STORAGE.format("0, 1", "0, 1")) == []
    assert hints(FRBC + STORAGE.format("0, 10", "0, 100")) == []


# Fill rates

MODE = """
element = {{"fill_level_range": between(0, 100), "fill_rate": between({}),
           "power_ranges": [power({})]}}
modes = [frbc_mode(name, elements=[element]) for name in ["idle", "charge", "emergency"]]
rm("FRBC.SystemDescription", actuators=[actuator(operation_modes=modes)])
"""


@pytest.mark.parametrize(("rate", "said"), [("0, 36", True), ("-5, 0", True), ("0, 2.5", False)])
def test_a_fill_rate_that_fills_at_once(rate: str, said: bool) -> None:
    fastest = max(abs(float(end)) for end in rate.split(","))
    expected = (
        "fill-rate /actuators/0/operation_modes/0/elements/0/fill_rate: a rate of"
        f" {fastest:g} in a second goes from 0 to 100 in {100 / fastest:.2g} s"
    )
    watts = "-5000, 0" if "-" in rate else "0, 5000"
    assert hints(FRBC + MODE.format(rate, watts)) == ([expected] if said else [])


@pytest.mark.parametrize(
    ("rate", "watts", "said"),
    [
        ("0.01, 0", "-5000, 0", "5000 W is produced at factor 0, and the fill rate is 0.01"),
        (
            "0.001, 0.01",
            "-5000, -500",
            "5000 W is produced at factor 0, and the fill rate is 0.001",
        ),
        ("0, -0.01", "-9, 5000", "5000 W is consumed at factor 1, and the fill rate is -0.01"),
        ("0, -0.01", "-5000, 0", "5000 W is produced at factor 0, and the fill rate is 0"),
        ("0.01, -0.01", "-5000, 5000", "5000 W is produced at factor 0, and the fill rate is 0.01"),
        ("-0.01, 0", "-5000, 0", ""),
        ("-0.01, 0.01", "-5000, 5000", ""),
        ("-0.00001, -0.00001", "80, 90", ""),  # what an idle battery takes for itself
        ("0, 0", "0, 5000", ""),
    ],
)
def test_signs_of_fill_rate_and_power(rate: str, watts: str, said: str) -> None:
    expected = (
        'fill-sign /actuators/0/operation_modes/0/elements/0/fill_rate: in mode "idle" ("#idle")'
        f" {said}"
    )
    assert hints(FRBC + MODE.format(rate, watts) * 2) == ([expected] if said else [])


def test_what_cools_empties_a_storage_that_is_no_battery() -> None:
    consumer = """
begin(details=False)
rm("ResourceManagerDetails", roles=[{"role": "ENERGY_CONSUMER", "commodity": "ELECTRICITY"}])
select("FRBC")
"""
    assert hints(consumer + MODE.format("0, -0.01", "0, 150")) == []
    cold = MODE.format("0, -0.01", "0, 150").replace(
        'rm("FRBC.SystemDescription"',
        'storage = dict(TEMPLATES["FRBC.SystemDescription"]["storage"])\n'
        'storage["fill_level_label"] = "Temperature"\n'
        'rm("FRBC.SystemDescription", storage=storage',
    )
    assert hints(FRBC + cold) == []
    # A cold store, without a word about its unit: it never produces.
    assert hints(FRBC + MODE.format("0, -0.01", "0, 150")) == []


# Roles and signs


def of_role(role: str, *lines: str) -> str:
    details = f'roles=[{{"role": "ENERGY_{role}", "commodity": "ELECTRICITY"}}]'
    begin = f'begin(details=False)\nrm("ResourceManagerDetails", {details})\n'
    return begin + "\n".join(lines)


def measured(*watts: float) -> str:
    values = [{"commodity_quantity": "ELECTRIC.POWER.L1", "value": value} for value in watts]
    return "\n".join(f'rm("PowerMeasurement", values=[{value}])' for value in values)


@pytest.mark.parametrize(
    ("role", "watts", "said"),
    [
        ("PRODUCER", [3450, 3460], "3450 W is consumed"),
        ("CONSUMER", [-3450], "3450 W is produced"),
        ("PRODUCER", [-3450, 0, 12], ""),
        ("CONSUMER", [3450, -12], ""),
        ("STORAGE", [3450, -3450], ""),
    ],
)
def test_power_against_the_role(role: str, watts: list[float], said: str) -> None:
    expected = f'role-sign /values: {said}, and the role of the RM is "ENERGY_{role}"'
    assert hints(of_role(role, measured(*watts))) == ([expected] if said else [])


def test_phases_are_taken_together() -> None:
    """An unbalanced consumer may give back on one phase what it takes on another."""
    phases = [f"ELECTRIC.POWER.L{phase}" for phase in (1, 2, 3)]
    values = [
        {"commodity_quantity": phase, "value": value}
        for phase, value in zip(phases, (-200, 900, 900), strict=True)
    ]
    details = f"provides_power_measurement_types={phases}, "
    script = of_role("CONSUMER", f'rm("PowerMeasurement", values={values})')
    assert hints(script.replace("roles=", details + "roles=")) == []


def test_forecast_and_descriptions_against_the_role() -> None:
    forecast = FORECAST.format([900000]).replace('"value_expected": 9', '"value_expected": 4000')
    assert hints(of_role("PRODUCER", forecast)) == [
        "role-sign /elements/0/power_values: a consumption of 4000 W is expected, and the role of"
        ' the RM is "ENERGY_PRODUCER"'
    ]
    assert hints(of_role("CONSUMER", forecast)) == []
    constraints = 'select("PEBC")\nrm("PEBC.PowerConstraints", allowed_limit_ranges=['
    constraints += 'limit("UPPER", 0, {}), limit("LOWER", {}, 0)])'
    assert hints(of_role("PRODUCER", constraints.format(4000, 0))) == [
        "role-sign /allowed_limit_ranges/0: all power is consumption, up to 4000 W, and the role of"
        ' the RM is "ENERGY_PRODUCER"'
    ]
    assert hints(of_role("PRODUCER", constraints.format(0, -4000))) == []
    assert hints(of_role("PRODUCER", constraints.format(4000, -4000))) == []
    generator = ombc("power(0, 0)", "power(2000, 4000)").replace("begin()\n", "")
    assert [line.split()[0] for line in hints(of_role("PRODUCER", generator))] == ["role-sign"]
    assert hints(of_role("CONSUMER", generator)) == []
