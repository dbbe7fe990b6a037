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

from s2_mitm.s2 import finding_types
from s2_mitm.s2.message.explaining import MAX_EXPLAINED, Fault, explain
from s2_mitm.s2.timestamps import is_date_time
from s2_mitm.s2.verdict import Finding, pointer
from s2_mitm.s2.wording import describe, excerpt

Schema = dict[str, Any]
Place = tuple[str | int, ...]

MAX_COUNTED = 100
"""Faults of one message, beyond those explained, that are counted."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"

_PACKAGED = Path(__file__).resolve().parents[2] / "schemas"
BUILT_IN = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).resolve().parents[3] / "schemas"
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
        self._validators: dict[str, _Node] = {}
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
        return self._of(message_type).check(message)

    def fits(self, message_type: str, message: Mapping[str, Any]) -> bool:
        """Whether the schema of this type has nothing to say of a message; see `check`."""
        return self._of(message_type).accepts(message)

    def compile_all(self) -> None:
        """See to it that all schemas can be used. Raises SchemaError for the first that cannot."""
        for message_type in self.message_types:
            self._validators[message_type] = self._compile(message_type)

    def _of(self, message_type: str) -> _Node:
        schema = self._validators.get(message_type)
        if schema is None:
            schema = self._validators[message_type] = self._compile(message_type)
        return schema

    def _compile(self, message_type: str) -> _Node:
        try:
            node = self._bundle(message_type)
            node.accepts({})  # compiles it
        except (ValueError, RecursionError) as fault:
            reason = excerpt(str(fault), 200)
            raise SchemaError(
                f"The schema of {message_type} in {self._directory} is no JSON Schema: {reason}."
            ) from fault
        return node

    def _bundle(self, message_type: str) -> _Node:
        """A message's schema with all that it refers to, references made local."""
        definitions: dict[str, _Node] = {}

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
                definitions[name] = _Node({}, definitions, name)  # so that a circle ends
                schema = localised(self._load(f"schemas/{name}.schema.json"))
                definitions[name] = _Node(schema, definitions, name)
            return f"#/$defs/{name}"

        schema = localised(self._load(f"messages/{message_type}.schema.json"))
        if not isinstance(schema, dict):
            raise ValueError(f"it is {describe(schema)}, expected an object")
        return _Node(schema, definitions)

    def _load(self, name: str) -> Any:
        path = self._directory / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as fault:
            raise SchemaError(f"Cannot read the schema {path}: {fault}.") from fault


class _Node:
    """A schema within that of a message: of the message itself, of a field, of a list's items.

    ``definition`` is its name, such as ``Duration``, if it has one. It is compiled when it is
    needed: most are not before a message is wrong.
    """

    def __init__(self, schema: Schema, definitions: dict[str, _Node], definition: str = "") -> None:
        self._schema = schema
        self._definitions = definitions
        self._definition = definition

    def accepts(self, value: Any) -> bool:
        """Whether a value is valid, by jsonschema-rs."""
        return self._screen.is_valid(value)

    def check(self, message: Mapping[str, Any]) -> list[Finding]:
        """What is wrong with a message, the first faults explained, the rest counted."""
        if self.accepts(message):
            return []
        findings: list[Finding] = []
        faulty = self._faulty(message, ())
        for place, value, node in faulty:
            findings += node.explain(value, pointer(*place))
            if len(findings) >= MAX_EXPLAINED:
                break
        more = len(findings[MAX_EXPLAINED:]) + sum(1 for _ in islice(faulty, MAX_COUNTED))
        del findings[MAX_EXPLAINED:]
        if more:
            number = f"{more}" if more < MAX_COUNTED else f"{MAX_COUNTED} or more"
            findings.append(
                finding_types.MORE.at("", f"{number} more faults, not explained one by one")
            )
        # A schema of the user's may refuse what cannot be traced to one place.
        return findings or [finding_types.OTHER.at("", "the message does not fit its schema")]

    def _faulty(self, value: Any, place: Place) -> Iterator[tuple[Place, Any, _Node]]:
        """The values that are wrong by themselves, outermost first, found as they are asked for.

        However much a peer gets wrong, only what is looked at costs anything.
        """
        if not self._shallow_screen.is_valid(value):
            yield place, value, self
        for name, item, node in self._inside(value):
            if not node.accepts(item):
                yield from node._faulty(item, (*place, name))

    def explain(self, value: Any, path: str) -> Iterator[Finding]:
        """What jsonschema says of a value that is wrong by itself."""
        errors = self._explainer.iter_errors(value)
        return explain(Fault.of(error, path, self._definition) for error in errors)

    def _inside(self, value: Any) -> Iterator[tuple[str | int, Any, _Node]]:
        if isinstance(value, dict):
            for name, node in self._fields.items():
                if name in value:
                    yield name, value[name], node
        elif isinstance(value, list) and self._items is not None:
            for index, item in enumerate(value):
                yield index, item, self._items

    @cached_property
    def _fields(self) -> dict[str, _Node]:
        return {name: self._at(field) for name, field in self._schema.get("properties", {}).items()}

    @cached_property
    def _items(self) -> _Node | None:
        items = self._schema.get("items")
        return self._at(items) if isinstance(items, dict) else None

    def _at(self, schema: Any) -> _Node:
        if not isinstance(schema, dict):  # true and false are schemas too
            schema = {} if schema else {"not": {}}
        if "$ref" in schema:
            return self._definitions[schema["$ref"].removeprefix("#/$defs/")]
        return _Node(schema, self._definitions)

    @cached_property
    def _screen(self) -> jsonschema_rs.Validator:
        return self._compiled(self._schema)

    @cached_property
    def _shallow_screen(self) -> jsonschema_rs.Validator:
        return self._compiled(self._shallow)

    def _compiled(self, schema: Schema) -> jsonschema_rs.Validator:
        return jsonschema_rs.validator_for(
            self._with_definitions(schema), validate_formats=True, formats=_FORMATS
        )

    def _with_definitions(self, schema: Schema) -> Schema:
        definitions = {name: node._schema for name, node in self._definitions.items()}
        return {"$schema": _DRAFT, **schema, "$defs": definitions}

    @cached_property
    def _explainer(self) -> Any:
        return _Explainer(self._with_definitions(self._shallow), format_checker=_FORMAT_CHECKER)

    @cached_property
    def _shallow(self) -> Schema:
        """This schema as it looks at a value itself, not at what is in it."""
        shallow = {keyword: value for keyword, value in self._schema.items() if keyword != "items"}
        if "properties" in shallow:
            shallow["properties"] = dict.fromkeys(shallow["properties"], True)
        return shallow


def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or is_date_time(value)


_FORMATS = {"date-time": is_date_time}
_FORMAT_CHECKER = jsonschema.FormatChecker(formats=())
_FORMAT_CHECKER.checks("date-time")(_is_date_time)


def _pattern(
    _validator: Any, pattern: str, value: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    # "$" is the end of the text, as in ECMAScript; Python would allow a line feed after it.
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


_Explainer = extend(jsonschema.Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
