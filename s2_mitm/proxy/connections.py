"""What mitmproxy has to a flow while its client is connected."""

from __future__ import annotations

from mitmproxy import ctx
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy.server import ConnectionHandler


def handler_of(flow: HTTPFlow) -> ConnectionHandler | None:
    """mitmproxy's handler of the flow's connections; None for a flow that is over, or of a file."""
    proxyserver = ctx.master.addons.get("proxyserver")
    handler: ConnectionHandler | None = proxyserver and proxyserver.connections.get(
        flow.client_conn.id
    )
    return handler
