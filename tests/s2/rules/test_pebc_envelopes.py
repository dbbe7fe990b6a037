"""Envelopes that keep to the constraints or do not."""

from __future__ import annotations

from typing import Any

import pytest
from pebc_script import ERROR, INFO, WARNING, begun, constrain, instruct, of_rules, one

from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import at, envelope, limit
from s2_mitm.s2.wording import short_id


def test_a_limit_outside_its_range() -> None:
    script = begun()
    instruct(script, (60, 0, 5000), (60, -5000.5, 0))
    text = one(
        script,
        "pebc.limit-not-allowed",
        ERROR,
        "/power_envelopes/0/power_envelope_elements/1/lower_limit",
    )
    assert text.startswith("-5000.5 is in no LOWER_LIMIT range of the PEBC.PowerConstraints")
    assert text.endswith("-5000 to 0 is allowed")


def test_limits_at_the_ends_of_their_ranges() -> None:
    script = begun()
    instruct(script, (60, -5000, 5000), (60, 0, 0))
    assert script.codes == []


def test_ranges_with_a_gap() -> None:
    script = begun()
    ranges = [limit("UPPER", 0, 0), limit("UPPER", 1380, 3680), limit("LOWER", 0, 0)]
    constrain(script, "newer", allowed_limit_ranges=ranges)
    fields = {"power_constraints_id": "#newer"}
    instruct(script, (60, 0, 0), (60, 0, 1380), id="#one", **fields)
    assert script.codes == []
    instruct(script, (60, 0, 1000), id="#two", **fields)
    assert "0 to 0, 1380 to 3680 are allowed" in of_rules(script)[0].text


def test_ranges_that_touch_are_one() -> None:
    script = begun()
    ranges = [limit("UPPER", 0, 1000), limit("UPPER", 1000, 2000), limit("LOWER", 0, 0)]
    constrain(script, "newer", allowed_limit_ranges=ranges)
    instruct(script, (60, 0, 1500), power_constraints_id="#newer")
    assert script.codes == []


def test_a_quantity_that_is_not_constrained() -> None:
    script = begun()
    other = envelope((60, 0, 0), commodity_quantity="ELECTRIC.POWER.L2")
    script.cem("PEBC.Instruction", power_envelopes=[envelope((60, 0, 0), id="#l1"), other])
    path = "/power_envelopes/1/commodity_quantity"
    text = one(script, "pebc.quantity-not-constrained", ERROR, path)
    assert text.startswith(
        '"ELECTRIC.POWER.L2" is not limited, only "ELECTRIC.POWER.L1", by the PEBC'
    )


def test_an_abnormal_range_in_normal_condition() -> None:
    script = begun()
    instruct(script, (60, 0, 6000))
    path = "/power_envelopes/0/power_envelope_elements/0/upper_limit"
    text = one(script, "pebc.abnormal-limit", ERROR, path)
    assert text.startswith("6000 needs abnormal_condition to be true")
    assert "5000 to 8000" in text


def test_an_abnormal_range_in_abnormal_condition() -> None:
    script = begun()
    instruct(script, (60, -5000, 6000), (60, 0, 5000), abnormal_condition=True)
    assert script.codes == []
    instruct(script, (60, 0, 9000), id="#two", abnormal_condition=True)
    assert script.codes == ["pebc.limit-not-allowed"]


def test_limits_crossed() -> None:
    script = begun()
    instruct(script, (60, 0, 0))
    assert script.codes == []
    ranges = [limit("UPPER", -5000, 5000), limit("LOWER", -5000, 5000)]
    constrain(script, "newer", allowed_limit_ranges=ranges)
    instruct(script, (60, 1000, 999.5), id="#two", power_constraints_id="#newer")
    path = "/power_envelopes/0/power_envelope_elements/0/lower_limit"
    text = one(script, "pebc.limits-crossed", ERROR, path)
    assert text == "lower_limit 1000 is above upper_limit 999.5"


def test_crossed_limits_are_not_held_against_any_range_besides() -> None:
    script = begun()
    instruct(script, (60, 9000, -9000))
    assert script.codes == ["pebc.limits-crossed"]


def test_two_envelopes_for_a_quantity() -> None:
    script = begun()
    envelopes = [envelope((60, 0, 0), id=f"#{name}") for name in ("one", "two")]
    script.cem("PEBC.Instruction", power_envelopes=envelopes)
    path = "/power_envelopes/1/commodity_quantity"
    text = one(script, "pebc.envelope-twice", ERROR, path)
    assert text == '/power_envelopes/0 is an envelope for "ELECTRIC.POWER.L1" already'


