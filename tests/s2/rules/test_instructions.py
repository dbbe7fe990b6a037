"""Instructions and their life, in short conversations."""

from __future__ import annotations

import pytest
from told import play, told

from s2_mitm.s2.catalog import STATUSES_AFTER
from s2_mitm.s2.conversation.memory import MAX_INSTRUCTIONS
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Role


def given(fields: str = "") -> str:
    """An instruction with these fields besides."""
    return f"""
    begin("FRBC")
    cem("FRBC.Instruction", id="#one", message_id="#given"{fields})
"""


GIVEN = given()


def status(*statuses: str, of: str = "#one") -> str:
    """Statuses of an instruction, as lines of a script."""
    lines = (
        f'    rm("InstructionStatusUpdate", instruction_id="{of}", status_type="{status}")\n'
        for status in statuses
    )
    return "".join(lines)


def test_a_status_for_an_instruction_that_was_never_given() -> None:
    assert play(GIVEN + status("ACCEPTED", of="#never")) == [
        'error instruction.unknown /instruction_id: no instruction has the id "#never"'
    ]


def test_nothing_is_known_of_what_was_given_before_the_beginning() -> None:
    assert play('joined_late()\nrm("InstructionStatusUpdate")') == [
        "info handshake.not-seen : the beginning of this conversation was not seen; what it says"
        " of things that were said before cannot be checked"
    ]
    settled = 'joined_late()\ncem("SelectControlType")\nrm("InstructionStatusUpdate")'
    assert "instruction.unknown" not in " ".join(play(settled))


def test_a_missing_handshake_hides_no_instruction() -> None:
    told_of = play('rm("ResourceManagerDetails")\nselect("FRBC")\nrm("InstructionStatusUpdate")')
    assert [line.split()[1] for line in told_of] == ["handshake.missing", "instruction.unknown"]


def test_what_could_not_be_read_may_have_been_the_instruction() -> None:
    script = Script()
    script.begin("FRBC")
    script.raw(Role.CEM, b'{"message_type": "FRBC.Instruction", ')
    script.rm("InstructionStatusUpdate")
    assert script.codes == ["json.syntax"]


def test_a_status_that_was_under_way_when_the_control_type_changed() -> None:
    for select in ("OMBC", "NO_SELECTION"):
        crossing = (
            f'    cem("SelectControlType", answer=None, control_type=CONTROL_TYPES["{select}"])\n'
        )
        assert play(GIVEN + crossing + status("STARTED")) == []
        assert play(GIVEN + crossing + status("STARTED", of="#given")) == []
    assert play(GIVEN + '    select("OMBC")\n' + status("ABORTED")) == []


def test_an_instruction_that_was_forgotten() -> None:
    script = Script()
    script.begin("FRBC")
    first = script.cem("FRBC.Instruction", id="#one")
    for number in range(MAX_INSTRUCTIONS):
        script.cem("FRBC.Instruction", id=f"#another-{number}")
    script.rm("InstructionStatusUpdate", instruction_id="#one")
    script.rm("InstructionStatusUpdate", instruction_id=first)
    assert script.codes == []
    for instructions in (
        script.conversation.instructions,
        script.conversation.instructions_by_message,
    ):
        assert len(instructions) == MAX_INSTRUCTIONS


def test_the_message_id_of_an_instruction() -> None:
    assert play(GIVEN + status("ACCEPTED", of="#given")) == [
        "error instruction.message-id /instruction_id: this is the message_id of the"
        ' FRBC.Instruction "#given" from the CEM (0.0 s before), not its id → Its id is "#one".'
    ]
    once = 'begin("FRBC")\ncem("FRBC.Instruction", id="#one", message_id="#one")\n'
    assert play(once + status("ACCEPTED").strip()) == []


def test_what_was_told_under_the_message_id_was_told() -> None:
    end = "    wait(60)\n    close()\n"
    assert len(play(GIVEN + status("STARTED", of="#given") + end)) == 1


def test_a_status_cannot_follow() -> None:
    assert play(GIVEN + status("STARTED", "ACCEPTED")) == [
        "warning instruction.wrong-step /status_type: ACCEPTED after STARTED, of the"
        ' FRBC.Instruction "#given" from the CEM (0.0 s before) → STARTED can be followed by'
        " SUCCEEDED, ABORTED, REVOKED."
    ]


@pytest.mark.parametrize("before", STATUSES_AFTER)
@pytest.mark.parametrize("after", STATUSES_AFTER)
def test_every_step(before: str, after: str) -> None:
    codes = [line.split()[1] for line in play(GIVEN + status(before, after))]
    if after == before:
        assert codes == ["instruction.same-status"]
    elif after in STATUSES_AFTER[before]:
        assert codes == []
    else:
        final = not STATUSES_AFTER[before]
        assert codes == ["instruction.after-final" if final else "instruction.wrong-step"]


