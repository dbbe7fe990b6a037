"""No sentence of the specification is left without a rule, the schema or a reason."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

from s2_mitm.render.coverage import (
    BY_SCHEMA,
    IN_PART,
    NOT_SEEN,
    Covered,
    coverage,
    coverage_lines,
    read_statements,
)
from s2_mitm.s2.rules import RULES

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT.parent / "shared" / "spec" / "normative-statements.json"

NUMBERS = [f"N{number:02}" for number in range(1, 71)]
"""The published sentences of 0.0.2-beta."""


def statement(number: str, **fields: Any) -> dict[str, Any]:
    return {"id": number, "text": "A sentence.", "where": ["A/b", "A/b", "C/d"], **fields}


def test_a_statement_with_a_rule() -> None:
    [covered] = coverage([statement("N35")])
    assert covered.rules == ("state.control-type-not-offered",)
    assert covered.where == ("A/b", "C/d")
    assert not covered.reason
    assert covered.explained


def test_a_statement_with_a_reason() -> None:
    [covered] = coverage([statement("N33")])
    assert covered == Covered("N33", "A sentence.", ("A/b", "C/d"), (), "", NOT_SEEN["N33"])


def test_a_statement_that_the_schema_holds() -> None:
    [covered] = coverage([statement("N39")])
    assert covered.by_schema == BY_SCHEMA["N39"]
    assert covered.explained


def test_an_unknown_statement_is_unexplained() -> None:
    [covered] = coverage([{"id": "N99"}])
    assert not covered.explained
    assert covered.as_dict() == {
        "id": "N99",
        "rules": [],
        "schema": "",
        "reason": "",
        "part": "",
    }


def test_a_statement_of_which_a_part_is_checked() -> None:
    [covered] = coverage([statement("N40")])
    assert covered.part == covered.as_dict()["part"] == IN_PART["N40"]
    [line, last] = [click.unstyle(line) for line in coverage_lines([covered], 200)]
    assert line == f"N40  ddbc.no-transitions; in part: {IN_PART['N40']}"
    assert "1 held by rules, 0 by the schema alone (1 of them in part)" in last


def test_parts_are_named_of_what_is_checked_only() -> None:
    held = [item for item in coverage(map(statement, NUMBERS)) if item.rules or item.by_schema]
    assert IN_PART.keys() <= {item.id for item in held}


def test_every_published_number_is_explained() -> None:
    """Without the published file, which not every machine has."""
    assert [item.id for item in coverage(map(statement, NUMBERS)) if not item.explained] == []


def test_only_published_numbers_are_named() -> None:
    by_rules = {number for rules in RULES.values() for rule in rules for number in rule.statements}
    assert by_rules | BY_SCHEMA.keys() | NOT_SEEN.keys() <= set(NUMBERS)


def test_no_reason_is_out_of_date() -> None:
    """Where a rule or the schema checks a sentence, it needs no reason."""
    by_rules = {number for rules in RULES.values() for rule in rules for number in rule.statements}
    assert NOT_SEEN.keys() & (by_rules | BY_SCHEMA.keys()) == set()


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published sentences are not beside us")
def test_the_published_sentences() -> None:
    statements = read_statements(PUBLISHED.read_bytes(), str(PUBLISHED))
    assert [item["id"] for item in statements] == NUMBERS
    assert [item.id for item in coverage(statements) if not item.explained] == []


def test_lines_for_people() -> None:
    covered = coverage([statement("N35"), statement("N33"), statement("N39"), statement("N99")])
    lines = [click.unstyle(line) for line in coverage_lines(covered, 60)]
    assert all(len(line) <= 60 for line in lines[:-1])
    assert lines[0].startswith("N35  state.control-type-not-offered; in part: all but")
    assert any(line.startswith("N33  not seen: it is about several RMs") for line in lines)
    assert "N39  schema (at least one operation mode)" in lines
    assert lines[-3:] == [
        "N99  unexplained",
        "     A sentence.",
        "4 statements: 1 held by rules, 1 by the schema alone (1 of them in part),"
        " 1 cannot be seen, 1 unexplained",
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", 'holds no statements: it is to be a list of {"id": "N01", ...}'),
        (b'{"id": "N01"}', 'holds no statements: it is to be a list of {"id": "N01", ...}'),
        (b'[{"id": 1}]', 'holds no statements: it is to be a list of {"id": "N01", ...}'),
    ],
)
def test_files_that_hold_none(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "statements.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{file} {complaint}')}$"):
        read_statements(file.read_bytes(), str(file))


def test_a_file_with_one(tmp_path: Path) -> None:
    file = tmp_path / "statements.json"
    file.write_text(json.dumps([statement("N01")]))
    assert read_statements(file.read_bytes(), str(file)) == [statement("N01")]
