"""``s2-mitm rules --coverage``: what is done about each sentence of the specification."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from s2_mitm.cli import cli


def cover(*args: object) -> Result:
    return CliRunner().invoke(cli, ["rules", "--coverage", *map(str, args)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "statements.json"
    file.write_text(json.dumps([{"id": "N35"}, {"id": "N39"}, {"id": "N33"}]))
    return file


def test_all_is_explained(file: Path) -> None:
    result = cover(file)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].startswith("N35  state.control-type-not-offered; in part:")
    assert result.stdout.endswith(" 0 unexplained\n")


def test_one_is_not(file: Path) -> None:
    file.write_text(json.dumps([{"id": "N35"}, {"id": "N99"}]))
    result = cover(file)
    assert result.exit_code == 1
    assert "N99  unexplained" in result.stdout


def test_for_programs(file: Path) -> None:
    result = cover(file, "--json")
    assert result.exit_code == 0
    first, _, third = map(json.loads, result.stdout.splitlines())
    assert first == {
        "id": "N35",
        "rules": ["state.control-type-not-offered"],
        "schema": "",
        "reason": "",
        "part": "all but NO_SELECTION, which ends a control type and need not be offered",
    }
    assert third["reason"]


@pytest.mark.parametrize("content", [None, "[", "{}"])
def test_files_that_are_something_else(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)
    result = cover(file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert str(file) in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_code_besides(file: Path) -> None:
    result = cover(file, "schema.type")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "s2-mitm: give a CODE or --coverage, not both\n"
