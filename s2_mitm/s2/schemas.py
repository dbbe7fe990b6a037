"""Hold messages against the JSON Schemas of one version of S2.

jsonschema-rs decides, and says where a message fails; jsonschema then explains each such place on
its own, so that a large message with many faults costs little more than a valid one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
from jsonschema.validators import extend

from s2_mitm.s2.verdict import MAX_FINDINGS, Finding, Severity, Source, pointer
from s2_mitm.s2.wording import describe, excerpt, quoted

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"

_PACKAGED = Path(__file__).resolve().parent.parent / "schemas"
BUILT_IN = (
    _PACKAGED if _PACKAGED.is_dir() else Path(__file__).resolve().parent.parent.parent / "schemas"
)
"""Where our own schemas are: inside an installed package, else beside it in a checkout."""


class SchemaError(Exception):
    """A directory that holds no usable schemas; the text says which and why, in one sentence."""


class Schemas:
    """The schemas of one version of S2, read and compiled as they are needed.

    Takes a directory with ``messages/TYPE.schema.json`` and ``schemas/NAME.schema.json``, at its
    top or in ``s2-json-schema/``, as s2-ws-json lays them out. Raises SchemaError where that is
    not what it holds.
    """

    def __init__(self, directory: Path) -> None:
        nested = directory / "s2-json-schema"
        self._directory = directory = nested if nested.is_dir() else directory
        self._validators: dict[str, _MessageSchema] = {}
        suffix = ".schema.json"
        self.message_types = frozenset(
            path.name.removesuffix(suffix) for path in directory.glob(f"messages/*{suffix}")
        )
        if not self.message_types:
            raise SchemaError(
                f"{directory} holds no S2 schemas: expected messages/*.schema.json in it."
            )

    def check(self, message_type: str, message: Mapping[str, Any]) -> list[Finding]:
        """What the schema of this type says of a message: findings of source ``schema``.

        ``message_type`` is one of ``message_types``. The empty list when the message is valid.
        """
        schema = self._validators.get(message_type)
        if schema is None:
            schema = self._validators[message_type] = _MessageSchema(self._bundle(message_type))
        return schema.check(message)

    def _bundle(self, message_type: str) -> Schema:
        """A message's schema with all that it refers to inside it, references made local."""
        definitions: dict[str, Schema] = {}

        def localised(value: Any) -> Any:
            if isinstance(value, list):
                return [localised(item) for item in value]
            if not isinstance(value, dict):
                return value
            return {
                keyword: define(item) if keyword == "$ref" else localised(item)
                for keyword, item in value.items()
                if keyword not in ("$id", "$schema")
            }

        def define(reference: str) -> str:
            name = reference.rsplit("/", 1)[-1].removesuffix(".schema.json")
            if name not in definitions:
                definitions[name] = {}  # so that a circle of references ends
                definitions[name] = localised(self._load(f"schemas/{name}.schema.json"))
            return f"#/$defs/{name}"

        schema: Schema = localised(self._load(f"messages/{message_type}.schema.json"))
        return {"$schema": _DRAFT, **schema, "$defs": definitions}

    def _load(self, name: str) -> Any:
        path = self._directory / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise SchemaError(f"Cannot read the schema {path}: {fault}.") from fault


