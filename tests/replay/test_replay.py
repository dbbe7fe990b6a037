"""A recorded conversation gets the same verdicts as when it took place."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import click
import pytest
from conversations import (
    CHARGING,
    CURTAILMENT,
    HOME_BATTERY,
    HOT_WATER,
    HYBRID_HEATING,
    LAUNDRY,
    MEASURING,
    S2_CONNECT,
    Play,
)
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from s2_mitm.render.verdicts import verdict_as_dict
from s2_mitm.replay.lines import Totals, replay_lines
from s2_mitm.replay.recorded import RecordedMessage, RecordedSession
from s2_mitm.replay.replayed import ReplayedSession, replay
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples.templates import START
from s2_mitm.s2.verdict import Role, Severity

SHAKE = 'rm("Handshake")\ncem("Handshake")\ncem("HandshakeResponse")\n'


def recorded(
    script: str, settings: Settings | None = None, client: Role = Role.RM, **more: Any
) -> tuple[RecordedSession, Play]:
    """A conversation as it would be recorded, and as it was played."""
    played = Play(settings)
    played.run(script)
    messages = [
        RecordedMessage(number, wire.time, wire.sender is client, wire.data)
        for number, wire in enumerate(played.connections[-1], 1)
    ]
    played.close()
    return RecordedSession("0123456789", messages, ended=played.now, **more), played


def played(session: RecordedSession, settings: Settings | None = None) -> ReplayedSession:
    result = replay(session, settings or Settings())
    assert result is not None
    return result


def found(session: RecordedSession, settings: Settings | None = None) -> list[tuple[int, str]]:
    """The numbers of messages and the codes of their findings."""
    return [
        (judged.number, finding.code)
        for judged in played(session, settings).messages
        for finding in judged.verdict.findings
    ]


@pytest.mark.parametrize("script", [HOME_BATTERY, CHARGING])
def test_nothing_is_wrong_with_a_whole_conversation(script: str) -> None:
    assert found(recorded(script)[0]) == []


def test_the_client_may_be_the_cem() -> None:
    """The handshakes tell it; the recording does where there are none yet."""
    session, _ = recorded(CURTAILMENT, Settings(client_role=Role.CEM), Role.CEM)
    assert found(session) == []
    judged = played(session).messages
    assert [judged[0].verdict.sender, judged[1].verdict.sender] == [Role.CEM, Role.RM]


def test_senders_are_those_that_became_known() -> None:
    """Either side may send a SessionRequest; the handshake after it tells which did."""
    script = 'rm("SessionRequest", request="RECONNECT", answer=None)\nrm("Handshake", answer=None)'
    session, _ = recorded(script, Settings(client_role=Role.CEM), Role.CEM)
    assert [judged.verdict.sender for judged in played(session).messages] == [Role.RM, Role.RM]


def test_the_version_may_be_known_from_elsewhere() -> None:
    settings = Settings(version="1.0.0-beta")
    session, _ = recorded(S2_CONNECT, settings)
    assert "handshake.missing" in dict(found(session)).values()
    assert found(session, settings) == []
    assert found(recorded(S2_CONNECT, settings, version="v1.0.0")[0]) == []


def test_late_findings_are_with_the_message_that_they_concern() -> None:
    session, played = recorded(
        SHAKE
        + 'rm("ResourceManagerDetails", answer=None)\nwait(20)\nrm("PowerMeasurement")\n'
        + 'cem("SelectControlType", answer=None)\nwait(3)'
    )
    assert found(session) == [(7, "ack.missing"), (10, "ack.missing")]
    assert played.codes == ["ack.missing", "ack.missing"]


def test_while_a_session_goes_on_nothing_is_missing_yet() -> None:
    session, _ = recorded(SHAKE + 'rm("ResourceManagerDetails", answer=None)\nwait(3)')
    assert found(session) == [(7, "ack.missing")]
    assert found(RecordedSession("x", session.messages)) == []


@pytest.mark.parametrize("client", Role)
@pytest.mark.parametrize(
    ("closed_by", "missing"),
    [
        (None, ["RM", "CEM"]),
        ("RM", ["CEM"]),
        ("CEM", ["RM"]),
        ("client", []),
        ("server", []),
        ("proxy", []),
    ],
)
def test_who_closed_it_is_not_owed_an_answer(
    client: Role, closed_by: str | None, missing: list[str]
) -> None:
    """Of the two messages that nobody answered, that of the one who closed is not missed."""
    sides = {"client": client.other, "server": client}
    asked = 'rm("PowerMeasurement", answer=None)\ncem("SelectControlType", answer=None)\nwait(3)'
    script = SHAKE + 'rm("ResourceManagerDetails")\n' + asked
    session, _ = recorded(script, Settings(client_role=client), client, closed_by=closed_by)
    late = dict(found(session))
    expected = [str(sides[closed_by])] if closed_by in sides else missing
    assert late == {9 if side == "RM" else 10: "ack.missing" for side in expected}


def test_the_end_is_not_before_the_last_message() -> None:
    session, _ = recorded(
        SHAKE + 'rm("PowerForecast", answer=None)\nwait(60)\nrm("PowerMeasurement")'
    )
    assert found(RecordedSession("x", session.messages, ended=START)) == [(7, "ack.missing")]


def test_what_was_not_forwarded_is_not_waited_for() -> None:
    session, _ = recorded(SHAKE + 'rm("PowerMeasurement", values=[], answer=None)\nwait(60)')
    *before, last = session.messages
    dropped = RecordedMessage(last.number, last.time, last.from_client, last.content, dropped=True)
    assert found(session) == [(7, "schema.too-few"), (7, "ack.missing")]
    assert found(RecordedSession("x", [*before, dropped], ended=last.time + 60)) == [
        (7, "schema.too-few")
    ]


@pytest.mark.parametrize("how", ["forwarded", "dropped", "changed"])
def test_what_a_recorded_selection_says_counts_as_it_went(how: str) -> None:
    session, _ = recorded(
        SHAKE
        + 'rm("ResourceManagerDetails")\nselect("FRBC")\nrm("FRBC.SystemDescription")\n'
        + 'select("OMBC", answer=None)\ncem("FRBC.Instruction")\n'
    )
    messages = list(session.messages)
    place = len(messages) - 3
    selection = messages[place]
    assert b"OPERATION_MODE" in selection.content
    if how == "dropped":
        messages[place] = replace(selection, dropped=True)
    elif how == "changed":
        went = selection.content.replace(b"OPERATION_MODE", b"FILL_RATE")
        messages[place] = replace(selection, sent=went)
    codes = [code for number, code in found(RecordedSession("x", messages)) if number > place + 1]

    assert codes == (["state.other-control-type"] if how == "forwarded" else [])


def test_what_was_changed_on_its_way_is_answered_as_it_went() -> None:
    session, _ = recorded(SHAKE + 'rm("PowerMeasurement", answer=None)\nwait(1)')
    *before, last = session.messages
    message = json.loads(last.content)
    id_that_went = "7d5a0f1c-52a3-4c93-9b6d-0f6c0a6b7e11"
    changed = replace(last, sent=json.dumps(message | {"message_id": id_that_went}).encode())
    receipt = {
        "message_type": "ReceptionStatus",
        "subject_message_id": id_that_went,
        "status": "OK",
    }
    answer = RecordedMessage(last.number + 1, last.time + 1, False, json.dumps(receipt).encode())
    end = last.time + 60
    assert found(RecordedSession("x", [*before, changed, answer], ended=end)) == []
    codes = [code for _, code in found(RecordedSession("x", [*before, last, answer], ended=end))]
    assert codes == ["ack.unknown-subject"]


def test_a_beginning_that_was_not_recorded() -> None:
    session, _ = recorded(HOME_BATTERY)
    half = RecordedSession("x", list(session.messages)[100:], Role.RM, "0.0.2-beta", session.ended)
    result = played(half)
    assert result.missing == [(1, 100)]
    assert {code for _, code in found(half)} <= {"handshake.not-seen", "modes.cannot-check"}


def test_messages_that_were_lost_in_between() -> None:
    session, _ = recorded(HOME_BATTERY)
    messages = list(session.messages)
    gap = RecordedSession("x", [*messages[:40], *messages[50:]], Role.RM, None, session.ended)
    result = played(gap)
    assert result.missing == [(41, 50)]
    assert [judged.number for judged in result.messages[39:41]] == [40, 51]
    assert {code for _, code in found(gap)} <= {"handshake.not-seen", "modes.cannot-check"}


CONNECTED = Settings(version="1.0.0-beta")
FAULTLESS = [
    (recorded(script, how)[0], how)
    for script, how in (
        *((script, Settings()) for script in (CHARGING, CURTAILMENT, HOME_BATTERY, HOT_WATER)),
        *((script, Settings()) for script in (HYBRID_HEATING, LAUNDRY, MEASURING)),
        (S2_CONNECT, CONNECTED),
    )
]
UNSEEN = {"handshake.not-seen", "modes.cannot-check", "pebc.cannot-check", "ppbc.cannot-check"}


@effort(max_examples=60, deadline=None)
@given(st.sampled_from(FAULTLESS), st.data())
def test_nobody_is_blamed_for_what_was_lost(
    whole: tuple[RecordedSession, Settings], data: st.DataObject
) -> None:
    session, how = whole
    messages = list(session.messages)
    lost: set[int] = set()
    for _ in range(data.draw(st.integers(1, 3), label="gaps")):
        first = data.draw(st.integers(1, len(messages)), label="first")
        lost.update(range(first, first + data.draw(st.integers(1, 12), label="messages")))
    kept = [message for message in messages if message.number not in lost]
    rest = RecordedSession(
        "x", kept, ended=session.ended, lost_to=max(lost & {each.number for each in messages})
    )
    result = replay(rest, how)
    if result is None:
        assert not kept
        return
    accused = [finding for judged in result.messages for finding in judged.verdict.findings]
    assert {finding.code for finding in accused} <= UNSEEN
    numbers = [number for first, last in result.missing for number in range(first, last + 1)]
    assert numbers == sorted(lost & {each.number for each in messages})


def test_after_a_gap_the_two_are_who_they_were() -> None:
    session, _ = recorded(CURTAILMENT, Settings(client_role=Role.CEM), Role.CEM)
    messages, whole = list(session.messages), played(session)
    last = messages[-1]  # an answer, which either may give
    rest = played(RecordedSession("x", [*messages[:-2], last]))
    assert [judged.verdict.sender for judged in rest.messages] == [
        judged.verdict.sender for judged in whole.messages if judged.number != last.number - 1
    ]
    assert rest.missing == [(last.number - 1, last.number - 1)]
    assert rest.control_type == whole.control_type is not None
    assert rest.resource_name == whole.resource_name is not None


def test_after_a_gap_they_speak_the_version_that_they_spoke() -> None:
    """First a message that only 1.0.0 has, and later one that it has changed."""
    session, _ = recorded(S2_CONNECT, CONNECTED)
    telling = next(each for each in session.messages if b"PresentDemandStatus" in each.content)
    [older], _ = [*recorded('rm("DDBC.SystemDescription", answer=None)')[0].messages], None
    later = replace(older, number=50)
    assert (50, "schema.unknown-field") not in found(RecordedSession("x", [later]))
    assert (50, "schema.unknown-field") in found(RecordedSession("x", [telling, later]))


def test_a_fault_after_a_gap_is_found() -> None:
    session, _ = recorded(SHAKE + 'rm("PowerMeasurement")\nrm("PowerMeasurement", values=[])')
    messages = list(session.messages)
    assert (9, "schema.too-few") in found(RecordedSession("x", [*messages[:6], *messages[8:]]))


def test_what_was_lost_at_the_end_may_have_been_the_answer() -> None:
    session, _ = recorded(SHAKE + 'rm("PowerMeasurement", answer=None)\nwait(60)')
    assert found(session) == [(7, "ack.missing")]
    cut = RecordedSession("x", session.messages, ended=session.ended, lost_to=9)
    assert found(cut) == []
    assert shown(cut)[-1] == "    2 messages were not recorded: #8 to #9"
    # A gap that is older says nothing about it.
    assert found(RecordedSession("x", session.messages, ended=session.ended, lost_to=6)) == [
        (7, "ack.missing")
    ]


def test_nothing() -> None:
    assert replay(RecordedSession("x", []), Settings()) is None


FAULTY = (
    SHAKE
    + 'rm("ResourceManagerDetails", name="\\x1b[2JBattery")\n'
    + 'rm("PowerMeasurement", values=[], answer=None)\nwait(20)\n'
    + 'cem("SelectControlType")\nrm("PowerMeasurement", answer="TEMPORARY_ERROR")'
)


def shown(session: RecordedSession, **how: Any) -> list[str]:
    return [click.unstyle(line) for line in replay_lines(played(session), "file", **how)]


def test_lines_for_people() -> None:
    session, _ = recorded(FAULTY)
    assert shown(session) == [
        "file [01234567] 2026-03-01 12:00:00 S2 FRBC"
        ' · RM "\\u001b[2JBattery" · 13 messages, 1 error, 1 warning, 1 info',
        "2026-03-01 12:00:00.090 #9 RM  PowerMeasurement INVALID",
        "    error schema.too-few /values: an empty list, expected at least 1",
        "  warning ack.missing: no ReceptionStatus from the CEM within 10 s",
        "2026-03-01 12:00:20.120 #12 RM  PowerMeasurement valid",
        '     info ack.refused: answered by the CEM with "TEMPORARY_ERROR"',
    ]


def test_all_lines() -> None:
    session, _ = recorded(FAULTY)
    lines = shown(session, verbose=True)
    assert lines[1:3] == [
        "2026-03-01 12:00:00.010 #1 RM  Handshake valid",
        "2026-03-01 12:00:00.020 #2 CEM ReceptionStatus OK valid",
    ]
    assert len(lines) == 1 + 13 + 3


def test_what_is_missing_is_said_where_it_is_missing() -> None:
    session, _ = recorded(FAULTY)
    messages = list(session.messages)
    lines = shown(RecordedSession("", [*messages[:9], *messages[11:]], Role.RM), verbose=True)
    place = lines.index("    2 messages were not recorded: #10 to #11")
    assert "#9 RM" in lines[place - 2]
    assert "#12 RM" in lines[place + 1]
    totals = Totals()
    totals.add(played(RecordedSession("", [*messages[:9], *messages[11:]], Role.RM)))
    assert str(totals).startswith("1 session, 11 messages, 2 missing, 1 invalid, ")


@pytest.mark.parametrize(
    ("kept", "line"),
    [
        (slice(1, None), "    1 message was not recorded: #1"),
        (slice(0, 12, 11), "    10 messages were not recorded: #2 to #11"),
        (slice(0, 3, 2), "    1 message was not recorded: #2"),
    ],
)
def test_what_is_missing_is_said(kept: slice, line: str) -> None:
    session, _ = recorded(HOME_BATTERY)
    part = RecordedSession("", list(session.messages)[kept], Role.RM)
    assert shown(part)[1] == line


def test_injected_messages() -> None:
    session, _ = recorded(SHAKE + 'rm("PowerMeasurement", values=[], answer=None)')
    *before, last = session.messages
    injected = RecordedMessage(
        last.number, last.time, last.from_client, last.content, injected=True
    )
    assert shown(RecordedSession("x", [*before, injected]))[1].endswith("INVALID injected")


def test_for_programs() -> None:
    session, _ = recorded(FAULTY)
    ninth = played(session).messages[8]
    measured = verdict_as_dict(ninth.number, ninth.verdict, injected=ninth.injected)
    assert measured.pop("message_id")
    assert [finding["code"] for finding in measured.pop("findings")] == [
        "schema.too-few",
        "ack.missing",
    ]
    assert measured == {
        "seq": 9,
        "timestamp": "2026-03-01T12:00:00.090Z",
        "sender": "RM",
        "message_type": "PowerMeasurement",
        "injected": False,
        "valid": False,
    }


def test_totals() -> None:
    totals = Totals()
    assert str(totals) == "0 sessions, 0 messages, 0 invalid, 0 errors, 0 warnings"
    totals.add(played(recorded(FAULTY)[0]))
    totals.add(played(recorded(SHAKE)[0]))
    assert str(totals) == "2 sessions, 19 messages, 1 invalid, 1 error, 1 warning, 1 info"
    assert totals.has(Severity.ERROR)
    fine = Totals()
    fine.add(played(recorded(SHAKE)[0]))
    assert not fine.has(Severity.INFO)
