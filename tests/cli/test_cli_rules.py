"""``s2-mitm rules``: all kinds of findings, and what one means."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from s2_mitm.cli import cli
from s2_mitm.s2.finding_types import FindingType
from s2_mitm.s2.rules import FINDING_TYPES


def rules(*args: str, columns: int = 100) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(cli, ["rules", *args])


def test_the_list() -> None:
    result = rules()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for kind in FINDING_TYPES.values():
        [line] = [line for line in lines if line.startswith(f"  {kind.code} ")]
        assert line.split()[1] == kind.severity
        assert line.split(maxsplit=2)[2].split()[:5] == kind.title.split()[:5]
    headings = [line for line in lines if line and not line.startswith(" ")][:-1]
    assert [line.partition(":")[0] for line in headings] == list(
        dict.fromkeys(kind.family for kind in FINDING_TYPES.values())
    )


def test_a_narrow_list_is_whole() -> None:
    lines = rules(columns=70).stdout.splitlines()
    assert all(len(line) <= 70 for line in lines if line.startswith("  "))
    words = " ".join(" ".join(lines).split())
    assert all(word in words for kind in FINDING_TYPES.values() for word in kind.title.split())


@pytest.mark.parametrize("kind", FINDING_TYPES.values(), ids=lambda kind: kind.code)
def test_an_explanation(kind: FindingType) -> None:
    result = rules(kind.code)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"{kind.code} · {kind.severity}"
    assert lines[1] == kind.title
    words = " ".join(result.stdout.split())
    for text in (kind.meaning, kind.remedy, kind.origin):
        assert " ".join(text.split()) in words
    if kind.is_rule:
        assert all(f"  {line}" in lines for line in kind.wrong.decode().splitlines())
    else:
        assert (f"{kind.severity}[{kind.code}]: {kind.title}" in lines) == bool(kind.wrong)
    assert len(result.stdout) < 4000
    assert not set(result.stdout) & set("\x1b\t\r")


def test_the_place_in_the_example_is_underlined() -> None:
    assert " ^^^^^^ text " in rules("schema.type").stdout


def test_for_programs() -> None:
    listed = [json.loads(line) for line in rules("--json").stdout.splitlines()]
    assert [kind["code"] for kind in listed] == list(FINDING_TYPES)
    for kind in listed:
        assert json.loads(rules(kind["code"], "--json").stdout) == kind
        may_be_judged = bool(kind["wrong"]) and kind["source"] != "rule"
        assert may_be_judged == bool(kind["findings"])
        if kind["findings"]:
            assert kind["code"] in {finding["code"] for finding in kind["findings"]}


def test_an_unknown_code_is_told_the_nearest() -> None:
    result = rules("schema.mising")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "s2-mitm: there is no finding with the code 'schema.mising';"
        " did you mean 'schema.missing'?\n"
    )
    assert rules("zzz").stderr.endswith("; s2-mitm rules lists them all\n")
