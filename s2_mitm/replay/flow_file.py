"""Recorded conversations in a flow file, as mitmproxy saves them (``-w FILE``, or by hand)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mitmproxy.exceptions import FlowReadException
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader
from mitmproxy.version import VERSION
from mitmproxy.websocket import WebSocketMessage

from s2_mitm.render.summary import has_bearer, missing, summary_of
from s2_mitm.replay.recorded import NotRecordedError, RecordedMessage, RecordedSession
from s2_mitm.s2.message.recognition import LOOK_BACK, is_s2
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import counted


def from_flows(data: bytes, name: str) -> Iterator[RecordedSession]:
    """The sessions in a flow file; WebSockets that are not S2, and other flows, are left out.

    Takes the bytes of the file and its name, for sentences about it. Raises NotRecordedError, also
    after some sessions, where it is no flow file.
    """
    reader = FlowReader(io.BytesIO(data))
    flows = 0
    try:
        for flow in reader.stream():
            recorded = _recorded(flow) if isinstance(flow, HTTPFlow) else None
            flows += 1
            if recorded:
                yield recorded
    # All that mitmproxy's reader raises for a file that is no flow file.
    except (
        *(FlowReadException, LookupError, ValueError, TypeError, AttributeError),
        *(AssertionError, OverflowError, OSError),
    ) as fault:
        if isinstance(fault, AssertionError) or "update mitmproxy" in str(fault):
            raise NotRecordedError(
                f"flow {flows + 1} of {name} is one that mitmproxy {VERSION} does not know, perhaps"
                " of a newer one"
            ) from None
        if flows:
            raise NotRecordedError(f"{name} breaks off after {counted(flows, 'flow')}") from None
        raise NotRecordedError(
            f"{name} is neither a recording of s2-mitm, nor a flow file of mitmproxy, nor JSON"
            " Lines with sender and time"
        ) from None


def _recorded(flow: HTTPFlow) -> RecordedSession | None:
    websocket = flow.websocket
    if websocket is None:
        return None
    recognised = _first_of_s2(websocket.messages)
    if recognised is None:
        return None
    # As a live session does: what came long before may have been anything.
    start = max(0, recognised - LOOK_BACK)
    summary = summary_of(flow.metadata)
    first = 1 + missing(summary)
    if first == 1 and (start or not summary.get("whole", True)):
        first = 2  # nobody knows how many came before
    role, version = summary.get("client_role"), summary.get("version")
    beginning = websocket.messages[recognised : recognised + LOOK_BACK]
    if first == 1 and any(b"Handshake" in message.content for message in beginning):
        version = None  # the messages tell it
    return RecordedSession(
        flow.id,
        [
            RecordedMessage(
                number,
                _seconds(message.timestamp),
                message.from_client,
                message.content,
                binary=not message.is_text,
                injected=message.injected,
                dropped=message.dropped,
            )
            for number, message in enumerate(websocket.messages[start:], first)
        ],
        Role(role) if isinstance(role, str) and role in set(Role) else None,
        version if isinstance(version, str) and version else None,
        None if websocket.timestamp_end is None else _seconds(websocket.timestamp_end),
        bearer=has_bearer(flow.request.headers.get("Authorization"))
        or summary.get("bearer") is True,
        closed_by=_CLOSED_BY.get(websocket.closed_by_client),
    )


_CLOSED_BY: dict[bool | None, str] = {True: "client", False: "server"}


def _first_of_s2(messages: Sequence[WebSocketMessage]) -> int | None:
    """The index of the first message that is S2 (see `is_s2`), None where none is."""
    for index, message in enumerate(messages):
        if is_s2(message.content, binary=not message.is_text):
            return index
    return None


def _seconds(seconds: float) -> float:
    """A time in a flow file; raises ValueError, OverflowError or OSError where it is none."""
    return datetime.fromtimestamp(seconds, UTC).timestamp()
