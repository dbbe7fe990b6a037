"""What the RM says of how far the sequences have come."""

from __future__ import annotations

import pytest
from ppbc_script import (
    ERROR,
    PROFILE,
    SCHEDULE,
    WARNING,
    begun,
    one,
    profile,
    report,
    run,
    status,
)

from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.examples.templates import at, waiting
from s2_mitm.s2.wording import short_id


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
    assert f"it belongs to the container {short_id(identifier('spin'))}" in text


def test_the_same_container_twice() -> None:
    script = begun()
    both = [waiting("wash"), waiting("spin"), waiting("wash")]
    script.rm("PPBC.PowerProfileStatus", sequence_container_status=both)
    path = "/sequence_container_status/2/sequence_container_id"
    text = one(script, "ppbc.container-twice", WARNING, path)
    assert text.startswith("/sequence_container_status/0 is the status of the container")


def test_the_same_container_id_in_two_profiles() -> None:
    script = begun()
    profile(script, "other")
    each = [waiting(name, of) for of in ("profile", "other") for name in ("wash", "spin")]
    script.rm("PPBC.PowerProfileStatus", sequence_container_status=each)
    assert script.codes == []


@pytest.mark.parametrize("answer", ["OK", None])
def test_the_status_of_a_revoked_profile(answer: str | None) -> None:
    script = begun()
    script.rm("RevokeObject", answer, object_type=PROFILE, object_id="#profile")
    report(script)
    path = "/sequence_container_status/0/power_profile_id"
    if answer:
        one(script, "ppbc.status-of-revoked", WARNING, path)
    else:
        assert script.codes == []


def test_a_start_before_its_time() -> None:
    script = begun()
    script.cem(SCHEDULE, execution_time=at(3600))
    run(script, "EXECUTING", 0)
    run(script, "EXECUTING", 1)
    text = one(script, "ppbc.started-early", WARNING, "/sequence_container_status/0/status")
    named = f"{short_id(identifier('eco'))} runs before 2026-03-01T13:00:00Z, for which the"
    assert text.startswith(named)


@pytest.mark.parametrize(
    "what",
    [
        "cem(SCHEDULE, execution_time=at(60)); run('EXECUTING')",
        "cem(SCHEDULE, None, execution_time=at(3600)); run('EXECUTING')",
        "cem(SCHEDULE, 'PERMANENT_ERROR', execution_time=at(3600)); run('EXECUTING')",
        "run('EXECUTING'); cem(SCHEDULE, None, execution_time=at(3600)); run('EXECUTING')",
        "cem(SCHEDULE, execution_time=at(3600)); update('REJECTED'); run('EXECUTING')",
    ],
    ids=["a minute", "not answered", "refused", "ran before", "rejected"],
)
def test_no_start_before_its_time(what: str) -> None:
    script = begun()
    names = {
        "SCHEDULE": SCHEDULE,
        "at": at,
        "cem": script.cem,
        "run": lambda name: run(script, name, 0),
        "update": lambda status: script.rm("InstructionStatusUpdate", status_type=status),
    }
    exec(what, names)
    assert "ppbc.started-early" not in script.codes
