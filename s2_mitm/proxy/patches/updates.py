"""Tell mitmweb's page of a WebSocket a few times a second, not at every message.

mitmweb sums up all messages of a flow and sends the whole flow to each page that is open, at every
message of it. That costs more than all else that is done with a message, and what a page cannot
take in time waits in memory without a bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.master import Master

SECONDS = 0.25
"""At most so often, a page is told of a flow."""


class Updates:
    """Passes on which flow has changed: the first time at once, then at most once in ``seconds``.

    The last change is always told. ``still_there`` says whether a flow was not taken away since;
    flows that are no WebSockets are told of at once.
    """

    def __init__(
        self,
        tell: Callable[[Flow], None],
        still_there: Callable[[Flow], bool],
        seconds: float = SECONDS,
    ) -> None:
        self._tell = tell
        self._still_there = still_there
        self._seconds = seconds
        self._changed: dict[str, bool] = {}
        """Of the flows told of just now: whether they have changed since."""

    def changed(self, flow: Flow) -> None:
        """A flow is another one now."""
        if not isinstance(flow, HTTPFlow) or flow.websocket is None:
            self._tell(flow)
        elif flow.id in self._changed:
            self._changed[flow.id] = True
        else:
            self._tell_and_wait(flow)

    def _tell_and_wait(self, flow: Flow) -> None:
        self._changed[flow.id] = False
        asyncio.get_running_loop().call_later(self._seconds, self._after_waiting, flow)
        self._tell(flow)

    def _after_waiting(self, flow: Flow) -> None:
        if self._changed.pop(flow.id) and self._still_there(flow):
            self._tell_and_wait(flow)


def moderate(master: Master) -> None:
    """Let mitmweb's pages be told by this from now on; mitmdump and the console have none."""
    web: Any = master
    tell = getattr(master, "_sig_view_update", None)
    if tell is None or "s2_updates" in web.app.settings:
        return
    view = web.view
    updates = Updates(tell, lambda flow: flow in view)
    view.sig_view_update.disconnect(tell)
    view.sig_view_update.connect(updates.changed)
    # A signal holds its receivers weakly; the application lives as long as its pages.
    web.app.settings["s2_updates"] = updates
