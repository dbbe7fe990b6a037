"""Hints about what does not happen in a conversation, and about an RM that becomes another one."""

from __future__ import annotations

import pytest
from told import play

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Role

FRBC = 'begin()\nselect("FRBC")\n'
DESCRIBED = FRBC + 'rm("FRBC.SystemDescription")\n'


def hints(script: str) -> list[str]:
    """What is told, all of which is hints."""
    lines = play(script)
    assert all(line.startswith("info hint.") for line in lines), lines
    return [line.removeprefix("info hint.") for line in lines]


def test_a_cem_that_never_selects() -> None:
    said = [
        "never-selected /available_control_types: the CEM has selected none of these in 300 s",
    ]
    assert hints("begin()\nwait(300)\nwait(600)\nclose()") == said
    assert hints("begin()\nwait(290)") == []
    assert hints("begin()\nwait(290)\nclose()") == []
    assert hints('begin()\nwait(290)\nrm("PowerMeasurement")\nwait(10)') == said


@pytest.mark.parametrize(
    "script",
    [
        'begin()\nselect("no selection")\nwait(600)',
        "begin(details=False)\n"
        'rm("ResourceManagerDetails", available_control_types=["NOT_CONTROLABLE"])\n'
        'select("not controllable")\nwait(600)',
        'begin("FRBC")\nwait(600)',
        'begin("PPBC")\nselect("no selection")\nwait(600)',
        'begin(details=False)\nwait(600)',
        'begin(details=False)\n'
        'rm("ResourceManagerDetails", available_control_types=["NOT_CONTROLABLE"])\nwait(600)',
    ],
    ids=["none", "none offered", "described", "no longer", "no details", "a meter"],
)  # fmt: skip
def test_a_control_type_was_selected_or_none_is_there(script: str) -> None:
    if "select(" in script:
        script = script.replace('"no selection"', '"NO_SELECTION"')
        script = script.replace('"not controllable"', '"NOT_CONTROLABLE"')
    assert hints(script) == []


def test_what_is_not_known_is_not_missed() -> None:
    """The selection may have come before, the details may not have been accepted."""
    late = Script(from_start=False)
    late.rm("ResourceManagerDetails")
    late.wait(600)
    refused = Script()
    refused.begin(details=False)
    refused.rm("ResourceManagerDetails", answer="TEMPORARY_ERROR")
    refused.wait(600)
    assert not any(code.startswith("hint.") for code in late.codes + refused.codes)


def test_what_was_not_forwarded_is_not_missed() -> None:
    script = Script()
    script.begin()
    script.judge.judge(
        b'{"message_type": "SelectControlType", "message_id": "m1",'
        b' "control_type": "FILL_RATE_BASED_CONTROL"}',
        from_client=False,
        time=script.now,
    )
    script.judge.discard()
    script.wait(600)
    assert script.codes == []


@pytest.mark.parametrize(
    ("family", "first"),
    [
        ("FRBC", "FRBC.SystemDescription"),
        ("OMBC", "OMBC.SystemDescription"),
        ("DDBC", "DDBC.SystemDescription"),
        ("PEBC", "PEBC.PowerConstraints"),
    ],
)
def test_a_control_type_is_never_described(family: str, first: str) -> None:
    script = f'begin()\nselect("{family}")\n'
    assert hints(f"{script}wait(60)\nwait(60)") == [
        f"never-described /control_type: the RM accepted it, but sent no {first} in 60 s"
    ]
    assert hints(f"{script}wait(50)\nclose()") == []


@pytest.mark.parametrize(
    "script",
    [
        'begin()\nselect("PPBC")\nwait(600)',
        'begin("FRBC")\nselect("NO_SELECTION")\nwait(600)',
        'begin("FRBC")\nselect("FRBC")\nwait(600)',
        'begin()\ncem("SelectControlType", answer="TEMPORARY_ERROR")\nwait(60)',
        FRBC + 'cem("SessionRequest")\nclose()',
    ],
    ids=["nothing to plan", "ended", "again", "refused", "over"],
)
def test_nothing_is_to_be_described(script: str) -> None:
    assert [line for line in play(script) if " hint." in line] == []


def test_a_description_whose_name_is_misspelt() -> None:
    """It was meant, and is told of."""
    script = Script()
    script.begin()
    script.select("FRBC")
    script.rm("FRBC.SystemDescritpion", answer="INVALID_MESSAGE")
    script.wait(100)
    assert not any(code.startswith("hint.") for code in script.codes)


def test_a_description_that_nobody_could_read() -> None:
    script = Script()
    script.begin()
    script.select("FRBC")
    script.raw(Role.RM, b'{"message_type": "FRBC.SystemDescription", ')
    script.wait(100)
    assert not any(code.startswith("hint.") for code in script.codes)


def test_a_state_that_is_never_told() -> None:
    assert hints(f"{DESCRIBED}wait(60)\nwait(60)") == [
        "never-a-status : the RM sent no FRBC.ActuatorStatus and no FRBC.StorageStatus in 60 s"
        " since then"
    ]
    one = hints(f'{DESCRIBED}rm("FRBC.ActuatorStatus")\nwait(60)')
    assert one == ["never-a-status : the RM sent no FRBC.StorageStatus in 60 s since then"]
    script = 'begin()\nselect("{0}")\nrm("{0}.SystemDescription")\nwait(61)'
    for family in ("OMBC", "DDBC"):
        (line,) = hints(script.format(family))
        assert line.startswith("never-a-status : the RM sent no ")


