"""What may be said when, in short conversations."""

from __future__ import annotations

import pytest
from told import play

SELECT = 'cem("SelectControlType", message_id="#select", control_type="{}", answer={})\n'
OMBC, FRBC = "OPERATION_MODE_BASED_CONTROL", "FILL_RATE_BASED_CONTROL"
STATUS = 'rm("FRBC.StorageStatus")\n'


def test_a_message_of_a_control_type_while_none_is_active() -> None:
    assert play("begin()\n" + STATUS + STATUS) == [
        "error state.no-control-type /message_type: FRBC.StorageStatus while no control type is"
        " active"
    ]
    ended = 'begin("FRBC")\n' + SELECT.format("NO_SELECTION", '"OK"')
    assert play(ended + STATUS) == [
        "error state.no-control-type /message_type: FRBC.StorageStatus while no control type is"
        ' active since the SelectControlType "#select" from the CEM (0.0 s before)'
    ]


def test_it_is_said_once_until_a_control_type_is_selected() -> None:
    codes = [
        line.split()[1]
        for line in play(
            "begin()\n" + STATUS + STATUS + 'select("FRBC")\nselect("NO_SELECTION")\n' + STATUS * 2
        )
    ]
    assert codes == ["state.no-control-type"] * 2


def test_a_control_type_that_was_selected_before_the_beginning() -> None:
    assert len(play("joined_late()\n" + STATUS)) == 1


@pytest.mark.parametrize("selected", [OMBC, "NO_SELECTION"])
@pytest.mark.parametrize("late", ["FRBC.StorageStatus", "FRBC.SystemDescription"])
def test_what_crosses_a_selection(selected: str, late: str) -> None:
    crossing = 'begin("FRBC")\n' + SELECT.format(selected, "None")
    assert play(crossing + f'rm("{late}")') == []
    answered = crossing + "cem_selected = last()\n" + f'rm("{late}")\n'
    answered += 'rm("ReceptionStatus", subject_message_id=cem_selected, status="OK")\n'
    assert len(play(answered + f'rm("{late}")')) == 1


def test_a_message_of_another_control_type() -> None:
    begin = "begin()\n" + SELECT.format(OMBC, '"OK"')
    assert play(begin + STATUS + STATUS) == [
        "error state.other-control-type /message_type: FRBC.StorageStatus while OMBC is active, by"
        ' the SelectControlType "#select" from the CEM (0.0 s before)'
    ]
    assert play('begin("FRBC")\n' + STATUS) == []
    assert play(begin + 'rm("PowerMeasurement")') == []


def test_the_cem_knows_what_it_has_selected() -> None:
    crossing = 'begin("FRBC")\n' + SELECT.format(OMBC, "None")
    codes = [line.split()[1] for line in play(crossing + 'cem("FRBC.Instruction")')]
    assert "state.other-control-type" in codes


def test_a_selection_before_the_details() -> None:
    assert play('begin(details=False)\nselect("FRBC")') == [
        "error state.no-details /message_type: SelectControlType before any ResourceManagerDetails"
    ]
    assert play('joined_late()\nselect("FRBC")')[0].startswith("info handshake.not-seen")


def test_a_control_type_that_is_not_offered() -> None:
    begin = (
        "begin(details=False)\n"
        f'rm("ResourceManagerDetails", message_id="#details", available_control_types=["{FRBC}"])\n'
    )
    assert play(begin + SELECT.format(OMBC, '"OK"')) == [
        f'error state.control-type-not-offered /control_type: "{OMBC}" is not among those that the'
        f' ResourceManagerDetails "#details" from the RM (0.0 s before) offers: "{FRBC}"'
    ]
    assert play(begin + SELECT.format("NO_SELECTION", '"OK"')) == []
    assert play(begin + SELECT.format(FRBC, '"OK"')) == []
    later = 'rm("ResourceManagerDetails")\n'
    assert play(begin + later + SELECT.format(OMBC, '"OK"')) == []


def test_nothing_is_selected_before_the_details() -> None:
    assert play('begin(details=False)\nselect("NO_SELECTION")') == []


def test_a_selection_by_the_details_that_were_known_when_it_was_sent() -> None:
    only = 'rm("ResourceManagerDetails", available_control_types=["{}"], answer={})\n'
    known = "begin(details=False)\n" + only.format(OMBC, '"OK"')
    crossing = known + only.format(FRBC, "None") + "newer = last()\n"
    assert play(crossing + SELECT.format(OMBC, '"OK"')) == []
    answered = crossing + 'cem("ReceptionStatus", subject_message_id=newer, status="OK")\n'
    codes = [line.split()[1] for line in play(answered + SELECT.format(OMBC, '"OK"'))]
    assert codes == ["state.control-type-not-offered"]


def test_a_control_type_that_nobody_knows_among_those_offered() -> None:
    details = 'begin(details=False)\nrm("ResourceManagerDetails", available_control_types={})\n'
    for offered in (f'["{FRBC}", "OPERATION_MODE"]', f'["{FRBC}", 5]'):
        codes = [line.split()[1] for line in play(details.format(offered) + 'select("OMBC")')]
        assert set(codes) <= {"schema.enum", "schema.type", "ack.ok-to-invalid"}


