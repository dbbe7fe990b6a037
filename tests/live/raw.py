"""WebSockets by hand, for peers that do what no library lets them do."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

from proxies import PATIENCE

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_MASK = b"\x00\x00\x00\x00"  # with which a masked payload is itself

REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
)
_ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{more}\r\n"
)
_DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


def frame(
    opcode: int, payload: bytes, *, masked: bool = True, last: bool = True, reserved: int = 0
) -> bytes:
    """A frame on the wire; ``reserved`` are the three bits that extensions use."""
    head = head_of(opcode, len(payload), masked=masked, last=last, reserved=reserved)
    return head + payload


def head_of(
    opcode: int, size: int, *, masked: bool = True, last: bool = True, reserved: int = 0
) -> bytes:
    """The head of a frame that says it has ``size`` bytes."""
    first = last << 7 | reserved << 4 | opcode
    mask = _MASK if masked else b""
    if size < 126:
        return bytes([first, masked << 7 | size]) + mask
    if size < 65536:
        return struct.pack("!BBH", first, masked << 7 | 126, size) + mask
    return struct.pack("!BBQ", first, masked << 7 | 127, size) + mask


def open_websocket(
    port: int, path: str, *, deflate: bool = False, host: str = "127.0.0.1"
) -> socket.socket:
    """A WebSocket through the proxy on ``port``, when it is open."""
    connection = socket.create_connection((host, port), PATIENCE)
    connection.sendall(REQUEST.format(path=path, more=_DEFLATE if deflate else "").encode())
    answer = read_head(connection)
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    return connection


def read_head(connection: socket.socket) -> bytes:
    """An HTTP message without a body, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"closed after {head!r}"
        head += byte
    return head


def read_to_end(connection: socket.socket) -> bytes:
    """Everything that comes until the other side closes."""
    got = bytearray()
    with suppress(ConnectionError):
        while data := connection.recv(1 << 20):
            got += data
    return bytes(got)


def reset(connection: socket.socket) -> None:
    """Drop the connection with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class RawServer:
    """Opens WebSockets, each of which ``talk`` gets, with the path, in a thread of its own.

    A path that begins with ``/never`` gets no answer.
    """

    def __init__(self, talk: Callable[[socket.socket, str], object]) -> None:
        self._talk = talk
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, AssertionError), connection:
            head = read_head(connection)
            if head.startswith(b"GET /never"):
                read_to_end(connection)
                return
            more = _DEFLATE if b"permessage-deflate" in head else ""
            connection.sendall(_ANSWER.format(more=more).encode())
            self._talk(connection, head.split()[1].decode())


def swallow(connection: socket.socket, _path: str) -> None:
    """Read and forget all that comes."""
    place = bytearray(1 << 20)
    while connection.recv_into(place):
        pass
