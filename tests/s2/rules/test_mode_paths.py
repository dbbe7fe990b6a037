"""Where an instruction leads from: timers that a switch starts, plans of several instructions."""

from __future__ import annotations

from typing import Any

import pytest
from mode_script import (
    ABNORMAL,
    FAMILIES,
    MODES,
    REST,
    STATUS,
    TARGET,
    WORK,
    ModeScript,
    check,
    in_words,
    mode,
    with_modes,
)

from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.examples.templates import at, timer, transition
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import short_id

# Timers that a switch starts: working for a minute is what "rest" is for in the templates.


@FAMILIES
def test_a_switch_starts_a_timer_of_which_there_is_no_status(family: str) -> None:
    script = ModeScript(family)
    script.wait(10)
    script.switched(WORK)
    script.wait(20)
    script.instruct(REST)
    check(
        script.only,
        "modes.blocked",
        Severity.WARNING,
        "/execution_time",
        f"timer {short_id(identifier('rest'))} blocks the transition from",
        f"until 2026-03-01T12:01:10Z, since the switch in the {STATUS[family]}",
    )


@FAMILIES
@pytest.mark.parametrize("execution", [None, 60.5, 75])
def test_a_timer_that_a_switch_has_started_is_finished(
    family: str, execution: float | None
) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    if execution is None:
        script.wait(60)
        script.instruct(REST)
    else:
        script.wait(20)
        script.instruct(REST, execution_time=at(execution))
    assert script.found == []


@FAMILIES
def test_a_switch_that_is_told_again_starts_no_timer_again(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK, transition_timestamp=at(0))
    script.wait(50)
    script.switched(WORK, transition_timestamp=at(0))
    script.wait(12)
    script.instruct(REST)
    assert script.found == []


@FAMILIES
def test_the_status_of_the_timer_says_it_better(family: str) -> None:
    script = ModeScript(family)
    script.wait(5)
    script.switched(WORK)
    script.rm(f"{family}.TimerStatus", finished_at=at(6))
    script.switched(WORK, transition_timestamp=at(5))
    script.wait(4)
    script.instruct(REST)
    assert script.found == []


@FAMILIES
def test_the_status_of_the_timer_may_come_before_that_of_the_switch(family: str) -> None:
    script = ModeScript(family)
    script.wait(5)
    script.rm(f"{family}.TimerStatus", finished_at=at(8))
    script.switched(WORK, transition_timestamp=at(5))
    script.wait(4)
    script.instruct(REST)
    assert script.found == []


@FAMILIES
def test_a_timer_that_was_finished_is_started_again_by_a_switch(family: str) -> None:
    script = ModeScript(family)
    script.rm(f"{family}.TimerStatus", finished_at=at(-100))
    script.wait(10)
    script.switched(WORK)
    script.wait(10)
    script.instruct(REST)
    assert script.only.code == "modes.blocked"


@FAMILIES
@pytest.mark.parametrize("absent", ["previous_operation_mode_id", "transition_timestamp"])
def test_a_switch_that_is_not_explained_starts_no_timer(family: str, absent: str) -> None:
    script = ModeScript(family)
    fields: dict[str, Any] = {absent: None}
    script.switched(WORK, **fields)
    script.instruct(REST)
    assert [each.code for each in script.found] == ["modes.no-previous"]


@FAMILIES
def test_a_clock_that_is_ahead_lets_no_timer_run_longer(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK, transition_timestamp=at(40))
    script.wait(61)
    script.instruct(REST)
    assert script.found == []


@FAMILIES
def test_of_two_transitions_it_is_not_known_which_one_starts_a_timer(family: str) -> None:
    script = ModeScript(family, described=False)
    way = (MODES[family][REST][1:], MODES[family][WORK][1:])
    moves = [
        transition(*way, start_timers=["#rest"]),
        transition(*way, id="#another-way"),
        transition(*reversed(way), blocking_timers=["#rest"]),
    ]
    modes = [mode(family, name) for name in MODES[family]]
    script.describe(**with_modes(family, *modes, transitions=moves, timers=[timer("rest")]))
    script.switched(WORK)
    script.instruct(REST)
    assert script.found == []


@FAMILIES
@pytest.mark.parametrize("duration", [None, "60 s", True])
def test_a_timer_without_a_duration_does_not_run(family: str, duration: Any) -> None:
    script = ModeScript(family, described=False)
    way = (MODES[family][REST][1:], MODES[family][WORK][1:])
    moves = [
        transition(*way, start_timers=["#rest"]),
        transition(*reversed(way), blocking_timers=["#rest"]),
    ]
    modes = [mode(family, name) for name in MODES[family]]
    timers = [timer("rest", duration=duration)]
    script.describe(None, **with_modes(family, *modes, transitions=moves, timers=timers))
    script.switched(WORK)
    script.instruct(REST)
    assert "modes.blocked" not in script.codes


