"""What the RM says of how far the sequences have come."""

from __future__ import annotations

import pytest
from ppbc_script import (
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

from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import waiting
from s2_mitm.s2.wording import short_id

PROGRESS = "/sequence_container_status/0/progress"


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


def test_a_container_is_left_out() -> None:
    script = begun()
    for _ in range(2):
        script.rm("PPBC.PowerProfileStatus", sequence_container_status=[waiting("wash")])
    text = one(script, "ppbc.container-missing", WARNING, "/sequence_container_status")
    assert text.startswith(f"no status of the container {short_id(identifier('spin'))} of the")


def test_a_container_is_left_out_of_another_profile() -> None:
    script = begun()
    profile(script, "other")
    whole = [waiting("wash"), waiting("spin")]
    script.rm("PPBC.PowerProfileStatus", sequence_container_status=whole)
    assert script.codes == []  # of the other nothing is said at all
    part = waiting("wash", "other")
    script.rm("PPBC.PowerProfileStatus", sequence_container_status=[*whole, part])
    assert script.codes == ["ppbc.container-missing"]


def test_a_container_with_a_wrong_id_is_not_left_out_besides() -> None:
    script = begun()
    both = [waiting("wash"), waiting("typo")]
    script.rm("PPBC.PowerProfileStatus", sequence_container_status=both)
    assert script.codes == ["ppbc.unknown-container"]


def test_a_sequence_of_another_container() -> None:
    script = begun()
    report(script, status("SCHEDULED", selected_sequence_id="#slow"))
    path = "/sequence_container_status/0/selected_sequence_id"
    text = one(script, "ppbc.unknown-sequence", ERROR, path)
    assert f"but of the container {short_id(identifier('spin'))}" in text


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


def run(script: Script, name: str, seconds: float) -> None:
    """The RM reports a status of the first container."""
    report(script, status(name, selected_sequence_id="#eco", progress=int(seconds * 1000)))
