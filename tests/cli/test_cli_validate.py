"""``s2-mitm validate``: files into messages, messages into verdicts, verdicts into a status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from s2_mitm.cli import cli
from s2_mitm.cli.validate import FEW
from s2_mitm.s2.message import validation
from s2_mitm.s2.verdict import Verdict

ROOT = Path(__file__).parents[2]

GOOD = (
    '{"message_type": "Handshake", "message_id": "b6b4fa9b-1d3a-4a5f-9d1a-0a5a8f0b7a11",'
    ' "role": "CEM"}'
)
BAD = GOOD.replace('"CEM"', "17")
BY_THEMSELVES = " (each by itself; see s2-mitm check)"
TWICE = GOOD.replace('"role"', '"role": "RM", "role"')


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "messages.json"


def validate(*args: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(cli, ["validate", *map(str, args)], input=stdin)


def judged(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_one_good_message(file: Path) -> None:
    file.write_text(GOOD)
    result = validate(file)
    assert result.exit_code == 0
    heading, sums = result.stdout.splitlines()
    assert heading == f"{file} Handshake valid"
    assert sums == "1 message, 0 invalid, 0 errors, 0 warnings" + BY_THEMSELVES


def test_one_bad_message(file: Path) -> None:
    file.write_text(BAD)
    result = validate(file)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "error[schema.type]: A value of the wrong JSON type",
        f" --> {file}:1:93 Handshake /role",
        "   |",
        f" 1 | {BAD}",
        "   | " + " " * 92 + "^^",
        "   |" + " " * 72 + "number 17, expected text",
        "",
        "1 message, 1 invalid, 1 error, 0 warnings" + BY_THEMSELVES,
    ]


def test_for_programs(file: Path) -> None:
    file.write_text(BAD)
    result = validate("--json", file)
    assert result.exit_code == 1
    [verdict] = judged(result)
    assert {key: verdict[key] for key in ("file", "message_type", "valid")} == {
        "file": str(file),
        "message_type": "Handshake",
        "valid": False,
    }
    [finding] = verdict["findings"]
    assert finding["path"] == "/role"
    assert finding["severity"] == "error"
    assert (finding["line"], finding["column"]) == (1, 93)


def test_a_summary(tmp_path: Path) -> None:
    file = tmp_path / "messages.jsonl"
    wrong = {"message_type": "FRBC.StorageStatus", "message_id": "m1", "present_fill_level": "5"}
    file.write_text((json.dumps(wrong) + "\n") * 3)
    result = validate(file, "--summary")
    assert result.exit_code == 1
    assert "     3× error schema.type · FRBC.StorageStatus /present_fill_level" in result.stdout
    assert "messages.jsonl:1 to " in result.stdout
    assert result.stdout.count("schema.type") == 1
    groups = judged(validate(file, "--summary", "--json"))
    assert (3, "schema.type") in [(group["count"], group["code"]) for group in groups]


def test_the_rules_that_need_nothing_but_the_message_are_asked(file: Path) -> None:
    file.write_text(GOOD.replace("CEM", "RM"))
    result = validate("--json", file)
    assert result.exit_code == 1
    [verdict] = judged(result)
    assert not verdict["valid"]
    assert [finding["code"] for finding in verdict["findings"]] == ["handshake.no-versions"]
    file.write_text(
        '{"message_type": "ReceptionStatus", "subject_message_id": "never-sent", "status": "OK"}'
    )
    assert validate(file).exit_code == 0


def test_the_help_says_which_rules_are_not_asked() -> None:
    assert "s2-mitm check" in " ".join(validate("--help").stdout.split())


def test_an_array(file: Path) -> None:
    file.write_text(f"[ {GOOD},\n{BAD} , {TWICE}]\n")
    result = validate("--json", file)
    verdicts = judged(result)
    assert [verdict["index"] for verdict in verdicts] == [0, 1, 2]
    assert [verdict["valid"] for verdict in verdicts] == [True, False, True]
    assert "duplicate" in verdicts[2]["findings"][0]["code"], "only its own text shows that"
    lines = [[finding["line"] for finding in verdict["findings"]] for verdict in verdicts]
    assert lines == [[], [2], [2]]
    people = validate(file).stdout
    assert f"{file}[0] Handshake valid\n" in people
    assert f"--> {file}:2:93 [1] Handshake /role\n" in people


def test_json_lines(file: Path) -> None:
    file.write_text(f"{GOOD}\n\n{BAD}\r\nnonsense\n")
    result = validate("--json", file)
    verdicts = judged(result)
    assert [verdict["line"] for verdict in verdicts] == [1, 3, 4]
    assert [verdict["valid"] for verdict in verdicts] == [True, False, False]
    assert verdicts[2]["message_type"] is None
    people = validate(file).stdout
    assert f"{file}:1 Handshake valid\n" in people
    assert f"--> {file}:3:93 Handshake /role\n" in people
    assert f"--> {file}:4:1\n" in people
    assert people.splitlines()[-1].startswith("3 messages, 2 invalid, ")


@pytest.mark.parametrize("args", [[], ["-"]])
def test_standard_input(args: list[str]) -> None:
    result = validate(*args, stdin=f"{GOOD}\n{BAD}\n")
    assert result.exit_code == 1
    assert "--> stdin:2:93 Handshake /role\n" in result.stdout
    assert [v["file"] for v in judged(validate("--json", *args, stdin=GOOD))] == ["-"]


def test_several_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(GOOD)
    (tmp_path / "b").write_text(BAD)
    result = validate(tmp_path / "a", tmp_path / "b", "-", stdin=GOOD)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith("3 messages, 1 invalid")


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"hello", b"hello\nworld\n", b"\xff\xfe\x00", b"[1, 2", b"[" * 5000, b"\x00" * 99],
)
def test_what_is_not_json_is_one_bad_message(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    result = validate("--json", file)
    assert result.exit_code == 1
    [verdict] = judged(result)
    assert not verdict["valid"]
    assert verdict["findings"][0]["source"] == "json"


def test_an_unreadable_file_does_not_keep_the_others_from_being_judged(tmp_path: Path) -> None:
    (tmp_path / "good").write_text(GOOD)
    (tmp_path / "bad").write_text(BAD)
    for fail_on in ("error", "never"):
        arguments = ["--fail-on", fail_on, tmp_path / "good", tmp_path / "none", tmp_path / "bad"]
        result = validate(*arguments)
        assert result.exit_code == 2
        assert result.stderr == (
            f"s2-mitm: cannot read {tmp_path / 'none'}: No such file or directory\n"
        )
        assert result.stdout.splitlines()[-1].startswith("2 messages, 1 invalid")


def test_many_unreadable_files_are_one_complaint(tmp_path: Path) -> None:
    result = validate(*(tmp_path / str(number) for number in range(9)))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("; and 6 more\n")


# Directories


def test_a_directory_with_all_that_is_in_it(tmp_path: Path) -> None:
    for name in ("b.json", "a/2.ndjson", "a/1.JSONL", "a/notes.txt", "c/d/e.json", "json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(GOOD)
    result = validate("--json", tmp_path, tmp_path / "a" / "notes.txt")
    assert result.exit_code == 0
    names = ["a/1.JSONL", "a/2.ndjson", "b.json", "c/d/e.json", "a/notes.txt"]
    assert [verdict["file"] for verdict in judged(result)] == [str(tmp_path / n) for n in names]


def test_a_directory_without_messages(tmp_path: Path) -> None:
    result = validate(tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"s2-mitm: no file in {tmp_path} ends in .json, .jsonl, .ndjson\n"


# Versions and schemas


def test_a_message_is_held_against_the_version_that_it_came_with() -> None:
    new = '{"message_type": "DDBC.PresentDemandStatus"}'
    [verdict] = judged(validate("--json", stdin=new))
    assert {finding["code"] for finding in verdict["findings"]} == {"schema.missing"}
    [verdict] = judged(validate("--json", "--version", "0.0.2-beta", stdin=new))
    assert [finding["code"] for finding in verdict["findings"]] == ["schema.unknown-message-type"]


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    directory = tmp_path / "schemas-of-ones-own"
    (directory / "messages").mkdir(parents=True)
    (directory / "messages" / "Ping.schema.json").write_text('{"required": ["count"]}')
    (directory / "messages" / "Broken.schema.json").write_text("{")
    (directory / "messages" / "Odd.schema.json").write_text('{"type": "nonsense"}')
    (directory / "messages" / "Lost.schema.json").write_text('{"$ref": "../schemas/ID"}')
    return directory


def test_schemas_of_ones_own(schemas: Path) -> None:
    [verdict] = judged(validate("--json", "--schemas", schemas, stdin='{"message_type": "Ping"}'))
    assert [finding["code"] for finding in verdict["findings"]] == ["schema.missing"]


@pytest.mark.parametrize("message_type", ["Broken", "Odd", "Lost"])
def test_a_schema_that_is_none_is_one_line(schemas: Path, message_type: str) -> None:
    messages = f'{GOOD}\n{{"message_type": "{message_type}"}}\n'
    result = validate("--schemas", schemas, stdin=messages)
    assert result.exit_code == 2
    assert result.stderr.startswith("s2-mitm: ")
    assert message_type in result.stderr or "ID.schema.json" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["missing", ".", "file"])
def test_a_directory_without_schemas_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text(GOOD)
    result = validate("--schemas", tmp_path / name, stdin=GOOD)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"s2-mitm: {tmp_path / name} holds no S2 schemas")
    assert result.stderr.count("\n") == 1


# Few and many


def test_the_valid_are_named_while_they_are_few() -> None:
    few, many = validate(stdin=f"{GOOD}\n" * FEW), validate(stdin=f"{GOOD}\n" * (FEW + 1))
    assert few.stdout.count("Handshake valid\n") == FEW
    assert many.stdout == f"{FEW + 1} messages, 0 invalid, 0 errors, 0 warnings{BY_THEMSELVES}\n"
    verbose = validate("--verbose", stdin=f"{GOOD}\n" * (FEW + 1))
    assert verbose.stdout.count("Handshake valid\n") == FEW + 1


def test_the_first_verdicts_are_there_before_the_last_message_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge, seen = validation.judge, []

    def judge_and_look(data: bytes, **options: Any) -> Verdict:
        seen.append(sys.stdout.tell())
        return judge(data, **options)

    monkeypatch.setattr(validation, "judge", judge_and_look)
    validate("--json", stdin=f"{GOOD}\n" * 3)
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    ("fail_on", "status"), [("error", 1), ("warning", 1), ("info", 1), ("never", 0)]
)
def test_what_fails(fail_on: str, status: int) -> None:
    assert validate("--fail-on", fail_on, stdin=BAD).exit_code == status
    assert validate("--fail-on", fail_on, stdin=GOOD).exit_code == 0


def test_what_a_message_says_does_not_reach_the_terminal_raw() -> None:
    hostile = json.dumps({"message_type": "\x1b[2J\r\n[red]", "x\x07": 1}, ensure_ascii=False)
    for text in (hostile, hostile.encode().decode("unicode_escape")):
        shown = validate(stdin=text).stdout
        assert not set(shown) & {"\x1b", "\r", "\x07"}


def test_the_real_program_in_a_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "s2_mitm.cli", "validate", "--json"],
        input=f"[{GOOD}, {BAD}]",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert [json.loads(line)["valid"] for line in done.stdout.splitlines()] == [True, False]
    assert done.stderr == ""


# In a terminal


def in_terminal(*args: object, columns: int = 80) -> tuple[int, str]:
    """What a terminal gets when stdout and stderr are both that, and the exit status."""
    main, program_side = os.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "s2_mitm.cli", "validate", *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=program_side,
        stderr=program_side,
        env={"TERM": "xterm", "COLUMNS": str(columns), "PYTHONPATH": str(ROOT)},
    )
    os.close(program_side)
    shown = b""
    while True:
        try:
            shown += (more := os.read(main, 65536))
        except OSError:  # the end, on Linux
            break
        if not more:
            break
    os.close(main)
    return program.wait(30), shown.decode()


def test_colours(file: Path) -> None:
    file.write_text(BAD)
    status, shown = in_terminal(file)
    assert status == 1
    assert "\x1b[31m\x1b[1merror[schema.type]\x1b[0m" in shown
    lines = click.unstyle(shown).splitlines()
    assert all(len(line) <= 80 for line in lines[2:])


def test_a_bar_while_it_takes_long(file: Path) -> None:
    file.write_text(f"{GOOD}\n" * 60_000)
    status, shown = in_terminal(file)
    assert status == 0
    assert "%" in shown
    assert "60000 messages, 0 invalid, 0 errors, 0 warnings" in click.unstyle(shown)
