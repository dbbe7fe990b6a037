"""What a status says about the switch to the active mode."""

from __future__ import annotations

from typing import Any

import pytest
from mode_script import (
    ABNORMAL,
    FAMILIES,
    MODES,
    REST,
    STATUS,
    WORK,
    ModeScript,
    check,
    in_words,
    mode,
    with_modes,
)

from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.examples.templates import START, at, timer, transition
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import short_id

# The mode before


@FAMILIES
def test_another_mode_before_than_was_active(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK, ABNORMAL)
    check(
        script.only,
        "modes.wrong-previous",
        Severity.WARNING,
        "/previous_operation_mode_id",
        f"{in_words(MODES[family][ABNORMAL])} cannot have been active before: it was"
        f" {in_words(MODES[family][REST])} by the {STATUS[family]}",
    )


@FAMILIES
def test_the_same_switch_from_another_mode(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK, transition_timestamp=at(0))
    script.switched(WORK, ABNORMAL, transition_timestamp=at(0))
    assert [each.code for each in script.found] == ["modes.wrong-previous"]


@FAMILIES
def test_the_active_mode_may_have_been_left_and_come_back(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK, transition_timestamp=at(0))
    script.wait(300)
    script.switched(WORK, ABNORMAL)
    assert "modes.wrong-previous" not in script.codes


