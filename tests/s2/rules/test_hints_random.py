"""No hint is made of devices of all sorts and sizes that do what they say."""

from __future__ import annotations

import random
from typing import Any

import pytest

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import (
    START,
    TEMPLATES,
    actuator,
    at,
    between,
    ddbc_actuator,
    ddbc_mode,
    envelope,
    frbc_mode,
    limit,
    ombc_mode,
    power,
    transition,
)

ROLES = {
    "battery": ("ENERGY_STORAGE", "FRBC"),
    "heat pump": ("ENERGY_CONSUMER", "FRBC"),
    "generator": ("ENERGY_PRODUCER", "OMBC"),
    "boiler": ("ENERGY_CONSUMER", "DDBC"),
    "solar roof": ("ENERGY_PRODUCER", "PEBC"),
}

STATUS = {"FRBC": "FRBC.ActuatorStatus", "OMBC": "OMBC.Status", "DDBC": "DDBC.ActuatorStatus"}
TARGET = {"FRBC": "operation_mode", "OMBC": "operation_mode_id", "DDBC": "operation_mode_id"}


class Device(Script):
    """A device of some sort and size, and an energy manager that has it do this and that."""

    def __init__(self, kind: str, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(f"{kind} {seed}")
        self.role, self.family = ROLES[kind]
        self.quantity = self.chance.choice(
            ["ELECTRIC.POWER.L1", "ELECTRIC.POWER.3_PHASE_SYMMETRIC"]
        )
        self.watts = self.chance.choice([300, 1500, 3700, 11000, 50000])
        self.full = self.chance.choice([1, 100])
        self.modes = {
            "idle": (0.0, 0.0),
            "work": (self.chance.choice([0, 0.2]) * self.watts, self.watts),
        }
        if kind == "generator":
            self.modes["work"] = (-self.watts, 0)
        if kind == "battery":
            self.modes["back"] = (-self.watts, 0)
        self.active, self.factor = "idle", 0.0
        self.switched: dict[str, Any] = {}
        self.begin(details=False)
        roles = [{"role": self.role, "commodity": "ELECTRICITY"}]
        self.rm(
            "ResourceManagerDetails",
            roles=roles,
            provides_power_measurement_types=[self.quantity],
        )
        self.select(self.family)

    def after(self, seconds: float = 0) -> str:
        """A time after now."""
        return at(self.now - START + seconds)

    def measure(self, watts: float) -> None:
        noisy = round(watts * self.chance.uniform(0.97, 1.03) + self.chance.uniform(-5, 5), 1)
        self.rm(
            "PowerMeasurement",
            measurement_timestamp=self.after(),
            values=[{"commodity_quantity": self.quantity, "value": noisy}],
        )

    def run_as_roof(self) -> None:
        ranges = [
            limit("UPPER", 0, 0, commodity_quantity=self.quantity),
            limit("LOWER", -self.watts, 0, commodity_quantity=self.quantity),
        ]
        self.rm("PEBC.PowerConstraints", allowed_limit_ranges=ranges)
        for number in range(5):
            self.wait(self.chance.uniform(1, 600))
            self.measure(-self.watts * self.chance.random())
            limits = (900, -self.watts * self.chance.random(), 0)
            self.cem(
                "PEBC.Instruction",
                id=f"#instruction-{number}",
                execution_time=self.after(self.chance.uniform(0, 50)),
                power_envelopes=[
                    envelope(limits, id=f"#envelope-{number}", commodity_quantity=self.quantity)
                ],
            )

    def describe(self) -> None:
        transitions = [transition(a, b) for a in self.modes for b in self.modes if a != b]
        ranges = {name: [power(*ends, self.quantity)] for name, ends in self.modes.items()}
        if self.family == "OMBC":
            modes = [ombc_mode(name, power_ranges=each) for name, each in ranges.items()]
            self.rm(
                "OMBC.SystemDescription", operation_modes=modes, transitions=transitions, timers=[]
            )
            return
        fields: dict[str, Any] = {"transitions": transitions, "timers": []}
        if self.family == "DDBC":
            fields["operation_modes"] = [
                ddbc_mode(name, power_ranges=each) for name, each in ranges.items()
            ]
            self.rm("DDBC.SystemDescription", actuators=[ddbc_actuator(**fields)])
            return
        rate = self.full / self.chance.uniform(1200, 36000) / self.watts
        fields["operation_modes"] = [
            frbc_mode(
                name,
                elements=[
                    {
                        "fill_level_range": between(0, self.full),
                        "fill_rate": between(*(rate * end for end in self.modes[name])),
                        "power_ranges": each,
                    }
                ],
            )
            for name, each in ranges.items()
        ]
        storage = {
            **TEMPLATES["FRBC.SystemDescription"]["storage"],
            "fill_level_range": between(0, self.full),
        }
        self.rm("FRBC.SystemDescription", storage=storage, actuators=[actuator(**fields)])
        self.rm("FRBC.StorageStatus", present_fill_level=self.full * self.chance.uniform(0.05, 1))

    def report(self) -> None:
        """The RM says which mode is active."""
        named = {} if self.family == "OMBC" else {"actuator_id": "#actuator"}
        self.rm(
            STATUS[self.family],
            active_operation_mode_id=f"#{self.active}",
            operation_mode_factor=self.factor,
            **named,
            **self.switched,
        )

    @property
    def power(self) -> float:
        low, high = self.modes[self.active]
        return low + self.factor * (high - low)

    def run_by_modes(self) -> None:
        self.describe()
        self.report()
        for number in range(8):
            self.wait(self.chance.uniform(5, 900))
            self.measure(self.power)
            self.obey(number)
            if self.chance.random() < 0.5:
                self.measure(self.power * self.chance.random())  # on its way to it

    def obey(self, number: int) -> None:
        mode, factor = self.chance.choice(list(self.modes)), self.chance.choice([0, 0.37, 1])
        ahead = self.chance.uniform(0, 200)
        self.cem(
            f"{self.family}.Instruction",
            id=f"#instruction-{number}",
            execution_time=self.after(ahead),
            operation_mode_factor=factor,
            **{TARGET[self.family]: f"#{mode}"},
        )
        if self.chance.random() < 0.15:
            self.update(number, "REJECTED")
            return
        self.update(number, "ACCEPTED")
        self.wait(ahead)
        early = self.chance.random() < 0.5
        if early:
            self.update(number, "SUCCEEDED")
            self.wait(self.chance.uniform(0, 3))
        if mode != self.active:
            self.switched = {
                "previous_operation_mode_id": f"#{self.active}",
                "transition_timestamp": self.after(),
            }
        self.active, self.factor = mode, factor
        self.report()
        if not early:
            self.update(number, "SUCCEEDED")

    def update(self, number: int, status: str) -> None:
        self.rm(
            "InstructionStatusUpdate",
            instruction_id=f"#instruction-{number}",
            status_type=status,
            timestamp=self.after(),
        )


@pytest.mark.parametrize("kind", ROLES)
def test_devices_that_do_what_they_say(kind: str) -> None:
    for seed in range(25):
        device = Device(kind, seed)
        if device.family == "PEBC":
            device.run_as_roof()
        else:
            device.run_by_modes()
        device.close()
        hints = [each for each in device.findings if each.code.startswith("hint.")]
        assert hints == [], (kind, seed)
