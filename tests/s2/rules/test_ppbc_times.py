"""When sequences start, and whether they can be finished."""

from __future__ import annotations

import pytest
from ppbc_script import (
    END,
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
    spin(script, 6600, id="#one")
    assert script.codes == []
    spin(script, 6602, id="#two")
    text = one(script, "ppbc.too-late", ERROR, "/execution_time")
    assert "takes 600 s, until 2026-03-01T14:00:02Z, after 2026-03-01T14:00:00Z" in text


def test_too_late_because_it_is_late() -> None:
    script = begun()
    script.wait(6640)
    spin(script, 60, id="#one")
    assert of_rules(script) == []  # as far as clocks go
    script.wait(100)
    spin(script, 60, id="#two")
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
    assert "ppbc.out-of-order" not in script.codes


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
    assert "would be finished, as scheduled by the PPBC.ScheduleInstruction" in text
    assert text.endswith("max_pause_before is 600 s")


def test_the_longest_pause() -> None:
    script = begun()
    brisk(script)
    script.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(600))
    spin(script, 1800, power_profile_id="#brisk")
    assert script.codes == []


STATUS = "PPBC.PowerProfileStatus"


def washed(script: Script) -> None:
    """The first container of that profile is finished."""
    eco = {"power_profile_id": "#brisk", "selected_sequence_id": "#eco", "progress": 600_000}
    script.rm(
        STATUS,
        sequence_container_status=[
            status("FINISHED", **eco),
            status("NOT_SCHEDULED", power_profile_id="#brisk", sequence_container_id="#spin"),
        ],
    )


def test_a_pause_after_what_is_finished() -> None:
    """It counts from when the RM has said so first, whether or not the CEM scheduled it."""
    for scheduled in (True, False):
        script = begun()
        brisk(script)
        if scheduled:
            script.cem(SCHEDULE, power_profile_id="#brisk", execution_time=at(0))
        for seconds in (600, 300):
            script.wait(seconds)
            washed(script)
        spin(script, 1190, id="#one", power_profile_id="#brisk")
        assert "ppbc.pause-too-long" not in script.codes
        spin(script, 1300, id="#two", power_profile_id="#brisk")
        text = one(script, "ppbc.pause-too-long", WARNING, "/execution_time")
        assert "when the container before is finished by the PPBC.PowerProfileStatus" in text


def test_no_pause_after_what_is_finished_and_may_run_again() -> None:
    script = begun()
    brisk(script)
    washed(script)
    script.cem(SCHEDULE, id="#one", power_profile_id="#brisk", execution_time=at(3000))
    spin(script, 3700, id="#two", power_profile_id="#brisk")
    assert "ppbc.pause-too-long" not in script.codes
    assert "ppbc.out-of-order" not in script.codes


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
    profile(script, "rounded", end_time=at(1199))
    assert script.codes == []
    profile(script, "brief", end_time=at(1198))
    text = one(script, "ppbc.window-too-short", WARNING, "/end_time")
    assert text.endswith("is 1198 s after start_time, but the shortest sequences take 1200 s")


def test_a_window_for_the_shortest_sequences() -> None:
    script = begun()
    long = sequence("eco", elements=[element("ELECTRIC.POWER.L1")] * 100)
    short = sequence("fast", elements=[element("ELECTRIC.POWER.L1")])
    profile(script, "newer", container("wash", long, short), end_time=at(60))
    assert script.codes == []


def test_too_late_for_the_rest() -> None:
    script = begun()
    script.cem(SCHEDULE, id="#one", execution_time=at(6000))
    assert script.codes == []
    script.cem(SCHEDULE, id="#two", execution_time=at(6010))
    text = one(script, "ppbc.rest-too-late", WARNING, "/execution_time")
    assert (
        "and 600 s of what follows last until 2026-03-01T14:00:10Z, after 2026-03-01T14:00:00Z"
        in text
    )


def test_the_rest_of_a_profile_that_is_too_short() -> None:
    """It is told of the profile."""
    script = begun()
    three = [container(name) for name in ("wash", "rinse", "spin")]
    profile(script, "brief", *three, end_time=at(1700))
    script.cem(
        SCHEDULE,
        power_profile_id="#brief",
        sequence_container_id="#rinse",
        execution_time=at(600),
    )
    assert script.codes == ["ppbc.window-too-short"]


