"""Hints about what does not fit together in what an RM says of itself."""

from __future__ import annotations

import pytest
from told import play

from s2_mitm.s2.choice import parse_codes
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.verdict import Severity

DETAILS = 'begin(details=False)\nrm("ResourceManagerDetails", {})\n'
FRBC = 'begin()\nselect("FRBC")\n'
DDBC = 'begin()\nselect("DDBC")\n'
SYMMETRIC = "ELECTRIC.POWER.3_PHASE_SYMMETRIC"


def hints(script: str) -> list[str]:
    """What is told, all of which is hints."""
    lines = play(script)
    assert all(line.startswith("info hint.") for line in lines), lines
    return [line.removeprefix("info hint.") for line in lines]


def test_every_hint_is_an_info_that_can_be_silenced() -> None:
    codes = parse_codes("hint.*")
    assert len(codes) >= 8
    assert {FINDING_TYPES[code].severity for code in codes} == {Severity.INFO}
    assert all(FINDING_TYPES[code].why for code in codes)
    offered = DETAILS.format('available_control_types=["NO_SELECTION"]')
    assert len(play(offered)) == 1
    assert play(offered, Settings(ignore=codes)) == []


def test_no_selection_is_offered() -> None:
    offered = 'available_control_types=["FILL_RATE_BASED_CONTROL", "NO_SELECTION"]'
    twice = DETAILS.format(offered) + f'rm("ResourceManagerDetails", {offered})'
    assert hints(twice) == [
        "no-selection-offered /available_control_types/1: NO_SELECTION is offered, but it stands"
        " for no control type at all"
    ]
    assert hints(DETAILS.format('available_control_types=["NOT_CONTROLABLE"]')) == []


def roles(*each: tuple[str, str]) -> str:
    return f"roles={[{'role': role, 'commodity': commodity} for role, commodity in each]}"


def test_two_roles_for_one_commodity() -> None:
    both = roles(("ENERGY_PRODUCER", "ELECTRICITY"), ("ENERGY_CONSUMER", "ELECTRICITY"))
    assert hints(DETAILS.format(both)) == [
        "two-roles /roles/1: ELECTRICITY has the role ENERGY_CONSUMER here, and ENERGY_PRODUCER at"
        " /roles/0"
    ]
    each = roles(("ENERGY_CONSUMER", "ELECTRICITY"), ("ENERGY_CONSUMER", "GAS"))
    assert hints(DETAILS.format(each)) == []


@pytest.mark.parametrize(
    ("commodity", "quantity", "said"),
    [
        ("GAS", "ELECTRIC.POWER.L1", "ELECTRICITY"),
        ("ELECTRICITY", "NATURAL_GAS.FLOW_RATE", "GAS"),
        ("ELECTRICITY", "OIL.FLOW_RATE", "OIL"),
        ("OIL", "OIL.FLOW_RATE", ""),
        ("ELECTRICITY", "HEAT.THERMAL_POWER", ""),
        ("GAS", "HYDROGEN.FLOW_RATE", ""),
    ],
)
def test_what_is_measured_of_a_commodity_without_a_role(
    commodity: str, quantity: str, said: str
) -> None:
    fields = (
        roles(("ENERGY_CONSUMER", commodity)) + f', provides_power_measurement_types=["{quantity}"]'
    )
    expected = (
        "commodity-without-role /provides_power_measurement_types/0:"
        f" {quantity} is measured, but no role for {said}"
    )
    assert hints(DETAILS.format(fields)) == ([expected] if said else [])


def test_an_actuator_that_uses_a_commodity_without_a_role() -> None:
    described = """
element = {{"fill_level_range": between(0, 100), "fill_rate": between(0, 0.01),
           "power_ranges": [power(0, 1, "{}")]}}
modes = [frbc_mode(name, elements=[element]) for name in ["idle", "charge", "emergency"]]
rm("FRBC.SystemDescription", actuators=[
   actuator(supported_commodities=["{}"], operation_modes=modes)])
"""
    assert hints(FRBC + described.format("NATURAL_GAS.FLOW_RATE", "GAS") * 2) == [
        'commodity-without-role /actuators/0/supported_commodities: actuator "#actuator" uses GAS,'
        " but no role for GAS"
    ]
    assert hints(FRBC + described.format("HEAT.FLOW_RATE", "HEAT")) == []
    assert hints(
        DDBC + 'rm("DDBC.SystemDescription", actuators=['
        'ddbc_actuator(supported_commodites=["ELECTRICITY", "OIL"])])'
    ) == [
        'commodity-without-role /actuators/0/supported_commodites: actuator "#actuator" uses OIL,'
        " but no role for OIL"
    ]


def test_the_role_is_not_known() -> None:
    script = "joined_late()\n" + FRBC.replace("begin()", "begin(details=False)")
    described = (
        'rm("FRBC.SystemDescription", actuators=['
        'actuator(supported_commodities=["ELECTRICITY", "OIL"])])'
    )
    assert [line for line in play(script + described) if " hint." in line] == []