@FAMILIES
@pytest.mark.parametrize("seconds", [0, 11])
def test_a_status_of_which_the_cem_may_not_know_yet(family: str, seconds: float) -> None:
    script = ModeScript(family)
    status = {
        "active_operation_mode_id": MODES[family][ABNORMAL],
        "previous_operation_mode_id": MODES[family][REST],
        "transition_timestamp": at(0),
    }
    script.rm(STATUS[family], answer=None, **status)
    script.wait(seconds)
    script.instruct(WORK)
    late = ["modes.unreachable"]  # there is no answer, but it must have it by now
    assert [each.code for each in script.found] == (late if seconds else [])


@FAMILIES
def test_the_status_of_a_timer_of_which_the_cem_does_not_know_yet(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK, transition_timestamp=at(-100))
    script.rm(f"{family}.TimerStatus", answer=None, finished_at=at(60))
    script.instruct(REST)
    assert script.found == []


# Plans


@FAMILIES
def test_a_plan_that_leaves_a_mode_as_nothing_leads(family: str) -> None:
    script = ModeScript(family)
    script.instruct(WORK, execution_time=at(60))
    script.instruct(ABNORMAL, execution_time=at(120), abnormal_condition=True)
    check(
        script.only,
        "modes.unreachable",
        Severity.WARNING,
        f"/{TARGET[family]}",
        f"no transition leads from {in_words(MODES[family][WORK])}"
        f' to {in_words(MODES[family][ABNORMAL])}; "{MODES[family][WORK][1:]}" is to be active'
        f" from 2026-03-01T12:01:00Z on by the {family}.Instruction",
    )


@FAMILIES
def test_a_plan_that_goes_by_the_transitions(family: str) -> None:
    script = ModeScript(family)
    for minutes, step in enumerate([WORK, REST, ABNORMAL, REST, WORK, WORK, REST], start=1):
        script.instruct(step, execution_time=at(120 * minutes), abnormal_condition=True)
    assert script.found == []


@FAMILIES
def test_a_plan_is_judged_in_the_order_of_its_times(family: str) -> None:
    script = ModeScript(family)
    script.instruct(ABNORMAL, execution_time=at(300), abnormal_condition=True)
    script.instruct(WORK, execution_time=at(100))
    script.instruct(REST, execution_time=at(200))
    assert script.found == []


@FAMILIES
@pytest.mark.parametrize("how", ["answer", "status", "revoked"])
def test_a_part_of_a_plan_that_is_off(family: str, how: str) -> None:
    script = ModeScript(family)
    answer = "INVALID_CONTENT" if how == "answer" else "OK"
    script.instruct(WORK, answer, execution_time=at(60))
    if how == "status":
        script.update("REJECTED")
    if how == "revoked":
        revoked = {"object_type": f"{family}.Instruction", "object_id": "#instruction-0"}
        script.cem("RevokeObject", **revoked)
    script.instruct(ABNORMAL, execution_time=at(120), abnormal_condition=True)
    assert script.found == []


@FAMILIES
def test_the_cem_may_not_know_yet_that_a_part_of_its_plan_is_off(family: str) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    script.instruct(REST)
    script.rm(
        "InstructionStatusUpdate",
        answer=None,
        instruction_id="#instruction-0",
        status_type="REJECTED",
        timestamp=at(0),
    )
    script.instruct(WORK)
    assert script.found == []


@FAMILIES
def test_an_instruction_may_take_the_place_of_another_for_the_same_time(family: str) -> None:
    script = ModeScript(family)
    script.instruct(WORK, execution_time=at(60))
    script.instruct(ABNORMAL, execution_time=at(60), abnormal_condition=True)
    assert script.found == []


@FAMILIES
def test_the_cem_may_have_planned_anew(family: str) -> None:
    """Without revoking what it had planned before."""
    script = ModeScript(family)
    script.instruct(WORK, execution_time=at(300))
    script.instruct(REST, execution_time=at(200))
    script.instruct(ABNORMAL, execution_time=at(400), abnormal_condition=True)
    assert script.found == []


@FAMILIES
def test_a_plan_from_before_the_control_type_was_selected_again(family: str) -> None:
    script = ModeScript(family)
    script.instruct(WORK, execution_time=at(60))
    script.select(family)
    script.rm(STATUS[family])
    script.instruct(ABNORMAL, execution_time=at(120), abnormal_condition=True)
    assert script.found == []


@FAMILIES
def test_an_instruction_that_is_wrong_itself_is_no_part_of_a_plan(family: str) -> None:
    script = ModeScript(family)
    script.instruct(ABNORMAL, execution_time=at(60))  # and not abnormal
    script.instruct(WORK, execution_time=at(120))
    assert [each.code for each in script.found] == ["modes.abnormal-mode"]


