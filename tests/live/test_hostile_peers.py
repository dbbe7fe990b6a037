"""Whatever one peer does, the other conversations go on, and the proxy's memory is bounded."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from bystanders import bystanders, memory, memory_within
from impatient import running_with_little_patience
from messages import handshake, measurement
from peers import PeerServer, Sent
from proxies import Proxy, free_port, running, until
from raw import (
    BINARY,
    CLOSE,
    CONTINUED,
    PING,
    REQUEST,
    TEXT,
    RawServer,
    frame,
    head_of,
    open_websocket,
    read_to_end,
    reset,
    swallow,
)
from recordings import wire

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the figures are Linux's")

Note = Callable[[str, object], None]
MEGABYTE = 1024 * 1024


@contextmanager
def running_for_both(
    folder: Path, server: PeerServer, other: RawServer, **options: Any
) -> Iterator[tuple[Proxy, int]]:
    """A proxy to ``server``, and its second port, which leads to ``other``."""
    port = free_port()
    second = f"reverse:http://127.0.0.1:{other.port}@{port}"
    with running(folder, server.port, "--mode", second, **options) as proxy:
        yield proxy, port


# Floods


def in_an_array(item: bytes, count: int) -> bytes:
    return b'{"message_type": "PowerMeasurement", "values": [' + b",".join([item] * count) + b"]}"


FLOODS = {
    "valid": frame(TEXT, measurement()),
    "too large to look into": frame(TEXT, b"x" * (MEGABYTE + 1)),
    "double keys": frame(TEXT, in_an_array(b'{"a":1,"a":2}', 69_000)),
    "empty": frame(TEXT, b""),
    "pings": frame(PING, b""),
    "fragments": frame(TEXT, b"x", last=False) + frame(CONTINUED, b"x", last=False) * 50_000,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_leaves_the_others_their_time_and_the_proxy_its_memory(
    name: str, server: PeerServer, tmp_path: Path, record_property: Note
) -> None:
    forwarded = 0

    def count(connection: socket.socket, _path: str) -> None:
        nonlocal forwarded
        place = bytearray(MEGABYTE)
        while size := connection.recv_into(place):
            forwarded += size

    with (
        closing(RawServer(count)) as sink,
        running_for_both(tmp_path, server, sink) as (proxy, port),
        bystanders(proxy, server, record_property) as others,
        memory_within(proxy, 200, record_property),
    ):
        flooding = open_websocket(port, "/flood")
        hello = frame(TEXT, handshake())
        flooding.sendall(hello)
        many = FLOODS[name] * max(1, MEGABYTE // 4 // len(FLOODS[name]))
        if name == "fragments":
            many = FLOODS[name]
        thread = threading.Thread(target=send_for_ever, args=(flooding, many))
        thread.start()
        time.sleep(1.5)
        flooding.shutdown(socket.SHUT_RDWR)
        thread.join()
        flooding.close()
    others.assert_all_is_recorded()
    if name not in ("pings", "fragments"):
        messages = (forwarded - len(hello)) // len(FLOODS[name]) + 1
        record_property("messages of the flood that were forwarded", messages)
        (recorded,) = proxy.recording.rows(
            "select count(*) as n, max(seq) as last from messages join sessions"
            " on sessions.id = session_id where path = '/flood'"
        )
        (gone,) = proxy.recording.rows(
            "select coalesce(sum(messages), 0) as n, coalesce(max(last_seq), 0) as last from gaps"
            " join sessions on sessions.id = session_id where path = '/flood'"
        )
        # What the disk is too slow for stands there as missing.
        assert max(recorded["last"] or 0, gone["last"]) == recorded["n"] + gone["n"]
        assert recorded["n"] + gone["n"] >= messages > 0
        assert not gone["n"] or "too slow" in proxy.output


def send_for_ever(connection: socket.socket, data: bytes) -> None:
    connection.settimeout(None)
    with suppress(OSError):
        while True:
            connection.sendall(data)
            if data.startswith(frame(TEXT, b"x", last=False)):
                data = data[len(frame(TEXT, b"x", last=False)) :]


# Large messages


def test_messages_of_ten_megabytes_pass_and_are_recorded(
    server: PeerServer, tmp_path: Path, record_property: Note
) -> None:
    large = b"x" * (10 * MEGABYTE)
    each = [measurement(name=large.decode()), b'{"chat": "' + large + b'"}', large]
    with (
        running(tmp_path, server.port) as proxy,
        bystanders(proxy, server, record_property) as others,
        memory_within(proxy, 250, record_property),
        server.pair(proxy.url, "/large") as (rm, cem),
    ):
        before = memory(proxy)
        rm.send(handshake())
        assert cem.receive() == rm.sent[-1]
        for number in range(20):
            data = each[number % 3]
            cut = len(data) // 50 if number % 2 else len(data)
            pieces = [data[start : start + cut] for start in range(0, len(data), cut)]
            rm.send(pieces if number % 2 else data)
            got = cem.receive()
            assert got == Sent(data)
            assert got.fragments == (len(pieces) + 1 if number % 2 else 1)  # the last is empty
        until(lambda: memory(proxy) < before + 100, "the memory is given back")
        record_property("memory after them", f"{memory(proxy):.0f} MB")
    rows = proxy.recording.rows(
        "select seq, content, (select group_concat(code) from findings"
        " where message = messages.id) as codes from messages"
        " join sessions on sessions.id = session_id where path = '/large' order by seq"
    )
    others.assert_all_is_recorded()
    assert len(rows) == 21
    for number, row in enumerate(rows[1:]):
        assert wire(row) == each[number % 3]
        assert row["codes"] == "json.too-large"


# Connections that come and go


def test_a_thousand_connections_that_are_dropped_leave_nothing_behind(
    server: PeerServer, tmp_path: Path, record_property: Note
) -> None:
    with (
        closing(RawServer(swallow)) as sink,
        running_for_both(tmp_path, server, sink) as (proxy, port),
    ):
        with server.pair(proxy.url) as (rm, cem):
            rm.send(handshake())
            assert cem.receive() == rm.sent[-1]
        time.sleep(0.5)
        before = opened(proxy)
        with memory_within(proxy, 60, record_property):
            for number in range(1000):
                drop_one(port, number)
            with server.pair(proxy.url) as (rm, cem):
                rm.send(handshake())
                assert cem.receive() == rm.sent[-1]
            until(lambda: opened(proxy) <= before + 5, f"{before} files and threads, as before")
        record_property("files and threads", f"{before} before, {opened(proxy)} after")
        until(
            lambda: (
                proxy.recording.rows(
                    "select count(*) as n, count(ended_at) as ended from sessions"
                    " where path like '/dropped%'"
                )
                == [{"n": 500, "ended": 500}]
            ),
            "all sessions are closed",
        )


def drop_one(port: int, number: int) -> None:
    if number % 2:
        connection = open_websocket(port, f"/dropped/{number}")
        connection.sendall(frame(TEXT, handshake()))
        # What a RST overtakes nobody sees; so let it arrive.
        until_it_is_read(connection)
    else:
        connection = socket.create_connection(("127.0.0.1", port), 15)
        connection.sendall(REQUEST[:50].encode())
    if number % 4 < 2:
        reset(connection)
    else:
        connection.close()


def until_it_is_read(connection: socket.socket) -> None:
    connection.sendall(frame(PING, b""))
    time.sleep(0.005)


def opened(proxy: Proxy) -> int:
    """How many files and threads the proxy has."""
    return sum(len(os.listdir(f"/proc/{proxy.pid}/{kind}")) for kind in ("fd", "task"))


def test_handshakes_that_nobody_finishes_come_to_an_end(
    server: PeerServer, tmp_path: Path, record_property: Note
) -> None:
    port = free_port()
    with ExitStack() as stack:
        never = stack.enter_context(closing(RawServer(swallow)))
        proxy = stack.enter_context(
            running_with_little_patience(
                tmp_path,
                server.port,
                *("--mode", f"reverse:http://127.0.0.1:{never.port}@{port}"),
            )
        )
        with bystanders(proxy, server, record_property) as others:
            begun = []
            for number in range(200):
                connection = socket.create_connection(("127.0.0.1", port), 15)
                begun.append(stack.enter_context(closing(connection)))
                request = REQUEST.format(path="/never", more="").encode()
                connection.sendall(request if number % 2 else request[:80])
            for connection in begun:
                read_to_end(connection)  # raises TimeoutError where there is none
    others.assert_all_is_recorded()


# A peer that does not read


@pytest.mark.parametrize("from_client", [True, False])
def test_a_peer_that_does_not_read_makes_the_other_wait(
    from_client: bool, server: PeerServer, tmp_path: Path, record_property: Note
) -> None:
    accepted: list[socket.socket] = []
    keep = RawServer(lambda connection, _path: accepted.append(connection.dup()))
    with (
        closing(keep),
        running_for_both(tmp_path, server, keep) as (proxy, port),
        bystanders(proxy, server, record_property) as others,
        memory_within(proxy, 60, record_property),
        closing(open_websocket(port, "/stuck")) as client,
        closing(until(lambda: accepted[0] if accepted else None, "it is open")) as at_server,
    ):
        writing, reading = (client, at_server) if from_client else (at_server, client)
        writing.sendall(frame(TEXT, handshake("CEM"), masked=from_client))
        message = frame(TEXT, measurement() + b" " * 100_000, masked=from_client)
        sent = send_until_it_must_wait(writing, message)
        record_property("taken from it", f"{sent / MEGABYTE:.1f} MB")

        reading.settimeout(15)
        writing.shutdown(socket.SHUT_WR)
        got = len(read_to_end(reading))
        assert got >= sent
    others.assert_all_is_recorded()


def send_until_it_must_wait(connection: socket.socket, message: bytes) -> int:
    """Send it again and again: how many bytes were taken before none was for a second."""
    connection.settimeout(1)
    sent = 0
    with suppress(TimeoutError):
        while True:
            sent += connection.send(message[sent % len(message) :])
            assert sent < 200 * MEGABYTE
    return sent


# Frames as they must not be


DEFLATE = zlib.compressobj(9, zlib.DEFLATED, -15)
BOMB = b"".join(DEFLATE.compress(bytes(16 * MEGABYTE)) for _ in range(64))
BOMB += DEFLATE.flush(zlib.Z_SYNC_FLUSH)[:-4]

BAD_FRAMES = {
    "reserved opcode": (frame(3, b"{}"), 1002),
    "reserved control opcode": (frame(11, b""), 1002),
    "reserved bit": (frame(TEXT, b"{}", reserved=2), 1002),
    "compressed, which was not agreed": (frame(TEXT, b"{}", reserved=4), 1002),
    "not masked": (frame(TEXT, b"{}", masked=False), 1002),
    "2^63 bytes": (head_of(TEXT, 2**63), 1002),
    "a ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "a ping in fragments": (frame(PING, b"x", last=False), 1002),
    "a continuation of nothing": (frame(CONTINUED, b"{}"), 1002),
    "a message in a message": (frame(TEXT, b"{", last=False) + frame(BINARY, b"}"), 1002),
    "a close of one byte": (frame(CLOSE, b"x"), 1002),
    "close code 0": (frame(CLOSE, b"\x00\x00"), 1002),
    "close code 1005": (frame(CLOSE, b"\x03\xed"), 1002),
    "close code 65535": (frame(CLOSE, b"\xff\xff"), 1002),
    "a reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "a message that is too large": (head_of(TEXT, 2**40) + bytes(33 * MEGABYTE), 1009),
}


@pytest.fixture(scope="module")
def assailed(
    server: PeerServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, int]]:
    """A proxy for all that follows, and the port that leads to a server that only reads."""
    folder = tmp_path_factory.mktemp("assailed")
    with (
        closing(RawServer(swallow)) as sink,
        running_for_both(folder, server, sink) as (proxy, port),
    ):
        yield proxy, port


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_ends_its_connection_and_no_other(
    name: str, assailed: tuple[Proxy, int], server: PeerServer, record_property: Note
) -> None:
    proxy, port = assailed
    data, code = BAD_FRAMES[name]
    with (
        server.pair(proxy.url) as (rm, cem),
        memory_within(proxy, 150, record_property),
        closing(open_websocket(port, "/bad")) as client,
    ):
        rm.send(handshake())
        client.sendall(frame(TEXT, handshake()))
        with suppress(ConnectionError):
            client.sendall(data)
        answer = read_to_end(client)
        assert answer[:1] == frame(CLOSE, b"")[:1]
        assert int.from_bytes(answer[2:4]) == code
        rm.send(measurement())
        assert [cem.receive(), cem.receive()] == rm.sent


def test_a_frame_that_inflates_to_a_gigabyte_ends_its_connection(
    assailed: tuple[Proxy, int], record_property: Note
) -> None:
    proxy, port = assailed
    with (
        memory_within(proxy, 150, record_property),
        closing(open_websocket(port, "/bomb", deflate=True)) as client,
    ):
        with suppress(ConnectionError):
            client.sendall(frame(TEXT, BOMB, reserved=4))
        assert int.from_bytes(read_to_end(client)[2:4]) == 1009


def test_a_declared_length_takes_no_memory(
    assailed: tuple[Proxy, int], record_property: Note
) -> None:
    proxy, port = assailed
    with memory_within(proxy, 20, record_property), ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(closing(open_websocket(port, "/promises")))
            client.sendall(head_of(TEXT, 2**62) + b"{")
        time.sleep(0.5)
