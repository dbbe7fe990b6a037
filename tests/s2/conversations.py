"""Whole conversations as devices and energy managers have them, from handshake to farewell.

Each is a text in the language of the examples (`s2_mitm.s2.examples`), a line a message, so that
one thing in it can be made wrong (`variants`). Nothing is wrong with them as they stand here.
"""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple, Self

from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples import templates
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import (
    START,
    at,
    between,
    container,
    ddbc_mode,
    envelope,
    frbc_mode,
    limit,
    ombc_mode,
    power,
    sequence,
    timer,
    transition,
)
from s2_mitm.s2.verdict import Role


class Wire(NamedTuple):
    """A message as it went over the wire."""

    time: float
    sender: Role
    data: bytes


class Play(Script):
    """Plays a conversation; it may be several connections, one after the other."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self.connections: list[list[Wire]] = [[]]
        """What went over the wire, of each connection."""

    def ago(self, seconds: float = 0) -> str:
        """A time before now, as S2 writes it."""
        return at(self.now - START - seconds)

    def soon(self, seconds: float) -> str:
        """A time after now, as S2 writes it."""
        return at(self.now - START + seconds)

    def measured(self, *watts: float, quantity: str = "ELECTRIC.POWER.L1") -> None:
        """The RM measures its power, of one phase or of all three."""
        quantities = [f"ELECTRIC.POWER.L{phase}" for phase in (1, 2, 3)]
        if len(watts) == 1:
            quantities = [quantity]
        self.rm(
            "PowerMeasurement",
            measurement_timestamp=self.ago(0.2),
            values=[
                {"commodity_quantity": name, "value": value}
                for name, value in zip(quantities, watts, strict=True)
            ],
        )

    def update(self, instruction: str, *statuses: str) -> None:
        """The RM tells how far an instruction has come."""
        for status in statuses:
            self.rm(
                "InstructionStatusUpdate",
                instruction_id=instruction,
                status_type=status,
                timestamp=self.ago(),
            )

    def connect(self) -> None:
        """The connection is closed, and a new one opened."""
        self.close()
        self.judge = Judge(self.judge.settings)
        self.connections.append([])
        self.lines = []

    def run(self, script: str) -> Self:
        """Play the lines of a conversation."""
        names = {name: getattr(self, name) for name in dir(self) if not name.startswith("_")}
        names |= {str(role): role for role in Role}
        exec(textwrap.dedent(script), {**vars(templates), **globals(), **names})
        return self

    def _receive(self, sender: Role, data: bytes, *, injected: bool = False) -> None:
        super()._receive(sender, data, injected=injected)
        self.connections[-1].append(Wire(self.now, sender, data))


def forecast(*watts: float, quantity: str = "ELECTRIC.POWER.L1") -> list[dict[str, Any]]:
    """Elements of a power forecast, quarters of an hour, give or take."""
    return [
        {
            "duration": 900_000,
            "power_values": [
                {
                    "commodity_quantity": quantity,
                    "value_upper_95PPR": expected + 300,
                    "value_upper_68PPR": expected + 100,
                    "value_expected": expected,
                    "value_lower_68PPR": expected - 100,
                    "value_lower_95PPR": expected - 300,
                }
            ],
        }
        for expected in watts
    ]


def element(
    level: tuple[float, float], rate: tuple[float, float], watts: tuple[float, float], **more: Any
) -> dict[str, Any]:
    """An element of an operation mode of FRBC."""
    return {
        "fill_level_range": between(*level),
        "fill_rate": between(*rate),
        "power_ranges": [power(*watts)],
        **more,
    }


# A home battery, FRBC

BATTERY = {
    "resource_id": "#battery",
    "name": "Home battery in the garage",
    "roles": [{"role": "ENERGY_STORAGE", "commodity": "ELECTRICITY"}],
    "manufacturer": "Example Storage",
    "model": "HB-10",
    "serial_number": "HB10-004711",
    "firmware_version": "2.8.1",
    "instruction_processing_delay": 500,
    "available_control_types": ["FILL_RATE_BASED_CONTROL", "POWER_ENVELOPE_BASED_CONTROL"],
    "currency": "EUR",
    "provides_forecast": False,
    "provides_power_measurement_types": ["ELECTRIC.POWER.L1"],
}

INVERTER = {
    "id": "#inverter",
    "diagnostic_label": "Inverter 5 kW",
    "supported_commodities": ["ELECTRICITY"],
    "operation_modes": [
        frbc_mode("standby", elements=[element((0, 100), (0, 0), (8, 12))]),
        frbc_mode(
            "charging",
            elements=[
                element((0, 90), (0, 0.0133), (0, 5000), running_costs=between(0, 0.00001)),
                element((90, 100), (0, 0.004), (0, 1500)),
            ],
        ),
        frbc_mode("discharging", elements=[element((5, 100), (-0.0139, 0), (-5000, 0))]),
        frbc_mode(
            "backup",
            elements=[element((0, 100), (-0.0139, 0), (-5000, 0))],
            abnormal_condition_only=True,
        ),
    ],
    "transitions": [
        transition("standby", "charging", transition_costs=0.002, transition_duration=2000),
        transition("charging", "standby", start_timers=["#pause"]),
        transition("standby", "discharging", blocking_timers=["#pause"]),
        transition("discharging", "standby", start_timers=["#pause"]),
        transition("standby", "backup", abnormal_condition_only=True),
        transition("backup", "standby"),
    ],
    "timers": [timer("pause", duration=120_000, diagnostic_label="Relays at rest")],
}

CELLS = {
    "diagnostic_label": "10.4 kWh LFP",
    "fill_level_label": "SoC in %",
    "provides_leakage_behaviour": True,
    "provides_fill_level_target_profile": True,
    "provides_usage_forecast": False,
    "fill_level_range": between(0, 100),
}

HOME_BATTERY = """
    rm("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0-beta"])
    cem("Handshake", supported_protocol_versions=["0.0.2-beta"])
    cem("HandshakeResponse", selected_protocol_version="0.0.2-beta")
    rm("ResourceManagerDetails", **BATTERY)
    measured(11)
    cem("SelectControlType", control_type="FILL_RATE_BASED_CONTROL")
    rm("FRBC.SystemDescription", valid_from=ago(), actuators=[INVERTER], storage=CELLS)
    rm("FRBC.ActuatorStatus", actuator_id="#inverter", active_operation_mode_id="#standby")
    rm("FRBC.StorageStatus", present_fill_level=41.5)
    rm("FRBC.LeakageBehaviour", valid_from=ago(), elements=[
        {"fill_level_range": between(0, 80), "leakage_rate": 0.00001},
        {"fill_level_range": between(80, 100), "leakage_rate": 0.00002},
    ])
    rm("FRBC.FillLevelTargetProfile", start_time=soon(3600), elements=[
        {"duration": 3_600_000, "fill_level_range": between(50, 90)},
        {"duration": 7_200_000, "fill_level_range": between(20, 100)},
    ])
    wait(30)
    measured(10.4)

    cem("FRBC.Instruction", id="#charge", actuator_id="#inverter", operation_mode="#charging",
        operation_mode_factor=0.6, execution_time=soon(5))
    update("#charge", "NEW", "ACCEPTED")
    wait(5)
    update("#charge", "STARTED")
    rm("FRBC.ActuatorStatus", actuator_id="#inverter", active_operation_mode_id="#charging",
        operation_mode_factor=0.6, previous_operation_mode_id="#standby",
        transition_timestamp=ago(0.1))
    measured(2980)
    wait(300)
    rm("FRBC.StorageStatus", present_fill_level=43.9)
    measured(3010)
    wait(600)
    rm("FRBC.StorageStatus", present_fill_level=48.7)
    update("#charge", "SUCCEEDED")

    cem("FRBC.Instruction", id="#stop", actuator_id="#inverter", operation_mode="#standby",
        operation_mode_factor=0, execution_time=soon(1))
    update("#stop", "NEW", "ACCEPTED")
    wait(1)
    update("#stop", "STARTED")
    rm("FRBC.ActuatorStatus", actuator_id="#inverter", active_operation_mode_id="#standby",
        previous_operation_mode_id="#charging", transition_timestamp=ago(0.1))
    rm("FRBC.TimerStatus", timer_id="#pause", actuator_id="#inverter", finished_at=soon(120))
    measured(10.9)
    update("#stop", "SUCCEEDED")

    wait(60)
    cem("FRBC.Instruction", id="#feed-in", actuator_id="#inverter", operation_mode="#discharging",
        operation_mode_factor=1, execution_time=soon(90))
    update("#feed-in", "NEW", "ACCEPTED")
    wait(30)
    cem("RevokeObject", object_type="FRBC.Instruction", object_id="#feed-in")
    update("#feed-in", "REVOKED")
    wait(60)

    cem("FRBC.Instruction", id="#evening", actuator_id="#inverter", operation_mode="#discharging",
        operation_mode_factor=0.3, execution_time=soon(2))
    update("#evening", "ACCEPTED")
    wait(2)
    update("#evening", "STARTED")
    rm("FRBC.ActuatorStatus", actuator_id="#inverter", active_operation_mode_id="#discharging",
        operation_mode_factor=0.3, previous_operation_mode_id="#standby",
        transition_timestamp=ago(0.1))
    measured(-1490)
    wait(900)
    rm("FRBC.StorageStatus", present_fill_level=45)

    rm("FRBC.SystemDescription", valid_from=ago(), storage=CELLS, actuators=[
        {**INVERTER, "diagnostic_label": "Inverter 5 kW, warm", "timers": [timer("cool-down")],
         "transitions": [
             transition("standby", "charging", start_timers=["#cool-down"]),
             transition("charging", "standby", blocking_timers=["#cool-down"]),
             transition("standby", "discharging"),
             transition("discharging", "standby"),
             transition("standby", "backup", abnormal_condition_only=True),
         ]}])
    rm("FRBC.ActuatorStatus", actuator_id="#inverter", active_operation_mode_id="#discharging",
        operation_mode_factor=0.3, previous_operation_mode_id="#standby",
        transition_timestamp=ago(900))
    wait(5)
    cem("FRBC.Instruction", id="#enough", actuator_id="#inverter", operation_mode="#standby",
        operation_mode_factor=0, execution_time=soon(1))
    update("#evening", "SUCCEEDED")
    update("#enough", "NEW", "ACCEPTED")
    wait(1)
    update("#enough", "STARTED", "SUCCEEDED")
    rm("FRBC.ActuatorStatus", actuator_id="#inverter", active_operation_mode_id="#standby",
        previous_operation_mode_id="#discharging", transition_timestamp=ago(0.1))

    wait(10)
    cem("FRBC.Instruction", id="#outage", actuator_id="#inverter", operation_mode="#backup",
        operation_mode_factor=0.8, execution_time=soon(0.5), abnormal_condition=True)
    update("#outage", "ACCEPTED", "STARTED")
    rm("FRBC.ActuatorStatus", actuator_id="#inverter", active_operation_mode_id="#backup",
        operation_mode_factor=0.8, previous_operation_mode_id="#standby",
        transition_timestamp=ago(0.1))
    wait(20)
    update("#outage", "ABORTED")
    cem("SessionRequest", request="TERMINATE", diagnostic_label="Maintenance of the CEM")
