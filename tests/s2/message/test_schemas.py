"""What jsonschema-rs screens and jsonschema explains is what the schema files say."""

from __future__ import annotations

import copy
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import extend
from message_files import Example, valid_examples
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.message.schemas import SchemaError, Schemas
from s2_mitm.s2.message.validation import built_in
from s2_mitm.s2.timestamps import is_date_time
from s2_mitm.s2.verdict import MAX_FINDINGS, Severity, Source
from s2_mitm.s2.wording import printable

SCHEMAS = Path(__file__).parents[3] / "schemas"
EXAMPLES = [example for version in VERSIONS for example in valid_examples(version)]

Place = tuple[str | int, ...]


# jsonschema, which the tests believe


def _whole_pattern(
    _validator: Any, pattern: str, value: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    # All our patterns are anchored; "$" is the end in JSON Schema, and not before a line feed.
    if isinstance(value, str) and not re.fullmatch(pattern.strip("^$"), value):
        yield jsonschema.ValidationError("does not match")


_FORMATS = jsonschema.FormatChecker(formats=())
_FORMATS.checks("date-time")(lambda value: not isinstance(value, str) or is_date_time(value))
_Plain = extend(jsonschema.Draft202012Validator, {"pattern": _whole_pattern})  # type: ignore[no-untyped-call]


@cache
def _registry() -> Registry[bool | Mapping[str, Any]]:
    return Registry().with_resources(
        (path.as_uri(), Resource.from_contents(json.loads(path.read_text("utf-8")), DRAFT202012))
        for path in SCHEMAS.rglob("*.schema.json")
    )


@cache
def _validator(version: str, message_type: str) -> Any:
    path = SCHEMAS / version / "messages" / f"{message_type}.schema.json"
    return _Plain({"$ref": path.as_uri()}, registry=_registry(), format_checker=_FORMATS)


def jsonschema_takes(version: str, message_type: str, message: Mapping[str, Any]) -> bool:
    return bool(_validator(version, message_type).is_valid(message))


# Messages made wrong


def places_in(value: Any, here: Place = ()) -> Iterator[Place]:
    yield here
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(item, (*here, key))


def at(message: Any, place: Place) -> Any:
    for part in place:
        message = message[part]
    return message


TEXTS = st.sampled_from(
    [
        *("", "x", "ELECTRICITY", "electricity", "ELECTRIC.POWER.L1", "RM", "EUR", "OK"),
        *("2026-02-10T06:15:04Z", "2026-02-30T06:15:04Z", "2026-02-10 06:15", "1", "true"),
        *("55b5cbf2-3d1f-469e-be9b-9aa2c48c841c", "id\n", "a" * 64, "a" * 65, "ä" * 2, "a:b_c-d"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    """A version, a message type, and a valid message of it with a change or a few."""
    example = draw(st.sampled_from(EXAMPLES))
    message: Any = copy.deepcopy(example.message)
    for _ in range(draw(st.integers(1, 3))):
        inner = [place for place in places_in(message) if place]
        if not inner:
            break
        *parent, key = draw(st.sampled_from(inner))
        container = at(message, tuple(parent))
        match draw(st.sampled_from(["delete", "rename", "replace", "wrap", "repeat", "add"])):
            case "delete":
                del container[key]
            case "rename" if isinstance(container, dict):
                container[draw(st.sampled_from([f"{key}_", f"{key}s", "x"]) | st.text())] = (
                    container.pop(key)
                )
            case "replace":
                container[key] = draw(VALUES)
            case "wrap":
                value = container[key]
                container[key] = draw(st.sampled_from([[value], {"x": value}, [[value]]]))
            case "repeat" if isinstance(container[key], list):
                container[key] = container[key] * draw(st.sampled_from([0, 2, 11]))
            case "add" if isinstance(container, dict):
                container[draw(TEXTS)] = draw(VALUES)
    return example.version, example.message_type, message


@settings(deadline=None)
@given(spoilt())
def test_a_spoilt_message_has_findings_just_when_jsonschema_refuses_it(
    spoilt_message: tuple[str, str, dict[str, Any]],
) -> None:
    version, message_type, message = spoilt_message

    findings = built_in(version).check(message_type, message)

    assert (findings == []) is jsonschema_takes(version, message_type, message)


@settings(deadline=None)
@given(spoilt())
def test_the_findings_of_a_spoilt_message_have_places_and_no_doubles(
    spoilt_message: tuple[str, str, dict[str, Any]],
) -> None:
    version, message_type, message = spoilt_message

    findings = built_in(version).check(message_type, message)

    assert len(findings) <= MAX_FINDINGS
    seen = [
        (each.code, each.path, each.text if each.code == "schema.missing" else "")
        for each in findings
    ]
    assert len(seen) == len(set(seen))
    for finding in findings:
        assert finding.source is Source.SCHEMA
        assert finding.severity is Severity.ERROR
        assert finding.code.startswith("schema.")
        assert finding.code != "schema.other"
        value_at(message, finding.path)
        for text in (finding.text, finding.hint):
            assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in text)
        assert len(finding.text) <= 1000


def value_at(value: Any, path: str) -> Any:
    """What a JSON Pointer points at; KeyError or IndexError where that is nothing."""
    for part in path.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(part)]
        else:
            value = {printable(name): each for name, each in value.items()}[part]
    return value


WRONG_TYPES: list[Any] = [None, True, 0, 1.5, "x", [], [[]], {}]
HOSTILE: list[Any] = [
    10**400,
    -(10**4299),
    1.7976931348623157e308,
    -0.0,
    2**64,
    "\x1b[2J\x00\u202e",
    "9" * 10_000,
    "'\"\\{}%s\n",
]


@pytest.mark.parametrize("value", [*WRONG_TYPES, *HOSTILE], ids=lambda value: repr(value)[:20])
def test_any_value_at_any_place_is_judged_as_jsonschema_does(value: Any) -> None:
    for example in valid_examples(VERSIONS[0]):
        if "." in example.name.removeprefix(example.message_type):
            continue  # a variant: the same places once more
        for place in list(places_in(example.message))[1:]:
            if any(isinstance(part, int) and part > 0 for part in place):
                continue  # the other items of a list are like the first
            message = copy.deepcopy(example.message)
            at(message, place[:-1])[place[-1]] = value
            findings = built_in(example.version).check(example.message_type, message)
            takes = jsonschema_takes(example.version, example.message_type, message)
            assert (findings == []) is takes, (example.name, place)


def minimal() -> dict[str, Any]:
    return {
        "message_type": "PowerMeasurement",
        "message_id": "c009ed72-3ef7-49eb-9052-4258c1d6a3a3",
        "measurement_timestamp": "2026-02-10T06:15:04Z",
        "values": [{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 1}],
    }


@pytest.mark.parametrize(
    ("change", "findings"),
    [
        ({}, []),
        ({"message_id": 5}, [("schema.type", "/message_id")]),
        ({"message_id": None}, [("schema.type", "/message_id")]),
        ({"message_id": "a"}, [("schema.pattern", "/message_id")]),
        ({"message_id": "ab"}, []),
        ({"message_id": "a" * 64}, []),
        ({"message_id": "a" * 65}, [("schema.pattern", "/message_id")]),
        ({"message_id": "ab\n"}, [("schema.pattern", "/message_id")]),
        ({"message_id": "\nab"}, [("schema.pattern", "/message_id")]),
        ({"message_id": "äöü"}, [("schema.pattern", "/message_id")]),
        ({"message_type": "PowerForecast"}, [("schema.enum", "/message_type")]),
        ({"values": []}, [("schema.too-few", "/values")]),
        ({"values": minimal()["values"] * 10}, []),
        ({"values": minimal()["values"] * 11}, [("schema.too-many", "/values")]),
        ({"values": {}}, [("schema.type", "/values")]),
        ({"values": [None]}, [("schema.type", "/values/0")]),
        ({"a/b": 1}, [("schema.unknown-field", "/a~1b")]),
        ({"m~n": 1}, [("schema.unknown-field", "/m~0n")]),
        ({"": 1}, [("schema.unknown-field", "/")]),
        ({"measurement_timestamp": "now"}, [("schema.format", "/measurement_timestamp")]),
        ({"measurement_timestamp": 1}, [("schema.type", "/measurement_timestamp")]),
    ],
)
def test_each_fault_is_found_where_it_is(
    change: dict[str, Any], findings: list[tuple[str, str]]
) -> None:
    found = built_in(VERSIONS[0]).check("PowerMeasurement", minimal() | change)

    assert [(finding.code, finding.path) for finding in found] == findings


def test_every_missing_field_is_a_finding_of_its_own() -> None:
    found = built_in(VERSIONS[0]).check("PowerMeasurement", {})

    assert [(finding.code, finding.path) for finding in found] == [("schema.missing", "")] * 4
    for name in minimal():
        assert sum(f'"{name}"' in finding.text for finding in found) == 1


def test_a_value_of_the_wrong_type_is_only_that() -> None:
    """A Duration below zero breaks "minimum", one that is text breaks "type" alone."""
    timer = {"id": "ab", "duration": "-5"}
    message = {"message_type": "OMBC.SystemDescription", "timers": [timer]}

    found = built_in(VERSIONS[0]).check("OMBC.SystemDescription", message)

    assert [each.code for each in found if each.path == "/timers/0/duration"] == ["schema.type"]


def test_findings_about_one_message_have_an_end() -> None:
    for message in (
        minimal() | {"values": [{"value": "x"}] * 1000},
        minimal() | {f"field {number}": number for number in range(1000)},
        minimal() | {"values": [{f"field {number}": number for number in range(1000)}]},
    ):
        findings = built_in(VERSIONS[0]).check("PowerMeasurement", message)
        assert 2 < len(findings) <= MAX_FINDINGS
        assert "schema.more" in {finding.code for finding in findings}


MANY = 50_000


# Each takes a moment where the time grows with the size, and is no reason to wait at all.
@pytest.mark.parametrize(
    "change",
    [
        {"values": [1] * MANY},
        {"values": [{}] * MANY},
        {f"field {number}": number for number in range(MANY // 2)},
        {"values": [{f"value {number}": number for number in range(MANY // 2)}]},
        {"x" * MANY: 1, "message_id": "x" * MANY, "measurement_timestamp": "1" * MANY},
    ],
    ids=["numbers", "objects", "fields", "fields-in-an-item", "long-texts"],
)
def test_a_large_message_full_of_faults_is_dealt_with(change: dict[str, Any]) -> None:
    findings = built_in(VERSIONS[0]).check("PowerMeasurement", minimal() | change)

    assert 0 < len(findings) <= MAX_FINDINGS
    assert all(len(finding.text) <= 1000 for finding in findings)


def test_a_message_is_left_as_it_is() -> None:
    message = minimal() | {"values": [{"value": "x"}], "extra": [{}]}
    before = copy.deepcopy(message)

    built_in(VERSIONS[0]).check("PowerMeasurement", message)

    assert message == before


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_valid_messages_stay_valid_with_their_fields_in_another_order(example: Example) -> None:
    message = dict(reversed(example.message.items()))

    assert built_in(example.version).check(example.message_type, message) == []


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("2026-03-01T12:00:00Z", True),
        ("2026-03-01t12:00:00z", True),
        ("2026-03-01T12:00:00.1Z", True),
        ("2026-03-01T12:00:00.123456789012Z", True),
        ("2026-03-01T12:00:00+01:00", True),
        ("2026-03-01T12:00:00-23:59", True),
        ("2026-03-01T12:00:00-00:00", True),
        ("2024-02-29T00:00:00Z", True),
        ("2026-06-30T23:59:60Z", True),
        ("9999-12-31T23:59:59Z", True),
        ("2026-02-29T00:00:00Z", False),
        ("2026-02-30T00:00:00Z", False),
        ("2026-13-01T00:00:00Z", False),
        ("2026-00-01T00:00:00Z", False),
        ("2026-03-00T00:00:00Z", False),
        ("2026-03-01T24:00:00Z", False),
        ("2026-03-01T12:60:00Z", False),
        ("2026-03-01T12:00:61Z", False),
        ("2026-03-01T12:00:00", False),
        ("2026-03-01T12:00Z", False),
        ("2026-03-01", False),
        ("2026-03-01 12:00:00Z", False),
        ("2026-03-01T12:00:00.Z", False),
        ("2026-03-01T12:00:00,5Z", False),
        ("2026-03-01T12:00:00 Z", False),
        ("2026-03-01T12:00:00+0100", False),
        ("2026-03-01T12:00:00+01", False),
        ("2026-03-01T12:00:00+24:00", False),
        ("2026-03-01T12:00:00+01:60", False),
        ("2026-03-01T12:00:00−01:00", False),  # a minus sign, not a hyphen
        ("2026-3-1T12:00:00Z", False),
        ("26-03-01T12:00:00Z", False),
        ("+2026-03-01T12:00:00Z", False),
        ("20260301T120000Z", False),
        ("2026-W09-7T12:00:00Z", False),
        ("2026-060T12:00:00Z", False),
        ("٢٠٢٦-03-01T12:00:00Z", False),
        ("2026-03-01T12:00:00Z\n", False),
        (" 2026-03-01T12:00:00Z", False),
        ("1772366400", False),
        ("", False),
        ("Z" * 10**6, False),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_a_date_time_is_one_of_rfc_3339(text: str, is_one: bool) -> None:
    assert is_date_time(text) is is_one
    found = built_in(VERSIONS[0]).check(
        "PowerMeasurement", minimal() | {"measurement_timestamp": text}
    )
    assert [finding.code for finding in found] == ([] if is_one else ["schema.format"])


@settings(deadline=None)
@given(st.datetimes(timezones=st.timezones()))
def test_every_time_that_python_writes_is_a_date_time_if_its_zone_has_whole_minutes(
    time: Any,
) -> None:
    offset = time.utcoffset()
    assert is_date_time(time.isoformat()) is (offset.total_seconds() % 60 == 0)


# Schemas of the user's own


def user_schemas(directory: Path, **fields: Any) -> Schemas:
    """A directory laid out like s2-ws-json with one message type, ``Own``."""
    write(directory, "messages/Own", {"type": "object", "properties": fields})
    return Schemas(directory)


def write(directory: Path, name: str, schema: Any) -> None:
    path = directory / f"{name}.schema.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema), encoding="utf-8")


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"maxLength": 3}, "abc", "abcd"),
        ({"minLength": 3}, "abc", "ab"),
        ({"maximum": 3}, 3, 4),
        ({"exclusiveMinimum": 3}, 4, 3),
        ({"multipleOf": 2}, 4, 3),
        ({"uniqueItems": True}, [1, 2], [1, 1]),
        ({"type": ["number", "null"]}, None, "1"),
        ({"type": ["string", "integer"]}, 1, 1.5),
        ({"enum": [1, 2, None]}, 2, "2"),
        ({"enum": [["a"], {"b": 1}]}, ["a"], "a"),
        ({"const": 5}, 5, "5"),
        ({"const": {"a": 1}}, {"a": 1}, {"a": 2}),
        ({"pattern": "b"}, "abc", "acc"),
        ({"format": "date-time"}, "2026-03-01T12:00:00Z", "x"),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, "x", None),
        ({"anyOf": [{"minimum": 5}, {"maximum": 1}]}, 6, 3),
        ({"allOf": [{"minimum": 5}, {"type": "integer"}]}, 6, 3),
        ({"not": {"type": "null"}}, 1, None),
        ({"if": {"type": "string"}, "then": {"minLength": 2}}, "ab", "a"),
        ({"prefixItems": [{"type": "string"}]}, ["a"], [1]),
        ({"items": {"items": {"type": "number"}}}, [[1]], [["1"]]),
        ({"contains": {"const": 1}}, [1], [2]),
        ({"propertyNames": {"maxLength": 2}}, {"ab": 1}, {"abc": 1}),
        ({"patternProperties": {"^x": {"type": "number"}}}, {"x": 1}, {"x": "1"}),
        ({"additionalProperties": {"type": "number"}}, {"x": 1}, {"x": "1"}),
        ({"additionalProperties": False}, {}, {"x": 1}),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1, "b": 2}, {"a": 1}),
        ({"maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}),
        ({"required": ["it's"]}, {"it's": 1}, {}),
        ({"$ref": "../schemas/Level.schema.json"}, 5, "5"),
        ({"allOf": [{"$ref": "../schemas/Level.schema.json"}]}, 5, "5"),
        ({"items": {"$ref": "../schemas/Level.schema.json"}}, [5], [5, "5"]),
        (False, ..., 1),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
)
def test_any_keyword_in_a_schema_of_the_users_own_is_heeded(
    schema: Any, good: Any, bad: Any, tmp_path: Path
) -> None:
    write(tmp_path, "schemas/Level", {"type": "number"})
    schemas = user_schemas(tmp_path, field=schema)

    if good is not ...:
        assert schemas.check("Own", {"field": good}) == []
    findings = schemas.check("Own", {"field": bad})
    assert findings
    assert all(finding.path.startswith("/field") for finding in findings)


def test_a_circle_of_references_has_an_end(tmp_path: Path) -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "Tree.schema.json"}}}
    write(tmp_path, "schemas/Tree", tree)
    schemas = user_schemas(tmp_path, field={"$ref": "../schemas/Tree.schema.json"})

    assert schemas.check("Own", {"field": {"next": {"next": {}}}}) == []
    findings = schemas.check("Own", {"field": {"next": {"next": 5}}})
    assert [finding.path for finding in findings] == ["/field/next/next"]


def test_the_schemas_may_be_one_directory_further_in(tmp_path: Path) -> None:
    write(tmp_path, "s2-json-schema/messages/Own", {"required": ["x"]})

    schemas = Schemas(tmp_path)

    assert schemas.message_types == {"Own"}
    assert [finding.code for finding in schemas.check("Own", {})] == ["schema.missing"]


def test_a_directory_without_schemas_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing", Path(__file__)):
        with pytest.raises(SchemaError, match=r"holds no S2 schemas: .*\.$"):
            Schemas(directory)


@pytest.mark.parametrize(
    "content",
    ["", "{", "\xff", '{"properties":{"a":{"$ref":"../schemas/Gone.schema.json"}}}'],
    ids=["empty", "broken", "latin-1", "refers-to-nothing"],
)
def test_a_schema_that_cannot_be_read_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages/Own.schema.json").write_text(content, encoding="latin-1")

    with pytest.raises(SchemaError, match=r"(Own|Gone)\.schema\.json"):
        Schemas(tmp_path).check("Own", {})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"properties": {"a": {"pattern": "("}}},
        [],
    ],
    ids=json.dumps,
)
def test_a_file_that_is_no_schema_is_named(schema: Any, tmp_path: Path) -> None:
    write(tmp_path, "messages/Own", schema)

    with pytest.raises(SchemaError, match="Own"):
        Schemas(tmp_path).check("Own", {"a": 1})
