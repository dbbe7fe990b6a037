"""Whoever connects to the metrics gets a few seconds, and no more than a few do at once."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest
from prometheus_client import CollectorRegistry, Gauge

from s2_mitm.proxy.observers import scraping
from s2_mitm.proxy.observers.scraping import MOST_CONNECTIONS, ScrapeServer

REQUEST = b"GET /metrics HTTP/1.0\r\n\r\n"


@pytest.fixture
def server() -> Iterator[ScrapeServer]:
    registry = CollectorRegistry()
    for number in range(100):
        Gauge(f"gauge_{number}", "A gauge. " * 5000, registry=registry)
    server = ScrapeServer("127.0.0.1", 0, registry)
    yield server
    server.close()


def scrape(server: ScrapeServer) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{server.server_port}/metrics", timeout=30) as answer:
        content: bytes = answer.read()
        return content


def connected(server: ScrapeServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_port), 30)


def test_many_who_say_nothing_are_a_few_threads_and_hinder_nobody(
    server: ScrapeServer,
) -> None:
    before = threading.active_count()
    with ExitStack() as stack:
        silent = []
        for number in range(100):
            silent.append(stack.enter_context(closing(connected(server))))
            assert threading.active_count() <= before + MOST_CONNECTIONS
            if number % 25 == 0:
                assert b"gauge_99" in scrape(server)
        for connection in silent[:-MOST_CONNECTIONS]:
            assert connection.recv(1) == b"", "it is cut off"
    assert b"gauge_99" in scrape(server)


@pytest.mark.parametrize("begun", [b"", REQUEST[:-2]])
def test_who_does_not_ask_in_time_is_cut_off(
    begun: bytes, server: ScrapeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraping, "MOST_SECONDS", 0.1)
    with closing(connected(server)) as connection:
        connection.sendall(begun)
        assert connection.recv(1) == b""


def test_who_asks_a_byte_at_a_time_is_cut_off(
    server: ScrapeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraping, "MOST_SECONDS", 0.5)
    with closing(connected(server)) as connection, suppress(ConnectionError):
        connection.settimeout(0.01)
        while True:  # until it fails
            connection.sendall(b"x")
            with suppress(TimeoutError):
                assert connection.recv(1) == b""
                break


def test_who_does_not_read_the_answer_is_cut_off(
    server: ScrapeServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scraping, "MOST_SECONDS", 0.1)
    before = threading.active_count()
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.server_port))
        connection.sendall(REQUEST)
        while threading.active_count() > before:
            threading.Event().wait(0.01)
    monkeypatch.undo()
    assert b"gauge_99" in scrape(server)
    assert capfd.readouterr() == ("", "")
