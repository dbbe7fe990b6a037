"""Raw WebSocket peers that keep every byte and the kind of every frame, and a server of them."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import Any

from proxies import PATIENCE, until
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.sync.client import ClientConnection, connect
from websockets.sync.connection import Connection
from websockets.sync.server import ServerConnection, serve

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Sent:
    """A WebSocket message: its bytes, in a text frame or a binary one, in so many fragments.

    ``at`` is when it had arrived, in seconds of ``time.monotonic()``.
    """

    data: bytes
    is_text: bool = True
    fragments: int = field(default=1, compare=False)
    at: float = field(default=0.0, compare=False)

    def __repr__(self) -> str:
        cut = self.data if len(self.data) < 300 else self.data[:300] + b"..."
        return f"{'text' if self.is_text else 'binary'} {cut!r}"


class _Noting:
    """Takes messages together from their frames, before anyone looks into them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.arrived: Queue[Sent] = Queue()
        self._frames: list[Frame] = []
        super().__init__(*args, **kwargs)

    def process_event(self, event: Any) -> None:
        super().process_event(event)  # type: ignore[misc]
        if not isinstance(event, Frame) or event.opcode not in (
            Opcode.TEXT,
            Opcode.BINARY,
            Opcode.CONT,
        ):
            return
        self._frames.append(event)
        if event.fin:
            data = b"".join(bytes(frame.data) for frame in self._frames)
            is_text = self._frames[0].opcode is Opcode.TEXT
            self.arrived.put(Sent(data, is_text, len(self._frames), time.monotonic()))
            self._frames.clear()


class _NotingClient(_Noting, ClientConnection):
    pass


class _NotingServer(_Noting, ServerConnection):
    pass


class Peer:
    """One end of a WebSocket."""

    def __init__(self, connection: Any) -> None:
        self.connection: Connection = connection
        self._arrived: Queue[Sent] = connection.arrived
        self.sent: list[Sent] = []
        self.received: list[Sent] = []
        self._closed = threading.Event()

    @property
    def compresses(self) -> bool:
        """Whether permessage-deflate was negotiated."""
        names = [extension.name for extension in self.connection.protocol.extensions]
        return "permessage-deflate" in names

    def send(self, data: bytes | Iterable[bytes], *, text: bool = True) -> None:
        """Send a message; several pieces go out as fragments."""
        whole = data if isinstance(data, bytes) else b"".join(data)
        self.sent.append(Sent(whole, text))
        self.connection.send(data, text=text)

    def receive(self) -> Sent:
        """The next message that arrives."""
        try:
            self.received.append(self._arrived.get(timeout=PATIENCE))
        except Empty:
            raise AssertionError(f"waited {PATIENCE:g} seconds in vain for a message") from None
        return self.received[-1]

    def receive_all(self) -> list[Sent]:
        """Every message that came until the connection was closed, as it now is."""
        self.wait_closed()
        self.received.extend(self._arrived.queue)
        self._arrived.queue.clear()
        return self.received

    @property
    def arrivals(self) -> int:
        """How many messages have arrived."""
        return len(self.received) + self._arrived.qsize()

    def wait_for(self, arrivals: int) -> None:
        """Wait until so many messages have arrived, since it was opened."""
        until(lambda: self.arrivals >= arrivals, f"{arrivals} messages have arrived")

    @contextmanager
    def talking(self, message: Callable[[float], bytes], pause: float = 0.002) -> Iterator[None]:
        """Send ``message(0.0)``, ``message(1.0)`` and so on while the context lasts.

        It waits ``pause`` seconds after each, and ends before where the connection does.
        """
        silent = threading.Event()

        def talk() -> None:
            with suppress(ConnectionClosed):
                for number in itertools.count():
                    self.send(message(float(number)))
                    if silent.wait(pause):
                        break

        talk_on = threading.Thread(target=talk)
        talk_on.start()
        try:
            yield
        finally:
            silent.set()
            talk_on.join(PATIENCE)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.connection.close(code, reason)

    def wait_closed(self) -> None:
        """Wait until the connection is closed, by whichever side."""
        assert self._closed.wait(PATIENCE), "the connection was not closed"

    def read_on(self) -> None:
        """Let messages arrive, until the connection is closed."""
        with suppress(ConnectionClosed):
            while True:
                self.connection.recv(decode=False)
        self._closed.set()


class PeerServer:
    """A server on a free port; each WebSocket that is opened to it becomes a peer."""

    def __init__(self) -> None:
        self._accepted: dict[str, Queue[Peer]] = {}
        self._server = serve(
            self._talk,
            "127.0.0.1",
            0,
            process_request=self._answer_plain_http,
            create_connection=_NotingServer,
            max_size=None,
            ping_interval=None,
        )
        self.port = int(self._server.socket.getsockname()[1])
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)

    @contextmanager
    def pair(
        self,
        url: str,
        path: str = "",
        *,
        deflate: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Iterator[tuple[Peer, Peer]]:
        """A WebSocket through the proxy at ``url``: its client, and its end here.

        ``deflate`` is whether the client wants permessage-deflate, which the server can do.
        """
        path = path or new_path()
        self._accepted[path] = Queue()
        with connect(
            url + path,
            create_connection=_NotingClient,
            compression="deflate" if deflate else None,
            additional_headers=headers,
            max_size=None,
            ping_interval=None,
            close_timeout=PATIENCE,
            open_timeout=PATIENCE,
        ) as connection:
            client = Peer(connection)
            reading = threading.Thread(target=client.read_on)
            reading.start()
            yield client, self._accepted[path].get(timeout=PATIENCE)
        reading.join(PATIENCE)

    def _talk(self, connection: ServerConnection) -> None:
        peer = Peer(connection)
        assert connection.request is not None
        self._accepted[connection.request.path].put(peer)
        peer.read_on()

    def _answer_plain_http(self, connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        response = connection.respond(200, '{"message_type": "Handshake"}')
        response.headers["X-Plain"] = "yes"
        return response


def new_path() -> str:
    """A path that no other WebSocket has, by which to find its session again."""
    return f"/s2/{next(_numbers)}"
