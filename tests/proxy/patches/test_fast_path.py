"""Messages pass in one go where nothing waits, and as mitmproxy has it where something does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from mitmproxy.connection import Server
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import commands, mode_servers
from mitmproxy.proxy.events import Event, HookCompleted, Start
from mitmproxy.proxy.layers.websocket import WebsocketMessageHook, WebsocketStartHook
from mitmproxy.proxy.server import TimeoutWatchdog
from mitmproxy.test import taddons, tflow

from s2_mitm.proxy.patches import fast_path

SERVER = Server(address=("cem", 80))
OTHER = Server(address=("rm", 80))


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """mitmproxy's masters hand on what is logged, also when their event loops are closed."""
    before = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = before


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


class Handler:
    """Stands for mitmproxy's handler, with mitmproxy's own manager of these addons."""

    def __init__(self, *addons: object) -> None:
        self.master = taddons.context(loadcore=False).master
        self.master.addons.add(*addons)
        self.timeout_watchdog = TimeoutWatchdog(600, _bite)
        self.completed: list[Event] = []

    async def server_event(self, event: Event) -> None:
        self.completed.append(event)

    async def completes(self) -> Event:
        """The one event that comes once a message is let go."""
        while not self.completed:
            await asyncio.sleep(0)
        (event,) = self.completed
        return event


async def _bite() -> None:
    raise AssertionError("the watchdog bit")


class Counting:
    """An addon that does something with each message."""

    def __init__(self, on_message: Callable[[HTTPFlow], Any] = lambda _: None) -> None:
        self.name = f"counting {id(self)}"  # mitmproxy has no two of one name
        self.called = 0
        self._on_message = on_message

    def websocket_message(self, flow: HTTPFlow) -> Any:
        self.called += 1
        return self._on_message(flow)


def fast_path_of(layer: Layer, handler: Handler) -> fast_path.FastPath:
    return fast_path.FastPath(cast(Any, layer), cast(Any, handler))


async def turns() -> None:
    """Let everything go on that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_messages_that_came_together_go_out_together() -> None:
    addon = Counting()
    (command,) = fast_path_of(Layer(5), Handler(addon)).handle_event(Start())
    assert isinstance(command, commands.SendData)
    assert (command.connection, command.data) == (SERVER, b"0,1,2,3,4,")
    assert addon.called == 5


def test_after_so_many_it_is_the_turn_of_the_others() -> None:
    addon = Counting()
    relay = fast_path_of(Layer(fast_path.IN_A_ROW + 3), Handler(addon))
    sent, hook = relay.handle_event(Start())
    assert isinstance(sent, commands.SendData)
    assert sent.data.count(b",") == fast_path.IN_A_ROW
    assert isinstance(hook, WebsocketMessageHook)
    assert addon.called == fast_path.IN_A_ROW
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

    done = [*fast_path_of(Closing(0), Handler()).handle_event(Start())]
    assert [getattr(command, "data", None) for command in done] == [b"ac", b"b", None, b"d"]


def test_other_hooks_are_mitmproxys() -> None:
    class Opening(Layer):
        def _relay(self, messages: int) -> Iterator[commands.Command]:
            yield WebsocketStartHook(self.flow)

    addon = Counting()
    (hook,) = fast_path_of(Opening(0), Handler(addon)).handle_event(Start())
    assert isinstance(hook, WebsocketStartHook)
    assert addon.called == 0


@pytest.mark.parametrize("name", ["websocket_message", "update"])
def test_coroutines_of_addons_are_mitmproxys(name: str) -> None:
    async def hook(_: object) -> None: ...

    addon, slow = Counting(), type("Addon", (), {name: staticmethod(hook)})()
    handler = Handler(addon, slow)
    relay = fast_path_of(Layer(1), handler)
    (hook_of_message,) = relay.handle_event(Start())
    assert isinstance(hook_of_message, WebsocketMessageHook)
    assert addon.called == 0

    handler.master.addons.remove(slow)
    (sent,) = fast_path_of(Layer(1), handler).handle_event(Start())
    assert isinstance(sent, commands.SendData)
    assert addon.called == 1


def test_a_message_that_is_intercepted_goes_on_when_it_is_resumed() -> None:
    """Meanwhile the connection may be silent for as long as it takes."""

    async def play() -> None:
        layer = Layer(2)
        holding = Counting(lambda flow: flow.intercept() if holding.called == 1 else None)
        handler = Handler(holding)
        relay = fast_path_of(layer, handler)
        assert [*relay.handle_event(Start())] == []
        await turns()
        assert (handler.completed, holding.called) == ([], 1)
        assert not handler.timeout_watchdog.can_timeout.is_set()

        layer.flow.resume()
        completed = await handler.completes()
        assert isinstance(completed, HookCompleted)
        assert handler.timeout_watchdog.can_timeout.is_set()
        (command,) = relay.handle_event(completed)
        assert isinstance(command, commands.SendData)
        assert (command.data, holding.called) == (b"0,1,", 2)

    asyncio.run(play())


def test_what_came_before_one_that_is_intercepted_is_not_held_back() -> None:
    async def play() -> None:
        layer = Layer(3)
        holding = Counting(lambda flow: flow.intercept() if holding.called == 2 else None)
        handler = Handler(holding)
        relay = fast_path_of(layer, handler)
        (command,) = relay.handle_event(Start())
        assert isinstance(command, commands.SendData)
        assert command.data == b"0,"
        layer.flow.resume()
        (command,) = relay.handle_event(await handler.completes())
        assert isinstance(command, commands.SendData)
        assert command.data == b"1,2,"

    asyncio.run(play())


def test_an_addon_that_returns_something_to_wait_for_is_waited_for() -> None:
    async def play() -> None:
        let_go = asyncio.Event()
        addon, after = Counting(lambda _: let_go.wait()), Counting()
        handler = Handler(addon, after)
        relay = fast_path_of(Layer(1), handler)
        assert [*relay.handle_event(Start())] == []
        await turns()
        assert (handler.completed, after.called) == ([], 0)
        let_go.set()
        (command,) = relay.handle_event(await handler.completes())
        assert isinstance(command, commands.SendData)
        assert after.called == 1

    asyncio.run(play())


def test_an_addon_that_fails_while_it_is_waited_for_holds_nothing_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("a fault of this addon")

    async def play() -> None:
        addon, after = Counting(lambda _: fail()), Counting()
        handler = Handler(addon, after)
        relay = fast_path_of(Layer(1), handler)
        assert [*relay.handle_event(Start())] == []
        (command,) = relay.handle_event(await handler.completes())
        assert isinstance(command, commands.SendData)
        assert after.called == 1

    asyncio.run(play())
    assert "Addon error: a fault of this addon" in caplog.messages


def test_an_addon_that_fails_holds_nothing_back(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: HTTPFlow) -> None:
        raise RuntimeError("a fault of this addon")

    after = Counting()
    (command,) = fast_path_of(Layer(2), Handler(Counting(fail), after)).handle_event(Start())
    assert isinstance(command, commands.SendData)
    assert (command.data, after.called) == (b"0,1,", 2)
    assert "Addon error: a fault of this addon" in caplog.messages


def test_it_can_be_taken_away() -> None:
    before = mode_servers.ProxyConnectionHandler
    with fast_path.installed(cast(Any, None)):
        assert mode_servers.ProxyConnectionHandler is not before
    assert mode_servers.ProxyConnectionHandler is before
