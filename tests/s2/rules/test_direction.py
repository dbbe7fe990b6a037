"""Who may send what, in short conversations."""

from __future__ import annotations

from told import play, told

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Role


def test_a_message_from_the_wrong_side() -> None:
    assert play('begin()\nrm("SelectControlType")') == [
        "error direction.wrong-sender /message_type: SelectControlType is for the CEM to send, not"
        " for the RM"
    ]
    assert play('begin("FRBC")\ncem("FRBC.StorageStatus")') == [
        "error direction.wrong-sender /message_type: FRBC.StorageStatus is for the RM to send, not"
        " for the CEM"
    ]


def test_what_both_may_send() -> None:
    begin = 'begin("FRBC")\ncem("FRBC.Instruction")\n'
    described = 'rm("FRBC.SystemDescription", message_id="#described")\n'
    revoked = 'rm("RevokeObject", object_type="FRBC.SystemDescription", object_id="#described")\n'
    assert play(begin + described + revoked + 'cem("RevokeObject")') == []
    assert play('begin()\nrm("SessionRequest")') == []
    assert play('begin()\ncem("SessionRequest")') == []


def test_the_first_message_tells_who_is_who() -> None:
    script = Script(from_start=False)
    script.conversation.client_role = Role.CEM
    script.rm("PowerMeasurement")
    assert script.codes == ["handshake.not-seen"]


def test_what_crosses_a_selection_or_a_farewell() -> None:
    script = Script()
    script.begin("FRBC")
    script.cem("SelectControlType", answer=None, control_type="NO_SELECTION")
    script.rm("FRBC.StorageStatus")
    script.cem("SessionRequest", answer=None)
    script.rm("FRBC.StorageStatus")
    assert told(script) == []
