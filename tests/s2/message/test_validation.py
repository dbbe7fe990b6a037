"""One message, judged: which engine speaks, once for each cause, and never an exception."""

from __future__ import annotations

import copy
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from message_files import valid_examples

from s2_mitm.s2.catalog import DEFAULT_VERSION, MESSAGE_TYPES, SINCE, VERSIONS
from s2_mitm.s2.message.reading import MAX_SIZE
from s2_mitm.s2.message.schemas import Schemas
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import MOST_FINDINGS, Finding, Role, Severity, Source, Verdict

EXAMPLES = {example.name: example for example in valid_examples(DEFAULT_VERSION)}
STATUS = EXAMPLES["FRBC.StorageStatus"].message
MEASUREMENT = EXAMPLES["PowerMeasurement"].message
TIMER = EXAMPLES["FRBC.TimerStatus"].message


def judged(message: Any, **more: Any) -> Verdict:
    return judge(json.dumps(message).encode(), **more)


def found(verdict: Verdict) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in verdict.findings]


def test_a_valid_message_is_told_apart_by_type_and_ids() -> None:
    verdict = judged(STATUS, sender=Role.RM, time=12.5)

    assert verdict.valid
    assert verdict.worst is None
    assert verdict.message == STATUS
    assert verdict.message_type == "FRBC.StorageStatus"
    assert verdict.message_id == STATUS["message_id"]
    assert verdict.subject_message_id is None
    assert (verdict.sender, verdict.time, verdict.answer) == (Role.RM, 12.5, None)


@pytest.mark.parametrize(
    ("message", "code", "path"),
    [
        ({}, "schema.no-message-type", ""),
        ({"messageType": "Handshake"}, "schema.no-message-type", ""),
        ({"Handshake": {"message_type": "Handshake"}}, "schema.no-message-type", ""),
        ({"a": {"message_type": ["Handshake"]}}, "schema.no-message-type", ""),
        ({"message_type": None}, "schema.message-type-not-text", "/message_type"),
        ({"message_type": 5}, "schema.message-type-not-text", "/message_type"),
        ({"message_type": ["Handshake"]}, "schema.message-type-not-text", "/message_type"),
        ({"message_type": {"a": 1}}, "schema.message-type-not-text", "/message_type"),
        ({"message_type": ""}, "schema.unknown-message-type", "/message_type"),
        ({"message_type": "handshake"}, "schema.unknown-message-type", "/message_type"),
        ({"message_type": "Handshake "}, "schema.unknown-message-type", "/message_type"),
        ({"message_type": "../schemas/ID"}, "schema.unknown-message-type", "/message_type"),
        ({"message_type": "\x1b[2J"}, "schema.unknown-message-type", "/message_type"),
    ],
)
def test_without_a_type_that_is_all_there_is_to_say(message: Any, code: str, path: str) -> None:
    assert found(judged(message)) == [(code, path)]


def test_what_is_not_fit_to_be_judged_is_not_judged_further() -> None:
    text = json.dumps(MEASUREMENT | {"values": []})

    assert found(judge(text.encode())) == [("schema.too-few", "/values")]
    assert found(judge(text.replace("[]", "[NaN]").encode())) == [("json.nan", "/values/0")]
    assert found(judge(text.replace("2026", "\xff").encode("latin-1"))) == [("json.not-utf8", "")]


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (b"\xef\xbb\xbf" + json.dumps(STATUS).encode(), ["json.bom"]),
        (json.dumps(STATUS | {"x": 1}).encode().replace(b'"x"', b'"present_fill_level"'),
         ["json.duplicate-key"]),
        (b"\xef\xbb\xbf" + json.dumps(STATUS | {"x": 1}).encode(),
         ["json.bom", "schema.unknown-field"]),
    ],
    ids=["bom", "duplicate", "bom-and-schema"],
)  # fmt: skip
def test_a_message_that_can_be_read_is_judged_in_spite_of_its_form(
    data: bytes, codes: list[str]
) -> None:
    assert [finding.code for finding in judge(data).findings] == codes


def test_the_schema_is_asked_about_binary_messages_too() -> None:
    verdict = judged(STATUS | {"x": 1}, binary=True)

    assert found(verdict) == [("json.binary", ""), ("schema.unknown-field", "/x")]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1E400"])
