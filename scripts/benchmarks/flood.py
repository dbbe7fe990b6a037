"""What a verdict costs when messages are large and full of faults."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from load.messages import (
    Message,
    an_id,
    element,
    power_measurement,
    quoted_numbers,
    reception_status,
    system_description,
)

from benchmarks.measuring import Options, Rows, rounds
from benchmarks.printing import print_goal, print_table
from s2_mitm.s2.message.reading import MAX_SIZE
from s2_mitm.s2.message.validation import judge

FLOOD_GOAL = 5.0
"""A verdict on a large message full of faults: times that on a valid one of the same size."""


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

    wrong_element = json.dumps(element(0, 1)).replace("1380.5", '"1380.5"')
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
            wrong_element,
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


def measure(options: Options) -> Rows:
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


def show(rows: Sequence[dict[str, Any]]) -> None:
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
    print_table(lines, left=1)
    print("\ncharacters: in all its findings. judge : valid: as if both were of the same size.")
    slowest = rows[0]
    print_goal(f"The slowest, {slowest['message']}", slowest["judge : valid"], FLOOD_GOAL)
