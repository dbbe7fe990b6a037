"""Conversations to be judged: that of the demo, and one as long as is asked for."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from time import process_time

from load.messages import Message, an_id, iso, opening, power_measurement, reception_status
from load.peers import FURTHER

from s2_mitm.demo.battery import run_battery
from s2_mitm.demo.cem import serve_cem
from s2_mitm.demo.frames import Frames
from s2_mitm.s2.conversation.judging import Judge


@dataclass(frozen=True)
class Frame:
    """A message on the wire, and when it was there."""

    data: bytes
    from_client: bool
    time: float


class _InOrder(list[str | bytes]):
    """The frames of one direction, noted in a list of both as well."""

    def __init__(self, traffic: list[Frame], from_client: bool) -> None:
        self._traffic = traffic
        self._from_client = from_client

    def append(self, frame: str | bytes) -> None:
        super().append(frame)
        data = frame.encode() if isinstance(frame, str) else frame
        self._traffic.append(Frame(data, self._from_client, time.time()))


async def demo_traffic(seconds: float) -> list[Frame]:
    """A day of the demo, so many seconds long, as its battery sees it."""
    traffic: list[Frame] = []
    frames = Frames(_InOrder(traffic, True), _InOrder(traffic, False))
    async with serve_cem(seconds=seconds) as port:
        await run_battery(f"ws://127.0.0.1:{port}", seconds=seconds, frames=frames)
    return traffic


class LongSession:
    """A session that goes on and on: measurements a second apart, each answered."""

    START = 1782042120.0

    def __init__(self) -> None:
        self.judge = Judge()
        self.opening: list[Frame] = []
        self._measurement = power_measurement()
        self._number = 0
        for message in opening(self.START):
            self._said(message, True)
            self._said(_answer(message), False)
            for place, further in enumerate(FURTHER.get(message["message_type"], ())):
                number = 2000 + 10 * self.judge.messages + place
                self._said(answered := {**further, "message_id": an_id(number)}, False)
                self._said(_answer(answered), True)
        if self.judge.findings:
            sys.exit(f"bench: the session has findings: {self.judge.findings}")

    def _said(self, message: Message, from_client: bool) -> None:
        data = json.dumps(message).encode()
        self.judge.receive(data, from_client=from_client, time=self.START)
        self.opening.append(Frame(data, from_client, self.START))

    def say(self, messages: int) -> float:
        """Go on for so many messages; microseconds that one took."""
        traffic = self.next(messages)
        receive = self.judge.receive
        start = process_time()
        for each in traffic:
            receive(each.data, from_client=each.from_client, time=each.time)
        return (process_time() - start) / messages * 1e6

    def next(self, messages: int) -> list[Frame]:
        """The next so many messages."""
        traffic = []
        for _ in range(messages // 2):
            self._number += 1
            moment = self.START + self._number
            measurement = {
                **self._measurement,
                "message_id": an_id(100_000 + self._number),
                "measurement_timestamp": iso(moment),
            }
            data = json.dumps(measurement).encode()
            traffic.append(Frame(data, True, moment))
            data = json.dumps(_answer(measurement)).encode()
            traffic.append(Frame(data, False, moment + 0.01))
        return traffic


def _answer(message: Message) -> Message:
    return {**reception_status(), "subject_message_id": message["message_id"]}
