"""When sequences start, and whether they can be finished."""

from __future__ import annotations

import pytest
from ppbc_script import (
    ERROR,
    SCHEDULE,
    START,
    WARNING,
    begun,
    element,
    of_rules,
    one,
    profile,
    report,
    spin,
    status,
)

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import at, container, sequence
from s2_mitm.s2.wording import short_id


def test_before_the_profile_starts() -> None:
    script = begun()
    profile(script, "tonight", start_time=at(3600))
    script.cem(SCHEDULE, power_profile_id="#tonight", execution_time=at(3599))
    text = one(script, "ppbc.too-early", ERROR, "/execution_time")
    assert text.startswith(
        "2026-03-01T12:59:59Z is before 2026-03-01T13:00:00Z, the start_time of the"
    )


def test_when_the_profile_starts() -> None:
    script = begun()
    profile(script, "tonight", start_time=at(3600))
    script.cem(SCHEDULE, id="#one", power_profile_id="#tonight", execution_time=at(3600))
    script.wait(3599)
    script.cem(SCHEDULE, id="#two", power_profile_id="#tonight", execution_time=at(1800))
    assert of_rules(script) == []


def test_too_late_to_finish() -> None:
    script = begun()
    script.cem(SCHEDULE, id="#one", execution_time=at(6600))
    assert script.codes == []
    script.cem(SCHEDULE, id="#two", execution_time=at(6602))
    text = one(script, "ppbc.too-late", ERROR, "/execution_time")
    assert "takes 600 s, until 2026-03-01T14:00:02Z, after 2026-03-01T14:00:00Z" in text


def test_too_late_because_it_is_late() -> None:
    script = begun()
    script.wait(6640)
    script.cem(SCHEDULE, id="#one", execution_time=at(60))
    assert of_rules(script) == []  # as far as clocks go
    script.wait(100)
    script.cem(SCHEDULE, id="#two", execution_time=at(60))
    one(script, "ppbc.too-late", ERROR, "/execution_time")


@pytest.mark.parametrize("end", [500, -500], ids=["too short", "upside down"])
def test_what_is_wrong_with_a_profile_is_not_held_against_the_schedule(end: float) -> None:
    script = begun()
    profile(script, "odd", container("wash"), start_time=at(3600), end_time=at(3600 + end))
    before = len(script.findings)
    script.cem(SCHEDULE, power_profile_id="#odd", execution_time=at(3600))
    script.cem(SCHEDULE, id="#two", power_profile_id="#odd", execution_time=at(3600 + end))
    assert script.findings[before:] == []


def test_out_of_order() -> None:
    script = begun()
    washing = script.cem(SCHEDULE, execution_time=at(3600))
    spin(script, 4199)
    text = one(script, "ppbc.out-of-order", WARNING, "/execution_time")
    assert text.startswith("2026-03-01T13:09:59Z is before 2026-03-01T13:10:00Z")
    assert f"by the {SCHEDULE} {short_id(washing)} from the CEM" in text


@pytest.mark.parametrize(
    "what",
    [
        'cem("PPBC.ScheduleInstruction", execution_time=at(3600)); follow(4200)',
        'cem("PPBC.ScheduleInstruction", "TEMPORARY_ERROR", execution_time=at(3600)); follow(60)',
        'cem("PPBC.ScheduleInstruction", execution_time=at(3600)); update("REJECTED"); follow(60)',
        'cem("PPBC.ScheduleInstruction", execution_time=at(3600)); running(); follow(120)',
        'cem("PPBC.ScheduleInstruction", power_profile_id="#other", execution_time=at(3600));'
        " follow(60)",
        "follow(60); cem('PPBC.ScheduleInstruction', execution_time=at(3600))",
        'cem("PPBC.ScheduleInstruction", execution_time=at(3600));'
        'cem("PPBC.ScheduleInstruction", id="#sooner", execution_time=at(0)); follow(700)',
    ],
    ids=["after", "refused", "rejected", "begun sooner", "other profile", "first", "moved"],
)
def test_not_out_of_order(what: str) -> None:
    script = begun()
    profile(script, "other")
    names = {
        "at": at,
        "cem": script.cem,
        "follow": lambda start: spin(script, start),
        "running": lambda: report(
            script, status("EXECUTING", selected_sequence_id="#eco", progress=500_000)
        ),
        "update": lambda status: script.rm("InstructionStatusUpdate", status_type=status),
    }
    exec(what, names)
    assert of_rules(script) == []


def brisk(script: Script) -> None:
    """A profile whose second container must come soon after the first."""
    soon = container("spin", sequence("slow", max_pause_before=600_000))
    profile(script, "brisk", container("wash"), soon)


def test_too_long_a_pause() -> None:
    script = begun()
    brisk(script)
    script.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(600))
    spin(script, 1900, power_profile_id="#brisk")
    text = one(script, "ppbc.pause-too-long", WARNING, "/execution_time")
    assert text.startswith("700 s after 2026-03-01T12:20:00Z, when the container before")
    assert text.endswith("max_pause_before is 600 s")


def test_the_longest_pause() -> None:
    script = begun()
    brisk(script)
    script.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(600))
    spin(script, 1800, power_profile_id="#brisk")
    assert script.codes == []


def test_a_pause_after_what_was_interrupted() -> None:
    script = begun()
    brisk(script)
    script.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(600))
    script.cem(START, power_profile_id="#brisk", execution_time=at(700))
    spin(script, 3600, power_profile_id="#brisk")
    assert script.codes == []


def test_a_window_that_is_too_short() -> None:
    script = begun()
    profile(script, "fits", end_time=at(1200))
    assert script.codes == []
    profile(script, "brief", end_time=at(1199))
    text = one(script, "ppbc.window-too-short", WARNING, "/end_time")
    assert text.endswith("is 1199 s after start_time, but the shortest sequences take 1200 s")


def test_a_window_for_the_shortest_sequences() -> None:
    script = begun()
    long = sequence("eco", elements=[element("ELECTRIC.POWER.L1")] * 100)
    short = sequence("fast", elements=[element("ELECTRIC.POWER.L1")])
    profile(script, "newer", container("wash", long, short), end_time=at(60))
    assert script.codes == []
