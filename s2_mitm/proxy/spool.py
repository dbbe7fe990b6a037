"""Let ``-w FILE`` have every message of a WebSocket, although its flow keeps only the last ones.

mitmproxy writes a WebSocket to that file when it is over. What its flow has forgotten until then
waits in a file of its own that has no name, as mitmproxy would write it, and is copied in between
when the flow is written. It does not come back into memory, which may be too small for all of it.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import ctx, flowfilter
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FilteredFlowWriter, tnetstring
from mitmproxy.websocket import WebSocketMessage

from s2_mitm.proxy.annotation import lacking
from s2_mitm.proxy.session import SUMMARY, Session

logger = logging.getLogger(__name__)

_add = FilteredFlowWriter.add
_spools: WeakKeyDictionary[Flow, Spool | None] = WeakKeyDictionary()
"""By flow; None for one whose messages could not be kept."""


class Spool:
    """Messages that a flow has forgotten, one after the other, the last one not long ago.

    They are in a file that goes with this object, in ``folder`` or where temporary files are.
    ``whole`` says that the first of them is the first of the flow. All methods but ``close``, and
    the constructor, may raise OSError.
    """

    def __init__(self, folder: Path | None, *, whole: bool) -> None:
        self._file: Any = TemporaryFile(dir=folder)  # noqa: SIM115
        self.whole = whole
        self.messages = 0
        self.size = 0
        """Bytes, as mitmproxy writes them."""

    def add(self, messages: Sequence[WebSocketMessage]) -> None:
        """Let these be the next."""
        for message in messages:
            data = tnetstring.dumps(message.get_state())
            self._file.write(data)
            self.size += len(data)
        self.messages += len(messages)

    def flush(self) -> None:
        """Bring to the disk what is not there yet."""
        self._file.flush()

    def close(self) -> None:
        """Give the room that it takes back, whatever could not be written."""
        with suppress(OSError):
            self._file.close()

    def copy_to(self, file: Any) -> None:
        """Write all of them into a file that is open."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, file, 1024 * 1024)


def install() -> None:
    """Let the flows that are written from now on have all their messages."""
    FilteredFlowWriter.add = _add_whole  # type: ignore[method-assign, assignment]


def uninstall() -> None:
    """Let mitmproxy write flows as they are."""
    FilteredFlowWriter.add = _add  # type: ignore[method-assign]


def keep(session: Session, messages: Sequence[WebSocketMessage]) -> None:
    """The flow of a session has just forgotten ``messages``, its oldest; they may be written later.

    Where nothing is to be written, they and those before are gone.
    """
    flow = session.flow
    if not _is_writing():
        if _spools:
            _spools.pop(flow, None)
        return
    try:
        if flow not in _spools:
            whole = session.from_start and session.missing == len(messages)
            _spools[flow] = Spool(_folder(), whole=whole)
        if spool := _spools[flow]:
            spool.add(messages)
    except OSError as problem:
        _give_up(flow, problem)


def discard(flow: HTTPFlow) -> None:
    """The flow is over: unless it is to be written now, what it has forgotten is gone."""
    if not _is_writing():
        _spools.pop(flow, None)


def _is_writing() -> bool:
    """Whether mitmproxy writes flows to a file."""
    save: Any = ctx.master.addons.get("save")
    return save is not None and save.stream is not None


def _file() -> Path:
    """The one that it writes them to."""
    save: Any = ctx.master.addons.get("save")
    return Path(save.current_path)


def _folder() -> Path | None:
    # Beside that file: where temporary files usually are is often memory, which is to be saved.
    file = _file()
    return file.parent if file.is_file() and os.access(file.parent, os.W_OK) else None


def _give_up(flow: Flow, problem: OSError) -> None:
    spool, _spools[flow] = _spools.get(flow), None
    if spool:
        spool.close()
    logger.error(
        f"s2-mitm: {_file()} will lack the first messages of the WebSocket {flow.id}, and"
        f" say how many: they cannot wait on the disk ({problem.strerror}). The traffic goes on."
    )


def _add_whole(writer: FilteredFlowWriter, flow: Flow) -> None:
    """In place of `FilteredFlowWriter.add`."""
    spool = _spools.get(flow)
    if spool is not None:
        try:
            spool.flush()
        except OSError as problem:
            _give_up(flow, problem)
            spool = None
    if spool is None or not isinstance(flow, HTTPFlow) or flow.websocket is None:
        _add(writer, flow)
        return
    if not writer.flt or flowfilter.match(writer.flt, flow):
        before, after = _around(_state_with(flow, spool), spool.size)
        writer.fo.write(before)
        spool.copy_to(writer.fo)
        writer.fo.write(after)
        writer.fo.flush()
    if flow.websocket.timestamp_end is not None:  # it is not written again
        del _spools[flow]


def _state_with(flow: HTTPFlow, spool: Spool) -> dict[str, Any]:
    """What is to be written of a flow that has its forgotten messages too, but for these."""
    state: Any = flow.get_state()
    summary = state["metadata"].get(SUMMARY)
    if summary is None:  # it is no S2
        return dict(state)
    missing = max(0, summary.get("missing", 0) - spool.messages)
    state["metadata"][SUMMARY], state["comment"] = lacking(
        summary, state["comment"], missing, whole=spool.whole
    )
    return dict(state)


def _around(state: dict[str, Any], size: int) -> tuple[bytes, bytes]:
    """A flow as it is written: what is before, and after, so many bytes of its first messages."""
    websocket = state.pop("websocket")
    kept = b"".join(map(tnetstring.dumps, websocket.pop("messages")))
    before, after = b"%d:" % (size + len(kept)), kept + b"]"
    for name, others in (("messages", websocket), ("websocket", state)):
        pairs = (tnetstring.dumps(each) for pair in others.items() for each in pair)
        start = b"".join(pairs) + tnetstring.dumps(name) + before
        before = b"%d:" % (len(start) + size + len(after)) + start
        after += b"}"
    return before, after
