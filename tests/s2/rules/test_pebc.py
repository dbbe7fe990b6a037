"""Power constraints, and the envelopes that keep to them or do not."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from script import Script, at, envelope, identifier, limit

from s2_mitm.s2.in_force import MAX_HELD
from s2_mitm.s2.verdict import Finding, Role, Severity

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def begun(control_type: str | None = "PEBC") -> Script:
    talk = Script()
    talk.begin(control_type)
    assert talk.findings == []
    return talk


def of_rules(talk: Script) -> list[Finding]:
    """What the rules of this family say."""
    return [finding for finding in talk.findings if finding.code.startswith("pebc.")]


def one(talk: Script, code: str, severity: Severity, path: str) -> str:
    """The text of the only finding of this family."""
    (finding,) = of_rules(talk)
    assert (finding.code, finding.severity, finding.path) == (code, severity, path)
    return finding.text


def instruct(talk: Script, *limits: tuple[float, float, float], **fields: Any) -> None:
    """The CEM instructs, with an envelope of elements (seconds, lower limit, upper limit)."""
    if limits:
        fields["power_envelopes"] = [envelope(*limits)]
    talk.cem("PEBC.Instruction", **fields)


def constrain(talk: Script, name: str, **fields: Any) -> str:
    """The RM gives constraints with the id ``#name``."""
    return talk.rm("PEBC.PowerConstraints", id=f"#{name}", **fields)


# What an instruction is based on


def test_no_constraints_is_said_once() -> None:
    talk = begun(None)
    talk.select("PEBC")
    instruct(talk, id="#one")
    instruct(talk, id="#two")
    text = one(talk, "pebc.no-constraints", ERROR, "/power_constraints_id")
    assert identifier("constraints") in text
    assert "given none" in text


def test_no_constraints_is_said_again_when_it_happens_again() -> None:
    talk = begun(None)
    for name in ("one", "two"):
        talk.select("PEBC")
        instruct(talk, id=f"#{name}")
        talk.select("NO_SELECTION")
    assert talk.codes == ["pebc.no-constraints"] * 2


def test_an_unknown_id() -> None:
    talk = begun()
    instruct(talk, power_constraints_id="#typo")
    text = one(talk, "pebc.unknown-constraints", ERROR, "/power_constraints_id")
    assert identifier("typo") in text
    assert identifier("constraints") in text


def test_the_message_id_in_place_of_the_id() -> None:
    talk = begun()
    message_id = constrain(talk, "newer")
    instruct(talk, power_constraints_id=message_id)
    (finding,) = of_rules(talk)
    assert finding.code == "pebc.unknown-constraints"
    assert "is the message_id of the PEBC.PowerConstraints" in finding.text
    assert identifier("newer") in finding.hint


def test_an_unknown_id_is_not_held_against_any_limits() -> None:
    talk = begun()
    instruct(talk, (900, -9e9, 9e9), power_constraints_id="#typo")
    assert talk.codes == ["pebc.unknown-constraints"]


