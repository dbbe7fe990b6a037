"""A right message of every type, and what such messages are made of.

What is different in an example is given in its line; all else is what stands here. Texts that begin
with ``#`` are names of ids: each stands for its own UUID, ``#fresh`` for another one each time (see
`script`).
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from s2_mitm.s2 import catalog
from s2_mitm.s2.catalog import WITH_OWN_MESSAGES

START = 1_772_366_400.0  # 2026-03-01T12:00:00Z

CONTROL_TYPES = {
    name if name in WITH_OWN_MESSAGES else on_the_wire: on_the_wire
    for on_the_wire, name in catalog.CONTROL_TYPES.items()
}
"""The control types on the wire, by their short names where they have one, such as FRBC."""


def at(seconds: float) -> str:
    """A time that many seconds after the beginning of the script, as S2 writes it."""
    moment = datetime.fromtimestamp(START + seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def between(start: float, end: float) -> dict[str, float]:
    """A range."""
    return {"start_of_range": start, "end_of_range": end}


def power(start: float, end: float, quantity: str = "ELECTRIC.POWER.L1") -> dict[str, Any]:
    """A power range."""
    return {**between(start, end), "commodity_quantity": quantity}


def changed(template: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """A template with other fields; None takes one out."""
    whole = {**deepcopy(template), **fields}
    return {name: value for name, value in whole.items() if value is not None}


def frbc_mode(name: str, **fields: Any) -> dict[str, Any]:
    """An operation mode of FRBC with the id ``#name``."""
    element = {
        "fill_level_range": between(0, 100),
        "fill_rate": between(0, 0.01),
        "power_ranges": [power(0, 5000)],
    }
    mode = {
        "id": f"#{name}",
        "diagnostic_label": name,
        "elements": [element],
        "abnormal_condition_only": False,
    }
    return changed(mode, fields)


def transition(start: str, end: str, **fields: Any) -> dict[str, Any]:
    """A transition between two modes, with the id ``#start-to-end``."""
    move = {
        "id": f"#{start}-to-{end}",
        "from": f"#{start}",
        "to": f"#{end}",
        "start_timers": [],
        "blocking_timers": [],
        "abnormal_condition_only": False,
    }
    return changed(move, fields)


def timer(name: str, **fields: Any) -> dict[str, Any]:
    """A timer with the id ``#name``."""
    return changed({"id": f"#{name}", "duration": 60000}, fields)


def actuator(**fields: Any) -> dict[str, Any]:
    """An actuator of FRBC: idle, charge and emergency (abnormal only), and a timer."""
    whole = {
        "id": "#actuator",
        "supported_commodities": ["ELECTRICITY"],
        "operation_modes": [
            frbc_mode("idle"),
            frbc_mode("charge"),
            frbc_mode("emergency", abnormal_condition_only=True),
        ],
        "transitions": [
            transition("idle", "charge", start_timers=["#rest"]),
            transition("charge", "idle", blocking_timers=["#rest"]),
            transition("idle", "emergency"),
            transition("emergency", "idle"),
        ],
        "timers": [timer("rest")],
    }
    return changed(whole, fields)


def ombc_mode(name: str, **fields: Any) -> dict[str, Any]:
    """An operation mode of OMBC with the id ``#name``."""
    mode = {
        "id": f"#{name}",
        "diagnostic_label": name,
        "power_ranges": [power(0, 2000)],
        "abnormal_condition_only": False,
    }
    return changed(mode, fields)


def ddbc_mode(name: str, **fields: Any) -> dict[str, Any]:
    """An operation mode of DDBC with the id ``#name`` (``Id`` on the wire)."""
    mode = {
        "Id": f"#{name}",
        "diagnostic_label": name,
        "power_ranges": [power(0, 2000)],
        "supply_range": between(0, 5),
        "abnormal_condition_only": False,
    }
    return changed(mode, fields)


def ddbc_actuator(**fields: Any) -> dict[str, Any]:
    """An actuator of DDBC: off, heat and boost (abnormal only), and a timer."""
    whole = {
        "id": "#actuator",
        "supported_commodites": ["ELECTRICITY"],
        "operation_modes": [
            ddbc_mode("off"),
            ddbc_mode("heat"),
            ddbc_mode("boost", abnormal_condition_only=True),
        ],
        "transitions": [
            transition("off", "heat", start_timers=["#rest"]),
            transition("heat", "off", blocking_timers=["#rest"]),
            transition("off", "boost"),
            transition("boost", "off"),
        ],
        "timers": [timer("rest")],
    }
    return changed(whole, fields)


def limit(kind: str, start: float, end: float, **fields: Any) -> dict[str, Any]:
    """An allowed limit range, ``kind`` UPPER or LOWER."""
    allowed = {
        "commodity_quantity": "ELECTRIC.POWER.L1",
        "limit_type": f"{kind}_LIMIT",
        "range_boundary": between(start, end),
        "abnormal_condition_only": False,
    }
    return changed(allowed, fields)