def test_a_status_after_the_final_one() -> None:
    assert play(GIVEN + status("SUCCEEDED") + "    wait(5)\n" + status("ABORTED")) == [
        "warning instruction.after-final /status_type: ABORTED after SUCCEEDED (5.0 s before) of"
        ' the FRBC.Instruction "#given" from the CEM (5.0 s before)'
    ]


def test_the_same_status_again() -> None:
    assert play(GIVEN + status("STARTED", "STARTED")) == [
        "info instruction.same-status /status_type: STARTED is what the FRBC.Instruction"
        ' "#given" from the CEM (0.0 s before) was already'
    ]
    assert play(GIVEN + status("ACCEPTED", "STARTED")) == []


def test_when_two_instructions_have_one_id_nobody_knows_whose_a_status_is() -> None:
    again = '    cem("FRBC.Instruction", id="#one")\n'
    assert play(GIVEN + status("STARTED") + again + status("ACCEPTED", "ACCEPTED")) == [
        'error ids.id-again /id: "#one" was used before, by the FRBC.Instruction "#given" from'
        " the CEM (0.0 s before)"
    ]


def test_an_instruction_that_was_refused_goes_on() -> None:
    refused = given(', answer="TEMPORARY_ERROR"')
    told_of = play(refused + status("NEW", "ACCEPTED", "STARTED"))
    assert told_of == [
        'info ack.refused : answered by the RM with "TEMPORARY_ERROR"',
        "warning instruction.refused /status_type: NEW of the FRBC.Instruction"
        ' "#given" from the CEM (0.0 s before), which was answered with "TEMPORARY_ERROR"',
    ]
    assert len(play(refused + status("REJECTED"))) == 1


def test_an_instruction_that_was_refused_is_given_again() -> None:
    refused = given(', answer="TEMPORARY_ERROR"')
    again = '    cem("FRBC.Instruction", id="#one")\n'
    assert play(refused + again + status("ACCEPTED", "STARTED")) == [
        'info ack.refused : answered by the RM with "TEMPORARY_ERROR"'
    ]


def test_a_first_status_that_took_long() -> None:
    assert play(GIVEN + "    wait(20)\n" + status("ACCEPTED")) == [
        'info instruction.slow : ACCEPTED is the first status of the FRBC.Instruction "#given" from'
        " the CEM (20.0 s before); the RM announces 1000 ms"
    ]
    assert play(GIVEN + "    wait(9.9)\n" + status("ACCEPTED")) == []
    assert play(GIVEN + status("ACCEPTED") + "    wait(20)\n" + status("STARTED")) == []
    assert play(GIVEN + "    wait(20)\n" + status("SUCCEEDED")) == []


def test_a_start_waits_for_its_time() -> None:
    later = given(", execution_time=at(3600)")
    assert play(later + "    wait(3605)\n" + status("STARTED")) == []
    assert len(play(later + "    wait(3605)\n" + status("ACCEPTED"))) == 1


def test_a_delay_of_nothing_is_a_second() -> None:
    details = '    rm("ResourceManagerDetails", instruction_processing_delay=0)\n'
    assert play(GIVEN + details + "    wait(0.9)\n" + status("ACCEPTED")) == []
    assert len(play(GIVEN + details + "    wait(1.1)\n" + status("ACCEPTED"))) == 1


END = "    wait(60)\n    close()\n"


def test_no_status_to_the_end() -> None:
    assert play(GIVEN + END) == [
        "info instruction.no-status : no InstructionStatusUpdate in the 60.0 s before the end"
    ]
    assert play(GIVEN + status("NEW") + END) == [
        "info instruction.no-status : no status but NEW in the 60.0 s before the end"
    ]


@pytest.mark.parametrize(
    "script",
    [
        GIVEN + status("ACCEPTED") + END,
        GIVEN + status("STARTED") + END,
        given(", execution_time=at(3600)") + END,
        GIVEN + '    cem("RevokeObject", object_id="#one")\n' + END,
        GIVEN + '    cem("FRBC.Instruction", id="#two")\n' + status("STARTED", of="#two") + END,
        GIVEN + "    wait(2)\n    close()\n",
        GIVEN + '    select("PPBC")\n' + END,
    ],
    ids=["accepted", "runs", "its time is to come", "revoked", "replaced", "just now", "ended"],
)
def test_no_status_is_owed(script: str) -> None:
    assert play(script) == []


def test_what_was_not_answered_is_said_once() -> None:
    codes = [line.split()[1] for line in play(given(", answer=None") + END)]
    assert codes == ["ack.missing"]


def test_a_thousand_instructions_without_a_status_are_one_finding() -> None:
    script = Script()
    script.begin("FRBC")
    for number in range(1000):
        script.cem("FRBC.Instruction", id=f"#another-{number}")
    script.wait(60)
    script.close()
    assert script.codes == ["instruction.no-status"]


