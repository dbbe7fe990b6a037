"""How far the sequences have come, as the RM says."""

from __future__ import annotations

import pytest
from ppbc_script import ERROR, SCHEDULE, START, WARNING, begun, of_rules, one, report, run, status

from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.wording import short_id

PROGRESS = "/sequence_container_status/0/progress"


@pytest.mark.parametrize("name", ["EXECUTING", "INTERRUPTED", "FINISHED"])
def test_no_progress(name: str) -> None:
    script = begun()
    spinning = status(name, sequence_container_id="#spin", selected_sequence_id="#slow")
    report(script, status("NOT_SCHEDULED"), spinning)
    text = one(script, "ppbc.progress-missing", ERROR, "/sequence_container_status/1")
    assert text == f'no progress, but the status is "{name}"'


def test_no_progress_yet() -> None:
    script = begun()
    report(script, status("SCHEDULED", selected_sequence_id="#eco"))
    aborted = status("ABORTED", sequence_container_id="#spin")
    report(script, status("EXECUTING", selected_sequence_id="#eco", progress=0), aborted)
    assert script.codes == []


def test_progress_beyond_the_end() -> None:
    script = begun()
    run(script, "EXECUTING", 601)
    assert script.codes == []
    run(script, "EXECUTING", 602)
    text = one(script, "ppbc.progress-beyond", WARNING, PROGRESS)
    assert text.startswith(f"602 s, but the sequence {short_id(identifier('eco'))} takes 600 s, by")


@pytest.mark.parametrize("name", ["FINISHED", "INTERRUPTED"])
def test_progress_beyond_the_end_and_beyond_the_time_that_has_passed(name: str) -> None:
    script = begun()
    run(script, "EXECUTING", 0)
    script.wait(600)
    run(script, name, 1200)
    one(script, "ppbc.progress-beyond", WARNING, PROGRESS)


def test_progress_that_counts_an_interruption() -> None:
    script = begun()
    script.cem(SCHEDULE)
    run(script, "EXECUTING", 0)
    script.cem(START)
    script.wait(300)
    run(script, "INTERRUPTED", 300)
    script.wait(600)
    run(script, "EXECUTING", 900)
    script.wait(100)
    run(script, "FINISHED", 1000)
    assert of_rules(script) == []


def test_progress_that_goes_on_after_the_end() -> None:
    script = begun()
    run(script, "EXECUTING", 0)
    script.wait(600)
    run(script, "FINISHED", 600)
    script.wait(600)
    run(script, "FINISHED", 1200)
    assert script.codes == []


@pytest.mark.parametrize("name", ["NOT_SCHEDULED", "SCHEDULED"])
def test_progress_before_the_start(name: str) -> None:
    script = begun()
    run(script, name, 0)
    assert script.codes == []
    run(script, name, 30)
    text = one(script, "ppbc.progress-early", WARNING, PROGRESS)
    assert text == f'30000 ms, but the status is "{name}"'


def test_progress_backwards() -> None:
    script = begun()
    run(script, "EXECUTING", 300)
    run(script, "EXECUTING", 300)
    run(script, "EXECUTING", 299)  # as far as rounding goes
    assert script.codes == []
    run(script, "EXECUTING", 200)
    text = one(script, "ppbc.progress-back", WARNING, PROGRESS)
    assert text.startswith("200 s, after 299 s in the PPBC.PowerProfileStatus")


def test_progress_of_another_run() -> None:
    script = begun()
    run(script, "EXECUTING", 300)
    report(script, status("EXECUTING", selected_sequence_id="#fast", progress=0))
    run(script, "EXECUTING", 100)
    run(script, "ABORTED", 100)
    script.cem(SCHEDULE)
    run(script, "EXECUTING", 0)
    assert of_rules(script) == []


@pytest.mark.parametrize("name", ["FINISHED", "ABORTED"])
def test_what_is_over_runs_again(name: str) -> None:
    script = begun()
    run(script, name, 300)
    run(script, "EXECUTING", 300)
    text = one(script, "ppbc.runs-again", WARNING, "/sequence_container_status/0/status")
    assert text.startswith(f"EXECUTING after {name} in the PPBC.PowerProfileStatus")


def test_the_same_status_again() -> None:
    script = begun()
    for name in ("SCHEDULED", "EXECUTING", "INTERRUPTED", "FINISHED"):
        for _ in range(2):
            run(script, name, 0)
    assert script.codes == []
