"""Power constraints by themselves."""

from __future__ import annotations

from pebc_script import ERROR, begun, constrain, instruct, one

from s2_mitm.s2.examples.templates import limit


def test_a_range_upside_down() -> None:
    script = begun()
    ranges = [limit("UPPER", 0, 0), limit("LOWER", 0, -5000)]
    constrain(script, "newer", answer=None, allowed_limit_ranges=ranges)
    path = "/allowed_limit_ranges/1/range_boundary"
    text = one(script, "pebc.range-upside-down", ERROR, path)
    assert text == "start_of_range 0 is above end_of_range -5000"
    assert script.codes == ["pebc.range-upside-down"]  # and not what s2-python says of it
    instruct(script, (60, -4000, 0), power_constraints_id="#newer")
    assert script.codes == ["pebc.range-upside-down"]


def test_a_limit_type_is_missing() -> None:
    script = begun()
    ranges = [limit("UPPER", 0, 1000), limit("UPPER", 2000, 3000)]
    constrain(script, "newer", answer=None, allowed_limit_ranges=ranges)
    text = one(script, "pebc.limit-type-missing", ERROR, "/allowed_limit_ranges")
    assert text == 'no LOWER_LIMIT range for "ELECTRIC.POWER.L1"'
    assert script.codes == ["pebc.limit-type-missing"]
    instruct(script, (60, -9999, 500), power_constraints_id="#newer")
    assert script.codes == ["pebc.limit-type-missing"]


def test_a_limit_type_that_is_there_in_abnormal_conditions_only() -> None:
    script = begun()
    lower = limit("LOWER", -1000, 0, abnormal_condition_only=True)
    constrain(script, "newer", allowed_limit_ranges=[limit("UPPER", 0, 1000), lower])
    assert script.codes == []
