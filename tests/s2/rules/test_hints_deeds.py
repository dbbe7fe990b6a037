"""Hints about what an RM says and what it is then seen to do."""

from __future__ import annotations

import pytest
from mode_script import FAMILIES, REST, STATUS, WORK, ModeScript

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import (
    START,
    actuator,
    at,
    ombc_mode,
    power,
    transition,
    waiting,
)
from s2_mitm.s2.verdict import Severity


def hints(script: Script) -> list[tuple[str, str]]:
    """All findings, which are hints: their codes and places."""
    assert all(finding.severity is Severity.INFO for finding in script.findings), script.findings
    return [(finding.code.removeprefix("hint."), finding.path) for finding in script.findings]


def instructed(family: str, *statuses: str) -> ModeScript:
    """The active mode is known, another is instructed, and the RM tells how far that came."""
    script = ModeScript(family)
    script.wait(5)
    script.instruct(WORK)
    for status in statuses:
        script.update(status)
    return script


def status(script: ModeScript, mode: str) -> None:
    """The RM says which mode is active, which has been so from the first."""
    script.rm(STATUS[script.family], active_operation_mode_id=mode)


RESTING = {"FRBC": "#idle", "OMBC": "#off", "DDBC": "#off"}


# Succeeded, and not done


@FAMILIES
def test_a_status_still_has_the_mode_before(family: str) -> None:
    script = instructed(family, "ACCEPTED", "STARTED", "SUCCEEDED")
    script.wait(30)
    status(script, RESTING[family])
    status(script, RESTING[family])
    script.close()
    assert hints(script) == [("not-done", "/active_operation_mode_id")]
    (finding,) = script.findings
    assert finding.text.startswith('it is still "')
    assert script.late == []


@FAMILIES
def test_no_status_comes_after_it_has_succeeded(family: str) -> None:
    script = instructed(family, "SUCCEEDED")
    script.wait(30)
    assert script.findings == []
    script.close()
    assert hints(script) == [("not-done", "")]
    (late,) = script.late
    assert late.message_type == "InstructionStatusUpdate"
    assert late.sender == "RM"


def test_the_last_word_is_the_mode_before() -> None:
    script = instructed("FRBC", "SUCCEEDED")
    status(script, "#idle")
    script.wait(0.5)
    assert script.findings == []
    script.close()
    assert hints(script) == [("not-done", "")]


@FAMILIES
def test_it_is_done(family: str) -> None:
    script = instructed(family, "SUCCEEDED")
    script.switched(WORK)
    script.wait(30)
    script.close()
    assert script.findings == []


@FAMILIES
def test_it_was_done_before_it_succeeded_and_is_over(family: str) -> None:
    script = instructed(family, "STARTED")
    script.switched(WORK)
    script.wait(90)
    script.switched(REST, since=WORK)
    script.update("SUCCEEDED")
    script.wait(30)
    script.close()
    assert script.findings == []


def test_a_status_that_was_on_its_way() -> None:
    script = instructed("FRBC", "SUCCEEDED")
    status(script, "#idle")
    script.wait(1)
    script.switched(WORK)
    script.close()
    assert script.findings == []


def test_the_transition_takes_its_time() -> None:
    script = ModeScript("OMBC", described=False)
    move = {"id": "#on", "from": "#off", "to": "#on", "transition_duration": 60000}
    move |= {"start_timers": [], "blocking_timers": [], "abnormal_condition_only": False}
    script.describe(transitions=[move])
    status(script, "#off")
    script.instruct(WORK)
    script.update("SUCCEEDED")
    script.wait(40)
    status(script, "#off")
    assert script.findings == []
    script.wait(40)
    status(script, "#off")
    assert hints(script) == [("not-done", "/active_operation_mode_id")]


def test_the_connection_is_closed_soon() -> None:
    script = instructed("FRBC", "SUCCEEDED")
    script.wait(3)
    script.close()
    assert script.findings == []


@pytest.mark.parametrize("last", ["ACCEPTED", "STARTED", "ABORTED", "REJECTED"])
def test_what_has_not_succeeded_need_not_be_done(last: str) -> None:
    script = instructed("FRBC", last)
    script.wait(30)
    status(script, "#idle")
    script.close()
    assert script.findings == []


def test_the_mode_was_active_already_or_is_not_known() -> None:
    script = ModeScript("FRBC")
    script.instruct(REST)
    script.update("SUCCEEDED")
    script.wait(30)
    status(script, "#idle")
    script.close()
    assert script.findings == []
    script = ModeScript("FRBC", described=False)
    script.describe()
    script.instruct(WORK)
    script.update("SUCCEEDED")
    script.wait(30)
    script.close()
    assert script.findings == []


def test_a_later_instruction_leads_back() -> None:
    script = instructed("FRBC", "SUCCEEDED")
    script.instruct(REST)
    script.wait(30)
    status(script, "#idle")
    assert script.findings == []