def test_an_envelope_for_each_of_two_quantities() -> None:
    script = begun()
    phases = ("ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2")
    ranges = [
        limit(kind, 0, 1000, commodity_quantity=phase)
        for phase in phases
        for kind in ("UPPER", "LOWER")
    ]
    constrain(script, "newer", allowed_limit_ranges=ranges)
    envelopes = [
        envelope((60, 0, 0), id=f"#{phase[-2:]}", commodity_quantity=phase) for phase in phases
    ]
    instruct(script, power_constraints_id="#newer", power_envelopes=envelopes)
    assert script.codes == []


def test_an_envelope_has_the_id_of_an_earlier_one() -> None:
    script = begun()
    first = give(script, "one", "same", "other")
    give(script, "two", "another", "same")
    text = one(script, "pebc.envelope-id-again", ERROR, "/power_envelopes/1/id")
    named = f"by the PEBC.Instruction {short_id(first)} from the CEM"
    assert text.startswith(f"{short_id(identifier('same'))} was used before, {named}")


def test_it_is_remembered_when_the_control_type_is_selected_again() -> None:
    script = begun()
    give(script, "one", "same")
    script.select("NO_SELECTION")
    script.select("PEBC")
    constrain(script, "newer")
    give(script, "two", "same", power_constraints_id="#newer")
    assert script.codes == ["pebc.envelope-id-again"]


def test_the_envelopes_of_a_refused_instruction_may_come_again() -> None:
    script = begun()
    give(script, "one", "same", answer="TEMPORARY_ERROR")
    give(script, "two", "same")
    assert of_rules(script) == []


def test_an_instruction_that_comes_again_is_told_once() -> None:
    script = begun()
    give(script, "one", "same")
    give(script, "one", "same")
    assert script.codes == ["ids.id-again"]


def give(script: Script, name: str, *envelopes: str, **fields: Any) -> str:
    """An instruction with the id ``#name``, with envelopes of these ids."""
    phases = ("ELECTRIC.POWER.L1", "HEAT.THERMAL_POWER")
    if len(envelopes) > 1:
        ranges = [
            limit(kind, 0, 0, commodity_quantity=phase)
            for phase in phases
            for kind in ("UPPER", "LOWER")
        ]
        constrain(script, f"for-{name}", allowed_limit_ranges=ranges)
        fields["power_constraints_id"] = f"#for-{name}"
    fields["power_envelopes"] = [
        envelope((60, 0, 0), id=f"#{each}", commodity_quantity=phase)
        for each, phase in zip(envelopes, phases, strict=False)
    ]
    return script.cem("PEBC.Instruction", id=f"#{name}", **fields)


def test_an_envelope_outlives_its_constraints() -> None:
    script = begun()
    constrain(script, "short", valid_until=at(3600))
    instruct(script, (1800, 0, 5000), (2000, 0, 5000), power_constraints_id="#short")
    path = "/power_envelopes/0/power_envelope_elements"
    text = one(script, "pebc.beyond-constraints", WARNING, path)
    assert text.startswith("it goes on until 2026-03-01T13:03:25Z, but the PEBC.PowerConstraints")
    assert text.endswith("is valid until 2026-03-01T13:00:00Z")


def test_an_envelope_lives_as_long_as_its_constraints() -> None:
    script = begun()
    constrain(script, "short", valid_until=at(3600))
    instruct(script, (3600, 0, 5000), power_constraints_id="#short")  # begins five seconds later
    assert script.codes == []


def test_an_envelope_of_no_time() -> None:
    script = begun()
    instruct(script, (0, 0, 0), (0, 0, 0))
    text = one(script, "pebc.no-duration", INFO, "/power_envelopes/0/power_envelope_elements")
    assert text == "every duration in it is 0"


def test_an_element_of_no_time_is_passed_over() -> None:
    script = begun()
    instruct(script, (0, 0, 0), (900, 0, 5000))
    assert script.codes == ["hint.no-duration"]


@pytest.mark.parametrize("limit", [5000.0000000001, -5000.0000000001])
def test_a_limit_at_the_end_of_its_range_but_for_rounding(limit: float) -> None:
    script = begun()
    instruct(script, (60, min(limit, 0), max(limit, 0)), abnormal_condition=True)
    assert script.codes == []
