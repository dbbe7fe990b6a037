"""The battery and the CEM talk directly to each other: all is right but the planted mistakes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from s2_mitm.demo.battery import TICKS, run_battery
from s2_mitm.demo.cem import PLAN, serve_cem
from s2_mitm.demo.frames import Frames
from s2_mitm.demo.mistakes import MISTAKES
from s2_mitm.demo.strict import read

SECONDS = 1.5


@dataclass
class Told:
    """One whole conversation, as each side heard it."""

    ended: bool
    rm: Frames
    cem: Frames

    @property
    def from_rm(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.cem.received]

    @property
    def from_cem(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.rm.received]


async def _tell(days: int, seconds: float) -> Told:
    rm, cem = Frames(), Frames()
    async with serve_cem(seconds=seconds, days=days, frames=cem) as port:
        ended = await run_battery(f"ws://127.0.0.1:{port}", seconds=seconds, frames=rm)
    return Told(ended, rm, cem)


@pytest.fixture(scope="module")
def told() -> Told:
    return asyncio.run(_tell(days=1, seconds=SECONDS))


def test_it_ends_in_order(told: Told) -> None:
    assert told.ended
    assert told.from_cem[-1]["message_type"] == "SessionRequest"
    last = told.from_rm[-1]
    assert last["message_type"] == "ReceptionStatus"
    assert last["subject_message_id"] == told.from_cem[-1]["message_id"]


def test_what_one_sends_the_other_receives(told: Told) -> None:
    assert told.rm.sent == told.cem.received
    assert told.cem.sent == told.rm.received


def test_exactly_the_planted_mistakes_are_invalid(told: Told) -> None:
    readings = [(json.loads(frame), read(frame)) for frame in told.rm.sent + told.cem.sent]
    invalid = [
        (message["message_type"], reading.fault)
        for message, reading in readings
        if reading.message is None
    ]
    planted = [mistake for mistake in MISTAKES if not mistake.valid]
    assert [message_type for message_type, _ in invalid] == [m.message_type for m in planted]
    for (_, fault), mistake in zip(invalid, planted, strict=True):
        assert fault.startswith(mistake.path)


def _answers(answering: list[dict[str, Any]]) -> dict[str, str]:
    """The status by message_id, of a side's ReceptionStatus messages."""
    statuses = [m for m in answering if m["message_type"] == "ReceptionStatus"]
    answers = {m["subject_message_id"]: m["status"] for m in statuses}
    assert len(answers) == len(statuses), "something is answered twice"
    return answers


def test_everything_is_answered_as_it_deserves(told: Told) -> None:
    answers = _answers(told.from_cem)
    unanswered = []
    for frame, message in zip(told.rm.sent, told.from_rm, strict=True):
        if message["message_type"] == "ReceptionStatus":
            continue
        answer = answers.pop(message["message_id"], None)
        if answer is None:
            unanswered.append(message["message_type"])
        else:
            assert answer == ("OK" if read(frame).message else "INVALID_MESSAGE")
    assert unanswered == [mistake.message_type for mistake in MISTAKES if mistake.valid]
    assert not answers, "the CEM answered what was never said"

    asked = {m["message_id"]: "OK" for m in told.from_cem if "message_id" in m}
    assert _answers(told.from_rm) == asked


def test_message_ids_are_unique(told: Told) -> None:
    ids = [m["message_id"] for m in told.from_rm + told.from_cem if "message_id" in m]
    assert len(ids) == len(set(ids))


def test_each_speaks_in_turn(told: Told) -> None:
    def first_types(messages: list[dict[str, Any]]) -> list[str]:
        types = [m["message_type"] for m in messages if m["message_type"] != "ReceptionStatus"]
        return list(dict.fromkeys(types))

    assert first_types(told.from_cem) == [
        "Handshake",
        "HandshakeResponse",
        "SelectControlType",
        "FRBC.Instruction",
        "SessionRequest",
    ]
    assert first_types(told.from_rm)[:5] == [
        "Handshake",
        "ResourceManagerDetails",
        "FRBC.SystemDescription",
        "FRBC.ActuatorStatus",
        "FRBC.StorageStatus",
    ]


def test_every_instruction_is_carried_out(told: Told) -> None:
    instructions = [m for m in told.from_cem if m["message_type"] == "FRBC.Instruction"]
    updates = [m for m in told.from_rm if m["message_type"] == "InstructionStatusUpdate"]
    assert len(instructions) == len(PLAN)
    for instruction in instructions:
        statuses = [u["status_type"] for u in updates if u["instruction_id"] == instruction["id"]]
        assert statuses == ["NEW", "ACCEPTED", "STARTED", "SUCCEEDED"]

    states = [m for m in told.from_rm if m["message_type"] == "FRBC.ActuatorStatus"]
    assert [s["active_operation_mode_id"] for s in states[1:]] == [
        instruction["operation_mode"] for instruction in instructions
    ]
    assert "previous_operation_mode_id" not in states[0]
    for before, after in pairwise(states):
        assert after["previous_operation_mode_id"] == before["active_operation_mode_id"]
        assert "transition_timestamp" in after


def test_what_is_measured_follows_what_is_instructed(told: Told) -> None:
    powers = [
        m["values"][0]["value"] for m in told.from_rm if m["message_type"] == "PowerMeasurement"
    ]
    assert len(powers) >= TICKS
    assert max(powers) == pytest.approx(4000, rel=0.02)
    assert min(powers) == pytest.approx(-4000, rel=0.02)
    assert 0.0 in powers


def test_a_longer_session_repeats_the_day() -> None:
    told = asyncio.run(_tell(days=2, seconds=1))
    invalid = [m for f, m in zip(told.rm.sent, told.from_rm, strict=True) if not read(f).message]
    planted = [mistake.message_type for mistake in MISTAKES if not mistake.valid]
    assert [m["message_type"] for m in invalid] == 2 * planted
    assert told.ended


def test_a_connection_that_breaks_off_is_not_an_orderly_end() -> None:
    async def talk() -> bool:
        async def hang_up(connection: ServerConnection) -> None:
            handshake = json.loads(await connection.recv())
            answer = {
                "message_type": "ReceptionStatus",
                "subject_message_id": handshake["message_id"],
                "status": "OK",
            }
            await connection.send(json.dumps(answer))
            connection.transport.abort()

        async with serve(hang_up, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            return await run_battery(f"ws://127.0.0.1:{port}", seconds=1)

    assert asyncio.run(talk()) is False
