"""Measure s2-mitm, on this machine, now.

    scripts/bench [SECTION …] [--json] [--seconds S] [--quick]
                  [--conversations N,…] [--pairs N] [--without-rules]

Sections: `validation`, what the verdict on one message costs; `flood`, what it costs when messages
are large and full of faults; `rules`, what the conversation costs a message, over the demo's
traffic and as a session grows long; `recorder`, how fast the recording takes what is said, and what
that costs the one who says it; `proxy`, s2-mitm in a real mitmdump, and `s2-mitm record`, beside a
plain mitmdump. Without a section, all of them.

Times are processor time, medians over rounds. A round measures everything that is to be compared
once, one after the other, and a ratio is the median of the ratios within the rounds: other work on
the machine slows both sides of it. The garbage collector runs as it does in real life.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import randrange
from statistics import median
from time import perf_counter, process_time
from types import FunctionType, ModuleType
from typing import Any
from uuid import UUID

import bench_peers
import bench_proxy
import bench_recorder
import jsonschema_rs
from bench_processes import BenchError
from s2python.s2_parser import TYPE_TO_MESSAGE_CLASS
from s2python.s2_validation_error import S2ValidationError

from s2_mitm.demo.battery import run_battery
from s2_mitm.demo.cem import VERSION, serve_cem
from s2_mitm.demo.frames import Frames
from s2_mitm.history.recorder import MessageRecord
from s2_mitm.s2.catalog import DEFAULT_VERSION
from s2_mitm.s2.conversation import message as s2_message
from s2_mitm.s2.conversation.judging import Conversation
from s2_mitm.s2.message import models
from s2_mitm.s2.message.reading import MAX_SIZE, read
from s2_mitm.s2.message.schemas import BUILT_IN
from s2_mitm.s2.message.validation import built_in, judge
from s2_mitm.s2.rules import RULES

Message = dict[str, Any]
Rows = list[dict[str, Any]]

VALIDATION_GOAL = 3.0
"""A verdict on a valid PowerMeasurement: times its bare parts."""

FLOOD_GOAL = 5.0
"""A verdict on a large message full of faults: times that on a valid one of the same size."""

RULES_GOAL = 30.0
"""All rules together, over the demo's traffic: microseconds a message."""

GROWTH_GOAL = 1.1
"""A message late in a long session: times one after the first thousand. No growth, but noise."""

SHARE_GOAL = 0.1
"""All rules together: of plain mitmdump's time a message."""

RATE_GOALS = {bench_proxy.WITH_US.name: 0.92, bench_proxy.RECORD.name: 1.5}
"""A proxy of ours : plain mitmdump, at least so many messages a second."""

TRIP_GOALS = {bench_proxy.WITH_US.name: 1.08}
"""A proxy of ours : plain mitmdump, at most so long a round trip."""

RECORDER_GOALS = {"SQLite": 5000, "PostgreSQL": 3000}
"""Messages a second that are written down, at least."""


@dataclass(frozen=True)
class Options:
    """How to measure: for how many seconds each row, and how much."""

    seconds: float
    quick: bool
    conversations: Sequence[int]
    pairs: int
    without_rules: bool


# Measuring


def rounds(tasks: dict[str, Callable[[], object]], seconds: float) -> Iterator[dict[str, float]]:
    """Measure every task once a round, for about so long; yields seconds a call, by task."""
    calls = {name: _calls_in(task, 0.01) for name, task in tasks.items()}
    end = perf_counter() + seconds
    made = 0
    while perf_counter() < end or made < 5:
        yield {name: _time(task, calls[name]) / calls[name] for name, task in tasks.items()}
        made += 1


def _calls_in(task: Callable[[], object], seconds: float) -> int:
    """How many calls take about so long; at least one. The first one warms up."""
    task()
    number = 1
    while (took := _time(task, number)) < seconds / 2:
        number *= 2 if took < seconds / 20 else 3
    return number


def _time(task: Callable[[], object], number: int) -> float:
    repeats = range(number)
    start = process_time()
    for _ in repeats:
        task()
    return process_time() - start


# Messages


def an_id(number: int) -> str:
    return str(UUID(int=0x5F1AE343CC904046_9173000000000000 + number))


def power_measurement() -> Message:
    phases = ("ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2", "ELECTRIC.POWER.L3")
    return {
        "message_type": "PowerMeasurement",
        "message_id": an_id(1),
        "measurement_timestamp": "2026-06-21T11:42:00.250Z",
        "values": [
            {"commodity_quantity": phase, "value": -1874.3 + place}
            for place, phase in enumerate(phases)
        ],
    }


def reception_status() -> Message:
    return {
        "message_type": "ReceptionStatus",
        "subject_message_id": an_id(1),
        "status": "OK",
        "diagnostic_label": "Processed",
    }