@pytest.mark.parametrize(
    ("script", "place"),
    [
        (
            DETAILS.format(
                f'provides_power_measurement_types=["ELECTRIC.POWER.L2", "{SYMMETRIC}"]'
            ),
            "/provides_power_measurement_types",
        ),
        (
            FRBC + 'element = {"fill_level_range": between(0, 100), "fill_rate": between(0, 0.01),'
            f' "power_ranges": [power(0, 900, "ELECTRIC.POWER.L2"), power(0, 900, "{SYMMETRIC}")]}}'
            '\nmodes = [frbc_mode(name, elements=[element]) for name in ["a", "b"]]\n'
            'rm("FRBC.SystemDescription", actuators=[actuator(operation_modes=modes,'
            ' transitions=[transition("a", "b")], timers=[])])',
            "/actuators/0/operation_modes/0/elements/0/power_ranges",
        ),
        (
            'begin()\nselect("PEBC")\nrm("PEBC.PowerConstraints", allowed_limit_ranges=['
            'limit(kind, 0, 0, commodity_quantity=quantity) for kind in ["UPPER", "LOWER"]'
            f' for quantity in ["ELECTRIC.POWER.L2", "{SYMMETRIC}"]])',
            "/allowed_limit_ranges",
        ),
    ],
)
def test_symmetric_power_beside_a_phase(script: str, place: str) -> None:
    told = [line.removeprefix("info ") for line in play(script) if " hint." in line]
    assert told == [
        f"hint.phases-and-symmetric {place}: {SYMMETRIC} stands beside ELECTRIC.POWER.L2"
    ]


def test_what_can_be_measured_is_one_thing_and_what_is_measured_another() -> None:
    measured = [
        {"commodity_quantity": quantity, "value": 900}
        for quantity in ("ELECTRIC.POWER.L1", SYMMETRIC)
    ]
    types = f'provides_power_measurement_types=["ELECTRIC.POWER.L1", "{SYMMETRIC}"]'
    script = DETAILS.format(types) + f'rm("PowerMeasurement", values={measured})\n' * 2
    assert [line.split(":")[0] for line in hints(script)] == [
        "phases-and-symmetric /provides_power_measurement_types",
        "phases-and-symmetric /values",
    ]


def test_symmetric_power_alone_or_three_phases() -> None:
    for types in (
        f'["{SYMMETRIC}", "NATURAL_GAS.FLOW_RATE"]',
        str([f"ELECTRIC.POWER.L{n}" for n in (1, 2, 3)]),
    ):
        script = DETAILS.format(
            roles(("ENERGY_CONSUMER", "ELECTRICITY"), ("ENERGY_CONSUMER", "GAS"))
            + f", provides_power_measurement_types={types}"
        )
        assert hints(script) == []


def modes(*levels: tuple[float, float], storage: tuple[float, float] = (0, 100)) -> str:
    """A description whose modes apply at these fill levels each."""
    return (
        FRBC
        + f"""modes = [frbc_mode(f"mode-{{number}}", elements=[{{
            "fill_level_range": between(*level), "fill_rate": between(0, 0.01),
            "power_ranges": [power(0, 5000)]}}]) for number, level in enumerate({list(levels)})]
names = [mode["id"][1:] for mode in modes]
storage = dict(TEMPLATES["FRBC.SystemDescription"]["storage"])
storage["fill_level_range"] = between(*{storage})
rm("FRBC.SystemDescription", storage=storage, actuators=[actuator(diagnostic_label="inverter",
   operation_modes=modes, transitions=[transition(names[0], names[-1])], timers=[])])
"""
    )


@pytest.mark.parametrize(
    ("levels", "gap"),
    [
        ([(0, 90), (10, 80)], "90 to 100"),
        ([(10, 100), (5, 50)], "0 to 5"),
        ([(0, 40), (60, 100)], "40 to 60"),
        ([(0, 1), (0, 1)], "1 to 100"),
        ([(200, 300), (250, 300)], "0 to 100"),
        ([(0, 50), (50, 100)], ""),
        ([(-10, 60), (20, 120)], ""),
        ([(0, 100 - 1e-9), (20, 60)], ""),
    ],
)
def test_fill_levels_without_a_mode(levels: list[tuple[float, float]], gap: str) -> None:
    expected = (
        'levels-not-covered /actuators/0/operation_modes: actuator "inverter" ("#actuator") has no'
        f" mode for fill levels from {gap}; the storage goes from 0 to 100"
    )
    assert hints(
        modes(*levels) + "rm('FRBC.ActuatorStatus', active_operation_mode_id='#mode-0')"
    ) == ([expected] if gap else [])


def test_a_gap_within_a_mode_is_said_by_its_own_rule() -> None:
    script = (
        FRBC
        + """
each = [{"fill_level_range": between(*level), "fill_rate": between(0, 0.01),
         "power_ranges": [power(0, 5000)]} for level in [(0, 40), (60, 100)]]
rm("FRBC.SystemDescription", answer="INVALID_CONTENT", actuators=[actuator(operation_modes=[
    frbc_mode(name, elements=each) for name in ["idle", "charge", "emergency"]])])
"""
    )
    codes = {line.split()[1] for line in play(script)}
    assert codes == {"frbc.fill-levels-apart", "ack.refused"}


