"""The tables of the protocol agree with the schemas and with s2-python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from s2python.s2_parser import TYPE_TO_MESSAGE_CLASS

from s2_mitm.s2.catalog import (
    CONTROL_TYPES,
    DEFAULT_VERSION,
    FINAL_STATUSES,
    ID_NAMES,
    IN_FORCE,
    INSTRUCTIONS,
    MESSAGE_TYPES,
    PHASES,
    QUANTITIES,
    STATUSES_AFTER,
    VERSIONS,
    MessageType,
    State,
    Thing,
    closest_version,
    earliest_state,
    known_version,
    only_sender,
)
from s2_mitm.s2.message.validation import built_in
from s2_mitm.s2.verdict import Role

SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_there_are_schemas_for_every_version_and_for_no_other() -> None:
    assert {path.name for path in SCHEMAS.iterdir() if path.is_dir()} == set(VERSIONS)
    assert DEFAULT_VERSION in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_every_type_that_a_version_has_is_in_the_catalog(version: str) -> None:
    expected = {row.name for row in MESSAGE_TYPES.values() if version in row.versions}

    assert built_in(version).message_types == expected


ROWS = [
    pytest.param(row, SCHEMAS / version, id=f"{row.name} {version}")
    for row in MESSAGE_TYPES.values()
    for version in row.versions
]


def load(path: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return schema


def fields(schema: Any, directory: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """All fields of a message: where they are, and the name of their schema."""
    for name, field in schema.get("properties", {}).items():
        inner = field.get("items", field)
        reference = Path(inner.get("$ref", "")).name
        yield (name,), reference.removesuffix(".schema.json")
        if reference:
            inner = load(directory / "schemas" / reference)
        for place, its_schema in fields(inner, directory):
            yield (name, *place), its_schema


@pytest.mark.parametrize(("row", "schemas"), ROWS)
def test_a_row_has_the_ids_of_its_schema(row: MessageType, schemas: Path) -> None:
    message = load(schemas / "messages" / f"{row.name}.schema.json")
    ids = {place for place, schema in fields(message, schemas) if schema == "ID"}
    own = {("message_id",)} if ("message_id",) in ids else set()
    if row.id_field:
        own.add((row.id_field,))
    if row.name == "ResourceManagerDetails":
        own.add(("resource_id",))  # that of the device, which no message refers to

    named = {place[-1] for place in ids - own if place[-1] not in ID_NAMES}
    if row.thing is Thing.DESCRIPTION:
        assert named == {"from", "to", "start_timers", "blocking_timers"}
    else:
        assert named == set(row.refers)
    inside = {place for place in ids - own if place[-1] in ID_NAMES}
    assert len(inside) == len(row.contains)
    assert ("message_id" in message["properties"]) == row.answered


@pytest.mark.parametrize("version", VERSIONS)
def test_what_can_be_revoked(version: str) -> None:
    schema = load(SCHEMAS / version / "schemas/RevokableObjects.schema.json")

    assert {row.name for row in MESSAGE_TYPES.values() if row.thing} == set(schema["enum"])
    assert {name for name in schema["enum"] if name.endswith("Instruction")} == INSTRUCTIONS
    assert set(schema["enum"]) - INSTRUCTIONS == IN_FORCE


@pytest.mark.parametrize(("row", "schemas"), ROWS)
def test_names_that_are_odd_on_the_wire(row: MessageType, schemas: Path) -> None:
    message = load(schemas / "messages" / f"{row.name}.schema.json")
    names = {(place[-1], schema) for place, schema in fields(message, schemas)}
    not_lower = {name for name, _ in names if not name.replace("PPR", "").islower()}
    of_ids = {"from", "to", "start_timers", "blocking_timers", *ID_NAMES}
    no_id = {name for name, schema in names if schema == "ID" and not name.endswith("_id")} - of_ids

    assert not_lower | no_id == set(row.odd_names)


@pytest.mark.parametrize(("row", "schemas"), ROWS)
def test_the_times_of_a_row_are_those_of_its_schema(row: MessageType, schemas: Path) -> None:
    properties = load(schemas / "messages" / f"{row.name}.schema.json")["properties"]
    ends = {"valid_until", "end_time"} & properties.keys()
    happened = {name for name in properties if name.endswith("timestamp")}

    assert ends == ({row.period[1]} if row.period and row.period[1] else set())
    assert (row.period is not None) == row.in_force
    assert row.period is None or row.period[0] in properties
    assert happened == ({row.happened} if row.happened else set())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_commodity_quantities(version: str) -> None:
    schema = load(SCHEMAS / version / "schemas/CommodityQuantity.schema.json")

    assert set(schema["enum"]) == QUANTITIES
    assert all(phase in QUANTITIES for phase in PHASES)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_statuses_of_an_instruction(version: str) -> None:
    schema = load(SCHEMAS / version / "schemas/InstructionStatus.schema.json")

    assert set(STATUSES_AFTER) == set(schema["enum"])
    assert {"REJECTED", "SUCCEEDED", "ABORTED", "REVOKED"} == FINAL_STATUSES
    for status, following in STATUSES_AFTER.items():
        assert status not in following
        for after in following:
            assert set(STATUSES_AFTER[after]) < set(following)


@pytest.mark.parametrize("row", MESSAGE_TYPES.values(), ids=lambda row: row.name)
def test_messages_of_a_control_type_need_that_it_is_active(row: MessageType) -> None:
    assert row.control_type == (row.name.partition(".")[0] if "." in row.name else None)
    if row.control_type:
        assert row.control_type in CONTROL_TYPES.values()
        assert set(row.sent_from.values()) == {State.CONTROLLED}
        assert all(earliest_state(row.name, role) is State.CONTROLLED for role in Role)


def test_s2_python_knows_the_types_of_the_default_version() -> None:
    assert {str(name) for name in TYPE_TO_MESSAGE_CLASS} == built_in(DEFAULT_VERSION).message_types


@pytest.mark.parametrize("version", VERSIONS)
def test_every_control_type_has_a_name(version: str) -> None:
    schema = json.loads((SCHEMAS / version / "schemas/ControlType.schema.json").read_text("utf-8"))

    assert set(CONTROL_TYPES) == set(schema["enum"])


@pytest.mark.parametrize(
    ("message_type", "sender"),
    [
        ("ResourceManagerDetails", Role.RM),
        ("PowerMeasurement", Role.RM),
        ("FRBC.StorageStatus", Role.RM),
        ("HandshakeResponse", Role.CEM),
        ("SelectControlType", Role.CEM),
        ("Handshake", None),
        ("ReceptionStatus", None),
        ("SessionRequest", None),
        ("RevokeObject", None),
        ("NoSuchType", None),
        ("", None),
        (None, None),
    ],
)
def test_some_types_tell_who_sent_them(message_type: str | None, sender: Role | None) -> None:
    assert only_sender(message_type) is sender


@pytest.mark.parametrize("message_type", sorted(MESSAGE_TYPES))
def test_devices_describe_and_report_and_managers_instruct(message_type: str) -> None:
    if "." not in message_type:
        return
    instructs = message_type.endswith("Instruction")

    assert only_sender(message_type) is (Role.CEM if instructs else Role.RM)


@pytest.mark.parametrize(
    ("version", "closest"),
    [
        *((version, version) for version in VERSIONS),
        ("0.0.1-beta", "0.0.2-beta"),
        ("0.0.2", "0.0.2-beta"),
        ("0.0.3-beta", "0.0.2-beta"),
        ("v0.0.2-beta", "0.0.2-beta"),
        ("1.0.0", "1.0.0"),
        ("1", "1.0.0"),
        ("1.2.3-rc4", "1.0.0"),
        ("2.0.0", "1.0.0"),
        ("9" * 10_000, "1.0.0"),
        ("", DEFAULT_VERSION),
        ("latest", DEFAULT_VERSION),
        ("²", DEFAULT_VERSION),
        ("...", DEFAULT_VERSION),
        ("v2", "1.0.0"),
    ],
)
def test_an_unknown_version_is_taken_for_the_closest(version: str, closest: str) -> None:
    assert closest_version(version) == closest


@pytest.mark.parametrize(
    ("name", "version"),
    [
        *((version, version) for version in VERSIONS),
        *((f"v{version}", version) for version in VERSIONS),
        ("1.0.0-beta", "1.0.0"),
        ("v1.0.0-beta", "1.0.0"),
        ("0.0.2", None),
        ("vv1.0.0", None),
        ("V1.0.0", None),
        (" 1.0.0", None),
        ("1.0.0\n", None),
        ("1.0", None),
        ("v", None),
        ("", None),
    ],
)
def test_the_names_of_a_version(name: str, version: str | None) -> None:
    assert known_version(name) == version
