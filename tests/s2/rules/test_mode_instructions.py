"""What an instruction may ask for: modes, factors, transitions and timers."""

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
    WITH_ACTUATORS,
    WORK,
    ModeScript,
    check,
    in_words,
    mode,
    with_modes,
)

from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.examples.templates import (
    actuator,
    at,
    ddbc_actuator,
    timer,
    transition,
)
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import short_id


@FAMILIES
@pytest.mark.parametrize("factor", [-0.01, 1.01, 50, 10**400, -1e300])
def test_a_factor_beyond_its_range(family: str, factor: float) -> None:
    script = ModeScript(family)
    script.instruct(WORK, operation_mode_factor=factor)
    if abs(factor) > 1e308:  # said of the number itself already
        assert script.found == []
        return
    path = "/operation_mode_factor"
    check(script.only, "modes.factor", Severity.WARNING, path, "is not between 0 and 1")


@FAMILIES
@pytest.mark.parametrize("factor", [0, 1, 0.1 + 0.2, 1.0000000000000002])
def test_a_factor_just_within_its_range(family: str, factor: float) -> None:
    script = ModeScript(family)
    script.rm(STATUS[family], operation_mode_factor=factor)
    assert script.found == []


@FAMILIES
def test_the_factor_of_a_status(family: str) -> None:
    script = ModeScript(family)
    script.rm(STATUS[family], operation_mode_factor=70)
    assert script.only.code == "modes.factor"
    assert script.only.text == "number 70 is not between 0 and 1"


@FAMILIES
def test_a_mode_for_abnormal_conditions(family: str) -> None:
    script = ModeScript(family)
    script.instruct(ABNORMAL)
    check(
        script.only,
        "modes.abnormal-mode",
        Severity.ERROR,
        f"/{TARGET[family]}",
        f"{in_words(MODES[family][ABNORMAL])} needs abnormal_condition to be true: it is for",
        f"the {family}.SystemDescription",
    )


@FAMILIES
def test_a_mode_for_abnormal_conditions_in_one(family: str) -> None:
    script = ModeScript(family)
    script.instruct(ABNORMAL, abnormal_condition=True)
    script.switched(ABNORMAL)
    assert script.found == []


@FAMILIES
def test_a_mode_that_is_no_longer_for_abnormal_conditions_only(family: str) -> None:
    script = ModeScript(family)
    rest, abnormal = MODES[family][REST], MODES[family][ABNORMAL]
    move = transition(rest[1:], abnormal[1:])
    modes = [mode(family, rest), mode(family, abnormal)]
    script.describe(None, **with_modes(family, *modes, transitions=[move]))
    script.instruct(ABNORMAL)
    assert script.found == []


@FAMILIES
def test_a_mode_that_cannot_be_reached(family: str) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    script.wait(1)
    script.instruct(WORK)
    check(
        script.only,
        "modes.unreachable",
        Severity.WARNING,
        f"/{TARGET[family]}",
        f"no transition leads from {in_words(MODES[family][ABNORMAL])}"
        f' to {in_words(MODES[family][WORK])}; "{MODES[family][ABNORMAL][1:]}" is active by'
        f" the {STATUS[family]}",
    )


@FAMILIES
def test_the_mode_that_is_active_needs_no_transition(family: str) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    script.instruct(ABNORMAL, abnormal_condition=True, operation_mode_factor=0.3)
    assert script.found == []


@FAMILIES
def test_from_an_unknown_mode_everything_may_be_reached(family: str) -> None:
    script = ModeScript(family, described=False)
    modes = [mode(family, name) for name in MODES[family]]
    move = transition(MODES[family][REST][1:], MODES[family][ABNORMAL][1:])
    script.describe(**with_modes(family, *modes, transitions=[move]))
    script.instruct(WORK)
    assert script.found == []


@FAMILIES
def test_what_is_to_happen_later_may_start_from_another_mode(family: str) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    script.instruct(WORK, execution_time=at(300))
    assert script.found == []


@FAMILIES
@pytest.mark.parametrize("status", [None, "NEW", "ACCEPTED", "STARTED", "SUCCEEDED", "ABORTED"])
def test_an_earlier_instruction_may_have_changed_the_mode(family: str, status: str | None) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    script.instruct(REST)
    if status:
        script.update(status)
    script.instruct(WORK)
    assert script.found == []


@FAMILIES
@pytest.mark.parametrize("end", ["SUCCEEDED", "ABORTED"])
def test_an_earlier_instruction_is_done_with(family: str, end: str) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    script.instruct(REST)
    script.update("ACCEPTED")
    script.update(end)
    script.switched(ABNORMAL)  # not where it was to go
    script.instruct(WORK)
    assert script.only.code == "modes.unreachable"


