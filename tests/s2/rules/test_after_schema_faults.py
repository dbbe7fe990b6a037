"""One cause, one finding: what depends on a part that the schema faults is not told as well."""

from __future__ import annotations

from typing import Any

import pytest

from s2_mitm.s2.conversation.doubt import depends_on_a_fault
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import (
    actuator,
    between,
    ddbc_actuator,
    frbc_mode,
    ombc_mode,
    timer,
    transition,
)
from s2_mitm.s2.verdict import Role, Severity, Source


def told(script: Script) -> list[str]:
    """What the rules find, but for what the receiver made of it and what cannot be checked."""
    return [
        finding.code
        for finding in script.findings
        if finding.source is Source.RULE
        and finding.severity is not Severity.INFO
        and not finding.code.startswith("ack.")
    ]


def by_schema(script: Script) -> list[str]:
    return [finding.code for finding in script.findings if finding.source is Source.SCHEMA]


def misspelt(thing: dict[str, Any], name: str, wrong: str) -> dict[str, Any]:
    return {wrong if field == name else field: value for field, value in thing.items()}


# What was said before


@pytest.mark.parametrize(
    "transitions",
    [
        [misspelt(transition("idle", "charge"), "from", "from_")],
        ["idle to charge"],
        {"from": "idle", "to": "charge"},
        [transition("charge", "idle"), {**transition("idle", "charge"), "to": 7}],
    ],
)
def test_an_instruction_where_the_transitions_cannot_be_read(transitions: Any) -> None:
    script = Script()
    script.begin()
    script.select("FRBC")
    script.rm("FRBC.SystemDescription", actuators=[actuator(transitions=transitions)])
    script.rm("FRBC.ActuatorStatus", active_operation_mode_id="#idle")
    script.cem("FRBC.Instruction", operation_mode="#charge")

    assert by_schema(script)
    assert told(script) == []


def test_an_instruction_where_a_mode_cannot_be_read() -> None:
    script = Script()
    script.begin()
    script.select("OMBC")
    modes = [ombc_mode("off"), "on", ombc_mode("boost")]
    script.rm("OMBC.SystemDescription", operation_modes=modes)
    script.rm("OMBC.Status", active_operation_mode_id="#off")
    script.cem("OMBC.Instruction", operation_mode_id="#on")

    assert by_schema(script) == ["schema.type"]
    assert told(script) == []


def test_after_a_newer_description_that_cannot_be_read_the_older_one_is_not_gone_by() -> None:
    script = Script()
    script.begin("FRBC")
    script.rm("FRBC.SystemDescription", None, actuators=[actuator(operation_modes="none")])
    script.rm("FRBC.SystemDescription", None)
    script.cem("FRBC.Instruction", operation_mode="#of-the-one-that-cannot-be-read")

    assert told(script) == []


def test_the_same_instruction_where_they_can() -> None:
    script = Script()
    script.begin()
    script.select("FRBC")
    other = transition("charge", "idle")
    script.rm("FRBC.SystemDescription", actuators=[actuator(transitions=[other])])
    script.rm("FRBC.ActuatorStatus", active_operation_mode_id="#idle")
    script.cem("FRBC.Instruction", operation_mode="#charge")

    assert told(script) == ["modes.unreachable"]


def test_a_fault_somewhere_else_makes_the_transitions_no_less_readable() -> None:
    script = Script()
    script.begin()
    script.select("FRBC")
    other = transition("charge", "idle")
    script.rm(
        "FRBC.SystemDescription", actuators=[actuator(transitions=[other])], valid_from="today"
    )
    script.rm("FRBC.ActuatorStatus", active_operation_mode_id="#idle")
    script.cem("FRBC.Instruction", operation_mode="#charge")

    assert by_schema(script) == ["schema.format"]
    assert told(script) == ["modes.unreachable"]


def test_a_measurement_where_what_was_promised_cannot_be_read() -> None:
    script = Script()
    script.begin(details=False)
    script.rm("ResourceManagerDetails", provides_power_measurement_types=["HEAT.FLOW_RATE", 17])
    script.rm("PowerMeasurement")

    assert by_schema(script) == ["schema.type"]
    assert told(script) == []


def test_costs_where_the_currency_is_misspelt() -> None:
    script = Script()
    script.begin(details=False)
    script.rm("ResourceManagerDetails", curency="EUR", currency=None)
    script.select("OMBC")
    costs = ombc_mode("on", running_costs=between(0, 1))
    script.rm("OMBC.SystemDescription", operation_modes=[ombc_mode("off"), costs], transitions=[])

    assert by_schema(script) == ["schema.unknown-field"]
    assert "costs.no-currency" not in told(script)


