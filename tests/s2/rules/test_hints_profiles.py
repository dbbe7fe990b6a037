"""Hints at what an RM does with the sequences of a power profile."""

from __future__ import annotations

import pytest
from ppbc_script import INFO, SCHEDULE, START, begun, profile, report, run, status

from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import at, container, sequence
from s2_mitm.s2.wording import short_id


def hinted(script: Script, code: str, field: str) -> str:
    """The text of the only finding."""
    (finding,) = script.findings
    path = f"/sequence_container_status/0/{field}"
    assert (finding.code, finding.severity, finding.path) == (code, INFO, path)
    return finding.text


def test_another_sequence_than_was_scheduled() -> None:
    script = begun()
    script.cem(SCHEDULE, execution_time=at(0))
    for _ in range(2):
        report(script, status("EXECUTING", selected_sequence_id="#fast", progress=0))
    text = hinted(script, "hint.other-sequence", "selected_sequence_id")
    assert text.startswith(f"{short_id(identifier('fast'))} runs, but the PPBC.ScheduleInstruction")
    assert text.endswith(f"schedules {short_id(identifier('eco'))}")


@pytest.mark.parametrize("answer", [None, "PERMANENT_ERROR"])
def test_another_sequence_than_the_rm_was_asked_for_in_vain(answer: str | None) -> None:
    script = begun()
    script.cem(SCHEDULE, answer, execution_time=at(0))
    report(script, status("EXECUTING", selected_sequence_id="#fast", progress=0))
    assert "hint.other-sequence" not in script.codes


def test_a_sequence_that_ran_before_another_was_scheduled() -> None:
    script = begun()
    report(script, status("EXECUTING", selected_sequence_id="#fast", progress=0), answer=None)
    script.cem(SCHEDULE, execution_time=at(0))
    report(script, status("EXECUTING", selected_sequence_id="#fast", progress=0))
    assert script.codes == []


def test_accepted_and_not_scheduled() -> None:
    script = begun()
    script.cem(SCHEDULE)
    report(script)
    assert script.codes == []
    script.rm("InstructionStatusUpdate")
    for _ in range(2):
        report(script)
    text = hinted(script, "hint.accepted-not-scheduled", "status")
    assert text.startswith("NOT_SCHEDULED, but the PPBC.ScheduleInstruction")


def test_accepted_and_revoked() -> None:
    script = begun()
    script.cem(SCHEDULE)
    script.rm("InstructionStatusUpdate")
    script.cem("RevokeObject", None, object_type=SCHEDULE, object_id="#instruction")
    report(script)
    assert script.codes == []


def test_interrupted_though_it_cannot_be() -> None:
    script = begun()
    firm(script)
    for _ in range(2):
        script.rm(
            "PPBC.PowerProfileStatus",
            sequence_container_status=[
                status("INTERRUPTED", power_profile_id="#firm", progress=0) | SELECTED
            ],
        )
    text = hinted(script, "hint.interrupted-anyway", "status")
    assert text.startswith(f"{short_id(identifier('eco'))} is not interruptible, by the PPBC.")


def test_interrupted_as_the_cem_wanted_it() -> None:
    script = begun()
    firm(script)
    script.cem(SCHEDULE, power_profile_id="#firm")
    script.cem(START, power_profile_id="#firm")
    interrupted = status("INTERRUPTED", power_profile_id="#firm", progress=0) | SELECTED
    script.rm("PPBC.PowerProfileStatus", sequence_container_status=[interrupted])
    assert script.codes == ["ppbc.not-interruptible"]


def test_interrupted_by_itself() -> None:
    script = begun()
    run(script, "INTERRUPTED", 10)
    assert script.codes == []


SELECTED = {"selected_sequence_id": "#eco"}


def firm(script: Script) -> None:
    """A profile of one container, whose sequence cannot be interrupted."""
    profile(script, "firm", container("wash", sequence("eco", is_interruptible=False)))
