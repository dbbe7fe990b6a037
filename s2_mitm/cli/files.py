"""What the commands read: files and standard input, whole, but never without end."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import BinaryIO

MAX_BYTES = 512 * 1024 * 1024
"""Of one file. What is read is held in memory, and what is understood of it several times over."""

_AS_STDIN = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
"""Names of what the shell has opened already."""

_CHUNK = 1024 * 1024


class UnreadableError(Exception):
    """A file that cannot be read; ``str()`` is a sentence without a full stop."""


def read_head(name: str, length: int) -> bytes:
    """As `read_all`, but of a regular file only its first ``length`` bytes."""
    return _read(name, length)


def read_all(name: str) -> bytes:
    """All that is in the file ``name``, or comes from standard input where it is ``-``.

    Raises UnreadableError where it cannot be read, is larger than ``MAX_BYTES``, or is something
    that may never end, such as a device.
    """
    return _read(name, None)


def _read(name: str, length: int | None) -> bytes:
    try:
        if name == "-":
            return _bounded(sys.stdin.buffer, "stdin")
        is_opened = name.startswith(_AS_STDIN)
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
        if not is_opened:
            # Before it is opened, which for a pipe waits until somebody writes into it.
            _expect_regular(os.stat(name), name)
            flags |= getattr(os, "O_NONBLOCK", 0)
        with open(os.open(name, flags), "rb") as file:
            if is_opened:
                return _bounded(file, name)
            status = os.fstat(file.fileno())
            _expect_regular(status, name)
            if length is not None:
                return file.read(length)
            if status.st_size > MAX_BYTES:  # which is seen here before it is read
                raise _too_large(name)
            return _bounded(file, name)
    except (OSError, ValueError) as error:  # a NUL in the name
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableError(f"cannot read {name}: {said}") from None


def _expect_regular(status: os.stat_result, name: str) -> None:
    if stat.S_ISFIFO(status.st_mode):
        raise UnreadableError(f"{name} is a pipe: let it be standard input, with < {name}")
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableError(f"cannot read {name}: {os.strerror(errno.EISDIR)}")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError(f"cannot read {name}: it is no regular file")


def _bounded(file: BinaryIO, name: str) -> bytes:
    content = bytearray()
    while chunk := file.read(_CHUNK):
        content += chunk
        if len(content) > MAX_BYTES:
            raise _too_large(name)
    return bytes(content)


def _too_large(name: str) -> UnreadableError:
    return UnreadableError(f"{name} is larger than {MAX_BYTES // 1024**2} MB, give less at once")
