"""What recorded messages mean: as when they were said, whichever of them are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conversations import HOME_BATTERY, Play

from s2_mitm.history.queries import History
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.replay import meanings
from s2_mitm.replay.meanings import Meanings
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Role


class Recorded:
    """A session that is recorded, with what each message meant when it was said."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.recorder = Recorder(str(file), print)
        self.meant: dict[tuple[str, int], str] = {}

    def session(self, session: str, said: list[tuple[Role, float, bytes]], **more: Any) -> None:
        """Record a conversation, of which ``lost`` messages are not, and others ``dropped``."""
        self.recorder.session_opened(SessionStart(session, said[0][1], "rm", "cem", "/", Role.RM))
        judge = Judge()
        for number, (sender, time, data) in enumerate(said, 1):
            dropped = number in more.get("dropped", ())
            verdict = judge.judge(data, from_client=sender is Role.RM, time=time)
            self.meant[session, number] = judge.meaning()
            (judge.discard if dropped else judge.take_in)()
            if number not in more.get("lost", ()):
                self.recorder.message(MessageRecord(session, number, verdict, data, False, dropped))

    def told(self, **wanted: Any) -> dict[tuple[str, int], str]:
        self.recorder.close()
        history = History(str(self.file))
        try:
            rows = list(Meanings(history).told(history.messages(**wanted)))
        finally:
            history.close()
        return {(row["session_id"], row["seq"]): row["meaning"] for row in rows}


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    made = Recorded(tmp_path / "s2.sqlite3")
    yield made
    made.recorder.close()


def played(text: str) -> list[tuple[Role, float, bytes]]:
    """What is said in a script: who, when, what."""
    said: list[tuple[Role, float, bytes]] = []

    class Kept(Script):
        def _receive(self, sender: Role, data: bytes, *, injected: bool = False) -> None:
            super()._receive(sender, data, injected=injected)
            said.append((sender, self.now, data))

    Kept().run(text)
    return said


def test_it_is_what_was_meant_when_it_was_said(recorded: Recorded) -> None:
    [wires] = Play().run(HOME_BATTERY).connections
    recorded.session("a", [(wire.sender, wire.time, wire.data) for wire in wires])
    recorded.session("b", played('begin("PPBC"); cem("PPBC.ScheduleInstruction")'))
    recorded.session("c", [(Role.RM, 1e9, b"hello"), *played('begin("OMBC")')])

    assert recorded.told() == recorded.meant
    assert len(recorded.meant) > 50


WITH_MUCH_BETWEEN = """
begin("OMBC")
rm("OMBC.SystemDescription", answer="INVALID_CONTENT", operation_modes=[ombc_mode("other")])
for _ in range(20): rm("PowerMeasurement")
cem("OMBC.Instruction")
for _ in range(20): rm("PowerMeasurement")
cem("OMBC.Instruction", id="#second", operation_mode_id="#boost")
rm("InstructionStatusUpdate", instruction_id="#second")
"""


@pytest.mark.parametrize("near", [1, 5, 500])
@pytest.mark.parametrize("at_once", [1, 500])
def test_some_of_a_session_are_told_without_hearing_all_of_it(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, near: int, at_once: int
) -> None:
    monkeypatch.setattr(meanings, "NEAR", near)
    monkeypatch.setattr(meanings, "_AT_ONCE", at_once)
    heard: list[int] = []
    hear = meanings._Session._hear

    def counted(session: Any, row: Any, answer: Any) -> str:
        heard.append(row["seq"])
        return hear(session, row, answer)

    monkeypatch.setattr(meanings._Session, "_hear", counted)
    recorded.session("a", played(WITH_MUCH_BETWEEN))
    told = recorded.told(types=["OMBC.Instruction", "InstructionStatusUpdate"])

    assert len(told) == 3
    assert [*told.values()] == [recorded.meant[key] for key in told]
    assert (len(heard) < 40) is (near < 500)


def test_what_was_not_forwarded_does_not_count(recorded: Recorded) -> None:
    said = played('begin(); select("OMBC"); rm("OMBC.SystemDescription"); cem("OMBC.Instruction")')
    [described] = [n for n, each in enumerate(said, 1) if b"OMBC.SystemDescription" in each[2]]
    recorded.session("a", said, dropped=(described,))
    told = recorded.told()

    assert told == recorded.meant
    assert "not described" in told["a", len(said) - 1]


def test_what_went_is_what_counts(recorded: Recorded) -> None:
    first, second = played('rm("OMBC.SystemDescription", answer=None); cem("OMBC.Instruction")')[:2]
    recorded.recorder.session_opened(SessionStart("a", first[1], "rm", "cem", "/", Role.RM))
    sent = first[2].replace(b'"on"', b'"changed"')
    for number, (each, went) in enumerate(((first, sent), (second, None)), 1):
        verdict = Judge().judge(each[2], from_client=each[0] is Role.RM, time=each[1])
        recorded.recorder.message(MessageRecord("a", number, verdict, each[2], False, False, went))

    assert recorded.told()["a", 2] == "changed at 1: 2,000 W, at 12:00:05Z"


def test_what_was_not_recorded_may_have_said_anything(recorded: Recorded) -> None:
    said = played('begin("OMBC"); rm("PowerMeasurement"); cem("OMBC.Instruction")')
    recorded.session("a", said, lost=range(9, len(said) - 3))
    *_, instruction, _ = recorded.told().values()

    assert "whose description was not seen" in instruction


def test_more_sessions_than_are_kept(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meanings, "_AT_ONCE", 2)
    monkeypatch.setattr(meanings, "_MOST_SESSIONS", 1)
    said = played('begin("OMBC"); cem("OMBC.Instruction")')
    for name in ("a", "b", "c"):
        recorded.session(name, said)

    assert recorded.told() == recorded.meant


def test_a_time_that_somebody_has_written_by_hand(recorded: Recorded) -> None:
    recorded.session("a", played("begin()"))
    told = recorded.told()
    history = History(str(recorded.file))
    rows = [{**row, "timestamp": "soon"} for row in history.messages()]
    history.said = lambda *_: iter(rows)  # type: ignore[method-assign]
    try:
        assert {row["meaning"] for row in Meanings(history).told(rows)} == {""}
    finally:
        history.close()
    assert all(told.values())
