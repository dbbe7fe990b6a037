"""ReceptionStatus, in short conversations."""

from __future__ import annotations

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
    script.wait(10)
    assert told(script) == ["warning ack.missing : no ReceptionStatus from the CEM within 10.0 s"]
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
    assert play(SAID + "wait(12)\n" + OK) == [
        "warning ack.missing : no ReceptionStatus from the CEM within 12.0 s",
        "info ack.late : answered by the CEM after 12.0 s",
    ]


def test_a_second_answer() -> None:
    assert play(SAID + OK + OK) == [
        f"warning ack.twice /subject_message_id: {MEASURED} was answered already"
    ]
    again = 'rm("PowerMeasurement", message_id="#two", answer=None)\n' + ANSWER.format("#two", "OK")
    assert play(SAID + OK + again) == []


def test_an_answer_to_nothing() -> None:
    assert play("begin()\n" + ANSWER.format("#never", "OK")) == [
        'warning ack.unknown-subject /subject_message_id: the message "#never" was not sent by the'
        " RM"
    ]
    assert play('begin()\ncem("SelectControlType", message_id="#one")\n' + OK) == [
        'warning ack.unknown-subject /subject_message_id: the message "#one" is the CEM\'s own'
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
        f"warning ack.refused-faultless /status: INVALID_MESSAGE to {MEASURED}, which has no fault",
    ]
    for status in ("TEMPORARY_ERROR", "PERMANENT_ERROR"):
        assert play(SAID + ANSWER.format("#one", status)) == [
            f'info ack.refused : answered by the CEM with "{status}"'
        ]


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
