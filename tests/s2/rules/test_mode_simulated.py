"""A simulated device and a CEM that go by modes, transitions and timers: nobody is blamed.

The two talk with a delay, and each goes by what it knows. The device follows with a delay of its
own, and tells of it or not; the CEM plans ahead, and never as the description does not allow.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count, pairwise
from random import Random
from typing import Any

import pytest

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import START, at, ombc_mode, timer, transition
from s2_mitm.s2.verdict import Role

SECONDS = 900
MARGIN = 1.0
"""Seconds by which the device may be late."""

Event = Callable[[float], object]


class Simulated:
    """A device of OMBC with some modes, and its CEM. Times are in seconds since the beginning."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = Random(seed)
        self.modes = [f"mode-{number}" for number in range(chance.randint(2, 5))]
        self.timers = {
            f"timer-{number}": chance.choice([10, 30, 90]) for number in range(chance.randint(0, 3))
        }
        ring = list(pairwise([*self.modes, self.modes[0]]))
        every = [(a, b) for a in self.modes for b in self.modes if a != b]
        pairs = dict.fromkeys(ring + [pair for pair in every if chance.random() < 0.5])
        self.ways = {pair: (self._some_timers(), self._some_timers()) for pair in pairs}
        self.delay = chance.choice([0.005, 0.05, 0.5])
        self.tells_of_instructions = chance.random() < 0.7
        self.tells_of_timers = chance.choice(["never", "before", "after"])
        self.active, self.before, self.since = self.modes[0], "", 0.0
        self.plan, self.planned = self.modes[0], 1.0
        self.finished = dict.fromkeys(self.timers, 0.0)
        self.description = self.described()
        self.script = Script()
        self._numbers = count()
        self._events: list[tuple[float, int, Event]] = []

    def _some_timers(self) -> list[str]:
        return self.chance.sample(list(self.timers), self.chance.randint(0, len(self.timers)))

    def described(self) -> dict[str, Any]:
        return {
            "operation_modes": [ombc_mode(name) for name in self.modes],
            "timers": [timer(name, duration=1000 * each) for name, each in self.timers.items()],
            "transitions": [
                transition(
                    *way,
                    start_timers=[f"#{name}" for name in started],
                    blocking_timers=[f"#{name}" for name in blocking],
                )
                for way, (started, blocking) in self.ways.items()
            ],
        }

    def play(self) -> list[str]:
        """The codes of what is found."""
        self.script.begin()
        self.script.select("OMBC")
        self.script.rm("OMBC.SystemDescription", **self.description)
        self.later(1, self.decide)
        if self.chance.random() < 0.5:
            self.later(20, self.status_again)
        if self.chance.random() < 0.5:
            self.later(100, self.describe_again)
        while self._events:
            time, _, event = heapq.heappop(self._events)
            if (wait := time - (self.script.now - START)) > 0:
                self.script.wait(wait)
            event(time)
        return self.script.codes

    def later(self, time: float, event: Event) -> None:
        if time < SECONDS:
            heapq.heappush(self._events, (time, next(self._numbers), event))

    def say(self, time: float, sender: Role, message_type: str, **fields: Any) -> None:
        """A message, whose answer comes by when it has gone to the other side and back."""
        sides = {Role.RM: self.script.rm, Role.CEM: self.script.cem}
        message_id = sides[sender](message_type, None, **fields)
        answer = sides[sender.other]
        self.later(
            time + 2 * self.delay,
            lambda _: (
                answer("ReceptionStatus", subject_message_id=message_id, status="OK") and None
            ),
        )

    # The CEM

    def decide(self, time: float) -> None:
        for _ in range(self.chance.choice([1, 1, 3])):
            self.instruct(time)
        self.later(time + self.chance.choice([2, 30, 150]), self.decide)

    def instruct(self, time: float) -> None:
        execution = max(time, self.planned + 3) + self.chance.choice([0, 5, 60, 200])
        possible = [self.plan]
        for (start, end), (_, blocking) in self.ways.items():
            if start == self.plan and all(self.finished[name] <= execution for name in blocking):
                possible.append(end)
        target, name = self.chance.choice(possible), f"#instruction-{next(self._numbers)}"
        fields = {"id": name, "operation_mode_id": f"#{target}", "execution_time": at(execution)}
        self.say(time, Role.CEM, "OMBC.Instruction", **fields)
        for started in self.ways.get((self.plan, target), ([], []))[0]:
            begun = max(execution, time + 2 * self.delay) + MARGIN
            self.finished[started] = begun + self.timers[started]
        self.plan, self.planned = target, max(execution, time + 2 * self.delay)
        self.later(time + self.delay, lambda now: self.update(now, name, "ACCEPTED"))
        late = self.chance.random() * MARGIN / 2
        execution = max(execution, time + self.delay) + late
        self.later(execution, lambda now: self.execute(now, name, target))

    # The RM

    def execute(self, time: float, instruction: str, target: str) -> None:
        self.update(time, instruction, "STARTED")
        if target != self.active:
            started, _ = self.ways[self.active, target]
            self.before, self.active, self.since = self.active, target, time
            if self.tells_of_timers == "before":
                self.tell_timers(time, started)
            self.status(time)
            if self.tells_of_timers == "after":
                self.tell_timers(time, started)
        self.update(time, instruction, "SUCCEEDED")

    def tell_timers(self, time: float, started: list[str]) -> None:
        for name in started:
            fields = {"timer_id": f"#{name}", "finished_at": at(time + self.timers[name])}
            self.say(time, Role.RM, "OMBC.TimerStatus", **fields)

    def update(self, time: float, instruction: str, status: str) -> None:
        if self.tells_of_instructions:
            fields = {"instruction_id": instruction, "status_type": status, "timestamp": at(time)}
            self.say(time, Role.RM, "InstructionStatusUpdate", **fields)

    def status(self, time: float) -> None:
        fields = {"active_operation_mode_id": f"#{self.active}"}
        if self.before:
            fields["previous_operation_mode_id"] = f"#{self.before}"
            fields["transition_timestamp"] = at(self.since)
        self.say(time, Role.RM, "OMBC.Status", **fields)

    def status_again(self, time: float) -> None:
        self.status(time)
        self.later(time + 37, self.status_again)

    def describe_again(self, time: float) -> None:
        self.say(time, Role.RM, "OMBC.SystemDescription", **self.description)
        self.status(time)
        self.later(time + 333, self.describe_again)


@pytest.mark.parametrize("seed", range(20))
def test_nobody_is_blamed(seed: int) -> None:
    codes = Simulated(seed).play()
    assert [code for code in codes if code.startswith("modes.")] == []


def test_a_cem_that_jumps_is_seen() -> None:
    """Else the test above could not fail."""
    seen = set()
    for seed in range(8):
        simulated = Simulated(seed)
        every = [(a, b) for a in simulated.modes for b in simulated.modes if a != b]
        lacking = [way for way in every if way not in simulated.ways]
        simulated.ways |= dict.fromkeys(lacking, ([], []))  # and not in its description
        seen |= set(simulated.play())
    assert "modes.unreachable" in seen