def test_a_number_beyond_all_floats_is_named_as_what_it_is(number: str) -> None:
    data = json.dumps(STATUS).encode().replace(b"47.3", number.encode())

    (finding,) = judge(data).findings
    assert finding.path == "/present_fill_level"
    assert number in finding.text
    assert "null" not in finding.text


@pytest.mark.parametrize(
    ("message", "findings"),
    [
        # Refused by both: the schema speaks.
        (STATUS | {"message_id": "a b"}, [("schema.pattern", "/message_id")]),
        (
            MEASUREMENT | {"measurement_timestamp": "2026-02-10"},
            [("schema.format", "/measurement_timestamp")],
        ),
        # By one of the two.
        (STATUS | {"message_id": "a-b"}, [("s2-python.uuid", "/message_id")]),
        (STATUS | {"present_fill_level": "1"}, [("schema.type", "/present_fill_level")]),
        # At different places: both.
        (
            TIMER | {"timer_id": "a-b", "message_id": "a b"},
            [("schema.pattern", "/message_id"), ("s2-python.uuid", "/timer_id")],
        ),
    ],
)
def test_one_cause_has_one_finding(message: Any, findings: list[tuple[str, str]]) -> None:
    assert found(judged(message)) == findings


def test_what_both_refuse_names_both() -> None:
    (by_both,) = judged(STATUS | {"message_id": "a b"}).findings
    (by_schema,) = judged(STATUS | {"x": 1}).findings

    assert by_both.source is Source.SCHEMA
    assert "s2-python" in by_both.text
    assert "s2-python" not in by_schema.text


def test_a_warning_leaves_a_message_valid() -> None:
    verdict = judged(STATUS | {"message_id": "a-b"})

    assert verdict.worst is Severity.WARNING
    assert verdict.valid


@pytest.mark.parametrize(
    ("field", "value"),
    [("message_id", 5), ("message_id", None), ("message_id", ["a"]), ("subject_message_id", {})],
)
def test_an_id_that_is_no_text_is_no_id(field: str, value: Any) -> None:
    verdict = judged(EXAMPLES["ReceptionStatus"].message | {field: value})

    assert getattr(verdict, field) is None


def test_type_and_ids_can_always_be_written_down() -> None:
    half = {"message_type": "\ud800", "message_id": "\udc00", "subject_message_id": "a\ud83d"}
    verdict = judged(half)

    for text in (verdict.message_type, verdict.message_id, verdict.subject_message_id):
        assert text is not None
        text.encode()


@pytest.mark.parametrize("message_type", MESSAGE_TYPES)
def test_without_a_version_it_is_told_as_where_the_least_is_wrong(message_type: str) -> None:
    alone = {"message_type": message_type}
    in_each = [judged(alone, version=each) for each in MESSAGE_TYPES[message_type].versions]
    least = min(in_each, key=lambda verdict: len(verdict.findings))

    assert found(judged(alone)) == found(least)
    assert all(code == "schema.missing" for code, _ in found(judged(alone)))


def test_a_type_that_came_later_is_unknown_to_the_version_before() -> None:
    for message_type, since in SINCE.items():
        (finding,) = judged({"message_type": message_type}, version=VERSIONS[0]).findings
        assert finding.code == "schema.unknown-message-type"
        assert since in finding.text


def test_s2_python_is_asked_about_its_own_version_only() -> None:
    message = STATUS | {"message_id": "no-uuid"}

    assert found(judged(message, version="0.0.2-beta")) == [("s2-python.uuid", "/message_id")]
    assert found(judged(message, version="1.0.0")) == []


def test_schemas_of_the_users_own_take_the_place_of_ours(tmp_path: Path) -> None:
    schema = {"properties": {"volume": {"type": "number"}}}
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages/Own.schema.json").write_text(json.dumps(schema))
    schemas = Schemas(tmp_path)

    assert found(judged({"message_type": "Own", "volume": 1}, schemas=schemas)) == []
    assert found(judged({"message_type": "Own", "volume": "1"}, schemas=schemas)) == [
        ("schema.type", "/volume")
    ]
    assert [code for code, _ in found(judged(STATUS, schemas=schemas))] == [
        "schema.unknown-message-type"
    ]


# Whatever comes


