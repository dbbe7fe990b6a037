"""ReceptionStatus, in short conversations."""

from __future__ import annotations

import pytest
from told import play, told

from s2_mitm.s2.conversation.memory import MAX_UNANSWERED
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Role

SAID = 'begin()\nrm("PowerMeasurement", message_id="#one", answer=None)\n'
ANSWER = 'cem("ReceptionStatus", subject_message_id="{}", status="{}")\n'
OK = ANSWER.format("#one", "OK")
MEASURED = 'the PowerMeasurement "#one" from the RM (0.0 s before)'


def test_no_answer() -> None:
    script = Script()
    script.begin()
    script.rm("PowerMeasurement", answer=None)
    asked = script.judge.messages
    script.wait(11)
    assert told(script) == ["warning ack.missing : no ReceptionStatus from the CEM within 10 s"]
    assert [item.number for item in script.late] == [asked]
    assert play(SAID + "wait(9)\n" + OK + "wait(20)\nclose()") == []


def test_no_answer_before_the_end() -> None:
    assert play(SAID + "wait(3)\nclose()") == [
        "warning ack.missing : no ReceptionStatus from the CEM before the end"
    ]


def test_how_long_is_for_the_user_to_say() -> None:
    patient = Settings(ack_timeout=60)
    assert play(SAID + "wait(59)\n" + OK, patient) == []
    assert len(play(SAID + "wait(61)\n", patient)) == 1


def test_a_late_answer() -> None:
    late = "info ack.late : answered by the CEM after 10.5 s; the limit is 10 s"
    assert play(SAID + "wait(10.5)\n" + OK + "wait(20)\nclose()") == [late]
    # After that it is missing, and nothing more is said when it comes.
    assert play(SAID + "wait(12)\n" + OK) == [
        "warning ack.missing : no ReceptionStatus from the CEM within 10 s",
    ]


def test_a_second_answer() -> None:
    assert play(SAID + OK + OK) == [
        f"warning ack.twice /subject_message_id: {MEASURED} was answered already"
    ]
    again = 'rm("PowerMeasurement", message_id="#two", answer=None)\n' + ANSWER.format("#two", "OK")
    assert play(SAID + OK + again) == []


def test_an_answer_to_nothing() -> None:
    assert play("begin()\n" + ANSWER.format("#never", "OK")) == [
        'warning ack.unknown-subject /subject_message_id: the RM has sent no message "#never"'
    ]
    assert play('begin()\ncem("SelectControlType", message_id="#one")\n' + OK) == [
        "warning ack.unknown-subject /subject_message_id: the CEM has sent the message"
        ' "#one" itself'
    ]


def test_an_answer_to_what_nobody_could_read() -> None:
    script = Script()
    script.begin()
    script.raw(Role.RM, b'{"message_id": ')
    script.cem("ReceptionStatus", subject_message_id="#never", status="INVALID_DATA")
    assert script.codes == ["json.syntax"]


def test_an_answer_to_what_was_said_before_the_beginning() -> None:
    late = 'joined_late()\nrm("PowerMeasurement")\n' + ANSWER.format("#never", "OK")
    assert len(play(late)) == 1


def test_an_answer_to_what_was_said_long_ago() -> None:
    script = Script().run(SAID + OK)
    for _ in range(MAX_UNANSWERED + 100):
        script.rm("PowerMeasurement")
    script.run(OK)
    assert script.codes == []  # neither the answer nor the message is known, but its id is


def test_ok_to_what_is_not_valid() -> None:
    wrong = SAID.replace("answer", 'measurement_timestamp="today", answer')
    assert play(wrong + OK)[1:] == [
        f"warning ack.ok-to-invalid /status: OK to {MEASURED}, which is not valid"
    ]
    codes = [line.split()[1] for line in play(wrong + ANSWER.format("#one", "INVALID_MESSAGE"))]
    assert codes == ["schema.format", "ack.refused"]


def test_a_faultless_message_is_called_invalid() -> None:
    assert play(SAID + ANSWER.format("#one", "INVALID_MESSAGE")) == [
        'info ack.refused : answered by the CEM with "INVALID_MESSAGE"',
        f"info ack.refused-faultless /status: INVALID_MESSAGE to {MEASURED}, in which s2-mitm finds"
        " no fault; the CEM may know better",
    ]
    for status in ("TEMPORARY_ERROR", "PERMANENT_ERROR"):
        assert play(SAID + ANSWER.format("#one", status)) == [
            f'info ack.refused : answered by the CEM with "{status}"'
        ]


REFUSED = "ack.refused-faultless"


@pytest.mark.parametrize(
    ("lines", "crossed"),
    [
        (['rm("FRBC.SystemDescription", message_id="#later", answer=None)'], True),
        (['rm("FRBC.SystemDescription", message_id="#later")'], True),
        (['rm("PowerMeasurement", message_id="#later", answer=None)'], False),
        ([], False),
    ],
    ids=["a description", "an answered one", "nothing of matter", "nothing"],
)
def test_a_refusal_names_what_crossed(lines: list[str], crossed: bool) -> None:
    given = 'begin("FRBC")\nwait(10)\ncem("FRBC.Instruction", message_id="#given", answer=None)'
    answer = 'rm("ReceptionStatus", subject_message_id="#given", status="INVALID_CONTENT")'
    (told,) = [line for line in play("\n".join([given, *lines, answer])) if REFUSED in line]
    hint = ' → It may have crossed the FRBC.SystemDescription "#later" from the RM ('
    assert (hint in told) is crossed
    assert ("crossed" in told) is crossed


