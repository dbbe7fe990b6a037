"""The file of ``-w FILE``: a flow is in it whole, or not at all, and the traffic goes on.

mitmproxy ends, and every conversation with it, when it cannot write that file.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from io import BufferedWriter
from typing import Any

from mitmproxy.flow import Flow

logger = logging.getLogger(__name__)


class StreamFile:
    """Stands in the place of a file that mitmproxy has opened, and that is not used besides.

    Raises OSError where what that file has in its buffer cannot be written.
    """

    def __init__(self, file: BufferedWriter) -> None:
        self.path = str(file.name)
        # Without a buffer: what could not be written would be written behind what comes later.
        self._file: Any = file.detach()
        self._is_regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        self._torn: int | None = None
        """Where a flow begins that is not whole, and could not be taken off again."""
        self._missing = 0
        self._went_on = False

    def add(self, pieces: Iterable[bytes]) -> None:
        """Write a flow. Raises OSError where it cannot be written; then nothing of it is there."""
        start = None
        try:
            if self._is_regular:  # a pipe, or a device, does not get shorter
                start = self._file.seek(0, os.SEEK_END)
                if self._torn is not None:
                    start = min(start, self._torn)
                    self._cut(start)
            for piece in pieces:
                self.write(piece)
        except OSError:
            if start is not None:
                with suppress(OSError):
                    self._cut(start)
            raise

    def _cut(self, length: int) -> None:
        """Let the file have so many bytes; where that raises OSError, it is tried again later."""
        self._torn = length
        self._file.seek(self._file.truncate(length))
        self._torn = None

    def write(self, data: bytes) -> None:
        """Write all of this. Raises OSError."""
        rest = memoryview(data)
        while rest:
            written = self._file.write(rest)
            if not written:
                raise BlockingIOError(None, "it takes no more now")
            rest = rest[written:]

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Close the file, whatever comes of it, and say what is not in it."""
        try:
            self._file.close()
        except OSError as problem:
            logger.error(f"s2-mitm: {self.path} may not be whole ({problem.strerror}).")
        if self._missing:
            logger.error(f"s2-mitm: {self.path} is closed. {self._not_in_it()}")

    def is_written(self) -> None:
        """A flow was added; say so if that had not been possible."""
        if self._missing:
            logger.error(f"s2-mitm: {self.path} is written again. {self._not_in_it()}")
            self._missing = 0

    def is_not_written(self, flow: Flow, problem: OSError) -> None:
        """This flow could not be added; say so, unless that has been said."""
        if not self._missing:
            logger.error(
                f"s2-mitm: {self.path} cannot be written ({problem.strerror}): the conversation"
                f" {flow.id} is not in it. The traffic goes on."
            )
        self._missing += 1

    def goes_on(self, problem: OSError) -> None:
        """The file that should follow cannot be opened; say so, unless that has been said."""
        if not self._went_on:
            logger.error(
                f"s2-mitm: {problem.filename} cannot be opened ({problem.strerror}): {self.path}"
                " is written on. The traffic goes on."
            )
        self._went_on = True

    def _not_in_it(self) -> str:
        return f"{self._missing} {'flow is' if self._missing == 1 else 'flows are'} not in it."
