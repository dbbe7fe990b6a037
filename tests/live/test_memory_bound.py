"""Memory has a total, over all connections, and who keeps to little of it is not hindered."""

from __future__ import annotations

import socket
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
from bystanders import bystanders, memory, memory_within
from messages import handshake
from peers import PeerServer
from proxies import Proxy, free_port, running, until
from raw import BINARY, TEXT, RawServer, frame, open_websocket, swallow

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the figures are Linux's")

Note = Callable[[str, object], None]
MEGABYTE = 1000 * 1000

LIMIT = 64
"""MB, of s2_memory."""

AT_ONCE = 250
"""MB. To pass one message of 31 MB on takes some copies of it, for a moment."""


def deflated(size: int) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(bytes(size)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return packed.removesuffix(b"\x00\x00\xff\xff")


@contextmanager
def two_ways(
    folder: Path, server: PeerServer, other: RawServer, *arguments: str
) -> Iterator[tuple[Proxy, int]]:
    """A proxy to ``server``, and its second port, which leads to ``other``."""
    port = free_port()
    second = f"reverse:http://127.0.0.1:{other.port}@{port}"
    with running(
        folder, server.port, "--mode", second, *arguments, s2_memory=f"{LIMIT}MB"
    ) as proxy:
        yield proxy, port


def is_closed(connection: socket.socket) -> bool:
    """Whether the proxy has closed it; it must have been with 1009."""
    connection.setblocking(False)
    try:
        said = connection.recv(4, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except ConnectionResetError:  # it had sent more than was read
        return True
    assert int.from_bytes(said[2:]) == 1009
    return True


def test_half_messages_that_inflate_do_not_fill_it(
    server: PeerServer, tmp_path: Path, record_property: Note
) -> None:
    """The largest are closed with 1009, which is said, and no peer is blamed for it."""
    half = frame(TEXT, deflated(31 * MEGABYTE), last=False, reserved=4)
    assert len(half) < 40_000
    with (
        closing(RawServer(swallow)) as sink,
        two_ways(tmp_path, server, sink) as (proxy, port),
        bystanders(proxy, server, record_property, count=3) as others,
    ):
        before = memory(proxy)
        with memory_within(proxy, LIMIT + AT_ONCE, record_property), ExitStack() as stack:
            clients = []
            for number in range(20):
                client = stack.enter_context(
                    closing(open_websocket(port, f"/half/{number}", deflate=True))
                )
                client.sendall(frame(TEXT, handshake()))
                client.sendall(half)
                clients.append(client)
            sentence = "is closed with 1009; the others go on."
            until(lambda: proxy.output.count(sentence) >= 18, "all but two are closed")
            record_property("with the half messages", f"{memory(proxy):.0f} MB")
            closed = proxy.recording.rows(
                "select closed_by, close_code from sessions"
                " where path like '/half%' and ended_at is not null"
            )
            assert {(row["closed_by"], row["close_code"]) for row in closed} <= {("proxy", 1009)}
            until(
                lambda: sum(map(is_closed, clients)) >= 18,
                "their clients hear that they are closed",
            )
            assert not all(map(is_closed, clients))
        until(lambda: memory(proxy) < before + 30, "the memory is given back")
        record_property("memory", f"{before:.0f} MB before, {memory(proxy):.0f} MB after")
    others.assert_all_is_recorded()
    closed = proxy.recording.rows("select closed_by from sessions where close_code = 1009")
    assert len(closed) >= 18
    assert {row["closed_by"] for row in closed} == {"proxy"}


def test_messages_for_a_peer_that_does_not_read_do_not_fill_it(
    server: PeerServer, tmp_path: Path, record_property: Note
) -> None:
    """Whoever sends more of them waits; those who send little go on."""
    stuck: list[socket.socket] = []
    message = frame(BINARY, bytes(30 * MEGABYTE))
    with (
        closing(RawServer(lambda connection, _path: stuck.append(connection.dup()))) as keep,
        two_ways(tmp_path, server, keep) as (proxy, port),
        bystanders(proxy, server, record_property, count=3) as others,
        memory_within(proxy, LIMIT + AT_ONCE, record_property),
        ExitStack() as stack,
    ):
        for number in range(10):
            client = stack.enter_context(closing(open_websocket(port, f"/stuck/{number}")))
            client.settimeout(0.5)
            with suppress(OSError):
                client.sendall(message)
        for each in stuck:
            stack.enter_context(closing(each))
    others.assert_all_is_recorded()


def test_large_messages_that_were_forwarded_do_not_fill_it(
    server: PeerServer, tmp_path: Path, record_property: Note
) -> None:
    """A WebSocket keeps its last messages to be looked at, as long as there is memory for it."""
    message = frame(TEXT, deflated(31 * MEGABYTE), reserved=4)
    with (
        closing(RawServer(swallow)) as sink,
        two_ways(tmp_path, server, sink) as (proxy, port),
        bystanders(proxy, server, record_property, count=3) as others,
        memory_within(proxy, LIMIT + AT_ONCE, record_property),
        ExitStack() as stack,
    ):
        for number in range(10):
            client = stack.enter_context(
                closing(open_websocket(port, f"/whole/{number}", deflate=True))
            )
            client.sendall(message)
            client.sendall(frame(TEXT, b"{}"))
    others.assert_all_is_recorded()


def test_large_messages_pass_one_after_the_other(server: PeerServer, tmp_path: Path) -> None:
    """Where all do not fit at once, they wait for each other, and arrive."""
    data = b"x" * (20 * MEGABYTE)
    with running(tmp_path, server.port, s2_memory=f"{LIMIT}MB") as proxy:
        for number in range(4):
            with server.pair(proxy.url, f"/large/{number}") as (rm, cem):
                rm.send([data[:MEGABYTE], data[MEGABYTE:]])
                assert cem.receive().data == data
    assert "1009" not in proxy.output


@pytest.mark.parametrize("size", ["x", "100", "5kB", "30d"])
def test_what_is_no_size_is_one_sentence(size: str, tmp_path: Path) -> None:
    from proxies import run

    status, output = run(tmp_path, "-p", "0", s2_memory=size)
    assert status != 0
    assert f"s2_memory is a size of 1MB or more, such as 200MB, or empty, not '{size}'." in output
    assert "Traceback" not in output
