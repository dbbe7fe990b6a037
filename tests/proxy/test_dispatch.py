"""Who listens is called as mitmproxy would call them, and nobody else is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy import exceptions
from mitmproxy.addonmanager import AddonManager
from mitmproxy.flow import Flow
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.proxy.layers.websocket import WebsocketMessageHook
from mitmproxy.test import taddons, tflow

from s2_mitm.proxy.dispatch import Dispatch

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

    def websocket_message(self, _flow: Flow) -> None:
        self.calls.append(f"{self.name} message")

    def update(self, flows: list[Flow]) -> None:
        self.calls.append(f"{self.name} update of {len(flows)}")

    def request(self, _flow: Flow) -> None:
        self.calls.append(f"{self.name} request")


class Slow(Listener):
    async def websocket_message(self, _flow: Flow) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.calls.append(f"{self.name} message, later")


class Faulty(Listener):
    def websocket_message(self, _flow: Flow) -> None:
        self.calls.append(f"{self.name} breaks")
        raise RuntimeError("a fault of this addon")


class Halting(Listener):
    def websocket_message(self, _flow: Flow) -> None:
        self.calls.append(f"{self.name} halts")
        raise exceptions.AddonHalt


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
    "after a fault": lambda calls: [Faulty("a", calls), Listener("b", calls)],
    "not after a halt": lambda calls: [
        Listener("a", calls),
        Halting("b", calls, Listener("c", calls)),
        Listener("d", calls),
    ],
}


Step = Callable[[AddonManager], None]


def heard(
    chain: Callable[[Calls], list[Any]], *, directly: bool, first: Step = lambda _: None
) -> Calls:
    """What a chain hears of a message and its update, by our dispatch or by mitmproxy's own."""
    calls: Calls = []

    async def say() -> None:
        with taddons.context() as context:
            manager: AddonManager = context.master.addons
            manager.add(*chain(calls))
            dispatch = Dispatch(manager) if directly else None
            flow = tflow.twebsocketflow()
            await manager.handle_lifecycle(WebsocketMessageHook(flow))
            first(manager)
            await manager.handle_lifecycle(WebsocketMessageHook(flow))
            await manager.trigger_event(HttpRequestHook(flow))
            if dispatch:
                dispatch.uninstall()
                assert "trigger_event" not in vars(manager)
            await context.master.done()

    asyncio.run(say())
    return calls


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_who_listens_is_called_as_by_mitmproxy(chain: Callable[[Calls], list[Any]]) -> None:
    assert heard(chain, directly=True) == heard(chain, directly=False)


def test_the_first_that_halts_is_the_last_that_hears() -> None:
    calls = heard(CHAINS["not after a halt"], directly=True)

    assert calls[:3] == ["a message", "b halts", "a update of 1"]


def test_a_fault_of_an_addon_is_told_and_the_others_hear(caplog: pytest.LogCaptureFixture) -> None:
    calls = heard(CHAINS["after a fault"], directly=True)

    assert calls[:2] == ["a breaks", "b message"]
    assert "Addon error: a fault of this addon" in caplog.text


@pytest.mark.parametrize("name", ["in order", "silent"])
def test_who_comes_later_is_heard_and_who_goes_is_not(name: str) -> None:
    added: Calls = []

    def change(manager: AddonManager) -> None:
        manager.remove(manager.get("a"))
        manager.add(Listener("new", added))

    ours = heard(CHAINS[name], directly=True, first=change), [*added]
    added.clear()

    assert ours == (heard(CHAINS[name], directly=False, first=change), added)
    assert "new message" in added


def test_what_changes_in_an_addon_is_seen_when_it_is_told() -> None:
    async def say() -> Calls:
        calls: Calls = []
        with taddons.context() as context:
            context.master.addons.add(outer := Silent("outer"))
            dispatch = Dispatch(context.master.addons)
            message = WebsocketMessageHook(tflow.twebsocketflow())
            await dispatch.trigger_event(message)
            outer.addons.append(Listener("inner", calls))
            dispatch.forget()
            await dispatch.trigger_event(message)
        return calls

    assert asyncio.run(say()) == ["inner message"]


def test_one_of_two_is_taken_away_and_the_other_stays() -> None:
    with taddons.context() as context:
        manager: AddonManager = context.master.addons
        first = Dispatch(manager)
        second = Dispatch(manager)
        first.uninstall()

        assert manager.trigger_event == second.trigger_event
