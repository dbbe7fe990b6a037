"""What is not S2 passes as if the addon were not there."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from messages import handshake, measurement
from mitmproxy.http import HTTPFlow
from peers import PeerServer, Sent, new_path
from proxies import Proxy, running, until
from recordings import wire


@dataclass(frozen=True)
class Other:
    """A WebSocket that is none of our business, for the reason that its name says."""

    name: str
    said: list[bytes]
    is_text: bool = True

    def __str__(self) -> str:
        return self.name


def _ocpp(number: int) -> bytes:
    return json.dumps([2, str(number), "Heartbeat", {}]).encode()


OTHERS = [
    Other("chat", [b"hello", b"Handshake", b'"message_type": "Handshake"', b"\xff"]),
    Other("ocpp", [_ocpp(number) for number in range(5)]),
    Other(
        "another-message-type",
        [b'{"message_type": "subscribe"}', b'{"message_type": 7}', b'{"message_type": null}'],
    ),
    Other("s2-deeper-in-it", [b'{"topic": "s2", "payload": ' + handshake() + b"}"]),
    Other("binary", [b"\x01\x02message_type", bytes(range(256))], is_text=False),
]


def assert_untouched(flow: HTTPFlow) -> None:
    assert flow.marked == ""
    assert flow.comment == ""
    assert flow.metadata == {}


@pytest.fixture(scope="module")
def watched(
    server: PeerServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Proxy, dict[str, HTTPFlow]]:
    """A proxy through which passed what is not S2, and S2; and its flows by path, ``-w`` saved."""
    folder = tmp_path_factory.mktemp("watched")
    with running(folder, server.port, "-w", folder / "flows", s2_log="all") as proxy:
        for other in OTHERS:
            with server.pair(proxy.url, f"/{other}") as (client, at_server):
                for number, data in enumerate(other.said):
                    ends = (client, at_server) if number % 2 else (at_server, client)
                    ends[0].send(data, text=other.is_text)
                    assert ends[1].receive() == Sent(data, other.is_text)
        with server.pair(proxy.url, "/s2-at-last") as (rm, cem):
            for data in [*(_ocpp(number) for number in range(30)), handshake()]:
                rm.send(data)
                assert cem.receive() == Sent(data)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for method in ("GET", "HEAD"):
            url = f"http://127.0.0.1:{proxy.port}/plain-{method}"
            with opener.open(urllib.request.Request(url, method=method)) as answer:
                assert answer.status == 200
                assert answer.headers["X-Plain"] == "yes"
                body = b'{"message_type": "Handshake"}' if method == "GET" else b""
                assert answer.read() == body
        until(lambda: " closed: S2 " in proxy.output, "the S2 WebSocket is closed")
    return proxy, {flow.request.path: flow for flow in proxy.saved_flows()}


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_another_websocket_is_left_alone(
    watched: tuple[Proxy, dict[str, HTTPFlow]], other: Other
) -> None:
    _, flows = watched
    flow = flows[f"/{other}"]
    assert flow.websocket is not None
    assert [message.content for message in flow.websocket.messages] == other.said
    assert_untouched(flow)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_plain_http_is_left_alone(watched: tuple[Proxy, dict[str, HTTPFlow]], method: str) -> None:
    _, flows = watched
    assert_untouched(flows[f"/plain-{method}"])


def test_only_s2_is_recorded_and_spoken_of(watched: tuple[Proxy, dict[str, HTTPFlow]]) -> None:
    proxy, flows = watched
    s2 = flows["/s2-at-last"]
    assert s2.marked
    assert s2.comment.endswith(" 21 messages, 20 errors, 0 warnings")
    assert proxy.recording.rows("select id, path from sessions") == [
        {"id": s2.id, "path": s2.request.path}
    ]
    assert len(proxy.recording.messages(s2.request.path)) == 21
    assert proxy.recording.rows("select count(*) as n from messages") == [{"n": 21}]
    assert proxy.recording.rows("select distinct session_id from findings") == [
        {"session_id": s2.id}
    ]
    assert proxy.output.count(" S2 WebSocket ") == 1


def test_other_texts_before_do_not_hide_a_conversation(server: PeerServer, tmp_path: Path) -> None:
    """A peer cannot switch judging, recording and blocking off by what it says before."""
    path = new_path()
    invalid, hidden = measurement("57.3"), measurement().replace(b"message", b"mess\\u0061ge", 1)
    said = [*([b"ping"] * 20), handshake(), invalid, measurement()]
    with running(tmp_path, server.port, s2_block_invalid="true") as proxy:
        with server.pair(proxy.url, path) as (rm, cem):
            for data in said:
                rm.send(data)
        assert cem.receive_all() == [sent for sent in rm.sent if sent.data != invalid]
        with server.pair(proxy.url, path + "/escaped") as (rm, cem):
            for data in (*([b"ping"] * 20), hidden, invalid):
                rm.send(data)
        assert cem.receive_all() == rm.sent[:-1]
    messages = proxy.recording.messages(path)
    assert [wire(row) for row in messages] == said
    assert [row["valid"] for row in messages] == [0] * 20 + [1, 0, 1]
    assert [row["dropped"] for row in messages] == [0] * 21 + [1, 0]
    assert [wire(row) for row in proxy.recording.messages(path + "/escaped")][-2:] == [
        hidden,
        invalid,
    ]


def test_the_filter_narrows(server: PeerServer, tmp_path: Path) -> None:
    looked_at, not_looked_at = new_path() + "/wanted", new_path()
    with running(
        tmp_path,
        server.port,
        *("-w", tmp_path / "flows"),
        s2_filter="~u /wanted$",
        s2_block_invalid="true",
    ) as proxy:
        for path in (not_looked_at, looked_at):
            with server.pair(proxy.url, path) as (rm, cem):
                for data in (handshake(), measurement("57.3"), measurement()):
                    rm.send(data)
            expected = [rm.sent[0], rm.sent[2]] if path == looked_at else rm.sent
            assert cem.receive_all() == expected
    flows = {flow.request.path: flow for flow in proxy.saved_flows()}
    assert_untouched(flows[not_looked_at])
    assert flows[looked_at].marked == ":red_circle:"
    assert proxy.recording.rows("select path from sessions") == [{"path": looked_at}]
    assert len(proxy.recording.messages(looked_at)) == 3
