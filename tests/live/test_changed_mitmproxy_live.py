"""On a mitmproxy whose internals are others, the traffic flows and is recorded.

A name is another throughout mitmproxy's source, as where its authors had renamed it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from messages import handshake, measurement
from peers import PeerServer, Sent, new_path
from proxies import running, until
from recordings import wire

from s2_mitm.proxy.patches.table import PATCHES

CHANGED = Path(__file__).with_name("changed.py")

MSG = [
    [
        r"def msg\(self, data: bytes, message_finished: bool\)",
        r"def msg(self, data, finished, last)",
    ],
    [r"message_finished=message_finished", "message_finished=finished"],
    [r"(yield self\.msg\(content\[.*\], (?:True|False))\)", r"\1, None)"],
]


def renamed(name: str) -> list[list[str]]:
    return [[rf"\b{name}\b", f"{name}_of_tomorrow"]]


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        (renamed("_paused_event_queue"), ["pacing"]),
        (renamed("timeout_watchdog"), ["fast_path", "idle"]),
        (renamed("lookup"), ["output", "fast_path"]),
        (MSG, ["frames", "pacing"]),
        (renamed("connections"), ["pacing", "idle"]),
        (renamed("transports"), ["pacing", "idle"]),
        (renamed("_termlog_addon"), ["output"]),
        (renamed("should_exit"), []),
        # Without it nothing that a WebSocket passes through can be tried before it is needed.
        (
            renamed("WebsocketLayer"),
            ["deflate", "closing", "frames", "masking", "delivery", "pacing"],
        ),
    ],
    ids=lambda each: "".join(re.findall(r"\w{5,}", str(each))[:1]) or "nothing",
)
def test_the_traffic_flows(
    server: PeerServer, tmp_path: Path, changes: list[list[str]], left_out: list[str]
) -> None:
    path, said, answer = new_path(), [handshake(), measurement()], handshake("CEM")
    line = [sys.executable, str(CHANGED), json.dumps(changes)]
    with (
        running(tmp_path, server.port, program=line) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        for data in said:
            rm.send(data)
            assert cem.receive() == Sent(data)
        cem.send(answer)
        assert rm.receive() == Sent(answer)
        rows = until(
            lambda: rows if len(rows := proxy.recording.messages(path)) == 3 else None,
            "all is recorded",
        )
    assert list(map(wire, rows)) == [*said, answer]
    sentences = [line for line in proxy.output.splitlines() if "s2-mitm runs on " in line]
    for patch in PATCHES:
        named = [sentence for sentence in sentences if f"'{patch.name}'" in sentence]
        assert len(named) == (patch.name in left_out), proxy.output
        assert all(patch.lost in sentence for sentence in named)
