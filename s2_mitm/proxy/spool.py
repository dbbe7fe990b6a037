"""Messages that a flow has forgotten, while they may still have to be written with it.

A live flow keeps only its last messages, and mitmproxy writes it to ``-w FILE`` when it is over.
What it has forgotten until then waits in a file of its own that has no name, as mitmproxy would
write it, and is copied in between when the flow is written (see the patch ``saving``). It does not
come back into memory, which may be too small for all of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import ctx
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.io import tnetstring
from mitmproxy.websocket import WebSocketMessage

from s2_mitm.proxy.annotation import lacking
from s2_mitm.proxy.session import Session
from s2_mitm.render.summary import SUMMARY

logger = logging.getLogger(__name__)

_is_used = False
_spools: WeakKeyDictionary[Flow, Spool | None] = WeakKeyDictionary()
"""By flow; None for one whose messages could not be kept."""


class Spool:
    """Messages that a flow has forgotten, the oldest first.

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
        """Append these messages."""
        for message in messages:
            data = tnetstring.dumps(message.get_state())
            self._file.write(data)
            self.size += len(data)
        self.messages += len(messages)

    def flush(self) -> None:
        """Write to the disk what is still in a buffer."""
        self._file.flush()

    def close(self) -> None:
        """Close the file, which frees its space on the disk."""
        with suppress(OSError):
            self._file.close()

    def read(self) -> Iterator[bytes]:
        """The bytes of all of them, a megabyte at a time."""
        self._file.seek(0)
        while piece := self._file.read(1024 * 1024):
            yield piece


@contextmanager
def used() -> Iterator[None]:
    """While the context lasts, the patch ``saving`` writes what is kept here."""
    global _is_used
    _is_used = True
    try:
        yield
    finally:
        _is_used = False


def keep(session: Session, messages: Sequence[WebSocketMessage]) -> None:
    """The flow of a session has just forgotten ``messages``, its oldest; they may be written later.

    Where nothing will be written, they and those before are gone.
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
        give_up(flow)
        _spools[flow] = None  # also where it had none yet
        say_lacking(flow, problem)


def discard(flow: HTTPFlow) -> None:
    """The flow is over: unless it is to be written now, what it has forgotten is gone."""
    if not _is_writing():
        is_written(flow)


def is_written(flow: Flow) -> None:
    """The flow has been written, and will not be written again."""
    _spools.pop(flow, None)


def _is_writing() -> bool:
    """Whether mitmproxy writes flows to a file, and we write them with all their messages."""
    return _is_used and getattr(_save(), "stream", None) is not None


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


def give_up(flow: Flow) -> bool:
    """Keep no more of what the flow has forgotten; returns whether there was anything."""
    if (spool := _spools.get(flow)) is None:
        return False
    _spools[flow] = None
    spool.close()
    return True


def say_lacking(flow: Flow, problem: OSError) -> None:
    """Say that the file will not have all messages of a flow, and why."""
    logger.error(
        f"s2-mitm: {_file()} will lack the first messages of the WebSocket {flow.id}, and"
        f" say how many: they cannot wait on the disk ({problem.strerror}). The traffic goes on."
    )


def written(flow: Flow) -> Iterator[bytes]:
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
