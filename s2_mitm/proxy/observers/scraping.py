"""The server that Prometheus asks: a few connections at once, and a few seconds for each.

That of prometheus_client begins a thread for every connection and waits for ever for its request,
so that a thousand clients who say nothing fill the process.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

MOST_CONNECTIONS = 8
"""At once. When one more comes, that which has been open for longest is cut off."""

MOST_SECONDS = 5.0
"""For a request to come and to be answered."""


class ScrapeServer(ThreadingMixIn, WSGIServer):
    """Answers at ``host`` and ``port`` with what is in ``registry``, each in a thread of its own.

    Raises OSError where it cannot listen there.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._room = threading.Semaphore(MOST_CONNECTIONS)
        self._open: dict[socket.socket, float] = {}
        """When each was accepted; the oldest first."""
        super().__init__((host, port), _SilentHandler)
        self.set_app(make_wsgi_app(registry))
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def get_request(self) -> tuple[Any, Any]:
        try:
            return super().get_request()
        except OSError:
            # There may be no descriptor left, and it would be asked for again at once.
            time.sleep(0.1)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            for oldest in [*self._open][:1]:
                _cut_off(oldest)
            if not self._room.acquire(timeout=1):
                self.shutdown_request(request)
                return
        self._open[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._over(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._over(request)

    def _over(self, request: socket.socket) -> None:
        del self._open[request]
        self._room.release()

    def service_actions(self) -> None:
        """Cut off those who take too long; called twice a second, and with each connection."""
        due = time.monotonic() - MOST_SECONDS
        for request, since in self._open.copy().items():
            if since < due:
                _cut_off(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone, or was cut off, is nothing to say anything about."""

    def close(self) -> None:
        """Stop answering; it may take half a second."""
        self.shutdown()
        self.server_close()
        self._thread.join()


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write nothing into the terminal."""


def _cut_off(connection: socket.socket) -> None:
    """Let the thread that reads there, or writes, find the connection closed."""
    with suppress(OSError):  # it may have gone by itself
        connection.shutdown(socket.SHUT_RDWR)