def system_description(actuators: int = 1, modes: int = 5, elements: int = 4) -> Message:
    """A storage, each actuator with a transition between any two modes that differ."""
    return {
        "message_type": "FRBC.SystemDescription",
        "message_id": an_id(1),
        "valid_from": "2026-06-21T11:42:00.250Z",
        "actuators": [_actuator(100 * place, modes, elements) for place in range(actuators)],
        "storage": {
            "diagnostic_label": "Home battery",
            "fill_level_label": "kWh",
            "provides_leakage_behaviour": False,
            "provides_fill_level_target_profile": False,
            "provides_usage_forecast": False,
            "fill_level_range": {"start_of_range": 0, "end_of_range": 10.0},
        },
    }


def _actuator(number: int, modes: int, elements: int) -> Message:
    def mode(place: int) -> str:
        return an_id(number + 20 + place)

    pairs = [(one, other) for one in range(modes) for other in range(modes) if one != other]
    return {
        "id": an_id(number + 10),
        "diagnostic_label": "Inverter",
        "supported_commodities": ["ELECTRICITY"],
        "operation_modes": [
            {
                "id": mode(place),
                "diagnostic_label": f"Mode {place}",
                "elements": [_element(part, elements) for part in range(elements)],
                "abnormal_condition_only": False,
            }
            for place in range(modes)
        ],
        "transitions": [
            {
                "id": an_id(number + 40 + place),
                "from": mode(one),
                "to": mode(other),
                "start_timers": [],
                "blocking_timers": [],
                "transition_duration": 3000,
                "abnormal_condition_only": False,
            }
            for place, (one, other) in enumerate(pairs)
        ],
        "timers": [],
    }


def _element(part: int, parts: int) -> Message:
    return {
        "fill_level_range": {
            "start_of_range": 10.0 * part / parts,
            "end_of_range": 10.0 * (part + 1) / parts,
        },
        "fill_rate": {"start_of_range": 0.0001, "end_of_range": 0.0014},
        "power_ranges": [
            {
                "commodity_quantity": "ELECTRIC.POWER.3_PHASE_SYMMETRIC",
                "start_of_range": 1380.5,
                "end_of_range": 11040.5,
            }
        ],
    }


