"""S2 messages as bytes, as they go over the wire."""

from __future__ import annotations

import json
import uuid
from typing import Any


def message(message_type: str, **fields: Any) -> bytes:
    """A message with a message_id of its own."""
    return json.dumps(
        {"message_type": message_type, "message_id": str(uuid.uuid4()), **fields},
        ensure_ascii=False,
    ).encode()


def handshake(role: str = "RM") -> bytes:
    return message("Handshake", role=role, supported_protocol_versions=["0.0.2-beta"])


def measurement(value: Any = 230.5, **fields: Any) -> bytes:
    """Valid when ``value`` is a number and there are no more fields."""
    return message(
        "PowerMeasurement",
        measurement_timestamp="2026-03-01T12:00:00Z",
        values=[{"commodity_quantity": "ELECTRIC.POWER.L1", "value": value, **fields}],
    )


def select_control_type(control_type: str = "FILL_RATE_BASED_CONTROL") -> bytes:
    return message("SelectControlType", control_type=control_type)


def resource_manager_details(name: str) -> bytes:
    return message(
        "ResourceManagerDetails",
        resource_id=str(uuid.uuid4()),
        name=name,
        roles=[{"role": "ENERGY_STORAGE", "commodity": "ELECTRICITY"}],
        instruction_processing_delay=100,
        available_control_types=["FILL_RATE_BASED_CONTROL"],
        provides_forecast=False,
        provides_power_measurement_types=["ELECTRIC.POWER.L1"],
    )


def reception_status(subject: bytes, status: str = "OK", label: str | None = None) -> bytes:
    answer = {
        "message_type": "ReceptionStatus",
        "subject_message_id": json.loads(subject)["message_id"],
        "status": status,
    }
    if label is not None:
        answer["diagnostic_label"] = label
    return json.dumps(answer, ensure_ascii=False).encode()
