"""What s2-python refuses: told in our words, at the right place, and as bad as it is."""

from __future__ import annotations

import copy
import uuid
from typing import Any

import pytest
from message_files import Example, valid_examples
from s2python.s2_parser import TYPE_TO_MESSAGE_CLASS

from s2_mitm.s2.message import models
from s2_mitm.s2.verdict import MAX_FINDINGS, Severity, Source

EXAMPLES = {example.name: example for example in valid_examples(models.VERSION)}
ID = "c009ed72-3ef7-49eb-9052-4258c1d6a3a3"


def message(name: str, **changes: Any) -> dict[str, Any]:
    """An example with some places changed: ``actuators__0__id`` is ``/actuators/0/id``."""
    changed = copy.deepcopy(EXAMPLES[name].message)
    for where, value in changes.items():
        *parents, last = where.split("__")
        target: Any = changed
        for part in parents:
            target = target[int(part) if isinstance(target, list) else part]
        target[int(last) if isinstance(target, list) else last] = value
    return changed


def check(changed: dict[str, Any]) -> list[tuple[str, Severity, str]]:
    found = models.check(changed["message_type"], changed)
    assert all(finding.source is Source.S2_PYTHON for finding in found)
    return [(finding.code, finding.severity, finding.path) for finding in found]


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=str)
def test_it_takes_every_valid_message(example: Example) -> None:
    assert models.check(example.message_type, example.message) == []


def test_a_type_that_it_does_not_know_is_not_its_business() -> None:
    assert models.check("DDBC.PresentDemandStatus", {}) == []
    assert models.check("", {}) == []
    assert models.check("no such type", {"message_type": "Handshake"}) == []


@pytest.mark.parametrize("message_type", sorted(str(name) for name in TYPE_TO_MESSAGE_CLASS))
def test_what_is_missing_or_of_the_wrong_type_is_left_to_the_schema(message_type: str) -> None:
    assert models.check(message_type, {}) == []
    whole = EXAMPLES[message_type].message
    values: list[Any] = [None, True, {}, [], 1.5]
    for value in values:
        assert models.check(message_type, dict.fromkeys(whole, value)) == []


@pytest.mark.parametrize("text", ["heat-pump-1", "1", "ab:cd", ID[:-1], ID + "0", "\n"])
def test_an_id_that_is_no_uuid_is_a_warning(text: str) -> None:
    changed = message("FRBC.StorageStatus", message_id=text)

    assert check(changed) == [("s2-python.uuid", Severity.WARNING, "/message_id")]


@pytest.mark.parametrize("text", [ID, ID.upper(), ID.replace("-", "")])
def test_an_id_that_is_a_uuid_is_none(text: str) -> None:
    assert check(message("FRBC.StorageStatus", message_id=text)) == []


def test_an_id_deep_in_the_message_is_found_there() -> None:
    changed = message("FRBC.SystemDescription", actuators__1__operation_modes__0__id="off")
    changed["actuators"][1]["transitions"] = []

    path = "/actuators/1/operation_modes/0/id"
    assert check(changed) == [("s2-python.uuid", Severity.WARNING, path)]


def test_a_leap_second_is_legal_and_a_warning() -> None:
    changed = message("PowerMeasurement", measurement_timestamp="2026-06-30T23:59:60Z")

    assert check(changed) == [("s2-python.narrower", Severity.WARNING, "/measurement_timestamp")]


@pytest.mark.parametrize(
    ("name", "changes", "path", "words"),
    [
        (
            "FRBC.SystemDescription",
            {"actuators__0__transitions__0__from": ID},
            "/actuators/0",
            ID,
        ),
        (
            "FRBC.SystemDescription",
            {"actuators__0__transitions__0__start_timers__0": ID},
            "/actuators/0",
            ID,
        ),
        (
            "FRBC.SystemDescription",
            {"actuators__0__timers__1__id": ID},
            "/actuators/0",
            "afbfb7c4-fc9c-435b-8c68-af7c9f4c5b36",
        ),
        (
            "FRBC.SystemDescription",
            {"actuators__0__supported_commodities": ["ELECTRICITY", "GAS"]},
            "/actuators/0",
            "power range",
        ),
        (
            "FRBC.SystemDescription",
            {"actuators__0__operation_modes__1__elements__1__fill_level_range__start_of_range": 50},
            "/actuators/0/operation_modes/1",
            "do not meet exactly",
        ),
    ],
)
def test_what_its_own_rules_refuse_is_a_warning(
    name: str, changes: dict[str, Any], path: str, words: str
) -> None:
    (finding,) = [
        each
        for each in models.check(name, message(name, **changes))
        if each.code in ("s2-python.refused", "s2-python.narrower")
    ]

    assert finding.severity is Severity.WARNING
    assert finding.path == path
    assert words.lower() in finding.text.lower()
    assert len(finding.text) <= 400


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_texts_do_not_show_the_innards_of_python(name: str) -> None:
    changed = copy.deepcopy(EXAMPLES[name].message)
    for place in _leaves(changed):
        target: Any = changed
        for part in place[:-1]:
            target = target[part]
        if isinstance(target[place[-1]], str):
            target[place[-1]] = "no-uuid\n\x1b[2J'\"{}"
    for finding in models.check(EXAMPLES[name].message_type, changed):
        for noise in ("UUID(", "root=", "input_value", "pydantic", "\n", "\x1b", "Traceback"):
            assert noise not in finding.text


def _leaves(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return [here]
    return [leaf for key, item in items for leaf in _leaves(item, (*here, key))]


def test_findings_have_an_end() -> None:
    changed = message("FRBC.SystemDescription")
    changed["actuators"][0]["timers"] = [{"id": f"t{n}", "duration": 1} for n in range(500)]

    assert len(models.check("FRBC.SystemDescription", changed)) == MAX_FINDINGS


def test_a_message_is_left_as_it_is() -> None:
    changed = message("PowerMeasurement", message_id="no-uuid")
    before = copy.deepcopy(changed)

    models.check("PowerMeasurement", changed)

    assert changed == before


@pytest.mark.parametrize(
    "value",
    [10**400, 10**4299, -(10**400), 1e308, float("inf"), 2**64, "9" * 5000, "-" * 5000, "٣", "1e5"],
    ids=lambda value: repr(value)[:12],
)
def test_no_value_at_any_place_makes_it_raise(value: Any) -> None:
    for example in EXAMPLES.values():
        for place in _leaves(example.message):
            changed = copy.deepcopy(example.message)
            target: Any = changed
            for part in place[:-1]:
                target = target[part]
            target[place[-1]] = value
            for finding in models.check(example.message_type, changed):
                assert finding.code.startswith("s2-python.")


def test_many_timers_are_dealt_with() -> None:
    changed = message("FRBC.SystemDescription")
    changed["actuators"][0]["transitions"] = []
    changed["actuators"][0]["timers"] = [
        {"id": str(uuid.UUID(int=number)), "duration": 1} for number in range(1000)
    ]

    assert check(changed) == []
