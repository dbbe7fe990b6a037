"""The tables of the protocol agree with the schemas and with s2-python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from s2python.s2_parser import TYPE_TO_MESSAGE_CLASS

from s2_mitm.s2.catalog import (
    CONTROL_TYPES,
    DEFAULT_VERSION,
    MESSAGE_TYPES,
    SINCE,
    VERSIONS,
    closest_version,
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
    so_far = VERSIONS[: VERSIONS.index(version) + 1]
    expected = {name for name in MESSAGE_TYPES if SINCE.get(name, VERSIONS[0]) in so_far}

    assert built_in(version).message_types == expected


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
        ("1.0.0", "1.0.0-beta"),
        ("1", "1.0.0-beta"),
        ("1.2.3-rc4", "1.0.0-beta"),
        ("2.0.0", "1.0.0-beta"),
        ("9" * 10_000, "1.0.0-beta"),
        ("", DEFAULT_VERSION),
        ("latest", DEFAULT_VERSION),
        ("²", DEFAULT_VERSION),
        ("...", DEFAULT_VERSION),
    ],
)
def test_an_unknown_version_is_taken_for_the_closest(version: str, closest: str) -> None:
    assert closest_version(version) == closest