@pytest.mark.parametrize(
    "script",
    [
        DESCRIBED + "wait(50)\nclose()",
        'begin("FRBC")\nwait(100)',
        'begin("OMBC")\nwait(100)',
        'begin("DDBC")\nwait(100)',
        FRBC + 'rm("FRBC.SystemDescription", valid_from=at(100))\nwait(100)',
    ],
    ids=["not yet", "FRBC", "OMBC", "DDBC", "valid later"],
)
def test_a_state_that_is_told_or_not_due(script: str) -> None:
    assert hints(script) == []


def test_a_status_that_cannot_be_read_is_one() -> None:
    broken = 'rm("FRBC.StorageStatus", present_fill_level="full", answer="INVALID_MESSAGE")\n'
    lines = play(f'{DESCRIBED}rm("FRBC.ActuatorStatus")\n{broken}wait(100)')
    assert [line for line in lines if " hint." in line] == []


@pytest.mark.parametrize("request_type", ["TERMINATE", "RECONNECT"])
def test_a_session_that_goes_on(request_type: str) -> None:
    asked = f'begin()\ncem("SessionRequest", request="{request_type}")\n'
    assert hints(asked + "wait(60)\nwait(60)\nclose()") == [
        f'session-goes-on /request: the RM accepted "{request_type}", but the connection is still'
        " open after 60 s"
    ]
    assert hints(asked + "wait(50)\nclose()") == []
    refused = asked.replace(")\n", ', answer="TEMPORARY_ERROR")\n').replace("begin(, ", "begin(")
    refused = refused.replace('begin(answer="TEMPORARY_ERROR")', "begin()")
    assert [line for line in play(refused + "wait(60)") if " hint." in line] == []


def test_what_is_said_after_the_end_is_told_once() -> None:
    lines = play('begin()\ncem("SessionRequest")\nwait(30)\nrm("PowerMeasurement")\nwait(60)')
    assert [line.split()[1] for line in lines] == ["state.after-the-end"]


CROSSING = 'begin()\nrm("PowerMeasurement", answer=None)\ncem("SelectControlType", answer=None)\n'


def test_both_sides_wait() -> None:
    lines = play(CROSSING + "wait(10)\nwait(20)\nwait(100)")
    assert [line.split()[1] for line in lines] == ["ack.missing", "ack.missing", "hint.deadlock"]
    assert lines[-1].endswith(
        'not answered by the RM, and neither is the PowerMeasurement "#" from the RM (30.0 s'
        " before) by the CEM; nothing was sent for 30 s"
    )


@pytest.mark.parametrize(
    "more",
    [
        'rm("ReceptionStatus", subject_message_id=last())\nrm("FRBC.SystemDescription")\n'
        'rm("FRBC.ActuatorStatus")\nrm("FRBC.StorageStatus")\nwait(60)',
        'wait(20)\nrm("PowerMeasurement", answer=None)\nwait(20)',
        "wait(29)\nclose()",
    ],
    ids=["one answers", "one goes on", "not for long"],
)
def test_only_one_waits(more: str) -> None:
    assert [line for line in play(CROSSING + more) if " hint." in line] == []


def test_another_resource() -> None:
    changed = 'rm("ResourceManagerDetails", resource_id="#other")\n'
    assert hints("begin()\nwait(10)\n" + changed + changed) == [
        'other-resource /resource_id: "#other", but the ResourceManagerDetails "#" from the RM'
        ' (10.0 s before) has "#resource"'
    ]
    assert hints('begin()\nrm("ResourceManagerDetails", name="Another name")') == []
    first = 'begin(details=False)\nrm("ResourceManagerDetails", answer="INVALID_CONTENT")\n'
    assert [line for line in play(first + changed) if " hint." in line] == []


def test_while_a_message_is_held_back_nothing_can_follow() -> None:
    script = Script()
    script.begin()
    script.select("FRBC")
    judge, now = script.judge, script.now
    judge.judge(
        b'{"message_type": "PowerMeasurement", "message_id": "m1"}', from_client=True, time=now
    )
    assert judge.tick(now + 200) == []
    judge.take_in(monotonic=now + 200)
    assert [found.finding.code for found in judge.tick(now + 250)] == ["ack.missing"]
    assert [found.finding.code for found in judge.tick(now + 261)] == ["hint.never-described"]


@pytest.mark.parametrize("goes_on", ['select("FRBC")', 'cem("Handshake")'])
def test_a_side_goes_on_after_an_error_from_which_it_cannot_recover(goes_on: str) -> None:
    error = 'begin()\nrm("PowerMeasurement", answer="PERMANENT_ERROR")\nwait({})\n'
    lines = play(error.format(30) + f"{goes_on}\n{goes_on}")
    (line,) = [line for line in lines if "permanent" in line]
    assert line.startswith("info hint.after-permanent-error /message_type: ")
    assert " after PERMANENT_ERROR, in the ReceptionStatus" in line
    for script in (
        error.format(1) + goes_on,
        error.format(30) + 'rm("PowerMeasurement")',
        error.format(30) + 'cem("SessionRequest")',
        error.format(30).replace("PERMANENT", "TEMPORARY") + goes_on,
    ):
        assert not any("permanent" in line for line in play(script))