class _MessageSchema:
    """The compiled schema of one message type."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._screen = jsonschema_rs.validator_for(
            schema, validate_formats=True, formats={"date-time": is_date_time}
        )

    @cached_property
    def _explainer(self) -> Any:
        return _Explainer(self._schema, format_checker=_FORMATS)

    def check(self, message: Mapping[str, Any]) -> list[Finding]:
        if self._screen.is_valid(message):
            return []
        places: dict[tuple[str | int, ...], tuple[Schema, str]] = {}
        for error in islice(self._screen.iter_errors(message), MAX_FINDINGS):
            schema = self._schema_at(error.schema_path)
            places.setdefault(tuple(error.instance_path), (schema, error.message))
        findings = []
        for place, (schema, words) in places.items():
            explained = list(self._explain(message, place, schema))
            findings += explained or [_error("schema.other", pointer(*place), excerpt(words, 200))]
        return findings[:MAX_FINDINGS]

    def _schema_at(self, keyword_path: list[str | int]) -> Schema:
        """The schema that holds a failed keyword."""
        schema: Any = self._schema
        for part in keyword_path[:-1]:
            schema = schema[part]
        return schema  # type: ignore[no-any-return]

    def _explain(
        self, message: Mapping[str, Any], place: tuple[str | int, ...], schema: Schema
    ) -> Iterator[Finding]:
        value: Any = message
        for part in place:
            value = value[part]
        errors = list(self._explainer.evolve(schema=_shallow(schema)).iter_errors(value))
        # A value of the wrong type fails other keywords too; the type is the cause.
        causes = [error for error in errors if error.validator == "type"] or errors
        for error in causes:
            yield from _findings(error, pointer(*place))


def _shallow(schema: Schema) -> Schema:
    """A schema that looks at a value itself and not at what is in it."""
    shallow = {keyword: value for keyword, value in schema.items() if keyword != "items"}
    if "properties" in shallow:
        shallow["properties"] = dict.fromkeys(shallow["properties"], True)
    return shallow


def _findings(error: jsonschema.ValidationError, path: str) -> Iterator[Finding]:
    """The findings of one failed keyword of the schema."""
    value: Any = error.instance
    expected: Any = error.validator_value
    schema: Any = error.schema
    found = describe(value)
    match error.validator:
        case "type":
            hint = ""
            if value is None:
                hint = "S2 has no null: leave a field without a value out."
            elif isinstance(value, str) and expected in ("number", "integer"):
                hint = "Send the number without quotes."
            yield _error("schema.type", path, f"{found}, expected {_TYPES[expected]}", hint)
        case "required":
            missing = error.message.split("'")[1]
            text = f"the required field {quoted(missing)} is missing"
            yield _error("schema.missing", path, text)
        case "additionalProperties":
            known = schema["properties"]
            for name in islice((name for name in value if name not in known), MAX_FINDINGS):
                text = f"the field {quoted(name)} is not known here"
                if name.strip("_") in known and name.strip("_") not in value:
                    text += f", expected {quoted(name.strip('_'))}"
                yield _error("schema.unknown-field", path + pointer(name), text)
        case "enum" | "const":
            options = expected if error.validator == "enum" else [expected]
            yield _error("schema.enum", path, f"{found}, expected {_one_of(options)}")
        case "pattern":
            yield _error("schema.pattern", path, f"{found}, expected text like {expected}")
        case "format":
            text = f"{found}, expected a date and time with a zone"
            yield _error("schema.format", path, text, "As in 2026-03-01T12:00:00Z (RFC 3339).")
        case "minimum":
            yield _error("schema.minimum", path, f"{found}, expected at least {expected}")
        case "minItems":
            yield _error("schema.too-few", path, f"{found}, expected at least {expected}")
        case "maxItems":
            yield _error("schema.too-many", path, f"{found}, expected at most {expected}")
        case _:  # a keyword that only a schema of the user's own has
            yield _error("schema.other", path, excerpt(error.message, 200))


_TYPES = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


def _one_of(options: list[Any]) -> str:
    names = [json.dumps(option, ensure_ascii=False) for option in options]
    shown = names if len(names) <= 12 else [*names[:10], f"… ({len(names)} in all)"]
    return ("one of " if len(names) > 1 else "") + ", ".join(shown)


def _error(code: str, path: str, text: str, hint: str = "") -> Finding:
    return Finding(code, Severity.ERROR, Source.SCHEMA, path, text, hint)


_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def is_date_time(text: str) -> bool:
    """Whether text is an RFC 3339 date-time of a day that exists; both engines ask this."""
    if _DATE_TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or is_date_time(value)


_FORMATS = jsonschema.FormatChecker(formats=())
_FORMATS.checks("date-time")(_is_date_time)


def _pattern(
    _validator: Any, pattern: str, value: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    # "$" is the end of the text, as in ECMAScript; Python would allow a line feed after it.
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


_Explainer = extend(jsonschema.Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
