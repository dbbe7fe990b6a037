"""Power constraints, and the envelopes that keep to them or do not."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated

from s2_mitm.s2.conversation.validity import MAX_HELD
from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import at, envelope, limit
from s2_mitm.s2.verdict import Finding, Role, Severity

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def begun(control_type: str | None = "PEBC") -> Script:
    script = Script()
    script.begin(control_type)
    assert script.findings == []
    return script


def of_rules(script: Script) -> list[Finding]:
    """What the rules of this family say."""
    return [finding for finding in script.findings if finding.code.startswith("pebc.")]


def one(script: Script, code: str, severity: Severity, path: str) -> str:
    """The text of the only finding of this family."""
    (finding,) = of_rules(script)
    assert (finding.code, finding.severity, finding.path) == (code, severity, path)
    return finding.text


def instruct(script: Script, *limits: tuple[float, float, float], **fields: Any) -> None:
    """The CEM instructs, with an envelope of elements (seconds, lower limit, upper limit)."""
    if limits:
        fields["power_envelopes"] = [envelope(*limits)]
    script.cem("PEBC.Instruction", **fields)


def constrain(script: Script, name: str, **fields: Any) -> str:
    """The RM gives constraints with the id ``#name``."""
    return script.rm("PEBC.PowerConstraints", id=f"#{name}", **fields)


# What an instruction is based on


def test_no_constraints_is_said_once() -> None:
    script = begun(None)
    script.select("PEBC")
    instruct(script, id="#one")
    instruct(script, id="#two")
    text = one(script, "pebc.no-constraints", ERROR, "/power_constraints_id")
    assert identifier("constraints") in text
    assert "given none" in text


def test_no_constraints_is_said_again_when_it_happens_again() -> None:
    script = begun(None)
    for name in ("one", "two"):
        script.select("PEBC")
        instruct(script, id=f"#{name}")
        script.select("NO_SELECTION")
    assert script.codes == ["pebc.no-constraints"] * 2


def test_an_unknown_id() -> None:
    script = begun()
    instruct(script, power_constraints_id="#typo")
    text = one(script, "pebc.unknown-constraints", ERROR, "/power_constraints_id")
    assert identifier("typo") in text
    assert identifier("constraints") in text


def test_the_message_id_in_place_of_the_id() -> None:
    script = begun()
    message_id = constrain(script, "newer")
    instruct(script, power_constraints_id=message_id)
    (finding,) = of_rules(script)
    assert finding.code == "pebc.unknown-constraints"
    assert "is the message_id of the PEBC.PowerConstraints" in finding.text
    assert identifier("newer") in finding.hint


def test_an_unknown_id_is_not_held_against_any_limits() -> None:
    script = begun()
    instruct(script, (900, -9e9, 9e9), power_constraints_id="#typo")
    assert script.codes == ["pebc.unknown-constraints"]


