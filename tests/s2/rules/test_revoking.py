"""RevokeObject, in short conversations."""

from __future__ import annotations

import pytest
from told import play, told

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Role

GIVEN = 'begin("FRBC")\ncem("FRBC.Instruction", id="#one", message_id="#given")\n'
REVOKE = 'cem("RevokeObject", object_id="#one", message_id="#revoked")\n'
DESCRIBED = 'rm("FRBC.SystemDescription", message_id="#described")\n'


def revoke(side: str, object_type: str, object_id: str, fields: str = "") -> str:
    """A RevokeObject, as a line of a script."""
    return f'{side}("RevokeObject", object_type="{object_type}", object_id="{object_id}"{fields})\n'


@pytest.mark.parametrize(
    "script",
    [
        GIVEN + REVOKE,
        GIVEN + DESCRIBED + revoke("rm", "FRBC.SystemDescription", "#described"),
        'begin("PEBC")\n'
        + revoke("rm", "PEBC.PowerConstraints", "#constraints")
        + revoke("rm", "PEBC.EnergyConstraint", "#energy"),
        'begin("PPBC")\n' + revoke("rm", "PPBC.PowerProfileDefinition", "#profile"),
    ],
)
def test_what_can_be_revoked(script: str) -> None:
    assert play(script) == []


def test_what_the_other_side_gave() -> None:
    assert play(GIVEN + revoke("rm", "FRBC.Instruction", "#one")) == [
        "warning revoke.not-own /object_type: FRBC.Instruction comes from the CEM; the RM cannot"
        " revoke it"
    ]
    assert play(GIVEN + DESCRIBED + revoke("cem", "FRBC.SystemDescription", "#described")) == [
        "warning revoke.not-own /object_type: FRBC.SystemDescription comes from the RM; the CEM"
        " cannot revoke it"
    ]


def test_what_the_other_side_cannot_revoke_stays_in_force() -> None:
    assert len(play(GIVEN + revoke("rm", "FRBC.Instruction", "#one") + REVOKE)) == 1


def test_another_control_type() -> None:
    begin = 'begin()\ncem("SelectControlType", message_id="#select")\n'
    assert play(begin + revoke("cem", "OMBC.Instruction", "#never")) == [
        "warning revoke.other-control-type /object_type: OMBC.Instruction while FRBC is active, by"
        ' the SelectControlType "#select" from the CEM (0.0 s before)'
    ]


def test_what_was_under_way_when_the_control_type_changed() -> None:
    for select in ("OPERATION_MODE_BASED_CONTROL", "NO_SELECTION"):
        crossing = f'cem("SelectControlType", control_type="{select}", answer=None)\n'
        late = revoke("rm", "FRBC.SystemDescription", "#described")
        assert play(GIVEN + DESCRIBED + crossing + late) == []


def test_what_ended_with_its_control_type() -> None:
    ended = 'select("NO_SELECTION")\n'
    assert play(GIVEN + ended + REVOKE) == []
    assert play(GIVEN + ended + 'select("FRBC")\n' + REVOKE) == []


def test_what_was_never_given() -> None:
    assert play(GIVEN + revoke("cem", "FRBC.Instruction", "#never")) == [
        'warning revoke.unknown /object_id: the CEM has given nothing with the id "#never"'
    ]
    assert play(GIVEN + revoke("rm", "FRBC.SystemDescription", "#never")) == [
        'warning revoke.unknown /object_id: the RM has given nothing with the id "#never"'
    ]


def test_what_was_given_before_the_beginning() -> None:
    script = Script(from_start=False)
    script.cem("RevokeObject", object_id="#never")
    assert script.codes == ["handshake.not-seen"]
    late = 'joined_late()\nselect("FRBC")\n' + revoke("rm", "FRBC.SystemDescription", "#never")
    assert [line.split()[1] for line in play(late)] == ["handshake.not-seen"]


def test_what_was_forgotten() -> None:
    script = 'begin("FRBC")\n' + DESCRIBED + 'for _ in range(2500): rm("FRBC.SystemDescription")\n'
    assert play(script + revoke("rm", "FRBC.SystemDescription", "#described")) == []


def test_another_type() -> None:
    assert play(GIVEN + revoke("cem", "FRBC.SystemDescription", "#one"))[0].startswith(
        "warning revoke.not-own"
    )
    begin = 'begin("PEBC")\ncem("PEBC.Instruction", id="#one", message_id="#given")\n'
    begin += 'rm("PEBC.EnergyConstraint", id="#two", message_id="#described")\n'
    assert play(begin + revoke("rm", "PEBC.PowerConstraints", "#two")) == [
        "error revoke.wrong-type /object_type: PEBC.PowerConstraints, but it is the"
        ' PEBC.EnergyConstraint "#described" from the RM (0.0 s before)'
    ]


