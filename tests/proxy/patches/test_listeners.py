"""Who listens to messages is called as mitmproxy would call them, and nobody else is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from mitmproxy import exceptions
from mitmproxy.addonmanager import AddonManager
from mitmproxy.flow import Flow
from mitmproxy.proxy.layers.websocket import WebsocketMessageHook
from mitmproxy.test import taddons, tflow

from s2_mitm.proxy.patches.listeners import Listeners

Calls = list[str]


class Silent:
    """An addon that has nothing to say to a message."""

    def __init__(self, name: str, *addons: Any) -> None:
        self.name = name
        self.addons = list(addons)


class Listener(Silent):
    """One that notes what it hears."""

    def __init__(self, name: str, calls: Calls, *addons: Any) -> None:
        super().__init__(name, *addons)
        self.calls = calls

    def websocket_message(self, _flow: Flow) -> Any:
        self.calls.append(f"{self.name} message")

    def update(self, flows: list[Flow]) -> Any:
        self.calls.append(f"{self.name} update of {len(flows)}")

    def request(self, _flow: Flow) -> None:
        self.calls.append(f"{self.name} request")


class Slow(Listener):
    async def websocket_message(self, _flow: Flow) -> None:
        await asyncio.sleep(0)
        self.calls.append(f"{self.name} message, later")


class SlowUpdate(Silent):
    async def update(self, _flows: list[Flow]) -> None: ...


class Promising(Listener):
    """One that is no coroutine, but returns something to wait for."""

    def websocket_message(self, _flow: Flow) -> Awaitable[None]:
        self.calls.append(f"{self.name} message, at once")
        return self._later()

    async def _later(self) -> None:
        await asyncio.sleep(0)
        self.calls.append(f"{self.name} message, later")


class Faulty(Listener):
    def websocket_message(self, _flow: Flow) -> None:
        self.calls.append(f"{self.name} breaks")
        raise RuntimeError("a fault of this addon")


class FaultyLater(Listener):
    async def websocket_message(self, _flow: Flow) -> None:
        await asyncio.sleep(0)
        self.calls.append(f"{self.name} breaks, later")
        raise RuntimeError("a fault of this addon")


class Halting(Listener):
    def websocket_message(self, _flow: Flow) -> None:
        self.calls.append(f"{self.name} halts")
        raise exceptions.AddonHalt


class HaltingUpdate(Listener):
    def update(self, flows: list[Flow]) -> None:
        super().update(flows)
        raise exceptions.AddonHalt


def with_a_module(calls: Calls) -> list[Any]:
    """An attribute of the same name that is no handler, as an import in a script is."""
    script = Listener("b", calls)
    script.update = asyncio  # type: ignore[method-assign, assignment]
    return [Listener("a", calls), script]


CHAINS: dict[str, Callable[[Calls], list[Any]]] = {
    "none": lambda calls: [],
    "silent": lambda calls: [Silent("a"), Silent("b")],
    "one of three": lambda calls: [Silent("a"), Listener("b", calls), Silent("c")],
    "in order": lambda calls: [Listener(name, calls) for name in "cab"],
    "within others": lambda calls: [
        Silent("a", Listener("b", calls, Slow("c", calls))),
        Listener("d", calls, Silent("e")),
    ],
    "later": lambda calls: [Slow("a", calls), Listener("b", calls)],
    "a promise": lambda calls: [Promising("a", calls), Listener("b", calls)],
    "after a fault": lambda calls: [Faulty("a", calls), Listener("b", calls)],
    "after a late fault": lambda calls: [FaultyLater("a", calls), Listener("b", calls)],
    "not after a halt": lambda calls: [
        Listener("a", calls),
        Halting("b", calls, Listener("c", calls)),
        Listener("d", calls),
    ],
    "a halt of the update": lambda calls: [HaltingUpdate("a", calls), Listener("b", calls)],
    "a module": with_a_module,
}


Step = Callable[[AddonManager], None]


def heard(
    chain: Callable[[Calls], list[Any]], *, by_us: bool, between: Step = lambda _: None
) -> Calls:
    """What a chain hears of two messages and their updates, from us or from mitmproxy itself."""
    calls: Calls = []

    async def say() -> None:
        with taddons.context() as context:
            manager: AddonManager = context.master.addons
            manager.add(*chain(calls))
            listeners = Listeners(manager)
            flow = tflow.twebsocketflow()
            for step in (lambda _: None, between):
                step(manager)
                if by_us:
                    await listeners.hear(flow)
                else:
                    await manager.handle_lifecycle(WebsocketMessageHook(flow))
            await context.master.done()

    asyncio.run(say())
    return calls


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_who_listens_is_called_as_by_mitmproxy(
    chain: Callable[[Calls], list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    ours, our_log = heard(chain, by_us=True), [*caplog.messages]
    caplog.clear()
    assert (ours, our_log) == (heard(chain, by_us=False), caplog.messages)


def test_the_first_that_halts_is_the_last_that_hears() -> None:
    calls = heard(CHAINS["not after a halt"], by_us=True)
    assert calls[:3] == ["a message", "b halts", "a update of 1"]


@pytest.mark.parametrize("name", ["after a fault", "after a late fault"])
def test_a_fault_of_an_addon_is_told_and_the_others_hear(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls = heard(CHAINS[name], by_us=True)
    assert calls[0].startswith("a breaks")
    assert calls[1] == "b message"
    assert "Addon error: a fault of this addon" in caplog.messages


def test_those_within_an_addon_that_fails_hear_too() -> None:
    """With mitmproxy they do not: there a fault of one script silences those that come after it."""
    calls = heard(lambda calls: [Silent("a", Faulty("b", calls), Listener("c", calls))], by_us=True)
    assert calls[:2] == ["b breaks", "c message"]


@pytest.mark.parametrize("name", ["in order", "silent"])
def test_who_comes_later_is_heard_and_who_goes_is_not(name: str) -> None:
    added: Calls = []

    def change(manager: AddonManager) -> None:
        manager.remove(manager.get("a"))
        manager.add(Listener("new", added))

    ours = heard(CHAINS[name], by_us=True, between=change), [*added]
    added.clear()

    assert ours == (heard(CHAINS[name], by_us=False, between=change), added)
    assert "new message" in added


def test_one_in_the_place_of_another_is_heard() -> None:
    """As a script is that was changed and loaded again."""
    calls: Calls = []

    def change(manager: AddonManager) -> None:
        manager.remove(manager.get("a"))
        manager.add(Listener("a", calls))

    old = heard(CHAINS["silent"], by_us=True, between=change)
    assert (old, calls) == ([], ["a message", "a update of 1"])


@pytest.mark.parametrize(
    ("addon", "has_one"),
    [
        (lambda: Listener("a", []), False),
        (lambda: Promising("a", []), False),
        (lambda: Slow("a", []), True),
        (lambda: SlowUpdate("a"), True),
        (lambda: Silent("a", Silent("b", Slow("c", []))), True),
    ],
    ids=["none", "a promise", "of the message", "of the update", "within others"],
)
def test_coroutines_are_known(addon: Callable[[], Any], has_one: bool) -> None:
    async def look() -> None:
        with taddons.context() as context:
            listeners = Listeners(context.master.addons)
            assert not listeners.have_coroutines
            context.master.addons.add(added := addon())
            assert listeners.have_coroutines is has_one
            context.master.addons.remove(added)
            assert not listeners.have_coroutines
            await context.master.done()

    asyncio.run(look())