def test_continued_too_late() -> None:
    script = begun()
    script.cem(SCHEDULE)
    script.cem(START)
    script.wait(120)
    report(script, status("INTERRUPTED", selected_sequence_id="#eco", progress=100_000))
    script.cem(END, id="#one", execution_time=at(6100))
    assert of_rules(script) == []
    script.cem(END, id="#two", execution_time=at(6110))
    text = one(script, "ppbc.rest-too-late", WARNING, "/execution_time")
    assert text.startswith("500 s of")


@pytest.mark.parametrize(
    ("start", "words"),
    [(3000, "12:50:00Z is before 2026-03-01T13:00"), (4270, "13:11:10Z is after 2026-03-01T13:10")],
    ids=["before", "after"],
)
def test_an_interruption_when_the_sequence_does_not_run(start: float, words: str) -> None:
    script = begun()
    script.cem(SCHEDULE, execution_time=at(3600))
    script.cem(START, execution_time=at(start))
    text = one(script, "ppbc.interruption-time", WARNING, "/execution_time")
    assert text.startswith(f"2026-03-01T{words}")


@pytest.mark.parametrize("start", [0, 60, 400, 650])
def test_an_interruption_of_a_sequence_that_runs(start: float) -> None:
    """It may have started sooner than it was scheduled, or later."""
    script = begun()
    script.cem(SCHEDULE, execution_time=at(3600))
    report(script, status("EXECUTING", selected_sequence_id="#eco", progress=0))
    script.cem(START, execution_time=at(start))
    assert script.codes == ["ppbc.started-early"]


def test_an_interruption_after_what_runs_is_over() -> None:
    """It takes 600 s, of which it has run 100 s; clocks may differ by 60 s."""
    script = begun()
    script.cem(SCHEDULE, execution_time=at(0))
    report(script, status("EXECUTING", selected_sequence_id="#eco", progress=100_000))
    script.cem(START, id="#one", execution_time=at(550))
    assert script.codes == []
    script = begun()
    script.cem(SCHEDULE, execution_time=at(0))
    report(script, status("EXECUTING", selected_sequence_id="#eco", progress=100_000))
    script.cem(START, id="#two", execution_time=at(570))
    text = one(script, "ppbc.interruption-time", WARNING, "/execution_time")
    assert "when the sequence that runs is finished by the PPBC.PowerProfileStatus" in text


@pytest.mark.parametrize("answer", ["OK", None])
def test_an_interruption_of_what_was_interrupted_or_is_not_known_to_run(answer: str | None) -> None:
    script = begun()
    script.cem(SCHEDULE, execution_time=at(0))
    if answer:
        report(script, status("INTERRUPTED", selected_sequence_id="#eco", progress=100_000))
    run = status("EXECUTING", selected_sequence_id="#eco", progress=100_000)
    report(script, run, answer=answer)
    script.cem(START, execution_time=at(3000))
    assert "ppbc.interruption-time" not in script.codes


def test_an_interruption_that_ends_before_it_begins() -> None:
    script = begun()
    script.cem(SCHEDULE, execution_time=at(3600))
    script.cem(START, execution_time=at(3900))
    script.cem(END, id="#one", execution_time=at(3960))
    assert script.codes == []
    script.cem(END, id="#two", execution_time=at(3800))
    text = one(script, "ppbc.interruption-time", WARNING, "/execution_time")
    assert text.startswith("2026-03-01T13:03:20Z is before 2026-03-01T13:05:00Z, when")


def test_out_of_order_while_the_first_runs() -> None:
    script = begun()
    report(script, status("EXECUTING", selected_sequence_id="#eco", progress=100_000))
    spin(script, 600, id="#one")
    assert script.codes == []
    spin(script, 400, id="#two")
    text = one(script, "ppbc.out-of-order", WARNING, "/execution_time")
    assert "is finished by the PPBC.PowerProfileStatus" in text


def test_out_of_order_of_containers_that_are_apart() -> None:
    script = begun()
    three = [container(name) for name in ("wash", "rinse", "spin")]
    profile(script, "long", *three)
    first = {"power_profile_id": "#long", "execution_time": at(3600)}
    script.cem(SCHEDULE, id="#one", **first)
    last = {**first, "sequence_container_id": "#spin", "execution_time": at(3900)}
    script.cem(SCHEDULE, id="#two", **last)
    one(script, "ppbc.out-of-order", WARNING, "/execution_time")
