#!/usr/bin/env python3
"""Make schemas/ from the models that s2-python generates from the S2 specification.

pydantic turns the models into JSON Schema; what it gets wrong, or what the published schemas leave
open by oversight, is put right in `_corrected`. s2-python speaks 0.0.2-beta; what a later version
changes is in `_next`. The sentences of the specification (titles and descriptions) stay where they
are published.

    scripts/build_schemas.py                write schemas/
    scripts/build_schemas.py --check        exit 1 when schemas/ is not what would be written
    scripts/build_schemas.py --compare DIR  say how ours differ from a checkout of s2-ws-json
"""

from __future__ import annotations

import argparse
import copy
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from s2python.generated import gen_s2

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
BASE, NEXT_VERSION = "0.0.2-beta", "1.0.0"
FOLDERS = (BASE, NEXT_VERSION, "1.0.0-beta", "v1.0.0")
"""Names that a folder with published schemas may have: those of 1.0.0 were a beta first."""

Schema = dict[str, Any]


def build() -> dict[str, str]:
    """All schema files: path below schemas/ → text."""
    models = [
        model
        for _, model in inspect.getmembers(gen_s2, inspect.isclass)
        if issubclass(model, BaseModel) and "message_type" in model.model_fields
    ]
    definitions = models_json_schema([(model, "validation") for model in models])[1]["$defs"]
    base = {}
    for name, definition in definitions.items():
        schema = _corrected(definition)
        message_type = schema.get("properties", {}).get("message_type", {}).get("const")
        place = f"messages/{message_type}" if message_type else f"schemas/{_wire_name(name)}"
        base[f"{place}.schema.json"] = {"$schema": DRAFT, **schema}
    return {
        f"{version}/{place}": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for version, schemas in {BASE: base, NEXT_VERSION: _next(base)}.items()
        for place, schema in schemas.items()
    }


def _wire_name(model_name: str) -> str:
    """``FRBCOperationMode`` is ``FRBC.OperationMode`` in the specification."""
    return re.sub(r"^(PEBC|PPBC|OMBC|FRBC|DDBC)", r"\1.", model_name)


def _corrected(schema: Schema) -> Schema:
    """A definition as S2 means it, without pydantic's additions and without prose."""
    if alternatives := schema.get("anyOf"):
        # pydantic lets every optional field be null; S2 leaves an optional field out.
        (schema,) = (item for item in alternatives if item != {"type": "null"})
    if reference := schema.get("$ref"):
        name = _wire_name(reference.removeprefix("#/$defs/"))
        return {"$ref": f"../schemas/{name}.schema.json"}
    kept: Schema = {}
    for keyword, value in schema.items():
        match keyword:
            case "title" | "description" | "default":
                pass
            case "properties":
                kept[keyword] = {name: _corrected(field) for name, field in value.items()}
            case "items":
                kept[keyword] = _corrected(value)
            case "pattern":
                # Published without anchors, so that any text with two such letters in it passes.
                kept[keyword] = f"^{value}$"
            case _:
                kept[keyword] = value
    if "message_type" in kept.get("properties", {}):
        # pydantic sees a default in a constant and so lets the field be absent.
        kept["required"] = ["message_type", *kept.get("required", [])]
    return kept


def _next(base: dict[str, Schema]) -> dict[str, Schema]:
    """1.0.0: the demand of a DDBC device left its description and became a message."""
    schemas = copy.deepcopy(base)
    description = schemas["messages/DDBC.SystemDescription.schema.json"]
    demand = description["properties"].pop("present_demand_rate")
    description["required"].remove("present_demand_rate")
    status = copy.deepcopy(schemas["messages/DDBC.TimerStatus.schema.json"])
    status["properties"] = {
        "message_type": {"const": "DDBC.PresentDemandStatus", "type": "string"},
        "message_id": status["properties"]["message_id"],
        "present_demand_rate": demand,
    }
    status["required"] = list(status["properties"])
    schemas["messages/DDBC.PresentDemandStatus.schema.json"] = status
    return schemas


INTENDED = {
    ("type", '"object"', "nothing"): "published without, so that null passes as an object",
    ("pattern", r'"^[a-zA-Z0-9\\-_:]{2,64}$"', r'"[a-zA-Z0-9\\-_:]{2,64}"'): (
        "published without anchors, so that part of an id may be anything"
    ),
}
"""Where ours differ on purpose: (keyword, ours, theirs) as JSON, and why."""


