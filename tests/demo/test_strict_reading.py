"""The demo's CEM reads what s2-python alone would let pass."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from s2_mitm.demo.strict import read

ID = "3f2c7c1e-5d0f-4f0f-9d2b-6b1a7c3f9a10"


def _storage_status(**changes: Any) -> str:
    message = {"message_type": "FRBC.StorageStatus", "message_id": ID, "present_fill_level": 57.3}
    return json.dumps(message | changes)


@pytest.mark.parametrize("level", [57.3, 57, 0, -1.5e3])
def test_a_number_is_read(level: float) -> None:
    reading = read(_storage_status(present_fill_level=level))
    assert reading.message is not None
    assert reading.message_id == uuid.UUID(ID)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"present_fill_level": "57.3"}, "/present_fill_level: "),
        ({"present_fill_level": True}, "/present_fill_level: "),
        ({"present_fill_level": None}, "/present_fill_level is null"),
        ({"unit": "%"}, "/unit: "),
        ({"message_type": "FRBC.Storage"}, "message_type is not one of S2"),
        ({"message_type": ["FRBC.StorageStatus"]}, "message_type is not one of S2"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], fault: str) -> None:
    reading = read(_storage_status(**changes))
    assert reading.message is None
    assert reading.message_id == uuid.UUID(ID)
    assert reading.fault.startswith(fault)


@pytest.mark.parametrize("message_id", [None, 7, "not a uuid", ["a"]])
def test_an_id_that_cannot_be_answered_is_none(message_id: Any) -> None:
    reading = read(_storage_status(message_id=message_id))
    assert reading.message is None
    assert reading.message_id is None


def test_a_null_deep_inside_is_found() -> None:
    message = {
        "message_type": "PowerMeasurement",
        "message_id": ID,
        "measurement_timestamp": "2026-01-01T12:00:00Z",
        "values": [{"commodity_quantity": "ELECTRIC.POWER.L1", "value": None}],
    }
    assert read(json.dumps(message)).fault == "/values/0/value is null"


@pytest.mark.parametrize("frame", ["", "{", "[]", "7", b"\xff\xfe", "[" * 100_000])
def test_what_is_no_message_is_no_exception(frame: str | bytes) -> None:
    assert read(frame).fault
