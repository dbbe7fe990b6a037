"""Whole conversations give no finding at all, whatever is not seen of them and however slow."""

from __future__ import annotations

import random
import re
from datetime import datetime, timedelta

import pytest
from conversations import Wire
from variants import CONVERSATIONS, SETTINGS, play

from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.verdict import Role

JOINED_LATE = {
    "handshake.not-seen",
    "modes.cannot-check",
    "pebc.cannot-check",
    "ppbc.cannot-check",
}
"""What is said, once each, by one who did not hear the beginning."""


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_whole_conversation(name: str) -> None:
    assert play(name, CONVERSATIONS[name]).findings == []


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_whose_end_was_not_seen(name: str) -> None:
    """It goes on: nothing is said of what may still come."""
    for wires in play(name, CONVERSATIONS[name]).connections:
        judge = Judge(SETTINGS.get(name))
        for wire in wires:
            assert hear(judge, wire) == []


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_whose_beginning_was_not_seen(name: str) -> None:
    """From wherever it was heard: what cannot be checked is said once, and nothing is wrong."""
    settings = SETTINGS.get(name, Settings(client_role=Role.RM))
    for wires in play(name, CONVERSATIONS[name]).connections:
        for first in range(1, len(wires)):
            judge = Judge(settings, from_start=False)
            codes = [code for wire in wires[first:] for code in hear(judge, wire)]
            assert set(codes) <= JOINED_LATE
            assert len(codes) == len(set(codes))


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("most", [0.05, 0.5, 2, 8])
def test_answers_take_their_time(name: str, most: float) -> None:
    """The two sides go on talking meanwhile, each by what it knows."""
    chance = random.Random(name)
    for wires in play(name, CONVERSATIONS[name]).connections:
        delayed = [
            wire._replace(time=wire.time + chance.uniform(0, most))
            if b'"ReceptionStatus"' in wire.data
            else wire
            for wire in wires
        ]
        judge = Judge(SETTINGS.get(name))
        for wire in sorted(delayed, key=lambda wire: wire.time):
            assert hear(judge, wire) == []


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("sender", Role)
@pytest.mark.parametrize("seconds", [-30, -3, 3, 30])
def test_a_clock_that_is_wrong(name: str, sender: Role, seconds: float) -> None:
    """By half a minute; it is not what the conversation is about."""
    for wires in play(name, CONVERSATIONS[name]).connections:
        judge = Judge(SETTINGS.get(name))
        for wire in wires:
            data = moved(wire.data, seconds) if wire.sender is sender else wire.data
            assert hear(judge, wire._replace(data=data)) == []


def moved(data: bytes, seconds: float) -> bytes:
    """A message with all its times so many seconds later."""

    def later(time: re.Match[str]) -> str:
        moment = datetime.fromisoformat(time[1]) + timedelta(seconds=seconds)
        return f'"{moment.isoformat()}"'

    return re.sub(r'"(\d{4}-\d\d-\d\dT[\d:.]+Z)"', later, data.decode()).encode()


def hear(judge: Judge, wire: Wire) -> list[str]:
    """The codes of what a message makes a conversation say."""
    verdict = judge.receive(
        wire.data, from_client=wire.sender is judge.conversation.client_role, time=wire.time
    )
    return [finding.code for finding in verdict.findings] + [
        late.finding.code for late in verdict.late
    ]
