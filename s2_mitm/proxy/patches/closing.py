"""Let a WebSocket end as its peers end it.

Replaces mitmproxy's `WebsocketLayer` and `WebsocketConnection`.

mitmproxy answers a close frame itself and closes both connections immediately: messages that the
other peer was sending are lost, and so is its own close frame. Here a close frame is passed on like
any other frame, and both connections are closed when both peers have sent theirs, or one of them is
gone. Where a peer goes without a close frame, mitmproxy sends 1000 (all is well) to the other; here
nothing is sent. Only here it is known whether it was a peer that closed the WebSocket, or this
proxy, because what came from a peer could not be read.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from mitmproxy.master import Master
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import websocket
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol

from s2_mitm.proxy.patches import exchange
from s2_mitm.proxy.patches.replacing import on_top, replaced
from s2_mitm.proxy.session import LIVE

tried = exchange.through_layer

_BAD_GATEWAY = 1014
_BEGUN = {ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING}


@contextmanager
def installed(_master: Master) -> Iterator[None]:
    """For the WebSockets that open meanwhile."""
    with replaced(
        websocket,
        WebsocketLayer=on_top(ClosingLayer, websocket.WebsocketLayer),
        WebsocketConnection=on_top(ClosingConnection, websocket.WebsocketConnection),
    ):
        yield


class _Protocol(FrameProtocol):
    """wsproto's, with close code 1014, which was registered after its list was made."""

    def _process_close(self, frame: Frame) -> Frame:
        payload: Any = frame.payload
        if payload[:2] != _BAD_GATEWAY.to_bytes(2):
            return super()._process_close(frame)
        another = CloseReason.INTERNAL_ERROR.to_bytes(2)
        closed: Any = super()._process_close(frame._replace(payload=another + payload[2:]))
        return closed._replace(payload=(_BAD_GATEWAY, closed.payload[1]))  # type: ignore[no-any-return]


class ClosingConnection(websocket.WebsocketConnection):
    """The connection to one peer; it keeps for its layer how it ends."""

    ending: CloseConnection | None = None
    """The peer's close frame; or why there will be none: the peer is gone, or what it has sent
    cannot be read."""

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
        # The peer sends no more data, but still receives what the other sends (RFC 6455 5.5.1).
        self._state = ConnectionState.OPEN
        try:
            return super().send(event)
        finally:
            self._state = ConnectionState.REMOTE_CLOSING


class ClosingLayer(websocket.WebsocketLayer):
    """mitmproxy's layer of a WebSocket, with another end."""

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
        has_sent_close = source.state is ConnectionState.REMOTE_CLOSING
        if has_sent_close and other.state is ConnectionState.OPEN:
            yield other.send2(ending)  # it may finish its message, and then answers
            return
        about.timestamp_end = time.time()
        is_gone = ending.code is CloseReason.ABNORMAL_CLOSURE
        for each in (self.server_ws, self.client_ws):
            if each.state in _BEGUN and not is_gone:
                yield each.send2(ending)
            yield commands.CloseConnection(each.conn)
        if session := LIVE.get(self.flow.id):
            session.closed_by_proxy |= self._was_closed_here()
        yield websocket.WebsocketEndHook(self.flow)
        self.flow.live = False
        self._handle_event = self.done

    def _was_closed_here(self) -> bool:
        """Whether neither peer closed it: what came from one of them could not be passed on."""
        by_client = self.flow.websocket and self.flow.websocket.closed_by_client
        source = self.client_ws if by_client else self.server_ws
        # The close frame of a peer was answered, and one that is gone was sent none.
        return source.state is ConnectionState.LOCAL_CLOSING