@FAMILIES
def test_a_part_of_a_plan_that_is_done_with(family: str) -> None:
    script = ModeScript(family)
    script.instruct(WORK, execution_time=at(10))
    script.instruct(REST, execution_time=at(90))
    script.wait(10)
    script.switched(WORK)
    script.wait(80)
    script.switched(REST, WORK)
    script.instruct(ABNORMAL, abnormal_condition=True)
    assert script.found == []
    script.wait(1)
    script.switched(ABNORMAL)
    script.wait(1)
    script.instruct(WORK)  # and no word of any instruction
    assert script.only.code == "modes.unreachable"


@FAMILIES
def test_a_device_that_does_not_follow_its_plan(family: str) -> None:
    """Only what was to happen later is certain; the mode is what the RM says."""
    script = ModeScript(family)
    script.instruct(WORK, execution_time=at(10))
    script.wait(20)
    script.instruct(ABNORMAL, abnormal_condition=True)
    assert script.found == []


@FAMILIES
def test_a_plan_that_begins_at_once(family: str) -> None:
    script = ModeScript(family)
    script.instruct(WORK)
    script.instruct(ABNORMAL, execution_time=at(300), abnormal_condition=True)
    assert script.only.code == "modes.unreachable"


@FAMILIES
def test_a_device_that_has_not_followed_for_long(family: str) -> None:
    script = ModeScript(family)
    script.instruct(WORK)
    script.wait(100)
    script.instruct(ABNORMAL, execution_time=at(300), abnormal_condition=True)
    assert script.found == []


@FAMILIES
@pytest.mark.parametrize("field", ["active_operation_mode_id", "actuator_id", None])
def test_a_status_that_cannot_be_read_may_have_told_another_mode(
    family: str, field: str | None
) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    if field is None:
        script.raw(Role.RM, b"{")
    elif field == "actuator_id" and family == "OMBC":
        return
    else:
        absent: dict[str, Any] = {"active_operation_mode_id": "#other", field: None}
        script.rm(STATUS[family], "INVALID_MESSAGE", **absent)
    script.wait(1)
    script.instruct(WORK)
    assert "modes.unreachable" not in script.codes


@FAMILIES
@pytest.mark.parametrize("readable", [True, False])
def test_the_status_of_a_timer_that_cannot_be_read(family: str, readable: bool) -> None:
    script = ModeScript(family)
    script.switched(WORK, transition_timestamp=at(0))
    if readable:
        script.rm(f"{family}.TimerStatus", "INVALID_MESSAGE", finished_at="now")
    else:
        script.raw(Role.RM, b"{")
    script.switched(WORK, transition_timestamp=at(0))
    script.wait(1)
    script.instruct(REST)
    assert "modes.blocked" not in script.codes


@FAMILIES
def test_an_instruction_that_was_not_delivered_is_no_part_of_a_plan(family: str) -> None:
    script = ModeScript(family)
    script.raw(
        Role.CEM,
        f'{{"message_type": "{family}.Instructoin", "message_id": "{identifier("x")}"}}'.encode(),
    )
    script.instruct(ABNORMAL, abnormal_condition=True)
    assert script.found == []


@FAMILIES
def test_a_plan_in_which_a_timer_still_runs(family: str) -> None:
    script = ModeScript(family)
    script.instruct(WORK, execution_time=at(60))
    script.instruct(REST, execution_time=at(100))
    check(
        script.only,
        "modes.blocked",
        Severity.WARNING,
        "/execution_time",
        "until 2026-03-01T12:02:00Z, since the switch by",
        f"the {family}.Instruction",
    )


@FAMILIES
@pytest.mark.parametrize("seconds", [118.5, 120, 300])
def test_a_plan_in_which_a_timer_is_finished(family: str, seconds: float) -> None:
    script = ModeScript(family)
    script.instruct(WORK, execution_time=at(60))
    script.instruct(REST, execution_time=at(seconds))
    assert script.found == []


@FAMILIES
def test_a_transition_for_abnormal_conditions_in_a_plan(family: str) -> None:
    script = ModeScript(family, described=False)
    rest, work = MODES[family][REST][1:], MODES[family][WORK][1:]
    moves = [transition(rest, work), transition(work, rest, abnormal_condition_only=True)]
    modes = [mode(family, rest), mode(family, work)]
    script.describe(**with_modes(family, *modes, transitions=moves))
    script.rm(STATUS[family])
    script.instruct(WORK, execution_time=at(60))
    script.instruct(REST, execution_time=at(600), abnormal_condition=True)
    assert script.found == []
    script.instruct(WORK, execution_time=at(900))
    script.instruct(REST, execution_time=at(1200))
    assert script.only.code == "modes.abnormal-transition"


def test_many_instructions_of_a_plan_do_not_take_long() -> None:
    script = ModeScript("OMBC")
    for step in range(300):
        script.instruct(REST if step % 2 else WORK, execution_time=at(120 * (step + 1)))
    assert script.found == []
