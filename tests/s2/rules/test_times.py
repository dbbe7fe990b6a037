"""The order of times, in short conversations."""

from __future__ import annotations

import pytest
from told import play

from s2_mitm.s2.examples.templates import CONTROL_TYPES

PERIODS = [
    ("PEBC", "PowerConstraints", "valid_from", "valid_until"),
    ("PEBC", "EnergyConstraint", "valid_from", "valid_until"),
    ("PPBC", "PowerProfileDefinition", "start_time", "end_time"),
]


@pytest.mark.parametrize(("family", "kind", "start", "end"), PERIODS)
def test_a_period_that_ends_before_it_begins(family: str, kind: str, start: str, end: str) -> None:
    begin = f'begin()\nselect("{family}")\n'
    said = f'rm("{family}.{kind}", {start}=at(60), {end}=at(%d), answer=None)'
    assert play(begin + said % 59) == [
        f"error time.order /{end}: {end} 2026-03-01T12:00:59Z is before {start}"
        " 2026-03-01T12:01:00Z"
    ]
    assert play(begin + said % 60) == [
        f"warning time.empty-period /{end}: {end} is {start}, 2026-03-01T12:01:00Z"
    ]
    assert "time." not in " ".join(play(begin + said % 61))


HAPPENED = [
    ("FRBC", "PowerMeasurement", "measurement_timestamp"),
    ("FRBC", "FRBC.ActuatorStatus", "transition_timestamp"),
    ("DDBC", "DDBC.ActuatorStatus", "transition_timestamp"),
    ("OMBC", "OMBC.Status", "transition_timestamp"),
]


@pytest.mark.parametrize(("family", "kind", "name"), HAPPENED)
def test_something_happened_in_the_future(family: str, kind: str, name: str) -> None:
    mode = "idle" if family == "FRBC" else "off"
    before = f', previous_operation_mode_id="#{mode}"' if name.startswith("tr") else ""
    said = f'rm("{kind}", {name}=at(%d){before})\n'
    ahead = f"warning time.in-the-future /{name}: 2026-03-01T12:02:00Z is 120 s after this message"
    begin = f'begin("{family}")\n'
    assert play(begin + said % 120 * 2) == [ahead]
    assert play(begin + said % 60) == []
    assert play(begin + said % 120 + said % 30 + said % 120) == [ahead, ahead]


def test_a_status_of_the_future() -> None:
    begin = 'begin("FRBC")\ncem("FRBC.Instruction")\n'
    assert play(begin + 'rm("InstructionStatusUpdate", timestamp=at(120))') == [
        "warning time.in-the-future /timestamp: 2026-03-01T12:02:00Z is 120 s after this message"
    ]


TIMERS = [
    ("OMBC", ""),
    ("FRBC", ', actuator_id="#actuator"'),
    ("DDBC", ', actuator_id="#actuator"'),
]


@pytest.mark.parametrize(("family", "actuator"), TIMERS)
def test_a_timer_that_takes_longer_than_it_can(family: str, actuator: str) -> None:
    begin = (
        f'begin()\nselect("{family}")\nrm("{family}.SystemDescription", message_id="#described")\n'
    )
    said = f'rm("{family}.TimerStatus"{actuator}, finished_at=at(%d))\n'
    assert play(begin + said % 130) == [
        "warning time.timer-too-long /finished_at: 2026-03-01T12:02:10Z is 130 s after this"
        f' message, but the timer takes 60 s, by the {family}.SystemDescription "#described"'
        " from the RM (0.0 s before)"
    ]
    assert play(begin + said % 119) == []
    assert play(begin + said % -1000000) == []


def test_until_a_description_is_answered_either_may_hold() -> None:
    begin = (
        'begin()\nselect("OMBC")\n'
        'rm("OMBC.SystemDescription", timers=[timer("rest", duration=600000)])\n'
    )
    shorter = 'rm("OMBC.SystemDescription", answer=%s)\n'
    said = 'rm("OMBC.TimerStatus", finished_at=at(300))\n'
    assert play(begin + shorter % None + said) == []
    assert len(play(begin + shorter % '"OK"' + said)) == 1


def test_a_timer_crosses_a_selection() -> None:
    select = f'cem("SelectControlType", control_type="{CONTROL_TYPES["OMBC"]}", answer=None)\n'
    late = 'rm("FRBC.TimerStatus", finished_at=at(500))'
    assert play('begin("FRBC")\n' + select + late) == []
