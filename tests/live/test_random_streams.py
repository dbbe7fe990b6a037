"""Random streams through the real mitmdump: as they are heard directly, so they are through it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from proxies import running
from soaking.streams import Peers, differences

STREAMS = range(200)


def test_no_stream_is_different(tmp_path: Path) -> None:
    """ "Forwards every message byte for byte", with all that RFC 6455 and RFC 7692 allow."""

    async def play() -> dict[int, str]:
        peers = Peers()
        async with peers.listening():
            with running(tmp_path, peers.port) as proxy:
                return await differences(STREAMS, peers, proxy.port)

    assert asyncio.run(play()) == {}