"""

# A heat pump with a buffer of hot water and an electric heater, FRBC

HEAT_PUMP = {
    "resource_id": "#heat-pump",
    "name": "Heat pump",
    "roles": [{"role": "ENERGY_CONSUMER", "commodity": "ELECTRICITY"}],
    "manufacturer": "Example Heating",
    "model": "Monobloc 8",
    "instruction_processing_delay": 2000,
    "available_control_types": ["FILL_RATE_BASED_CONTROL"],
    "currency": "CHF",
    "provides_forecast": True,
    "provides_power_measurement_types": [
        "ELECTRIC.POWER.L1",
        "ELECTRIC.POWER.L2",
        "ELECTRIC.POWER.L3",
    ],
}

COMPRESSOR = {
    "id": "#compressor",
    "diagnostic_label": "Compressor",
    "supported_commodities": ["ELECTRICITY"],
    "operation_modes": [
        frbc_mode("off", elements=[element((15, 65), (0, 0), (0, 0))]),
        frbc_mode(
            "heating",
            elements=[
                element((15, 40), (0.0012, 0.0031), (700, 2100)),
                element((40, 55), (0.0009, 0.0025), (800, 2600)),
            ],
        ),
    ],
    "transitions": [
        transition("off", "heating", start_timers=["#minimum-run"], blocking_timers=["#rest"]),
        transition("heating", "off", start_timers=["#rest"], blocking_timers=["#minimum-run"]),
    ],
    "timers": [timer("minimum-run", duration=600_000), timer("rest", duration=300_000)],
}

IMMERSION_HEATER = {
    "id": "#immersion-heater",
    "supported_commodities": ["ELECTRICITY"],
    "operation_modes": [
        frbc_mode("cold", elements=[element((15, 65), (0, 0), (0, 0))]),
        frbc_mode("hot", elements=[element((15, 65), (0.001, 0.003), (1000, 3000))]),
    ],
    "transitions": [transition("cold", "hot"), transition("hot", "cold")],
    "timers": [],
}

BUFFER = {
    "diagnostic_label": "Buffer, 300 l",
    "fill_level_label": "°C",
    "provides_leakage_behaviour": False,
    "provides_fill_level_target_profile": True,
    "provides_usage_forecast": True,
    "fill_level_range": between(15, 65),
}

HOT_WATER = """
    cem("Handshake")
    rm("Handshake")
    cem("HandshakeResponse", selected_protocol_version="0.0.2-beta")
    rm("ResourceManagerDetails", **HEAT_PUMP)
    rm("PowerForecast", start_time=ago(), elements=forecast(800, 1200, 900, 400))
    cem("SelectControlType", control_type="FILL_RATE_BASED_CONTROL")
    rm("FRBC.SystemDescription", valid_from=soon(1), storage=BUFFER,
        actuators=[COMPRESSOR, IMMERSION_HEATER])
    wait(2)
    rm("FRBC.ActuatorStatus", actuator_id="#compressor", active_operation_mode_id="#off")
    rm("FRBC.ActuatorStatus", actuator_id="#immersion-heater", active_operation_mode_id="#cold")
    rm("FRBC.StorageStatus", present_fill_level=38.25)
    rm("FRBC.UsageForecast", start_time=ago(), elements=[
        {"duration": 3_600_000, "usage_rate_upper_95PPR": 0.002, "usage_rate_upper_68PPR": 0.001,
         "usage_rate_expected": 0.0005, "usage_rate_lower_68PPR": 0.0001,
         "usage_rate_lower_95PPR": 0},
        {"duration": 7_200_000, "usage_rate_expected": 0.0002},
    ])
    rm("FRBC.FillLevelTargetProfile", start_time=ago(), elements=[
        {"duration": 86_400_000, "fill_level_range": between(35, 55)},
    ])
    measured(4.1, 3.9, 4)

    cem("FRBC.Instruction", id="#warm-up", actuator_id="#compressor", operation_mode="#heating",
        operation_mode_factor=0.5, execution_time=soon(10))
    update("#warm-up", "NEW")
    cem("FRBC.Instruction", id="#assist", actuator_id="#immersion-heater", operation_mode="#hot",
        operation_mode_factor=1, execution_time=soon(10))
    update("#assist", "NEW", "ACCEPTED")
    update("#warm-up", "ACCEPTED")
    wait(10)
    update("#warm-up", "STARTED")
    rm("FRBC.ActuatorStatus", actuator_id="#compressor", active_operation_mode_id="#heating",
        operation_mode_factor=0.5, previous_operation_mode_id="#off", transition_timestamp=ago(0.2))
    rm("FRBC.TimerStatus", timer_id="#minimum-run", actuator_id="#compressor",
        finished_at=soon(600))
    update("#assist", "STARTED")
    rm("FRBC.ActuatorStatus", actuator_id="#immersion-heater", active_operation_mode_id="#hot",
        operation_mode_factor=1, previous_operation_mode_id="#cold", transition_timestamp=ago(0.2))
    measured(3601, 1400, 1399)
    wait(300)
    rm("FRBC.StorageStatus", present_fill_level=39.9)
    cem("FRBC.Instruction", id="#cool", actuator_id="#immersion-heater", operation_mode="#cold",
        operation_mode_factor=0, execution_time=soon(3))
    update("#assist", "SUCCEEDED")
    update("#cool", "NEW", "ACCEPTED")
    wait(3)
    update("#cool", "STARTED", "SUCCEEDED")
    rm("FRBC.ActuatorStatus", actuator_id="#immersion-heater", active_operation_mode_id="#cold",
        previous_operation_mode_id="#hot", transition_timestamp=ago(0.2))
    wait(400)
    cem("FRBC.Instruction", id="#down", actuator_id="#compressor", operation_mode="#off",
        operation_mode_factor=0, execution_time=soon(2))
    update("#down", "NEW", "ACCEPTED")
    update("#warm-up", "SUCCEEDED")
    wait(2)
    update("#down", "STARTED")
    rm("FRBC.ActuatorStatus", actuator_id="#compressor", active_operation_mode_id="#off",
        previous_operation_mode_id="#heating", transition_timestamp=ago(0.2))
    rm("FRBC.TimerStatus", timer_id="#rest", actuator_id="#compressor", finished_at=soon(300))
    update("#down", "SUCCEEDED")

    wait(1)
    cem("FRBC.Instruction", id="#too-much", actuator_id="#compressor", operation_mode="#heating",
        operation_mode_factor=1, execution_time=soon(400))
    update("#too-much", "REJECTED")
    cem("SelectControlType", control_type="NO_SELECTION")
    measured(4.2, 4, 4.1)
    rm("PowerForecast", start_time=ago(), elements=forecast(400, 400))
    rm("SessionRequest", request="RECONNECT", diagnostic_label="Firmware update")
    connect()

    wait(90)
    cem("Handshake")
    rm("Handshake")
    cem("HandshakeResponse", selected_protocol_version="0.0.2-beta")
    rm("ResourceManagerDetails", **HEAT_PUMP)
    cem("SelectControlType", control_type="FILL_RATE_BASED_CONTROL")
    rm("FRBC.SystemDescription", valid_from=ago(), storage=BUFFER,
        actuators=[COMPRESSOR, IMMERSION_HEATER])
    rm("FRBC.ActuatorStatus", actuator_id="#compressor", active_operation_mode_id="#off")
    rm("FRBC.ActuatorStatus", actuator_id="#immersion-heater", active_operation_mode_id="#cold")
    rm("FRBC.StorageStatus", present_fill_level=44)
    cem("FRBC.Instruction", id="#again", actuator_id="#compressor", operation_mode="#heating",
        operation_mode_factor=0, execution_time=soon(5))
    update("#again", "ACCEPTED")
    wait(5)
    update("#again", "STARTED", "SUCCEEDED")
    rm("SessionRequest", request="TERMINATE")