def test_replaced() -> None:
    talk = begun()
    newer = constrain(talk, "newer")
    instruct(talk)
    text = one(talk, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert f'the PEBC.PowerConstraints "{newer}" from the RM' in text
    assert "was replaced from 2026-03-01T12:00:00Z on by" in text


def test_newer_constraints_that_are_not_answered_replace_nothing_yet() -> None:
    talk = begun()
    constrain(talk, "newer", answer=None)
    instruct(talk, id="#one", power_constraints_id="#constraints")
    instruct(talk, id="#two", power_constraints_id="#newer")
    assert talk.codes == []


def test_newer_constraints_of_the_future_replace_nothing_before() -> None:
    talk = begun()
    constrain(talk, "later", valid_from=at(3600))
    instruct(talk, id="#one", power_constraints_id="#constraints", execution_time=at(3599))
    instruct(talk, id="#two", power_constraints_id="#later", execution_time=at(3600))
    assert talk.codes == []
    instruct(talk, id="#three", power_constraints_id="#constraints", execution_time=at(3600))
    text = one(talk, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert "was replaced from 2026-03-01T13:00:00Z on by" in text


def test_constraints_of_the_future_for_an_instruction_before_them() -> None:
    talk = begun()
    constrain(talk, "later", valid_from=at(3600))
    instruct(talk, power_constraints_id="#later", execution_time=at(1800))
    text = one(talk, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert "is not valid before 2026-03-01T13:00:00Z" in text


def test_what_was_said_later_for_an_earlier_time_ends_nothing() -> None:
    talk = begun(None)
    talk.select("PEBC")
    constrain(talk, "evening", valid_from=at(3600))
    constrain(talk, "noon", valid_from=at(0), valid_until=at(3600))
    instruct(talk, id="#one", power_constraints_id="#evening", execution_time=at(3700))
    instruct(talk, id="#two", power_constraints_id="#noon", execution_time=at(60))
    assert talk.codes == []


def test_constraints_for_a_while_end_nothing_for_good() -> None:
    talk = begun()
    constrain(talk, "exception", valid_from=at(600), valid_until=at(1200))
    instruct(talk, id="#one", power_constraints_id="#constraints", execution_time=at(1300))
    assert talk.codes == []
    instruct(talk, id="#two", power_constraints_id="#constraints", execution_time=at(900))
    assert talk.codes == ["pebc.constraints-not-in-force"]


def test_expired() -> None:
    talk = begun(None)
    talk.select("PEBC")
    constrain(talk, "constraints", valid_until=at(600))
    talk.wait(900)
    instruct(talk, execution_time=at(905))
    text = one(talk, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert "was valid until 2026-03-01T12:10:00Z" in text


def test_clocks_differ_a_little() -> None:
    talk = begun(None)
    talk.select("PEBC")
    constrain(talk, "constraints", valid_from=at(20), valid_until=at(600))
    instruct(talk, id="#one", execution_time=at(0))
    talk.wait(610)
    instruct(talk, id="#two", execution_time=at(595))
    assert talk.codes == []


def test_revoked() -> None:
    talk = begun()
    thing = {"object_type": "PEBC.PowerConstraints", "object_id": "#constraints"}
    revocation = talk.rm("RevokeObject", **thing)
    instruct(talk)
    text = one(talk, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert f'was revoked by the RevokeObject "{revocation}" from the RM' in text


@pytest.mark.parametrize("answer", [None, "PERMANENT_ERROR"])
def test_a_revocation_that_the_cem_has_not_taken(answer: str | None) -> None:
    talk = begun()
    talk.rm(
        "RevokeObject",
        answer,
        object_type="PEBC.PowerConstraints",
        object_id="#constraints",
    )
    instruct(talk)
    assert of_rules(talk) == []


def test_refused_constraints_are_said_once() -> None:
    talk = begun(None)
    talk.select("PEBC")
    constrain(talk, "constraints", answer="TEMPORARY_ERROR")
    instruct(talk, id="#one")
    instruct(talk, (900, -9e9, 9e9), id="#two")
    text = one(talk, "pebc.constraints-refused", ERROR, "/power_constraints_id")
    assert 'answered with "TEMPORARY_ERROR"' in text


def test_refused_and_sent_again() -> None:
    talk = begun(None)
    talk.select("PEBC")
    constrain(talk, "constraints", answer="TEMPORARY_ERROR")
    constrain(talk, "constraints")
    instruct(talk)
    assert of_rules(talk) == []


def test_what_was_before_refused_constraints_is_still_in_force() -> None:
    talk = begun()
    constrain(talk, "newer", answer="PERMANENT_ERROR")
    instruct(talk)
    assert of_rules(talk) == []


def test_an_unknown_id_after_refused_constraints_cannot_be_checked() -> None:
    talk = begun()
    constrain(talk, "newer", answer="INVALID_CONTENT")
    instruct(talk, id="#one", power_constraints_id="#other")
    instruct(talk, id="#two", power_constraints_id="#another")
    text = one(talk, "pebc.cannot-check", INFO, "/power_constraints_id")
    assert identifier("other") in text
    assert "answered with INVALID_CONTENT" in text


def test_invalid_constraints_cannot_be_checked() -> None:
    talk = begun(None)
    talk.select("PEBC")
    upper = limit("UPPER", 0, 5000)
    lower = limit("LOWER", "low", 0)  # type: ignore[arg-type]
    constrain(talk, "constraints", answer=None, allowed_limit_ranges=[upper, lower])
    instruct(talk, (900, -9e9, 9e9), id="#one")
    instruct(talk, (900, -9e9, 9e9), id="#two")
    text = one(talk, "pebc.cannot-check", INFO, "/power_constraints_id")
    assert "cannot be read in full" in text


def test_invalid_constraints_say_what_they_readably_say() -> None:
    talk = begun(None)
    talk.select("PEBC")
    constrain(talk, "constraints", answer=None, consequence_type="MAYBE")
    instruct(talk, (900, -1000, 9000))
    assert [finding.code for finding in of_rules(talk)] == ["pebc.limit-not-allowed"]


def test_constraints_that_could_not_be_read() -> None:
    talk = begun(None)
    talk.select("PEBC")
    talk.raw(Role.RM, b"{")
    instruct(talk, id="#one")
    assert "could not be read" in one(talk, "pebc.cannot-check", INFO, "/power_constraints_id")
    constrain(talk, "newer")
    instruct(talk, id="#two")
    assert [finding.code for finding in of_rules(talk)][1:] == ["pebc.unknown-constraints"]


def test_joined_late() -> None:
    talk = Script(from_start=False)
    instruct(talk, id="#one")
    instruct(talk, id="#two")
    assert talk.codes == ["handshake.not-seen", "pebc.cannot-check"]
    text = one(talk, "pebc.cannot-check", INFO, "/power_constraints_id")
    assert "beginning" in text


def test_joined_late_and_constrained_since() -> None:
    talk = Script(from_start=False)
    constrain(talk, "newer")
    instruct(talk, (900, 0, 9000), power_constraints_id="#newer")
    assert talk.codes == ["handshake.not-seen", "pebc.limit-not-allowed"]


def test_the_same_control_type_selected_again_ends_nothing() -> None:
    talk = begun()
    talk.select("PEBC")
    instruct(talk)
    assert talk.codes == []


def test_another_control_type_ends_what_was_given() -> None:
    talk = begun()
    talk.select("FRBC")
    instruct(talk, id="#one")
    assert talk.codes == ["state.other-control-type"]
    talk.select("PEBC")
    instruct(talk, id="#two")
    assert talk.codes == ["state.other-control-type", "pebc.no-constraints"]


def test_constraints_that_are_not_remembered_any_more() -> None:
    talk = begun(None)
    talk.select("PEBC")
    for hour in range(MAX_HELD + 2):
        fields = {"valid_from": at(hour * 3600), "valid_until": at((hour + 1) * 3600)}
        constrain(talk, f"hour-{hour}", **fields)
    instruct(talk, power_constraints_id="#hour-0")
    assert "only the latest" in one(talk, "pebc.cannot-check", INFO, "/power_constraints_id")
    instruct(talk, id="#two", power_constraints_id="#never")
    assert talk.codes == ["pebc.cannot-check", "pebc.unknown-constraints"]


# Envelopes within the constraints


def test_a_limit_outside_its_range() -> None:
    talk = begun()
    instruct(talk, (60, 0, 5000), (60, -5000.5, 0))
    text = one(
        talk,
        "pebc.limit-not-allowed",
        ERROR,
        "/power_envelopes/0/power_envelope_elements/1/lower_limit",
    )
    assert text.startswith("-5000.5 is in no LOWER_LIMIT range of the PEBC.PowerConstraints")
    assert text.endswith("-5000 to 0 is allowed")


def test_limits_at_the_ends_of_their_ranges() -> None:
    talk = begun()
    instruct(talk, (60, -5000, 5000), (60, 0, 0))
    assert talk.codes == []


def test_ranges_with_a_gap() -> None:
    talk = begun()
    ranges = [limit("UPPER", 0, 0), limit("UPPER", 1380, 3680), limit("LOWER", 0, 0)]
    constrain(talk, "newer", allowed_limit_ranges=ranges)
    fields = {"power_constraints_id": "#newer"}
    instruct(talk, (60, 0, 0), (60, 0, 1380), id="#one", **fields)
    assert talk.codes == []
    instruct(talk, (60, 0, 1000), id="#two", **fields)
    assert "0 to 0, 1380 to 3680 are allowed" in of_rules(talk)[0].text


def test_ranges_that_touch_are_one() -> None:
    talk = begun()
    ranges = [limit("UPPER", 0, 1000), limit("UPPER", 1000, 2000), limit("LOWER", 0, 0)]
    constrain(talk, "newer", allowed_limit_ranges=ranges)
    instruct(talk, (60, 0, 1500), power_constraints_id="#newer")
    assert talk.codes == []


def test_a_quantity_that_is_not_constrained() -> None:
    talk = begun()
    other = envelope((60, 0, 0), commodity_quantity="ELECTRIC.POWER.L2")
    talk.cem("PEBC.Instruction", power_envelopes=[envelope((60, 0, 0), id="#l1"), other])
    path = "/power_envelopes/1/commodity_quantity"
    text = one(talk, "pebc.quantity-not-constrained", ERROR, path)
    assert text.startswith(
        '"ELECTRIC.POWER.L2" is not limited, only "ELECTRIC.POWER.L1", by the PEBC'
    )


def test_an_abnormal_range_in_normal_condition() -> None:
    talk = begun()
    instruct(talk, (60, 0, 6000))
    path = "/power_envelopes/0/power_envelope_elements/0/upper_limit"
    text = one(talk, "pebc.abnormal-limit", ERROR, path)
    assert text.startswith("6000 needs abnormal_condition to be true")
    assert "5000 to 8000" in text


def test_an_abnormal_range_in_abnormal_condition() -> None:
    talk = begun()
    instruct(talk, (60, -5000, 6000), (60, 0, 5000), abnormal_condition=True)
    assert talk.codes == []
    instruct(talk, (60, 0, 9000), id="#two", abnormal_condition=True)
    assert talk.codes == ["pebc.limit-not-allowed"]


def test_limits_crossed() -> None:
    talk = begun()
    instruct(talk, (60, 0, 0))
    assert talk.codes == []
    ranges = [limit("UPPER", -5000, 5000), limit("LOWER", -5000, 5000)]
    constrain(talk, "newer", allowed_limit_ranges=ranges)
    instruct(talk, (60, 1000, 999.5), id="#two", power_constraints_id="#newer")
    path = "/power_envelopes/0/power_envelope_elements/0/lower_limit"
    text = one(talk, "pebc.limits-crossed", ERROR, path)
    assert text == "lower_limit 1000 is above upper_limit 999.5"


def test_crossed_limits_are_not_held_against_any_range_besides() -> None:
    talk = begun()
    instruct(talk, (60, 9000, -9000))
    assert talk.codes == ["pebc.limits-crossed"]


def test_two_envelopes_for_a_quantity() -> None:
    talk = begun()
    envelopes = [envelope((60, 0, 0), id=f"#{name}") for name in ("one", "two")]
    talk.cem("PEBC.Instruction", power_envelopes=envelopes)
    path = "/power_envelopes/1/commodity_quantity"
    text = one(talk, "pebc.envelope-twice", ERROR, path)
    assert text == '/power_envelopes/0 is an envelope for "ELECTRIC.POWER.L1" already'


def test_an_envelope_for_each_of_two_quantities() -> None:
    talk = begun()
    phases = ("ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2")
    ranges = [
        limit(kind, 0, 1000, commodity_quantity=phase)
        for phase in phases
        for kind in ("UPPER", "LOWER")
    ]
    constrain(talk, "newer", allowed_limit_ranges=ranges)
    envelopes = [
        envelope((60, 0, 0), id=f"#{phase[-2:]}", commodity_quantity=phase) for phase in phases
    ]
    instruct(talk, power_constraints_id="#newer", power_envelopes=envelopes)
    assert talk.codes == []


# Energy

ENERGY = "/power_envelopes/0/power_envelope_elements"


def test_too_little_consumption_is_allowed() -> None:
    talk = begun()
    instruct(talk, (1800, 0, 5000), (1800, 0, 900), execution_time=at(0))
    text = one(talk, "pebc.energy-not-allowed", ERROR, ENERGY)
    assert text.startswith("a consumption of at most 2950 on average is allowed")
    assert "but 3000 is asked for by the PEBC.EnergyConstraint" in text


def test_too_little_production_is_allowed() -> None:
    talk = begun()
    talk.rm(
        "PEBC.EnergyConstraint",
        id="#sun",
        upper_average_power=-1000,
        lower_average_power=-3000,
    )
    instruct(talk, (3600, -2000, 0), execution_time=at(0))
    text = one(talk, "pebc.energy-not-allowed", ERROR, ENERGY)
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
    talk = begun()
    instruct(talk, *elements, **{"execution_time": at(0), **fields})
    assert talk.codes == []


@pytest.mark.parametrize("answer", [None, "PERMANENT_ERROR"])
def test_an_energy_constraint_that_the_cem_has_not_taken(answer: str | None) -> None:
    talk = begun(None)
    talk.select("PEBC")
    constrain(talk, "constraints")
    talk.rm("PEBC.EnergyConstraint", answer)
    instruct(talk, (3600, 0, 100), execution_time=at(0))
    assert of_rules(talk) == []


def test_a_newer_energy_constraint_counts() -> None:
    talk = begun()
    talk.rm("PEBC.EnergyConstraint", id="#less", upper_average_power=50, lower_average_power=0)
    instruct(talk, (3600, 0, 100), execution_time=at(0))
    assert talk.codes == []


def test_a_revoked_energy_constraint_does_not_count() -> None:
    talk = begun()
    talk.rm("RevokeObject", object_type="PEBC.EnergyConstraint", object_id="#energy")
    instruct(talk, (3600, 0, 100), execution_time=at(0))
    assert talk.codes == []


def test_the_energy_of_a_quantity_that_is_not_limited() -> None:
    talk = begun()
    talk.rm("PEBC.EnergyConstraint", id="#other", commodity_quantity="ELECTRIC.POWER.L3")
    text = one(talk, "pebc.energy-quantity", WARNING, "/commodity_quantity")
    assert '"ELECTRIC.POWER.L3" is not limited, only "ELECTRIC.POWER.L1", by the PEBC' in text


def test_the_energy_before_any_constraints() -> None:
    talk = begun(None)
    talk.select("PEBC")
    talk.rm("PEBC.EnergyConstraint")
    talk.rm("PEBC.PowerConstraints")
    assert talk.codes == []


def test_averages_crossed() -> None:
    talk = begun()
    talk.rm("PEBC.EnergyConstraint", id="#b", upper_average_power=5, lower_average_power=5)
    assert talk.codes == []
    talk.rm("PEBC.EnergyConstraint", id="#c", upper_average_power=-1, lower_average_power=5)
    text = one(talk, "pebc.averages-crossed", ERROR, "/upper_average_power")
    assert text == "upper_average_power -1 is below lower_average_power 5"


# Constraints by themselves


def test_a_range_upside_down() -> None:
    talk = begun()
    ranges = [limit("UPPER", 0, 0), limit("LOWER", 0, -5000)]
    constrain(talk, "newer", answer=None, allowed_limit_ranges=ranges)
    path = "/allowed_limit_ranges/1/range_boundary"
    text = one(talk, "pebc.range-upside-down", ERROR, path)
    assert text == "start_of_range 0 is above end_of_range -5000"
    assert talk.codes == ["pebc.range-upside-down"]  # and not what s2-python says of it
    instruct(talk, (60, -4000, 0), power_constraints_id="#newer")
    assert talk.codes == ["pebc.range-upside-down"]


def test_a_limit_type_is_missing() -> None:
    talk = begun()
    ranges = [limit("UPPER", 0, 1000), limit("UPPER", 2000, 3000)]
    constrain(talk, "newer", answer=None, allowed_limit_ranges=ranges)
    text = one(talk, "pebc.limit-type-missing", ERROR, "/allowed_limit_ranges")
    assert text == 'no LOWER_LIMIT range for "ELECTRIC.POWER.L1"'
    assert talk.codes == ["pebc.limit-type-missing"]
    instruct(talk, (60, -9999, 500), power_constraints_id="#newer")
    assert talk.codes == ["pebc.limit-type-missing"]


def test_a_limit_type_that_is_there_in_abnormal_conditions_only() -> None:
    talk = begun()
    lower = limit("LOWER", -1000, 0, abnormal_condition_only=True)
    constrain(talk, "newer", allowed_limit_ranges=[limit("UPPER", 0, 1000), lower])
    assert talk.codes == []


# Whatever is sent


def test_of_many_findings_the_first_few_and_soon() -> None:
    talk = begun()
    ranges = [limit("UPPER", i, i + 0.5) for i in range(99)] + [limit("LOWER", 0, 0)]
    constrain(talk, "newer", allowed_limit_ranges=ranges)
    outside = envelope(*[(60, -1, i + 0.7) for i in range(1000)])
    begin = time.perf_counter()
    instruct(talk, power_constraints_id="#newer", power_envelopes=[outside] * 3)
    seconds = time.perf_counter() - begin
    assert len(of_rules(talk)) <= 9
    assert seconds < 2  # of which the schema takes most


TYPES = ("PEBC.PowerConstraints", "PEBC.EnergyConstraint", "PEBC.Instruction")


@settings(max_examples=200, deadline=None)
@given(st.lists(mutated(TYPES), min_size=1, max_size=4))
def test_no_rule_breaks_off(messages: list[tuple[str, dict[str, Any]]]) -> None:
    talk = begun()
    for message_type, fields in messages:
        say = talk.cem if message_type == "PEBC.Instruction" else talk.rm
        say(message_type, **fields)
        talk.cem("PEBC.Instruction")
    talk.close()
