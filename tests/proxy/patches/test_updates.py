"""mitmweb's pages are told of a WebSocket at once, then now and then, and never too little."""

from __future__ import annotations

import asyncio

import pytest
from mitmproxy.flow import Flow
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.test import tflow

from s2_mitm.proxy.patches.updates import Updates, installed

SOON = 0.01
"""Seconds between two tellings in these tests."""


class Told:
    """Remembers which flows a page was told of."""

    def __init__(self) -> None:
        self.flows: list[Flow] = []
        self.there = True
        self._heard = asyncio.Event()

    def updates(self, seconds: float = SOON) -> Updates:
        return Updates(self._tell, lambda _: self.there, seconds)

    def _tell(self, flow: Flow) -> None:
        self.flows.append(flow)
        self._heard.set()

    async def again(self) -> None:
        """Wait until the page is told once more."""
        self._heard.clear()
        await asyncio.wait_for(self._heard.wait(), 10)


def test_the_first_change_is_told_at_once() -> None:
    async def act() -> None:
        told, flow = Told(), tflow.twebsocketflow()
        told.updates().changed(flow)
        assert told.flows == [flow]

    asyncio.run(act())


def test_many_changes_are_told_as_one_and_the_last_is_told() -> None:
    async def act() -> None:
        told, flow = Told(), tflow.twebsocketflow()
        updates = told.updates()
        for _ in range(1000):
            updates.changed(flow)
        assert told.flows == [flow]
        await told.again()
        assert told.flows == [flow, flow]

    asyncio.run(act())


def test_a_flow_that_rests_is_not_told_of_again_and_then_at_once() -> None:
    async def act() -> None:
        told, flow = Told(), tflow.twebsocketflow()
        updates = told.updates()
        updates.changed(flow)
        await asyncio.sleep(5 * SOON)
        assert told.flows == [flow]
        updates.changed(flow)
        assert told.flows == [flow, flow]

    asyncio.run(act())


def test_flows_do_not_wait_for_each_other() -> None:
    async def act() -> None:
        told, one, other = Told(), tflow.twebsocketflow(), tflow.twebsocketflow()
        updates = told.updates()
        updates.changed(one)
        updates.changed(other)
        assert told.flows == [one, other]

    asyncio.run(act())


def test_a_flow_that_was_taken_away_meanwhile_is_not_told_of() -> None:
    async def act() -> None:
        told, flow = Told(), tflow.twebsocketflow()
        updates = told.updates()
        updates.changed(flow)
        updates.changed(flow)
        told.there = False
        await asyncio.sleep(5 * SOON)
        assert told.flows == [flow]

    asyncio.run(act())


@pytest.mark.parametrize("flow", [tflow.tflow(resp=True), tflow.ttcpflow()])
def test_other_traffic_is_told_of_every_time(flow: Flow) -> None:
    told = Told()
    updates = told.updates()
    updates.changed(flow)
    updates.changed(flow)
    assert told.flows == [flow, flow]


def test_mitmweb_tells_its_pages_no_more_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act() -> None:
        from mitmproxy.tools.web.master import WebMaster

        flow = tflow.twebsocketflow()
        told: list[Flow] = []
        monkeypatch.setattr(WebMaster, "_sig_view_update", lambda _, flow: told.append(flow))
        master = WebMaster(Options(), with_termlog=False)
        master.view.add([flow])
        with installed(master):
            for _ in range(1000):
                master.view.update([flow])
            assert told == [flow]
        master.view.update([flow])
        assert told == [flow, flow]

    asyncio.run(act())


def test_a_master_without_pages_is_left_as_it_is() -> None:
    async def act() -> None:
        with installed(Master(Options())):
            pass

    asyncio.run(act())
