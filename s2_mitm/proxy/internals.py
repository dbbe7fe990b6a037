"""What is looked up in mitmproxy and is no interface of it: nothing fails if it is not there."""

from __future__ import annotations

from typing import Any

from mitmproxy import ctx
from mitmproxy.http import HTTPFlow
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.proxy.server import ConnectionHandler


def handler_of(flow: HTTPFlow) -> ConnectionHandler | None:
    """mitmproxy's handler of the flow's connections; None for a flow that is over, or of a file."""
    connections: Any = getattr(ctx.master.addons.get("proxyserver"), "connections", {})
    handler: ConnectionHandler | None = connections.get(flow.client_conn.id)
    return handler


def prints_log(master: Master) -> bool:
    """Whether it prints what is logged; mitmproxy's console owns the screen, and does not."""
    if not hasattr(master, "_termlog_addon"):
        return not hasattr(master, "keymap")
    return master._termlog_addon is not None


def is_ending(master: Master) -> bool:
    """Whether mitmproxy is about to end; True where that is not known."""
    should_exit = getattr(master, "should_exit", None)
    return should_exit is None or bool(should_exit.is_set())


def set_quietly(options: Options, name: str, value: str) -> None:
    """Set an option without telling any addon, us included, of a change."""
    known: Any = getattr(options, "_options", {})
    if name in known:
        known[name].set(value)
    else:
        options.update(**{name: value})
