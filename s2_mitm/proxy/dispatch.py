"""Call only the addons that have something to say to a message.

mitmproxy asks each of its forty addons about every event, twice a message, whether or not it has a
handler for it: half of what a WebSocket message costs. Which have one changes only when an addon
comes or goes.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from mitmproxy.addonmanager import AddonManager, safecall, traverse
from mitmproxy.exceptions import AddonHalt
from mitmproxy.hooks import Hook

OF_A_MESSAGE = frozenset({"websocket_message", "update"})
"""The events that are triggered for each WebSocket message; all others go mitmproxy's own way."""


class Dispatch:
    """Stands in for ``trigger_event`` of mitmproxy's addon manager while it is installed."""

    def __init__(self, manager: AddonManager) -> None:
        self._manager = manager
        self._others: Callable[[Hook], Awaitable[None]] = manager.trigger_event
        self._present: list[object] = []
        self._listening: dict[str, list[Any]] = {}
        manager.trigger_event = self.trigger_event  # type: ignore[method-assign]

    def uninstall(self) -> None:
        """Give the addon manager its own method back."""
        if self._manager.__dict__.get("trigger_event") == self.trigger_event:
            del self._manager.__dict__["trigger_event"]

    def forget(self) -> None:
        """Look again who listens; for what changes without an addon coming or going."""
        self._listening.clear()

    async def trigger_event(self, event: Hook) -> None:
        """As the addon manager's: call the handlers in the order of the addons, until one halts."""
        if event.name not in OF_A_MESSAGE:
            return await self._others(event)
        for addon in self._who_listens(event.name):
            try:
                with safecall():
                    result = getattr(addon, event.name)(*event.args())
                    if result is not None and inspect.isawaitable(result):
                        await result
            except AddonHalt:
                return None
        return None

    def _who_listens(self, name: str) -> list[Any]:
        present = [*self._manager.lookup.values()]
        if present != self._present:
            self._present = present
            self._listening.clear()
        listening = self._listening.get(name)
        if listening is None:
            everyone = traverse(self._manager.chain)
            listening = [addon for addon in everyone if callable(getattr(addon, name, None))]
            self._listening[name] = listening
        return listening
