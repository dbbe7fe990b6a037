"""What may be done with a sequence, and what the RM says of it."""

from __future__ import annotations

from typing import Any

import pytest
from ppbc_script import (
    END,
    ERROR,
    SCHEDULE,
    START,
    WARNING,
    begun,
    of_rules,
    one,
    profile,
    report,
    status,
)

from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.examples.templates import container, sequence
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import short_id


def test_a_sequence_for_abnormal_conditions() -> None:
    script = begun()
    script.cem(SCHEDULE, sequence_container_id="#spin", power_sequence_id="#hot")
    text = one(script, "ppbc.abnormal-sequence", ERROR, "/power_sequence_id")
    assert text.startswith(f"{short_id(identifier('hot'))} needs abnormal_condition to be true")


def test_a_sequence_for_abnormal_conditions_in_one() -> None:
    script = begun()
    hot = {"sequence_container_id": "#spin", "power_sequence_id": "#hot"}
    script.cem(SCHEDULE, abnormal_condition=True, **hot)
    script.cem(START, **hot)  # it runs already, whatever the condition is now
    script.cem(END, **hot)
    assert script.codes == []


def test_a_sequence_that_cannot_be_interrupted() -> None:
    script = begun()
    profile(script, "firm", container("wash", sequence("eco", is_interruptible=False)))
    script.cem(SCHEDULE, power_profile_id="#firm")
    script.cem(START, power_profile_id="#firm")
    text = one(script, "ppbc.not-interruptible", ERROR, "/power_sequence_id")
    assert "is not interruptible, by the PPBC.PowerProfileDefinition" in text


def test_an_interruption_of_what_was_not_scheduled() -> None:
    script = begun()
    script.cem(START)
    text = one(script, "ppbc.not-scheduled", WARNING, "/power_sequence_id")
    assert text == f"{short_id(identifier('eco'))} was not scheduled: nothing was scheduled"


def test_an_interruption_of_another_sequence_than_was_scheduled() -> None:
    script = begun()
    scheduled = script.cem(SCHEDULE, power_sequence_id="#fast")
    script.cem(START)
    text = one(script, "ppbc.not-scheduled", WARNING, "/power_sequence_id")
    assert f"the {SCHEDULE} {short_id(scheduled)} from the CEM" in text
    assert text.endswith(f"schedules {short_id(identifier('fast'))}")


@pytest.mark.parametrize("chosen", [{}, {"selected_sequence_id": "#eco"}])
def test_an_interruption_of_what_the_rm_says_runs(chosen: dict[str, Any]) -> None:
    script = begun()
    report(script, status("EXECUTING", progress=0, **chosen))
    before = len(script.findings)
    script.cem(START)
    assert script.findings[before:] == []


def test_the_end_of_an_interruption_that_did_not_begin() -> None:
    script = begun()
    script.cem(SCHEDULE)
    script.cem(END)
    text = one(script, "ppbc.not-interrupted", WARNING, "/power_sequence_id")
    assert text == f"no interruption of {short_id(identifier('eco'))} was seen to begin"


def test_the_end_of_an_interruption_by_the_device_itself() -> None:
    script = begun()
    script.cem(SCHEDULE)
    report(script, status("INTERRUPTED", selected_sequence_id="#eco", progress=1000))
    script.cem(END)
    assert script.codes == []


@pytest.mark.parametrize("name", ["FINISHED", "ABORTED"])
def test_an_interruption_of_what_is_over(name: str) -> None:
    script = begun()
    script.cem(SCHEDULE)
    report(script, status(name, selected_sequence_id="#eco", progress=0))
    script.cem(START)
    text = one(script, "ppbc.not-scheduled", WARNING, "/power_sequence_id")
    named = f"is over: {name} by the PPBC.PowerProfileStatus"
    assert text.startswith(f"{short_id(identifier('eco'))} {named}")


def test_an_interruption_that_crossed_the_end() -> None:
    script = begun()
    script.cem(SCHEDULE)
    report(script, status("FINISHED", selected_sequence_id="#eco", progress=0), answer=None)
    script.cem(START)
    assert script.codes == []


def test_an_interruption_of_what_was_scheduled_again() -> None:
    script = begun()
    report(script, status("ABORTED", selected_sequence_id="#eco"))
    script.cem(SCHEDULE)
    script.cem(START)
    assert script.codes == []


def test_a_schedule_that_may_not_have_been_seen() -> None:
    script = begun()
    script.raw(Role.CEM, b"{")
    script.cem(START)
    assert of_rules(script) == []


@pytest.mark.parametrize("name", ["EXECUTING", "FINISHED"])
def test_a_schedule_of_what_has_started(name: str) -> None:
    script = begun()
    report(script, status(name, selected_sequence_id="#eco", progress=0))
    script.cem(SCHEDULE, power_sequence_id="#fast")
    text = one(script, "ppbc.already-started", WARNING, "/sequence_container_id")
    assert text.startswith(f"this container is {name} by the PPBC.PowerProfileStatus")


@pytest.mark.parametrize(
    ("name", "answer"),
    [("EXECUTING", None), ("SCHEDULED", "OK"), ("ABORTED", "OK"), ("NOT_SCHEDULED", "OK")],
)
def test_a_schedule_of_what_may_still_be_scheduled(name: str, answer: str | None) -> None:
    script = begun()
    fields = {"progress": 0} if name == "EXECUTING" else {}
    report(script, status(name, selected_sequence_id="#eco", **fields), answer=answer)
    script.cem(SCHEDULE, power_sequence_id="#fast")
    assert script.codes == []


def test_the_schedule_of_another_profile() -> None:
    script = begun()
    report(script, status("FINISHED", selected_sequence_id="#eco", progress=600_000))
    profile(script, "next")
    script.cem(SCHEDULE, power_profile_id="#next")
    assert script.codes == []
