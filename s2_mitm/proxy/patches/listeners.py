"""Which addons listen to messages: a part of the fast path.

mitmproxy has some forty addons, and asks each of them twice a message whether it has a handler for
it; that is a third of what a WebSocket message costs. Which of them have one changes only when an
addon comes or goes.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import Any

from mitmproxy.addonmanager import AddonManager, safecall, traverse
from mitmproxy.exceptions import AddonHalt, OptionsError
from mitmproxy.http import HTTPFlow

EVENTS = ("websocket_message", "update")
"""What mitmproxy triggers for a message, in this order."""


class Listeners:
    """The addons of mitmproxy that listen to messages."""

    def __init__(self, manager: AddonManager) -> None:
        self._manager = manager
        self._present: list[object] = []
        self._listening: dict[str, list[Any]] = {}
        self._have_coroutines = False

    @property
    def have_coroutines(self) -> bool:
        """Whether any of them is a coroutine, which is for a task of its own to run."""
        self._look()
        return self._have_coroutines

    async def hear(self, flow: HTTPFlow) -> None:
        """Call them with a new message of a flow as mitmproxy would: in order, until one halts."""
        self._look()
        for event, told in zip(EVENTS, (flow, [flow]), strict=True):
            for addon in self._listening[event]:
                try:
                    result = getattr(addon, event)(told)
                    if result is not None and inspect.isawaitable(result):
                        await result
                except AddonHalt:
                    break
                except Exception:
                    # mitmproxy logs it in its own words; the message goes on.
                    with suppress(OptionsError), safecall():
                        raise

    def _look(self) -> None:
        present = [*self._manager.lookup.values()]
        if present == self._present:
            return
        self._present = present
        everyone = [*traverse(self._manager.chain)]
        self._listening = {
            event: [addon for addon in everyone if callable(getattr(addon, event, None))]
            for event in EVENTS
        }
        self._have_coroutines = any(
            inspect.iscoroutinefunction(getattr(addon, event))
            for event, listening in self._listening.items()
            for addon in listening
        )
