"""Let ``-w FILE`` have every message of a WebSocket, although its flow keeps only the last ones.

mitmproxy writes a WebSocket to that file when it is over. What its flow has forgotten until then
waits in a file of its own that has no name, as mitmproxy would write it, and is copied in between
when the flow is written. It does not come back into memory, which may be too small for all of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, cast
from weakref import WeakKeyDictionary

from mitmproxy import ctx, flowfilter
from mitmproxy.addons.save import Save
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FilteredFlowWriter, tnetstring
from mitmproxy.websocket import WebSocketMessage

from s2_mitm.proxy.annotation import lacking
from s2_mitm.proxy.patches.stream_file import StreamFile
from s2_mitm.proxy.session import Session
from s2_mitm.render.summary import SUMMARY

logger = logging.getLogger(__name__)

_add = FilteredFlowWriter.add
_save_flow = Save.save_flow
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

    def read(self) -> Iterator[bytes]:
        """All of them, in pieces that memory has room for."""
        self._file.seek(0)
        while piece := self._file.read(1024 * 1024):
            yield piece


def install() -> None:
    """Let flows that are written have all their messages, and the traffic go on if they cannot."""
    FilteredFlowWriter.add = _add_whole  # type: ignore[method-assign, assignment]
    Save.save_flow = _save_or_go_on  # type: ignore[method-assign, assignment]


def uninstall() -> None:
    """Let mitmproxy write flows as they are."""
    FilteredFlowWriter.add = _add  # type: ignore[method-assign]
    Save.save_flow = _save_flow  # type: ignore[method-assign]


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
        _give_up(flow)
        _say_lacking(flow, problem)


def discard(flow: HTTPFlow) -> None:
    """The flow is over: unless it is to be written now, what it has forgotten is gone."""
    if not _is_writing():
        _spools.pop(flow, None)


def _is_writing() -> bool:
    """Whether mitmproxy writes flows to a file."""
    return _save() is not None and _save().stream is not None


def _save() -> Any:
    """What writes them, if this is a mitmproxy that can."""
    return ctx.master.addons.get("save")


def _file() -> Path:
    """The one that it writes them to."""
    return Path(_save().current_path)


def _folder() -> Path | None:
    # Beside that file: where temporary files usually are is often memory, which is to be saved.
    file = _file()
    return file.parent if file.is_file() and os.access(file.parent, os.W_OK) else None


def _give_up(flow: Flow) -> None:
    spool, _spools[flow] = _spools.get(flow), None
    if spool:
        spool.close()


def _say_lacking(flow: Flow, problem: OSError) -> None:
    logger.error(
        f"s2-mitm: {_file()} will lack the first messages of the WebSocket {flow.id}, and"
        f" say how many: they cannot wait on the disk ({problem.strerror}). The traffic goes on."
    )


def _save_or_go_on(save: Save, flow: Flow) -> None:
    """In place of `Save.save_flow`, which ends mitmproxy if the next file cannot be opened."""
    if save.stream is None:
        return
    before, save.stream = save.stream, None  # so that it is not closed yet
    try:
        save.maybe_rotate_to_new_file()
    except OSError as problem:
        _stream_file(before).goes_on(problem)
    if save.stream is None:
        save.stream = before
    else:
        _stream_file(before).close()
    save.stream.add(flow)
    save.active_flows.discard(flow)


def _add_whole(writer: FilteredFlowWriter, flow: Flow) -> None:
    """In place of `FilteredFlowWriter.add`."""
    if not _is_writing() or _save().stream is not writer:  # another addon's
        _add(writer, flow)
        return
    if not writer.flt or flowfilter.match(writer.flt, flow):
        _write(_stream_file(writer), flow)
    if isinstance(flow, HTTPFlow) and flow.websocket and flow.websocket.timestamp_end is not None:
        _spools.pop(flow, None)  # it is not written again


def _stream_file(writer: FilteredFlowWriter) -> StreamFile:
    file: Any = writer.fo
    if isinstance(file, BufferedWriter):  # it was not needed yet
        writer.fo = file = StreamFile(file)
    return cast(StreamFile, file)


def _write(file: StreamFile, flow: Flow) -> None:
    """Write a flow with all its messages; else with those that it has; else not at all."""
    try:
        try:
            file.add(_written(flow))
        except OSError as problem:
            if _spools.get(flow) is None:
                raise
            _give_up(flow)
            file.add(_written(flow))
            _say_lacking(flow, problem)
    except OSError as problem:
        file.is_not_written(flow, problem)
    else:
        file.is_written()


def _written(flow: Flow) -> Iterator[bytes]:
    """A flow as it is written, piece by piece. May raise OSError."""
    spool = _spools.get(flow)
    if spool is None or not isinstance(flow, HTTPFlow):
        yield tnetstring.dumps(flow.get_state())
        return
    spool.flush()  # first: of a pipe nothing can be taken off again
    before, after = _around(_state_with(flow, spool), spool.size)
    yield before
    yield from spool.read()
    yield after


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
