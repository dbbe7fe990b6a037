"""Random WebSocket streams: what two peers may do by RFC 6455 and RFC 7692, and what each hears.

A stream comes from its seed alone. Its messages are in fragments or not, empty or long, compressed
in any legal way or not at all, with control frames anywhere between; TCP cuts it wherever it likes.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUED,
    PING,
    PONG,
    TAIL,
    TEXT,
    Frame,
    Inflater,
    read_frames,
)

CLOSE_CODES: tuple[int, ...] = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
MOST_PIECES = 200, 15, 15, 5, 1
"""Pieces in which TCP brings what a peer says: one of these, at most."""

Content = tuple[int, bytes]
"""The opcode and the payload of a whole message, or of a control frame."""


@dataclass(frozen=True)
class Agreement:
    """What the two have agreed on about compression, for each: (it forgets, its window's bits)."""

    deflates: bool
    client: tuple[bool, int]
    server: tuple[bool, int]

    @property
    def terms(self) -> str:
        """What stands in the header of the server's answer; empty for no compression."""
        words = ["permessage-deflate"] if self.deflates else []
        for name, (forgets, bits) in (("client", self.client), ("server", self.server)):
            if self.deflates:
                words += [f"{name}_no_context_takeover"] if forgets else []
                words += [f"{name}_max_window_bits={bits}"] if bits < 15 else []
        return "; ".join(words)


@dataclass
class Part:
    """What one of the two does: it says all pieces, and then it answers a close frame, or goes."""

    pieces: list[bytes]
    said: Heard
    """What the other is to hear of it, its answer to a close frame too."""
    answer: bytes = b""
    """Its own close frame for the other's; empty where it has closed by itself, or just goes."""
    goes: bool = False
    """Whether it closes the connection without a close frame, when it has heard everything."""
    pause: float = 0.0
    """Seconds between two pieces."""


@dataclass
class Stream:
    """A WebSocket from its beginning to its end."""

    seed: int
    agreement: Agreement
    client: Part
    server: Part
    comes_with_the_answer: bool
    """Whether the server's first piece comes at once with its answer to the handshake."""


@dataclass
class Heard:
    """What a peer hears: messages and control frames, each in order, and the close frame."""

    messages: list[Content] = field(default_factory=list)
    controls: list[Content] = field(default_factory=list)
    close: bytes | None = None


class Listener:
    """Takes in what arrives at one end, and holds it against the RFCs."""

    def __init__(self, agreement: Agreement, *, at_server: bool) -> None:
        self.heard = Heard()
        self._at_server = at_server
        self._deflates = agreement.deflates
        forgets, bits = agreement.client if at_server else agreement.server
        self._inflater = Inflater(forgets=forgets, bits=bits)
        self._data = bytearray()
        self._frames: list[Frame] = []

    def feed(self, data: bytes) -> None:
        """Take in some bytes; ValueError where they are no legal WebSocket."""
        self._data += data
        for frame in read_frames(self._data, masked=self._at_server):
            if self.heard.close is not None:
                raise ValueError(f"{frame} after the close frame")
            if frame.opcode >= CLOSE:
                self._control(frame)
            else:
                self._fragment(frame)

    def _control(self, frame: Frame) -> None:
        if frame.is_compressed or not frame.is_last or len(frame.payload) > 125:
            raise ValueError(f"{frame} is no control frame")
        if frame.opcode == CLOSE:
            self.heard.close = frame.payload
        else:
            self.heard.controls.append((frame.opcode, frame.payload))

    def _fragment(self, frame: Frame) -> None:
        if (frame.opcode == CONTINUED) is not bool(self._frames):
            raise ValueError(f"{frame} in the wrong place")
        if frame.is_compressed and (self._frames or not self._deflates):
            raise ValueError(f"{frame} must not be compressed")
        self._frames.append(frame)
        if frame.is_last:
            first = self._frames[0]
            message = b"".join(each.payload for each in self._frames)
            self._frames.clear()
            if first.is_compressed:
                try:
                    message = self._inflater.message(message)
                except zlib.error as problem:
                    raise ValueError(f"what does not inflate: {problem}") from problem
            self.heard.messages.append((first.opcode, message))


class Deflater:
    """Compresses messages in every way that there is, one after the other."""

    def __init__(self, draw: random.Random, *, forgets: bool, bits: int) -> None:
        self._draw = draw
        self._forgets = forgets
        self._bits = bits
        self._begin()

    def _begin(self) -> None:
        strategies = [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_FIXED]
        narrow = [zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE]  # the window of 256 bytes, zlib has not
        self._stream = zlib.compressobj(
            self._draw.randrange(10) if self._bits > 8 else self._draw.randrange(1, 10),
            wbits=-max(9, self._bits),
            strategy=self._draw.choice(strategies + narrow if self._bits > 8 else narrow),
        )

    def message(self, message: bytes) -> bytes:
        """It, compressed, as a payload."""
        draw, packed = self._draw, b""
        place = draw.randint(0, len(message))
        if draw.random() < 0.2:
            packed += self._stream.compress(message[:place])
            packed += self._stream.flush(draw.choice([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH]))
            message = message[place:]
        packed += self._stream.compress(message)
        if draw.random() < 0.1:
            packed += self._stream.flush(zlib.Z_FINISH) + b"\0"  # RFC 7692 7.2.3.4
            self._begin()
        else:
            packed = (packed + self._stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
        if self._forgets or draw.random() < 0.05:
            self._begin()
        return packed


def random_stream(seed: int) -> Stream:
    """The stream of a seed, always the same."""
    draw = random.Random(seed)
    agreement = Agreement(
        draw.random() < 0.7,
        *((draw.random() < 0.3, draw.choice([15, 15, 15, draw.randint(8, 14)])) for _ in range(2)),
    )
    # Who closes: one of them, which the other answers; both by themselves; or one just goes.
    end = draw.choice(["client", "server", "both", "client", "server", "both", "gone", "gone"])
    going = draw.choice(["client", "server"]) if end == "gone" else ""
    client, server = (
        _part(
            draw,
            agreement,
            is_client=name == "client",
            closes=end in (name, "both"),
            answers=end in ("client", "server") and end != name,
            goes=going == name,
        )
        for name in ("client", "server")
    )
    return Stream(seed, agreement, client, server, draw.random() < 0.3)


def _part(
    draw: random.Random,
    agreement: Agreement,
    *,
    is_client: bool,
    closes: bool,
    answers: bool,
    goes: bool,
) -> Part:
    said = Heard()
    forgets, bits = agreement.client if is_client else agreement.server
    deflater = Deflater(draw, forgets=forgets, bits=bits) if agreement.deflates else None
    frames: list[Frame] = []
    for _ in range(draw.choice([0, 1, 2, 3, 5, 8])):
        opcode, message = _message(draw)
        said.messages.append((opcode, message))
        frames += _between(draw, _fragments(draw, opcode, message, deflater))
    if (closes or goes) and draw.random() < 0.2:  # in the middle of a message
        frames += _between(draw, _fragments(draw, *_message(draw), deflater)[:-1])
    frames += _controls(draw)
    said.controls += [(each.opcode, each.payload) for each in frames if each.opcode > CLOSE]
    own_close = b""
    if closes or answers:
        said.close = _close(draw)
        own_close = _wire(draw, Frame(CLOSE, said.close), is_client)
    data = b"".join(_wire(draw, frame, is_client) for frame in frames)
    if closes:
        data += own_close
    return Part(
        _cut(draw, data),
        said,
        own_close if answers else b"",
        goes,
        draw.choice([0.0, 0.0, 0.0, 0.001]),
    )


def _wire(draw: random.Random, frame: Frame, is_client: bool) -> bytes:
    return frame.on_the_wire(masked=is_client, mask=draw.randbytes(4))


def _message(draw: random.Random) -> Content:
    kind = draw.random()
    if kind < 0.5:
        return TEXT, _s2(draw)
    if kind < 0.7:
        characters = "".join(chr(draw.choice([draw.randrange(0xD7FF), 0x1F50B])) for _ in range(9))
        return TEXT, characters.encode() * draw.choice([0, 1, 1, 20, 500])
    size = draw.choice([0, 1, 60, 125, 126, 127, 3000, draw.choice([20_000, 65_535, 65_536])])
    if draw.random() < 0.5:
        return BINARY, draw.randbytes(size)
    return BINARY, (draw.randbytes(30) * (size // 30 + 1))[:size]


def _s2(draw: random.Random) -> bytes:
    """What S2 peers say, and nearly."""
    identifier = str(draw.getrandbits(128))
    types: list[dict[str, object]] = [
        {"message_type": "Handshake", "role": draw.choice(["RM", "CEM"])},
        {"message_type": "FRBC.StorageStatus", "present_fill_level": draw.random() * 100},
        {
            "message_type": "PowerMeasurement",
            "measurement_timestamp": "2026-03-01T12:00:00Z",
            "values": [
                {"commodity_quantity": "ELECTRIC.POWER.L1", "value": draw.randint(-5000, 5000)}
            ]
            * draw.choice([0, 1, 3, 100]),
        },
        {
            "message_type": "ReceptionStatus",
            "subject_message_id": identifier,
            "status": draw.choice(["OK", "INVALID_DATA", "Wärmepumpe 電池 🔋"]),
        },
        {"message_type": draw.choice(["InstructionStatusUpdate", "x", ""])},
    ]
    said = draw.choice(types)
    if said["message_type"] != "ReceptionStatus":
        said["message_id"] = identifier
    if said["message_type"] == "Handshake" and draw.random() < 0.7:
        said["supported_protocol_versions"] = ["0.0.2-beta"]
    text = json.dumps(said, ensure_ascii=draw.random() < 0.5)
    is_whole = draw.random() < 0.9
    return text[: len(text) if is_whole else draw.randint(0, len(text))].encode()


def _fragments(
    draw: random.Random, opcode: int, message: bytes, deflater: Deflater | None
) -> list[Frame]:
    is_compressed = deflater is not None and draw.random() < 0.8
    payload = deflater.message(message) if deflater and is_compressed else message
    cuts = draw.choice([0, 0, 0, 1, 1, 2, 5])
    places = sorted(
        draw.choice([0, len(payload), draw.randint(0, len(payload))]) for _ in range(cuts)
    )
    starts, ends = [0, *places], [*places, len(payload)]
    return [
        Frame(
            CONTINUED if number else opcode,
            payload[start:end],
            is_last=number == cuts,
            is_compressed=is_compressed and not number,
        )
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _between(draw: random.Random, frames: list[Frame]) -> Iterator[Frame]:
    """The frames, with control frames before them and between."""
    for frame in frames:
        yield from _controls(draw)
        yield frame


def _controls(draw: random.Random) -> list[Frame]:
    return [
        Frame(draw.choice([PING, PONG]), draw.randbytes(draw.choice([0, 0, 4, 125])))
        for _ in range(draw.choice([0, 0, 0, 1, 1, 3]))
    ]


def _close(draw: random.Random) -> bytes:
    if draw.random() < 0.2:
        return b""
    reason = draw.choice(["", "bye", "schließt 🔋", "x" * 123])
    return draw.choice(CLOSE_CODES).to_bytes(2) + reason.encode()


def _cut(draw: random.Random, data: bytes) -> list[bytes]:
    """As TCP may."""
    most = draw.choice([1, 3, 10, 100, 1000])
    most = max(most, 2 * len(data) // draw.choice(MOST_PIECES))
    pieces, start = [], 0
    while start < len(data):
        end = start + draw.randint(1, most)
        pieces.append(data[start:end])
        start = end
    return pieces
