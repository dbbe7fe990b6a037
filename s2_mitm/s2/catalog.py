"""What S2 consists of, as tables: versions, control types, states, message types.

What the package knows of a message type, it knows from its row in ``MESSAGE_TYPES``. A test holds
the rows against the schemas of every version. From the message lists of the AsyncAPI documents of
s2-ws-json 0.0.2-beta, its state descriptions, and the schemas of both versions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from s2_mitm.s2.verdict import Role

VERSIONS = ("0.0.2-beta", "1.0.0")
"""The published versions of S2 that s2-mitm knows, the oldest first."""

_ALSO_CALLED = {"1.0.0-beta": "1.0.0"}
"""Names of a version that was published more than once, with the same schemas."""

DEFAULT_VERSION = VERSIONS[0]
"""The version that nearly all devices speak today."""

BEGIN_WITH_HANDSHAKE = frozenset({"0.0.2-beta"})
"""The versions in which every conversation begins with a handshake.

In the others the version may have been agreed before the WebSocket opens (S2 Connect)."""

CONTROL_TYPES: dict[str, str] = {
    "POWER_ENVELOPE_BASED_CONTROL": "PEBC",
    "POWER_PROFILE_BASED_CONTROL": "PPBC",
    "OPERATION_MODE_BASED_CONTROL": "OMBC",
    "FILL_RATE_BASED_CONTROL": "FRBC",
    "DEMAND_DRIVEN_BASED_CONTROL": "DDBC",
    "NOT_CONTROLABLE": "not controllable",
    "NO_SELECTION": "no selection",
}
"""The control types as they stand on the wire, and what people call them."""


PHASES = ("ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2", "ELECTRIC.POWER.L3")
"""The commodity quantities of one phase each, that of a device with a single phase first."""

QUANTITIES = frozenset(
    {
        *PHASES,
        "ELECTRIC.POWER.3_PHASE_SYMMETRIC",
        "NATURAL_GAS.FLOW_RATE",
        "HYDROGEN.FLOW_RATE",
        "HEAT.TEMPERATURE",
        "HEAT.FLOW_RATE",
        "HEAT.THERMAL_POWER",
        "OIL.FLOW_RATE",
    }
)
"""The commodity quantities."""


class State(IntEnum):
    """How far a conversation has come; a later state allows what an earlier one does."""

    CONNECTED = 0
    """No handshake yet, or that of one side."""
    SHAKEN = 1
    """Both handshakes were seen; the CEM selects the version."""
    INITIALISED = 2
    """The version is selected; the RM introduces itself and measures."""
    CONTROLLED = 3
    """A control type is active."""


STATUSES_AFTER: dict[str, tuple[str, ...]] = {
    "NEW": ("ACCEPTED", "REJECTED", "STARTED", "SUCCEEDED", "ABORTED", "REVOKED"),
    "ACCEPTED": ("STARTED", "SUCCEEDED", "ABORTED", "REVOKED"),
    "STARTED": ("SUCCEEDED", "ABORTED", "REVOKED"),
    "REJECTED": (),
    "SUCCEEDED": (),
    "ABORTED": (),
    "REVOKED": (),
}
"""The statuses of an instruction that may follow each; an RM may leave steps out."""

FINAL_STATUSES = frozenset(status for status, following in STATUSES_AFTER.items() if not following)
"""The statuses that end an instruction: nothing follows them."""


class Thing(StrEnum):
    """What has an id in S2, in the words of the findings."""

    MESSAGE = "message"
    OBJECT = "object"
    """What can be revoked: an instruction, or what stays in force."""
    INSTRUCTION = "instruction"
    DESCRIPTION = "system description"
    ACTUATOR = "actuator"
    MODE = "operation mode"
    TRANSITION = "transition"
    TIMER = "timer"
    CONSTRAINTS = "power constraints"
    ENERGY_CONSTRAINT = "energy constraint"
    ENVELOPE = "power envelope"
    PROFILE = "power profile"
    CONTAINER = "sequence container"
    SEQUENCE = "power sequence"


@dataclass(frozen=True, slots=True)
class MessageType:
    """What S2 says about one message type.

    ``sent_from`` has the roles that may send it, each with the state from which on it may.
    ``control_type`` is the one that it belongs to, None for those that belong to none.
    ``versions`` are those that have it, the oldest first; ``changed`` are those of them in which
    it has another schema than in the version before.
    ``answered`` says whether its receiver answers it with a ReceptionStatus, by its message_id.
    ``thing`` is what it gives to the receiver: an instruction, a description. Later messages refer
    to it, and a RevokeObject takes it back, by the id in its ``id_field``, or by its message_id
    where there is no such field. None where it gives nothing.
    ``period`` are the fields with the beginning and the end of the time for which it holds, None in
    place of the end where it holds until the next one. ``happened`` is the field that says when
    that happened which it tells of.
    ``contains`` are the things inside of it that have ids. ``refers`` are its fields that name
    things by their ids; those of PPBC.PowerProfileStatus are in ``sequence_container_status``.
    ``odd_names`` are fields that have another name on the wire than their like in other messages,
    with the name that these have.
    """

    name: str
    sent_from: Mapping[Role, State]
    control_type: str | None = None
    versions: tuple[str, ...] = VERSIONS
    changed: frozenset[str] = frozenset()
    answered: bool = True
    thing: Thing | None = None
    id_field: str | None = None
    period: tuple[str, str | None] | None = None
    happened: str | None = None
    contains: frozenset[Thing] = frozenset()
    refers: Mapping[str, Thing] = field(default_factory=dict)
    odd_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def instruction(self) -> bool:
        """Whether it tells the RM what to do."""
        return self.thing is Thing.INSTRUCTION

    @property
    def in_force(self) -> bool:
        """Whether what it says holds until it is replaced or revoked."""
        return self.thing is not None and not self.instruction

    def fields_for(self, thing: Thing) -> tuple[str, ...]:
        """The fields that refer to such a thing."""
        return tuple(name for name, referred in self.refers.items() if referred is thing)


def _since(version: str) -> tuple[str, ...]:
    """A version and those after it."""
    return VERSIONS[VERSIONS.index(version) :]


def _things(*things: Thing) -> frozenset[Thing]:
    return frozenset(things)


_BOTH_ALWAYS = dict.fromkeys(Role, State.CONNECTED)
_RM_INTRODUCED = {Role.RM: State.INITIALISED}
_RM_CONTROLLED = {Role.RM: State.CONTROLLED}
_CEM_CONTROLLING = {Role.CEM: State.CONTROLLED}

_VALID = ("valid_from", "valid_until")
_INSTRUCTED_MODE = {"actuator_id": Thing.ACTUATOR, "operation_mode_id": Thing.MODE}
_ACTIVE_MODE = {
    "active_operation_mode_id": Thing.MODE,
    "previous_operation_mode_id": Thing.MODE,
}
_INSTRUCTED_SEQUENCE = {
    "power_profile_id": Thing.PROFILE,
    "sequence_container_id": Thing.CONTAINER,
    "power_sequence_id": Thing.SEQUENCE,
}
_DESCRIBED = _things(Thing.ACTUATOR, Thing.MODE, Thing.TRANSITION, Thing.TIMER)

MESSAGE_TYPES: dict[str, MessageType] = {
    row.name: row
    for row in (
        # That a Handshake comes once is a rule of its own.
        MessageType("Handshake", _BOTH_ALWAYS),
        MessageType("HandshakeResponse", {Role.CEM: State.SHAKEN}),
        MessageType(
            "ReceptionStatus",
            _BOTH_ALWAYS,
            answered=False,
            refers={"subject_message_id": Thing.MESSAGE},
        ),
        MessageType("SessionRequest", _BOTH_ALWAYS),
        MessageType(
            "RevokeObject",
            {Role.CEM: State.INITIALISED, Role.RM: State.CONTROLLED},
            refers={"object_id": Thing.OBJECT},
        ),
        MessageType("ResourceManagerDetails", _RM_INTRODUCED),
        MessageType("SelectControlType", {Role.CEM: State.INITIALISED}),
        MessageType("PowerMeasurement", _RM_INTRODUCED, happened="measurement_timestamp"),
        MessageType("PowerForecast", _RM_INTRODUCED),
        MessageType(
            "InstructionStatusUpdate",
            _RM_CONTROLLED,
            happened="timestamp",
            refers={"instruction_id": Thing.INSTRUCTION},
        ),
        MessageType(
            "PEBC.PowerConstraints",
            _RM_CONTROLLED,
            "PEBC",
            thing=Thing.CONSTRAINTS,
            id_field="id",
            period=_VALID,
        ),
        MessageType(
            "PEBC.EnergyConstraint",
            _RM_CONTROLLED,
            "PEBC",
            thing=Thing.ENERGY_CONSTRAINT,
            id_field="id",
            period=_VALID,
        ),
        MessageType(
            "PEBC.Instruction",
            _CEM_CONTROLLING,
            "PEBC",
            thing=Thing.INSTRUCTION,
            id_field="id",
            contains=_things(Thing.ENVELOPE),
            refers={"power_constraints_id": Thing.CONSTRAINTS},
        ),
        MessageType(
            "PPBC.PowerProfileDefinition",
            _RM_CONTROLLED,
            "PPBC",
            thing=Thing.PROFILE,
            id_field="id",
            period=("start_time", "end_time"),
            contains=_things(Thing.CONTAINER, Thing.SEQUENCE),
        ),
        MessageType(
            "PPBC.PowerProfileStatus",
            _RM_CONTROLLED,
            "PPBC",
            refers={
                "power_profile_id": Thing.PROFILE,
                "sequence_container_id": Thing.CONTAINER,
                "selected_sequence_id": Thing.SEQUENCE,
            },
        ),
        *(
            MessageType(
                name,
                _CEM_CONTROLLING,
                "PPBC",
                thing=Thing.INSTRUCTION,
                id_field="id",
                refers=_INSTRUCTED_SEQUENCE,
            )
            for name in (
                "PPBC.ScheduleInstruction",
                "PPBC.StartInterruptionInstruction",
                "PPBC.EndInterruptionInstruction",
            )
        ),
        # The device of OMBC is one actuator, which has no id.
        MessageType(
            "OMBC.SystemDescription",
            _RM_CONTROLLED,
            "OMBC",
            thing=Thing.DESCRIPTION,
            period=("valid_from", None),
            contains=_DESCRIBED - {Thing.ACTUATOR},
        ),
        MessageType(
            "OMBC.Status",
            _RM_CONTROLLED,
            "OMBC",
            happened="transition_timestamp",
            refers=_ACTIVE_MODE,
        ),
        MessageType("OMBC.TimerStatus", _RM_CONTROLLED, "OMBC", refers={"timer_id": Thing.TIMER}),
        MessageType(
            "OMBC.Instruction",
            _CEM_CONTROLLING,
            "OMBC",
            thing=Thing.INSTRUCTION,
            id_field="id",
            refers={"operation_mode_id": Thing.MODE},
        ),
        MessageType(
            "FRBC.SystemDescription",
            _RM_CONTROLLED,
            "FRBC",
            thing=Thing.DESCRIPTION,
            period=("valid_from", None),
            contains=_DESCRIBED,
        ),
        MessageType(
            "FRBC.ActuatorStatus",
            _RM_CONTROLLED,
            "FRBC",
            happened="transition_timestamp",
            refers={"actuator_id": Thing.ACTUATOR, **_ACTIVE_MODE},
        ),
        MessageType("FRBC.StorageStatus", _RM_CONTROLLED, "FRBC"),
        MessageType("FRBC.LeakageBehaviour", _RM_CONTROLLED, "FRBC"),
        MessageType("FRBC.UsageForecast", _RM_CONTROLLED, "FRBC"),
        MessageType("FRBC.FillLevelTargetProfile", _RM_CONTROLLED, "FRBC"),
        MessageType(
            "FRBC.TimerStatus",
            _RM_CONTROLLED,
            "FRBC",
            refers={"actuator_id": Thing.ACTUATOR, "timer_id": Thing.TIMER},
        ),
        MessageType(
            "FRBC.Instruction",
            _CEM_CONTROLLING,
            "FRBC",
            thing=Thing.INSTRUCTION,
            id_field="id",
            refers={"actuator_id": Thing.ACTUATOR, "operation_mode": Thing.MODE},
            odd_names={"operation_mode": "operation_mode_id"},
        ),
        MessageType(
            "DDBC.SystemDescription",
            _RM_CONTROLLED,
            "DDBC",
            changed=frozenset({"1.0.0"}),
            thing=Thing.DESCRIPTION,
            period=("valid_from", None),
            contains=_DESCRIBED,
            odd_names={"Id": "id"},  # of an operation mode
        ),
        MessageType(
            "DDBC.ActuatorStatus",
            _RM_CONTROLLED,
            "DDBC",
            happened="transition_timestamp",
            refers={"actuator_id": Thing.ACTUATOR, **_ACTIVE_MODE},
        ),
        MessageType("DDBC.AverageDemandRateForecast", _RM_CONTROLLED, "DDBC"),
        MessageType(
            "DDBC.TimerStatus",
            _RM_CONTROLLED,
            "DDBC",
            refers={"actuator_id": Thing.ACTUATOR, "timer_id": Thing.TIMER},
        ),
        MessageType(
            "DDBC.PresentDemandStatus",
            _RM_CONTROLLED,
            "DDBC",
            versions=_since("1.0.0"),
        ),
        MessageType(
            "DDBC.Instruction",
            _CEM_CONTROLLING,
            "DDBC",
            thing=Thing.INSTRUCTION,
            id_field="id",
            refers=_INSTRUCTED_MODE,
        ),
    )
}
"""Every message type of every version by its name."""


# What follows from the table, worked out once.

WITH_OWN_MESSAGES = frozenset(
    row.control_type for row in MESSAGE_TYPES.values() if row.control_type is not None
)
"""The control types that have messages of their own, by what people call them."""

SINCE: dict[str, str] = {
    row.name: row.versions[0] for row in MESSAGE_TYPES.values() if row.versions[0] != VERSIONS[0]
}
"""The version that a message type came with, where it was not the first."""

TELLING = frozenset(
    row.name for row in MESSAGE_TYPES.values() if row.changed or row.versions != VERSIONS
)
"""The message types that tell versions apart: in all others a message is the same in each."""

ANSWERED = frozenset(row.name for row in MESSAGE_TYPES.values() if row.answered)
"""The message types that have a message_id and are answered with a ReceptionStatus."""

NOT_ANSWERED = frozenset(MESSAGE_TYPES) - ANSWERED
"""The message types that answer others."""

INSTRUCTIONS = frozenset(row.name for row in MESSAGE_TYPES.values() if row.instruction)
"""The message types that tell the RM what to do."""

ID_FIELDS: dict[str, str] = {
    row.name: row.id_field for row in MESSAGE_TYPES.values() if row.id_field is not None
}
"""The message types with an id of their own beside the message_id, and the field that has it."""

IN_FORCE = frozenset(row.name for row in MESSAGE_TYPES.values() if row.in_force)
"""The message types whose content holds until it is replaced or revoked."""

DESCRIPTIONS: dict[str, str] = {
    row.control_type: row.name
    for row in MESSAGE_TYPES.values()
    if row.control_type is not None and row.thing is Thing.DESCRIPTION
}
"""The system description of each control type that has one."""

ID_NAMES = (
    "id",
    *{odd for row in MESSAGE_TYPES.values() for odd, name in row.odd_names.items() if name == "id"},
)
"""The names that the id of a thing within a message has, the usual one first."""

MODE_STATUSES = frozenset(
    row.name
    for row in MESSAGE_TYPES.values()
    if Thing.MODE in row.refers.values() and not row.instruction
)
"""The message types that say which operation mode is active."""

TIMER_STATUSES = frozenset(
    row.name for row in MESSAGE_TYPES.values() if Thing.TIMER in row.refers.values()
)
"""The message types that say when a timer is finished."""

_ONLY_SENDER = {
    row.name: next(iter(row.sent_from)) for row in MESSAGE_TYPES.values() if len(row.sent_from) == 1
}

_CONTROL_TYPE = {row.name: row.control_type for row in MESSAGE_TYPES.values()}

_EARLIEST = {
    (row.name, role): row.sent_from.get(
        role, State.CONTROLLED if row.control_type else State.CONNECTED
    )
    for row in MESSAGE_TYPES.values()
    for role in Role
}


def only_sender(message_type: str | None) -> Role | None:
    """The one role that may send this type; None where both may, or the type is unknown."""
    return _ONLY_SENDER.get(message_type or "")


def earliest_state(message_type: str, sender: Role) -> State:
    """The state from which on this may be sent by this side.

    Where this side may not send it at all, the state in which the other side may, for messages of
    a control type, and else every state: who may send what is a rule of its own.
    """
    return _EARLIEST.get((message_type, sender), State.CONNECTED)


def control_type_of(message_type: str | None) -> str | None:
    """The control type that a message type belongs to: PEBC, PPBC, OMBC, FRBC or DDBC."""
    return _CONTROL_TYPE.get(message_type or "")


def referring(*things: Thing) -> dict[str, tuple[str, ...]]:
    """The message types that refer to one of these things, and the fields that do."""
    return {
        row.name: fields
        for row in MESSAGE_TYPES.values()
        if (fields := tuple(name for thing in things for name in row.fields_for(thing)))
    }


def field_for(thing: Thing) -> str:
    """The field that refers to such a thing, where it has one name in all message types."""
    (field_name,) = {name for fields in referring(thing).values() for name in fields}
    return field_name


def with_type(message_type: str, versions: tuple[str, ...]) -> tuple[str, ...]:
    """Those of some versions that have a message type; all of them where none has it."""
    row = MESSAGE_TYPES.get(message_type)
    if row is None or row.versions == VERSIONS:
        return versions
    return tuple(version for version in versions if version in row.versions) or versions


def plain_version(version: str) -> str:
    """The name of a version without a leading ``v``, which is no difference.

    S2 Connect writes ``v1.0.0``, and the handshakes of most devices have no ``v``.
    """
    return version.removeprefix("v")


def known_version(version: str) -> str | None:
    """The known version that goes by this name, with or without a leading ``v``."""
    plain = plain_version(version)
    plain = _ALSO_CALLED.get(plain, plain)
    return plain if plain in VERSIONS else None


def closest_version(version: str) -> str:
    """The known version that is nearest to one that may be unknown, by its numbers."""
    if known := known_version(version):
        return known
    wanted = _numbers(version)
    if not wanted:
        return DEFAULT_VERSION
    return min(
        VERSIONS,
        key=lambda known: [abs(a - b) for a, b in zip(_numbers(known), wanted, strict=False)],
    )


def _numbers(version: str) -> list[int]:
    return [int(number[:9]) for number in re.findall(r"[0-9]+", version)[:3]]
