"""Let WebSocket messages pass without a task of the event loop for each.

Replaces mitmproxy's `ProxyConnectionHandler`.

For every message mitmproxy makes a task that calls the addons, and waits until it is that task's
turn; then it sends each message by itself. That is a good part of its time. Here the addons that
listen are called directly, as long as none of them waits for something, and the messages that came
with one read go out with one write. Addons see what they always see, in the same order.
"""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from mitmproxy.connection import Connection
from mitmproxy.http import HTTPFlow
from mitmproxy.master import Master
from mitmproxy.proxy import mode_servers
from mitmproxy.proxy.commands import Command, SendData, StartHook
from mitmproxy.proxy.events import Event, HookCompleted
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers.websocket import WebsocketMessageHook

from s2_mitm.proxy.patches import exchange
from s2_mitm.proxy.patches.listeners import Listeners
from s2_mitm.proxy.patches.replacing import replaced

tried = exchange.through_handler

IN_A_ROW = 16
"""Messages of one connection in a row; then it is the turn of the other connections."""

_Handler = mode_servers.ProxyConnectionHandler


@contextmanager
def installed(_master: Master) -> Iterator[None]:
    """For the connections that open meanwhile."""
    with replaced(mode_servers, ProxyConnectionHandler=FastPathHandler):
        yield


class FastPathHandler(_Handler):
    """mitmproxy's handler of a connection, with a `FastPath` before its topmost layer."""

    @property
    def layer(self) -> Any:
        return self._fast_path

    @layer.setter
    def layer(self, layer: Layer) -> None:
        self._fast_path = FastPath(layer, self)


class FastPath:
    """Stands in front of the topmost layer of a handler, in its place."""

    def __init__(self, layer: Layer, handler: _Handler) -> None:
        self.context = layer.context
        self._layer = layer
        self._handler = handler
        self._listeners = Listeners(handler.master.addons)
        self._waiting: set[asyncio.Task[None]] = set()

    def handle_event(self, event: Event) -> Iterator[Command]:
        """The commands that are left for the handler, after messages that can pass have passed."""
        events = deque([event])
        messages = 0
        unsent: dict[Connection, list[bytes]] = {}
        while events:
            for command in self._layer.handle_event(events.popleft()):
                if isinstance(command, SendData):
                    unsent.setdefault(command.connection, []).append(command.data)
                elif (
                    isinstance(command, WebsocketMessageHook)
                    and messages < IN_A_ROW
                    and not self._listeners.have_coroutines
                ):
                    messages += 1
                    if self._passes(command):
                        events.append(HookCompleted(command))
                else:
                    yield from _joined(unsent)
                    yield command
        yield from _joined(unsent)

    def _passes(self, hook: WebsocketMessageHook) -> bool:
        """Call the addons; True when all are done. Else a task waits for the one that waits."""
        calling = self._call(hook.flow)
        try:
            waits_for = calling.send(None)
        except StopIteration:
            return True
        task = asyncio.create_task(self._go_on(calling, waits_for, hook))
        # The event loop has only a weak reference to it.
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return False

    async def _call(self, flow: HTTPFlow) -> None:
        await self._listeners.hear(flow)
        if flow.intercepted:
            with self._handler.timeout_watchdog.disarm():
                await flow.wait_for_resume()

    async def _go_on(
        self, calling: Coroutine[Any, Any, None], waits_for: Any, hook: StartHook
    ) -> None:
        await _rest(calling, waits_for)
        await self._handler.server_event(HookCompleted(hook))


@types.coroutine
def _rest(calling: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that was begun outside of a task, and waits for ``waits_for``."""
    while True:
        try:
            yield waits_for
        except BaseException as problem:  # such as being cancelled, which is for the addon to hear
            resume = partial(calling.throw, problem)
        else:
            resume = partial(calling.send, None)
        try:
            waits_for = resume()
        except StopIteration:
            return


def _joined(unsent: dict[Connection, list[bytes]]) -> Iterator[SendData]:
    for connection, pieces in unsent.items():
        yield SendData(connection, b"".join(pieces))
    unsent.clear()