def compare(directory: Path) -> Iterator[str]:
    """How ours differ from a checkout of s2-ws-json, a sentence each.

    Takes a directory that holds ``messages/`` and ``schemas/``: itself, in ``s2-json-schema/``,
    or in a folder for each version. Raises FileNotFoundError where there are none.
    """
    versions = [path for path in directory.iterdir() if path.name in FOLDERS]
    differences: dict[tuple[str, str, str], list[str]] = {}
    for folder in sorted(versions) or [directory]:
        nested = folder / "s2-json-schema"
        theirs = _read(nested if nested.is_dir() else folder)
        if not theirs:
            raise FileNotFoundError(f"{folder} holds no S2 schemas: expected messages/ in it.")
        is_next = "messages/DDBC.PresentDemandStatus.schema.json" in theirs
        version = NEXT_VERSION if is_next else BASE
        ours = _read(SCHEMAS / version)
        for place in sorted(ours.keys() | theirs.keys()):
            name = f"{version}/{place}"
            if place not in ours or place not in theirs:
                yield f"{name} is only in {'ours' if place in ours else 'theirs'}."
                continue
            for path, keyword, our, their in _differences(ours[place], theirs[place], ""):
                difference = (keyword, _words(our), _words(their))
                differences.setdefault(difference, []).append(name + path)
    for (keyword, our, their), places in differences.items():
        reason = INTENDED.get((keyword, our, their))
        where = places[0] if len(places) == 1 else f"{places[0]} and {len(places) - 1} more"
        yield (
            f"{where}: {keyword} is {our} in ours, {their} in theirs"
            f"{f' (intended: {reason})' if reason else ''}."
        )


def _words(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)


def _read(directory: Path) -> dict[str, Any]:
    return {
        path.relative_to(directory).as_posix(): _meaning(json.loads(path.read_text("utf-8")))
        for part in ("messages", "schemas")
        for path in directory.glob(f"{part}/*.schema.json")
    }


def _meaning(schema: Any) -> Any:
    """A schema without what does not bear on what is valid."""
    if isinstance(schema, list):
        return sorted(schema, key=str)
    if not isinstance(schema, dict):
        return schema
    kept = {
        keyword: value
        for keyword, value in schema.items()
        if keyword not in ("$schema", "$id", "title", "description")
        and (keyword, value) != ("minItems", 0)
    }
    if "properties" in kept:
        kept["properties"] = {name: _meaning(item) for name, item in kept["properties"].items()}
    return {
        keyword: value if keyword == "properties" else _meaning(value)
        for keyword, value in kept.items()
    }


def _differences(ours: Any, theirs: Any, path: str) -> Iterator[tuple[str, str, Any, Any]]:
    for keyword in sorted(ours.keys() | theirs.keys()):
        our, their = ours.get(keyword), theirs.get(keyword)
        if isinstance(our, dict) and isinstance(their, dict):
            yield from _differences(our, their, f"{path}/{keyword}")
        elif our != their:
            yield path, keyword, our, their


def _check(wanted: dict[str, str], present: dict[str, str]) -> int:
    different = sorted(
        path for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path)
    )
    for path in different:
        print(f"schemas/{path} is not what scripts/build_schemas.py makes", file=sys.stderr)
    return 1 if different else 0


def main() -> int:
    """Write, check or compare; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare with schemas/")
    parser.add_argument("--compare", metavar="DIR", type=Path, help="a checkout of s2-ws-json")
    arguments = parser.parse_args()
    if arguments.compare:
        try:
            print("\n".join(compare(arguments.compare)) or "No difference.")
        except (OSError, ValueError) as fault:
            print(f"build_schemas: {fault}", file=sys.stderr)
            return 2
        return 0
    wanted = build()
    present = {
        path.relative_to(SCHEMAS).as_posix(): path.read_text(encoding="utf-8")
        for path in SCHEMAS.rglob("*.json")
    }
    if arguments.check:
        return _check(wanted, present)
    for path in present.keys() - wanted.keys():
        (SCHEMAS / path).unlink()
    for path, text in wanted.items():
        (SCHEMAS / path).parent.mkdir(parents=True, exist_ok=True)
        (SCHEMAS / path).write_text(text, encoding="utf-8")
    print(f"{len(wanted)} schemas in {SCHEMAS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