def test_the_device_describes_itself_anew() -> None:
    """Its modes have other ids, and nobody knows which was which."""
    script = ModeScript("OMBC")
    modes = [ombc_mode(name) for name in ("rest", "work")]
    script.describe(operation_modes=modes, transitions=[transition("rest", "work")], timers=[])
    script.instruct("#work")
    script.update("SUCCEEDED")
    script.wait(30)
    script.close()
    assert script.findings == []


# Rejected, and done


@FAMILIES
def test_rejected_and_yet_done(family: str) -> None:
    script = instructed(family, "REJECTED")
    script.wait(1)
    script.switched(WORK)
    assert hints(script) == [("done-though-rejected", "/active_operation_mode_id")]


@FAMILIES
def test_the_device_switches_by_itself_much_later(family: str) -> None:
    script = instructed(family, "REJECTED")
    script.wait(90)
    script.switched(WORK)
    assert script.findings == []


def test_the_same_was_asked_before() -> None:
    script = instructed("FRBC", "ACCEPTED")
    script.instruct(WORK, operation_mode_factor=1)
    script.update("REJECTED", 1)
    script.switched(WORK)
    assert script.findings == []


def test_rejected_while_it_was_active() -> None:
    script = ModeScript("FRBC")
    script.switched(WORK)
    script.instruct(WORK)
    script.update("REJECTED")
    script.switched(WORK)
    assert script.findings == []


@pytest.mark.parametrize(("sequence", "said"), [("#eco", True), ("#fast", False)])
def test_a_sequence_is_rejected_and_runs(sequence: str, said: bool) -> None:
    script = Script()
    script.begin("PPBC")
    script.rm("PPBC.PowerProfileStatus")
    script.cem("PPBC.ScheduleInstruction")
    script.rm("InstructionStatusUpdate", status_type="REJECTED")
    named = {"power_profile_id": "#profile", "sequence_container_id": "#wash"}
    named |= {"selected_sequence_id": sequence, "status": "SCHEDULED"}
    script.rm("PPBC.PowerProfileStatus", sequence_container_status=[named, waiting("spin")])
    told = [code for code, _ in hints(script) if code == "done-though-rejected"]
    assert told == (["done-though-rejected"] if said else [])


# Before its time


@pytest.mark.parametrize("told", ["STARTED", "SUCCEEDED"])
@pytest.mark.parametrize(("ahead", "said"), [(900, True), (70, True), (50, False), (-5, False)])
def test_before_its_time(told: str, ahead: float, said: bool) -> None:
    script = ModeScript("FRBC")
    script.instruct(WORK, execution_time=at(script.now - START + ahead))
    script.update(told)
    assert hints(script) == ([("too-early", "/status_type")] if said else [])


def test_the_clock_of_this_machine_is_behind() -> None:
    script = ModeScript("FRBC")
    script.instruct(WORK, execution_time=at(50 + 5))
    script.rm(
        "InstructionStatusUpdate",
        instruction_id="#instruction-0",
        status_type="STARTED",
        timestamp=at(50 + 6),
    )
    assert script.findings == []


@pytest.mark.parametrize("told", ["NEW", "ACCEPTED", "REJECTED", "ABORTED"])
def test_what_may_be_said_before_its_time(told: str) -> None:
    script = ModeScript("FRBC")
    script.instruct(WORK, execution_time=at(900))
    script.update(told)
    assert script.findings == []


# Power outside of the mode


def powered(*ranges: tuple[float, float], quantity: str = "ELECTRIC.POWER.L1") -> ModeScript:
    """A device whose modes have these powers; the first is active."""
    script = ModeScript("OMBC", described=False)
    names = ["off", "on", "boost"]
    modes = [
        {
            "id": f"#{name}",
            "diagnostic_label": name,
            "power_ranges": [power(*each, quantity)],
            "abnormal_condition_only": False,
        }
        for name, each in zip(names, ranges, strict=False)
    ]
    moves = [
        {
            "id": f"#{start}-{end}",
            "from": f"#{start}",
            "to": f"#{end}",
            "start_timers": [],
            "blocking_timers": [],
            "abnormal_condition_only": False,
        }
        for start in names[: len(modes)]
        for end in names[: len(modes)]
        if start != end
    ]
    script.describe(operation_modes=modes, transitions=moves, timers=[])
    status(script, "#off")
    return script


def measure(script: Script, watts: float, quantity: str = "ELECTRIC.POWER.L1") -> None:
    script.rm(
        "PowerMeasurement",
        measurement_timestamp=at(script.now - START),
        values=[{"commodity_quantity": quantity, "value": watts}],
    )


OUTSIDE = [("power-outside-mode", "/values/0/value")]


