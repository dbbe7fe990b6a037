"""``s2-mitm rules CODE --run``: both examples of a finding type, and what is found in them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from s2_mitm.cli import cli
from s2_mitm.s2.finding_types import FindingType
from s2_mitm.s2.rules import FINDING_TYPES

README = Path(__file__).parents[2] / "README.md"


def rules(*args: str, columns: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(cli, ["rules", *args])


@pytest.mark.parametrize("finding_type", FINDING_TYPES.values(), ids=lambda each: each.code)
def test_the_wrong_example_gives_it_and_the_right_one_does_not(finding_type: FindingType) -> None:
    code = finding_type.code
    result = rules(code, "--run")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:2] == [f"{code} · {finding_type.severity}", finding_type.title]
    assert not set(result.stdout) & set("\x1b\t\r")
    if not finding_type.wrong:
        assert "no example" in lines[-1]
        return
    wrong, right = (lines.index(f"The {which} example") for which in ("wrong", "right"))
    found = [
        number for number, line in enumerate(lines) if f"{finding_type.severity} {code}" in line
    ]
    assert any(wrong < number < right for number in found)
    assert not any(number > right for number in found)
    last = " ".join(lines[-4:])
    assert f"The wrong example gives {code}" in last
    assert re.search(rf"The right example gives (nothing|no {re.escape(code)}, only [^.]+\.)", last)
    # The examples themselves are not wrapped, so that they can be copied.
    rest = re.sub(r"(?m)^The (wrong|right) example$(\n  .*)+", "", result.stdout)
    assert all(len(line) <= 80 for line in rest.splitlines())


def test_a_finding_stands_with_its_message() -> None:
    lines = rules("ack.late", "--run").stdout.splitlines()
    [found] = [number for number, line in enumerate(lines) if "info ack.late: answered" in line]
    assert [line for line in lines[:found] if line[0:1].isdigit()][-1].endswith(
        "#9  RM  PowerMeasurement valid"
    )


def test_a_binary_frame_can_be_seen() -> None:
    assert rules("json.binary", "--run").stdout.count("(in a binary WebSocket frame)") == 1


def test_run_for_programs() -> None:
    messages = [
        json.loads(line) for line in rules("ack.late", "--run", "--json").stdout.splitlines()
    ]
    found: dict[str, set[str]] = {"wrong": set(), "right": set()}
    for message in messages:
        assert message["code"] == "ack.late"
        found[message["example"]] |= {finding["code"] for finding in message["findings"]}
    assert found == {"wrong": {"ack.late"}, "right": set()}
    assert [each["seq"] for each in messages if each["example"] == "wrong"] == list(range(1, 11))
    assert (
        rules("ack.late", "--run", "--json").stdout == rules("ack.late", "--run", "--json").stdout
    )
    assert rules("schema.other", "--run", "--json").stdout == ""


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["--run"], "--run plays the examples of one finding: give its CODE"),
        (["--run", "--coverage", "statements.json"], "give --run or --coverage, not both"),
        (["ack.laet", "--run"], "did you mean 'ack.late'?"),
    ],
)
def test_run_used_wrongly(args: list[str], complaint: str) -> None:
    result = rules(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr


def test_the_readme_runs_one() -> None:
    [line] = re.findall(r"^s2-mitm (rules .* --run)$", README.read_text("utf-8"), re.MULTILINE)
    result = CliRunner().invoke(cli, line.split())
    assert result.exit_code == 0
    assert "The wrong example gives " in result.stdout
