"""What every command has in common: the exit status, and one line for every complaint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from s2_mitm import __version__
from s2_mitm.cli import CLOSED_PIPE, cli
from s2_mitm.s2.catalog import VERSIONS

COMMAND = [sys.executable, "-m", "s2_mitm.cli"]


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["--nonsense"],
        ["validate", "--nonsense"],
        ["validate", "--fail-on", "sometimes"],
        ["validate", "--version", "9.9"],
        ["validate", "missing.json"],
        ["validate", "--schemas", "missing"],
        ["rules", "schema.typo"],
        ["rules", "schema.type", "surplus"],
        ["messages", "--db", "missing.sqlite3"],
        ["messages", "--since", "yesterday"],
        ["messages", "--limit", "-1"],
        ["findings", "--severity", "dreadful"],
        ["sessions", "--sender", "me"],
        ["sessions", "surplus"],
        ["web"],
        ["web", "cem:8080"],
        ["dump", "-p", "9000"],
        ["demo", "--seconds", "0"],
        ["demo", "--seconds", "soon"],
    ],
)
def test_used_wrongly(args: list[str]) -> None:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("s2-mitm: ")
    assert result.stderr.count("\n") == 1


def test_an_unknown_version_is_told_the_known_ones() -> None:
    result = CliRunner().invoke(cli, ["validate", "--version", "9.9"])
    known = ", ".join(VERSIONS)
    assert result.stderr == f"s2-mitm: there is no S2 version '9.9'; there is {known}\n"


@pytest.mark.parametrize("command", ["validate", "check"])
@pytest.mark.parametrize("version", ["v0.0.2-beta", "1.0.0", "v1.0.0", "1.0.0-beta"])
def test_a_version_by_any_of_its_names(version: str, command: str, tmp_path: Path) -> None:
    of_1_0_0 = {
        "message_type": "DDBC.PresentDemandStatus",
        "message_id": "one",
        "present_demand_rate": {"start_of_range": 0, "end_of_range": 1},
    }
    line = {"sender": "RM", "time": 1.0, "message": of_1_0_0}
    file = tmp_path / "messages.json"
    file.write_text(json.dumps(of_1_0_0 if command == "validate" else line))

    result = CliRunner().invoke(cli, [command, "--version", version, str(file)])

    assert ("schema.unknown-message-type" in result.stdout) is ("0.0.2" in version)


def test_help_and_version() -> None:
    for args in ([], ["--help"]):
        result = CliRunner().invoke(cli, args)
        assert result.exit_code == 0
        assert "validate" in result.stdout
    for name in cli.commands:
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0
    assert CliRunner().invoke(cli, ["--version"]).stdout == f"s2-mitm {__version__}\n"


def test_help_does_not_wait_for_what_it_does_not_need() -> None:
    slow = "{'mitmproxy', 'sqlalchemy', 'rich', 's2python', 'jsonschema', 'jsonschema_rs'}"
    code = f"import sys, s2_mitm.cli; print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_complaint_of_the_real_program_has_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "sessions", "--db", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("s2-mitm: cannot read ")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_enough_is_no_reason_to_complain(tmp_path: Path) -> None:
    file = tmp_path / "many.json"
    file.write_text('{"message_type": "Handshake"}\n' * 2000)
    program = subprocess.Popen(
        [*COMMAND, "validate", str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout
    assert program.stderr
    program.stdout.readline()
    program.stdout.close()
    assert program.stderr.read() == b""
    program.stderr.close()
    assert program.wait(30) == CLOSED_PIPE
