"""``s2-mitm sessions | messages | findings``, and where else recordings are read."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url

from s2_mitm.cli import cli
from s2_mitm.cli.recording import NEWEST
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict
from s2_mitm.s2.wording import printable

pytest_plugins = ["postgres_server"]

NOW = time.time()
HOSTILE = "[red]\x1b[2J\r\n"


def say(
    recorder: Recorder, seq: int, *findings: Finding, ago: float = 0, content: bytes = b'{"a": 1}'
) -> None:
    sender = Role.RM if seq % 2 else Role.CEM
    verdict = Verdict(NOW - ago, sender, {}, f"Type{seq}", f"m{seq}", None, list(findings))
    recorder.message(MessageRecord("0123456789", seq, verdict, content, False, False))


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A recorder that is at work in the working directory."""
    monkeypatch.chdir(tmp_path)
    recorder = Recorder("s2.sqlite3", print)
    recorder.session_opened(SessionStart("0123456789", NOW - 7200, "peer:1", "cem", "/", Role.RM))
    say(recorder, 1, ago=7200)
    say(recorder, 2, Finding("x.y", Severity.WARNING, Source.RULE, "/a", HOSTILE), ago=60)
    say(
        recorder,
        3,
        Finding("x.z", Severity.ERROR, Source.RULE, "/b", "bad", "Mend it."),
        content=b"\xff",
    )
    assert recorder.flush(10)
    yield recorder
    recorder.close()


def run(*args: str) -> Result:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 0, result.output
    return result


def rows(*args: str) -> list[Any]:
    return [json.loads(line) for line in run(*args, "--json").stdout.splitlines()]


@pytest.mark.usefixtures("recorder")
def test_tables_for_people() -> None:
    for name, count in {"sessions": 1, "messages": 3, "findings": 2}.items():
        assert len(run(name).stdout.splitlines()) == 1 + count
    assert "01234567" in run("sessions").stdout
    assert "Type3" in run("messages").stdout
    assert "INVALID" in run("messages").stdout


@pytest.mark.usefixtures("recorder")
def test_what_came_over_the_wire_is_shown_as_text() -> None:
    shown = run("findings").stdout
    assert r"[red]\u001b[2J\u000d\u000a" in shown
    assert "\x1b" not in shown


@pytest.mark.usefixtures("recorder")
def test_json_for_programs() -> None:
    first, second, third = rows("messages")
    assert first["content"] == '{"a": 1}'
    assert first["findings"] == []
    assert (first["valid"], third["valid"]) == (True, False)
    assert second["findings"][0]["text"] == printable(HOSTILE)
    assert third["content"] is None
    assert b64decode(third["content_base64"]) == b"\xff"
    assert [row["id"] for row in rows("sessions")] == ["0123456789"]
    assert [row["opcode"] for row in (first, second, third)] == ["text"] * 3
    assert [row["code"] for row in rows("findings")] == ["x.y", "x.z"]
    assert [row["hint"] for row in rows("findings")] == ["", "Mend it."]
    assert third["findings"][0]["hint"] == "Mend it."


def test_what_messages_mean(recorder: Recorder) -> None:
    say(recorder, 4, content=b'{"message_type": "HandshakeResponse", "message_id": "m4"}')
    say(recorder, 5, content=b'{"message_type": "ReceptionStatus", "subject_message_id": "m4"}')
    assert recorder.flush(10)
    assert [row["meaning"] for row in rows("messages")] == [
        *("", "", ""),
        "no version",
        "no status → HandshakeResponse",
    ]
    # Also of what is shown alone.
    assert [row["meaning"] for row in rows("messages", "--limit", "1")] == [
        "no status → HandshakeResponse"
    ]
    assert run("messages").stdout.splitlines()[-1].endswith(" no status → HandshakeResponse")


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], [1, 2, 3]),
        (["--session", "0123"], [1, 2, 3]),
        (["--type", "Type1", "--type", "Type3"], [1, 3]),
        (["--sender", "cem"], [2]),
        (["--severity", "error"], [3]),
        (["--severity", "warning"], [2, 3]),
        (["--code", "x.y"], [2]),
        (["--since", "1h"], [2, 3]),
        (["--until", "1h"], [1]),
        (["--since", "2999-01-01"], []),
        (["--limit", "2"], [2, 3]),
        (["--limit", "0"], [1, 2, 3]),
    ],
)
def test_messages_are_narrowed(args: list[str], expected: list[int]) -> None:
    assert [row["seq"] for row in rows("messages", *args)] == expected


