"""Learn when mitmproxy goes on with a message, and as what.

Replaces mitmproxy's `WebsocketLayer`.

Addons before and after ours may change a message or drop it, and so may the user who holds it back.
mitmproxy has no hook for the moment when all of them are done: its layer then just takes what they
left. Here the layer says so, and also what came before the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mitmproxy.master import Master
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.layers import websocket

from s2_mitm.proxy import delivery
from s2_mitm.proxy.patches import exchange
from s2_mitm.proxy.patches.replacing import on_top, replaced

tried = exchange.through_layer


@contextmanager
def installed(_master: Master) -> Iterator[None]:
    """For the WebSockets that open meanwhile."""
    with replaced(websocket, WebsocketLayer=on_top(DeliveringLayer, websocket.WebsocketLayer)):
        yield


class DeliveringLayer(websocket.WebsocketLayer):
    """mitmproxy's layer of a WebSocket; it says what becomes of each message."""

    def relay_messages(self, event: events.Event) -> layer.CommandGenerator[None]:
        for command in super().relay_messages(event):
            if isinstance(command, websocket.WebsocketMessageHook) and self.flow.websocket:
                message = self.flow.websocket.messages[-1]
                delivery.comes(message)
                yield command  # until all addons, and the user, are done
                delivery.goes_on(self.flow, message)
            else:
                yield command
