"""The addon within this process: on mitmproxy's test tools, and with its WebSocket layer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.exceptions import OptionsError
from mitmproxy.hooks import ConfigureHook
from mitmproxy.proxy import commands
from mitmproxy.test import taddons
from websocket_frames import TEXT, Frame
from websocket_layer import Proxy

from s2_mitm.addon import S2Mitm
from s2_mitm.history.recorder import finish_all
from s2_mitm.proxy.session import LIVE, Session


class Running:
    """The addon, and how to set its options; ``others`` are addons that come after it."""

    def __init__(self, context: Any, addon: S2Mitm, others: list[Any]) -> None:
        self.context = context
        self.addon = addon
        self.addons = [addon, *others]

    def set(self, **options: Any) -> str:
        """Set options as a user does, and return what was refused."""
        try:
            self.context.options.update(**options)
        except OptionsError as refused:
            return str(refused)
        return ""


class Conversation(Proxy):
    """A WebSocket whose messages pass the addons."""

    def __init__(self, running: Running) -> None:
        self.running = running
        super().__init__()
        self.flow.live = True
        assert self.flow.websocket is not None
        self.flow.websocket.timestamp_end = None
        self.flow.websocket.close_code = None
        self.flow.websocket.closed_by_client = None
        running.addon.websocket_start(self.flow)

    @property
    def session(self) -> Session:
        return LIVE[self.flow.id]

    def hook(self, command: commands.StartHook) -> None:
        for addon in self.running.addons:
            if listens := getattr(addon, command.name, None):
                listens(self.flow)

    def say(self, content: bytes, *, from_client: bool = True) -> list[bytes]:
        """Send a message. Returns what arrives at the other side."""
        sent = self.send(Frame(TEXT, content), from_client=from_client)
        return [frame.payload for frame in sent]

    def close(self) -> None:
        self.gone()


@contextmanager
def addon(*others: Any, **options: Any) -> Iterator[Running]:
    """The addon as it runs with these options; nothing is recorded, unless they say so."""
    with taddons.context(Proxyserver()) as context, asyncio.Runner() as runner:
        ours = S2Mitm()
        context.master.addons.register(ours)
        context.options.update(**{"s2_db": "", **options})
        context.master.addons.chain.append(ours)
        # As mitmproxy does it once all options are known.
        context.master.addons.invoke_addon_sync(ours, ConfigureHook(context.options.keys()))

        async def run() -> None:
            ours.running()

        runner.run(run())
        try:
            yield Running(context, ours, list(others))
        finally:
            ours.done()
            finish_all()
            LIVE.clear()
            # It would go on to hear what is logged, on a loop that is closed.
            context.master._legacy_log_events.uninstall()