"""

# A hybrid heat pump, gas boiler and compressor, DDBC and then OMBC

HYBRID = {
    "resource_id": "#hybrid",
    "name": "Hybrid heat pump",
    "roles": [
        {"role": "ENERGY_CONSUMER", "commodity": "ELECTRICITY"},
        {"role": "ENERGY_CONSUMER", "commodity": "GAS"},
    ],
    "instruction_processing_delay": 3000,
    "available_control_types": ["DEMAND_DRIVEN_BASED_CONTROL", "OPERATION_MODE_BASED_CONTROL"],
    "currency": "EUR",
    "provides_forecast": False,
    "provides_power_measurement_types": ["ELECTRIC.POWER.L1", "NATURAL_GAS.FLOW_RATE"],
}

BOILER = {
    "id": "#boiler",
    "diagnostic_label": "Condensing boiler",
    "supported_commodites": ["GAS"],
    "operation_modes": [
        ddbc_mode(
            "boiler-off",
            power_ranges=[power(0, 0, "NATURAL_GAS.FLOW_RATE")],
            supply_range=between(0, 0),
        ),
        ddbc_mode(
            "boiler-on",
            power_ranges=[power(0.1, 0.6, "NATURAL_GAS.FLOW_RATE")],
            supply_range=between(4, 24),
            running_costs=between(0.0001, 0.0006),
        ),
    ],
    "transitions": [
        transition("boiler-off", "boiler-on", transition_costs=0.01),
        transition("boiler-on", "boiler-off"),
    ],
    "timers": [],
}

OUTDOOR_UNIT = {
    "id": "#outdoor-unit",
    "supported_commodites": ["ELECTRICITY"],
    "operation_modes": [
        ddbc_mode("unit-off", power_ranges=[power(0, 20)], supply_range=between(0, 0)),
        ddbc_mode("unit-on", power_ranges=[power(500, 1500)], supply_range=between(1.5, 5)),
        ddbc_mode("unit-defrost", abnormal_condition_only=True),
    ],
    "transitions": [
        transition("unit-off", "unit-on", start_timers=["#settle"]),
        transition("unit-on", "unit-off", blocking_timers=["#settle"]),
        transition("unit-on", "unit-defrost", abnormal_condition_only=True),
        transition("unit-defrost", "unit-on"),
    ],
    "timers": [timer("settle", duration=180_000)],
}

WHOLE_HOUSE = {
    "operation_modes": [
        ombc_mode("all-off", power_ranges=[power(0, 20)]),
        ombc_mode("on-gas", power_ranges=[power(0.1, 0.6, "NATURAL_GAS.FLOW_RATE")]),
        ombc_mode("on-electricity", power_ranges=[power(500, 1500)]),
        ombc_mode("both", abnormal_condition_only=True),
    ],
    "transitions": [
        transition("all-off", "on-gas", start_timers=["#burner"]),
        transition("all-off", "on-electricity", transition_costs=0.05),
        transition("on-gas", "all-off", blocking_timers=["#burner"]),
        transition("on-electricity", "all-off"),
        transition("on-electricity", "both"),
        transition("both", "on-electricity"),
    ],
    "timers": [timer("burner", duration=120_000)],
}

HYBRID_HEATING = """
    rm("Handshake")
    cem("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0-beta"])
    cem("HandshakeResponse")
    rm("ResourceManagerDetails", **HYBRID)
    measured(18)
    cem("SelectControlType", control_type="DEMAND_DRIVEN_BASED_CONTROL")
    rm("DDBC.SystemDescription", valid_from=ago(), actuators=[BOILER, OUTDOOR_UNIT],
        present_demand_rate=between(3.8, 4.1))
    rm("DDBC.ActuatorStatus", actuator_id="#boiler", active_operation_mode_id="#boiler-on",
        operation_mode_factor=0)
    rm("DDBC.ActuatorStatus", actuator_id="#outdoor-unit", active_operation_mode_id="#unit-off")
    rm("DDBC.AverageDemandRateForecast", start_time=ago(), elements=[
        {"duration": 900_000, "demand_rate_upper_limit": 6, "demand_rate_upper_95PPR": 5.5,
         "demand_rate_upper_68PPR": 4.8, "demand_rate_expected": 4,
         "demand_rate_lower_68PPR": 3.5, "demand_rate_lower_95PPR": 3,
         "demand_rate_lower_limit": 0},
        {"duration": 900_000, "demand_rate_expected": 3.1},
    ])
    measured(0.15, quantity="NATURAL_GAS.FLOW_RATE")

    cem("DDBC.Instruction", id="#to-electricity", actuator_id="#outdoor-unit",
        operation_mode_id="#unit-on", operation_mode_factor=0.7, execution_time=soon(10))
    update("#to-electricity", "NEW", "ACCEPTED")
    cem("DDBC.Instruction", id="#gas-off", actuator_id="#boiler",
        operation_mode_id="#boiler-off", operation_mode_factor=0, execution_time=soon(40))
    update("#gas-off", "NEW", "ACCEPTED")
    wait(10)
    update("#to-electricity", "STARTED")
    rm("DDBC.ActuatorStatus", actuator_id="#outdoor-unit", active_operation_mode_id="#unit-on",
        operation_mode_factor=0.7, previous_operation_mode_id="#unit-off",
        transition_timestamp=ago(0.1))
    rm("DDBC.TimerStatus", timer_id="#settle", actuator_id="#outdoor-unit", finished_at=soon(180))
    measured(1180)
    wait(30)
    update("#gas-off", "STARTED")
    rm("DDBC.ActuatorStatus", actuator_id="#boiler", active_operation_mode_id="#boiler-off",
        operation_mode_factor=0, previous_operation_mode_id="#boiler-on",
        transition_timestamp=ago(0.1))
    update("#gas-off", "SUCCEEDED")
    measured(0, quantity="NATURAL_GAS.FLOW_RATE")
    wait(200)
    cem("DDBC.Instruction", id="#thaw", actuator_id="#outdoor-unit",
        operation_mode_id="#unit-defrost", operation_mode_factor=1, execution_time=soon(5),
        abnormal_condition=True)
    update("#to-electricity", "ABORTED")
    update("#thaw", "ACCEPTED")
    wait(5)
    update("#thaw", "STARTED")
    rm("DDBC.ActuatorStatus", actuator_id="#outdoor-unit", active_operation_mode_id="#unit-defrost",
        operation_mode_factor=1, previous_operation_mode_id="#unit-on",
        transition_timestamp=ago(0.1))
    wait(120)
    update("#thaw", "SUCCEEDED")
    rm("DDBC.ActuatorStatus", actuator_id="#outdoor-unit", active_operation_mode_id="#unit-on",
        operation_mode_factor=0.7, previous_operation_mode_id="#unit-defrost",
        transition_timestamp=ago(0.1))

    wait(10)
    cem("SelectControlType", control_type="OPERATION_MODE_BASED_CONTROL")
    rm("OMBC.SystemDescription", valid_from=ago(), **WHOLE_HOUSE)
    rm("OMBC.Status", active_operation_mode_id="#on-electricity", operation_mode_factor=0.7)
    measured(1175)
    cem("OMBC.Instruction", id="#pause-all", operation_mode_id="#all-off",
        operation_mode_factor=0, execution_time=soon(2))
    update("#pause-all", "NEW", "ACCEPTED")
    wait(2)
    update("#pause-all", "STARTED")
    rm("OMBC.Status", active_operation_mode_id="#all-off", operation_mode_factor=0,
        previous_operation_mode_id="#on-electricity", transition_timestamp=ago(0.1))
    update("#pause-all", "SUCCEEDED")
    wait(60)
    cem("OMBC.Instruction", id="#to-gas", operation_mode_id="#on-gas",
        operation_mode_factor=0.4, execution_time=soon(2))
    update("#to-gas", "NEW", "ACCEPTED")
    wait(2)
    update("#to-gas", "STARTED")
    rm("OMBC.Status", active_operation_mode_id="#on-gas", operation_mode_factor=0.4,
        previous_operation_mode_id="#all-off", transition_timestamp=ago(0.1))
    rm("OMBC.TimerStatus", timer_id="#burner", finished_at=soon(120))
    measured(0.3, quantity="NATURAL_GAS.FLOW_RATE")
    wait(130)
    cem("OMBC.Instruction", id="#adjust", operation_mode_id="#on-gas",
        operation_mode_factor=0.2, execution_time=soon(2))
    update("#to-gas", "SUCCEEDED")
    update("#adjust", "ACCEPTED")
    wait(2)
    update("#adjust", "STARTED", "SUCCEEDED")
    rm("OMBC.Status", active_operation_mode_id="#on-gas", operation_mode_factor=0.2,
        previous_operation_mode_id="#all-off", transition_timestamp=ago(134))
    rm("OMBC.SystemDescription", valid_from=soon(3600), **WHOLE_HOUSE)
    wait(5)
    rm("RevokeObject", object_type="OMBC.SystemDescription", object_id=last())
    cem("SelectControlType", control_type="NO_SELECTION")
    cem("SessionRequest", request="TERMINATE")
