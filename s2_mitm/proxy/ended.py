"""How many flows of ended sessions mitmweb and mitmproxy's console keep.

By themselves they keep every flow with all its messages until the user removes it: a device that
connects anew every minute would fill the memory of the machine within weeks. The recording has all
of them. mitmdump keeps none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import ref

from mitmproxy import ctx
from mitmproxy.hooks import UpdateHook
from mitmproxy.http import HTTPFlow

from s2_mitm.proxy.annotation import lacking
from s2_mitm.proxy.flow_findings import FINDINGS, keep_last
from s2_mitm.render.summary import SUMMARY, missing, summary_of

MOST_FLOWS = 500
"""Flows of ended sessions that are kept."""

MOST_BYTES = 8 * 1024 * 1024
"""What their messages may take in memory, estimated."""

KEPT_MESSAGES = 10
"""The last ones of a flow, when there is no room for more of it."""

_MESSAGE = 300
"""Bytes that a message takes beside its content."""


@dataclass(frozen=True, slots=True)
class _Flow:
    """A flow, which this does not keep in memory, and the bytes of its messages."""

    flow: ref[HTTPFlow]
    size: int


class Ended:
    """The flows of ended sessions that somebody keeps, the oldest first.

    When they are too large, the oldest ones lose all but their last messages, and ``changed`` is
    called with each; when there are too many, ``remove`` is called with the oldest.
    """

    def __init__(
        self,
        changed: Callable[[HTTPFlow], None],
        remove: Callable[[HTTPFlow], None],
        *,
        flows: int = MOST_FLOWS,
        size: int = MOST_BYTES,
    ) -> None:
        self._changed = changed
        self._remove = remove
        self._most_flows = flows
        self._most_bytes = size
        self._whole: list[_Flow] = []
        self._cut: list[ref[HTTPFlow]] = []
        """Those that lost messages are older than all others."""

    def add(self, flow: HTTPFlow) -> None:
        """A session has ended; its flow has all that it will have."""
        self._cut = [each for each in self._cut if each()]
        self._whole = [each for each in self._whole if each.flow()]
        self._whole.append(_Flow(ref(flow), _size(flow)))
        excess = sum(each.size for each in self._whole) - self._most_bytes
        while excess > 0 and len(self._whole) > 1:  # the newest stays as it is
            oldest = self._whole.pop(0)
            excess -= oldest.size
            self._cut.append(oldest.flow)
            self._cut_short(oldest.flow())
        while len(self._cut) + len(self._whole) > self._most_flows:
            oldest_ref = self._cut.pop(0) if self._cut else self._whole.pop(0).flow
            if oldest_flow := oldest_ref():
                self._remove(oldest_flow)

    def _cut_short(self, flow: HTTPFlow | None) -> None:
        if flow is None or flow.websocket is None:
            return
        gone = flow.websocket.messages[:-KEPT_MESSAGES]
        if gone:
            del flow.websocket.messages[:-KEPT_MESSAGES]
            summary = summary_of(flow.metadata)
            lacks = missing(summary) + len(gone)
            flow.metadata[SUMMARY], flow.comment = lacking(
                summary, flow.comment, lacks, whole=summary.get("whole", True)
            )
        keep_last(flow, KEPT_MESSAGES)
        self._changed(flow)


def _size(flow: HTTPFlow) -> int:
    messages = flow.websocket.messages if flow.websocket else []
    findings = flow.metadata.get(FINDINGS, ())
    return sum(_MESSAGE + len(each.content) for each in messages) + 3 * _MESSAGE * len(findings)


def _changed(flow: HTTPFlow) -> None:
    ctx.master.addons.trigger(UpdateHook([flow]))


def _remove(flow: HTTPFlow) -> None:
    view: Any = getattr(ctx.master, "view", None)
    if view is not None:
        view.remove([flow])


ENDED = Ended(_changed, _remove)
"""Those of this process; they outlive the addon, which mitmproxy makes anew when its file is saved.
"""
