"""Whatever a command is given to read, or to write to: one sentence, exit status 2, no traceback.

Each in a process of its own, for it is about what a process may do: wait, and end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.io import tnetstring
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from sqlalchemy import text
from wsproto.frame_protocol import Opcode

from s2_mitm.cli.files import MAX_BYTES
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.history.target import database_of
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict

NOON = 1_772_366_400.0
READING = [("validate",), ("check",), ("rules", "--coverage")]


def run(folder: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    more.setdefault("stdin", subprocess.DEVNULL)
    more.setdefault("stdout", subprocess.PIPE)
    line = more.pop("shell_line", None)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment |= more.pop("environment", {})
    return subprocess.run(
        ["bash", "-c", line] if line else [sys.executable, "-m", "s2_mitm.cli", *arguments],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        check=False,
        timeout=120,
        **more,
    )


def complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one sentence of a command that was used wrongly."""
    said = done.stderr.decode()
    assert done.returncode == 2, said
    (sentence,) = said.splitlines()
    assert sentence.startswith("s2-mitm: ")
    return sentence


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    recorder = Recorder(str(tmp_path / "s2.sqlite3"), print)
    recorder.session_opened(SessionStart("s1", NOON, "a:1", "b:2", "/", Role.RM))
    finding = Finding("x.y", Severity.ERROR, Source.RULE, "", "… 電池")
    verdict = Verdict(NOON, Role.RM, {}, "Handshake", "m1", None, [finding])
    content = b'{"message_type":"Handshake"}'
    recorder.message(MessageRecord("s1", 1, verdict, content, injected=False, dropped=False))
    recorder.close()
    return tmp_path / "s2.sqlite3"


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_device_that_never_ends_is_not_read(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "no regular file" in complaint(run(tmp_path, *command, "/dev/zero"))


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_pipe_that_nobody_writes_into_is_not_waited_for(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "pipe is a pipe: let it be standard input" in complaint(run(tmp_path, *command, "pipe"))


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, command: tuple[str, ...]) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert "is larger than 512 MB" in complaint(run(tmp_path, *command, "large.json"))


@pytest.mark.parametrize("command", ["validate", "check"])
def test_standard_input_that_never_ends_is_read_to_a_bound(tmp_path: Path, command: str) -> None:
    with open("/dev/zero", "rb") as zeros:
        said = complaint(run(tmp_path, command, "-", stdin=zeros))
    assert "stdin is larger than 512 MB" in said


def test_a_pipe_of_the_shell_is_read(tmp_path: Path) -> None:
    """``<(…)``, which is a name under /dev/fd."""
    command = f"{sys.executable} -m s2_mitm.cli validate <(echo '{{}}')"
    done = run(tmp_path, shell_line=command)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"schema.no-message-type" in done.stdout


def test_a_folder_with_pipes_and_loops_in_it_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "again").symlink_to(folder)
    (folder / "round.json").symlink_to(folder / "round.json")
    (folder / "m.json").write_text("{}")
    done = run(tmp_path, "validate", "folder")
    assert "pipe.json is a pipe" in complaint(done)
    assert b"schema.no-message-type" in done.stdout


@pytest.mark.parametrize("command", ["sessions", "messages", "findings"])
@pytest.mark.parametrize("limit", ["99999999999999999999", str(2**63 - 1), "9" * 5000, "-1", "x"])
def test_a_limit_that_no_database_counts_to(recording: Path, command: str, limit: str) -> None:
    assert "'--limit'" in complaint(run(recording.parent, command, "--limit", limit))


def flow_file(folder: Path, **changed: Any) -> str:
    """A flow file with one S2 conversation, of which some of the state is something else."""
    flow = tflow.twebsocketflow()
    assert flow.websocket is not None
    message = WebSocketMessage(Opcode.TEXT, True, b'{"message_type":"Handshake"}')
    flow.websocket.messages = [message]
    if "timestamp" in changed:
        message.timestamp = changed.pop("timestamp")
    (folder / "flows").write_bytes(tnetstring.dumps({**flow.get_state(), **changed}))
    return "flows"


@pytest.mark.parametrize("changed", [{"a_new_field": 1}, {"version": 999}], ids=str)
def test_a_flow_of_a_newer_mitmproxy_is_told(tmp_path: Path, changed: dict[str, Any]) -> None:
    said = complaint(run(tmp_path, "check", flow_file(tmp_path, **changed)))
    assert "flow 1 of flows is one that mitmproxy " in said
    assert said.endswith("perhaps of a newer one")


@pytest.mark.parametrize("timestamp", [1e300, float("nan"), float("-inf"), -1e15])
def test_a_flow_with_a_time_that_is_none(tmp_path: Path, timestamp: float) -> None:
    complaint(run(tmp_path, "check", flow_file(tmp_path, timestamp=timestamp)))


def test_a_recording_with_a_time_that_is_none(recording: Path) -> None:
    engine = database_of(str(recording)).open_for_writing()
    with engine.begin() as connection:
        connection.execute(text("update messages set timestamp = 'noon'"))
    engine.dispose()
    assert "is none: noon" in complaint(run(recording.parent, "check", str(recording)))


COMMANDS = [
    ("findings",),
    ("messages", "--json"),
    ("sessions",),
    ("rules", "schema.type"),
    ("check", "s2.sqlite3"),
    ("prune", "--keep", "1d", "--dry-run"),
    ("--help",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_disk_that_is_full_under_the_output_is_told(
    recording: Path, command: tuple[str, ...]
) -> None:
    with open("/dev/full", "wb") as full:
        done = run(recording.parent, *command, stdout=full)
    assert "No space left on device" in complaint(done)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("command", [*COMMANDS, ("validate",), ("check", "-")], ids=" ".join)
def test_a_stream_that_is_closed_is_no_trouble(
    recording: Path, command: tuple[str, ...], closed: str
) -> None:
    line = f"{sys.executable} -m s2_mitm.cli {' '.join(command)} {closed}"
    done = run(recording.parent, shell_line=line)
    assert b"Traceback" not in done.stderr
    assert done.returncode in (0, 1, 2)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_what_the_terminal_has_no_letters_for_is_written_as_an_escape(
    recording: Path, command: tuple[str, ...], encoding: str
) -> None:
    done = run(recording.parent, *command, environment={"PYTHONIOENCODING": encoding})
    assert b"Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    assert done.stdout.decode(encoding)
