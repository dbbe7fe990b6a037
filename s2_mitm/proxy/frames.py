"""Let text frames pass byte for byte.

mitmproxy decodes the payload of a text frame and encodes it again. A text that is not UTF-8 ends
the connection on the way, before anyone can say what was wrong with it; and a message that was
injected is cut into pieces of 4,000 bytes which are decoded one by one, so that a character across
a cut arrives as U+FFFD, and a peer without support for continuation frames gets nothing at all.

mitmproxy has no setting for either, so its two classes are replaced while the addon is loaded.
"""

from __future__ import annotations

import sys
from typing import Any

import wsproto.events
from mitmproxy.proxy.layers import websocket
from wsproto.frame_protocol import MessageDecoder

_Connection = websocket.WebsocketConnection
_Fragmentizer = websocket.Fragmentizer


def install() -> None:
    """Let the WebSockets that open from now on pass as they are."""
    websocket.WebsocketConnection = _ByteExactConnection  # type: ignore[misc]
    websocket.Fragmentizer = _ByteExactFragmentizer  # type: ignore[misc]


def uninstall() -> None:
    """Give mitmproxy its own classes back; WebSockets that are open keep what they have."""
    websocket.WebsocketConnection = _Connection  # type: ignore[misc]
    websocket.Fragmentizer = _Fragmentizer  # type: ignore[misc]


class _Text(str):
    """The payload of a text frame; encoding it gives back the very bytes that came."""

    raw: bytes

    def __new__(cls, raw: bytes) -> _Text:
        text = super().__new__(cls, raw.decode(errors="replace"))
        text.raw = raw
        return text

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.raw


class _NoDecoder:
    """In place of wsproto's UTF-8 decoder, which refuses what is not UTF-8."""

    def decode(self, payload: bytes, _final: bool) -> _Text:
        return _Text(bytes(payload))


class _ByteExactDecoder(MessageDecoder):
    @property
    def decoder(self) -> Any:
        return self._no_decoder

    @decoder.setter
    def decoder(self, decoder: object) -> None:
        self._no_decoder = None if decoder is None else _NoDecoder()


class _ByteExactConnection(_Connection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._proto._message_decoder = _ByteExactDecoder()


class _ByteExactFragmentizer(_Fragmentizer):
    # One frame for what was injected, as a peer would send it. What was received keeps its frames.
    FRAGMENT_SIZE = sys.maxsize

    def msg(self, data: bytes, message_finished: bool) -> Any:
        if self.is_text:
            return wsproto.events.TextMessage(_Text(data), message_finished=message_finished)
        return wsproto.events.BytesMessage(data, message_finished=message_finished)
