"""What was misspelt or could not be read counts as meant: nobody is blamed for what follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.verdict import Role, Severity

BREAK: dict[str, Callable[[str], str]] = {
    "syntax": lambda text: text[:-1],
    "list": lambda text: f"[{text}]",
    "text": lambda text: json.dumps(text),
    "no type": lambda text: text.replace("message_type", "messageType"),
    "envelope": lambda text: f'{{"payload": {text}}}',
    "number": lambda text: text.replace('"message_type": "', '"message_type": 5, "was": "'),
    "misspelt": lambda text: text.replace('"message_type": "', '"message_type": "x'),
    "odd": lambda text: text.replace('"message_type": "', '"message_type": "S2.Message/'),
}
"""How a message becomes one that nobody knows for certain what it says."""


class Broken(Script):
    """A conversation in which one message is broken."""

    def broken(self, how: str, sender: Role, message_type: str, **fields: Any) -> None:
        """The message that Script would send, but broken; its receiver answers nothing."""
        other = Script()
        other.conversation.client_role = sender
        texts: list[bytes] = []
        other._receive = lambda _, data, **__: texts.append(data)  # type: ignore[method-assign]
        getattr(other, "rm" if sender is Role.RM else "cem")(message_type, None, **fields)
        changed = BREAK[how](texts[0].decode())
        assert changed != texts[0].decode()
        self.raw(sender, changed.encode())


def blamed(script: Script) -> list[str]:
    """What is said besides the fault itself, and besides that something cannot be checked."""
    faults = ("json.", "schema.", "s2-python.")
    return [
        finding.code
        for finding in script.findings
        if not finding.code.startswith(faults) and finding.severity is not Severity.INFO
    ]


@pytest.fixture(params=BREAK)
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_selection(how: str) -> None:
    script = Broken()
    script.begin()
    script.broken(how, Role.CEM, "SelectControlType")
    script.rm("FRBC.SystemDescription")
    script.rm("FRBC.ActuatorStatus")
    script.cem("FRBC.Instruction", id="#one")
    script.rm("InstructionStatusUpdate", instruction_id="#one", status_type="STARTED")
    assert blamed(script) == []


def test_the_selection_of_another_control_type(how: str) -> None:
    script = Broken()
    script.begin("OMBC")
    script.broken(how, Role.CEM, "SelectControlType")
    script.rm("FRBC.SystemDescription")
    script.cem("FRBC.Instruction", id="#one")
    script.cem("RevokeObject", object_id="#one")
    assert blamed(script) == []


@pytest.mark.parametrize(
    "control_type", ["FILL_RATE_CONTROL", "fill_rate_based_control", "", 5, None, ["FRBC"]]
)
@pytest.mark.parametrize("before", [None, "OMBC"])
def test_a_selection_of_what_nobody_knows(control_type: object, before: str | None) -> None:
    script = Script()
    script.begin(before)
    script.cem("SelectControlType", control_type=control_type, answer="INVALID_MESSAGE")
    codes = script.codes
    script.begin(before)
    script.cem("SelectControlType", control_type=control_type, answer=None)
    script.rm("FRBC.SystemDescription")
    script.rm("FRBC.ActuatorStatus")
    script.cem("FRBC.Instruction")
    assert codes
    assert "state" not in {code.split(".")[0] for code in blamed(script)}
    assert "modes" not in {code.split(".")[0] for code in blamed(script)}


def test_details(how: str) -> None:
    script = Broken()
    script.begin(details=False)
    script.broken(how, Role.RM, "ResourceManagerDetails")
    script.select("FRBC")
    assert blamed(script) == []


def test_newer_details(how: str) -> None:
    script = Broken()
    script.begin(details=False)
    offered = ["OPERATION_MODE_BASED_CONTROL"]
    script.rm("ResourceManagerDetails", available_control_types=offered, currency=None)
    script.broken(how, Role.RM, "ResourceManagerDetails")
    script.select("FRBC")
    script.rm("PowerForecast")
    script.rm("PowerMeasurement", values=[{"commodity_quantity": "HEAT.FLOW_RATE", "value": 1}])
    assert blamed(script) == []


def test_a_description(how: str) -> None:
    script = Broken()
    script.begin()
    script.select("FRBC")
    script.broken(how, Role.RM, "FRBC.SystemDescription")
    script.rm("FRBC.ActuatorStatus")
    script.cem("FRBC.Instruction")
    assert blamed(script) == []


@pytest.mark.parametrize(
    ("control_type", "given", "refers"),
    [
        ("PEBC", "PEBC.PowerConstraints", "PEBC.Instruction"),
        ("PPBC", "PPBC.PowerProfileDefinition", "PPBC.ScheduleInstruction"),
    ],
)
def test_constraints_and_profiles(how: str, control_type: str, given: str, refers: str) -> None:
    script = Broken()
    script.begin()
    script.select(control_type)
    script.broken(how, Role.RM, given)
    script.cem(refers)
    assert blamed(script) == []


def test_an_instruction(how: str) -> None:
    script = Broken()
    script.begin("FRBC")
    script.broken(how, Role.CEM, "FRBC.Instruction", id="#one", message_id="#given")
    script.rm("ReceptionStatus", subject_message_id="#given", status="INVALID_MESSAGE")
    script.cem("FRBC.Instruction", id="#two")
    script.rm("InstructionStatusUpdate", instruction_id="#one", status_type="REJECTED")
    script.cem("RevokeObject", object_id="#one")
    assert blamed(script) == []


def test_an_instruction_without_a_readable_id() -> None:
    for wrong in (None, 5, ["#one"]):
        script = Script()
        script.begin("FRBC")
        script.cem("FRBC.Instruction", id=wrong, answer=None)
        script.cem("FRBC.Instruction", id="#two")
        script.rm("InstructionStatusUpdate", instruction_id="#one", status_type="REJECTED")
        script.cem("RevokeObject", object_id="#one")
        assert blamed(script) == []


def test_a_revocation(how: str) -> None:
    script = Broken()
    script.begin("FRBC")
    script.cem("FRBC.Instruction", id="#one")
    script.broken(how, Role.CEM, "RevokeObject", object_id="#one")
    script.rm("InstructionStatusUpdate", instruction_id="#one", status_type="REVOKED")
    assert blamed(script) == []


def test_a_status_of_an_instruction(how: str) -> None:
    script = Broken()
    script.begin("FRBC")
    script.cem("FRBC.Instruction", id="#one")
    script.broken(how, Role.RM, "InstructionStatusUpdate", instruction_id="#one")
    script.rm("FRBC.StorageStatus")
    script.wait(60)
    script.close()
    assert [code for code in script.codes if code.startswith(("ack", "instruction"))] == []


def test_a_status_that_names_nothing_is_one_finding() -> None:
    script = Script()
    script.begin("FRBC")
    script.cem("FRBC.Instruction", id="#one")
    script.rm("InstructionStatusUpdate", instruction_id="#never", status_type="STARTED")
    script.wait(60)
    script.close()
    assert script.codes == ["instruction.unknown"]


def test_an_answer(how: str) -> None:
    script = Broken()
    script.begin()
    script.rm("PowerMeasurement", message_id="#one", answer=None)
    script.rm("PowerMeasurement", message_id="#two", answer=None)
    script.cem("ReceptionStatus", subject_message_id="#two")
    script.broken(how, Role.CEM, "ReceptionStatus", subject_message_id="#one")
    script.wait(60)
    script.close()
    assert blamed(script) == []


def test_what_was_asked_after_a_broken_answer_is_to_be_answered(how: str) -> None:
    script = Broken()
    script.begin()
    script.broken(how, Role.CEM, "ReceptionStatus", subject_message_id="#one")
    script.rm("PowerMeasurement", message_id="#one", answer=None)
    script.wait(60)
    assert blamed(script) == ["ack.missing"]


def test_nobody_must_answer_what_is_no_message(how: str) -> None:
    script = Broken()
    script.begin()
    script.broken(how, Role.RM, "PowerMeasurement", message_id="#one")
    script.wait(60)
    script.close()
    assert blamed(script) == []
    script.cem("ReceptionStatus", subject_message_id="#one", status="INVALID_DATA")
    assert blamed(script) == []


def test_the_answer_to_a_message_whose_message_id_nobody_can_read() -> None:
    for wrong in (None, 5, [identifier("one")]):
        script = Script()
        script.begin()
        script.rm("PowerMeasurement", message_id=wrong, answer=None)
        script.cem("ReceptionStatus", subject_message_id="#one", status="INVALID_DATA")
        assert blamed(script) == []


def test_what_is_right_again_is_judged_again() -> None:
    script = Broken()
    script.begin()
    script.broken("misspelt", Role.CEM, "SelectControlType")
    script.select("FRBC")
    script.rm("OMBC.SystemDescription")
    assert blamed(script) == ["state.other-control-type"]
