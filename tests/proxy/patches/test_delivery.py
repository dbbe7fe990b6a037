"""The session is told what became of each message once everybody had their say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alone import ALONE
from mitmproxy.http import HTTPFlow
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import websocket
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from websocket_layer import in_place

from s2_mitm.proxy import delivery
from s2_mitm.proxy.session import LIVE, Session

MASK = b"\0\0\0\0"
TWO_MESSAGES = b"\x81\x82" + MASK + b"{}" + b"\x81\x81" + MASK + b"2"


class Relay:
    """A WebSocket through mitmproxy's layer, and what was told of its messages."""

    def __init__(self) -> None:
        self.flow = tflow.twebsocketflow(messages=False)
        assert self.flow.websocket is not None
        self.websocket = self.flow.websocket
        self.websocket.messages = []
        context = Context(self.flow.client_conn, Options())
        self.context = context
        context.server = self.flow.server_conn
        self.told: list[tuple[bytes, bytes | None, bool]] = []
        delivery.call(self.tell)
        self.layer = websocket.WebsocketLayer(context, self.flow)
        for command in self.layer.handle_event(events.Start()):
            assert isinstance(command, commands.StartHook)
            assert [*self.layer.handle_event(events.HookCompleted(command, None))] == []

    def tell(self, flow: HTTPFlow, message: WebSocketMessage) -> None:
        assert flow is self.flow
        self.told.append((delivery.came(message), delivery.sent(message), message.dropped))

    def receive(self, data: bytes | None, *addons: Callable[[WebSocketMessage], Any]) -> bytes:
        """What the server gets of what the client sends, with these for the messages in order."""
        client = self.context.client
        event: events.Event = (
            events.ConnectionClosed(client) if data is None else events.DataReceived(client, data)
        )
        pending, todo, sent = [event], [*addons], b""
        while pending:
            for command in self.layer.handle_event(pending.pop()):
                if isinstance(command, websocket.WebsocketMessageHook):
                    todo.pop(0)(self.websocket.messages[-1])
                if isinstance(command, commands.StartHook):
                    pending.append(events.HookCompleted(command, None))
                elif isinstance(command, commands.SendData):
                    sent += command.data if command.connection is self.context.server else b""
        return sent


@pytest.fixture
def relay() -> Iterator[Relay]:
    with in_place("closing", "delivery"):
        yield Relay()
    delivery.call(None)


def untouched(_: WebSocketMessage) -> None: ...


def drop(message: WebSocketMessage) -> None:
    message.drop()


def change(message: WebSocketMessage) -> None:
    message.content = b"other"


def change_and_drop(message: WebSocketMessage) -> None:
    change(message)
    drop(message)


def write_again(message: WebSocketMessage) -> None:
    message.text = message.text + ""


@pytest.mark.parametrize("made", [None, "text", 5])
def test_what_is_no_bytes_any_more_does_not_go_on(
    relay: Relay, caplog: pytest.LogCaptureFixture, made: Any
) -> None:
    def spoil(message: WebSocketMessage) -> None:
        message.content = made

    went = relay.receive(TWO_MESSAGES, spoil, untouched)

    assert relay.told == [(b"{}", None, True), (b"2", None, False)]
    assert len(went) == len(b"\x81\x81" + MASK + b"2")
    assert f"{type(made).__name__}, which is not bytes: it is not forwarded." in caplog.text


def test_what_nobody_touches_went_as_it_came(relay: Relay) -> None:
    relay.receive(TWO_MESSAGES, untouched, untouched)
    assert relay.told == [(b"{}", None, False), (b"2", None, False)]


@pytest.mark.parametrize(
    ("addon", "told"),
    [
        (drop, (b"{}", None, True)),
        (change, (b"{}", b"other", False)),
        (write_again, (b"{}", None, False)),
        (change_and_drop, (b"{}", None, True)),
    ],
)
def test_what_somebody_made_of_it_is_told(relay: Relay, addon: Any, told: Any) -> None:
    relay.receive(TWO_MESSAGES, addon, untouched)
    assert relay.told == [told, (b"2", None, False)]


def test_it_is_told_when_it_goes_on_and_not_before(relay: Relay) -> None:
    def look(_: WebSocketMessage) -> None:
        assert len(relay.told) == len(relay.websocket.messages) - 1

    relay.receive(TWO_MESSAGES, look, look)
    assert len(relay.told) == 2


def test_it_is_the_message_that_goes_on_though_the_user_took_it_away(relay: Relay) -> None:
    relay.receive(TWO_MESSAGES, lambda _: relay.websocket.messages.clear(), untouched)
    assert relay.told == [(b"{}", None, False), (b"2", None, False)]


def test_of_a_message_that_did_not_come_here_what_is_there_came() -> None:
    message = WebSocketMessage(1, True, b"{}")
    assert not delivery.is_known(message)
    assert (delivery.came(message), delivery.sent(message)) == (b"{}", None)


@pytest.mark.parametrize(
    ("data", "code", "by_us"),
    [
        (b"\x88\x82" + MASK + b"\x03\xe8", 1000, False),
        (b"\x88\x82" + MASK + b"\x03\xea", 1002, False),
        (b"\x88\x80" + MASK, 1005, False),
        (None, 1006, False),
        (b"\xff\xff\xff\xff", 1002, True),
        (b"\x88\x81" + MASK + b"\x03", 1002, True),
        (b"\x83\x80" + MASK, 1002, True),
    ],
    ids=["close", "close-1002", "close-without-code", "broken", "reserved", "bad-close", "opcode"],
)
def test_who_closed_it(relay: Relay, data: bytes | None, code: int, by_us: bool) -> None:
    """A peer that says 1002 closes by itself; one whose frame cannot be read is closed by us."""
    session = LIVE[relay.flow.id] = Session(relay.flow, ALONE)
    relay.receive(data)
    del LIVE[relay.flow.id]
    assert relay.websocket.close_code == code
    assert session.closed_by_proxy is by_us
