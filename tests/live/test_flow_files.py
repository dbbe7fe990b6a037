"""A saved flow keeps what was said of it, and can be read and judged again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from messages import handshake, measurement, resource_manager_details, select_control_type
from mitmproxy import flowfilter
from mitmproxy.http import HTTPFlow
from peers import PeerServer
from proxies import run, running, running_mitmweb, saved_flows
from recordings import Recording

FAULTY, GOOD, CHAT = "/faulty", "/good", "/chat"


@pytest.fixture(scope="module")
def file(server: PeerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The flows of a faulty and a good S2 WebSocket, and of another."""
    folder = tmp_path_factory.mktemp("flow-files")
    with running(folder, server.port, "-w", folder / "flows", s2_db="") as proxy:
        with server.pair(proxy.url, FAULTY) as (rm, cem):
            for data in (
                b"\xff",
                handshake(),
                resource_manager_details("Battery \x1b[31m 🔋"),
                measurement("57.3", unit="W"),
            ):
                rm.send(data)
                cem.receive()
            cem.send(select_control_type())
            rm.receive()
        with server.pair(proxy.url, GOOD) as (rm, cem):
            rm.send(handshake())
            cem.receive()
        with server.pair(proxy.url, CHAT) as (rm, cem):
            rm.send(b"hello")
            cem.receive()
    yield folder / "flows"
    assert list(folder.glob("*.sqlite3")) == []


def test_mitmweb_shows_what_was_said_of_it(server: PeerServer, file: Path, tmp_path: Path) -> None:
    with running_mitmweb(tmp_path, server.port, "-r", file, s2_db="") as (_, web):
        flow = web.flow(FAULTY)
        shown = web.shown(FAULTY)
        chat = web.shown(CHAT)
    assert flow["marked"] == "🔴"
    assert flow["comment"].startswith("S2 FRBC · RM ")
    assert [text.splitlines()[0] for text in shown] == [
        "# RM (no message type): INVALID",
        "# RM Handshake: valid",
        "# RM ResourceManagerDetails: valid",
        "# RM PowerMeasurement: INVALID",
        "# CEM SelectControlType: valid",
    ]
    assert '"unit": "W"  # <-- ' in shown[3]
    assert chat == ["hello"]


def _flows(file: Path) -> dict[str, HTTPFlow]:
    return {flow.request.path: flow for flow in saved_flows(file)}


def test_a_flow_carries_marker_comment_and_findings(file: Path) -> None:
    flow = _flows(file)[FAULTY]
    assert flow.marked == ":red_circle:"
    assert flow.comment == (
        r'S2 FRBC · RM "Battery \u001b[31m 🔋" (client) · CEM (server)'
        " · 5 messages, 3 errors, 0 warnings"
    )
    found = [
        (each["message"], each["sender"], each["message_type"], each["code"], each["path"])
        for each in flow.metadata["s2_findings"]
    ]
    assert found == [
        (1, "RM", "", "json.not-utf8", ""),
        (4, "RM", "PowerMeasurement", "schema.unknown-field", "/values/0/unit"),
        (4, "RM", "PowerMeasurement", "schema.type", "/values/0/value"),
    ]
    value = flow.metadata["s2_findings"][2]
    assert (value["severity"], value["source"]) == ("error", "schema")
    assert value["text"].startswith('text "57.3", expected a number')


def test_a_flow_without_findings_says_so(file: Path) -> None:
    flow = _flows(file)[GOOD]
    assert flow.marked == ":green_circle:"
    assert flow.comment == "S2 · RM (client) · CEM (server) · 1 message, 0 errors, 0 warnings"
    assert "s2_findings" not in flow.metadata


@pytest.mark.parametrize(
    ("filter_", "selected"),
    [
        ("~marked", [FAULTY, GOOD]),
        ("~marker red_circle", [FAULTY]),
        ('~comment "Battery"', [FAULTY]),
        ("~comment FRBC", [FAULTY]),
        ('~comment " 0 errors"', [GOOD]),
        ("~meta schema.type", [FAULTY]),
        ("~meta s2_findings", [FAULTY]),
        ("~meta json.not-utf8", [FAULTY]),
        ("~meta schema.enum", []),
        ("~websocket & !~marked", [CHAT]),
    ],
)
def test_mitmproxys_own_filters_select_it(file: Path, filter_: str, selected: list[str]) -> None:
    matches = [path for path, flow in _flows(file).items() if flowfilter.match(filter_, flow)]
    assert matches == selected


def test_a_filter_selects_from_a_file(file: Path, tmp_path: Path) -> None:
    status, output = run(
        tmp_path, "-nr", file, "-w", tmp_path / "selected", "~meta schema.type", s2_db=""
    )
    assert status == 0
    assert list(_flows(tmp_path / "selected")) == [FAULTY]
    assert "PowerMeasurement INVALID" in output
    assert output.count(" S2 WebSocket ") == 1


def test_reading_a_file_prints_the_verdicts_and_records_nothing(file: Path, tmp_path: Path) -> None:
    status, output = run(tmp_path, "-nr", file, "-w", tmp_path / "again", flow_detail="0")
    assert status == 0
    lines = [line.strip() for line in output.splitlines()]
    verdicts = [line for line in lines if line.endswith((" valid", " INVALID"))]
    assert [line.split("] ", 1)[1] for line in verdicts] == [
        "RM  (no message type) INVALID",
        "RM  PowerMeasurement INVALID",
    ]
    assert any(
        line.startswith('error schema.type /values/0/value: text "57.3", expected a number')
        for line in lines
    )
    assert output.count(" S2 WebSocket ") == 2
    assert output.count(" closed: ") == 2
    assert "Traceback" not in output
    assert "\x1b" not in output

    recording = Recording(tmp_path / "s2.sqlite3")
    for table in ("sessions", "messages", "findings"):
        assert recording.rows(f"select * from {table}") == []

    before, after = _flows(file), _flows(tmp_path / "again")
    assert after.keys() == before.keys()
    for path, flow in after.items():
        assert (flow.marked, flow.comment) == (before[path].marked, before[path].comment)
        assert flow.metadata == before[path].metadata