@FAMILIES
@pytest.mark.parametrize("by", ["status", "answer"])
def test_an_earlier_instruction_was_turned_down(family: str, by: str) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    script.instruct(REST, answer="INVALID_CONTENT" if by == "answer" else "OK")
    if by == "status":
        script.update("REJECTED")
    script.instruct(WORK)
    assert script.only.code == "modes.unreachable"


@FAMILIES
def test_an_earlier_instruction_has_led_to_the_active_mode(family: str) -> None:
    script = ModeScript(family)
    script.instruct(ABNORMAL, abnormal_condition=True)
    script.switched(ABNORMAL)  # and no word of the instruction
    script.instruct(WORK)
    assert script.only.code == "modes.unreachable"


@WITH_ACTUATORS
def test_an_instruction_for_another_actuator_changes_nothing_here(family: str) -> None:
    script = ModeScript(family, described=False)
    make = actuator if family == "FRBC" else ddbc_actuator
    script.describe(actuators=[make(), make(id="#other")])
    script.switched(ABNORMAL)
    script.instruct(REST, actuator_id="#other")
    script.instruct(WORK)
    assert script.only.code == "modes.unreachable"


@FAMILIES
def test_a_new_description_may_have_the_transition(family: str) -> None:
    script = ModeScript(family)
    script.switched(ABNORMAL)
    modes = [mode(family, name) for name in MODES[family]]
    moves = [transition(MODES[family][ABNORMAL][1:], MODES[family][WORK][1:])]
    script.describe(None, **with_modes(family, *modes, transitions=moves))
    script.instruct(WORK)
    assert script.found == []


@FAMILIES
def test_the_active_mode_may_be_of_a_description_that_was_replaced(family: str) -> None:
    script = ModeScript(family)
    script.describe(**with_modes(family, mode(family, "renamed"), mode(family, "another")))
    script.wait(10)
    script.instruct("#another")
    assert script.found == []


@FAMILIES
def test_that_there_are_no_transitions_at_all_is_told_once(family: str) -> None:
    script = ModeScript(family, described=False)
    modes = [mode(family, "a"), mode(family, "b")]
    for transitions in ([], [], [transition("b", "a")]):
        script.wait(5)
        script.describe(**with_modes(family, *modes, transitions=transitions))
        script.rm(STATUS[family], active_operation_mode_id="#a")
        script.instruct("#b", answer="INVALID_CONTENT")
        script.instruct("#b", answer="INVALID_CONTENT")
    found = [each.text for each in script.found if each.code == "modes.unreachable"]
    told = [] if family == "DDBC" else [True, True]  # which has a rule of its own for that
    assert [text.endswith("no transitions at all") for text in found] == [*told, False, False]


def abnormal_way(family: str, *more: dict[str, Any]) -> dict[str, Any]:
    """A description whose transition from rest to work is for abnormal conditions."""
    rest, work = MODES[family][REST], MODES[family][WORK]
    moves = [transition(rest[1:], work[1:], abnormal_condition_only=True), *more]
    return with_modes(family, mode(family, rest), mode(family, work), transitions=moves)


@FAMILIES
def test_a_transition_for_abnormal_conditions(family: str) -> None:
    script = ModeScript(family, described=False)
    script.describe(**abnormal_way(family))
    script.rm(STATUS[family])
    script.instruct(WORK)
    check(
        script.only,
        "modes.abnormal-transition",
        Severity.ERROR,
        f"/{TARGET[family]}",
        "the transition from",
        f"{in_words(MODES[family][WORK])} needs abnormal_condition to be true;",
    )


@FAMILIES
def test_a_mode_for_abnormal_conditions_is_not_a_transition_for_them_too(family: str) -> None:
    script = ModeScript(family, described=False)
    rest, abnormal = MODES[family][REST], MODES[family][ABNORMAL]
    modes = [mode(family, rest), mode(family, abnormal, abnormal_condition_only=True)]
    move = transition(rest[1:], abnormal[1:], abnormal_condition_only=True)
    script.describe(**with_modes(family, *modes, transitions=[move]))
    script.rm(STATUS[family])
    script.instruct(ABNORMAL)
    assert script.only.code == "modes.abnormal-mode"


@FAMILIES
@pytest.mark.parametrize("way", ["abnormal", "other", "status"])
def test_no_transition_for_abnormal_conditions_is_needed(family: str, way: str) -> None:
    script = ModeScript(family, described=False)
    other = transition(MODES[family][REST][1:], MODES[family][WORK][1:], id="#another-way")
    script.describe(**abnormal_way(family, *([other] if way == "other" else [])))
    if way != "status":
        script.rm(STATUS[family])
    script.instruct(WORK, abnormal_condition=way == "abnormal")
    assert script.found == []


def resting(family: str, finished: float) -> ModeScript:
    """The device works, and a timer blocks its way back until then."""
    script = ModeScript(family)
    script.switched(WORK)
    script.rm(f"{family}.TimerStatus", finished_at=at(finished))
    return script


