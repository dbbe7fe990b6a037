"""Open no more connections than there are file descriptors for, and leave some for the rest.

Replaces ``accept`` of the sockets on which mitmproxy's servers listen, and the event loop's handler
of exceptions.

Where no descriptor is left, asyncio prints a traceback each second, and the recording cannot open
its file. Here a connection that is one too many is closed immediately; those that are open go on.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from mitmproxy.master import Master
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

if sys.platform != "win32":
    import resource

logger = logging.getLogger(__name__)

RESERVED = 32
"""Descriptors for the recording, mitmweb's page, the metrics and the like."""

ENOUGH = 65536
"""Descriptors that the system is asked for."""

_NONE_LEFT = (errno.EMFILE, errno.ENFILE)

_accepted: WeakSet[socket.socket] = WeakSet()
"""The connections that were accepted from clients; some may have been closed since."""
_has_said = False


@contextmanager
def installed(master: Master) -> Iterator[None]:
    """For the servers that listen, and those that will; where an event loop runs.

    What the event loop would say with a traceback is said in a sentence meanwhile.
    """
    raise_limit()
    servers = _servers(master)

    async def on_change() -> None:
        _let_accept(_servers(master), _BoundedSocket)

    _let_accept(servers, _BoundedSocket)
    # A signal has only a weak reference to what it calls.
    servers.changed.connect(on_change)
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        problem = context.get("exception")
        if isinstance(problem, OSError) and problem.errno in _NONE_LEFT:
            _say()
        elif before:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        if loop.get_exception_handler() is handle:
            loop.set_exception_handler(before)
        servers.changed.disconnect(on_change)
        _let_accept(servers, socket.socket)


def raise_limit() -> None:
    """Ask for as many as may be had: the usual 1024 are some 500 conversations."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # it may give fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _servers(master: Master) -> Any:
    return master.addons.get("proxyserver").servers


def _let_accept(servers: Any, kind: type[socket.socket]) -> None:
    """Let all sockets that listen be of this class."""
    for instance in servers:
        for server in getattr(instance, "_servers", ()):
            if isinstance(server, asyncio.Server):
                for listening in server.sockets:
                    # The event loop has this very object; asyncio lets nobody give it another.
                    listening._sock.__class__ = kind  # type: ignore[attr-defined]


def server_connect_error(data: ServerConnectionHookData) -> None:
    """mitmproxy could not connect to a server: say so if no descriptor was left for it."""
    if any(f"[Errno {number}]" in (data.server.error or "") for number in _NONE_LEFT):
        _say()


def most_connections() -> int:
    """How many clients there may be at a time, each with a connection to a server."""
    return max(1, (_limit() - RESERVED) // 2)


class _BoundedSocket(socket.socket):
    """Listens, and closes a connection that is one too many as soon as it is accepted.

    Later would be too late: the event loop accepts up to a hundred before it does anything else.
    """

    __slots__ = ()

    def accept(self) -> tuple[socket.socket, Any]:
        global _has_said
        while True:
            connection, address = super().accept()
            most = most_connections()
            if len(_accepted) >= most // 2:
                for each in [*_accepted]:
                    if each.fileno() < 0:  # it was closed
                        _accepted.discard(each)
            if len(_accepted) < most:
                _accepted.add(connection)
                _has_said = _has_said and len(_accepted) > most // 2
                return connection, address
            connection.close()
            _say()


def _say() -> None:
    global _has_said
    if not _has_said:
        _has_said = True
        connections = [each for each in _accepted if each.fileno() >= 0]
        logger.error(
            f"s2-mitm: new connections are refused while {len(connections)} are open, which go on:"
            f" this process may have {_limit()} files open, and each connection takes two of them."
            " Allow more with ulimit -n, or with LimitNOFILE= of systemd."
        )


def _limit() -> int:
    if sys.platform == "win32":
        return 2 * ENOUGH
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 2 * ENOUGH
