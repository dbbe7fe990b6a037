"""What is committed in schemas/ is what scripts/build_schemas.py makes."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "build_schemas.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_schemas", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(script: ModuleType) -> dict[str, str]:
    files: dict[str, str] = script.build()
    return files


def committed() -> dict[str, str]:
    folder = ROOT / "schemas"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_files_are_committed(made: dict[str, str]) -> None:
    assert committed().keys() == made.keys()


def test_they_hold_the_same_text(made: dict[str, str]) -> None:
    present = committed()

    assert [name for name, text in made.items() if present.get(name) != text] == []


def test_every_file_is_a_json_schema(made: dict[str, str]) -> None:
    for text in made.values():
        jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_every_reference_leads_to_a_file(made: dict[str, str]) -> None:
    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [each for item in value.values() for each in references(item)]
        if isinstance(value, list):
            return [each for item in value for each in references(item)]
        return []

    for name, text in made.items():
        version = name.split("/")[0]
        for reference in references(json.loads(text)):
            assert reference.startswith("../schemas/")
            assert f"{version}/{reference.removeprefix('../')}" in made


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["build_schemas.py", *arguments])
    status: int = script.main()
    return status


def test_what_it_writes_passes_its_own_check(
    script: ModuleType,
    made: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script, "SCHEMAS", tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "gone.schema.json").write_text("{}")
    assert run(script, monkeypatch, "--check") == 1

    assert run(script, monkeypatch) == 0
    assert run(script, monkeypatch, "--check") == 0

    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")}
    assert written == made.keys()
    capsys.readouterr()


@pytest.mark.parametrize("change", ["edited", "deleted", "added"])
def test_the_check_names_what_differs(
    script: ModuleType,
    change: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script, "SCHEMAS", tmp_path)
    run(script, monkeypatch)
    name = "0.0.2-beta/schemas/ID.schema.json"
    match change:
        case "edited":
            (tmp_path / name).write_text((tmp_path / name).read_text() + " ")
        case "deleted":
            (tmp_path / name).unlink()
        case "added":
            name = "0.0.2-beta/schemas/More.schema.json"
            (tmp_path / name).write_text("{}")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    capsys.readouterr()

    assert run(script, monkeypatch, "--check") == 1

    assert capsys.readouterr().err.count(name) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
