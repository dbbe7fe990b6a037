"""Let text frames pass byte for byte.

Replaces mitmproxy's `WebsocketConnection` and `Fragmentizer`.

mitmproxy decodes the payload of a text frame and encodes it again. A text that is not UTF-8 ends
its WebSocket there, before anyone can say what is wrong with it. A message that was injected is cut
into pieces of 4,000 bytes that are decoded one by one: a character across a cut arrives as U+FFFD,
and a peer that does not support continuation frames gets nothing at all. And mitmproxy collects the
frames of a message until it is whole, however large it becomes.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from mitmproxy.master import Master
from mitmproxy.proxy.layers import websocket
from wsproto.events import BytesMessage, Event, Message, TextMessage
from wsproto.frame_protocol import CloseReason, Frame, MessageDecoder, ParseFailed

from s2_mitm.proxy.memory import MAX_MESSAGE
from s2_mitm.proxy.patches import exchange
from s2_mitm.proxy.patches.replacing import on_top, replaced

tried = exchange.through_layer

MAX_FRAMES = 4096
"""Frames of one message. When it comes in more, those after that are joined with the last one."""

FRAME_BYTES = 100
"""About the memory that a frame takes beside its payload."""


@contextmanager
def installed(_master: Master) -> Iterator[None]:
    """For the WebSockets that open meanwhile.

    mitmproxy looks its Fragmentizer up at each message: a WebSocket that is still open afterwards
    goes on, but a text that is not UTF-8 is changed by mitmproxy's own from then on.
    """
    with replaced(
        websocket,
        WebsocketConnection=on_top(ByteExactConnection, websocket.WebsocketConnection),
        Fragmentizer=_ByteExactFragmentizer,
    ):
        yield


class _Text(str):
    """The payload of a text frame; encoding it gives the very bytes that came.

    As a text it is empty, for nobody reads it as one.
    """

    raw: bytes

    def __new__(cls, raw: bytes) -> _Text:
        text = super().__new__(cls)
        text.raw = raw
        return text

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.raw


class _NoDecoder:
    """In place of wsproto's UTF-8 decoder, which refuses what is not UTF-8."""

    def decode(self, payload: bytes, _final: bool) -> _Text:
        return _Text(bytes(payload))


class _ByteExactDecoder(MessageDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        """Bytes of the message that is not whole."""

    def process_frame(self, frame: Frame) -> Frame:
        self.size += len(frame.payload)
        if self.size > MAX_MESSAGE:
            raise ParseFailed("a message of more bytes than pass", CloseReason.MESSAGE_TOO_BIG)
        frame = super().process_frame(frame)
        if frame.message_finished:
            self.size = 0
        return frame

    @property
    def decoder(self) -> Any:
        return self._no_decoder

    @decoder.setter
    def decoder(self, decoder: object) -> None:
        self._no_decoder = None if decoder is None else _NoDecoder()


class _Frames(list[Any]):
    """The frames so far of a message that is not whole; bytes can be added to the last in place."""

    def __init__(self) -> None:
        super().__init__([bytearray()])

    def append(self, frame: bytes | bytearray) -> None:
        if len(self) < MAX_FRAMES:
            super().append(bytearray(frame))
        else:
            self[-1] += frame


class ByteExactConnection(websocket.WebsocketConnection):
    """The connection to one peer, whose text frames keep their bytes."""

    _frames: _Frames

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._decoder = self._proto._message_decoder = _ByteExactDecoder()

    @property
    def half_message(self) -> int:
        """The bytes in memory of a message that is not whole."""
        return self._decoder.size + FRAME_BYTES * (len(self._frames) - 1)

    def events(self) -> Generator[Event, None, None]:
        # A message that is injected between two fragments is no part of theirs.
        while self._events and isinstance(self._events[0], Message):
            coming, self._frames = self._frames, _Frames()
            yield self._events.popleft()
            self._frames = coming
        yield from super().events()

    @property
    def frame_buf(self) -> _Frames:
        return self._frames

    @frame_buf.setter
    def frame_buf(self, _empty: list[bytes]) -> None:
        self._frames = _Frames()


class _ByteExactFragmentizer(websocket.Fragmentizer):
    # What was injected goes out in one frame, as a peer would send it. What came keeps its frames.
    FRAGMENT_SIZE = sys.maxsize

    def msg(self, data: bytes, message_finished: bool) -> Any:
        if self.is_text:
            return TextMessage(_Text(data), message_finished=message_finished)
        return BytesMessage(data, message_finished=message_finished)
