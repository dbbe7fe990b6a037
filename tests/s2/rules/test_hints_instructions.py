"""Hints at instructions that contradict each other, and at times of statuses that cannot be."""

from __future__ import annotations

import pytest
from mode_script import ABNORMAL, FAMILIES, REST, TARGET, WORK, ModeScript
from told import play

from s2_mitm.s2.examples.templates import at

GIVEN = 'begin("FRBC")\ncem("FRBC.Instruction", id="#one", execution_time=at(0))\n'


def hints(script: ModeScript) -> list[str]:
    """The codes of all hints."""
    return [code for code in script.codes if code.startswith("hint.")]


@FAMILIES
def test_two_instructions_for_the_same_moment(family: str) -> None:
    script = ModeScript(family)
    for target in (WORK, REST, WORK):
        script.instruct(target, execution_time=at(300))
    (finding,) = [each for each in script.findings if each.code == "hint.two-at-once"]
    assert finding.path == "/execution_time"
    assert "asks for something else" in finding.text
    assert "at 2026-03-01T12:05:00Z too" in finding.text


@FAMILIES
def test_the_same_instruction_again_and_another_factor(family: str) -> None:
    script = ModeScript(family)
    script.instruct(WORK, execution_time=at(300))
    script.instruct(WORK, execution_time=at(300))
    assert hints(script) == []
    script.instruct(WORK, execution_time=at(300), operation_mode_factor=0.25)
    assert hints(script) == ["hint.two-at-once"]


@FAMILIES
@pytest.mark.parametrize("how", ["later", "refused", "revoked", "rejected", "another time", "now"])
def test_an_instruction_that_takes_the_place_of_another(family: str, how: str) -> None:
    script = ModeScript(family)
    first = 0 if how == "now" else 300
    script.instruct(
        WORK, execution_time=at(first), answer="TEMPORARY_ERROR" if how == "refused" else "OK"
    )
    if how == "later":
        script.wait(61)
    elif how == "revoked":
        script.cem("RevokeObject", object_type=f"{family}.Instruction", object_id="#instruction-0")
    elif how == "rejected":
        script.update("REJECTED")
    second = 301 if how == "another time" else first
    script.instruct(REST, execution_time=at(second))
    assert "hint.two-at-once" not in script.codes


STATUS = (
    'rm("InstructionStatusUpdate", instruction_id="#one", status_type="{}", timestamp=at({}))\n'
)


def test_a_status_that_is_dated_before_the_one_before() -> None:
    started = GIVEN + "wait(5)\n" + STATUS.format("STARTED", 5)
    (line,) = play(started + STATUS.format("SUCCEEDED", 0))
    assert line.startswith(
        "info hint.status-time /timestamp: 2026-03-01T12:00:00Z is before 2026-03-01T12:00:05Z,"
        " the timestamp in the InstructionStatusUpdate"
    )
    assert play(started + STATUS.format("SUCCEEDED", 4)) == []


def test_a_status_that_is_dated_before_its_instruction() -> None:
    (line,) = play(GIVEN + STATUS.format("STARTED", -3600) + STATUS.format("SUCCEEDED", 0))
    assert line.startswith("info hint.status-time /timestamp: 2026-03-01T11:00:00Z is before")
    assert "the FRBC.Instruction" in line
    assert play(GIVEN + STATUS.format("STARTED", -59)) == []


def test_a_clock_that_is_late_is_another_hint() -> None:
    measured = GIVEN + 'rm("PowerMeasurement", measurement_timestamp=at(-3600))\n'
    assert play(measured + STATUS.format("STARTED", -3600)) == []


def test_a_status_that_is_dated_after_one_of_the_future() -> None:
    script = GIVEN + STATUS.format("STARTED", 3600) + STATUS.format("SUCCEEDED", 1)
    assert [line.split()[1] for line in play(script)] == ["time.in-the-future"]


@FAMILIES
def test_a_timer_that_was_just_started_is_said_to_be_finished(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    for _ in range(2):
        script.rm(f"{family}.TimerStatus", finished_at=at(-86400))
    (finding,) = script.findings
    assert (finding.code, finding.path) == ("hint.timer-finished-early", "/finished_at")
    assert "should run until 2026-03-01T12:01:00Z, since the switch in the" in finding.text


@FAMILIES
@pytest.mark.parametrize("seconds", [31, 600])
def test_a_timer_that_is_nearly_finished(family: str, seconds: float) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    script.wait(seconds)
    script.rm(f"{family}.TimerStatus", finished_at=at(0))
    assert hints(script) == []


@FAMILIES
def test_a_timer_of_which_the_rm_has_said_more_itself(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    script.rm(f"{family}.TimerStatus", finished_at=at(50))
    script.rm(f"{family}.TimerStatus", finished_at=at(0))
    assert script.findings == []


@FAMILIES
def test_no_way_leads_to_a_mode_for_later_as_planned(family: str) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    script.wait(5)
    for _ in range(2):
        script.instruct(WORK, execution_time=at(300))
    (finding,) = script.findings
    assert (finding.code, finding.path) == ("hint.no-way-planned", f"/{TARGET[family]}")
    assert finding.text.startswith("no transition leads from")
    assert ", and nothing else is planned; " in finding.text


@FAMILIES
def test_a_way_leads_to_a_mode_for_later(family: str) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    script.wait(5)
    script.instruct(REST, execution_time=at(200))
    script.instruct(WORK, execution_time=at(300))
    assert script.findings == []
