from __future__ import annotations

from io import BytesIO, TextIOWrapper
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from s2_mitm.render.tables import findings_table, messages_table, sessions_table

SESSION: dict[str, Any] = {
    "id": "0123456789abcdef",
    "started_at": "2026-11-21T12:00:00.123456Z",
    "ended_at": None,
    "client_address": "10.0.0.2:40001",
    "server_address": "cem:8080",
    "path": "/s2",
    "client_role": "RM",
    "rm_id": "battery-1",
    "cem_id": None,
    "protocol_version": "0.0.2-beta",
    "control_type": "FILL_RATE_BASED_CONTROL",
    "close_code": 1001,
    "close_reason": "going away",
    "closed_by": "CEM",
    "proxy": "lab-1",
    "messages": 12,
    "lost": 0,
    "errors": 1,
    "warnings": 0,
}
FINDING: dict[str, Any] = {
    "timestamp": "2026-11-21T12:00:00.123456Z",
    "session_id": "0123456789abcdef",
    "seq": 7,
    "sender": None,
    "message_type": "PowerMeasurement",
    "severity": "error",
    "code": "schema.type",
    "path": "/value",
    "text": "text, expected a number",
}
MESSAGE: dict[str, Any] = {
    "timestamp": "2026-11-21T12:00:00.123456Z",
    "session_id": "0123456789abcdef",
    "seq": 7,
    "sender": "RM",
    "message_type": "PowerMeasurement",
    "message_id": "m7",
    "valid": False,
    "injected": True,
    "dropped": True,
    "reception_status": "INVALID_DATA",
    "reception_delay_ms": 12.6,
    "findings": [FINDING, {**FINDING, "severity": "warning"}, FINDING],
    "meaning": "1,480 W",
}


def shown(table: RenderableType, width: int = 1000) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def line(table: RenderableType) -> str:
    return " ".join(shown(table).splitlines()[1].split())


def test_a_session_is_a_line() -> None:
    assert line(sessions_table([SESSION])) == (
        "01234567 2026-11-21 12:00:00.123 RM 10.0.0.2:40001 /s2 battery-1 "
        "FILL_RATE_BASED_CONTROL 12 1 0 by CEM 1001 going away"
    )


def test_the_proxy_is_named_where_there_are_several() -> None:
    unknown = {**SESSION, "proxy": None}
    assert "lab-1" not in shown(sessions_table([SESSION, SESSION, unknown]))
    table = shown(sessions_table([SESSION, {**SESSION, "proxy": "lab-2"}, unknown]))
    assert table.splitlines()[0].split().count("proxy") == 1
    assert [name in table for name in ("lab-1", "lab-2")] == [True, True]


def test_lost_messages_are_counted_where_there_are_any() -> None:
    assert "lost" not in shown(sessions_table([SESSION]))
    heading, line, other = shown(sessions_table([{**SESSION, "lost": 77}, SESSION])).splitlines()
    assert "messages  lost  errors" in heading
    assert "12 77 1 0 by CEM" in " ".join(line.split())
    assert "12 0 1 0 by CEM" in " ".join(other.split())


def test_a_message_is_a_line() -> None:
    assert line(messages_table([MESSAGE])) == (
        "2026-11-21 12:00:00.123 01234567 7 RM PowerMeasurement m7 INVALID "
        "2 errors, 1 warning INVALID_DATA 13 ms injected, dropped 1,480 W"
    )


def test_what_messages_mean_stands_below_their_lines() -> None:
    rows = [MESSAGE, {**MESSAGE, "meaning": ""}, {**MESSAGE, "meaning": "long " * 20}]
    for encoding in ("utf-8", "latin-1"):
        console = Console(
            file=TextIOWrapper(BytesIO(), encoding),
            width=400,
            force_terminal=True,
            color_system=None,
        )
        with console.capture() as captured:
            console.print(messages_table(rows, below=True))
        heading, first, told, second, third, last = captured.get().splitlines()
        assert heading.split()[:3] == ["time", "(UTC)", "session"]
        assert [" PowerMeasurement " in line for line in (first, second, third)] == [True] * 3
        assert (told.rstrip(), last.rstrip()) == ("    1,480 W", "    " + ("long " * 20).rstrip())


def test_in_a_narrow_terminal_they_are_as_wide_as_the_table() -> None:
    text = "Battery inverter → charge at 0.6: 3,000 W (3-phase), +5.4 %/h, at once; and more of it"
    narrow = shown(messages_table([{**MESSAGE, "meaning": text}], below=True), width=80)
    *_, above, below = narrow.splitlines()
    assert above.startswith("    Battery inverter → charge at 0.6: 3,000 W (3-phase), +5.4 %/h, at")
    assert below.startswith("    ")
    assert all(len(each) <= 80 for each in narrow.splitlines())


def test_a_finding_is_a_line() -> None:
    assert line(findings_table([FINDING])) == (
        "2026-11-21 12:00:00.123 01234567 7 PowerMeasurement error schema.type /value "
        "text, expected a number"
    )


def test_markup_from_the_wire_is_text() -> None:
    text = "[red]no[/red] [link=x]y[/link] :smile: [/]"
    assert text in shown(findings_table([{**FINDING, "text": text}]))


def test_nothing_is_cut_off_in_a_narrow_terminal() -> None:
    narrow = shown(findings_table([{**FINDING, "text": "x" * 200}]), width=80)
    assert narrow.count("x") >= 200


@given(st.text())
@settings(deadline=None)
def test_what_comes_over_the_wire_stays_in_its_cell(text: str) -> None:
    hostile = {key: text for key, value in SESSION.items() if isinstance(value, str)}
    tables = [
        sessions_table([{**SESSION, **hostile}]),
        messages_table([{**MESSAGE, "message_type": text, "message_id": text, "sender": text}]),
        messages_table([{**MESSAGE, "meaning": text}]),
        findings_table([{**FINDING, **dict.fromkeys(("message_type", "path", "text"), text)}]),
    ]
    for table in tables:
        output = shown(table, width=100_000)
        assert output.count("\n") == 2
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in output if char != "\n")
