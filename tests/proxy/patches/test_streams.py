"""Random streams through mitmproxy's layer: what each peer hears is what the other has said."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from mitmproxy.proxy import events
from websocket_layer import Proxy, in_place
from websocket_streams import Listener, Part, Stream, random_stream

STREAMS, AT_A_TIME = 300, 50


@pytest.fixture(autouse=True)
def loaded() -> Iterator[None]:
    with in_place("deflate", "closing", "frames", "delivery", "pacing"):
        yield


class Side:
    """One peer of a stream, in front of the proxy."""

    def __init__(self, stream: Stream, proxy: Proxy, *, is_client: bool) -> None:
        self._part, other = (stream.client, stream.server)[:: 1 if is_client else -1]
        self._awaited = other.said
        self._proxy = proxy
        self._is_client = is_client
        self._listener = Listener(stream.agreement, at_server=not is_client)
        self._doings = self._do(self._part)

    def go_on(self) -> bool:
        """Do the next thing, if there is one now."""
        return next(self._doings, False)

    def hear(self) -> None:
        arrived = self._proxy.to_client if self._is_client else self._proxy.to_server
        self._listener.feed(bytes(arrived))
        arrived.clear()

    def _do(self, part: Part) -> Iterator[bool]:
        context = self._proxy.context
        connection = context.client if self._is_client else context.server
        for piece in part.pieces:
            self._proxy.handle(events.DataReceived(connection, piece))
            yield True
        while part.answer and self._listener.heard.close is None:
            yield False
        if part.answer:
            self._proxy.handle(events.DataReceived(connection, part.answer))
            yield True
        while part.goes and self._listener.heard != self._awaited:
            yield False
        if part.goes:
            self._proxy.gone(is_client=self._is_client)
            yield True

    def assert_has_heard_all(self) -> None:
        assert self._listener.heard == self._awaited


@pytest.mark.parametrize("first", range(0, STREAMS, AT_A_TIME))
def test_what_was_said_is_heard(first: int) -> None:
    """ "Forwards every message byte for byte": whatever is legal on the wire."""
    for seed in range(first, first + AT_A_TIME):
        stream, draw = random_stream(seed), random.Random(seed)
        proxy = Proxy(stream.agreement.terms)
        sides = [Side(stream, proxy, is_client=each) for each in (True, False)]
        while draw.choice(sides).go_on() or any(side.go_on() for side in sides):
            for side in sides:
                side.hear()
        for side in sides:
            side.assert_has_heard_all()
        assert len(proxy.closed) == 2, seed


def test_a_seed_is_a_stream() -> None:
    assert random_stream(7) == random_stream(7) != random_stream(8)
