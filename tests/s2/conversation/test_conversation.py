"""Who is who, what is agreed, what was answered: whichever side says so, and in any order."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alone import ALONE
from hypothesis import given, settings
from hypothesis import strategies as st

from s2_mitm.s2.catalog import VERSIONS, closest_version
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.memory import LABEL_LENGTH, MAX_UNANSWERED
from s2_mitm.s2.message.schemas import Schemas
from s2_mitm.s2.verdict import Role, Severity, Verdict

CLIENT, SERVER = True, False
ID = "c009ed72-3ef7-49eb-9052-4258c1d6a3a3"


def message(message_type: str, **fields: Any) -> dict[str, Any]:
    return {"message_type": message_type, "message_id": ID} | fields


def handshake(role: object) -> dict[str, Any]:
    return message("Handshake", role=role)


STATUS = message("FRBC.StorageStatus", present_fill_level=5)
SELECT = message("SelectControlType", control_type="FILL_RATE_BASED_CONTROL")


def say(judge: Judge, content: Any, from_client: bool, time: float = 0, **more: Any) -> Verdict:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return judge.receive(data, from_client=from_client, time=time, **more)


# Roles


@pytest.mark.parametrize(
    ("spoken", "client_role"),
    [
        ([], Role.RM),
        ([(handshake("RM"), CLIENT)], Role.RM),
        ([(handshake("CEM"), CLIENT)], Role.CEM),
        ([(handshake("RM"), SERVER)], Role.CEM),
        ([(handshake("CEM"), SERVER)], Role.RM),
        ([(STATUS, CLIENT)], Role.RM),
        ([(STATUS, SERVER)], Role.CEM),
        ([(SELECT, CLIENT)], Role.CEM),
        ([(SELECT, SERVER)], Role.RM),
        # A Handshake says more than a type, before or after it.
        ([(STATUS, SERVER), (handshake("RM"), CLIENT)], Role.RM),
        ([(handshake("RM"), CLIENT), (STATUS, SERVER)], Role.RM),
        # Among equals the first counts.
        ([(STATUS, SERVER), (STATUS, CLIENT)], Role.CEM),
        ([(handshake("CEM"), CLIENT), (handshake("CEM"), SERVER)], Role.CEM),
        # What tells nothing.
        ([(handshake("rm"), SERVER)], Role.RM),
        ([(handshake(5), SERVER)], Role.RM),
        ([(handshake(["RM"]), SERVER)], Role.RM),
        ([(handshake({"RM": 1}), SERVER)], Role.RM),
        ([(message("Handshake"), SERVER)], Role.RM),
        ([(message("ReceptionStatus"), SERVER)], Role.RM),
        ([(message("NoSuchType"), SERVER)], Role.RM),
        ([({"message_type": ["FRBC.StorageStatus"]}, SERVER)], Role.RM),
        ([(b"\xff\x00", SERVER)], Role.RM),
        ([([handshake("RM")], SERVER)], Role.RM),
        # What is broken tells all the same, if it can be read.
        ([(message("FRBC.StorageStatus", x=1), SERVER)], Role.CEM),
        ([(b'{"message_type":"FRBC.StorageStatus","x":NaN}', SERVER)], Role.CEM),
        ([(b'{"message_type":"FRBC.StorageStatus","x":"\xff"}', SERVER)], Role.CEM),
    ],
)
def test_the_client_has_the_role_that_the_messages_tell(
    spoken: list[tuple[Any, bool]], client_role: Role
) -> None:
    judge = Judge(ALONE)
    for content, from_client in spoken:
        say(judge, content, from_client)

    assert judge.conversation.client_role is client_role


@pytest.mark.parametrize("role", Role)
def test_the_option_holds_until_the_messages_tell_otherwise(role: Role) -> None:
    judge = Judge(replace(ALONE, client_role=role))
    assert judge.conversation.client_role is role
    say(judge, message("ReceptionStatus"), CLIENT)
    assert judge.conversation.client_role is role

    say(judge, STATUS if role is Role.CEM else SELECT, CLIENT)

    assert judge.conversation.client_role is role.other


def test_a_message_that_tells_the_roles_already_has_the_right_sender() -> None:
    judge = Judge(ALONE)

    assert say(judge, b"broken", SERVER).sender is Role.CEM
    assert say(judge, STATUS, SERVER).sender is Role.RM
    assert say(judge, b"broken", SERVER).sender is Role.RM
    assert say(judge, b"broken", CLIENT).sender is Role.CEM


@pytest.mark.parametrize("content", [STATUS, handshake("RM")])
def test_what_was_injected_teaches_no_roles(content: dict[str, Any]) -> None:
    judge = Judge(ALONE)

    verdict = say(judge, content, SERVER, injected=True)

    assert verdict.sender is Role.CEM
    assert judge.conversation.client_role is Role.RM


def test_after_an_injected_message_the_roles_can_still_be_learnt() -> None:
    judge = Judge(ALONE)
    say(judge, handshake("RM"), CLIENT, injected=True)

    say(judge, STATUS, SERVER)

    assert judge.conversation.client_role is Role.CEM


# Version


def response(version: object) -> dict[str, Any]:
    return message("HandshakeResponse", selected_protocol_version=version)


def test_before_the_handshake_no_version_is_agreed() -> None:
    assert Judge(ALONE).conversation.version is None
    assert Judge(replace(ALONE, version="v1.0.0")).conversation.version == "1.0.0"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_version_is_the_one_that_the_cem_selects(version: str) -> None:
    judge = Judge(ALONE)

    verdict = say(judge, response(version), SERVER)

    assert verdict.findings == []
    assert judge.conversation.version == judge.conversation.selected_version == version


def test_the_handshake_overrules_the_user() -> None:
    judge = Judge(replace(ALONE, version="1.0.0"))

    say(judge, response("0.0.2-beta"), SERVER)

    assert judge.conversation.version == "0.0.2-beta"


@pytest.mark.parametrize("version", ["0.0.3", "7.0", "latest", "", "x" * 10_000, "\x1b[2J\ud800"])
def test_an_unknown_version_is_told_and_the_closest_is_the_likeliest(version: str) -> None:
    judge = Judge()

    verdict = say(judge, response(version), SERVER)

    assert judge.conversation.version is None
    assert set(judge.conversation.versions) == set(VERSIONS)
    assert judge.conversation.versions[0] == closest_version(version)
    found = [each for each in verdict.findings if each.code == "handshake.unknown-version"]
    assert [(each.path, each.severity) for each in found] == [
        ("/selected_protocol_version", Severity.WARNING)
    ]
    assert "\x1b" not in found[0].text
    assert len(found[0].text) < 400


@pytest.mark.parametrize("version", [None, 1.0, ["1.0.0"], {"a": 1}, True])
def test_a_version_that_is_no_text_selects_nothing(version: object) -> None:
    judge = Judge(ALONE)

    verdict = say(judge, response(version), SERVER)

    assert judge.conversation.version is None
    assert [each.code for each in verdict.findings] == ["schema.type"]


def test_messages_are_held_against_the_version_selected() -> None:
    judge = Judge(ALONE)
    status = message("DDBC.PresentDemandStatus")
    first = say(judge, status, CLIENT)
    say(judge, response("0.0.2-beta"), SERVER)
    second = say(judge, status, CLIENT)

    assert [each.code for each in first.findings] == ["schema.missing"]
    assert [each.code for each in second.findings] == ["schema.unknown-message-type"]


def test_schemas_of_the_user_are_used(tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages/FRBC.StorageStatus.schema.json").write_text('{"maxProperties": 1}')
    judge = Judge(replace(ALONE, schemas=Schemas(tmp_path)))

    assert not say(judge, STATUS, CLIENT).valid


# What is known of a conversation


def details(**fields: Any) -> dict[str, Any]:
    return message("ResourceManagerDetails", **fields)


def test_name_id_and_control_type_are_kept() -> None:
    judge = Judge(ALONE)
    say(judge, details(resource_id="pump-1", name="Heat pump"), CLIENT)
    say(judge, SELECT, SERVER)

    assert judge.conversation.resource_id == "pump-1"
    assert judge.conversation.resource_name == "Heat pump"
    assert judge.conversation.control_type == "FILL_RATE_BASED_CONTROL"


@pytest.mark.parametrize("value", [None, 5, ["a"], {"a": 1}, True])
def test_what_is_no_text_is_no_name(value: object) -> None:
    judge = Judge(ALONE)
    say(judge, details(resource_id=value, name=value), CLIENT)
    say(judge, message("SelectControlType", control_type=value), SERVER)

    assert judge.conversation.resource_id is judge.conversation.resource_name is None
    assert judge.conversation.control_type is None


@pytest.mark.parametrize("letter", ["x", "\x1b", "ä", "\ud800"])
def test_a_name_of_a_megabyte_is_cut(letter: str) -> None:
    name = letter * (1024 * 1024 // len(json.dumps(letter)) - 200)
    judge = Judge(ALONE)
    say(judge, details(name=name), CLIENT)

    assert judge.conversation.resource_name is not None
    assert 0 < len(judge.conversation.resource_name.encode()) <= 6 * LABEL_LENGTH


def test_messages_and_findings_are_counted() -> None:
    judge = Judge(ALONE)
    say(judge, STATUS, CLIENT)
    say(judge, b"broken", CLIENT)
    say(judge, message("FRBC.StorageStatus", message_id="a-b", present_fill_level=1), CLIENT)
    say(judge, message("FRBC.StorageStatus", present_fill_level="1", x=1), CLIENT)

    assert judge.messages == 4
    assert judge.invalid == 2
    assert judge.findings == {Severity.ERROR: 3, Severity.WARNING: 1}


# Answers


def receipt(message_id: object = ID, status: object = "OK") -> dict[str, Any]:
    return {"message_type": "ReceptionStatus", "subject_message_id": message_id, "status": status}


@pytest.mark.parametrize("asker", [CLIENT, SERVER])
def test_an_answer_names_the_message_its_sender_and_the_delay(asker: bool) -> None:
    judge = Judge(ALONE)
    say(judge, message("RevokeObject"), asker, time=100)

    answer = say(judge, receipt(), not asker, time=100.25).answer

    assert answer is not None
    assert answer.sender is (Role.RM if asker is CLIENT else Role.CEM)
    assert (answer.message_id, answer.status, answer.delay) == (ID, "OK", 250)


@pytest.mark.parametrize(
    ("content", "from_client"),
    [
        (receipt(), CLIENT),  # to oneself
        (receipt("other"), SERVER),
        (receipt(None), SERVER),
        (receipt([ID]), SERVER),
        (receipt(ID, None), SERVER),
        (receipt(ID, 5), SERVER),
        ({"message_type": "ReceptionStatus"}, SERVER),
        (message("FRBC.Instruction", subject_message_id=ID, status="OK"), SERVER),
    ],
)
def test_what_is_no_answer_is_none(content: dict[str, Any], from_client: bool) -> None:
    judge = Judge(ALONE)
    say(judge, STATUS, CLIENT)

    assert say(judge, content, from_client).answer is None


def test_a_message_is_answered_once() -> None:
    judge = Judge(ALONE)
    say(judge, STATUS, CLIENT)

    assert say(judge, receipt(), SERVER).answer is not None
    assert say(judge, receipt(), SERVER).answer is None


def test_an_answer_that_was_no_answer_leaves_the_message_open() -> None:
    judge = Judge(ALONE)
    say(judge, STATUS, CLIENT)
    say(judge, receipt(ID, None), SERVER)

    assert say(judge, receipt(), SERVER).answer is not None


def test_the_same_id_on_both_sides_is_two_messages() -> None:
    judge = Judge(ALONE)
    say(judge, handshake("RM"), CLIENT, time=1)
    say(judge, handshake("CEM"), SERVER, time=2)

    to_rm, to_cem = (say(judge, receipt(), side, time=3) for side in (SERVER, CLIENT))

    assert to_rm.answer is not None
    assert to_cem.answer is not None
    assert (to_rm.answer.sender, to_rm.answer.delay) == (Role.RM, 2000)
    assert (to_cem.answer.sender, to_cem.answer.delay) == (Role.CEM, 1000)


def test_an_answer_finds_its_message_after_the_roles_were_corrected() -> None:
    judge = Judge(ALONE)
    say(judge, message("RevokeObject"), SERVER)
    say(judge, handshake("CEM"), CLIENT)

    answer = say(judge, receipt(), CLIENT).answer

    assert answer is not None
    assert answer.sender is Role.RM


def test_injected_messages_are_answered_like_others() -> None:
    judge = Judge(ALONE)
    say(judge, SELECT, SERVER, injected=True)

    assert say(judge, receipt(), CLIENT).answer is not None


def test_of_those_never_answered_the_newest_are_remembered() -> None:
    judge = Judge(ALONE)
    for number in range(MAX_UNANSWERED + 1):
        say(judge, message("RevokeObject", message_id=f"id-{number}"), CLIENT)

    assert say(judge, receipt("id-0"), SERVER).answer is None
    assert say(judge, receipt("id-1"), SERVER).answer is not None
    assert say(judge, receipt(f"id-{MAX_UNANSWERED}"), SERVER).answer is not None


def test_ids_of_any_length_do_not_fill_the_memory() -> None:
    judge = Judge(ALONE)
    tracemalloc.start()
    try:
        for number in range(300):
            say(judge, message("x", message_id=f"{number}" + "x" * 100_000), CLIENT)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 5_000_000


FIELDS = st.dictionaries(
    st.sampled_from(
        [
            *("message_id", "subject_message_id", "status", "role", "name", "resource_id"),
            *("control_type", "selected_protocol_version"),
        ]
    ),
    st.none() | st.integers() | st.text() | st.lists(st.text()) | st.sampled_from(["RM", "CEM"]),
)
TYPES = st.sampled_from(
    [
        *("Handshake", "HandshakeResponse", "ReceptionStatus", "ResourceManagerDetails"),
        *("SelectControlType", "FRBC.StorageStatus", "x", 5),
    ]
)


@settings(deadline=None)
@given(st.lists(st.tuples(TYPES, FIELDS, st.booleans(), st.booleans()), max_size=8))
def test_any_conversation_is_followed(spoken: list[tuple[Any, dict[str, Any], bool, bool]]) -> None:
    judge = Judge(ALONE)
    for message_type, fields, from_client, injected in spoken:
        content = {"message_type": message_type} | fields
        verdict = say(judge, content, from_client, injected=injected)
        assert verdict.sender is (
            judge.conversation.client_role if from_client else judge.conversation.client_role.other
        )
        assert judge.conversation.version in {None, *VERSIONS}

    assert judge.messages == len(spoken)
    for label in (
        judge.conversation.resource_id,
        judge.conversation.resource_name,
        judge.conversation.control_type,
        judge.conversation.selected_version,
    ):
        assert label is None or len(label.encode()) <= 6 * LABEL_LENGTH
