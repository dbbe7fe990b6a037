"""``s2-mitm validate``: files into messages, messages into verdicts, verdicts into a status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.cli import Document, cli, documents

GOOD = (
    '{"message_type": "Handshake", "message_id": "b6b4fa9b-1d3a-4a5f-9d1a-0a5a8f0b7a11",'
    ' "role": "CEM"}'
)
BAD = GOOD.replace('"CEM"', "17")
TWICE = GOOD.replace('"role"', '"role": "RM", "role"')


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "messages.json"


def validate(*args: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["validate", *map(str, args)], input=stdin)


def judged(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_one_good_message(file: Path) -> None:
    file.write_text(GOOD)
    result = validate(file)
    assert result.exit_code == 0
    heading, sums = result.stdout.splitlines()
    assert heading == f"{file} Handshake valid"
    assert sums == "1 message, 0 invalid, 0 errors, 0 warnings"


def test_one_bad_message(file: Path) -> None:
    file.write_text(BAD)
    result = validate(file)
    assert result.exit_code == 1
    heading, finding, *_, sums = result.stdout.splitlines()
    assert heading == f"{file} Handshake INVALID"
    assert "error" in finding
    assert "/role" in finding
    assert sums == "1 message, 1 invalid, 1 error, 0 warnings"


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


def test_an_array(file: Path) -> None:
    file.write_text(f"[ {GOOD},\n{BAD} , {TWICE}]\n")
    result = validate("--json", file)
    verdicts = judged(result)
    assert [verdict["index"] for verdict in verdicts] == [0, 1, 2]
    assert [verdict["valid"] for verdict in verdicts] == [True, False, False]
    assert "duplicate" in verdicts[2]["findings"][0]["code"], "only its own text shows that"
    assert f"{file}[1] Handshake INVALID" in validate(file).stdout


def test_json_lines(file: Path) -> None:
    file.write_text(f"{GOOD}\n\n{BAD}\r\nnonsense\n")
    result = validate("--json", file)
    verdicts = judged(result)
    assert [verdict["line"] for verdict in verdicts] == [1, 3, 4]
    assert [verdict["valid"] for verdict in verdicts] == [True, False, False]
    assert verdicts[2]["message_type"] is None
    people = validate(file).stdout
    assert f"{file}:3 Handshake INVALID" in people
    assert people.splitlines()[-1].startswith("3 messages, 2 invalid, ")


@pytest.mark.parametrize("args", [[], ["-"]])
def test_standard_input(args: list[str]) -> None:
    result = validate(*args, stdin=f"{GOOD}\n{BAD}\n")
    assert result.exit_code == 1
    assert "stdin:2 Handshake INVALID" in result.stdout
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


def test_unreadable_files(tmp_path: Path) -> None:
    for name in (tmp_path / "missing", tmp_path):
        result = validate(name)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"s2-mitm: cannot read {name}: ")
        assert result.stderr.count("\n") == 1


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


# How a file is cut into messages


def test_a_message_over_several_lines_is_one() -> None:
    text = json.dumps(json.loads(GOOD), indent=2).encode()
    assert list(documents(text)) == [Document(text)]


def test_a_broken_message_over_several_lines_is_one() -> None:
    text = b'{\n  "values": [\n    {"value": 1}\n    {"value": 2}\n  ]\n}\n'
    assert list(documents(text)) == [Document(text)]


def test_a_cut_off_last_or_first_line_does_not_hide_the_others() -> None:
    assert [document.line for document in documents(b'{"a": 1}\n{"b": ')] == [1, 2]
    assert [document.line for document in documents(b'": 1}\n{"b": 2}\n')] == [1, 2]


def test_a_line_ends_at_a_line_feed_only() -> None:
    line = '{"a": "\u2028\x0b\x85"}'.encode()
    assert [document.data for document in documents(line + b"\n" + line)] == [line, line]


def test_a_byte_order_mark_is_of_the_file() -> None:
    assert list(documents(b"\xef\xbb\xbf" + GOOD.encode())) == [Document(GOOD.encode())]


def test_an_empty_array_has_no_messages() -> None:
    assert list(documents(b" [ ] ")) == []


@pytest.mark.parametrize("text", [b"[1,]", b"[,]", b"[1 2]", b"[1]]", b"[1] x", b"[", b"[1,"])
def test_a_broken_array_is_one_message(text: bytes) -> None:
    assert list(documents(text)) == [Document(text)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.lists(json_values), st.sampled_from([None, 2]), st.booleans())
def test_any_array_is_cut_into_its_items(
    items: list[Any], indent: int | None, escaped: bool
) -> None:
    text = json.dumps(items, indent=indent, ensure_ascii=escaped).encode(errors="replace")
    found = list(documents(text))
    assert [document.index for document in found] == list(range(len(items)))
    again = b"[" + b",".join(document.data for document in found) + b"]"
    assert repr(json.loads(again)) == repr(json.loads(text))


@given(st.lists(st.dictionaries(st.text(), json_values), min_size=2), st.booleans())
def test_any_lines_are_cut_into_lines(items: list[Any], escaped: bool) -> None:
    lines = [json.dumps(item, ensure_ascii=escaped).encode(errors="replace") for item in items]
    found = list(documents(b"\n".join(lines)))
    assert [document.data for document in found] == lines
    assert [document.line for document in found] == list(range(1, len(lines) + 1))


@given(st.binary())
def test_no_bytes_are_lost_on_the_way(data: bytes) -> None:
    found = list(documents(data))
    if found and found[0].line is None and found[0].index is None:
        assert found == [Document(data.removeprefix(b"\xef\xbb\xbf"))]
