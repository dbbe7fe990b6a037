"""The rules of PPBC, whatever is sent."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from ppbc_script import (
    END,
    PROFILE,
    SCHEDULE,
    START,
    begun,
    of_rules,
    report,
    spin,
    status,
)


def test_a_long_status_is_judged_soon() -> None:
    script = begun()
    unknown = status("EXECUTING", power_profile_id="#typo", selected_sequence_id="#eco")
    begin = time.perf_counter()
    report(script, *[unknown] * 1000)
    seconds = time.perf_counter() - begin
    assert len(of_rules(script)) <= 12
    assert seconds < 2  # of which the schema takes most


def test_what_is_remembered_of_containers_is_bounded() -> None:
    script = begun()
    for start in range(0, 3000, 500):
        names = range(start, start + 500)
        report(script, *[status("ABORTED", sequence_container_id=f"#c{name}") for name in names])
    assert len(script.conversation.progress) <= 1000


TYPES = (PROFILE, "PPBC.PowerProfileStatus", SCHEDULE, START, END)


@settings(max_examples=200, deadline=None)
@given(st.lists(mutated(TYPES), min_size=1, max_size=4))
def test_no_rule_breaks_off(messages: list[tuple[str, dict[str, Any]]]) -> None:
    script = begun()
    for message_type, fields in messages:
        say = script.cem if message_type.endswith("Instruction") else script.rm
        say(message_type, **fields)
        script.cem(SCHEDULE)
        spin(script, 60)
        script.cem(START)
        script.cem(END)
    script.close()
