"""Messages pass in one go where nothing waits, and as mitmproxy has it where something does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from mitmproxy.connection import Server
from mitmproxy.proxy import commands, mode_servers
from mitmproxy.proxy.events import Event, HookCompleted, Start
from mitmproxy.proxy.layers.websocket import WebsocketMessageHook, WebsocketStartHook
from mitmproxy.test import tflow

from s2_mitm.proxy import straight

SERVER = Server(address=("cem", 80))
OTHER = Server(address=("rm", 80))


class Layer:
    """Stands for a WebSocket on which so many messages came in with one read."""

    context = None

    def __init__(self, messages: int) -> None:
        self._script = self._relay(messages)
        self.flow = tflow.twebsocketflow()

    def handle_event(self, event: Event) -> Iterator[commands.Command]:
        for command in self._script:
            yield command
            if isinstance(command, commands.StartHook):
                return

    def _relay(self, messages: int) -> Iterator[commands.Command]:
        for number in range(messages):
            yield WebsocketMessageHook(self.flow)
            yield commands.SendData(SERVER, b"%d," % number)


class Addons:
    def __init__(self, *addons: object) -> None:
        self.lookup = dict(enumerate(addons))


class Handler:
    """Stands for mitmproxy's handler, with what its addons do for a message."""

    def __init__(self, on_message: Callable[[], Any] = lambda: None, *addons: object) -> None:
        self.master = type("Master", (), {"addons": Addons(*addons)})
        self.client = tflow.tclient_conn()
        self.called = 0
        self.completed: list[Event] = []
        self._on_message = on_message

    async def handle_hook(self, hook: commands.StartHook) -> None:
        self.called += 1
        if (waits := self._on_message()) is not None:
            await waits

    async def server_event(self, event: Event) -> None:
        self.completed.append(event)


def straight_of(layer: Layer, handler: Handler) -> straight.Straight:
    return straight.Straight(cast(Any, layer), cast(Any, handler))


def test_messages_that_came_together_go_out_together() -> None:
    handler = Handler()
    (command,) = straight_of(Layer(5), handler).handle_event(Start())
    assert isinstance(command, commands.SendData)
    assert (command.connection, command.data) == (SERVER, b"0,1,2,3,4,")
    assert handler.called == 5


def test_after_so_many_it_is_the_turn_of_the_others() -> None:
    handler = Handler()
    relay = straight_of(Layer(straight.AT_ONCE + 3), handler)
    sent, hook = relay.handle_event(Start())
    assert isinstance(sent, commands.SendData)
    assert sent.data.count(b",") == straight.AT_ONCE
    assert isinstance(hook, WebsocketMessageHook)
    assert handler.called == straight.AT_ONCE
    (rest,) = relay.handle_event(HookCompleted(hook))
    assert isinstance(rest, commands.SendData)
    assert rest.data.count(b",") == 3


def test_what_is_sent_comes_before_what_is_done_next() -> None:
    class Closing(Layer):
        def _relay(self, messages: int) -> Iterator[commands.Command]:
            yield commands.SendData(SERVER, b"a")
            yield commands.SendData(OTHER, b"b")
            yield commands.SendData(SERVER, b"c")
            yield commands.CloseConnection(SERVER)
            yield commands.SendData(OTHER, b"d")

    done = [*straight_of(Closing(0), Handler()).handle_event(Start())]
    assert [getattr(command, "data", None) for command in done] == [b"ac", b"b", None, b"d"]


def test_other_hooks_are_mitmproxys() -> None:
    class Opening(Layer):
        def _relay(self, messages: int) -> Iterator[commands.Command]:
            yield WebsocketStartHook(self.flow)

    handler = Handler()
    (hook,) = straight_of(Opening(0), handler).handle_event(Start())
    assert isinstance(hook, WebsocketStartHook)
    assert handler.called == 0


@pytest.mark.parametrize("name", ["websocket_message", "update"])
def test_coroutines_of_addons_are_mitmproxys(name: str) -> None:
    async def hook(_: object) -> None: ...

    handler = Handler(lambda: None, object(), type("Addon", (), {name: staticmethod(hook)})())
    relay = straight_of(Layer(1), handler)
    (command,) = relay.handle_event(Start())
    assert isinstance(command, WebsocketMessageHook)
    assert handler.called == 0

    handler.master.addons.lookup.popitem()  # type: ignore[attr-defined]
    straight_again = straight_of(Layer(1), handler)
    (command,) = straight_again.handle_event(Start())
    assert isinstance(command, commands.SendData)


def test_a_message_that_is_held_back_goes_on_when_it_is_let_go() -> None:
    async def play() -> None:
        let_go = asyncio.Event()
        handler = Handler(let_go.wait)
        relay = straight_of(Layer(2), handler)
        assert [*relay.handle_event(Start())] == []
        await asyncio.sleep(0)
        assert handler.completed == []
        let_go.set()
        while not handler.completed:
            await asyncio.sleep(0)
        (completed,) = handler.completed
        assert isinstance(completed, HookCompleted)
        (command,) = relay.handle_event(completed)
        assert isinstance(command, commands.SendData)
        assert command.data == b"0,1,"

    asyncio.run(play())


def test_it_can_be_taken_away() -> None:
    before = mode_servers.ProxyConnectionHandler
    straight.install()
    assert mode_servers.ProxyConnectionHandler is not before
    straight.uninstall()
    assert mode_servers.ProxyConnectionHandler is before