def envelope(*limits: tuple[float, float, float], **fields: Any) -> dict[str, Any]:
    """A power envelope of elements (seconds, lower limit, upper limit)."""
    whole = {
        "id": "#fresh",
        "commodity_quantity": "ELECTRIC.POWER.L1",
        "power_envelope_elements": [
            {"duration": int(seconds * 1000), "lower_limit": lower, "upper_limit": upper}
            for seconds, lower, upper in limits
        ],
    }
    return changed(whole, fields)


def sequence(name: str, **fields: Any) -> dict[str, Any]:
    """A power sequence of PPBC with the id ``#name``, of one element."""
    whole = {
        "id": f"#{name}",
        "elements": [
            {
                "duration": 600000,
                "power_values": [
                    {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 2000}
                ],
            }
        ],
        "is_interruptible": True,
        "abnormal_condition_only": False,
    }
    return changed(whole, fields)


def container(name: str, *sequences: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A container of power sequences with the id ``#name``."""
    whole = {"id": f"#{name}", "power_sequences": list(sequences) or [sequence("eco")]}
    return changed(whole, fields)


def waiting(name: str, profile: str = "profile") -> dict[str, Any]:
    """The status of a container for which nothing is scheduled yet."""
    return {
        "power_profile_id": f"#{profile}",
        "sequence_container_id": f"#{name}",
        "status": "NOT_SCHEDULED",
    }


TEMPLATES: dict[str, dict[str, Any]] = {
    "Handshake": {"supported_protocol_versions": ["0.0.2-beta"]},
    "HandshakeResponse": {"selected_protocol_version": "0.0.2-beta"},
    "ReceptionStatus": {"status": "OK"},
    "SessionRequest": {"request": "TERMINATE"},
    "RevokeObject": {"object_type": "FRBC.Instruction", "object_id": "#instruction"},
    "ResourceManagerDetails": {
        "resource_id": "#resource",
        "name": "Test device",
        "roles": [{"role": "ENERGY_STORAGE", "commodity": "ELECTRICITY"}],
        "instruction_processing_delay": 1000,
        "available_control_types": [
            "POWER_ENVELOPE_BASED_CONTROL",
            "POWER_PROFILE_BASED_CONTROL",
            "OPERATION_MODE_BASED_CONTROL",
            "FILL_RATE_BASED_CONTROL",
            "DEMAND_DRIVEN_BASED_CONTROL",
        ],
        "currency": "EUR",
        "provides_forecast": True,
        "provides_power_measurement_types": ["ELECTRIC.POWER.L1"],
    },
    "SelectControlType": {"control_type": "FILL_RATE_BASED_CONTROL"},
    "PowerMeasurement": {
        "measurement_timestamp": at(0),
        "values": [{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 230.5}],
    },
    "PowerForecast": {
        "start_time": at(0),
        "elements": [
            {
                "duration": 900000,
                "power_values": [
                    {
                        "commodity_quantity": "ELECTRIC.POWER.L1",
                        "value_upper_limit": 300,
                        "value_upper_95PPR": 280,
                        "value_upper_68PPR": 260,
                        "value_expected": 230,
                        "value_lower_68PPR": 200,
                        "value_lower_95PPR": 150,
                        "value_lower_limit": 100,
                    }
                ],
            }
        ],
    },
    "InstructionStatusUpdate": {
        "instruction_id": "#instruction",
        "status_type": "ACCEPTED",
        "timestamp": at(0),
    },
    "PEBC.PowerConstraints": {
        "id": "#constraints",
        "valid_from": at(0),
        "consequence_type": "VANISH",
        "allowed_limit_ranges": [
            limit("UPPER", 0, 5000),
            limit("LOWER", -5000, 0),
            limit("UPPER", 5000, 8000, abnormal_condition_only=True),
        ],
    },
    "PEBC.EnergyConstraint": {
        "id": "#energy",
        "valid_from": at(0),
        "valid_until": at(3600),
        "upper_average_power": 3000,
        "lower_average_power": 1000,
        "commodity_quantity": "ELECTRIC.POWER.L1",
    },
    "PEBC.Instruction": {
        "id": "#instruction",
        "execution_time": at(5),
        "abnormal_condition": False,
        "power_constraints_id": "#constraints",
        "power_envelopes": [envelope((900, -1000, 4000))],
    },
    "PPBC.PowerProfileDefinition": {
        "id": "#profile",
        "start_time": at(0),
        "end_time": at(7200),
        "power_sequences_containers": [
            container("wash", sequence("eco"), sequence("fast")),
            container("spin", sequence("slow"), sequence("hot", abnormal_condition_only=True)),
        ],
    },
    "PPBC.PowerProfileStatus": {
        "sequence_container_status": [waiting("wash"), waiting("spin")],
    },
    "PPBC.ScheduleInstruction": {
        "id": "#instruction",
        "power_profile_id": "#profile",
        "sequence_container_id": "#wash",
        "power_sequence_id": "#eco",
        "execution_time": at(60),
        "abnormal_condition": False,
    },
    "PPBC.StartInterruptionInstruction": {
        "id": "#interruption",
        "power_profile_id": "#profile",
        "sequence_container_id": "#wash",
        "power_sequence_id": "#eco",
        "execution_time": at(120),
        "abnormal_condition": False,
    },
    "PPBC.EndInterruptionInstruction": {
        "id": "#continuation",
        "power_profile_id": "#profile",
        "sequence_container_id": "#wash",
        "power_sequence_id": "#eco",
        "execution_time": at(180),
        "abnormal_condition": False,
    },
    "OMBC.SystemDescription": {
        "valid_from": at(0),
        "operation_modes": [
            ombc_mode("off"),
            ombc_mode("on"),
            ombc_mode("boost", abnormal_condition_only=True),
        ],
        "transitions": [
            transition("off", "on", start_timers=["#rest"]),
            transition("on", "off", blocking_timers=["#rest"]),
            transition("off", "boost"),
            transition("boost", "off"),
        ],
        "timers": [timer("rest")],
    },
    "OMBC.Status": {"active_operation_mode_id": "#off", "operation_mode_factor": 0},
    "OMBC.TimerStatus": {"timer_id": "#rest", "finished_at": at(60)},
    "OMBC.Instruction": {
        "id": "#instruction",
        "execution_time": at(5),
        "operation_mode_id": "#on",
        "operation_mode_factor": 1,
        "abnormal_condition": False,
    },
    "FRBC.SystemDescription": {
        "valid_from": at(0),
        "actuators": [actuator()],
        "storage": {
            "diagnostic_label": "battery",
            "fill_level_label": "%",
            "provides_leakage_behaviour": True,
            "provides_fill_level_target_profile": True,
            "provides_usage_forecast": True,
            "fill_level_range": between(0, 100),
        },
    },
    "FRBC.ActuatorStatus": {
        "actuator_id": "#actuator",
        "active_operation_mode_id": "#idle",
        "operation_mode_factor": 0,
    },
    "FRBC.StorageStatus": {"present_fill_level": 57.3},
    "FRBC.LeakageBehaviour": {
        "valid_from": at(0),
        "elements": [
            {"fill_level_range": between(0, 50), "leakage_rate": 0.0001},
            {"fill_level_range": between(50, 100), "leakage_rate": 0.0002},
        ],
    },
    "FRBC.UsageForecast": {
        "start_time": at(0),
        "elements": [
            {
                "duration": 900000,
                "usage_rate_upper_limit": 0.03,
                "usage_rate_expected": 0.02,
                "usage_rate_lower_limit": 0.01,
            }
        ],
    },
    "FRBC.FillLevelTargetProfile": {
        "start_time": at(0),
        "elements": [{"duration": 900000, "fill_level_range": between(20, 80)}],
    },
    "FRBC.TimerStatus": {
        "timer_id": "#rest",
        "actuator_id": "#actuator",
        "finished_at": at(60),
    },
    "FRBC.Instruction": {
        "id": "#instruction",
        "actuator_id": "#actuator",
        "operation_mode": "#charge",
        "operation_mode_factor": 0.5,
        "execution_time": at(5),
        "abnormal_condition": False,
    },
    "DDBC.SystemDescription": {
        "valid_from": at(0),
        "actuators": [ddbc_actuator()],
        "present_demand_rate": between(1, 2),
        "provides_average_demand_rate_forecast": True,
    },
    "DDBC.ActuatorStatus": {
        "actuator_id": "#actuator",
        "active_operation_mode_id": "#off",
        "operation_mode_factor": 0,
    },
    "DDBC.AverageDemandRateForecast": {
        "start_time": at(0),
        "elements": [
            {
                "duration": 900000,
                "demand_rate_upper_limit": 3,
                "demand_rate_expected": 2,
                "demand_rate_lower_limit": 1,
            }
        ],
    },
    "DDBC.TimerStatus": {
        "timer_id": "#rest",
        "actuator_id": "#actuator",
        "finished_at": at(60),
    },
    "DDBC.Instruction": {
        "id": "#instruction",
        "actuator_id": "#actuator",
        "operation_mode_id": "#heat",
        "operation_mode_factor": 0.5,
        "execution_time": at(5),
        "abnormal_condition": False,
    },
    "DDBC.PresentDemandStatus": {"present_demand_rate": between(1, 2)},
}
"""A valid message of every type, but for message_type and message_id."""

DESCRIBED: dict[str, list[str]] = {
    "PEBC": ["PEBC.PowerConstraints", "PEBC.EnergyConstraint"],
    "PPBC": ["PPBC.PowerProfileDefinition"],
    "OMBC": ["OMBC.SystemDescription", "OMBC.Status"],
    "FRBC": ["FRBC.SystemDescription", "FRBC.ActuatorStatus", "FRBC.StorageStatus"],
    "DDBC": ["DDBC.SystemDescription", "DDBC.ActuatorStatus"],
}
"""What an RM says first under each control type."""
