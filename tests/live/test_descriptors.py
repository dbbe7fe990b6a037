"""More connections than the process may have files open: a sentence, and those open go on."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from messages import handshake, measurement
from peers import PeerServer
from proxies import Proxy, running, until
from raw import REQUEST, open_websocket, read_head

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it sets a process's limits")

LIMIT = 64
"""Descriptors of the proxy."""

SENTENCE = "s2-mitm: new connections are refused"


def limit_descriptors(proxy: Proxy) -> None:
    import resource

    assert sys.platform == "linux"
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))


def cpu_seconds(proxy: Proxy) -> float:
    fields = Path(f"/proc/{proxy.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_those_that_are_open_go_on_and_others_get_in_when_there_is_room(
    server: PeerServer, tmp_path: Path
) -> None:
    with running(tmp_path, server.port) as proxy, server.pair(proxy.url, "/s2/first") as (rm, cem):
        limit_descriptors(proxy)
        rm.send(handshake())
        assert cem.receive() == rm.sent[-1]
        with ExitStack() as stack:
            many = [
                stack.enter_context(closing(socket.create_connection(("127.0.0.1", proxy.port))))
                for _ in range(3 * LIMIT)
            ]
            opened = 0
            for number, connection in enumerate(many):
                connection.settimeout(15)
                with suppress(ConnectionError, AssertionError):
                    request = REQUEST.format(path=f"/s2/many/{number}", more="")
                    connection.sendall(request.encode())
                    assert read_head(connection).startswith(b"HTTP/1.1 101 ")
                    opened += 1
            assert 8 < opened < LIMIT // 2
            rm.send(measurement())
            assert cem.receive() == rm.sent[-1]
            assert proxy.output.count(SENTENCE) == 1
        # They are gone.
        until(lambda: is_let_in(proxy), "there is room")
        rm.send(measurement())
        assert cem.receive() == rm.sent[-1]
    assert len(proxy.recording.messages("/s2/first")) == 3
    assert "Too many open files" not in proxy.output


def is_let_in(proxy: Proxy) -> bool:
    with suppress(ConnectionError, AssertionError):
        open_websocket(proxy.port, "/s2/again").close()
        return True
    return False


def test_when_there_is_none_at_all_it_says_so_and_waits(server: PeerServer, tmp_path: Path) -> None:
    """Whoever took them, the page or a writer: asyncio would print a traceback each second."""
    import resource

    assert sys.platform == "linux"
    with running(tmp_path, server.port) as proxy, server.pair(proxy.url, "/s2/first") as (rm, cem):
        for message in (handshake(), measurement()):  # after which all is open that is needed
            rm.send(message)
            assert cem.receive() == rm.sent[-1]
        until(lambda: proxy.recording.messages("/s2/first"), "it is recorded")
        hard = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (8, hard))
        with ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(closing(socket.create_connection(("127.0.0.1", proxy.port))))
            until(lambda: SENTENCE in proxy.output, "it is said")
            before = cpu_seconds(proxy)
            for _ in range(20):
                rm.send(measurement())
                assert cem.receive() == rm.sent[-1]
            assert cpu_seconds(proxy) - before < 5
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (hard, hard))
        until(lambda: is_let_in(proxy), "there is room")
    assert proxy.output.count(SENTENCE) == 1


def test_it_takes_as_many_as_it_may_have(server: PeerServer, tmp_path: Path) -> None:
    with running(tmp_path, server.port) as proxy:
        limits = Path(f"/proc/{proxy.pid}/limits").read_text()
        soft, hard = next(
            line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files")
        )
        assert int(soft) == min(int(hard), 65536)
