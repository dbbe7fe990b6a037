"""No more connections than there are file descriptors for, and some left for the rest.

Where there is none left, asyncio prints a traceback each second, and the recording cannot open its
file. A connection that is one too many is closed at once; those that are open go on.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from mitmproxy import ctx
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

if sys.platform != "win32":
    import resource

logger = logging.getLogger(__name__)

RESERVED = 32
"""Descriptors for the recording, the page, the metrics and the like."""

ENOUGH = 65536
"""Descriptors that are asked of the system, where it gives so many."""

_NONE_LEFT = (errno.EMFILE, errno.ENFILE)

_accepted: WeakSet[socket.socket] = WeakSet()
"""What was accepted from clients, and may have been closed since."""
_has_said = False
_handler_before: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None


def raise_limit() -> None:
    """Ask for as many as may be had: the usual 1024 are some 500 conversations."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # it may give fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def bound_connections() -> None:
    """Bound those of all servers that listen, and that will; to be called when mitmproxy runs.

    What the event loop would say with a traceback is said in a sentence from now on.
    """
    global _handler_before
    _bound_all()
    ctx.master.addons.get("proxyserver").servers.changed.connect(_on_change)
    loop = asyncio.get_running_loop()
    if loop.get_exception_handler() is not _handle:
        _handler_before = loop.get_exception_handler()
        loop.set_exception_handler(_handle)


async def _on_change() -> None:
    _bound_all()


def _bound_all() -> None:
    for instance in ctx.master.addons.get("proxyserver").servers:
        for server in getattr(instance, "_servers", ()):
            if isinstance(server, asyncio.Server):
                for listening in server.sockets:
                    # The event loop has this very object; asyncio lets nobody give it another.
                    listening._sock.__class__ = _BoundedSocket  # type: ignore[attr-defined]


def _handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    problem = context.get("exception")
    if isinstance(problem, OSError) and problem.errno in _NONE_LEFT:
        _say()
    elif _handler_before:
        _handler_before(loop, context)
    else:
        loop.default_exception_handler(context)


def server_connect_error(data: ServerConnectionHookData) -> None:
    """mitmproxy could not connect to a server: say so if it is for want of descriptors."""
    if any(f"[Errno {number}]" in (data.server.error or "") for number in _NONE_LEFT):
        _say()


def most_connections() -> int:
    """How many clients there may be at once, each with a connection to a server."""
    return max(1, (_limit() - RESERVED) // 2)


class _BoundedSocket(socket.socket):
    """Listens, and closes at once what is one connection too many.

    Later would be too late: the event loop accepts a hundred in one go.
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
