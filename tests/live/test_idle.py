"""A WebSocket may be silent; what is not one, or has a peer that is gone, comes to an end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from impatient import running_with_little_patience
from messages import handshake, measurement
from mitmproxy.options import Options
from peers import PeerServer, Sent, new_path
from proxies import Proxy, free_port, running, until
from raw import (
    CLOSE,
    PING,
    PONG,
    REQUEST,
    TEXT,
    RawServer,
    frame,
    open_websocket,
    read_to_end,
    swallow,
)

A_WHILE = 2.5
"""Seconds: longer than the timeout, and than the time after which it is looked at again."""


def plain_http(proxy: Proxy) -> socket.socket:
    """A connection with an answered request, that is kept alive."""
    connection = socket.create_connection(("127.0.0.1", proxy.port), 15)
    connection.sendall(b"GET /plain HTTP/1.1\r\nHost: proxy\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    return connection


def half_a_request(proxy: Proxy) -> socket.socket:
    """A connection with half of a WebSocket's handshake."""
    connection = socket.create_connection(("127.0.0.1", proxy.port), 15)
    connection.sendall(REQUEST[:60].format(path="/half").encode())
    return connection


def test_a_silent_websocket_stays_open_and_other_connections_do_not(
    server: PeerServer, tmp_path: Path
) -> None:
    with (
        running_with_little_patience(tmp_path, server.port) as proxy,
        server.pair(proxy.url, "/silent-for-long") as (rm, cem),
    ):
        rm.send(handshake())
        assert cem.receive() == rm.sent[-1]
        with closing(plain_http(proxy)) as kept_alive, closing(half_a_request(proxy)) as half:
            read_to_end(kept_alive)  # raises TimeoutError where there is none
            read_to_end(half)
            time.sleep(A_WHILE)
        for peer, other in ((rm, cem), (cem, rm)):
            peer.send(measurement())
            assert other.receive() == Sent(peer.sent[-1].data)
    assert len(proxy.recording.messages("/silent-for-long")) == 3


def test_one_that_the_filter_leaves_alone_has_mitmproxys_timeout(
    server: PeerServer, tmp_path: Path
) -> None:
    with (
        running_with_little_patience(tmp_path, server.port, s2_filter="~u /other") as proxy,
        server.pair(proxy.url, "/left-alone") as (client, at_server),
    ):
        client.wait_closed()
        at_server.wait_closed()


def test_who_sets_a_timeout_gets_it(server: PeerServer, tmp_path: Path) -> None:
    if "tcp_timeout" not in Options():
        pytest.skip("this mitmproxy has no option for it")
    with (
        running(tmp_path, server.port, tcp_timeout="1") as proxy,
        server.pair(proxy.url) as (client, at_server),
    ):
        client.send(handshake())
        client.wait_closed()
        at_server.wait_closed()


@pytest.mark.parametrize("payload", [b"", b"are you there?", b"\xff\x00" * 62, b"x" * 125])
def test_pings_and_pongs_pass_with_what_is_in_them(pings: Pings, payload: bytes) -> None:
    for opcode in (PING, PONG):
        pings.client.sendall(frame(opcode, payload))
        assert receive(pings.at_server, len(payload) + 6) == frame(opcode, payload)
        pings.at_server.sendall(frame(opcode, payload, masked=False))
        assert receive(pings.client, len(payload) + 2) == frame(opcode, payload, masked=False)


class Pings:
    """Both ends of a WebSocket through a proxy."""

    def __init__(self, client: socket.socket, at_server: socket.socket) -> None:
        self.client = client
        self.at_server = at_server


@pytest.fixture(scope="module")
def pings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pings]:
    accepted: list[socket.socket] = []
    server = RawServer(lambda connection, _: accepted.append(connection.dup()))
    with (
        closing(server),
        running(tmp_path_factory.mktemp("pings"), server.port) as proxy,
        closing(open_websocket(proxy.port, new_path())) as client,
        closing(until(lambda: accepted[0] if accepted else None, "the server has it")) as at_server,
    ):
        at_server.settimeout(15)
        yield Pings(client, at_server)
        client.sendall(frame(CLOSE, b"\x03\xe8"))
        at_server.sendall(frame(CLOSE, b"\x03\xe8", masked=False))
        read_to_end(client)