"""

# A washing machine, PPBC

WASHER = {
    "resource_id": "#washer",
    "name": "Washing machine",
    "roles": [{"role": "ENERGY_CONSUMER", "commodity": "ELECTRICITY"}],
    "manufacturer": "Example Appliances",
    "instruction_processing_delay": 1000,
    "available_control_types": ["POWER_PROFILE_BASED_CONTROL", "NOT_CONTROLABLE"],
    "provides_forecast": True,
    "provides_power_measurement_types": ["ELECTRIC.POWER.L1"],
}


def stage(name: str, *watts: float, **fields: Any) -> dict[str, Any]:
    """A power sequence with an element of ten minutes for each power."""
    elements = [
        {
            "duration": 600_000,
            "power_values": [
                {
                    "commodity_quantity": "ELECTRIC.POWER.L1",
                    "value_upper_limit": expected + 200,
                    "value_expected": expected,
                    "value_lower_limit": max(0, expected - 200),
                }
            ],
        }
        for expected in watts
    ]
    return sequence(name, elements=elements, **fields)


COTTONS = [
    container(
        "washing",
        stage("warm-wash", 2100, 400, 150),
        stage("cold-wash", 300, 300, 150),
        stage("boil-wash", 2300, 2300, 400, abnormal_condition_only=True),
    ),
    container(
        "spinning",
        stage("fast-spin", 600, max_pause_before=1_800_000, is_interruptible=False),
        stage("gentle-spin", 250, 250, max_pause_before=1_800_000),
    ),
]

FIRM = [
    container("washing", stage("warm-wash", 2100, 400, 150, is_interruptible=False)),
    COTTONS[1],
]
"""The same with a stage that cannot be interrupted."""

LAUNDRY = """
    rm("Handshake")
    cem("Handshake")
    cem("HandshakeResponse")
    rm("ResourceManagerDetails", **WASHER)
    cem("SelectControlType", control_type="POWER_PROFILE_BASED_CONTROL")
    measured(1.2)
    rm("PPBC.PowerProfileDefinition", id="#cottons", start_time=ago(), end_time=soon(14400),
        power_sequences_containers=COTTONS)
    rm("PPBC.PowerProfileStatus", sequence_container_status=[
        {"power_profile_id": "#cottons", "sequence_container_id": "#washing",
         "status": "NOT_SCHEDULED"},
        {"power_profile_id": "#cottons", "sequence_container_id": "#spinning",
         "status": "NOT_SCHEDULED"},
    ])
    rm("PowerForecast", start_time=ago(), elements=forecast(500, 500, 300))

    cem("PPBC.ScheduleInstruction", id="#wash", power_profile_id="#cottons",
        sequence_container_id="#washing", power_sequence_id="#warm-wash", execution_time=soon(600))
    update("#wash", "NEW", "ACCEPTED")
    cem("PPBC.ScheduleInstruction", id="#spin", power_profile_id="#cottons",
        sequence_container_id="#spinning", power_sequence_id="#gentle-spin",
        execution_time=soon(3300))
    update("#spin", "NEW", "ACCEPTED")
    rm("PPBC.PowerProfileStatus", sequence_container_status=[
        {"power_profile_id": "#cottons", "sequence_container_id": "#washing",
         "selected_sequence_id": "#warm-wash", "status": "SCHEDULED"},
        {"power_profile_id": "#cottons", "sequence_container_id": "#spinning",
         "selected_sequence_id": "#gentle-spin", "status": "SCHEDULED"},
    ])
    wait(600)
    update("#wash", "STARTED")
    rm("PPBC.PowerProfileStatus", sequence_container_status=[
        {"power_profile_id": "#cottons", "sequence_container_id": "#washing",
         "selected_sequence_id": "#warm-wash", "progress": 0, "status": "EXECUTING"},
        {"power_profile_id": "#cottons", "sequence_container_id": "#spinning",
         "selected_sequence_id": "#gentle-spin", "status": "SCHEDULED"},
    ])
    measured(2080)
    wait(300)
    measured(2130)

    cem("PPBC.StartInterruptionInstruction", id="#hold", power_profile_id="#cottons",
        sequence_container_id="#washing", power_sequence_id="#warm-wash", execution_time=soon(5))
    update("#hold", "ACCEPTED")
    wait(5)
    update("#hold", "STARTED")
    rm("PPBC.PowerProfileStatus", sequence_container_status=[
        {"power_profile_id": "#cottons", "sequence_container_id": "#washing",
         "selected_sequence_id": "#warm-wash", "progress": 305_000, "status": "INTERRUPTED"},
        {"power_profile_id": "#cottons", "sequence_container_id": "#spinning",
         "selected_sequence_id": "#gentle-spin", "status": "SCHEDULED"},
    ])
    measured(2.5)
    wait(120)
    cem("PPBC.EndInterruptionInstruction", id="#go-on", power_profile_id="#cottons",
        sequence_container_id="#washing", power_sequence_id="#warm-wash", execution_time=soon(60))
    update("#go-on", "NEW", "ACCEPTED")
    wait(60)
    update("#hold", "SUCCEEDED")
    update("#go-on", "STARTED", "SUCCEEDED")
    rm("PPBC.PowerProfileStatus", sequence_container_status=[
        {"power_profile_id": "#cottons", "sequence_container_id": "#washing",
         "selected_sequence_id": "#warm-wash", "progress": 305_000, "status": "EXECUTING"},
        {"power_profile_id": "#cottons", "sequence_container_id": "#spinning",
         "selected_sequence_id": "#gentle-spin", "status": "SCHEDULED"},
    ])
    wait(1495)
    update("#wash", "SUCCEEDED")
    rm("PPBC.PowerProfileStatus", sequence_container_status=[
        {"power_profile_id": "#cottons", "sequence_container_id": "#washing",
         "selected_sequence_id": "#warm-wash", "progress": 1_800_000, "status": "FINISHED"},
        {"power_profile_id": "#cottons", "sequence_container_id": "#spinning",
         "selected_sequence_id": "#gentle-spin", "status": "SCHEDULED"},
    ])
    wait(720)
    update("#spin", "STARTED")
    rm("PPBC.PowerProfileStatus", sequence_container_status=[
        {"power_profile_id": "#cottons", "sequence_container_id": "#washing",
         "selected_sequence_id": "#warm-wash", "progress": 1_800_000, "status": "FINISHED"},
        {"power_profile_id": "#cottons", "sequence_container_id": "#spinning",
         "selected_sequence_id": "#gentle-spin", "progress": 0, "status": "EXECUTING"},
    ])
    wait(1200)
    update("#spin", "SUCCEEDED")
    rm("PPBC.PowerProfileStatus", sequence_container_status=[
        {"power_profile_id": "#cottons", "sequence_container_id": "#washing",
         "selected_sequence_id": "#warm-wash", "progress": 1_800_000, "status": "FINISHED"},
        {"power_profile_id": "#cottons", "sequence_container_id": "#spinning",
         "selected_sequence_id": "#gentle-spin", "progress": 1_200_000, "status": "FINISHED"},
    ])

    rm("PPBC.PowerProfileDefinition", id="#rinse", start_time=ago(), end_time=soon(7200),
        power_sequences_containers=[container("rinsing", stage("rinse-cycle", 120))])
    cem("PPBC.ScheduleInstruction", id="#later", power_profile_id="#rinse",
        sequence_container_id="#rinsing", power_sequence_id="#rinse-cycle",
        execution_time=soon(1800))
    update("#later", "NEW", "ACCEPTED")
    wait(30)
    cem("RevokeObject", object_type="PPBC.ScheduleInstruction", object_id="#later")
    update("#later", "REVOKED")
    rm("RevokeObject", object_type="PPBC.PowerProfileDefinition", object_id="#rinse")
    cem("SelectControlType", control_type="NOT_CONTROLABLE")
    measured(0.9)
    rm("SessionRequest", request="TERMINATE")
