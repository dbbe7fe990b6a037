"""The clock on the wall is set, back and forward; what is due does not follow it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.verdict import LateFinding, Verdict

NOON = 1_772_366_400.0
HOUR = 3600.0


class Clocks:
    """A conversation with two clocks, of which one can be set; or with that one alone."""

    def __init__(self, *, monotonic: bool) -> None:
        self.script = Judge()
        self.wall = NOON
        self.late: list[str] = []
        self._monotonic = 50.0 if monotonic else None
        self._numbers: Iterator[int] = iter(range(1000))

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        if self._monotonic is not None:
            self._monotonic += seconds
        self._note(self.script.tick(self.wall, self._monotonic))

    def say(self, content: dict[str, str], *, from_client: bool = True) -> Verdict:
        self.wait(0.1)
        data = json.dumps(content).encode()
        verdict = self.script.receive(
            data, from_client=from_client, time=self.wall, monotonic=self._monotonic
        )
        self._note(verdict.late)
        return verdict

    def ask(self) -> str:
        name = f"m{next(self._numbers)}"
        self.say({"message_type": "Handshake", "message_id": name, "role": "RM"})
        return name

    def answer(self, name: str) -> Verdict:
        receipt = {"message_type": "ReceptionStatus", "subject_message_id": name, "status": "OK"}
        return self.say(receipt, from_client=False)

    def _note(self, late: list[LateFinding]) -> None:
        self.late += [
            f"{item.finding.code}: {item.finding.text}"
            for item in late
            if item.finding.code.startswith("ack.")
        ]


@pytest.fixture(params=[True, False], ids=["live", "replayed"])
def clocks(request: pytest.FixtureRequest) -> Clocks:
    return Clocks(monotonic=request.param)


def test_a_clock_that_is_set_back_mutes_nothing(clocks: Clocks) -> None:
    clocks.ask()
    clocks.wall -= HOUR
    clocks.wait(0.0)
    clocks.ask()
    for _ in range(12):
        clocks.wait(1.0)

    missing = "ack.missing: no ReceptionStatus from the CEM within 1"
    assert [each[: len(missing)] for each in clocks.late] == [missing] * 2


def test_a_clock_that_is_set_back_makes_no_answer_late_or_early(clocks: Clocks) -> None:
    name = clocks.ask()
    clocks.wall -= HOUR
    verdict = clocks.answer(name)

    assert verdict.answer is not None
    assert 0 <= verdict.answer.delay <= 100.001
    clocks.wall -= HOUR
    for _ in range(20):
        clocks.answer(clocks.ask())
        clocks.wait(1.0)
    assert clocks.late == []


def test_a_clock_that_is_set_forward_says_nothing_of_what_is_not_due() -> None:
    clocks = Clocks(monotonic=True)
    names = [clocks.ask() for _ in range(3)]
    clocks.wall += HOUR
    clocks.wait(1.0)

    verdicts = [clocks.answer(name) for name in names]
    assert clocks.late == []
    delays = [verdict.answer.delay for verdict in verdicts if verdict.answer]
    assert delays == pytest.approx([1300.0] * 3)


def test_in_a_recording_an_hour_is_an_hour() -> None:
    clocks = Clocks(monotonic=False)
    name = clocks.ask()
    clocks.wait(HOUR)
    clocks.answer(name)

    assert [each.split(":")[0] for each in clocks.late] == ["ack.missing"]