def quoted_numbers(value: Any) -> Any:
    """A message with every number in quotes."""
    if isinstance(value, dict):
        return {name: quoted_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [quoted_numbers(item) for item in value]
    return str(value) if type(value) in (int, float) else value


# Section: validation


@dataclass(frozen=True)
class Case:
    """A message to measure: its name, what is wrong with it, and what it is."""

    name: str
    state: str
    message: Message


def validation_cases() -> list[Case]:
    """Three types: as they should be, with one fault, with many."""
    measurement, status, description = power_measurement(), reception_status(), system_description()
    cases = [Case(str(each["message_type"]), "valid", each) for each in (measurement, status)]
    cases.insert(1, Case("PowerMeasurement", "one fault", _without(measurement, "message_id")))
    wrong: Message = {**quoted_numbers(measurement), "unit": "W", "measurement_timestamp": "now"}
    cases.insert(2, Case("PowerMeasurement", "many faults", wrong))
    cases.append(Case("ReceptionStatus", "one fault", {**status, "status": "Ok"}))
    wrong = {"message_type": "ReceptionStatus", "subjectMessageId": 1, "Status": "Ok", "label": ""}
    cases.append(Case("ReceptionStatus", "many faults", wrong))
    cases.append(Case("FRBC.SystemDescription", "valid", description))
    wrong = json.loads(json.dumps(description))
    wrong["actuators"][0]["operation_modes"][3]["elements"][2]["fill_rate"]["end_of_range"] = "0"
    cases.append(Case("FRBC.SystemDescription", "one fault", wrong))
    wrong = quoted_numbers(description)
    cases.append(Case("FRBC.SystemDescription", "many faults", wrong))
    return cases


def _without(message: Message, name: str) -> Message:
    return {key: value for key, value in message.items() if key != name}


def bare_screen(message_type: str) -> Callable[[Message], bool]:
    """What jsonschema-rs alone says of a message, formats left out."""

    def retrieve(uri: str) -> Any:
        folder, name = uri.split("/")[-2:]
        return json.loads((BUILT_IN / DEFAULT_VERSION / folder / name).read_text("utf-8"))

    uri = f"https://s2.example/messages/{message_type}.schema.json"
    schema = {**retrieve(uri), "$id": uri}
    return jsonschema_rs.validator_for(schema, retriever=retrieve).is_valid


def bare_model(message: Message) -> bool:
    """What s2-python alone says of a message."""
    try:
        TYPE_TO_MESSAGE_CLASS[message["message_type"]].from_dict(message)
    except S2ValidationError:
        return False
    return True


def measure_validation(options: Options) -> Rows:
    """A row of figures for each case."""
    return [_measure_case(case, options.seconds) for case in validation_cases()]


def _measure_case(case: Case, seconds: float) -> dict[str, Any]:
    data = json.dumps(case.message).encode()
    verdict = judge(data)
    if verdict.valid != (case.state == "valid"):
        sys.exit(f"bench: {case.name} is not {case.state}: {verdict.findings}")
    message = json.loads(data)
    message_type, schemas = case.name, built_in(DEFAULT_VERSION)
    screen = bare_screen(case.name)
    tasks: dict[str, Callable[[], object]] = {
        "json.loads": lambda: json.loads(data),
        "jsonschema_rs": lambda: screen(message),
        "s2-python": lambda: bare_model(message),
        "read": lambda: read(data),
        "schema": lambda: schemas.check(message_type, message),
        "model": lambda: models.check(message_type, message),
        "judge": lambda: judge(data),
    }
    made = list(rounds(tasks, seconds))
    for each in made:
        each["bare"] = each["json.loads"] + each["jsonschema_rs"] + each["s2-python"]
        each["explain"] = (
            max(0.0, each["schema"] - each["jsonschema_rs"]) if not verdict.valid else 0
        )
        each["judge : bare"] = each["judge"] / each["bare"]
    figures = {name: median(each[name] for each in made) for name in made[0]}
    for name in figures:
        if ":" not in name:
            figures[name] *= 1e6
    return {
        "message": case.name,
        "state": case.state,
        "bytes": len(data),
        "findings": len(verdict.findings),
        "rounds": len(made),
        **{name: round(figure, 3) for name, figure in figures.items()},
    }


def print_validation(rows: Sequence[dict[str, Any]]) -> None:
    """The table of this section, and whether its goal is met."""
    print("One message, microseconds\n")
    columns = (
        *("json.loads", "jsonschema_rs", "s2-python", "bare"),
        *("read", "schema", "explain", "model", "judge"),
    )
    ratios = ("judge : bare",)
    lines = [("", "", "bytes", *columns, *ratios)]
    for row in rows:
        times = [f"{row[name]:,.1f}" for name in columns]
        if row["state"] == "valid":
            times[columns.index("explain")] = "–"
        fractions = [f"{row[name]:.2f}" for name in ratios]
        lines.append((row["message"], row["state"], f"{row['bytes']:,}", *times, *fractions))
    _print_table(lines, left=2)
    print(
        "\nbare: json.loads + jsonschema_rs + s2-python, nothing else. schema: the screen and, of"
        "\nwhat is not valid, explain. judge: the whole verdict on one message. What the"
        "\nconversation adds is in the section rules."
    )
    _print_goal("A valid PowerMeasurement, judge : bare", rows[0]["judge : bare"], VALIDATION_GOAL)


# Section: flood


@dataclass(frozen=True)
class Flood:
    """A large message: what is in it, its bytes, and a valid one of about the same size."""

    name: str
    data: bytes
    valid: bytes


def floods(size: int) -> Iterator[Flood]:
    """Messages of about this many bytes, full of faults of one kind each."""
    description = _of_size(size, lambda number: system_description(10, 4, number))
    label = json.dumps({**reception_status(), "diagnostic_label": "x" * (size - 200)}).encode()

    def filled(start: str, item: str | Callable[[int], str], end: str, between: str = ",") -> bytes:
        """Text that a repeated part fills up to the size."""
        parts: list[str] = []
        length = len(start) + len(end)
        while length < size:
            part = item if isinstance(item, str) else item(len(parts))
            length += len(part) + len(between)
            if length < size:
                parts.append(part)
        return (start + between.join(parts) + end).encode()

    def listed(item: str | Callable[[int], str]) -> bytes:
        """A PowerMeasurement with a list of these values."""
        start = json.dumps({**power_measurement(), "values": 0}).removesuffix("0}")
        return filled(f"{start}[", item, "]}")

    def described(change: Callable[[Message], Any]) -> bytes:
        """A large FRBC.SystemDescription with something changed in it."""
        return json.dumps(change(json.loads(description))).encode()

    def with_text(name: str, text: str) -> bytes:
        return json.dumps({**power_measurement(), name: text}, ensure_ascii=False).encode()

    element = json.dumps(_element(0, 1)).replace("1380.5", '"1380.5"')
    status = json.dumps(reception_status()).removesuffix("}")
    measured = '{"commodity_quantity":"ELECTRIC.POWER.L1","value":"1"}'
    huge = "x" * (size - 400)
    by_data = {
        "wrong items": listed(measured),
        "items with unknown fields": listed('{"commodity_quantity":"X","a":1,"b":2,"value":1}'),
        "empty objects": listed("{}"),
        "nulls": listed("null"),
        "too many right items": listed(measured.replace('"1"', "1")),
        "all numbers in quotes": described(quoted_numbers),
        "ids that are no UUIDs": description.replace(b"5f1ae343-cc90-4046-9173-", b"status-"),
        "ids that are no ids": description.replace(b"5f1ae343-cc90", b"{5f1ae343-cc90}"),
        "the same id everywhere": described(_with_one_id),
        "ranges upside down": description.replace(b"11040.5", b"-11040.5"),
        "unknown fields": filled(status + ",", lambda n: f'"field_{n}":{n}', "}"),
        "unknown fields, all alike": filled(status + ",", lambda n: f'"status_{n}":1', "}"),
        "unknown fields in a list": listed(
            lambda n: "{" + ",".join(f'"f{n}_{m}":0' for m in range(100)) + "}"
        ),
        "one key many times": filled(status + ",", '"status":"OK"', "}"),
        "100 keys many times": filled(status + ",", lambda n: f'"k{n % 100}":0', "}"),
        "keys twice in a list": listed('{"value":1,"value":2}'),
        "keys twice, deep": listed('{"a":{"a":{"a":{"a":{"b":1,"b":2}},"a":0}}}'),
        "keys of 100 kB, twice": filled(
            status + ",", lambda n: f'"{"k" * (size // 12)}":{{"a":{n},"a":1}}', "}"
        ),
        "huge unknown field": (f'{status},"{huge}":1}}').encode(),
        "huge id": with_text("message_id", huge),
        "huge time": with_text("measurement_timestamp", "2026-03-01T12:00:00." + "0" * len(huge)),
        "huge digits in quotes": with_text("values", "1" * len(huge)),
        "huge message type": with_text("message_type", huge),
        "huge escapes": with_text("message_id", "\x00" * (len(huge) // 6)),
        "long numbers": listed("0.12345678901234567890"),
        "numbers of 4,000 digits": listed("1" * 4000),
        "numbers too large": listed("1e999"),
        "NaN": listed("NaN"),
        "half surrogate pairs": listed(r'"\ud800"'),
        "brackets": b"[" * size,
        "deep objects": filled("", '{"a":', "", ""),
        "brackets in texts": listed(r'"[[[[[[\"[[[["'),
        "64 deep, many": listed("[" * 60 + "]" * 60),
        "not JSON at the end": description[:-1] + b",}",
        "not UTF-8 at the end": description[:-2] + b'"\xff"}',
        "not UTF-8 anywhere": b'{"message_type":"' + b"\xff" * (size - 30) + b'"}',
        "control characters": b'{"message_type":"' + b"\x01" * (size - 30) + b'"}',
        "many messages": filled("", json.dumps(reception_status()), ""),
        "a list of messages": filled("[", json.dumps(reception_status()), "]"),
        "elements with one fault each": filled(
            '{"message_type":"FRBC.SystemDescription","actuators":[{"operation_modes":[{"elements":[',
            element,
            "]}]}]}",
        ),
    }  # fmt: skip
    for name, data in by_data.items():
        text = name.startswith("huge") or name in ("not UTF-8 anywhere", "control characters")
        yield Flood(name, data, label if text else description)


def _of_size(size: int, make: Callable[[int], Message]) -> bytes:
    """The largest message of a kind within this many bytes."""
    data, number = b"", 1
    while len(larger := json.dumps(make(number)).encode()) <= size:
        data, number = larger, number + 1
    return data


def _with_one_id(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: an_id(1) if name in ("id", "from", "to") else _with_one_id(item)
            for name, item in value.items()
        }
    return [_with_one_id(item) for item in value] if isinstance(value, list) else value


def measure_flood(options: Options) -> Rows:
    """A row of figures for each kind of large message."""
    rows = []
    for flood in floods(MAX_SIZE * 9 // 10):  # some grow a little by what is wrong with them
        verdict, usual = judge(flood.data), judge(flood.valid)
        if verdict.findings == [] or not usual.valid:
            sys.exit(f"bench: {flood.name}: {usual.findings[:1] or 'without findings'}")
        tasks: dict[str, Callable[[], object]] = {
            "valid": lambda data=flood.valid: judge(data),  # type: ignore[misc]
            "judge": lambda data=flood.data: judge(data),  # type: ignore[misc]
        }
        made = list(rounds(tasks, options.seconds))
        same_size = len(flood.data) / len(flood.valid)
        ratio = median(each["judge"] / (each["valid"] * same_size) for each in made)
        rows.append(
            {
                "message": flood.name,
                "bytes": len(flood.data),
                "findings": len(verdict.findings),
                "characters": sum(len(str(each.as_dict())) for each in verdict.findings),
                "valid one": usual.message_type,
                "rounds": len(made),
                **{name: round(median(each[name] for each in made) * 1e6) for name in tasks},
                "judge : valid": round(ratio, 3),
            }
        )
    return rows


def print_flood(rows: Sequence[dict[str, Any]]) -> None:
    """The table of this section, the slowest first, and whether its goal is met."""
    print("Large messages full of faults, milliseconds\n")
    names = ("message", "bytes", "findings", "characters", "judge", "valid", "judge : valid")
    lines: list[tuple[str, ...]] = [("", *names[1:], "valid one")]
    rows = sorted(rows, key=lambda row: -row["judge : valid"])
    for row in rows:
        lines.append(
            (
                row["message"],
                *(f"{row[name]:,}" for name in ("bytes", "findings", "characters")),
                *(f"{row[name] / 1000:,.1f}" for name in ("judge", "valid")),
                f"{row['judge : valid']:.2f}",
                row["valid one"],
            )
        )
    _print_table(lines, left=1)
    print("\ncharacters: in all its findings. judge : valid: as if both were of the same size.")
    slowest = rows[0]
    _print_goal(f"The slowest, {slowest['message']}", slowest["judge : valid"], FLOOD_GOAL)


# Section: rules


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


@contextmanager
def no_rules() -> Iterator[None]:
    """While it lasts, conversations have no rule to ask."""
    kept = {occasion: [*rules] for occasion, rules in RULES.items()}
    for rules in RULES.values():
        rules.clear()
    try:
        yield
    finally:
        for occasion, rules in kept.items():
            RULES[occasion].extend(rules)


Calls = list[Callable[[], object]]


def receiving(traffic: Sequence[Frame]) -> Calls:
    """A conversation that receives a message a call."""
    conversation = Conversation()
    return [
        partial(conversation.receive, each.data, from_client=each.from_client, time=each.time)
        for each in traffic
    ]


def judging(traffic: Sequence[Frame]) -> Calls:
    """The verdict alone on a message a call, as a conversation asks for it."""
    conversation, calls = Conversation(), Calls()
    for each in traffic:
        calls.append(partial(judge, each.data, version=conversation.version, time=each.time))
        conversation.receive(each.data, from_client=each.from_client, time=each.time)
    return calls


def layers(traffic: Sequence[Frame], seconds: float) -> Iterator[dict[str, list[float]]]:
    """Play the traffic with less and less of the conversation; microseconds of each message.

    The last in each list is the processor time of them all.
    """
    end = perf_counter() + seconds
    made = 0
    while made < 6 or perf_counter() < end:
        times = {"receive": _clocked(receiving(traffic))}
        with no_rules():
            times["no rules"] = _clocked(receiving(traffic))
        times["judge"] = _clocked(judging(traffic))
        if made:  # the first one warms up
            yield times
        made += 1


_garbage: list[list[None]] = []


def _clocked(calls: Calls) -> list[float]:
    s2_message._seconds_of.cache_clear()  # or the same times come again, as they never do
    # Nor does the garbage collector come at the same messages.
    _garbage[:] = [[] for _ in range(randrange(gc.get_threshold()[0]))]
    times = []
    start = process_time()
    for call in calls:
        before = perf_counter()
        call()
        times.append(perf_counter() - before)
    return [each * 1e6 for each in (*times, process_time() - start)]


def cost_of_layers(traffic: Sequence[Frame], seconds: float) -> Rows:
    """What the conversation costs a message: on average, and by message type."""
    made = list(layers(traffic, seconds))
    by_type: dict[str, list[int]] = {}
    for place, frame in enumerate(traffic):
        by_type.setdefault(str(judge(frame.data).message_type), []).append(place)

    def row(name: str, places: Sequence[int], number: int) -> dict[str, Any]:
        took = {
            layer: [sum(times[layer][place] for place in places) / number for times in made]
            for layer in made[0]
        }
        rules = map(float.__sub__, took["receive"], took["no rules"])
        taking_in = map(float.__sub__, took["no rules"], took["judge"])
        both = map(float.__sub__, took["receive"], took["judge"])
        figures = {
            "judge": median(took["judge"]),
            "rules": median(rules),
            "taking in": median(taking_in),
            "rules + taking in": median(both),
            "receive": median(took["receive"]),
        }
        return {
            "message": name,
            "messages": number,
            "rounds": len(made),
            **{layer: round(figure, 3) for layer, figure in figures.items()},
        }

    rows = [row(name, places, len(places)) for name, places in sorted(by_type.items())]
    return [*rows, row("all", [len(traffic)], len(traffic))]


def opening(moment: float) -> list[Message]:
    """What an RM on FRBC says first."""
    description = system_description(1, 3, 2)
    actuator = description["actuators"][0]
    messages: list[Message] = [
        {
            "message_type": "Handshake",
            "role": "RM",
            "supported_protocol_versions": [VERSION],
        },
        {
            "message_type": "ResourceManagerDetails",
            "resource_id": an_id(9),
            "name": "Home battery",
            "roles": [{"role": "ENERGY_STORAGE", "commodity": "ELECTRICITY"}],
            "instruction_processing_delay": 100,
            "available_control_types": ["FILL_RATE_BASED_CONTROL"],
            "provides_forecast": False,
            "provides_power_measurement_types": [
                value["commodity_quantity"] for value in power_measurement()["values"]
            ],
        },
        {**description, "valid_from": _iso(moment)},
        {
            "message_type": "FRBC.ActuatorStatus",
            "actuator_id": actuator["id"],
            "active_operation_mode_id": actuator["operation_modes"][0]["id"],
            "operation_mode_factor": 0.5,
        },
        {"message_type": "FRBC.StorageStatus", "present_fill_level": 5.0},
    ]
    return [{**each, "message_id": an_id(1000 + place)} for place, each in enumerate(messages)]


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


class LongSession:
    """A session that goes on and on: measurements a second apart, each answered."""

    START = 1782042120.0

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.opening: list[Frame] = []
        self._measurement = power_measurement()
        self._number = 0
        for message in opening(self.START):
            self._said(message, True)
            self._said(_answer(message), False)
            for place, further in enumerate(bench_peers.FURTHER.get(message["message_type"], ())):
                number = 2000 + 10 * self.conversation.messages + place
                self._said(answered := {**further, "message_id": an_id(number)}, False)
                self._said(_answer(answered), True)
        if self.conversation.findings:
            sys.exit(f"bench: the session has findings: {self.conversation.findings}")

    def _said(self, message: Message, from_client: bool) -> None:
        data = json.dumps(message).encode()
        self.conversation.receive(data, from_client=from_client, time=self.START)
        self.opening.append(Frame(data, from_client, self.START))

    def say(self, messages: int) -> float:
        """Go on for so many messages; microseconds that one took."""
        traffic = self.next(messages)
        receive = self.conversation.receive
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
                "measurement_timestamp": _iso(moment),
            }
            data = json.dumps(measurement).encode()
            traffic.append(Frame(data, True, moment))
            data = json.dumps(_answer(measurement)).encode()
            traffic.append(Frame(data, False, moment + 0.01))
        return traffic


def _answer(message: Message) -> Message:
    return {**reception_status(), "subject_message_id": message["message_id"]}


def measure_long_session(lengths: Sequence[int], seconds: float) -> Rows:
    """A row for each length of a session: a message then, and one after the first thousand."""
    session = LongSession()
    rows: Rows = []
    memory = resident_memory()
    for length in lengths:
        while session.conversation.messages < length:
            session.say(1000)
        then: list[float] = []
        young: list[float] = []
        end = perf_counter() + seconds
        while len(then) < 5 or perf_counter() < end:
            other = LongSession()
            other.say(1000)
            young.append(other.say(500))
            then.append(session.say(500))
        rows.append(
            {
                "messages": length,
                "then": round(median(then), 3),
                "after 1,000": round(median(young), 3),
                "then : after 1,000": round(median(map(float.__truediv__, then, young)), 3),
                "conversation": weight(session.conversation),
                "process": resident_memory() - memory,
                "rounds": len(then),
            }
        )
    if session.conversation.findings:
        sys.exit(f"bench: the session has findings: {session.conversation.findings}")
    return rows


def weight(thing: object) -> int:
    """Bytes of a thing and of all that it holds, but for code."""
    seen: set[int] = set()
    waiting, total = [thing], 0
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, type | ModuleType | FunctionType):
            seen.add(id(each))
            total += sys.getsizeof(each)
            waiting += gc.get_referents(each)
    return total


def resident_memory() -> int:
    """Bytes of memory that this process has now; 0 where nothing tells."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def measure_rules(options: Options) -> Rows:
    """Over the demo's traffic, a row a message type; then a row for each length of a session."""
    traffic = asyncio.run(demo_traffic(seconds=2.0))
    demo = [{"of": "demo", **row} for row in cost_of_layers(traffic, options.seconds)]
    lengths = [10_000, 100_000] if options.quick else [10_000, 100_000, 1_000_000]
    long = measure_long_session(lengths, options.seconds)
    return [*demo, *({"of": "a long session", **row} for row in long)]


def print_rules(rows: Sequence[dict[str, Any]]) -> None:
    """The tables of this section, and whether its goals are met."""
    print("The demo's traffic, microseconds a message\n")
    columns = ("judge", "rules", "taking in", "rules + taking in", "receive")
    demo = [row for row in rows if row["of"] == "demo"]
    lines: list[tuple[str, ...]] = [("", "messages", *columns)]
    lines += [
        (row["message"], f"{row['messages']:,}", *(f"{row[name]:,.1f}" for name in columns))
        for row in demo
    ]
    _print_table(lines, left=1)
    print("\nreceive: the whole. rules: that without any rule, less. judge: the verdict alone.")
    _print_goal("The rules, microseconds a message", demo[-1]["rules"], RULES_GOAL)

    print("One session of PowerMeasurement and ReceptionStatus, microseconds a message\n")
    long = [row for row in rows if row["of"] != "demo"]
    times = ("then", "after 1,000", "then : after 1,000")
    lines = [("after messages", *times, "conversation, kB", "process, MB more")]
    for row in long:
        took = (f"{row['then']:,.1f}", f"{row['after 1,000']:,.1f}")
        memory = (f"{row['conversation'] / 1e3:,.0f}", f"{row['process'] / 1e6:,.1f}")
        lines.append((f"{row['messages']:,}", *took, f"{row['then : after 1,000']:.2f}", *memory))
    _print_table(lines, left=0)
    last = long[-1]
    what = f"A message after {last['messages']:,} : one after 1,000"
    _print_goal(what, last["then : after 1,000"], GROWTH_GOAL)


# Section: recorder


def measure_recorder(options: Options) -> Rows:
    """A row for each database: figures, or why it could not be measured."""
    session = LongSession()
    messages = []
    for number, frame in enumerate(session.next(bench_recorder.MESSAGES), 1):
        data = frame.data.replace(b'"values"', b'"valeus"') if number % 100 == 1 else frame.data
        verdict = session.conversation.receive(data, from_client=frame.from_client, time=frame.time)
        messages.append(MessageRecord("", number, verdict, data, injected=False, dropped=False))
    return bench_recorder.measure(messages, options.seconds)


def print_recorder(rows: Sequence[dict[str, Any]]) -> None:
    """The table of this section, and whether its goals are met."""
    print("Messages written into a recording by one Recorder, one in a hundred not valid\n")
    lines: list[tuple[str, ...]] = [
        ("", "messages/s (least – most)", "in the hook, µs", "processor time, µs", "messages")
    ]
    for row in (row for row in rows if "rate" in row):
        rate = row["rate"]
        spread = f"{rate['median']:,.0f} ({rate['least']:,.0f} – {rate['most']:,.0f})"
        times = (f"{row['hook']:,.1f}", f"{row['cpu']:,.1f}", f"{row['messages']:,}")
        lines.append((row["database"], spread, *times))
    _print_table(lines, left=1)
    print(
        "\nA message and its ReceptionStatus count as two. In the hook: what the caller's thread"
        "\ntakes. Processor time: of both threads, but not of a database server."
    )
    for row in rows:
        name = row["database"]
        if "rate" in row:
            what = f"{name}, messages a second"
            _print_goal(what, row["rate"]["median"], RECORDER_GOALS[name], at_least=True)
        else:
            print(f"\n{name}: {row['skipped']}\n")


# Section: proxy


def measure_proxy(options: Options) -> Rows:
    """Rows for each number of conversations; without rules too, the last is what these cost."""
    session = LongSession()
    traffic = [*session.opening, *session.next(500)]

    def rules() -> Message:
        cost = cost_of_layers(traffic, 3 * options.seconds)[-1]
        return {"rules": cost["rules"], "cost": cost["rules"]}

    kinds = [kind for kind in bench_proxy.USUAL if kind.is_there]
    kinds += [bench_proxy.NO_RULES] if options.without_rules else []
    script = bench_proxy.Script(opening(time.time() - 1), power_measurement())
    rows: Rows = []
    for conversations in options.conversations:
        task = bench_proxy.Task(kinds, conversations, options.pairs, options.seconds)
        beside = rules if options.without_rules else None
        rows += asyncio.run(bench_proxy.measure(script, task, beside))
    return rows


def print_proxy(rows: Sequence[dict[str, Any]]) -> None:
    """The tables of this section, and whether its goals are met."""
    for conversations in dict.fromkeys(row["conversations"] for row in rows):
        of_these = [row for row in rows if row["conversations"] == conversations]
        ratios = [row for row in of_these if "of" in row]
        _print_proxies([row for row in of_these if "peak" in row], conversations)
        _print_ratios(ratios)
        print(
            "\nRound trips are one at a time. CPU: of the proxy, without the process that writes\n"
            "under load (some 15 µs more). Busy: the"
            "\nshare of a core that each used while messages flowed; where the RM or the CEM is"
            "\nnear 100 %, it and not the proxy is what was measured. Peak: after so many messages."
            "\nThe ratios are those of each pair: median (least – most)."
        )
        for row in ratios:
            if not row["what"].endswith(bench_proxy.PLAIN.name):
                continue
            if goal := RATE_GOALS.get(row["of"]):
                what = f"Messages a second, {row['what']}"
                _print_goal(what, row["rate"]["median"], goal, at_least=True)
            if goal := TRIP_GOALS.get(row["of"]):
                _print_goal(f"Round trip p50, {row['what']}", row["p50"]["median"], goal)
        for row in of_these:
            if "share" in row:
                what = f"The rules, {row['rules']:.1f} µs (in this process)"
                _print_goal(f"{what} : plain mitmdump's CPU a message", row["share"], SHARE_GOAL)
        if not bench_proxy.RECORD.is_there:
            print("s2-mitm record is not measured: this checkout has no such command.\n")


def _print_proxies(rows: Sequence[dict[str, Any]], conversations: int) -> None:
    many = "conversation" if conversations == 1 else "conversations at once"
    pairs = "1 pair" if rows[0]["pairs"] == 1 else f"{rows[0]['pairs']} pairs"
    print(f"{conversations} {many} through real processes, {pairs}\n")
    names = ("messages/s", "round trip p50, ms", "p99, ms", "CPU a message, µs")
    busy = ("busy: proxy", "RM", "CEM")
    lines: list[tuple[str, ...]] = [("", *names, *busy, "peak, MB", "messages")]
    for row in rows:
        figures = (f"{row['rate']:,.0f}", f"{row['p50']:.2f}", f"{row['p99']:.2f}")
        shares = [f"{row[f'{who} busy']:.0%}" for who in bench_proxy.BUSY]
        memory = (f"{row['peak']:,.0f}", f"{row['through']:,.0f}")
        lines.append((row["what"], *figures, f"{row['cpu']:,.0f}", *shares, *memory))
    _print_table(lines, left=1)
    print()


def _print_ratios(rows: Sequence[dict[str, Any]]) -> None:
    def cell(ratio: dict[str, float]) -> str:
        return f"{ratio['median']:.2f} ({ratio['least']:.2f} – {ratio['most']:.2f})"

    lines = [("", "messages/s", "round trip p50", "p99", "CPU a message")]
    for row in rows:
        rate, p50, p99, cpu = (cell(row[name]) for name in ("rate", "p50", "p99", "cpu"))
        lines.append((row["what"], rate, p50, p99, cpu))
    _print_table(lines, left=1)


# Printing


def _print_table(lines: Sequence[tuple[str, ...]], left: int) -> None:
    """Columns as wide as what is in them; the first ``left`` ones aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _print_goal(what: str, ratio: float, goal: float, *, at_least: bool = False) -> None:
    met = ratio >= goal if at_least else ratio <= goal
    sign = "≥" if at_least else "≤"
    figure = f"{ratio:,.0f}" if ratio >= 1000 else f"{ratio:.2f}"
    print(f"\n{what}: {figure}, goal {sign} {goal:g}: {'met' if met else 'MISSED'}\n")


# The command

SECTIONS: dict[str, tuple[Callable[[Options], Rows], Callable[[Rows], None], float]] = {
    "validation": (measure_validation, print_validation, 1.0),
    "flood": (measure_flood, print_flood, 0.5),
    "rules": (measure_rules, print_rules, 5.0),
    "recorder": (measure_recorder, print_recorder, 6.0),
    "proxy": (measure_proxy, print_proxy, 0.5),
}
"""What measures a section, what prints it, and the seconds that each of its rows takes."""


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    """Measure and print the sections asked for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--json", action="store_true", help="JSON lines, one object a row")
    parser.add_argument("--seconds", type=float, help="how long to measure each row")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a third of the time, no session of a million, and one pair of proxies",
    )
    parser.add_argument(
        "--conversations",
        type=_numbers,
        default=[1, 10, 100],
        metavar="N,…",
        help="conversations at once through a proxy; 1,10,100 by default",
    )
    parser.add_argument(
        "--pairs", type=int, help="how often each proxy is started; 5 by default, 1 if quick"
    )
    parser.add_argument(
        "--without-rules", action="store_true", help="measure a proxy without rules too"
    )
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.sections if name not in SECTIONS]:
        parser.error(f"there is no section {unknown[0]}; there is {', '.join(SECTIONS)}")
    for name in arguments.sections or SECTIONS:
        measure, show, usual = SECTIONS[name]
        seconds = arguments.seconds or (usual / 3 if arguments.quick else usual)
        pairs = max(1, arguments.pairs or (1 if arguments.quick else 5))
        conversations, without_rules = arguments.conversations, arguments.without_rules
        try:
            rows = measure(Options(seconds, arguments.quick, conversations, pairs, without_rules))
        except BenchError as problem:
            sys.exit(f"bench: {problem}")
        if arguments.json:
            for row in rows:
                print(json.dumps({"section": name, **row}), flush=True)
        else:
            show(rows)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # its processes are stopped by now
        sys.exit(130)
    except BrokenPipeError:  # who read it has seen enough; Python would write what is left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