@FAMILIES
def test_a_timer_blocks_the_way(family: str) -> None:
    script = resting(family, 60)
    script.instruct(REST, execution_time=at(30))
    check(
        script.only,
        "modes.blocked",
        Severity.WARNING,
        "/execution_time",
        f"timer {short_id(identifier('rest'))} blocks the transition from",
        f"until 2026-03-01T12:01:00Z, by the {family}.TimerStatus",
    )


@FAMILIES
def test_a_timer_blocks_what_is_to_happen_at_once(family: str) -> None:
    script = resting(family, 60)
    script.instruct(REST, execution_time=at(-3600))
    assert script.only.code == "modes.blocked"


@FAMILIES
@pytest.mark.parametrize(("finished", "execution"), [(60, 60), (60, 59), (31, 30), (-1, 0)])
def test_a_timer_is_finished_in_time(family: str, finished: float, execution: float) -> None:
    script = resting(family, finished)
    script.instruct(REST, execution_time=at(execution))
    assert script.found == []


@FAMILIES
def test_a_timer_is_finished_early(family: str) -> None:
    script = resting(family, 60)
    script.rm(f"{family}.TimerStatus", finished_at=at(0))
    script.instruct(REST)
    assert script.found == []


@FAMILIES
def test_a_timer_that_runs_longer_than_it_can_is_not_believed(family: str) -> None:
    script = resting(family, 3600)
    script.instruct(REST)
    assert script.found == []


@FAMILIES
def test_a_timer_of_another_transition_blocks_nothing(family: str) -> None:
    script = ModeScript(family)
    script.rm(f"{family}.TimerStatus", finished_at=at(60))
    script.instruct(WORK)
    assert script.found == []


@FAMILIES
def test_another_transition_is_not_blocked(family: str) -> None:
    script = ModeScript(family, described=False)
    way = (MODES[family][WORK][1:], MODES[family][REST][1:])
    moves = [
        transition(*reversed(way)),
        transition(*way, blocking_timers=["#rest", "#never-started"]),
        transition(*way, id="#another-way", blocking_timers=["#never-started"]),
    ]
    modes = [mode(family, name) for name in MODES[family]]
    timers = [timer("rest"), timer("never-started")]
    script.describe(**with_modes(family, *modes, transitions=moves, timers=timers))
    script.switched(WORK)
    script.rm(f"{family}.TimerStatus", finished_at=at(60))
    script.instruct(REST)
    assert script.found == []


@FAMILIES
def test_an_unknown_mode_is_nothing_else_besides(family: str) -> None:
    script = resting(family, 60)
    script.instruct("#no-such")
    script.switched("#no-such", previous_operation_mode_id=None, transition_timestamp=None)
    assert [each.code for each in script.found] == ["modes.unknown-mode"] * 2


LONG = timer("rest", duration=300000)


def waiting(family: str, **transitions: Any) -> ModeScript:
    """A device that has to work for five minutes before it may rest."""
    script = ModeScript(family, described=False)
    modes = [mode(family, name) for name in MODES[family]]
    rest, work, other = (name[1:] for name in MODES[family])
    moves = [
        transition(rest, work, start_timers=["#rest"]),
        transition(work, rest, blocking_timers=["#rest"]),
        transition(other, rest, **transitions),
        transition(work, other),
    ]
    script.describe(**with_modes(family, *modes, transitions=moves, timers=[LONG]))
    script.wait(10)
    script.switched(WORK)
    script.rm(f"{family}.TimerStatus", finished_at=at(309))
    script.wait(5)
    return script


@FAMILIES
def test_a_timer_blocks_every_way_to_a_mode_for_later(family: str) -> None:
    script = waiting(family, blocking_timers=["#rest"])
    script.instruct(REST, execution_time=at(200))
    check(
        script.only,
        "modes.blocked",
        Severity.WARNING,
        "/execution_time",
        f"timer {short_id(identifier('rest'))} blocks every transition to"
        f" {in_words(MODES[family][REST])} until 2026-03-01T12:05:09Z, by the {family}.TimerStatus",
    )


@FAMILIES
def test_a_way_to_a_mode_for_later_is_not_blocked(family: str) -> None:
    script = waiting(family)
    script.instruct(REST, execution_time=at(200))
    assert script.found == []


@FAMILIES
def test_a_timer_that_blocks_every_way_is_finished_in_time(family: str) -> None:
    script = waiting(family, blocking_timers=["#rest"])
    script.instruct(REST, execution_time=at(308))
    assert script.found == []


@FAMILIES
def test_the_mode_for_later_is_active_already(family: str) -> None:
    script = waiting(family, blocking_timers=["#rest"])
    script.switched(REST, WORK, transition_timestamp=at(310))
    before = len(script.found)
    script.instruct(REST, execution_time=at(200))
    assert script.found[before:] == []