def has_ended(proxy: Proxy, path: str) -> bool:
    session = proxy.recording.session(path)
    return session is not None and session["ended_at"] is not None


def receive(connection: socket.socket, size: int) -> bytes:
    """So many bytes of a frame, with the mask, which is random, taken off."""
    got = bytearray()
    while len(got) < size:
        got += connection.recv(size - len(got))
    if got[1] & 128:
        mask = bytes(got[2:6])
        got[2:6] = bytes(4)
        for place in range(6, size):
            got[place] ^= mask[(place - 6) % 4]
    return bytes(got)


# Peers that are gone


def test_a_peer_that_reads_nothing_for_as_long_is_dropped(tmp_path: Path) -> None:
    with (
        closing(RawServer(lambda _connection, _path: time.sleep(60))) as server,
        running_with_little_patience(tmp_path, server.port) as proxy,
        closing(open_websocket(proxy.port, "/stuck")) as client,
    ):
        with suppress(OSError):  # the proxy closes it
            client.sendall(frame(TEXT, handshake()))
            for _ in range(1000):
                client.sendall(frame(TEXT, measurement() + b" " * 100_000))
        until(lambda: has_ended(proxy, "/stuck"), "the session ends")


SILENT_CLIENT = """
import sys, time
from messages import handshake
from raw import TEXT, frame, open_websocket
connection = open_websocket(int(sys.argv[2]), "/vanished", host=sys.argv[1])
connection.sendall(frame(TEXT, handshake()))
time.sleep(60)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None,
    reason="only root, on Linux with iproute2, can lay a cable and pull it",
)
def test_a_peer_that_vanished_without_a_word_ends_its_session(tmp_path: Path) -> None:
    port = free_port()
    with (
        closing(RawServer(swallow)) as server,
        a_cable() as cable,
        running_with_little_patience(
            tmp_path,
            server.port,
            *("--mode", f"reverse:http://127.0.0.1:{server.port}@{cable.here}:{port}"),
        ) as proxy,
    ):
        client = subprocess.Popen(
            [*cable.over_there, sys.executable, "-c", SILENT_CLIENT, cable.here, str(port)],
            cwd=Path(__file__).parent,
        )
        try:
            until(lambda: proxy.recording.session("/vanished"), "the session begins")
            cable.pull()
            until(lambda: has_ended(proxy, "/vanished"), "the session ends")
        finally:
            client.kill()
            client.wait()


class Cable:
    """Two network interfaces: one here, one in a network namespace of its own."""

    def __init__(self) -> None:
        number = os.getpid() % 16384  # of the networks of four addresses in 198.18.0.0/16
        network = f"198.18.{number // 64}."
        self.name = f"s2-{number}"
        self.here = f"{network}{number % 64 * 4 + 1}"
        there = f"{network}{number % 64 * 4 + 2}"
        self.over_there = ["ip", "netns", "exec", self.name]
        ip("netns", "add", self.name)
        ip("link", "add", self.name, "type", "veth", "peer", "name", "there", "netns", self.name)
        ip("addr", "add", f"{self.here}/30", "dev", self.name)
        ip("link", "set", self.name, "up")
        ip("-n", self.name, "addr", "add", f"{there}/30", "dev", "there")
        ip("-n", self.name, "link", "set", "there", "up")

    def pull(self) -> None:
        ip("-n", self.name, "link", "set", "there", "down")

    def remove(self) -> None:
        ip("netns", "delete", self.name)


@contextmanager
def a_cable() -> Iterator[Cable]:
    try:
        cable = Cable()
    except subprocess.CalledProcessError:
        pytest.skip("this machine does not let root lay a cable")
    try:
        yield cable
    finally:
        cable.remove()


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, stdout=subprocess.DEVNULL)
