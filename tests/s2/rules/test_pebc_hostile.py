"""The rules of PEBC, whatever is sent."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from pebc_script import begun, constrain, instruct, of_rules

from s2_mitm.s2.examples.templates import envelope, limit


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
