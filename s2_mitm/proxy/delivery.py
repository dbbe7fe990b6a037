"""What becomes of a message: it goes on to the peer as it came, or as somebody made it, or not.

Addons before and after ours may change a message or drop it, and so may the user who holds it back.
What they left is taken by mitmproxy's layer when it goes on after the hook: only then is it known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.websocket import WebsocketMessageHook
from mitmproxy.websocket import WebSocketMessage

logger = logging.getLogger(__name__)

Tell = Callable[[HTTPFlow, WebSocketMessage], None]

_CAME = "s2_came"
_tell: Tell | None = None


def install(tell: Tell) -> None:
    """Call ``tell`` with every message, in order, when all have had their say and it goes on."""
    global _tell
    _tell = tell


def uninstall() -> None:
    """Tell nobody any more."""
    global _tell
    _tell = None


def is_known(message: WebSocketMessage) -> bool:
    """Whether it came here, so that it will be told what becomes of it, or was."""
    return hasattr(message, _CAME)


def came(message: WebSocketMessage) -> bytes:
    """What came from the sender, before any addon; of a message that did not come here, what is."""
    content: bytes = getattr(message, _CAME, message.content)
    return content


def sent(message: WebSocketMessage) -> bytes | None:
    """What goes on to the peer, as it now is, where that differs from what came.

    None where it is the same, and where nothing goes.
    """
    if message.dropped or message.content == came(message):
        return None
    return message.content


class Passing:
    """The message of a WebSocket that is with the addons; there is one at a time."""

    def __init__(self, flow: HTTPFlow) -> None:
        self._flow = flow
        self._hook: object = None
        self._message: WebSocketMessage | None = None

    def begins(self, hook: WebsocketMessageHook) -> WebSocketMessage:
        """The newest message of the flow goes to the addons. Returns it."""
        assert self._flow.websocket is not None
        self._hook, self._message = hook, self._flow.websocket.messages[-1]
        setattr(self._message, _CAME, self._message.content)
        return self._message

    def heeds(self, event: events.Event) -> None:
        """The layer is about to handle an event: it may be that the addons are done."""
        if self._message is None or getattr(event, "command", None) is not self._hook:
            return
        message, self._message, self._hook = self._message, None, None
        if not isinstance(message.content, bytes):
            # mitmproxy's layer would fail on it, and the conversation with it.
            logger.error(
                f"s2-mitm: an addon made a message of the WebSocket {self._flow.id}"
                f" {type(message.content).__name__}, which is not bytes: it is not forwarded."
            )
            message.content, message.dropped = came(message), True
        if _tell:
            _tell(self._flow, message)
