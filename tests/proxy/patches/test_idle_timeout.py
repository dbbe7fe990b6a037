"""A WebSocket's own connections are probed; nothing is done to a flow that is over."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace

import pytest
from mitmproxy.proxy.server import TimeoutWatchdog
from mitmproxy.test import taddons, tflow

from s2_mitm.proxy.patches import idle


async def _over() -> None:
    raise AssertionError("the watchdog bit")


@pytest.mark.parametrize("set_by_user", [False, True])
def test_the_timeout_is_lifted_and_the_peers_are_probed(set_by_user: bool) -> None:
    async def run() -> tuple[float, list[int]]:
        listening = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        watchdog = TimeoutWatchdog(600, _over)
        handler = SimpleNamespace(
            timeout_watchdog=watchdog, transports={1: SimpleNamespace(writer=writer)}
        )
        flow = tflow.twebsocketflow()
        proxyserver = SimpleNamespace(
            name="proxyserver", connections={flow.client_conn.id: handler}
        )
        with taddons.context(proxyserver) as context:
            if idle.TIMEOUT_OPTION not in context.options:
                context.options.add_option(idle.TIMEOUT_OPTION, int, 600, "")
            if set_by_user:
                context.options.update(**{idle.TIMEOUT_OPTION: 1200})
            idle.websocket_start(flow)
        peer = writer.get_extra_info("socket")
        values = [peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
        values += [
            peer.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in idle.KEEPALIVE
            if hasattr(socket, name)
        ]
        writer.close()
        listening.close()
        return watchdog.timeout, values

    timeout, values = asyncio.run(run())

    assert (timeout == 600) is set_by_user
    assert values[0]
    assert values[1:] == [60, 20, 5][: len(values) - 1]


def test_a_flow_of_a_file_has_no_connections() -> None:
    with taddons.context():
        idle.websocket_start(tflow.twebsocketflow())