def test_the_cem_goes_on_until_it_knows_that_its_selection_was_refused() -> None:
    refused = 'begin("FRBC")\n' + SELECT.format(OMBC, '"TEMPORARY_ERROR"')
    instruction = 'cem("OMBC.Instruction")\n'
    assert [line.split()[1] for line in play(refused + instruction)] == ["ack.refused"]
    codes = [line.split()[1] for line in play(refused + "wait(3)\n" + instruction)]
    assert codes == ["ack.refused", "state.other-control-type"]


def test_what_crosses_two_selections() -> None:
    two = 'begin("FRBC")\n' + SELECT.format("NO_SELECTION", "None") + "first = last()\n"
    two += SELECT.format(OMBC, "None").replace("#select", "#other")
    assert play(two + STATUS) == []
    answer = 'rm("ReceptionStatus", subject_message_id={}, status="OK")\n'
    codes = [line.split()[1] for line in play(two + answer.format("first") + STATUS)]
    assert codes == ["state.other-control-type"]


def test_how_an_instruction_ended_with_its_control_type() -> None:
    ended = 'begin("FRBC")\ncem("FRBC.Instruction", id="#one")\nselect("NO_SELECTION")\n'
    status = 'rm("InstructionStatusUpdate", instruction_id="#{}", status_type="{}")\n'
    assert play(ended + status.format("one", "ABORTED")) == []
    for name, kind in (("one", "STARTED"), ("never", "ABORTED")):
        codes = [line.split()[1] for line in play(ended + status.format(name, kind))]
        assert "state.no-control-type" in codes


def test_how_an_instruction_ended_is_told_long_after_its_control_type() -> None:
    ended = 'begin("FRBC")\ncem("FRBC.Instruction", id="#one")\nselect("NO_SELECTION")\nwait({})\n'
    status = 'rm("InstructionStatusUpdate", instruction_id="#one", status_type="ABORTED")\n'
    assert play(ended.format(29) + status) == []
    (line,) = play(ended.format(31) + status)
    assert line.startswith(
        "error state.no-control-type /message_type: InstructionStatusUpdate while no control type"
    )


DETAILS = 'begin(details=False)\nrm("ResourceManagerDetails", message_id="#details", answer="{}")\n'


@pytest.mark.parametrize("answer", ["INVALID_CONTENT", "TEMPORARY_ERROR"])
def test_a_selection_by_details_that_the_cem_has_refused(answer: str) -> None:
    lines = play(DETAILS.format(answer) + 'select("FRBC")\nselect("OMBC")')
    assert [line for line in lines if " state." in line] == [
        "warning state.details-refused /control_type: it goes by the ResourceManagerDetails"
        f' "#details" from the RM (0.0 s before), which the CEM has answered with "{answer}"'
    ]


@pytest.mark.parametrize(
    "script",
    [
        DETAILS.format("OK"),
        DETAILS.format("TEMPORARY_ERROR") + 'rm("ResourceManagerDetails")\n',
        DETAILS.format("TEMPORARY_ERROR") + 'rm("ResourceManagerDetails", answer=None)\n',
        DETAILS.format("OK") + 'rm("ResourceManagerDetails", answer="TEMPORARY_ERROR")\n',
    ],
    ids=["accepted", "accepted then", "not answered", "accepted before"],
)
def test_a_selection_by_details_that_are_in_force(script: str) -> None:
    assert not any(" state." in line for line in play(script + 'select("FRBC")'))


def test_nothing_is_selected_by_details_that_were_refused() -> None:
    lines = play(DETAILS.format("TEMPORARY_ERROR") + 'select("NO_SELECTION")')
    assert not any(" state." in line for line in lines)


END = '{}("SessionRequest", message_id="#end", answer={})\n'


def test_after_the_end() -> None:
    assert play("begin()\n" + END.format("cem", '"OK"') + 'rm("PowerMeasurement")\n' * 2) == [
        "warning state.after-the-end /message_type: PowerMeasurement after the SessionRequest"
        ' "#end" from the CEM (0.0 s before)'
    ]
    own = "begin()\n" + END.format("rm", "None") + 'rm("PowerMeasurement", answer=None)\n'
    assert len(play(own)) == 1


def test_what_crosses_the_end() -> None:
    crossing = 'begin("FRBC")\n' + END.format("cem", "None") + 'rm("PowerMeasurement")\n' + STATUS
    assert play(crossing) == []
    answer = 'rm("ReceptionStatus", subject_message_id="#end", status="OK")\n'
    assert play(crossing + answer) == []
    assert len(play(crossing + answer + STATUS)) == 1


def test_an_end_that_is_refused_is_none() -> None:
    refused = END.format("cem", '"TEMPORARY_ERROR"')
    assert [line.split()[1] for line in play("begin()\n" + refused + 'rm("PowerMeasurement")')] == [
        "ack.refused"
    ]