@FAMILIES
def test_a_mode_that_was_only_passed_through(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    script.wait(90)
    script.switched(ABNORMAL, REST)
    assert script.found == []


@FAMILIES
def test_a_mode_that_was_renamed_since(family: str) -> None:
    script = ModeScript(family)
    modes = [mode(family, "renamed"), mode(family, "another")]
    script.describe(**with_modes(family, *modes))
    script.switched("#another", "#renamed")
    assert script.found == []


@FAMILIES
def test_the_status_in_between_may_not_have_been_readable(family: str) -> None:
    script = ModeScript(family)
    script.raw(Role.RM, b"{")
    script.switched(WORK, ABNORMAL)
    assert "modes.wrong-previous" not in script.codes


@FAMILIES
def test_a_status_that_the_user_has_injected_is_not_the_word_of_the_rm(family: str) -> None:
    script = ModeScript(family)
    status = {
        "active_operation_mode_id": MODES[family][ABNORMAL],
        "previous_operation_mode_id": MODES[family][REST],
        "transition_timestamp": at(0),
    }
    script.inject(Role.RM, STATUS[family], **status)
    script.switched(WORK, REST)
    assert script.found == []


@FAMILIES
def test_another_factor_is_a_switch_to_the_same_mode(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    script.wait(10)
    script.switched(WORK, WORK, operation_mode_factor=0.5)
    assert script.found == []


# What is left out


@FAMILIES
@pytest.mark.parametrize("field", ["previous_operation_mode_id", "transition_timestamp"])
def test_the_mode_before_is_named_once_and_then_no_more(family: str, field: str) -> None:
    script = ModeScript(family)
    script.switched(WORK, transition_timestamp=at(0))
    absent: dict[str, Any] = {"transition_timestamp": at(0), field: None}
    script.switched(WORK, **absent)
    script.switched(WORK, **absent)
    check(script.only, "modes.no-previous", Severity.ERROR, "", f"{field} is missing: the ")
    assert script.only.text.endswith("has told of a mode that was active before")


@FAMILIES
def test_with_a_new_description_the_modes_begin_anew(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    script.describe()
    script.rm(STATUS[family], active_operation_mode_id=MODES[family][WORK])
    assert script.found == []


# Transitions


@FAMILIES
def test_a_switch_as_no_transition_leads(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    script.wait(90)
    script.switched(ABNORMAL, WORK)
    script.wait(90)
    script.switched(WORK, ABNORMAL)
    check(
        script.only,
        "modes.no-transition",
        Severity.INFO,
        "/active_operation_mode_id",
        f"no transition leads from {in_words(MODES[family][WORK])}"
        f" to {in_words(MODES[family][ABNORMAL])}, by the {family}.SystemDescription",
    )


@FAMILIES
def test_a_switch_from_before_the_description_and_one_that_is_told_again(family: str) -> None:
    script = ModeScript(family, described=False)
    script.wait(10)
    script.describe()
    for _ in range(2):
        script.switched(WORK, ABNORMAL, transition_timestamp=at(-5))
    assert script.found == []


@FAMILIES
def test_a_device_without_transitions_and_one_with_a_new_description(family: str) -> None:
    script = ModeScript(family, described=False)
    modes = [mode(family, name) for name in MODES[family]]
    script.describe(**with_modes(family, *modes, transitions=[]))
    script.switched(WORK)
    moves = [transition(MODES[family][WORK][1:], MODES[family][ABNORMAL][1:])]
    script.describe(None, **with_modes(family, *modes, transitions=moves))
    script.switched(ABNORMAL, WORK)
    assert [each.code for each in script.found if each.code != "ddbc.no-transitions"] == []


@FAMILIES
def test_the_rm_follows_an_instruction_that_is_wrong(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK, transition_timestamp=at(-100))
    script.instruct(ABNORMAL, abnormal_condition=True)
    script.switched(ABNORMAL, WORK)
    assert [each.code for each in script.found] == ["modes.unreachable"]


# Timers


@FAMILIES
def test_a_switch_while_a_timer_blocks_it(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    script.rm(f"{family}.TimerStatus", finished_at=at(60))
    script.wait(30)
    script.switched(REST, WORK)
    check(
        script.only,
        "modes.switched-early",
        Severity.WARNING,
        "/transition_timestamp",
        f"timer {short_id(identifier('rest'))} blocks the transition from",
        f"until 2026-03-01T12:01:00Z, by the {family}.TimerStatus",
    )


@FAMILIES
def test_a_switch_while_a_timer_blocks_it_that_a_switch_has_started(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    script.wait(30)
    script.switched(REST, WORK)
    assert script.only.code == "modes.switched-early"
    assert f"since the switch in the {STATUS[family]}" in script.only.text


@FAMILIES
@pytest.mark.parametrize("seconds", [58.5, 60, 100])
def test_a_switch_when_the_timer_is_finished(family: str, seconds: float) -> None:
    script = ModeScript(family)
    script.switched(WORK, transition_timestamp=at(0))
    script.wait(100)
    script.switched(REST, WORK, transition_timestamp=at(seconds))
    assert script.found == []


@FAMILIES
def test_a_timer_that_is_finished_early_blocks_no_switch(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    script.rm(f"{family}.TimerStatus", finished_at=at(0))
    script.wait(30)
    script.switched(REST, WORK)
    assert script.found == []


@FAMILIES
def test_a_timer_that_the_switch_itself_starts_does_not_block_it(family: str) -> None:
    script = ModeScript(family, described=False)
    rest, work = MODES[family][REST][1:], MODES[family][WORK][1:]
    often = {"start_timers": ["#rest"], "blocking_timers": ["#rest"]}
    moves = [transition(rest, work, **often), transition(work, rest, **often)]
    modes = [mode(family, name) for name in MODES[family]]
    script.describe(**with_modes(family, *modes, transitions=moves, timers=[timer("rest")]))
    for step, before in ((WORK, REST), (REST, WORK)):
        script.rm(f"{family}.TimerStatus", finished_at=at(script.now + 60 - START))
        script.switched(step, before)
        script.wait(65)
    assert script.found == []


@FAMILIES
def test_the_rm_follows_an_instruction_that_comes_too_early(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK)
    script.wait(10)
    script.instruct(REST)
    script.switched(REST, WORK)
    assert [each.code for each in script.found] == ["modes.blocked"]


@FAMILIES
@pytest.mark.parametrize("status", ["ABORTED", "REVOKED", "STARTED", "SUCCEEDED"])
def test_the_rm_leaves_a_mode_since_it_cannot_go_on(family: str, status: str) -> None:
    script = ModeScript(family)
    script.wait(10)
    script.instruct(WORK)
    script.update("STARTED")
    script.switched(WORK)
    script.wait(5)
    script.update(status)
    script.switched(REST, WORK)
    given_up = status in ("ABORTED", "REVOKED")
    assert [each.code for each in script.found] == ([] if given_up else ["modes.switched-early"])


@FAMILIES
def test_an_instruction_that_was_given_up_is_not_the_one_that_led_there(family: str) -> None:
    script = ModeScript(family)
    script.wait(10)
    script.instruct(WORK)
    script.switched(WORK)
    script.wait(5)
    script.instruct(REST, execution_time=at(120))
    script.update("ABORTED", 1)
    script.switched(REST, WORK)
    assert [each.code for each in script.found] == ["modes.switched-early"]
