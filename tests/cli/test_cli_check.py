"""``s2-mitm check``: recordings of all kinds, judged again."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conversations import CHARGING, HOME_BATTERY, S2_CONNECT, Play
from mitmproxy.flow import Flow
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.cli import cli
from s2_mitm.history.recorder import MessageRecord, Recorder, SessionStart
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.verdict import Role

FAULTY = CHARGING.replace("measured(3612, 3600, 3597)", "measured(3612, quantity='HEAT.FLOW_RATE')")
UNANSWERED = CHARGING.replace("measured(0, 0, 0)", 'rm("PowerMeasurement", answer=None)', 1)
"""The same conversation with one error, and with one warning that comes late."""


def check(*args: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["check", *map(str, args)], input=stdin)


def as_lines(script: str) -> str:
    """A conversation in JSON Lines, as little as there may be in each."""
    [wires] = Play().run(script).connections
    rows = (
        {"sender": str(wire.sender), "time": wire.time, "message": json.loads(wire.data)}
        for wire in wires
    )
    return "\n".join(map(json.dumps, rows))


def as_database(file: Path, *scripts: str, keep: slice = slice(None)) -> Path:
    """Conversations as the recorder writes them."""
    recorder = Recorder(str(file), print)
    for name, script in enumerate(scripts):
        [wires] = Play().run(script).connections
        session = f"session-{name}"
        recorder.session_opened(SessionStart(session, wires[0].time, "rm", "cem", "/", Role.RM))
        judge = Judge()
        for number, wire in list(enumerate(wires, 1))[keep]:
            verdict = judge.receive(wire.data, from_client=wire.sender is Role.RM, time=wire.time)
            recorder.message(MessageRecord(session, number, verdict, wire.data, False, False))
        recorder.session_closed(session, wires[-1].time, 1000, "", "RM")
    recorder.close()
    return file


def as_flows(file: Path, *scripts: str, others: tuple[Flow, ...] = ()) -> Path:
    """Conversations as mitmproxy saves them."""
    with file.open("wb") as opened:
        writer = FlowWriter(opened)
        for other in others:
            writer.add(other)
        for script in scripts:
            [wires] = Play().run(script).connections
            flow = tflow.twebsocketflow(messages=False)
            assert flow.websocket is not None
            flow.websocket.messages = [
                WebSocketMessage(Opcode.TEXT, wire.sender is Role.RM, wire.data, wire.time)
                for wire in wires
            ]
            flow.websocket.timestamp_end = wires[-1].time
            writer.add(flow)
    return file


def rows(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(params=["lines", "database", "flows"])
def faulty(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The conversation with an error, recorded in each of the ways."""
    file = tmp_path / "recorded"
    if request.param == "lines":
        file.write_text(as_lines(FAULTY))
        return file
    return as_database(file, FAULTY) if request.param == "database" else as_flows(file, FAULTY)


def test_only_a_flow_file_waits_for_mitmproxy(tmp_path: Path) -> None:
    lines, flows = tmp_path / "lines", as_flows(tmp_path / "flows", CHARGING)
    lines.write_text(as_lines(CHARGING))
    database = as_database(tmp_path / "database", CHARGING)
    code = """if True:
        import sys
        from s2_mitm.cli import cli
        for file in sys.argv[1:]:
            cli(["check", file], standalone_mode=False)
            print("mitmproxy" in sys.modules)
    """
    files = map(str, (lines, database, flows))
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True)
    assert done.stdout.splitlines()[2::3] == ["False", "False", "True"], done


def test_an_error(faulty: Path) -> None:
    result = check(faulty)
    assert result.exit_code == 1, result.output
    headline, message, finding, sums = result.stdout.splitlines()
    assert headline.startswith(f"{faulty} ")
    assert 'S2 PEBC · RM "Wallbox" · ' in headline
    assert headline.endswith(" messages, 1 error, 0 warnings")
    assert message.endswith("RM  PowerMeasurement INVALID")
    assert finding.startswith("    error measurement.not-promised /values/0/commodity_quantity: ")
    assert sums.startswith("1 session, ")
    assert sums.endswith(" messages, 1 invalid, 1 error, 0 warnings")


def test_an_error_for_programs(faulty: Path) -> None:
    result = check(faulty, "--json")
    assert result.exit_code == 1
    judged = rows(result)
    assert [row["seq"] for row in judged] == list(range(1, len(judged) + 1))
    assert {row["file"] for row in judged} == {str(faulty)}
    [wrong] = [row for row in judged if row["findings"]]
    assert not wrong["valid"]
    assert wrong["message_type"] == "PowerMeasurement"
    assert wrong["findings"][0]["code"] == "measurement.not-promised"
    assert len({row["session"] for row in judged}) == 1


