"""Metrics of a proxy while a conversation goes through it."""

from __future__ import annotations

import os
import re
import socket
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from messages import handshake, measurement
from peers import PeerServer
from prometheus_client.parser import text_string_to_metric_families
from proxies import Proxy, free_port, is_listening, run, running, running_mitmweb, until

Samples = dict[tuple[str, ...], float]


def scraped(proxy: Proxy, host: str = "127.0.0.1") -> Samples:
    ports = re.findall(r"metrics at http://\S+:(\d+)/metrics", proxy.output)
    assert ports, proxy.output
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{host}:{ports[-1]}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_conversation_is_counted_as_it_happens(server: PeerServer, tmp_path: Path) -> None:
    with running(tmp_path, server.port, s2_metrics="0") as proxy:
        assert scraped(proxy)["s2_sessions_total",] == 0
        with server.pair(proxy.url) as (rm, cem):
            for data in (handshake(), measurement(), measurement("57.3")):
                rm.send(data)
                cem.receive()
            cem.send(handshake("CEM"))
            rm.receive()
            samples = scraped(proxy)
            assert samples["s2_messages_total", "RM", "true"] == 2
            assert samples["s2_messages_total", "RM", "false"] == 1
            assert samples["s2_messages_total", "CEM", "true"] == 1
            assert samples["s2_findings_total", "schema.type", "error"] == 1
            assert samples["s2_sessions_total",] == 1
            assert samples["s2_sessions_open",] == 1
            assert samples["s2_hook_seconds_count",] == 4
            assert 0 < samples["s2_hook_seconds_sum",] < 60
            assert samples["process_resident_memory_bytes",] > 1e6
        until(lambda: scraped(proxy)["s2_sessions_open",] == 0, "the session is closed")
        assert scraped(proxy)["s2_sessions_total",] == 1


def test_what_is_found_late_is_counted(server: PeerServer, tmp_path: Path) -> None:
    with (
        running(tmp_path, server.port, s2_metrics="0", s2_ack_timeout=1, s2_ignore="") as proxy,
        server.pair(proxy.url) as (rm, _),
    ):
        rm.send(handshake())
        missing = ("s2_findings_total", "ack.missing", "warning")
        until(lambda: scraped(proxy).get(missing), "the missing answer is counted")


def test_other_websockets_are_not_counted(server: PeerServer, tmp_path: Path) -> None:
    with (
        running(tmp_path, server.port, s2_metrics="0") as proxy,
        server.pair(proxy.url) as (client, at_server),
    ):
        client.send(b"hello")
        at_server.receive()
        samples = scraped(proxy)
        assert samples["s2_sessions_open",] == 0
        assert samples["s2_hook_seconds_count",] == 0


def test_it_is_for_this_machine_unless_told_otherwise(server: PeerServer, tmp_path: Path) -> None:
    elsewhere = "127.0.0.2"
    with running(tmp_path, server.port, s2_metrics="0") as proxy:
        assert scraped(proxy)
        with pytest.raises(urllib.error.URLError):
            scraped(proxy, elsewhere)
    with running(tmp_path, server.port, s2_metrics="0.0.0.0:0") as proxy:
        assert scraped(proxy, elsewhere)


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_many_who_say_nothing_fill_nothing(server: PeerServer, tmp_path: Path) -> None:
    with running(tmp_path, server.port, s2_metrics="0") as proxy, ExitStack() as stack:
        scraped(proxy)
        # The recording is opened in a thread of its own.
        until(lambda: proxy.recording.rows("select id from recorders"), "the recorder is there")
        before = opened(proxy)
        port = int(re.findall(r"metrics at http://\S+:(\d+)/metrics", proxy.output)[-1])
        for _ in range(200):
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), 15)))
        assert opened(proxy) <= before + 2 * 10
        assert scraped(proxy)


def opened(proxy: Proxy) -> int:
    """How many files and threads the proxy has."""
    return sum(len(os.listdir(f"/proc/{proxy.pid}/{kind}")) for kind in ("fd", "task"))


def test_without_the_option_nobody_listens(server: PeerServer, tmp_path: Path) -> None:
    with running(tmp_path, server.port) as proxy:
        assert "metrics" not in proxy.output


def test_it_can_be_switched_while_traffic_flows(server: PeerServer, tmp_path: Path) -> None:
    with (
        running_mitmweb(tmp_path, server.port) as (proxy, web),
        server.pair(proxy.url) as (rm, cem),
    ):

        def say_something() -> None:
            rm.send(handshake())
            assert cem.receive() == rm.sent[-1]

        say_something()
        assert "error" not in web.call("set", "s2_metrics", "0")
        say_something()
        assert scraped(proxy)["s2_messages_total", "RM", "true"] == 1

        assert "s2_metrics is a port, such as 9464" in web.call("set", "s2_metrics", "x")["error"]
        say_something()
        assert scraped(proxy)["s2_sessions_open",] == 1, "it is as it was"

        assert "error" not in web.call("set", "s2_metrics", "")
        say_something()
        with pytest.raises(urllib.error.URLError):
            scraped(proxy)


def test_it_does_not_start_where_the_port_is_taken(tmp_path: Path) -> None:
    port = free_port()
    mode = ("--mode", "reverse:http://127.0.0.1:9", "--listen-host", "127.0.0.1", "-p", str(port))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, output = run(tmp_path, *mode, s2_metrics=address)
    assert status != 0
    assert not is_listening(port)
    assert "Traceback" not in output
    (sentence,) = (line for line in output.splitlines() if "s2-mitm: " in line)
    assert f"s2_metrics cannot be served at {address}: Address already in use; " in sentence
