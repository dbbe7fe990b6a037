"""What the verdict on one message costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import jsonschema_rs
from load.messages import (
    Message,
    power_measurement,
    quoted_numbers,
    reception_status,
    system_description,
)
from s2python.s2_parser import TYPE_TO_MESSAGE_CLASS
from s2python.s2_validation_error import S2ValidationError

from benchmarks.measuring import Options, Rows, rounds
from benchmarks.printing import print_goal, print_table
from s2_mitm.s2.catalog import DEFAULT_VERSION
from s2_mitm.s2.message import models
from s2_mitm.s2.message.reading import read
from s2_mitm.s2.message.schemas import BUILT_IN
from s2_mitm.s2.message.validation import built_in, judge

VALIDATION_GOAL = 3.0
"""A verdict on a valid PowerMeasurement: times its bare parts."""


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


def measure(options: Options) -> Rows:
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


def show(rows: Sequence[dict[str, Any]]) -> None:
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
    print_table(lines, left=2)
    print(
        "\nbare: json.loads + jsonschema_rs + s2-python, nothing else. schema: the screen and, of"
        "\nwhat is not valid, explain. judge: the whole verdict on one message. What the"
        "\nconversation adds is in the section rules."
    )
    print_goal("A valid PowerMeasurement, judge : bare", rows[0]["judge : bare"], VALIDATION_GOAL)