def test_a_summary(faulty: Path) -> None:
    result = check(faulty, "--summary")
    assert result.exit_code == 1, result.output
    headline, group, when, sums = result.stdout.splitlines()
    assert headline.endswith(" messages, 1 error, 0 warnings")
    place = "RM PowerMeasurement /values/*/commodity_quantity"
    assert group == f"     1× error measurement.not-promised · {place}"
    assert when.lstrip().startswith("#27 at 12:30:05: HEAT.FLOW_RATE is not among")
    assert sums.startswith("1 session, ")
    [row] = rows(check(faulty, "--summary", "--json"))
    assert (row["count"], row["code"], row["first"]["number"]) == (
        1,
        "measurement.not-promised",
        "#27",
    )


def test_nothing_wrong(tmp_path: Path) -> None:
    files = [as_database(tmp_path / "db", CHARGING), as_flows(tmp_path / "flows", HOME_BATTERY)]
    result = check(*files)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("2 sessions, ")
    assert lines[2].endswith(" messages, 0 invalid, 0 errors, 0 warnings")


def test_every_message(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_text(as_lines(CHARGING))
    lines = check(file, "-v").stdout.splitlines()
    told = [line for line in lines if line.startswith(" ")]
    assert len(lines) - len(told) == 2 + len(file.read_text().splitlines())
    assert lines[1].endswith(" #1 RM  Handshake valid")
    assert lines[2] == "          · the RM speaks S2 0.0.2-beta"
    assert lines[3].endswith(" #2 CEM ReceptionStatus OK → Handshake valid")
    assert not any("S2 0.0.2-beta" in line for line in check(file).stdout.splitlines())
    assert rows(check(file, "-v", "--json"))[0]["meaning"] == "the RM speaks S2 0.0.2-beta"
    assert "meaning" not in rows(check(file, "--json"))[0]


def test_several_sessions(tmp_path: Path) -> None:
    result = check(as_database(tmp_path / "db", FAULTY, CHARGING, UNANSWERED))
    heads = [line for line in result.stdout.splitlines() if str(tmp_path) in line]
    assert [line.rpartition("messages, ")[2] for line in heads] == [
        "1 error, 0 warnings",
        "0 errors, 0 warnings",
        "0 errors, 1 warning",
    ]
    judged = rows(check(tmp_path / "db", "--json"))
    assert list(dict.fromkeys(row["session"] for row in judged)) == [
        "session-0",
        "session-1",
        "session-2",
    ]


def test_what_comes_late_is_with_its_message(tmp_path: Path) -> None:
    judged = rows(check(as_database(tmp_path / "db", UNANSWERED), "--json"))
    [row] = (row for row in judged if row["findings"])
    assert row["message_type"] == "PowerMeasurement"
    assert [finding["code"] for finding in row["findings"]] == ["ack.missing"]


def test_our_own_lines(tmp_path: Path) -> None:
    database = as_database(tmp_path / "db", FAULTY)
    lines = CliRunner().invoke(cli, ["messages", "--db", str(database), "--json"]).stdout
    result = check("-", stdin=lines)
    assert result.exit_code == 1
    assert result.stdout.startswith("stdin [session-] ")
    assert rows(check("-", "--json", stdin=lines)) == [
        {**row, "file": "-"} for row in rows(check(database, "--json"))
    ]


@pytest.mark.parametrize(
    ("args", "status"),
    [
        ([], 0),
        (["--fail-on", "warning"], 1),
        (["--fail-on", "info"], 1),
        (["--fail-on", "never", "--severity", "ack.missing=error"], 0),
        (["--severity", "ack.missing=error"], 1),
        (["--severity", "ack.*=error"], 1),
        (["--severity", "ack.*=error, ack.missing=info"], 0),
        (["--severity", "ack.*=error", "--severity", "ack.missing=info"], 0),
        (["--severity", "ack.missing=error", "--ignore", "ack.missing"], 0),
        (["--fail-on", "info", "--ignore", "ack.*"], 0),
        (["--fail-on", "info", "--ignore", "ids.*", "--ignore", "schema.type,ack.missing"], 0),
    ],
)
def test_what_matters(tmp_path: Path, args: list[str], status: int) -> None:
    file = tmp_path / "lines"
    file.write_text(as_lines(UNANSWERED))
    assert check(file, *args).exit_code == status


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (
            ["--ignore", "ack.mising"],
            "there is no finding with the code 'ack.mising'; did you mean 'ack.missing'?",
        ),
        (["--severity", "ack.missing"], "'ack.missing' has no severity: write ack.missing=info"),
        (
            ["--severity", "ack.missing=awful"],
            "there is no severity 'awful'; there is error, warning, info",
        ),
    ],
)
def test_unknown_codes(args: list[str], complaint: str) -> None:
    result = check("-", *args, stdin=as_lines(CHARGING))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"s2-mitm: {complaint}\n"


