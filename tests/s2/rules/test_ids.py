"""Ids that must be unique, in short conversations."""

from __future__ import annotations

import pytest
from told import play

SAID = 'begin()\nrm("PowerMeasurement", message_id="#one")\n'


def test_a_message_id_again() -> None:
    assert play(SAID + 'rm("PowerForecast", message_id="#one", answer=None)') == [
        'warning ids.message-id-again /message_id: "#one" was used before, by the PowerMeasurement'
        ' "#one" from the RM (0.0 s before)'
    ]
    assert play(SAID + 'rm("PowerForecast", message_id="#two")') == []


def test_a_message_id_is_unique_among_those_of_its_sender() -> None:
    assert play(SAID + 'cem("SelectControlType", message_id="#one")') == []


def test_a_message_id_of_long_ago() -> None:
    many = 'for _ in range(1200): rm("PowerMeasurement")\n'
    assert play(SAID + many + 'rm("PowerForecast", message_id="#one", answer=None)') == [
        'warning ids.message-id-again /message_id: "#one" was used before by the RM'
    ]


@pytest.mark.parametrize(
    ("begin", "first", "second"),
    [
        ("FRBC", 'cem("FRBC.Instruction", ', 'cem("FRBC.Instruction", '),
        ("OMBC", 'cem("OMBC.Instruction", ', 'cem("OMBC.Instruction", '),
        (
            "PEBC",
            'rm("PEBC.PowerConstraints", ',
            'rm("PEBC.PowerConstraints", valid_until=at(7200), ',
        ),
    ],
)
def test_an_id_again(begin: str, first: str, second: str) -> None:
    name = first.split('"')[1]
    sender = first[: first.index("(")].upper()
    script = f'begin("{begin}")\n{first}id="#one", message_id="#given")\n{second}id="%s")\n'
    assert play(script % "#one") == [
        f'error ids.id-again /id: "#one" was used before, by the {name} "#given" from the'
        f" {sender} (0.0 s before)"
    ]
    assert play(script % "#another") == []


def test_an_id_of_something_else() -> None:
    twice = 'begin("PEBC")\ncem("PEBC.Instruction", id="#constraints")\n'
    assert play(twice) == [
        'error ids.id-again /id: "#constraints" was used before, by the PEBC.PowerConstraints'
        ' "#" from the RM (0.0 s before)'
    ]


def test_an_id_of_before_another_control_type() -> None:
    script = 'begin("PEBC")\nselect("NO_SELECTION")\nselect("PEBC")\n'
    # What ended with its control type is said again, and holds from another time on.
    assert play(script + 'rm("PEBC.PowerConstraints")') == []
    assert play(script + 'rm("PEBC.PowerConstraints", valid_from=at(60))') == []
    for other in ('consequence_type="DEFER"', 'allowed_limit_ranges=[limit("UPPER_LIMIT", 0, 1)]'):
        codes = [line.split()[1] for line in play(script + f'rm("PEBC.PowerConstraints", {other})')]
        assert "ids.id-again" in codes
    # The same selection again ends nothing, but the RM may describe itself again.
    again = 'begin("PEBC")\nselect("PEBC")\nrm("PEBC.PowerConstraints", valid_from=at(60))'
    assert play(again) == []


@pytest.mark.parametrize("kind", ["PEBC.PowerConstraints", "PEBC.EnergyConstraint"])
def test_the_same_constraints_again(kind: str) -> None:
    script = f'begin()\nselect("PEBC")\nrm("{kind}", id="#one", message_id="#given")\n'
    assert play(script + f'rm("{kind}", id="#one")') == [
        f'info ids.same-again /id: the same as the {kind} "#given" from the RM (0.0 s before) with'
        " the same id"
    ]
    assert play(script + f'rm("{kind}", id="#one", valid_from=at(60))') == [
        f'error ids.id-again /id: "#one" was used before, by the {kind} "#given" from the RM'
        " (0.0 s before)"
    ]


def test_the_same_instruction_again_is_a_second_one() -> None:
    script = 'begin("FRBC")\ncem("FRBC.Instruction", id="#one")\n' * 1
    again = script + 'cem("FRBC.Instruction", id="#one")'
    assert [line.split()[1] for line in play(again)] == ["ids.id-again"]


@pytest.mark.parametrize("kind", ["PEBC.PowerConstraints", "PEBC.EnergyConstraint"])
def test_what_was_refused_may_be_sent_again(kind: str) -> None:
    script = f'begin()\nselect("PEBC")\nrm("{kind}", answer="TEMPORARY_ERROR")\n'
    assert play(script + f'rm("{kind}")') == [
        'info ack.refused : answered by the CEM with "TEMPORARY_ERROR"'
    ]


def test_the_same_id_twice_in_one_message() -> None:
    begin = 'begin()\nselect("{}")\n'
    assert play(
        begin.format("FRBC")
        + 'rm("FRBC.SystemDescription", actuators=[actuator(), actuator()], answer=None)'
    ) == [
        'error ids.twice-in-message /actuators/1/id: "#actuator" is the id of /actuators/0 already'
    ]
    other = 'rm("FRBC.SystemDescription", actuators=[actuator(), actuator(id="#other")])'
    assert play(begin.format("FRBC") + other) == []


@pytest.mark.parametrize(
    ("family", "message", "place"),
    [
        (
            "DDBC",
            'rm("DDBC.SystemDescription", actuators=[ddbc_actuator(timers=[timer("rest")] * 2)]',
            "/actuators/0/timers/1/id",
        ),
        (
            "DDBC",
            'rm("DDBC.SystemDescription", actuators=[ddbc_actuator(operation_modes=['
            'ddbc_mode("off"), ddbc_mode("heat"), ddbc_mode("boost"), ddbc_mode("off")])]',
            "/actuators/0/operation_modes/3/Id",
        ),
        (
            "OMBC",
            'rm("OMBC.SystemDescription", transitions=[transition("off", "on")] * 2',
            "/transitions/1/id",
        ),
        (
            "PPBC",
            'rm("PPBC.PowerProfileDefinition", power_sequences_containers=['
            'container("wash", sequence("eco"), sequence("eco"))]',
            "/power_sequences_containers/0/power_sequences/1/id",
        ),
        (
            "PPBC",
            'rm("PPBC.PowerProfileDefinition", power_sequences_containers=['
            'container("wash"), container("wash")]',
            "/power_sequences_containers/1/id",
        ),
    ],
)
def test_every_scope(family: str, message: str, place: str) -> None:
    lines = play(f'begin()\nselect("{family}")\n{message}, answer=None)')
    assert [line.split()[:3] for line in lines] == [["error", "ids.twice-in-message", f"{place}:"]]


def test_the_same_sequence_in_two_containers() -> None:
    script = (
        'begin()\nselect("PPBC")\nrm("PPBC.PowerProfileDefinition", power_sequences_containers=['
        'container("wash", sequence("eco")), container("spin", sequence("eco"))])'
    )
    assert play(script) == []