def value_at(value: Any, path: str) -> Any:
    """What a JSON Pointer points at; KeyError or IndexError where that is nothing."""
    for part in path.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def assert_sound(verdict: Verdict) -> None:
    assert len(verdict.findings) <= MOST_FINDINGS
    assert len({(each.code, each.path, each.text) for each in verdict.findings}) == len(
        verdict.findings
    )
    by_path: dict[str, set[Source]] = {}
    for finding in verdict.findings:
        by_path.setdefault(finding.path, set()).add(finding.source)
        assert_fit_to_be_shown(finding)
        if finding.source is not Source.JSON:
            value_at(verdict.message, finding.path)
    assert not any({Source.SCHEMA, Source.S2_PYTHON} <= sources for sources in by_path.values())
    json.dumps([finding.as_dict() for finding in verdict.findings]).encode()


def assert_fit_to_be_shown(finding: Finding) -> None:
    assert 0 < len(finding.text) <= 1000
    assert len(finding.hint) <= 1000
    finding.path.encode()
    for text in (finding.text, finding.hint):
        text.encode()
        assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in text)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_bytes_struck_by_lightning_are_judged(data: st.DataObject) -> None:
    example = data.draw(st.sampled_from(sorted(EXAMPLES.values(), key=str)))
    content = example.data
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 5) | st.integers(0, len(content)))
        scraps = [
            b"",
            b'"',
            b"{",
            b"]",
            b"null",
            b"NaN",
            b"1e999",
            b"-",
            b"\\ud800",
            b"\xff",
            b"\0",
        ]
        scrap = data.draw(st.sampled_from(scraps) | st.binary(max_size=3))
        content = content[:start] + scrap + content[start + length :]

    assert_sound(judge(content))


@settings(deadline=None)
@given(st.binary(), st.booleans(), st.sampled_from([None, *VERSIONS]))
def test_any_bytes_are_judged(content: bytes, binary: bool, version: str | None) -> None:
    assert_sound(judge(content, binary=binary, version=version))


def places_in(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(item, (*here, key))


@pytest.mark.parametrize(
    "value",
    [
        *(b"null", b"true", b"0", b"-1", b"1.5", b"[]", b"{}", b"[[]]", b"[{}]"),
        *(b"9" * 400, b"-" + b"9" * 4300, b"1e308", b"1e999", b"1e-999", b"1e-9999999999999999999"),
        *(b'""', b'"true"', b'"1"', b'"1,5"', b'"1 kW"', b'"PT5M"', b'"\\u0000\\u001b[2J\\u202e"'),
        *(b'"\\ud800"', b'"2026-06-30T23:59:60Z"', b'"0000-01-01T00:00:00Z"', b"1772366400"),
        *(b"1772366400000", b"NaN", b'{"message_type":"Handshake"}', b'"%s{}"'),
        b'"' + b"x" * 9999 + b'"',
    ],
    ids=lambda value: repr(value[:30])[2:-1],
)  # fmt: skip
def test_any_value_at_any_place_is_judged(value: bytes) -> None:
    for message_type in MESSAGE_TYPES:
        if message_type not in EXAMPLES:
            continue
        message = EXAMPLES[message_type].message
        for place in list(places_in(message))[1:]:
            if any(isinstance(part, int) and part > 0 for part in place):
                continue  # the other items of a list are like the first
            changed = copy.deepcopy(message)
            target: Any = changed
            for part in place[:-1]:
                target = target[part]
            target[place[-1]] = "HERE"
            assert_sound(judge(json.dumps(changed).encode().replace(b'"HERE"', value)))


LARGE = MAX_SIZE // 4


# Each ends within a second where the time grows with the size.
@pytest.mark.parametrize(
    "content",
    [
        b'{"message_type":"PowerMeasurement","values":[' + b"1," * (LARGE // 2) + b"1]}",
        b'{"message_type":"Handshake","supported_protocol_versions":['
        + b"1," * (LARGE // 2)
        + b"1]}",
        b'{"message_type":"PowerMeasurement"'
        + b"".join(b',"%d":1' % n for n in range(LARGE // 11))
        + b"}",
        b"{" + b",".join(b'"message_typ%d":1' % n for n in range(LARGE // 21)) + b"}",
        b'{"message_type":"' + b"Handshake" * (LARGE // 9) + b'"}',
        b'{"message_type":"Handshake","' + b"k" * LARGE + b'":1}',
    ],
    ids=["items", "texts", "fields", "nearly-types", "long-type", "long-key"],
)
def test_a_large_message_full_of_faults_is_dealt_with(content: bytes) -> None:
    verdict = judge(content)

    assert not verdict.valid
    assert_sound(verdict)
