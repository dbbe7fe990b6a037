"""Hold messages against the JSON Schemas of one version of S2.

jsonschema-rs decides, and says where a message fails; jsonschema then explains each such place on
its own, so that a large message with many faults costs little more than a valid one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
from jsonschema.validators import extend

from s2_mitm.s2 import kinds
from s2_mitm.s2.explaining import MAX_EXPLAINED, Fault, explain
from s2_mitm.s2.timestamps import is_date_time
from s2_mitm.s2.verdict import Finding, pointer
from s2_mitm.s2.wording import describe, excerpt

Schema = dict[str, Any]

MAX_COUNTED = 1000
"""Faults of one message, beyond those explained, that are counted."""

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
            schema = self._validators[message_type] = self._compile(message_type)
        return schema.check(message)

    def compile_all(self) -> None:
        """See to it that all schemas can be used. Raises SchemaError for the first that cannot."""
        for message_type in self.message_types:
            self._validators[message_type] = self._compile(message_type)

    def _compile(self, message_type: str) -> _MessageSchema:
        try:
            return _MessageSchema(self._bundle(message_type))
        except (ValueError, RecursionError) as fault:
            reason = excerpt(str(fault), 200)
            raise SchemaError(
                f"The schema of {message_type} in {self._directory} is no JSON Schema: {reason}."
            ) from fault

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

        schema = localised(self._load(f"messages/{message_type}.schema.json"))
        if not isinstance(schema, dict):
            raise ValueError(f"it is {describe(schema)}, expected an object")
        return {"$schema": _DRAFT, **schema, "$defs": definitions}

    def _load(self, name: str) -> Any:
        path = self._directory / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as fault:
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
        errors = iter(self._screen.iter_errors(message))
        places: dict[tuple[str | int, ...], Any] = {}
        for error in islice(errors, MAX_EXPLAINED):
            places.setdefault(tuple(error.instance_path), error)
        findings = [
            finding
            for place, error in places.items()
            for finding in self._explain(message, place, error)
        ]
        if more := sum(1 for _ in islice(errors, MAX_COUNTED)):
            number = f"{more}" if more < MAX_COUNTED else f"{MAX_COUNTED} or more"
            findings.append(kinds.MORE.at("", f"{number} more faults, not explained one by one"))
        return findings

    def _explain(
        self, message: Mapping[str, Any], place: tuple[str | int, ...], error: Any
    ) -> Iterator[Finding]:
        """What is wrong with one value; ``error`` is what jsonschema-rs says first of it."""
        value: Any = message
        for part in place:
            value = value[part]
        schema: Any = self._schema
        for part in error.schema_path[:-1]:
            schema = schema[part]
        definition = error.schema_path[1] if error.schema_path[0] == "$defs" else ""
        path = pointer(*place)
        errors = self._explainer.evolve(schema=_shallow(schema)).iter_errors(value)
        findings = list(explain(Fault.of(found, path, definition) for found in errors))
        # A schema of the user's may have what the two engines see differently.
        yield from findings or [kinds.OTHER.at(path, excerpt(error.message, 200))]


def _shallow(schema: Schema) -> Schema:
    """A schema that looks at a value itself and not at what is in it."""
    shallow = {keyword: value for keyword, value in schema.items() if keyword != "items"}
    if "properties" in shallow:
        shallow["properties"] = dict.fromkeys(shallow["properties"], True)
    return shallow


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
