"""Let an open WebSocket be silent for as long as its peers like, and notice when one is gone.

Replaces, of the connections of each WebSocket that opens, ``drain_writers`` of mitmproxy's handler,
and the timeout of its watchdog.

mitmproxy ends every connection that is silent for ten minutes. An RM that has nothing to measure
says nothing for hours. What is not a WebSocket yet, such as a handshake that nobody finishes, is
still ended.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mitmproxy import ctx
from mitmproxy.http import HTTPFlow
from mitmproxy.master import Master
from mitmproxy.proxy.server import ConnectionHandler

from s2_mitm.proxy.internals import handler_of
from s2_mitm.proxy.session import LIVE

TIMEOUT_OPTION = "tcp_timeout"
"""mitmproxy's option for it, in seconds; mitmproxy 11 has none."""

KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 5}
"""After how many seconds of silence the system asks a peer whether it is there, how often again,
and after how many questions without an answer the connection is over."""


@contextmanager
def installed(_master: Master) -> Iterator[None]:
    """For the WebSockets that open meanwhile; nothing is replaced before one does."""
    yield


def websocket_start(flow: HTTPFlow) -> None:
    """Lift mitmproxy's timeout from the connections of a WebSocket, unless the user has set it.

    The system is asked to probe the peers instead, so that a peer that vanished without a word ends
    its session all the same. A peer that is there and reads nothing is not silent but stuck: the
    timeout still applies to it. A WebSocket that s2-mitm does not look at is left as it is.
    """
    handler, session = handler_of(flow), LIVE.get(flow.id)
    if handler is None or (session and session.left_alone):
        return
    for transport in handler.transports.values():
        if isinstance(transport.writer, asyncio.StreamWriter):  # else it has no socket to probe
            _probe(transport.writer.get_extra_info("socket"))
    _drop_who_reads_nothing(handler, handler.timeout_watchdog.timeout)
    options = ctx.options
    if TIMEOUT_OPTION not in options or not options.has_changed(TIMEOUT_OPTION):
        # The watchdog looks at it each time before it ends a connection.
        handler.timeout_watchdog.timeout = sys.maxsize


def _drop_who_reads_nothing(handler: ConnectionHandler, timeout: float) -> None:
    """In place of mitmproxy's waiting until what was sent is on its way.

    mitmproxy waits for ever. And when it cannot send to a peer, it cancels the task that reads from
    that peer, once for every piece of data. A task that is cancelled twice does not close the other
    connection. It need not be cancelled: it notices by itself.
    """

    async def drain_writers() -> None:
        for transport in [*handler.transports.values()]:
            writer = transport.writer
            if not isinstance(writer, asyncio.StreamWriter):
                if writer is not None:
                    await writer.drain()
            elif writer.transport.get_write_buffer_size():
                try:
                    async with asyncio.timeout(timeout):
                        await writer.drain()
                except TimeoutError:
                    writer.transport.abort()  # closing would wait for it to read
                except OSError:
                    pass

    handler.drain_writers = drain_writers  # type: ignore[method-assign]


def _probe(connection: socket.socket) -> None:
    with suppress(OSError):  # the peer may have gone just now
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):  # not on every platform
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
