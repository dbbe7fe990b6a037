"""What becomes of a message: it goes on to the peer as it came, or changed, or not at all.

Addons before and after ours may change a message or drop it, and so may the user who holds it back.
The patch of the same name says here what came, and when mitmproxy goes on with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from mitmproxy.http import HTTPFlow
from mitmproxy.websocket import WebSocketMessage

logger = logging.getLogger(__name__)

Tell = Callable[[HTTPFlow, WebSocketMessage], None]

_CAME = "s2_came"
_SEEN = "s2_seen"
_tell: Tell | None = None


def call(tell: Tell | None) -> None:
    """Call ``tell`` with each message when all addons are done with it; None calls nobody."""
    global _tell
    _tell = tell


def is_known(message: WebSocketMessage) -> bool:
    """Whether it came here, so that it will be told what becomes of it, or was."""
    return hasattr(message, _CAME)


def came(message: WebSocketMessage) -> bytes:
    """What came from the sender, before any addon.

    Of a message that did not come here it is what our own addon has `seen`, or else what is there.
    """
    content: bytes | None = getattr(message, _CAME, None)
    return getattr(message, _SEEN, message.content) if content is None else content


def seen(message: WebSocketMessage) -> None:
    """Our own addon sees a message; others may change it from now on."""
    if not is_known(message):
        setattr(message, _SEEN, message.content)


def sent(message: WebSocketMessage) -> bytes | None:
    """What goes on to the peer, as it now is, where that differs from what came.

    None where it is the same, and where nothing goes.
    """
    if message.dropped or message.content == came(message):
        return None
    return message.content


def comes(message: WebSocketMessage) -> None:
    """A message came from its sender; no addon has seen it yet."""
    setattr(message, _CAME, message.content)


def goes_on(flow: HTTPFlow, message: WebSocketMessage) -> None:
    """All addons are done with a message that came: mitmproxy goes on with it as it now is."""
    if not isinstance(message.content, bytes):
        # mitmproxy's layer would fail on it, and the conversation with it.
        logger.error(
            f"s2-mitm: an addon made a message of the WebSocket {flow.id}"
            f" {type(message.content).__name__}, which is not bytes: it is not forwarded."
        )
        message.content, message.dropped = came(message), True
    if _tell:
        _tell(flow, message)