"""

# A charger of electric vehicles, three phases, PEBC

CHARGER = {
    "resource_id": "#charger",
    "name": "Wallbox",
    "roles": [{"role": "ENERGY_CONSUMER", "commodity": "ELECTRICITY"}],
    "firmware_version": "1.14",
    "instruction_processing_delay": 1500,
    "available_control_types": ["POWER_ENVELOPE_BASED_CONTROL", "NOT_CONTROLABLE"],
    "provides_forecast": False,
    "provides_power_measurement_types": [
        "ELECTRIC.POWER.L1",
        "ELECTRIC.POWER.L2",
        "ELECTRIC.POWER.L3",
    ],
}

PHASES = ("ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2", "ELECTRIC.POWER.L3")


def limits(most: float) -> list[dict[str, Any]]:
    """What the charger allows on each of its phases: off, or from 6 A to so many watts."""
    return [
        allowed
        for phase in PHASES
        for allowed in (
            limit("UPPER", 0, 0, commodity_quantity=phase),
            limit("UPPER", 1380, most, commodity_quantity=phase),
            limit("LOWER", 0, 0, commodity_quantity=phase),
        )
    ]


def envelopes(name: str, *elements: tuple[float, float, float]) -> list[dict[str, Any]]:
    """An envelope for each phase, of elements (seconds, lower limit, upper limit)."""
    return [
        envelope(*elements, id=f"#{name}-{phase[-2:]}", commodity_quantity=phase)
        for phase in PHASES
    ]


CHARGING = """
    rm("Handshake")
    cem("Handshake")
    cem("HandshakeResponse")
    rm("ResourceManagerDetails", **CHARGER)
    measured(0, 0, 0)
    cem("SelectControlType", control_type="POWER_ENVELOPE_BASED_CONTROL")
    rm("PEBC.PowerConstraints", id="#wallbox", valid_from=ago(), consequence_type="DEFER",
        allowed_limit_ranges=limits(3680))
    rm("PEBC.EnergyConstraint", id="#trip", valid_from=soon(60), valid_until=soon(14400),
        upper_average_power=1400, lower_average_power=900)
    cem("PEBC.Instruction", id="#full", power_constraints_id="#wallbox", execution_time=soon(5),
        power_envelopes=envelopes("full", (14400, 0, 3680)))
    update("#full", "NEW", "ACCEPTED")
    wait(5)
    update("#full", "STARTED")
    measured(3610, 3598, 3602)
    wait(1800)
    measured(3612, 3600, 3597)

    cem("PEBC.Instruction", id="#sun", power_constraints_id="#wallbox", execution_time=soon(10),
        power_envelopes=envelopes("sun", (3600, 0, 2300), (3600, 0, 1840), (7200, 0, 3680)))
    update("#sun", "NEW", "ACCEPTED")
    wait(10)
    update("#full", "SUCCEEDED")
    update("#sun", "STARTED")
    measured(2271, 2263, 2268)
    wait(600)
    rm("PEBC.PowerConstraints", id="#hot-plug", valid_from=ago(), consequence_type="DEFER",
        valid_until=soon(36000), allowed_limit_ranges=limits(2300))
    cem("PEBC.Instruction", id="#gentle", power_constraints_id="#hot-plug", execution_time=soon(1),
        power_envelopes=envelopes("gentle", (14400, 0, 2300)))
    update("#sun", "ABORTED")
    update("#gentle", "ACCEPTED", "STARTED")
    wait(900)
    cem("PEBC.Instruction", id="#night", power_constraints_id="#hot-plug",
        execution_time=soon(1800), power_envelopes=envelopes("night", (14400, 0, 2070)))
    update("#night", "NEW", "ACCEPTED")
    wait(60)
    cem("RevokeObject", object_type="PEBC.Instruction", object_id="#night")
    update("#night", "REVOKED")
    wait(300)
    update("#gentle", "SUCCEEDED")
    rm("RevokeObject", object_type="PEBC.EnergyConstraint", object_id="#trip")
    measured(0, 0, 0)
    rm("SessionRequest", request="TERMINATE")