@pytest.mark.parametrize(
    ("mode", "watts", "said"),
    [
        ((0, 0), 3000, True),
        ((1000, 4000), -3000, True),
        ((-4000, -1000), 3000, True),
        ((1000, 4000), 9000, True),
        ((0, 0), 30, False),  # standby
        ((1000, 4000), 4700, False),  # not so far
        ((1000, 4000), 0, False),  # full, it may be, or ramping
        ((-4000, -1000), 0, False),
    ],
)
def test_a_power_after_two_minutes(mode: tuple[float, float], watts: float, said: bool) -> None:
    script = powered(mode, (-5000, 5000))
    script.wait(10)
    measure(script, watts)
    assert script.findings == []
    script.wait(120)
    measure(script, watts)
    measure(script, watts)
    assert hints(script) == (OUTSIDE if said else [])


def test_what_is_said_of_it() -> None:
    script = powered((1000, 4000), (0, 0))
    script.wait(130)
    measure(script, 9000)
    (finding,) = script.findings
    assert finding.text.startswith('9000 W, but the active mode "off" (')
    assert finding.text.endswith(") is described with 1000 to 4000 W")


def test_two_measurements_are_enough_after_half_a_minute() -> None:
    script = powered((0, 0), (0, 5000))
    script.wait(25)
    measure(script, 3000)
    assert script.findings == []
    script.wait(10)
    measure(script, 3010)
    assert hints(script) == OUTSIDE


def test_less_than_described_for_ten_minutes() -> None:
    script = powered((1400, 11000), (0, 0))
    for _ in range(5):
        script.wait(100)
        measure(script, 37)
    assert script.findings == []
    for _ in range(2):
        script.wait(100)
        measure(script, 37)
    assert hints(script) == OUTSIDE


def test_an_instruction_may_just_be_changing_the_mode() -> None:
    script = powered((0, 0), (2000, 5000))
    script.wait(200)
    script.instruct(WORK)
    script.update("STARTED")
    measure(script, 3000)
    measure(script, 3000)
    assert script.findings == []


def test_right_after_a_switch() -> None:
    script = powered((0, 0), (2000, 5000))
    script.wait(200)
    script.switched("#on", since="#off")
    measure(script, -4000)
    assert script.findings == []


def test_a_description_that_is_not_answered_yet() -> None:
    script = powered((0, 0), (2000, 5000))
    script.wait(200)
    script.describe(None, valid_from=at(script.now - START))
    measure(script, 9000)
    assert [code for code, _ in hints(script)] == []


def test_an_old_measurement_and_one_of_other_phases() -> None:
    script = powered((0, 0), (0, 5000))
    script.wait(200)
    script.rm(
        "PowerMeasurement",
        measurement_timestamp=at(100),
        values=[{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 3000}],
    )
    assert script.findings == []
    script = powered((0, 0), (0, 5000), quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC")
    script.wait(200)
    measure(script, 3000)
    assert script.findings == []


def test_the_modes_of_all_actuators_are_added() -> None:
    script = ModeScript("FRBC", described=False)
    second = actuator(id="#second")
    script.describe(actuators=[actuator(), second])
    for name in ("#actuator", "#second"):
        script.rm("FRBC.ActuatorStatus", actuator_id=name)
    script.rm("FRBC.StorageStatus")
    script.wait(200)
    measure(script, 9500)
    assert script.findings == []
    script.wait(50)
    measure(script, 19500)
    assert hints(script) == OUTSIDE
    assert (
        "but the active operation modes are described with 0 to 10000 W" in script.findings[0].text
    )


# Measured in kW


def at_factor(factor: float, *watts: tuple[float, float]) -> ModeScript:
    script = powered(*watts)
    script.wait(5)
    script.switched("#on", since="#off", operation_mode_factor=factor)
    return script


@pytest.mark.parametrize(
    ("factor", "mode", "watts", "said"),
    [
        (0.6, (0, 5000), 2.98, True),
        (0.6, (-5000, 0), -2.1, True),
        (0.6, (-5000, 0), 2.1, True),
        (0.6, (0, 5000), 2980, False),
        (0.6, (0, 5000), 8.5, False),  # standby
        (0.05, (0, 5000), 0.25, False),  # too little to tell
        (0.6, (0, 5000), 0, False),
        (0, (0, 0), 3, False),
    ],
)
def test_a_measurement_that_looks_like_kilowatts(
    factor: float, mode: tuple[float, float], watts: float, said: bool
) -> None:
    script = at_factor(factor, (0, 0), mode)
    script.wait(10)
    measure(script, watts)
    assert script.findings == []  # it may be on its way
    script.wait(30)
    measure(script, watts)
    measure(script, watts)
    assert hints(script) == ([("measured-in-kilowatts", "/values/0/value")] if said else [])


def test_a_thousandth_while_the_mode_may_change() -> None:
    script = at_factor(0.6, (0, 0), (0, 5000))
    script.wait(30)
    script.instruct("#off")
    measure(script, 3)
    assert script.findings == []
