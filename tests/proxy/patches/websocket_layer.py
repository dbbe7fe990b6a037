"""mitmproxy's WebSocket layer between a client and a server, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from mitmproxy.connection import Connection
from mitmproxy.http import HTTPFlow
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import websocket
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from websocket_frames import Frame, read_frames
from wsproto.frame_protocol import Opcode

from s2_mitm.proxy.patches.switch import Switch


@contextmanager
def in_place(*names: str) -> Iterator[None]:
    """Have these patches, and no others, for the WebSockets that open meanwhile."""
    switch = Switch()
    master: Any = SimpleNamespace(options=Options())
    switch.choose(master, frozenset(names))
    assert {*switch.in_place} == {*names}
    yield
    switch.done()


@dataclass
class Proxy:
    """Frames go in on one side, and come out on the other."""

    extensions: str = ""
    """What the peers have agreed on."""
    to_client: bytearray = field(default_factory=bytearray)
    to_server: bytearray = field(default_factory=bytearray)
    closed: list[Connection] = field(default_factory=list)
    """The connections that it closes."""

    def __post_init__(self) -> None:
        self.flow: HTTPFlow = tflow.twebsocketflow(messages=False)
        assert self.flow.websocket is not None
        assert self.flow.response is not None
        self.flow.websocket.messages = []
        if self.extensions:
            self.flow.response.headers["Sec-WebSocket-Extensions"] = self.extensions
        self.context = Context(self.flow.client_conn, Options())
        self.context.server = self.flow.server_conn
        self.layer = websocket.WebsocketLayer(self.context, self.flow)
        self.handle(events.Start())

    def handle(self, event: events.Event) -> None:
        waiting = [event]
        while waiting:
            for command in self.layer.handle_event(waiting.pop(0)):
                if isinstance(command, commands.SendData):
                    is_client = command.connection is self.context.client
                    (self.to_client if is_client else self.to_server).extend(command.data)
                elif isinstance(command, commands.CloseConnection):
                    self.closed.append(command.connection)
                elif isinstance(command, commands.StartHook):
                    self.hook(command)
                    waiting.append(events.HookCompleted(command, None))

    def hook(self, command: commands.StartHook) -> None:
        """What an addon does."""

    def send(self, *sent: Frame, from_client: bool = True, piece: int = 0) -> list[Frame]:
        """What arrives at the other side of frames; ``piece`` cuts them as TCP may."""
        connection = self.context.client if from_client else self.context.server
        data = b"".join(frame.on_the_wire(masked=from_client) for frame in sent)
        piece = piece or len(data)
        for start in range(0, len(data), piece):
            self.handle(events.DataReceived(connection, data[start : start + piece]))
        return self.arrived(at_server=from_client)

    def gone(self, *, is_client: bool = True) -> None:
        """A peer closes its connection."""
        connection = self.context.client if is_client else self.context.server
        self.handle(events.ConnectionClosed(connection))

    def inject(self, content: bytes, *, to_client: bool) -> list[Frame]:
        message = WebSocketMessage(Opcode.TEXT, not to_client, content)
        self.handle(websocket.WebSocketMessageInjected(self.flow, message))
        return self.arrived(at_server=not to_client)

    def arrived(self, *, at_server: bool) -> list[Frame]:
        return [*read_frames(self.to_server if at_server else self.to_client)]

    @property
    def messages(self) -> list[WebSocketMessage]:
        assert self.flow.websocket is not None
        return self.flow.websocket.messages