def test_a_summary_folds_what_is_found_again(recorder: Recorder) -> None:
    for seq in (5, 7):
        say(recorder, seq, Finding("x.z", Severity.ERROR, Source.RULE, "/b/3", "bad"))
    assert recorder.flush(10)
    lines = run("findings", "--summary").stdout.splitlines()
    assert [line for line in lines if "×" in line] == [
        "     1× error x.z · RM Type3 /b",
        "     1× error x.z · RM Type5 /b/*",
        "     1× error x.z · RM Type7 /b/*",
        "     1× warning x.y · CEM Type2 /a",
    ]
    assert lines[-1].endswith(f": {printable(HOSTILE)}")
    assert [row["count"] for row in rows("findings", "--summary", "--code", "x.y")] == [1]


@pytest.mark.usefixtures("recorder")
def test_nothing_fits() -> None:
    result = run("findings", "--code", "none")
    assert (result.stdout, result.stderr) == ("", "Nothing that was recorded fits.\n")
    assert run("findings", "--code", "none", "--json").output == ""


def test_a_table_has_the_newest_and_says_that_there_are_more(recorder: Recorder) -> None:
    for seq in range(4, NEWEST + 10):
        say(recorder, seq)
    assert recorder.flush(10)
    result = run("messages")
    shown = result.stdout.splitlines()
    assert len(shown) == 1 + NEWEST
    assert f"Type{NEWEST + 9} " in shown[-1]
    assert result.stderr == f"The newest {NEWEST}; --limit 0 shows all.\n"
    assert len(run("messages", "--limit", "0").stdout.splitlines()) == NEWEST + 10
    assert len(rows("messages")) == NEWEST + 9
    exact = run("messages", "--limit", str(NEWEST + 9))
    assert exact.stderr == ""


@pytest.mark.usefixtures("recorder")
def test_a_session_that_is_not_there() -> None:
    for more in ([], ["--json"]):
        result = CliRunner().invoke(cli, ["messages", "--session", "zzz", *more])
        assert result.exit_code == 2
        assert result.stderr.startswith("s2-mitm: no session in s2.sqlite3 has an id that begins")
        assert result.stderr.count("\n") == 1


def test_a_recording_elsewhere(tmp_path: Path) -> None:
    Recorder(str(tmp_path / "other.db"), print).close()
    assert run("sessions", "--db", str(tmp_path / "other.db"), "--json").output == ""


@pytest.mark.usefixtures("recorder")
def test_a_row_is_a_line_in_a_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "s2_mitm.cli", "findings"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "40", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert len(done.stdout.splitlines()) == 3
    assert "bad" in done.stdout.splitlines()[-1]


def test_a_recording_on_a_server_is_read_by_every_command(postgres_url: str) -> None:
    recorder = Recorder(postgres_url, print)
    recorder.session_opened(SessionStart("0123456789", NOW, "peer:1", "cem", "/", Role.RM))
    say(recorder, 1, content=b'{"message_type": "Handshake"}')
    say(recorder, 2, Finding("x.y", Severity.WARNING, Source.RULE, "/a", HOSTILE))
    say(recorder, 3, content=b"\xff")
    recorder.close()
    assert len(run("sessions", "--db", postgres_url).stdout.splitlines()) == 2
    shown = rows("messages", "--db", postgres_url, "--session", "0123")
    assert [row["seq"] for row in shown] == [1, 2, 3]
    assert b64decode(shown[2]["content_base64"]) == b"\xff"
    assert [row["text"] for row in rows("findings", "--db", postgres_url)] == [printable(HOSTILE)]
    url = make_url(postgres_url)
    place = f"postgresql://{url.username}@{url.host}"
    for command, said in {
        ("check", postgres_url): place,
        ("check", postgres_url, "--json"): f'"file": "{place}',
        (
            "sessions",
            "--db",
            postgres_url,
            "--session",
            "zz",
        ): f"no session in {place}",
    }.items():
        result = CliRunner().invoke(cli, command)
        assert result.exit_code in (1, 2)
        assert said in result.output
        assert str(url.password) not in result.output
        assert quote(str(url.password), safe="") not in result.output


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    for command in (["sessions", "--db"], ["check"]):
        result = CliRunner().invoke(cli, [*command, "postgresql://me:secret@127.0.0.1:1/s2"])
        assert result.exit_code == 2
        assert "no server answers at 127.0.0.1, port 1" in result.stderr
        assert "secret" not in result.stderr
        assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("recorder")
def test_which_proxy_saw_a_session_and_what_was_lost_is_in_the_json() -> None:
    [session] = rows("sessions")
    assert session["proxy"] is None
    assert session["lost"] == 0
