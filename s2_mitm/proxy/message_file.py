"""Read the file that a user names in place of a message, without holding the traffic up.

The command runs between two messages of the traffic: what may wait, or never end, is not read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_SIZE = 1024 * 1024
"""Bytes."""


class MessageFileError(Exception):
    """Why a file is not read; ``str()`` completes a sentence and says nothing of what is in it."""


def read_message(path: str) -> bytes:
    """The bytes of a regular file of at most ``MAX_SIZE`` bytes, without space around them.

    ``~`` is the home directory. Raises MessageFileError where it is anything else, or is not there.
    """
    try:
        file = Path(path).expanduser()
        # Before it is opened: to open a device may have an effect.
        _expect_regular(os.stat(file))
        # There may be another file since. With O_NONBLOCK, a pipe is not waited for.
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as opened:
            status = os.fstat(descriptor)
            _expect_regular(status)
            content = opened.read(status.st_size)
    except OSError as fault:
        raise MessageFileError(fault.strerror or "it cannot be read") from None
    except (ValueError, RuntimeError) as fault:  # a NUL in the path, a home that is not known
        raise MessageFileError(str(fault)) from None
    if len(content) != status.st_size:
        # As those of /sys, which are made when they are read.
        raise MessageFileError("it is not as long as it says")
    return content.strip()


def _expect_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise MessageFileError("it is no regular file")
    if not status.st_size:  # or one of /proc, which never say how long they are
        raise MessageFileError("it is empty")
    if status.st_size > MAX_SIZE:
        raise MessageFileError(f"it is larger than {MAX_SIZE:,} bytes")
