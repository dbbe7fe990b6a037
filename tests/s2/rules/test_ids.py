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
        ("PEBC", 'rm("PEBC.PowerConstraints", ', 'rm("PEBC.PowerConstraints", '),
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
    assert play(twice) == ['error ids.id-again /id: "#constraints" was used before']


def test_an_id_of_before_another_control_type() -> None:
    script = 'begin("PEBC")\nselect("NO_SELECTION")\nselect("PEBC")\n'
    assert play(script + 'rm("PEBC.PowerConstraints")') == [
        'error ids.id-again /id: "#constraints" was used before'
    ]


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
