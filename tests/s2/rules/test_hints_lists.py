"""Hints at what stands twice in a list, or in one list and not in another."""

from __future__ import annotations

import pytest
from told import play

DETAILS = 'begin(details=False)\nrm("ResourceManagerDetails", {})\n'


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("available_control_types", "FILL_RATE_BASED_CONTROL"),
        ("provides_power_measurement_types", "ELECTRIC.POWER.L1"),
    ],
)
def test_a_name_stands_twice(field: str, name: str) -> None:
    twice = DETAILS.format(f'{field}=["{name}", "{name}"]')
    assert play(twice + twice.partition("\n")[2]) == [
        f'info hint.listed-twice /{field}/1: "{name}" stands here twice'
    ]
    assert play(DETAILS.format(f'{field}=["{name}"]')) == []


def test_a_version_stands_twice() -> None:
    shaken = 'rm("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0", "0.0.2-beta"])'
    assert play(shaken) == [
        'info hint.listed-twice /supported_protocol_versions/2: "0.0.2-beta" stands here twice'
    ]


def test_what_is_no_list_of_names_is_not_looked_at() -> None:
    for value in ("[[], []]", "[{}, {}]", "[1, 1]", '"L1 L1"', "None"):
        lines = play(DETAILS.format(f"provides_power_measurement_types={value}"))
        assert not any("hint." in line for line in lines)


@pytest.mark.parametrize("family", ["FRBC", "DDBC"])
def test_a_power_of_a_commodity_that_is_not_supported(family: str) -> None:
    field = "supported_commodities" if family == "FRBC" else "supported_commodites"
    make = "actuator" if family == "FRBC" else "ddbc_actuator"
    script = (
        f'begin()\nselect("{family}")\nrm("{family}.SystemDescription", actuators=['
        f"{make}({field}=[{{}}])])"
    )
    lines = [line for line in play(script.format('"HEAT"')) if "not-supported" in line]
    elements = "/elements/0" if family == "FRBC" else ""
    assert lines == [
        "info hint.commodity-not-supported"
        f" /actuators/0/operation_modes/0{elements}/power_ranges/0/commodity_quantity: a power of"
        ' ELECTRICITY, and actuator "#actuator" supports only HEAT'
    ]
    assert not any("not-supported" in line for line in play(script.format("")))
    assert play(script.format('"ELECTRICITY"')) == []


SHAKEN = """
rm("Handshake", supported_protocol_versions={})
cem("Handshake", supported_protocol_versions={})
cem("HandshakeResponse", selected_protocol_version="{}")
"""


def test_the_cem_selects_a_version_that_it_does_not_list() -> None:
    both = '["0.0.2-beta", "1.0.0"]'
    (line,) = play(SHAKEN.format(both, '["0.0.2-beta"]', "1.0.0"))
    assert line.startswith(
        'info hint.own-versions /selected_protocol_version: "1.0.0" is not among those that the'
        " Handshake "
    )
    assert line.endswith(' lists: "0.0.2-beta"')
    for own in ("None", both, '["v1.0.0"]', '["1.0.0-beta"]'):
        assert play(SHAKEN.format(both, own, "1.0.0")) == []


def test_a_version_that_nobody_lists_is_one_finding() -> None:
    lines = play(SHAKEN.format('["0.0.2-beta"]', '["0.0.2-beta"]', "1.0.0"))
    assert [line.split()[1] for line in lines] == ["handshake.version-not-offered"]
