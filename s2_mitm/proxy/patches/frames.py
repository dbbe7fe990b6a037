"""Let text frames pass byte for byte.

mitmproxy decodes the payload of a text frame and encodes it again. A text that is not UTF-8 ends
the connection on the way, before anyone can say what was wrong with it; and a message that was
injected is cut into pieces of 4,000 bytes which are decoded one by one, so that a character across
a cut arrives as U+FFFD, and a peer without support for continuation frames gets nothing at all.
And it takes a message together until it is whole, however large that is, on the wire or inflated.

mitmproxy has no setting for any of it, so its classes are replaced while the addon is loaded, and
wsproto's for messages that are compressed.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import wsproto.extensions
from mitmproxy.proxy.layers import websocket
from wsproto.events import BytesMessage, Event, Message, TextMessage
from wsproto.frame_protocol import CloseReason, Frame, MessageDecoder, ParseFailed

from s2_mitm.proxy.patches.closing import ClosingConnection, ClosingLayer
from s2_mitm.proxy.patches.deflate import MAX_MESSAGE, PerMessageDeflate

MAX_FRAMES = 4096
"""Frames of one message. What comes in more is passed on in so many, the last of which is long."""

FRAME_BYTES = 100
"""About what a frame takes in memory beside what is in it."""

_Layer = websocket.WebsocketLayer
_Connection = websocket.WebsocketConnection
_Fragmentizer = websocket.Fragmentizer
_PerMessageDeflate = wsproto.extensions.PerMessageDeflate


def install() -> None:
    """Let the WebSockets that open from now on pass as they are."""
    websocket.WebsocketLayer = ClosingLayer  # type: ignore[misc]
    websocket.WebsocketConnection = _ByteExactConnection  # type: ignore[misc]
    websocket.Fragmentizer = _ByteExactFragmentizer  # type: ignore[misc]
    wsproto.extensions.PerMessageDeflate = PerMessageDeflate  # type: ignore[misc, assignment]


def uninstall() -> None:
    """Give mitmproxy its own classes back; WebSockets that are open keep what they have."""
    websocket.WebsocketLayer = _Layer  # type: ignore[misc]
    websocket.WebsocketConnection = _Connection  # type: ignore[misc]
    websocket.Fragmentizer = _Fragmentizer  # type: ignore[misc]
    wsproto.extensions.PerMessageDeflate = _PerMessageDeflate  # type: ignore[misc]


class _Text(str):
    """The payload of a text frame; encoding it gives back the very bytes that came.

    Nobody reads it as text, so it holds none.
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
        """Bytes of the message that is not finished."""

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
    """The frames of a message that is coming, to the last of which more can be added in place."""

    def __init__(self) -> None:
        super().__init__([bytearray()])

    def append(self, frame: bytes | bytearray) -> None:
        if len(self) < MAX_FRAMES:
            super().append(bytearray(frame))
        else:
            self[-1] += frame


class _ByteExactConnection(ClosingConnection):
    _frames: _Frames

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._decoder = self._proto._message_decoder = _ByteExactDecoder()

    @property
    def half_message(self) -> int:
        """The bytes in memory of a message that is not finished."""
        return self._decoder.size + FRAME_BYTES * (len(self._frames) - 1)

    def events(self) -> Generator[Event, None, None]:
        # What is injected is no part of a message that is still coming in fragments.
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


class _ByteExactFragmentizer(_Fragmentizer):
    # One frame for what was injected, as a peer would send it. What was received keeps its frames.
    FRAGMENT_SIZE = sys.maxsize

    def msg(self, data: bytes, message_finished: bool) -> Any:
        if self.is_text:
            return TextMessage(_Text(data), message_finished=message_finished)
        return BytesMessage(data, message_finished=message_finished)
