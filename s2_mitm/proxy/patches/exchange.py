"""A short WebSocket in memory, through the classes that mitmproxy would use for the next one.

It shows what names cannot: whether what replaces parts of mitmproxy still does their work.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from mitmproxy.addonmanager import AddonManager
from mitmproxy.connection import Client, Connection, Server
from mitmproxy.http import HTTPFlow, Request, Response
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events, mode_servers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import websocket
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.websocket import WebSocketData, WebSocketMessage

from s2_mitm.proxy.patches.replacing import UnexpectedError

_CLIENTS, _SERVERS, _INJECTED = b'{"from":"client"}', b'{"from":"server"}', b'{"from":"user"}'
_CLOSE = b"\x03\xe8"
"""What is in a close frame with code 1000."""
_NO_MASK = bytes(4)
_NOWHERE = ("127.0.0.1", 9)
_LEFT_OUT = b"\x00\x00\xff\xff"
"""How a compressed message would end."""


def through_layer(master: Master) -> None:
    """Both peers send a message, a third is injected, and both close.

    Raises UnexpectedError where a peer does not get what was sent, and whatever the layer raises.
    """
    _Exchange(master.options, is_compressed=False).play()


def compressed(master: Master) -> None:
    """As `through_layer`, where the messages are compressed."""
    _Exchange(master.options, is_compressed=True).play()


class _Exchange:
    def __init__(self, options: Options, *, is_compressed: bool) -> None:
        client = Client(peername=_NOWHERE, sockname=_NOWHERE, timestamp_start=0.0)
        self._context = Context(client, options)
        self._context.server = Server(address=_NOWHERE)
        self._flow = HTTPFlow(client, self._context.server)
        self._flow.request = Request.make("GET", "http://127.0.0.1/")
        terms = {"Sec-WebSocket-Extensions": "permessage-deflate"} if is_compressed else {}
        self._flow.response = Response.make(101, headers=terms)
        self._flow.websocket = WebSocketData()
        self._is_compressed = is_compressed
        self._arrived = {client: b"", self._context.server: b""}
        self._closed: set[Connection] = set()
        self._has_ended = False
        self._layer = websocket.WebsocketLayer(self._context, self._flow)

    def play(self) -> None:
        client, server = self._context.client, self._context.server
        injected = WebSocketMessage(1, False, _INJECTED)
        self._handle(events.Start())
        self._handle(events.DataReceived(client, self._text(_CLIENTS, is_masked=True)))
        self._handle(events.DataReceived(server, self._text(_SERVERS, is_masked=False)))
        self._handle(websocket.WebSocketMessageInjected(self._flow, injected))
        self._handle(events.DataReceived(client, _frame(0x88, _CLOSE, is_masked=True)))
        self._handle(events.DataReceived(server, _frame(0x88, _CLOSE, is_masked=False)))
        self._see(server, _CLIENTS)
        self._see(client, _SERVERS, _INJECTED)
        if self._closed != {client, server} or not self._has_ended:
            raise UnexpectedError("both peers closed, and the WebSocket is still open")

    def _text(self, content: bytes, *, is_masked: bool) -> bytes:
        if not self._is_compressed:
            return _frame(0x81, content, is_masked=is_masked)
        stream = zlib.compressobj(wbits=-15)
        data = stream.compress(content) + stream.flush(zlib.Z_SYNC_FLUSH)
        return _frame(0xC1, data.removesuffix(_LEFT_OUT), is_masked=is_masked)

    def _handle(self, event: events.Event) -> None:
        waiting = deque([event])
        while waiting:
            for command in self._layer.handle_event(waiting.popleft()):
                if isinstance(command, commands.SendData):
                    self._arrived[command.connection] += bytes(command.data)
                elif isinstance(command, commands.CloseConnection):
                    self._closed.add(command.connection)
                elif isinstance(command, commands.StartHook):
                    self._has_ended |= isinstance(command, websocket.WebsocketEndHook)
                    waiting.append(events.HookCompleted(command))

    def _see(self, peer: Connection, *contents: bytes) -> None:
        stream = zlib.decompressobj(-15)
        frames = [*_frames(self._arrived[peer])]
        texts = [payload for opcode, payload in frames if opcode == 1]
        if self._is_compressed:
            texts = [stream.decompress(text + _LEFT_OUT) for text in texts]
        if texts != [*contents] or [opcode for opcode, _ in frames[len(texts) :]] != [8]:
            raise UnexpectedError(f"a peer got {frames!r}")


def through_handler(master: Master) -> None:
    """mitmproxy's handler of a connection takes a message to the addons, and passes it on.

    The addons of ``master`` do not see it. Raises UnexpectedError where it does not arrive, and
    whatever the handler raises.
    """
    heard: list[object] = []
    addon = SimpleNamespace(websocket_message=heard.append)
    addons: Any = AddonManager(SimpleNamespace(options=Options()))
    addons.lookup, addons.chain = {"exchange": addon}, [addon]
    sent: list[bytes] = []
    writer: Any = SimpleNamespace(
        get_extra_info=lambda name, default=_NOWHERE: default,
        is_closing=lambda: False,
        write=sent.append,
    )
    handler = mode_servers.ProxyConnectionHandler(
        SimpleNamespace(addons=addons),
        None,
        writer,
        master.options,
        ProxyMode.parse("reverse:http://127.0.0.1:9"),
    )
    flow = HTTPFlow(handler.client, Server(address=_NOWHERE))

    def relay(event: events.Event) -> Iterator[commands.Command]:
        if isinstance(event, events.HookCompleted):
            yield commands.SendData(handler.client, _CLIENTS)
        else:
            yield websocket.WebsocketMessageHook(flow)

    layer: Any = SimpleNamespace(context=handler.layer.context, handle_event=relay)
    handler.layer = layer
    step: Any = handler.server_event(events.Start())
    try:
        step.send(None)
    except StopIteration:
        pass
    else:
        raise UnexpectedError("the handler waits for something")
    if heard != [flow] or sent != [_CLIENTS]:
        raise UnexpectedError(f"a message went to {len(heard)} addons, and as {sent!r} to the peer")


def _frame(first: int, payload: bytes, *, is_masked: bool) -> bytes:
    """A short frame (RFC 6455, 5.2) whose mask, if it has one, changes nothing."""
    return bytes([first, is_masked << 7 | len(payload)]) + _NO_MASK * is_masked + payload


def _frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The opcodes and the payloads, without their masks, of short frames."""
    while data:
        is_masked, size = data[1] >= 128, data[1] & 127
        start = 6 if is_masked else 2
        mask, payload = data[2:start], data[start : start + size]
        if is_masked:
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        yield data[0] & 15, payload
        data = data[start + size :]
