"""The same verdict in a file of ``-w``, the recording, the terminal and the metrics of mitmdump."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from messages import handshake, measurement, select_control_type
from one_verdict import Recorded, assert_one_verdict
from peers import PeerServer, new_path
from proxies import Proxy, running, until

from s2_mitm.proxy import contentview
from s2_mitm.s2.conversation.settings import Settings

INVALID, MEASUREMENT, SELECTION = measurement("57.3"), measurement(), select_control_type()


def _scraped(proxy: Proxy) -> dict[str, int]:
    (url,) = re.findall(r"metrics at (http://\S+)", proxy.output)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: int(float(count))
        for name, _, count in (line.rpartition(" ") for line in lines)
        if name.startswith(("s2_messages_total", "s2_findings_total"))
    }


@pytest.mark.parametrize(
    "options",
    [
        {"s2_block_invalid": "true", "s2_keep_messages": "2"},
        {"s2_ignore": "ack.*,schema.unknown-message-type", "s2_severity": "schema.type=warning"},
    ],
    ids=lambda options: ",".join(options),
)
def test_there_is_one_verdict_wherever_one_looks(
    server: PeerServer, tmp_path: Path, options: dict[str, str]
) -> None:
    path = new_path()
    more: dict[str, Any] = {"s2_ignore": "ack.*", "s2_log": "all", "s2_metrics": "0", **options}
    with running(tmp_path, server.port, "-w", tmp_path / "flows", **more) as proxy:
        with server.pair(proxy.url, path) as (rm, cem):
            rm.send(handshake())
            rm.send(INVALID)
            rm.send(b'{"message_type": "Hello"}')
            rm.send(MEASUREMENT)
            while cem.receive().data != MEASUREMENT:
                pass
            cem.send(b"not JSON")
            cem.send(SELECTION)
            while rm.receive().data != SELECTION:
                pass
        until(lambda: " closed: " in proxy.output, "the session is closed")
        metrics = _scraped(proxy)
    messages = proxy.recording.messages(path)
    assert [row["seq"] for row in messages] == list(range(1, 7))
    assert any(row["dropped"] for row in messages) is ("s2_block_invalid" in options)

    (flow,) = proxy.saved_flows()
    assert flow.websocket is not None
    views = [
        "\n".join(line.text for line in contentview.lines(each.content, flow, each, Settings()))
        for each in flow.websocket.messages
    ]
    findings = [{**found, "seq": row["seq"]} for row in messages for found in row["findings"]]
    assert_one_verdict(
        Recorded(messages, findings), flow, views, proxy.output.splitlines(), metrics
    )
