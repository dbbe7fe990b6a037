"""WebSocket frames as RFC 6455 has them, written and read by ourselves.

What is to be compared with what a library makes of it must not come from that library.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OPCODES = (CONTINUED, TEXT, BINARY, CLOSE, PING, PONG)

TAIL = b"\x00\x00\xff\xff"
"""How each compressed message ends; it is left out on the wire."""

_MASK = b"\x11\x22\x33\x44"


@dataclass
class Frame:
    """A frame before and after the wire; ``is_compressed`` is its bit RSV1."""

    opcode: int
    payload: bytes
    is_last: bool = True
    is_compressed: bool = False

    def on_the_wire(self, *, masked: bool, mask: bytes = _MASK) -> bytes:
        """Its bytes. A client masks what it sends, a server does not."""
        first = self.is_last << 7 | self.is_compressed << 6 | self.opcode
        size = len(self.payload)
        if size < 126:
            head = bytes([first, masked << 7 | size])
        elif size < 65536:
            head = bytes([first, masked << 7 | 126]) + size.to_bytes(2)
        else:
            head = bytes([first, masked << 7 | 127]) + size.to_bytes(8)
        return head + (mask + unmask(self.payload, mask) if masked else self.payload)


def unmask(payload: bytes, mask: bytes) -> bytes:
    """A payload without its mask, or with it."""
    whole = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(whole)).to_bytes(len(payload))


def read_frames(data: bytearray, *, masked: bool | None = None) -> Iterator[Frame]:
    """The frames that are whole; they are taken out of ``data``.

    ValueError where one has a mask and is not to be ``masked``, or the other way round, or where
    it has a bit or an opcode that does not exist.
    """
    while len(data) >= 2:
        if data[0] & 0x30 or data[0] & 15 not in OPCODES:
            raise ValueError(f"no frame begins with {data[:2].hex()}")
        if masked is not None and masked is not (data[1] > 127):
            raise ValueError("a mask is there, and must not be, or the other way round")
        size, place = data[1] & 127, 2
        if size >= 126:
            place += 2 if size == 126 else 8
            size = int.from_bytes(data[2:place])
        mask = b""
        if data[1] & 128:
            mask, place = bytes(data[place : place + 4]), place + 4
        if len(data) < place + size:
            return
        payload = bytes(data[place : place + size])
        frame = Frame(
            data[0] & 15,
            unmask(payload, mask) if mask else payload,
            data[0] > 127,
            data[0] & 64 > 0,
        )
        del data[: place + size]
        yield frame


class Inflater:
    """Reads the compressed messages (RFC 7692) of a sender, whose window is of 2 ** ``bits``."""

    def __init__(self, *, forgets: bool = False, bits: int = 15) -> None:
        self._forgets = forgets
        self._bits = bits
        self._stream = zlib.decompressobj(-bits)

    def message(self, payload: bytes) -> bytes:
        """A message, of all that came in its frames; zlib.error if it is none."""
        data, message = payload + TAIL, b""
        while data:
            message += self._stream.decompress(data)
            data = self._stream.unused_data
            if self._stream.eof:
                self._stream = zlib.decompressobj(-self._bits)
        if self._forgets:
            self._stream = zlib.decompressobj(-self._bits)
        return message