def test_replaced() -> None:
    script = begun()
    newer = constrain(script, "newer")
    instruct(script)
    text = one(script, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert f'the PEBC.PowerConstraints "{newer}" from the RM' in text
    assert "was replaced from 2026-03-01T12:00:00Z on by" in text


def test_newer_constraints_that_are_not_answered_replace_nothing_yet() -> None:
    script = begun()
    constrain(script, "newer", answer=None)
    instruct(script, id="#one", power_constraints_id="#constraints")
    instruct(script, id="#two", power_constraints_id="#newer")
    assert script.codes == []


def test_newer_constraints_of_the_future_replace_nothing_before() -> None:
    script = begun()
    constrain(script, "later", valid_from=at(3600))
    instruct(script, id="#one", power_constraints_id="#constraints", execution_time=at(3599))
    instruct(script, id="#two", power_constraints_id="#later", execution_time=at(3600))
    assert script.codes == []
    instruct(script, id="#three", power_constraints_id="#constraints", execution_time=at(3600))
    text = one(script, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert "was replaced from 2026-03-01T13:00:00Z on by" in text


def test_constraints_of_the_future_for_an_instruction_before_them() -> None:
    script = begun()
    constrain(script, "later", valid_from=at(3600))
    instruct(script, power_constraints_id="#later", execution_time=at(1800))
    text = one(script, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert "is not valid before 2026-03-01T13:00:00Z" in text


def test_what_was_said_later_for_an_earlier_time_ends_nothing() -> None:
    script = begun(None)
    script.select("PEBC")
    constrain(script, "evening", valid_from=at(3600))
    constrain(script, "noon", valid_from=at(0), valid_until=at(3600))
    instruct(script, id="#one", power_constraints_id="#evening", execution_time=at(3700))
    instruct(script, id="#two", power_constraints_id="#noon", execution_time=at(60))
    assert script.codes == []


def test_constraints_for_a_while_end_nothing_for_good() -> None:
    script = begun()
    constrain(script, "exception", valid_from=at(600), valid_until=at(1200))
    instruct(script, id="#one", power_constraints_id="#constraints", execution_time=at(1300))
    assert script.codes == []
    instruct(script, id="#two", power_constraints_id="#constraints", execution_time=at(900))
    assert script.codes == ["pebc.constraints-not-in-force"]


def test_expired() -> None:
    script = begun(None)
    script.select("PEBC")
    constrain(script, "constraints", valid_until=at(600))
    script.wait(900)
    instruct(script, execution_time=at(905))
    text = one(script, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert "was valid until 2026-03-01T12:10:00Z" in text


def test_clocks_differ_a_little() -> None:
    script = begun(None)
    script.select("PEBC")
    constrain(script, "constraints", valid_from=at(20), valid_until=at(600))
    instruct(script, id="#one", execution_time=at(0))
    script.wait(610)
    instruct(script, id="#two", execution_time=at(595))
    assert script.codes == []


def test_revoked() -> None:
    script = begun()
    thing = {"object_type": "PEBC.PowerConstraints", "object_id": "#constraints"}
    revocation = script.rm("RevokeObject", **thing)
    instruct(script)
    text = one(script, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert f'was revoked by the RevokeObject "{revocation}" from the RM' in text


@pytest.mark.parametrize("answer", [None, "PERMANENT_ERROR"])
def test_a_revocation_that_the_cem_has_not_taken(answer: str | None) -> None:
    script = begun()
    script.rm(
        "RevokeObject",
        answer,
        object_type="PEBC.PowerConstraints",
        object_id="#constraints",
    )
    instruct(script)
    assert of_rules(script) == []


def test_refused_constraints_are_said_once() -> None:
    script = begun(None)
    script.select("PEBC")
    constrain(script, "constraints", answer="TEMPORARY_ERROR")
    instruct(script, id="#one")
    instruct(script, (900, -9e9, 9e9), id="#two")
    text = one(script, "pebc.constraints-refused", ERROR, "/power_constraints_id")
    assert 'answered with "TEMPORARY_ERROR"' in text


def test_refused_and_sent_again() -> None:
    script = begun(None)
    script.select("PEBC")
    constrain(script, "constraints", answer="TEMPORARY_ERROR")
    constrain(script, "constraints")
    instruct(script)
    assert of_rules(script) == []


def test_what_was_before_refused_constraints_is_still_in_force() -> None:
    script = begun()
    constrain(script, "newer", answer="PERMANENT_ERROR")
    instruct(script)
    assert of_rules(script) == []


def test_an_unknown_id_after_refused_constraints_cannot_be_checked() -> None:
    script = begun()
    constrain(script, "newer", answer="INVALID_CONTENT")
    instruct(script, id="#one", power_constraints_id="#other")
    instruct(script, id="#two", power_constraints_id="#another")
    text = one(script, "pebc.cannot-check", INFO, "/power_constraints_id")
    assert identifier("other") in text
    assert "answered with INVALID_CONTENT" in text


def test_invalid_constraints_cannot_be_checked() -> None:
    script = begun(None)
    script.select("PEBC")
    upper = limit("UPPER", 0, 5000)
    lower = limit("LOWER", "low", 0)  # type: ignore[arg-type]
    constrain(script, "constraints", answer=None, allowed_limit_ranges=[upper, lower])
    instruct(script, (900, -9e9, 9e9), id="#one")
    instruct(script, (900, -9e9, 9e9), id="#two")
    text = one(script, "pebc.cannot-check", INFO, "/power_constraints_id")
    assert "cannot be read in full" in text


def test_invalid_constraints_say_what_they_readably_say() -> None:
    script = begun(None)
    script.select("PEBC")
    constrain(script, "constraints", answer=None, consequence_type="MAYBE")
    instruct(script, (900, -1000, 9000))
    assert [finding.code for finding in of_rules(script)] == ["pebc.limit-not-allowed"]


def test_constraints_that_could_not_be_read() -> None:
    script = begun(None)
    script.select("PEBC")
    script.raw(Role.RM, b"{")
    instruct(script, id="#one")
    assert "could not be read" in one(script, "pebc.cannot-check", INFO, "/power_constraints_id")
    constrain(script, "newer")
    instruct(script, id="#two")
    assert [finding.code for finding in of_rules(script)][1:] == ["pebc.unknown-constraints"]


def test_joined_late() -> None:
    script = Script(from_start=False)
    instruct(script, id="#one")
    instruct(script, id="#two")
    assert script.codes == ["handshake.not-seen", "pebc.cannot-check"]
    text = one(script, "pebc.cannot-check", INFO, "/power_constraints_id")
    assert "beginning" in text


def test_joined_late_and_constrained_since() -> None:
    script = Script(from_start=False)
    constrain(script, "newer")
    instruct(script, (900, 0, 9000), power_constraints_id="#newer")
    assert script.codes == ["handshake.not-seen", "pebc.limit-not-allowed"]


def test_the_same_control_type_selected_again_ends_nothing() -> None:
    script = begun()
    script.select("PEBC")
    instruct(script)
    assert script.codes == []


def test_another_control_type_ends_what_was_given() -> None:
    script = begun()
    script.select("FRBC")
    instruct(script, id="#one")
    assert script.codes == ["state.other-control-type"]
    script.select("PEBC")
    instruct(script, id="#two")
    assert script.codes == ["state.other-control-type", "pebc.no-constraints"]


def test_constraints_that_are_not_remembered_any_more() -> None:
    script = begun(None)
    script.select("PEBC")
    for hour in range(MAX_HELD + 2):
        fields = {"valid_from": at(hour * 3600), "valid_until": at((hour + 1) * 3600)}
        constrain(script, f"hour-{hour}", **fields)
    instruct(script, power_constraints_id="#hour-0")
    assert "only the latest" in one(script, "pebc.cannot-check", INFO, "/power_constraints_id")
    instruct(script, id="#two", power_constraints_id="#never")
    assert script.codes == ["pebc.cannot-check", "pebc.unknown-constraints"]


# Envelopes within the constraints


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


# Energy

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


# Constraints by themselves


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


# Whatever is sent


def test_of_many_findings_the_first_few_and_soon() -> None:
    script = begun()
    ranges = [limit("UPPER", i, i + 0.5) for i in range(99)] + [limit("LOWER", 0, 0)]
    constrain(script, "newer", allowed_limit_ranges=ranges)
    outside = envelope(*[(60, -1, i + 0.7) for i in range(1000)])
    begin = time.perf_counter()
    instruct(script, power_constraints_id="#newer", power_envelopes=[outside] * 3)
    seconds = time.perf_counter() - begin
    assert len(of_rules(script)) <= 9
    assert seconds < 2  # of which the schema takes most


TYPES = ("PEBC.PowerConstraints", "PEBC.EnergyConstraint", "PEBC.Instruction")


@settings(max_examples=200, deadline=None)
@given(st.lists(mutated(TYPES), min_size=1, max_size=4))
def test_no_rule_breaks_off(messages: list[tuple[str, dict[str, Any]]]) -> None:
    script = begun()
    for message_type, fields in messages:
        say = script.cem if message_type == "PEBC.Instruction" else script.rm
        say(message_type, **fields)
        script.cem("PEBC.Instruction")
    script.close()
