"""``s2-mitm prune``."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from s2_mitm.cli import cli
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.s2.verdict import Role, Verdict

DAY = 86_400.0


def record(recorder: Recorder, name: str, days: float, *, over: bool = True) -> None:
    moment = time.time() - days * DAY
    recorder.session_opened(SessionStart(name, moment, "peer:1", "cem", "/", Role.RM))
    verdict = Verdict(moment, Role.RM, {}, "T", "m", None, [])
    recorder.message(MessageRecord(name, 1, verdict, b"x" * 1000, False, False))
    if over:
        recorder.session_closed(name, moment + 1, 1000, "", "RM")


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A recorder that is at work in the working directory."""
    monkeypatch.chdir(tmp_path)
    recorder = Recorder("s2.sqlite3", print)
    record(recorder, "oldest", 60)
    record(recorder, "old", 40)
    record(recorder, "young", 2)
    record(recorder, "open", 50, over=False)
    assert recorder.flush(10)
    yield recorder
    recorder.close()


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["prune", *args])


def sessions() -> list[str]:
    with closing(sqlite3.connect("s2.sqlite3")) as connection:
        return [name for (name,) in connection.execute("select id from sessions order by id")]


def test_old_sessions_go_while_the_recording_is_written(recorder: Recorder) -> None:
    result = run("--keep", "30d")
    assert result.exit_code == 0, result.output
    assert result.output == "2 sessions with 2 messages went from s2.sqlite3, about 0.0 MB.\n"
    record(recorder, "new", 0)
    assert recorder.flush(10)
    assert sessions() == ["new", "open", "young"]


@pytest.mark.usefixtures("recorder")
def test_a_dry_run_only_says_what_would_go() -> None:
    result = run("--keep", "50d, 1GB", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("1 session with 1 message would go from s2.sqlite3")
    assert sessions() == ["old", "oldest", "open", "young"]


@pytest.mark.usefixtures("recorder")
def test_programs_get_the_figures() -> None:
    result = run("--keep", "1kB", "--json")
    gone = json.loads(result.output)
    assert (gone["sessions"], gone["messages"]) == (3, 3)
    assert gone["bytes"] > 3000
    assert sessions() == ["open"]


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "Missing option '--keep'"),
        (["--keep", "yesterday"], "'yesterday' does not say what to keep"),
        (["--keep", "1d", "--db", "nowhere.sqlite3"], "there is no such file"),
        (["--keep", "1d", "--db", "text"], "it is not an SQLite database"),
        (["--keep", "1d", "--db", "mysql://u:secret@h/d"], "neither SQLite nor PostgreSQL"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(args: list[str], complaint: str) -> None:
    Path("text").write_text("no database, but some text that is long enough")
    command = [sys.executable, "-m", "s2_mitm.cli", "prune", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
    assert not Path("nowhere.sqlite3").exists()


def test_a_recording_that_another_program_holds_is_left_as_it_is(recorder: Recorder) -> None:
    recorder.close()
    with closing(sqlite3.connect("s2.sqlite3", isolation_level=None)) as other:
        other.execute("begin immediate")
        result = run("--keep", "30d")
        other.execute("rollback")
    assert result.exit_code == 2
    assert "another program has locked it" in result.output
    assert sessions() == ["old", "oldest", "open", "young"]
