"""The messages that are sent: one of each kind that is measured, as large as is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from s2_mitm.demo.cem import VERSION

Message = dict[str, Any]


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
                "elements": [element(part, elements) for part in range(elements)],
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


def element(part: int, parts: int) -> Message:
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
        {**description, "valid_from": iso(moment)},
        {
            "message_type": "FRBC.ActuatorStatus",
            "actuator_id": actuator["id"],
            "active_operation_mode_id": actuator["operation_modes"][0]["id"],
            "operation_mode_factor": 0.5,
        },
        {"message_type": "FRBC.StorageStatus", "present_fill_level": 5.0},
    ]
    return [{**each, "message_id": an_id(1000 + place)} for place, each in enumerate(messages)]


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
