"""The constraints that an instruction of PEBC is based on."""

from __future__ import annotations

from typing import Any

import pytest
from pebc_script import ERROR, INFO, WARNING, begun, constrain, instruct, of_rules, one

from s2_mitm.s2.conversation.validity import MAX_DESCRIPTIONS
from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import at, envelope, limit
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import short_id


def test_no_constraints_is_said_once() -> None:
    script = begun(None)
    script.select("PEBC")
    instruct(script, id="#one")
    instruct(script, id="#two")
    text = one(script, "pebc.no-constraints", ERROR, "/power_constraints_id")
    assert identifier("constraints") in text
    assert "none was given since the SelectControlType" in text


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
    assert short_id(identifier("typo")) in text
    assert short_id(identifier("constraints")) in text


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
    text = one(script, "pebc.constraints-replaced", WARNING, "/power_constraints_id")
    assert f"the PEBC.PowerConstraints {short_id(newer)} from the RM" in text
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
    text = one(script, "pebc.constraints-replaced", WARNING, "/power_constraints_id")
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
    assert script.codes == ["pebc.constraints-replaced"]


def test_newer_constraints_of_another_quantity_replace_nothing() -> None:
    """One that has its gas and its electricity in messages of their own."""
    script = begun()
    gas = {"commodity_quantity": "NATURAL_GAS.FLOW_RATE"}
    ranges = [limit("UPPER", 0, 2, **gas), limit("LOWER", 0, 0, **gas)]
    constrain(script, "gas", allowed_limit_ranges=ranges)
    instruct(script)
    assert script.codes == []


def test_newer_constraints_of_some_of_the_quantities() -> None:
    script = begun(None)
    script.select("PEBC")
    phases = ("ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2")
    constrain(script, "both", allowed_limit_ranges=[*allowed(phases[0]), *allowed(phases[1])])
    constrain(script, "second", allowed_limit_ranges=allowed(phases[1]))
    for name, phase in zip(("one", "two"), phases, strict=True):
        envelopes = [envelope((60, 0, 0), commodity_quantity=phase)]
        script.cem(
            "PEBC.Instruction",
            id=f"#{name}",
            power_constraints_id="#both",
            power_envelopes=envelopes,
        )
    text = one(script, "pebc.constraints-replaced", WARNING, "/power_constraints_id")
    assert "was replaced" in text


def allowed(phase: str) -> list[dict[str, Any]]:
    return [limit(kind, 0, 1000, commodity_quantity=phase) for kind in ("UPPER", "LOWER")]


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
    instruct(script, (600, 0, 0), id="#one", execution_time=at(0))
    script.wait(610)
    instruct(script, (60, 0, 0), id="#two", execution_time=at(595))
    assert script.codes == []


def test_revoked() -> None:
    script = begun()
    thing = {"object_type": "PEBC.PowerConstraints", "object_id": "#constraints"}
    revocation = script.rm("RevokeObject", **thing)
    instruct(script)
    text = one(script, "pebc.constraints-not-in-force", ERROR, "/power_constraints_id")
    assert f"was revoked by the RevokeObject {short_id(revocation)} from the RM" in text


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
    text = one(script, "pebc.constraints-refused", WARNING, "/power_constraints_id")
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
    assert short_id(identifier("other")) in text
    assert 'answered with "INVALID_CONTENT"' in text


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
    for hour in range(MAX_DESCRIPTIONS + 2):
        fields = {"valid_from": at(hour * 3600), "valid_until": at((hour + 1) * 3600)}
        constrain(script, f"hour-{hour}", **fields)
    instruct(script, power_constraints_id="#hour-0")
    assert "only the latest" in one(script, "pebc.cannot-check", INFO, "/power_constraints_id")
    instruct(script, id="#two", power_constraints_id="#never")
    assert script.codes == ["pebc.cannot-check", "pebc.unknown-constraints"]