"""

# An inverter of a solar roof that can be curtailed, PEBC; the CEM is the WebSocket client

SOLAR = {
    "resource_id": "#solar",
    "name": "Solar roof, south",
    "roles": [{"role": "ENERGY_PRODUCER", "commodity": "ELECTRICITY"}],
    "instruction_processing_delay": 800,
    "available_control_types": ["POWER_ENVELOPE_BASED_CONTROL", "NOT_CONTROLABLE"],
    "currency": "EUR",
    "provides_forecast": True,
    "provides_power_measurement_types": ["ELECTRIC.POWER.3_PHASE_SYMMETRIC"],
}

ROOF = {"commodity_quantity": "ELECTRIC.POWER.3_PHASE_SYMMETRIC"}

CURTAILMENT = """
    cem("Handshake")
    rm("Handshake")
    cem("HandshakeResponse")
    rm("ResourceManagerDetails", **SOLAR)
    measured(-4200, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC")
    rm("PowerForecast", start_time=ago(),
        elements=forecast(-4300, -4400, -4100, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC"))
    cem("SelectControlType", control_type="POWER_ENVELOPE_BASED_CONTROL")
    rm("PEBC.PowerConstraints", id="#roof", valid_from=ago(), consequence_type="VANISH",
        allowed_limit_ranges=[
            limit("UPPER", 0, 0, **ROOF),
            limit("LOWER", -8000, -2400, **ROOF),
            limit("LOWER", -2400, 0, abnormal_condition_only=True, **ROOF),
        ])
    cem("PEBC.Instruction", id="#cap", power_constraints_id="#roof", execution_time=soon(5),
        power_envelopes=[envelope((900, -3000, 0), (900, -4000, 0), id="#cap-envelope", **ROOF)])
    update("#cap", "NEW", "ACCEPTED")
    wait(5)
    update("#cap", "STARTED")
    measured(-3000, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC")
    wait(600)
    cem("PEBC.Instruction", id="#grid-alarm", power_constraints_id="#roof", execution_time=soon(1),
        abnormal_condition=True,
        power_envelopes=[envelope((600, 0, 0), id="#alarm-envelope", **ROOF)])
    update("#cap", "ABORTED")
    update("#grid-alarm", "ACCEPTED", "STARTED")
    measured(0, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC")
    wait(600)
    update("#grid-alarm", "SUCCEEDED")
    rm("PEBC.PowerConstraints", id="#dusk", valid_from=ago(), consequence_type="VANISH",
        allowed_limit_ranges=[limit("UPPER", 0, 0, **ROOF), limit("LOWER", -900, 0, **ROOF)])
    rm("ResourceManagerDetails", **{**SOLAR, "name": "Solar roof, south and west"})
    rm("PowerForecast", start_time=soon(900),
        elements=forecast(-700, -500, -100, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC"))
    cem("SelectControlType", control_type="NO_SELECTION")
    measured(-640, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC")
    cem("SessionRequest", request="TERMINATE")
"""

# An inverter that only measures

MEASURING = """
    rm("Handshake")
    cem("Handshake")
    cem("HandshakeResponse")
    rm("ResourceManagerDetails", **{**SOLAR, "available_control_types": ["NOT_CONTROLABLE"]})
    cem("SelectControlType", control_type="NOT_CONTROLABLE")
    rm("PowerForecast", start_time=ago(),
        elements=forecast(-2000, -2100, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC"))
    measured(-1987, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC")
    wait(900)
    measured(-2061, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC")
    wait(900)
    rm("PowerForecast", start_time=ago(),
        elements=forecast(-1200, -600, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC"))
    measured(-1230, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC", )
    cem("SessionRequest", request="RECONNECT", diagnostic_label="Restart")
    connect()
    rm("Handshake")
    cem("Handshake")
    cem("HandshakeResponse")
    rm("ResourceManagerDetails", **{**SOLAR, "available_control_types": ["NOT_CONTROLABLE"]})
    cem("SelectControlType", control_type="NOT_CONTROLABLE")
    measured(-1100, quantity="ELECTRIC.POWER.3_PHASE_SYMMETRIC")
    rm("SessionRequest", request="TERMINATE")
"""

# A boiler under S2 Connect, where roles and version are agreed before the WebSocket opens, DDBC

S2_CONNECT = """
    rm("ResourceManagerDetails", **HYBRID)
    cem("SelectControlType", control_type="DEMAND_DRIVEN_BASED_CONTROL")
    rm("DDBC.SystemDescription", valid_from=ago(), actuators=[BOILER], present_demand_rate=None)
    rm("DDBC.PresentDemandStatus", present_demand_rate=between(6, 6.5))
    rm("DDBC.ActuatorStatus", actuator_id="#boiler", active_operation_mode_id="#boiler-off")
    cem("DDBC.Instruction", id="#burn", actuator_id="#boiler", operation_mode_id="#boiler-on",
        operation_mode_factor=0.1, execution_time=soon(1))
    update("#burn", "NEW", "ACCEPTED", "STARTED")
    rm("DDBC.ActuatorStatus", actuator_id="#boiler", active_operation_mode_id="#boiler-on",
        operation_mode_factor=0.1, previous_operation_mode_id="#boiler-off",
        transition_timestamp=ago(0.1))
    measured(0.16, quantity="NATURAL_GAS.FLOW_RATE")
    rm("DDBC.PresentDemandStatus", present_demand_rate=between(6, 6.3))
    update("#burn", "SUCCEEDED")
    cem("SessionRequest", request="TERMINATE")
"""
