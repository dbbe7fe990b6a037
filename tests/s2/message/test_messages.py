"""Every message type: what is valid passes without a word, what is faulty is told exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from message_files import Example, faulty_examples, valid_examples
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from s2python.s2_parser import S2Parser
from s2python.s2_validation_error import S2ValidationError

from s2_mitm.s2.catalog import DEFAULT_VERSION, MESSAGE_TYPES, VERSIONS
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import Finding, Severity

SCHEMAS = Path(__file__).parents[3] / "schemas"

VALID = [example for version in VERSIONS for example in valid_examples(version)]
FAULTY = [example for version in VERSIONS for example in faulty_examples(version)]

# s2-python 0.11 declares these fields with a type that no valid message has:
# DDBC.OperationMode asks for "id" beside "Id" and for a list in "supply_range";
# PPBC.PowerSequenceContainerStatus asks for a UUID in "progress", which is a duration.
S2_PYTHON_IS_WRONG_ABOUT = {"DDBC.SystemDescription", "PPBC.PowerProfileStatus"}

THE_VALUE_STANDS_IN_THE_TEXT = {
    "schema.message-type-not-text",
    "schema.unknown-message-type",
    "schema.type",
    "schema.enum",
    "schema.pattern",
    "schema.format",
    "schema.minimum",
    "schema.too-few",
    "schema.too-many",
    "s2-python.uuid",
}


@pytest.mark.parametrize("example", VALID, ids=str)
def test_a_valid_message_has_no_findings(example: Example) -> None:
    verdict = judge(example.data, version=example.version)

    assert verdict.findings == []
    assert verdict.valid
    assert verdict.message == example.message
    assert verdict.message_type == example.message["message_type"]
    assert verdict.message_id == example.message.get("message_id")
    assert verdict.subject_message_id == example.message.get("subject_message_id")


@pytest.mark.parametrize("example", FAULTY, ids=str)
def test_a_faulty_message_has_exactly_the_findings_expected(example: Example) -> None:
    verdict = judge(example.data, version=example.version)

    found = [
        {
            "code": finding.code,
            "severity": str(finding.severity),
            "source": str(finding.source),
            "path": finding.path,
        }
        for finding in sorted(verdict.findings, key=lambda each: (each.path, each.code))
    ]
    assert found == list(example.findings)
    assert verdict.valid == all(finding["severity"] != "error" for finding in example.findings)


@pytest.mark.parametrize("example", FAULTY, ids=str)
def test_the_text_names_what_was_seen(example: Example) -> None:
    for finding in judge(example.data, version=example.version).findings:
        for word in _words(finding, example):
            assert word in finding.text, finding


@pytest.mark.parametrize("example", FAULTY, ids=str)
def test_the_text_is_one_sentence_for_people(example: Example) -> None:
    for finding in judge(example.data, version=example.version).findings:
        assert finding.text
        assert "\n" not in finding.text
        assert len(finding.text) <= 400
        # the innards of Python and its libraries
        for noise in ("datetime.datetime(", "UUID(", "root=", "input_value", "pydantic", "None"):
            assert noise not in finding.text


def _words(finding: Finding, example: Example) -> list[str]:
    """What the text of a finding cannot do without."""
    if finding.code == "schema.missing":
        whole = _whole(example)
        missing = _at(whole, finding.path).keys() - _at(example.message, finding.path).keys()
        assert len(missing) == 1, "a faulty example is a valid one with one fault"
        return [f'"{missing.pop()}"']
    if finding.code == "schema.unknown-field":
        return [f'"{finding.path.rpartition("/")[2]}"']
    if finding.code not in THE_VALUE_STANDS_IN_THE_TEXT:
        return []
    value = _at(example.message, finding.path)
    if isinstance(value, list):
        return ["list", str(len(value)) if value else "empty"]
    if isinstance(value, dict):
        return ["object"]
    return [json.dumps(value, ensure_ascii=False)]


def _whole(example: Example) -> dict[str, Any]:
    """The valid message that a faulty one was made of."""
    messages = {each.name: each.message for each in valid_examples(example.version)}
    return messages[example.message_type]


def _at(value: Any, path: str) -> Any:
    """What a JSON Pointer points at; no example has a slash or a tilde in a name."""
    for part in path.split("/")[1:]:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


@pytest.mark.parametrize("message_type", MESSAGE_TYPES)
def test_every_type_has_a_valid_and_a_faulty_example(message_type: str) -> None:
    assert message_type in {example.name for example in VALID}
    assert message_type in {example.message_type for example in FAULTY}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_schema_has_a_valid_and_a_faulty_example(version: str) -> None:
    types = {
        path.name.removesuffix(".schema.json")
        for path in (SCHEMAS / version / "messages").glob("*.schema.json")
    }

    assert types == {example.message_type for example in valid_examples(version)}
    assert types == {example.message_type for example in faulty_examples(version)}


@pytest.mark.parametrize("example", VALID, ids=str)
def test_a_valid_example_is_named_after_its_type(example: Example) -> None:
    assert f"{example.name}.".startswith(f"{example.message_type}.")


@pytest.mark.parametrize("example", VALID, ids=str)
def test_our_schemas_take_the_valid_examples(example: Example) -> None:
    validator = _plain_validator(example.version, example.message_type)

    assert [error.message for error in validator.iter_errors(example.message)] == []


@pytest.mark.parametrize("example", FAULTY, ids=str)
def test_our_schemas_refuse_what_has_a_finding_of_the_schema(example: Example) -> None:
    codes = {finding["code"] for finding in example.findings}
    if "schema.format" in codes:
        pytest.skip("plain jsonschema does not look at formats")
    if example.name == "RevokeObject.id-with-line-feed":
        pytest.skip("plain jsonschema has Python's $, which lets a line feed pass")
    validator = _plain_validator(example.version, example.message_type)

    is_refused = any(code.startswith("schema.") for code in codes)
    assert validator.is_valid(example.message) is not is_refused


@pytest.mark.parametrize("example", valid_examples(DEFAULT_VERSION), ids=str)
def test_s2_python_takes_the_valid_examples(example: Example) -> None:
    if example.message_type in S2_PYTHON_IS_WRONG_ABOUT:
        with pytest.raises(S2ValidationError):
            S2Parser.parse_as_any_message(example.message)
    else:
        S2Parser.parse_as_any_message(example.message)


@pytest.mark.parametrize("example", FAULTY, ids=str)
def test_faulty_examples_list_their_findings_in_order(example: Example) -> None:
    places = [(finding["path"], finding["code"]) for finding in example.findings]

    assert places
    assert places == sorted(set(places))
    for finding in example.findings:
        assert finding.keys() == {"code", "severity", "source", "path"}
        assert finding["severity"] in set(Severity)
        assert finding["code"].startswith(f"{finding['source']}.")


def _plain_validator(version: str, message_type: str) -> jsonschema.Draft202012Validator:
    """jsonschema with our schemas as they lie on the disk, references and all."""
    directory = SCHEMAS / version
    registry: Registry[bool | Mapping[str, Any]] = Registry().with_resources(
        (
            path.as_uri(),
            Resource.from_contents(json.loads(path.read_text("utf-8")), DRAFT202012),
        )
        for path in directory.rglob("*.schema.json")
    )
    reference = (directory / "messages" / f"{message_type}.schema.json").as_uri()
    return jsonschema.Draft202012Validator({"$ref": reference}, registry=registry)