def test_an_instruction_that_ended_crosses_its_revocation() -> None:
    told = play("""
        begin("FRBC")
        cem("FRBC.Instruction", id="#one")
        cem("RevokeObject", object_type="FRBC.Instruction", object_id="#one",
            message_id="#given", answer=None)
        rm("InstructionStatusUpdate", instruction_id="#one", status_type="ABORTED",
            message_id="#status", answer=None)
        rm("ReceptionStatus", subject_message_id="#given", status="INVALID_CONTENT")
    """)
    (line,) = [line for line in told if REFUSED in line]
    assert ' → It may have crossed the InstructionStatusUpdate "#status" from the RM (' in line


def test_a_rule_found_the_fault_that_the_receiver_names() -> None:
    wrong = SAID.replace(
        "answer", 'values=[{"commodity_quantity": "OIL.FLOW_RATE", "value": 1}], answer'
    )
    codes = [line.split()[1] for line in play(wrong + ANSWER.format("#one", "INVALID_CONTENT"))]
    assert codes == ["measurement.not-promised", "ack.refused"]


def test_a_refusal_says_why() -> None:
    answer = ANSWER.format("#one", "TEMPORARY_ERROR").replace(
        ")", ', diagnostic_label="no \\033[31mroom")'
    )
    assert play(SAID + answer) == [
        'info ack.refused : answered by the CEM with "TEMPORARY_ERROR": "no \\u001b[31mroom"'
    ]


def test_answers_cross_a_selection_and_a_farewell() -> None:
    script = Script().run(SAID)
    script.cem("SelectControlType", answer=None, message_id="#select")
    script.run(OK)
    script.rm("SessionRequest", answer=None, message_id="#end")
    script.cem("ReceptionStatus", subject_message_id="#end", status="OK")
    script.rm("ReceptionStatus", subject_message_id="#select", status="OK")
    script.close()
    assert told(script) == []


def test_the_id_of_an_object_in_place_of_its_message_id() -> None:
    given = 'begin("FRBC")\ncem("FRBC.Instruction", id="#one", message_id="#given", answer=None)\n'
    answer = 'rm("ReceptionStatus", subject_message_id="#one", status="OK")\n'
    assert play(given + answer + "wait(20)\nclose()") == [
        'warning ack.unknown-subject /subject_message_id: "#one" is the id of the FRBC.Instruction'
        ' "#given" from the CEM (0.0 s before), not its message_id → Its message_id is "#given".'
    ]
    given = (
        'begin()\nselect("PEBC")\nrm("PEBC.PowerConstraints", message_id="#given", answer=None)\n'
    )
    answer = 'cem("ReceptionStatus", subject_message_id="#constraints", status="OK")\n'
    [line] = play(given + answer + "wait(20)\nclose()")
    assert '"#constraints" is the id of the PEBC.PowerConstraints "#given" from the RM' in line


def test_a_wrong_answer_is_one_finding() -> None:
    """The message that was meant gets no other answer, which follows from it."""
    wrong = ANSWER.format("#never", "OK")
    for end in ("wait(60)\n", "wait(3)\nclose()\n"):
        assert [line.split()[1] for line in play(SAID + wrong + end)] == ["ack.unknown-subject"]
    two = SAID + 'rm("PowerMeasurement", message_id="#two", answer=None)\n' + wrong + "wait(60)\n"
    assert [line.split()[1] for line in play(two)] == ["ack.unknown-subject", "ack.missing"]
    again = SAID + OK + 'rm("PowerMeasurement", message_id="#two", answer=None)\n' + OK
    assert [line.split()[1] for line in play(again + "wait(60)")] == ["ack.twice", "ack.missing"]


def test_two_messages_with_one_message_id_have_two_answers() -> None:
    again = 'rm("PowerForecast", message_id="#one", answer=None)\n'
    assert [line.split()[1] for line in play(SAID + again + OK + OK)] == ["ids.message-id-again"]


def test_at_the_end_nobody_is_blamed_who_could_not_answer() -> None:
    missing = ["warning ack.missing : no ReceptionStatus from the CEM before the end"]
    assert play(SAID + "wait(3)\nclose('CEM')") == missing
    for closed_by in ("'RM'", "'proxy'"):
        assert play(SAID + f"wait(3)\nclose({closed_by})") == []
    assert play(SAID + "wait(1)\nclose()") == []  # it may be under way
    assert play(SAID + 'rm("PowerMeasurement")\nclose()') == missing  # a later one was answered
    assert play(SAID + 'rm("PowerMeasurement")\nclose("RM")') == []
    limit = ["warning ack.missing : no ReceptionStatus from the CEM within 10 s"]
    assert play(SAID + "wait(10.5)\nclose('RM')") == limit


def test_a_farewell_is_answered_by_closing() -> None:
    end = 'begin()\ncem("SessionRequest", request="TERMINATE", answer=None)\nwait(3)\nclose()'
    assert play(end) == []
    goes_on = end.replace("close()", "wait(30)")
    assert [line.split()[1] for line in play(goes_on)] == ["ack.missing"]
