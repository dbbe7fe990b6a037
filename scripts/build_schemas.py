#!/usr/bin/env python3
"""Make schemas/ from the models that s2-python generates from the S2 specification.

pydantic turns the models into JSON Schema; what it gets wrong, or what the published schemas leave
open by oversight, is put right here, in `_corrected` and in the two places that it calls. The
sentences of the specification (titles and descriptions) stay where they are published.

    scripts/build_schemas.py             write schemas/
    scripts/build_schemas.py --check     exit 1 when schemas/ is not what would be written
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from s2python.generated import gen_s2

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
VERSION = "0.0.2-beta"

Schema = dict[str, Any]


def build() -> dict[str, str]:
    """All schema files: path below schemas/ → text."""
    models = [
        model
        for _, model in inspect.getmembers(gen_s2, inspect.isclass)
        if issubclass(model, BaseModel) and "message_type" in model.model_fields
    ]
    definitions = models_json_schema([(model, "validation") for model in models])[1]["$defs"]
    files = {}
    for name, definition in definitions.items():
        schema = _corrected(definition)
        message_type = schema.get("properties", {}).get("message_type", {}).get("const")
        place = f"messages/{message_type}" if message_type else f"schemas/{_wire_name(name)}"
        text = json.dumps({"$schema": DRAFT, **schema}, indent=2, ensure_ascii=False)
        files[f"{VERSION}/{place}.schema.json"] = text + "\n"
    return files


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


def main() -> int:
    """Write or check schemas/; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args().check
    wanted = build()
    present = {
        path.relative_to(SCHEMAS).as_posix(): path.read_text(encoding="utf-8")
        for path in SCHEMAS.rglob("*.json")
    }
    if check:
        different = sorted(
            path for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path)
        )
        for path in different:
            print(f"schemas/{path} is not what scripts/build_schemas.py makes", file=sys.stderr)
        return 1 if different else 0
    for path in present.keys() - wanted.keys():
        (SCHEMAS / path).unlink()
    for path, text in wanted.items():
        (SCHEMAS / path).parent.mkdir(parents=True, exist_ok=True)
        (SCHEMAS / path).write_text(text, encoding="utf-8")
    print(f"{len(wanted)} schemas in {SCHEMAS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
