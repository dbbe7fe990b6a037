"""Messages that are compressed: permessage-deflate, RFC 7692.

Replaces wsproto's `PerMessageDeflate`, for mitmproxy and for all else in this process.

wsproto's has four faults. After a ping between two fragments it takes the second for one that is
not compressed. After a DEFLATE block that is marked as the last it loses what follows. It refuses a
window of 256 bytes, which the RFC allows. And it inflates without a limit: a few kilobytes may
become a gigabyte.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import wsproto.extensions
from mitmproxy.master import Master
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from s2_mitm.proxy.memory import MAX_MESSAGE
from s2_mitm.proxy.patches import exchange
from s2_mitm.proxy.patches.replacing import replaced

tried = exchange.compressed

_TAIL = b"\x00\x00\xff\xff"
"""How each compressed message ends; it is left out on the wire."""

_LARGEST_WINDOW = 15
_SMALLEST_WINDOW = 8
_WINDOWS = {str(bits) for bits in range(_SMALLEST_WINDOW, _LARGEST_WINDOW + 1)}


@contextmanager
def installed(_master: Master) -> Iterator[None]:
    """For the WebSockets that open meanwhile."""
    with replaced(wsproto.extensions, PerMessageDeflate=PerMessageDeflate):
        yield


class PerMessageDeflate(Extension):
    """What two peers have agreed on, and the state of both directions between one of them and us.

    `finalize` takes the agreement, as it stands in the header of the server's answer.
    """

    name = "permessage-deflate"

    def __init__(self) -> None:
        self._agreed: dict[str, str] = {}
        self._message_is_compressed = False
        self._frame_is_compressed = False
        self._compressor: zlib._Compress | None = None
        # None where a new DEFLATE stream begins.
        self._decompressor: zlib._Decompress | None = None

    def offer(self) -> bool:
        """Nothing: the peers make their agreement themselves."""
        return False

    def finalize(self, offer: str) -> None:
        """Take the agreement. What is wrong in it is for the peers to notice."""
        for parameter in offer.split(";")[1:]:
            name, _, value = parameter.partition("=")
            self._agreed[name.strip()] = value.strip().strip('"')

    def enabled(self) -> bool:
        return True

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> RsvBits:
        # It may be asked twice about a frame, when its header comes in pieces.
        if opcode.iscontrol():
            self._frame_is_compressed = False
        else:
            if opcode is not Opcode.CONTINUATION:
                self._message_is_compressed = rsv.rsv1
            self._frame_is_compressed = self._message_is_compressed
        # The bit is for the first frame of a message only.
        return RsvBits(opcode in (Opcode.TEXT, Opcode.BINARY), False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        return self._inflate(bytes(data)) if self._frame_is_compressed else data

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        if not (fin and self._frame_is_compressed):
            return None
        # After a block that was the last of a stream there is none that could be left open.
        rest = self._inflate(_TAIL) if self._decompressor else b""
        if self._forgets("server" if proto.client else "client"):
            self._decompressor = None
        return rest

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        inflated = b""
        try:
            while data:
                # The largest window does for every smaller one.
                stream = self._decompressor or zlib.decompressobj(-_LARGEST_WINDOW)
                inflated += stream.decompress(data, MAX_MESSAGE + 1 - len(inflated))
                if len(inflated) > MAX_MESSAGE:
                    return CloseReason.MESSAGE_TOO_BIG
                # A block may say that it is the last, and others may follow (RFC 7692 7.2.3.4).
                self._decompressor = None if stream.eof else stream
                data = stream.unused_data
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        return inflated

    def frame_outbound(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        data: bytes,
        fin: bool,
    ) -> tuple[RsvBits, bytes]:
        if opcode.iscontrol():
            return rsv, data
        sender = "client" if proto.client else "server"
        if self._compressor is None:
            self._compressor = _compressor(self._window(sender))
        data = self._compressor.compress(data)
        if fin:
            data = (data + self._compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
            if self._forgets(sender):
                self._compressor = None
        return RsvBits(opcode is not Opcode.CONTINUATION, rsv.rsv2, rsv.rsv3), data

    def _forgets(self, sender: str) -> bool:
        """Whether each message of the sender, ``client`` or ``server``, is compressed by itself."""
        return f"{sender}_no_context_takeover" in self._agreed

    def _window(self, sender: str) -> int:
        """The size that the window of the sender may have, as the exponent of two."""
        agreed = self._agreed.get(f"{sender}_max_window_bits", "")
        return int(agreed) if agreed in _WINDOWS else _LARGEST_WINDOW


def _compressor(window: int) -> zlib._Compress:
    if window == _SMALLEST_WINDOW:  # which zlib has not; without repetitions there is no window
        return zlib.compressobj(wbits=-9, strategy=zlib.Z_HUFFMAN_ONLY)
    return zlib.compressobj(wbits=-window)