def test_a_version_where_those_offered_cannot_be_read() -> None:
    script = Script()
    script.rm("Handshake", supported_protocol_versions=["0.0.1-beta", 2])
    script.cem("Handshake")
    script.cem("HandshakeResponse", selected_protocol_version="0.0.2-beta")

    assert by_schema(script) == ["schema.type"]
    assert told(script) == []


# In the message itself


def test_versions_under_a_misspelt_name_are_not_missing() -> None:
    script = Script()
    script.rm("Handshake", supported_protocol_versions=None, supported_protocol_version=["1.0.0"])

    assert by_schema(script) == ["schema.unknown-field"]
    assert told(script) == []


def test_a_list_with_an_item_of_the_wrong_type_has_no_gap_there() -> None:
    script = Script()
    script.begin("FRBC")
    lower, upper = (
        {"fill_level_range": between(*levels), "leakage_rate": 0.1}
        for levels in ((0, 30), (60, 90))
    )
    script.rm("FRBC.LeakageBehaviour", elements=[lower, "30 to 60", upper])

    assert by_schema(script) == ["schema.type"]
    assert told(script) == []


def test_a_previous_mode_under_a_misspelt_name_is_not_missing() -> None:
    script = Script()
    script.begin("FRBC")
    script.rm("FRBC.ActuatorStatus", active_operation_mode_id="#idle")
    script.rm(
        "FRBC.ActuatorStatus",
        active_operation_mode_id="#charge",
        previous_operation_mode="#idle",
        previous_operation_mode_id=None,
        transition_timestamp="2026-03-01T12:00:00Z",
    )

    assert by_schema(script) == ["schema.unknown-field"]
    assert "modes.no-previous" not in told(script)


def test_what_is_wrong_in_another_actuator_is_told() -> None:
    script = Script()
    script.begin()
    script.select("FRBC")
    broken = actuator(id="#first", operation_modes=[frbc_mode("idle"), 17])
    wrong = actuator(id="#second", transitions=[transition("idle", "nowhere")])
    script.rm("FRBC.SystemDescription", actuators=[broken, wrong])

    assert by_schema(script) == ["schema.type"]
    assert told(script) == ["modes.transition-mode"]


def test_a_field_that_s2_does_not_have_hides_nothing() -> None:
    script = Script()
    script.begin()
    script.select("DDBC")
    script.rm(
        "DDBC.SystemDescription",
        actuators=[ddbc_actuator(transitions=[], manufacturer_remark="x")],
    )

    assert by_schema(script) == ["schema.unknown-field"]
    assert told(script) == ["ddbc.no-transitions"]


def test_what_does_not_depend_on_the_content_is_told() -> None:
    script = Script()
    script.begin("FRBC")
    script.cem("FRBC.SystemDescription", actuators=17)

    assert by_schema(script) == ["schema.type"]
    assert told(script) == ["direction.wrong-sender"]


def test_timers_where_one_cannot_be_read() -> None:
    script = Script()
    script.begin()
    script.select("FRBC")
    timers = [timer("rest"), misspelt(timer("minimum"), "id", "identifer")]
    script.rm("FRBC.SystemDescription", actuators=[actuator(timers=timers)])

    assert told(script) == []


@pytest.mark.parametrize(
    ("path", "faults", "depends"),
    [
        ("/actuators/1/timers/0", ("/actuators/1/operation_modes/0",), True),
        ("/actuators/1/timers/0", ("/actuators/0/operation_modes/0",), False),
        ("/actuators/1/timers/0", ("/actuators",), True),
        ("/actuators/1/timers/0", ("",), True),
        ("/actuators", ("/actuators/0/id",), True),
        ("/elements/1/duration", ("/elements/0/duration",), True),
        ("/elements_of/1", ("/elements/0",), False),
        ("", ("/elements/0", ""), False),
        ("/message_type", ("",), False),
        ("/valid_from", (), False),
    ],
)
def test_what_depends_on_what(path: str, faults: tuple[str, ...], depends: bool) -> None:
    message = Message(
        1, 0.0, 0.0, Role.RM, "", None, Part({}), 0, not faults, not faults, False, faults=faults
    )
    assert depends_on_a_fault(message, path) is depends
