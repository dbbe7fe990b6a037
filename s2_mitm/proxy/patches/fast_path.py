"""Let WebSocket messages pass in one go, without a task of the event loop for each.

For every message mitmproxy makes a task that calls the addons, waits until it is that task's turn,
and then sends the message by itself; that is a good part of its time. Here the addons that listen
are called on the spot, as long as none of them waits for something, and what came in with one read
goes out with one write. Addons see what they always see, in the same order.
"""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Coroutine, Generator, Iterator
from functools import partial
from typing import Any

from mitmproxy.connection import Connection
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import mode_servers
from mitmproxy.proxy.commands import Command, SendData, StartHook
from mitmproxy.proxy.events import Event, HookCompleted
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers.websocket import WebsocketMessageHook

from s2_mitm.proxy.patches.listeners import Listeners

AT_ONCE = 16
"""Messages of a connection that pass in one go; then it is the turn of the other connections."""

_Handler = mode_servers.ProxyConnectionHandler


def install() -> None:
    """Let the connections that open from now on do so."""
    mode_servers.ProxyConnectionHandler = FastPathHandler  # type: ignore[misc]


def uninstall() -> None:
    """Give mitmproxy its own class back; connections that are open keep what they have."""
    mode_servers.ProxyConnectionHandler = _Handler  # type: ignore[misc]


class FastPathHandler(_Handler):
    """mitmproxy's handler of a connection, with a `FastPath` before its topmost layer."""

    @property
    def layer(self) -> Any:
        return self._fast_path

    @layer.setter
    def layer(self, layer: Layer) -> None:
        self._fast_path = FastPath(layer, self)


class FastPath:
    """What a handler takes for its topmost layer."""

    def __init__(self, layer: Layer, handler: _Handler) -> None:
        self.context = layer.context
        self._layer = layer
        self._handler = handler
        self._listeners = Listeners(handler.master.addons)
        self._waiting: set[asyncio.Task[None]] = set()

    def handle_event(self, event: Event) -> Iterator[Command]:
        """What the handler has to do about an event, without what is done about it here."""
        events = deque([event])
        messages = 0
        unsent: dict[Connection, list[bytes]] = {}
        while events:
            for command in self._layer.handle_event(events.popleft()):
                if isinstance(command, SendData):
                    unsent.setdefault(command.connection, []).append(command.data)
                elif (
                    isinstance(command, WebsocketMessageHook)
                    and messages < AT_ONCE
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
        """Call the addons. Where one holds the message back, a task waits until it is let go."""
        calling = self._call(hook.flow)
        try:
            waits_for = calling.send(None)
        except StopIteration:
            return True
        task = asyncio.create_task(self._go_on(calling, waits_for, hook))
        # The event loop alone would not keep it.
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
    """What is left of a coroutine that waits, after its beginning was run outside of a task."""
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