def test_the_message_id_where_there_is_an_id() -> None:
    assert play(GIVEN + revoke("cem", "FRBC.Instruction", "#given")) == [
        "error revoke.message-id /object_id: this is the message_id of the FRBC.Instruction"
        ' "#given" from the CEM (0.0 s before), not its id → Its id is "#one".'
    ]
    begin = 'begin("PEBC")\nrm("PEBC.PowerConstraints", id="#one", message_id="#described")\n'
    assert play(begin + revoke("rm", "PEBC.PowerConstraints", "#described")) == [
        "error revoke.message-id /object_id: this is the message_id of the"
        ' PEBC.PowerConstraints "#described" from the RM (0.0 s before), not its id'
        ' → Its id is "#one".'
    ]


def test_a_second_time() -> None:
    assert play(GIVEN + REVOKE + REVOKE.replace("#revoked", "#other")) == [
        'warning revoke.twice /object_id: the FRBC.Instruction "#given" from the CEM (0.0 s before)'
        ' was revoked by the RevokeObject "#revoked" from the CEM (0.0 s before)'
    ]
    refused = REVOKE.replace(")", ', answer="TEMPORARY_ERROR")')
    assert play(GIVEN + refused + REVOKE.replace("#revoked", "#other")) == [
        'info ack.refused : answered by the RM with "TEMPORARY_ERROR"'
    ]


def test_a_description_that_was_not_revoked_after_all_is_in_force() -> None:
    refused = revoke("rm", "FRBC.SystemDescription", "#described", ', answer="TEMPORARY_ERROR"')
    script = Script().run(GIVEN + DESCRIBED + refused)
    given = script.conversation.referable("FRBC.SystemDescription", script.now)
    assert [one.revoked for one in given] == [None]


def test_an_instruction_that_is_over() -> None:
    over = GIVEN + 'rm("InstructionStatusUpdate", instruction_id="#one", status_type="ABORTED")\n'
    assert play(over + "wait(11)\n" + REVOKE) == [
        'info revoke.over /object_id: the FRBC.Instruction "#given" from the CEM (11.0 s before)'
        " is over: ABORTED 11.0 s before"
    ]
    assert play(over + "wait(9)\n" + REVOKE) == []
    runs = over.replace("ABORTED", "STARTED")
    assert play(runs + "wait(11)\n" + REVOKE) == []


def test_what_was_refused() -> None:
    refused = GIVEN.replace("#given", '#given", answer="INVALID_CONTENT')
    assert "revoke.over" not in " ".join(play(refused + REVOKE))  # it may not know yet
    assert play(refused + "wait(3)\n" + REVOKE)[-1] == (
        'info revoke.over /object_id: the FRBC.Instruction "#given" from the CEM (3.0 s before)'
        ' was answered with "INVALID_CONTENT"'
    )


def test_a_description_that_was_replaced() -> None:
    later = DESCRIBED.replace("#described", "#later")
    revoked = revoke("rm", "FRBC.SystemDescription", "#described")
    assert play('begin("FRBC")\n' + DESCRIBED + later + revoked) == [
        'info revoke.over /object_id: the FRBC.SystemDescription "#described" from the RM'
        " (0.0 s before) was replaced by a later one"
    ]
    not_yet = later.replace(")", ", valid_from=at(600))")
    assert play('begin("FRBC")\n' + DESCRIBED + not_yet + revoked) == []
    constraints = 'rm("PEBC.EnergyConstraint", id="#two")\n'
    revoked = revoke("rm", "PEBC.EnergyConstraint", "#energy")
    assert play('begin("PEBC")\n' + constraints + revoked) == []


def test_an_injected_revocation() -> None:
    script = Script().run(GIVEN)
    script.inject(Role.CEM, "RevokeObject", object_id="#one", message_id="#revoked")
    script.run(REVOKE.replace("#revoked", "#other"))
    assert told(script) == [
        'warning revoke.twice /object_id: the FRBC.Instruction "#given" from the CEM (0.0 s before)'
        ' was revoked by the RevokeObject "#revoked" from the CEM (injected, 0.0 s before)'
    ]


def test_another_type_of_another_control_type_is_one_cause() -> None:
    script = 'begin("FRBC")\ncem("FRBC.Instruction", id="#one")\n'
    revoke = 'cem("RevokeObject", object_type="OMBC.Instruction", object_id="#one")'
    assert [line.split()[1] for line in play(script + revoke)] == ["revoke.wrong-type"]
