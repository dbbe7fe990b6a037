"""Connections to a PostgreSQL server that are cut just when it matters."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import make_url


class Cutter:
    """Forwards to a server, and cuts the connection of the next transaction that writes messages.

    ``what`` says what becomes of its COMMIT, whose answer is never seen: it is ``done``, or it is
    ``done later``, when somebody may have come back, or it is ``never done``. None lets all pass.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.what: str | None = None
        self.cuts = 0
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for each in (self._listener, *self._sockets):
            # What another thread waits for is not closed by closing it.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                threading.Thread(target=self._pass, args=(client, server), daemon=True).start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        writes = False
        with suppress(OSError, ValueError):  # ValueError: closed while it was waited for
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(1 << 20)
                    if source is server:
                        client.sendall(data)
                    elif self.what and writes and b"COMMIT" in data:
                        self._cut(client, server, data)
                        return
                    else:
                        writes = b"INSERT INTO messages" in data or (
                            writes and b"COMMIT" not in data
                        )
                        server.sendall(data)
                    if not data:
                        client.close()
                        server.close()
                        return

    def _cut(self, client: socket.socket, server: socket.socket, commit: bytes) -> None:
        what, self.what = self.what, None
        self.cuts += 1
        if what != "done":
            client.close()
            time.sleep(0.5)
        if what != "never done":
            server.sendall(commit)
            assert server.recv(1 << 20)
        client.close()
        server.close()


@contextmanager
def cutting(url: str) -> Iterator[tuple[Cutter, str]]:
    """A cutter before the server of ``url``, and the URL of the same database through it."""
    parts = make_url(url)
    cutter = Cutter((parts.host or "127.0.0.1", parts.port or 5432))
    try:
        through = parts.set(host="127.0.0.1", port=cutter.port)
        yield cutter, through.render_as_string(hide_password=False)
    finally:
        cutter.close()
