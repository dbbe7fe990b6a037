"""Tell mitmweb's page of a WebSocket a few times a second, not at every message.

Replaces what mitmweb connects with the signal that its view has changed,
``WebMaster._sig_view_update``.

At every message mitmweb sums up all messages of the flow and sends the whole flow to each page that
is open. That takes more time than all else that is done with a message, and what a page does not
take in time waits in memory, without a limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.master import Master

SECONDS = 0.25
"""A page is told of a flow no more often than this."""


class Updates:
    """Tells which flow has changed: the first time directly, then at most once in ``seconds``.

    The last change is always told, unless ``still_there`` says that the flow was taken away since.
    A change of a flow that is no WebSocket is always told directly.
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
        """By id, the flows that were told of just now: whether they have changed since."""

    def changed(self, flow: Flow) -> None:
        """A flow has changed."""
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


@contextmanager
def installed(master: Master) -> Iterator[None]:
    """For mitmweb's pages; mitmdump and the console have none."""
    web: Any = master
    tell = getattr(master, "_sig_view_update", None)
    if tell is None:
        yield
        return
    view = web.view
    updates = Updates(tell, lambda flow: flow in view)
    # A signal has only a weak reference to what it calls, so `updates` must stay here.
    view.sig_view_update.disconnect(tell)
    view.sig_view_update.connect(updates.changed)
    try:
        yield
    finally:
        view.sig_view_update.disconnect(updates.changed)
        view.sig_view_update.connect(tell)
