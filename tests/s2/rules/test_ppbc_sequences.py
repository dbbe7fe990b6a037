"""What may be done with a sequence, and what the RM says of it."""

from __future__ import annotations

from typing import Any

import pytest
from ppbc_script import (
    END,
    ERROR,
    INFO,
    SCHEDULE,
    START,
    WARNING,
    begun,
    element,
    one,
    profile,
    report,
    status,
)

from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.examples.templates import container, sequence
from s2_mitm.s2.wording import short_id


def test_a_sequence_for_abnormal_conditions() -> None:
    script = begun()
    script.cem(SCHEDULE, sequence_container_id="#spin", power_sequence_id="#hot")
    text = one(script, "ppbc.abnormal-sequence", ERROR, "/power_sequence_id")
    assert text.startswith(f'"{identifier("hot")}" needs abnormal_condition to be true')


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
    assert text == f'"{identifier("eco")}" was not scheduled: nothing was scheduled'


def test_an_interruption_of_another_sequence_than_was_scheduled() -> None:
    script = begun()
    scheduled = script.cem(SCHEDULE, power_sequence_id="#fast")
    script.cem(START)
    text = one(script, "ppbc.not-scheduled", WARNING, "/power_sequence_id")
    assert f"the {SCHEDULE} {short_id(scheduled)} from the CEM" in text
    assert text.endswith(f'schedules "{identifier("fast")}"')


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
    text = one(script, "ppbc.not-interrupted", INFO, "/power_sequence_id")
    assert text == f'no interruption of "{identifier("eco")}" was seen to begin'


def test_the_end_of_an_interruption_by_the_device_itself() -> None:
    script = begun()
    script.cem(SCHEDULE)
    report(script, status("INTERRUPTED", selected_sequence_id="#eco", progress=1000))
    script.cem(END)
    assert script.codes == []


@pytest.mark.parametrize("name", ["EXECUTING", "INTERRUPTED", "FINISHED"])
def test_no_progress(name: str) -> None:
    script = begun()
    report(script, status("NOT_SCHEDULED"), status(name, selected_sequence_id="#eco"))
    text = one(script, "ppbc.progress-missing", ERROR, "/sequence_container_status/1")
    assert text == f'no progress, but the status is "{name}"'


def test_no_progress_yet() -> None:
    script = begun()
    report(script, status("NOT_SCHEDULED"), status("SCHEDULED", selected_sequence_id="#eco"))
    report(script, status("EXECUTING", selected_sequence_id="#eco", progress=0), status("ABORTED"))
    assert script.codes == []


@pytest.mark.parametrize("name", ["SCHEDULED", "EXECUTING", "INTERRUPTED", "FINISHED"])
def test_no_selection(name: str) -> None:
    script = begun()
    report(script, status(name))
    text = one(script, "ppbc.selection-missing", WARNING, "/sequence_container_status/0")
    assert text == f'no selected_sequence_id, but the status is "{name}"'


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
