"""What the process prints never keeps it waiting: a thread of its own does the writing.

Whoever writes to a terminal that is paused (Ctrl-S, a pager, a dead ssh session), or to a pipe that
nobody reads, waits until that goes on; and mitmproxy prints where it forwards the messages.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mitmproxy.master import Master  # which `s2-mitm demo` does without

logger = logging.getLogger(__name__)

MOST_BYTES = 1024 * 1024
"""What waits to be written, at most."""

SECONDS_AT_THE_END = 1.0
"""For so long the end of a proxy waits until all is written."""

_RETRY_SECONDS = 0.2
_OVERHEAD = 64
"""Bytes that a piece takes beside its text."""


class Output:
    """A file that a daemon thread writes, in the order in which pieces were `put`.

    What does not fit into ``most_bytes`` is left out, up to the moment when all that was before it
    is written; then a line says how many lines that were. Where writing fails, for the disk is full
    or nobody reads any more, it is tried again.
    """

    def __init__(self, file: io.RawIOBase, most_bytes: int = MOST_BYTES) -> None:
        self._file = file
        self._most_bytes = most_bytes
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._size = 0  # of what waits, and of what is being written
        self._is_full = False
        self._left_out = 0
        self._fails = False
        self._is_over = False
        threading.Thread(target=self._write_on, name="s2-mitm output", daemon=True).start()

    def put(self, piece: bytes) -> None:
        """Let a piece be written, as soon as can be; does not wait for it."""
        if self._is_over:  # the thread is not there to give its lock back
            return
        with self._changed:
            too_much = self._size + len(piece) + _OVERHEAD > self._most_bytes
            self._is_full = self._is_full or (too_much and self._size > 0)
            if self._is_full:
                self._left_out += piece.count(b"\n")
            else:
                self._add(piece)

    def end(self, until: float | None) -> bool:
        """Take no more, and wait until all is written, or it fails; whether nothing is left.

        ``until`` is when waiting ends, as ``time.monotonic()`` has it; None is never.
        """
        with self._changed:
            seconds = None if until is None else until - time.monotonic()
            try:
                self._changed.wait_for(lambda: not self._size or self._fails, seconds)
                return not self._size
            finally:
                self._is_over = True

    def _add(self, piece: bytes) -> None:
        self._waiting.append(piece)
        self._size += len(piece) + _OVERHEAD
        self._changed.notify_all()

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                pieces, self._waiting = self._waiting, []
            self._write(b"".join(pieces))
            with self._changed:
                self._size -= sum(map(len, pieces)) + _OVERHEAD * len(pieces)
                if self._is_full and not self._size:
                    self._is_full, lines, self._left_out = False, self._left_out, 0
                    self._add(
                        b"s2-mitm: %d lines were left out here, for nobody took them.\n" % lines
                    )
                self._changed.notify_all()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                # Not through Python's buffer: its lock would hold the end of the process.
                written = self._file.write(rest)
                self._fails = False
            except (OSError, ValueError):
                written = 0
                with self._changed:
                    self._fails = True
                    self._changed.notify_all()
            if written:
                rest = rest[written:]
            else:
                time.sleep(_RETRY_SECONDS)


class _Buffer(io.BufferedIOBase):
    """What a stream of text writes to: in all but the writing it is the file."""

    def __init__(self, file: io.RawIOBase, name: str, output: Output) -> None:
        self._file = file
        self._output = output
        self.name = name

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._output.put(bytes(data))
        return len(data)

    def isatty(self) -> bool:
        return self._file.isatty()

    def fileno(self) -> int:
        return self._file.fileno()


class _Replaced(NamedTuple):
    """A stream of text that was replaced, what is there now, and where that writes."""

    before: io.TextIOWrapper
    now: io.TextIOWrapper
    output: Output


_replaced: dict[str, _Replaced] = {}
"""``stdout`` and ``stderr``."""

_seconds_at_the_end: float | None = None


def install() -> None:
    """Let a thread write what is printed, up to the end of the process.

    Where ``sys.stdout`` or ``sys.stderr`` is not the process's own, it stays what it is.
    """
    for name in ("stdout", "stderr"):
        stream, own = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is own and isinstance(stream, io.TextIOWrapper):
            _replace(name, stream)


def _replace(name: str, stream: io.TextIOWrapper) -> None:
    with suppress(OSError):
        stream.flush()
    # Python with -u has no buffer in between.
    buffer: Any = stream.buffer
    file: io.RawIOBase = getattr(buffer, "raw", buffer)
    # What goes to one terminal stays in one order.
    outputs = (
        other.output
        for other in _replaced.values()
        if os.path.sameopenfile(other.now.fileno(), file.fileno())
    )
    output = next(outputs, None) or Output(file)
    now = io.TextIOWrapper(
        _Buffer(file, stream.name, output), stream.encoding, stream.errors, line_buffering=True
    )
    if not _replaced:
        atexit.register(_end)
    _replaced[name] = _Replaced(stream, now, output)
    setattr(sys, name, now)


def install_in(master: Master) -> None:
    """`install`, also in those parts of mitmproxy that took hold of ``sys.stdout`` before.

    mitmproxy's console owns the screen, and prints nothing.
    """
    if master._termlog_addon is None:
        return
    install()
    handlers = logging.getLogger().handlers
    for holder in (*handlers, *master.addons.lookup.values()):
        for name, held in _attributes(holder):
            for stream in _replaced.values():
                if held is stream.before:
                    setattr(holder, name, stream.now)
    held_by_handlers = [held for handler in handlers for _, held in _attributes(handler)]
    ours = [stream.now for stream in _replaced.values()]
    if ours and not any(held is each for held in held_by_handlers for each in ours):
        logger.warning(
            "s2-mitm does not know how this mitmproxy prints: it runs, but a terminal that is"
            " paused may stop the traffic."
        )


def _attributes(holder: object) -> list[tuple[str, object]]:
    return list(getattr(holder, "__dict__", {}).items())


def end_within(seconds: float = SECONDS_AT_THE_END) -> None:
    """Let the end of the process wait no longer than that until all is written.

    Before this is called it waits as any program does, such as for ``--options | less``.
    """
    global _seconds_at_the_end
    _seconds_at_the_end = seconds


def _end() -> None:
    until = None if _seconds_at_the_end is None else time.monotonic() + _seconds_at_the_end
    with suppress(KeyboardInterrupt):
        for name, stream in _replaced.items():
            stream.now.flush()
            if stream.output.end(until):
                setattr(sys, name, stream.before)