def test_an_instruction_in_the_past() -> None:
    assert play(given(", execution_time=at(-120)")) == [
        "info instruction.in-the-past /execution_time: 2026-03-01T11:58:00Z is 120 s before the"
        " instruction was given"
    ]
    assert play(given(", execution_time=at(-59)")) == []


def test_an_injected_instruction_is_one() -> None:
    script = Script()
    script.begin("FRBC")
    script.inject(Role.CEM, "FRBC.Instruction", id="#one", message_id="#given")
    script.rm("InstructionStatusUpdate", instruction_id="#one", status_type="STARTED")
    script.rm("InstructionStatusUpdate", instruction_id="#one", status_type="NEW")
    assert told(script) == [
        "warning instruction.wrong-step /status_type: NEW after STARTED, of the FRBC.Instruction"
        ' "#given" from the CEM (injected, 0.0 s before) → STARTED can be followed by SUCCEEDED,'
        " ABORTED, REVOKED."
    ]


REVOKED = '    cem("RevokeObject", object_id="#one", message_id="#revoked"{})\n'


@pytest.mark.parametrize("goes_on", ["NEW", "ACCEPTED", "STARTED", "SUCCEEDED"])
def test_an_instruction_goes_on_that_was_revoked(goes_on: str) -> None:
    assert play(GIVEN + REVOKED.format("") + status(goes_on)) == [
        f"warning instruction.after-revoked /status_type: {goes_on} of the FRBC.Instruction"
        ' "#given" from the CEM (0.0 s before), after OK to the RevokeObject "#revoked" from the'
        " CEM (0.0 s before)"
    ]


@pytest.mark.parametrize("ends", ["REVOKED", "ABORTED", "REJECTED"])
def test_how_a_revoked_instruction_may_end(ends: str) -> None:
    assert play(GIVEN + REVOKED.format("") + status(ends)) == []


def test_a_revocation_that_is_not_accepted_ends_nothing() -> None:
    crossing = GIVEN + REVOKED.format(", answer=None")
    assert play(crossing + status("STARTED", "SUCCEEDED")) == []
    refused = GIVEN + REVOKED.format(', answer="INVALID_CONTENT"')
    told_of = [line.split()[1] for line in play(refused + status("STARTED", "SUCCEEDED"))]
    assert "instruction.after-revoked" not in told_of


def test_what_was_over_before_it_was_revoked() -> None:
    over = GIVEN + status("SUCCEEDED") + REVOKED.format("") + status("STARTED")
    assert [line.split()[1] for line in play(over)] == ["instruction.after-final"]


def test_what_was_held_back_is_not_slow() -> None:
    script = Script().run('begin("FRBC")')
    script.now += 0.01
    data = b"""{"message_type": "FRBC.Instruction", "message_id": "given", "id": "one",
        "actuator_id": "x", "operation_mode": "y", "operation_mode_factor": 1,
        "execution_time": "2026-03-01T12:00:00Z", "abnormal_condition": false}"""
    script.judge.judge(data, from_client=False, time=script.now)
    script.now += 60
    script.judge.take_in(monotonic=script.now)
    script.rm("InstructionStatusUpdate", instruction_id="one", status_type="ACCEPTED")
    assert "instruction.slow" not in script.codes


FORMER = """
    begin("OMBC")
    cem("OMBC.Instruction", id="#one", execution_time=at(300))
    rm("InstructionStatusUpdate", instruction_id="#one")
    cem("SelectControlType", control_type="POWER_ENVELOPE_BASED_CONTROL", message_id="#select",
        answer="{}")
    wait({})
"""


@pytest.mark.parametrize(
    ("kind", "seconds"), [("STARTED", 5), ("ACCEPTED", 15), ("ABORTED", 35), ("SUCCEEDED", 35)]
)
def test_an_instruction_of_a_former_control_type(kind: str, seconds: float) -> None:
    script = FORMER.format("OK", seconds) + status(kind) * 2
    lines = [line for line in play(script) if "instruction." in line]
    assert lines == [
        f"warning instruction.other-control-type /instruction_id: {kind} of an instruction from"
        f' before the SelectControlType "#select" from the CEM ({seconds}.0 s before)'
    ]


@pytest.mark.parametrize(
    ("answer", "seconds", "kind"),
    [("OK", 1, "STARTED"), ("OK", 25, "ABORTED"), ("TEMPORARY_ERROR", 25, "STARTED")],
)
def test_how_an_instruction_ends_with_its_control_type(
    answer: str, seconds: float, kind: str
) -> None:
    lines = play(FORMER.format(answer, seconds) + status(kind))
    assert [line for line in lines if "instruction." in line or "state." in line] == []


def test_the_same_control_type_again_ends_no_instruction() -> None:
    again = GIVEN + status("ACCEPTED") + '    select("FRBC")\n    wait(60)\n' + status("STARTED")
    assert not any("other-control-type" in line for line in play(again))