@pytest.mark.parametrize(
    ("target", "outside"),
    [("80, 120", True), ("-5, 50", True), ("101, 102", True), ("0, 100", False), ("50, 50", False)],
)
def test_a_target_outside_of_the_storage(target: str, outside: bool) -> None:
    script = f"""
begin("FRBC")
rm("FRBC.FillLevelTargetProfile", elements=[
   {{"duration": 900000, "fill_level_range": between(20, 80)}},
   {{"duration": 900000, "fill_level_range": between({target})}}])
"""
    low, high = target.split(", ")
    expected = (
        f"target-outside /elements/1/fill_level_range: {low} to {high} is not within 0 to 100, the"
        " range of the storage"
    )
    assert hints(script) == ([expected] if outside else [])


def test_a_target_for_a_description_that_is_on_its_way() -> None:
    """It may be meant for the newer one, or for the one before."""
    smaller = 'storage = dict(TEMPLATES["FRBC.SystemDescription"]["storage"])\n'
    smaller += 'storage["fill_level_range"] = between(0, 50)\n'
    smaller += 'rm("FRBC.SystemDescription", storage=storage, answer=None)\n'
    for target in ("60, 80", "20, 40"):
        profile = (
            'rm("FRBC.FillLevelTargetProfile",'
            f' elements=[{{"duration": 900000, "fill_level_range": between({target})}}])'
        )
        assert hints('begin("FRBC")\n' + smaller + profile) == []


ENERGY = 'rm("PEBC.EnergyConstraint", id="#more"{})\n'


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            ", upper_average_power=11000",
            "upper_average_power: upper_average_power 11000 is above 8000, the highest upper limit"
            " allowed",
        ),
        (
            ", upper_average_power=0, lower_average_power=-5001",
            "lower_average_power: lower_average_power -5001 is below -5000, the lowest lower limit"
            " allowed",
        ),
        (", upper_average_power=8000", ""),
        (", upper_average_power=-1000, lower_average_power=-5000", ""),
    ],
)
def test_energy_beyond_the_power_constraints(fields: str, said: str) -> None:
    expected = [f"energy-beyond-limits /{said}"] if said else []
    assert hints('begin("PEBC")\n' + ENERGY.format(fields) * 1) == expected


def test_energy_before_the_first_power_constraints() -> None:
    """The order in which the documentation has them."""
    first = 'begin()\nselect("PEBC")\n' + ENERGY.format(", upper_average_power=11000")
    assert hints(first + 'rm("PEBC.PowerConstraints")') == [
        "energy-beyond-limits /allowed_limit_ranges: upper_average_power 11000 is above 8000, the"
        " highest upper limit allowed"
    ]


def test_later_power_constraints_come_before_their_energy_constraint() -> None:
    less = 'rm("PEBC.PowerConstraints", id="#less", allowed_limit_ranges=['
    less += 'limit("UPPER", 0, 1000), limit("LOWER", 0, 0)])\n'
    later = ENERGY.format(", upper_average_power=900, lower_average_power=100")
    assert hints('begin("PEBC")\n' + less + later) == []


def test_energy_for_another_time_than_the_power_constraints() -> None:
    begin = (
        'begin()\nselect("PEBC")\n'
        'rm("PEBC.PowerConstraints", valid_from=at(0), valid_until=at(3600))\n'
    )
    later = ", upper_average_power=11000, valid_from=at(3600), valid_until=at(7200)"
    assert hints(begin + ENERGY.format(later)) == []


@pytest.mark.parametrize(
    ("demand", "said"), [("5.5, 6", True), ("4, 6", False), ("0, 9", False), ("-9, -8", False)]
)
def test_a_demand_that_all_actuators_together_do_not_supply(demand: str, said: bool) -> None:
    script = DDBC + f'rm("DDBC.SystemDescription", present_demand_rate=between({demand}))'
    assert hints(script) == (
        [
            "supply-below-demand /present_demand_rate: the demand is at least 5.5, and all"
            " actuators together supply at most 5"
        ]
        if said
        else []
    )


def test_two_actuators_supply_what_one_cannot() -> None:
    second = 'ddbc_actuator(id="#second", operation_modes=[ddbc_mode("two")], transitions=[])'
    script = (
        DDBC + f'rm("DDBC.SystemDescription", present_demand_rate=between(9, 9),'
        f" actuators=[ddbc_actuator(), {second}])"
    )
    assert hints(script) == []


def test_the_demand_of_a_status() -> None:
    script = """
rm("ResourceManagerDetails")
select("DDBC")
rm("DDBC.SystemDescription", present_demand_rate=None)
rm("DDBC.PresentDemandStatus", present_demand_rate=between(4, 9))
rm("DDBC.PresentDemandStatus", present_demand_rate=between(6, 9))
rm("DDBC.PresentDemandStatus", present_demand_rate=between(7, 9))
"""
    told = play(script, Settings(version="1.0.0-beta"))
    assert told == [
        "info hint.supply-below-demand /present_demand_rate: the demand is at least 6, and all"
        " actuators together supply at most 5"
    ]