def test_a_version(tmp_path: Path) -> None:
    [wires] = Play().run(S2_CONNECT).connections
    lines = "\n".join(
        json.dumps({"sender": wire.sender, "time": wire.time, "content": wire.data.decode()})
        for wire in wires
    )
    assert check("-", "--version", "1.0.0-beta", stdin=lines).exit_code == 0
    assert "handshake.missing" in check("-", stdin=lines).stdout


def test_a_recording_without_its_beginning(tmp_path: Path) -> None:
    file = as_database(tmp_path / "db", CHARGING, keep=slice(30, None))
    result = check(file)
    assert result.exit_code == 0
    _, missing, *findings, _ = result.stdout.splitlines()
    assert missing == "    30 messages were not recorded: #1 to #30"
    assert sum("info handshake.not-seen" in line for line in findings) == 1
    assert not any(" error " in line or " warning " in line for line in findings)


def test_lines_without_their_beginning(tmp_path: Path) -> None:
    lines = as_lines(CHARGING).splitlines(keepends=True)
    rest = tmp_path / "rest.jsonl"
    rest.write_text("".join(lines[30:]))
    result = check(rest)
    assert result.exit_code == 0
    assert "info handshake.not-seen" in result.stdout
    assert not any(f" {severity} " in result.stdout for severity in ("error", "warning"))
    with_details = [*lines[:1], *lines[30:]]
    rest.write_text("".join(with_details))
    assert "handshake.not-seen" not in check(rest).stdout


def complaint_of(*args: object, stdin: str | bytes | None = None) -> str:
    result = check(*args, stdin=stdin)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("s2-mitm: ").removesuffix("\n")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert complaint_of(tmp_path / "none") == (
        f"cannot read {tmp_path / 'none'}: No such file or directory"
    )
    assert complaint_of(tmp_path) == f"cannot read {tmp_path}: Is a directory"
    assert complaint_of("-", stdin=" \n") == "stdin is empty"
    assert complaint_of("sqlite:///none.sqlite3").startswith("cannot read none.sqlite3")


def test_files_of_others(tmp_path: Path) -> None:
    file = tmp_path / "file"
    foreign = (
        f"{file} is neither a recording of s2-mitm, nor a flow file of mitmproxy, nor JSON Lines"
        " with sender and time"
    )
    for content in (b"\x89PNG\r\n", b"Hello", b"[1, 2]", b"\0" * 5000):
        file.write_bytes(content)
        assert complaint_of(file) == foreign
    file.write_text('{"message_type": "Handshake"}\n')
    assert complaint_of(file) == (
        f"{file}:1: a message without its sender and time; s2-mitm validate judges messages one by"
        " one"
    )
    file.write_text("{\n}")
    assert complaint_of(file).startswith(f"{file}:1: no JSON; ")
    file.write_bytes(b"SQLite format 3\0" + b"x" * 200)
    assert str(file) in complaint_of(file)


def test_files_without_a_conversation(tmp_path: Path) -> None:
    empty = as_database(tmp_path / "db")
    assert complaint_of(empty) == f"there is no S2 conversation in {empty}"
    web = as_flows(tmp_path / "flows", others=(tflow.tflow(resp=True), tflow.twebsocketflow()))
    assert complaint_of(web) == f"there is no S2 conversation in {web}"


def test_the_others_are_judged_all_the_same(tmp_path: Path) -> None:
    file = as_flows(tmp_path / "flows", FAULTY)
    result = check(tmp_path / "none", file)
    assert result.exit_code == 2
    assert "measurement.not-promised" in result.stdout
    assert result.stderr.count("\n") == 1


def test_a_flow_file_that_breaks_off(tmp_path: Path) -> None:
    file = as_flows(tmp_path / "flows", CHARGING, FAULTY)
    file.write_bytes(file.read_bytes()[:-1000])
    result = check(file)
    assert result.exit_code == 2
    assert result.stderr == f"s2-mitm: {file} breaks off after 1 flow\n"
    assert result.stdout.splitlines()[-1].startswith("1 session, ")


def test_no_file() -> None:
    result = check()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1


def test_what_came_over_the_wire_cannot_steer_the_terminal() -> None:
    lines = as_lines(CHARGING.replace("**CHARGER", '**{**CHARGER, "name": "\\x1b[2J\\r"}'))
    assert "\x1b" not in check("-", "-v", stdin=lines).stdout
    assert io.StringIO(check("-", "-v", stdin=lines).stdout).read().count("\r") == 0
