"""Let a WebSocket end as its peers end it.

mitmproxy answers a close frame itself and closes both connections at once: what the other peer was
just saying is lost, and so is its own close frame. Here a close frame is passed on like any other,
and both connections are closed when both peers have sent theirs, or one of them is gone. Where one
goes without a close frame, mitmproxy tells the other 1000, that all is well; here it tells nothing.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import websocket
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol

_BAD_GATEWAY = 1014
_BEGUN = {ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING}


class _Protocol(FrameProtocol):
    """wsproto's, with the one close code that was registered after its list was made."""

    def _process_close(self, frame: Frame) -> Frame:
        payload: Any = frame.payload
        if payload[:2] != _BAD_GATEWAY.to_bytes(2):
            return super()._process_close(frame)
        another = CloseReason.INTERNAL_ERROR.to_bytes(2)
        closed: Any = super()._process_close(frame._replace(payload=another + payload[2:]))
        return closed._replace(payload=(_BAD_GATEWAY, closed.payload[1]))  # type: ignore[no-any-return]


class ClosingConnection(websocket.WebsocketConnection):
    """The connection to one peer, which keeps for its layer how it ends."""

    ending: CloseConnection | None = None
    """The peer's close frame; or why there will be none: it is gone, or has sent what is wrong."""

    def __init__(self, kind: ConnectionType, extensions: list[Extension], **kwargs: Any) -> None:
        super().__init__(kind, extensions, **kwargs)
        self._proto = _Protocol(self.client, extensions)

    def events(self) -> Generator[Event, None, None]:
        for event in super().events():
            if isinstance(event, CloseConnection):
                self.ending = event
            else:
                yield event

    def send(self, event: Event) -> Any:
        if self.state is not ConnectionState.REMOTE_CLOSING or isinstance(event, CloseConnection):
            return super().send(event)
        # The peer will say no more, but it hears what the other still says (RFC 6455 5.5.1).
        self._state = ConnectionState.OPEN
        try:
            return super().send(event)
        finally:
            self._state = ConnectionState.REMOTE_CLOSING


class ClosingLayer(websocket.WebsocketLayer):
    """mitmproxy's layer of a WebSocket, but for its end."""

    client_ws: ClosingConnection
    server_ws: ClosingConnection
    _is_closing = False

    def relay_messages(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self._is_closing and isinstance(event, websocket.WebSocketMessageInjected):
            return
        yield from super().relay_messages(event)
        if self.client_ws.ending:
            yield from self._finish(self.client_ws, self.server_ws)
        elif self.server_ws.ending:
            yield from self._finish(self.server_ws, self.client_ws)

    def _finish(
        self, source: ClosingConnection, other: ClosingConnection
    ) -> layer.CommandGenerator[None]:
        ending, source.ending = source.ending, None
        assert ending is not None
        about = self.flow.websocket
        assert about is not None
        if not self._is_closing:
            self._is_closing = True
            about.closed_by_client = source is self.client_ws
            about.close_code = ending.code
            about.close_reason = ending.reason
        has_said_so = source.state is ConnectionState.REMOTE_CLOSING
        if has_said_so and other.state is ConnectionState.OPEN:
            yield other.send2(ending)  # which may finish what it is saying, and answers
            return
        about.timestamp_end = time.time()
        is_gone = ending.code is CloseReason.ABNORMAL_CLOSURE
        for each in (self.server_ws, self.client_ws):
            if each.state in _BEGUN and not is_gone:
                yield each.send2(ending)
            yield commands.CloseConnection(each.conn)
        yield websocket.WebsocketEndHook(self.flow)
        self.flow.live = False
        self._handle_event = self.done
