"""Power profiles by themselves."""

from __future__ import annotations

from ppbc_script import WARNING, begun, element, one, profile

from s2_mitm.s2.examples.templates import container, sequence

PLACE = "/power_sequences_containers/0/power_sequences/0/elements"


def test_two_values_for_a_quantity() -> None:
    script = begun()
    l1, l2 = "ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2"
    profile(script, "fine", container("wash", sequence("eco", elements=[element(l1, l2)] * 2)))
    assert script.codes == []
    elements = [element(l1), element(l1, l2, l1)]
    profile(script, "newer", container("wash", sequence("eco", elements=elements)))
    place = "/power_sequences_containers/0/power_sequences/0/elements/1"
    path = f"{place}/power_values/2/commodity_quantity"
    text = one(script, "ppbc.quantity-twice", WARNING, path)
    assert text == f'"{l1}" has a value in {place} already'


def test_bands_that_cross() -> None:
    script = begun()
    value = {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": -2000}
    fine = {**value, "value_lower_limit": -2500, "value_upper_limit": -1500}
    profile(script, "fine", container("wash", sequence("eco", elements=[of(fine)])))
    assert script.codes == []
    wrong = {**value, "value_lower_limit": -1500, "value_upper_limit": -2500}
    elements = [of(fine), *[of(wrong)] * 9]
    profile(script, "newer", container("wash", sequence("eco", elements=elements)))
    assert script.codes == ["ppbc.bands-crossed"] * 3
    found = script.findings[0]
    assert found.path == f"{PLACE}/1/power_values/0/value_expected"
    assert found.text == "value_expected -2000 is below value_lower_limit -1500"


def test_the_only_phase_is_not_the_first() -> None:
    script = begun()
    elements = [element("ELECTRIC.POWER.L3", "HEAT.FLOW_RATE")]
    for name in ("one", "two"):
        profile(script, name, container("wash", sequence("eco", elements=elements)))
    text = one(script, "ppbc.single-phase", WARNING, "/power_sequences_containers")
    assert text.startswith("ELECTRIC.POWER.L3 is the only phase used")


def test_several_phases() -> None:
    script = begun()
    elements = [element("ELECTRIC.POWER.L3"), element("ELECTRIC.POWER.L2")]
    profile(script, "newer", container("wash", sequence("eco", elements=elements)))
    assert script.codes == []


def of(*values: dict[str, object]) -> dict[str, object]:
    return {"duration": 60_000, "power_values": list(values)}
