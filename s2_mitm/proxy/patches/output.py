"""Printing never keeps the process waiting: a thread of its own does the writing.

Replaces ``sys.stdout`` and ``sys.stderr``, also in mitmproxy's addons and log handlers.

Whoever writes to a terminal that is paused (Ctrl-S, a pager, a dead ssh session), or to a pipe that
nobody reads, waits until that goes on; and mitmproxy prints in the thread that forwards messages.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from s2_mitm.proxy.patches.replacing import UnexpectedError

if TYPE_CHECKING:
    from mitmproxy.master import Master  # which `s2-mitm demo` does without

MOST_BYTES = 1024 * 1024
"""What may wait to be written, at most."""

SECONDS_AT_THE_END = 1.0
"""At its end, the proxy waits no longer than this until all is written."""

_RETRY_SECONDS = 0.2
_OVERHEAD = 64
"""Bytes that a piece takes beside its text."""


class Output:
    """A file that a daemon thread writes, in the order in which pieces were `put`.

    When more than ``most_bytes`` wait, what comes is left out until all that waits is written; then
    a line says how many lines were left out. Where writing fails, because the disk is full or
    nobody reads any more, it is tried again.
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
        """Let a piece be written as soon as possible; does not wait for it."""
        if self._is_over:  # the thread may have ended while it had the lock
            return
        with self._changed:
            too_much = self._size + len(piece) + _OVERHEAD > self._most_bytes
            self._is_full = self._is_full or (too_much and self._size > 0)
            if self._is_full:
                self._left_out += piece.count(b"\n")
            else:
                self._add(piece)

    def end(self, until: float | None) -> bool:
        """Take no more, and wait until all is written, or writing fails.

        ``until`` is when waiting ends, on the clock of ``time.monotonic()``; None is never. Returns
        whether all is written.
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
    """What a stream of text writes to. It is like the file, but `Output` does the writing."""

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
    """A stream of text that was replaced, the one in its place, and where that writes."""

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


@contextmanager
def installed(master: Master) -> Iterator[None]:
    """`install`, also in those parts of mitmproxy that took hold of ``sys.stdout`` before.

    mitmproxy's console owns the screen, and prints nothing. Raises UnexpectedError where mitmproxy
    prints in another way.
    """
    from s2_mitm.proxy.internals import prints_log  # not for `s2-mitm demo`, which has no mitmproxy

    if not prints_log(master):
        yield
        return
    install()
    streams = [(each.before, each.now) for each in _replaced.values()]
    _exchange_streams(master, streams)
    try:
        if streams and not _is_printed_to(now for _, now in streams):
            raise UnexpectedError("the log is printed in another way")
        yield
    finally:
        for name, each in _replaced.items():
            each.now.flush()
            setattr(sys, name, each.before)
        _exchange_streams(master, [(now, before) for before, now in streams])


def _is_printed_to(streams: Iterable[object]) -> bool:
    handlers = logging.getLogger().handlers
    held = {id(each) for handler in handlers for _, each in _attributes(handler)}
    return any(id(stream) in held for stream in streams)


def _exchange_streams(master: Master, streams: list[tuple[Any, Any]]) -> None:
    """Let everybody who holds the first stream of a pair hold the second."""
    for holder in (*logging.getLogger().handlers, *master.addons.lookup.values()):
        for name, held in _attributes(holder):
            for old, new in streams:
                if held is old:
                    setattr(holder, name, new)


def _attributes(holder: object) -> list[tuple[str, object]]:
    return list(getattr(holder, "__dict__", {}).items())


def running() -> None:
    """mitmproxy runs; see `end_within`."""
    end_within()


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
