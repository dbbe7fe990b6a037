"""How much memory the machine, or the container, has; and how memory is given back to it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def memory(root: Path = Path("/")) -> int | None:
    """The bytes of memory that this process may use; None where nobody says.

    ``root`` is where ``proc`` and ``sys`` are.
    """
    limits = [*_of_cgroups(root)]
    with suppress(AttributeError, ValueError, OSError):  # not on every platform
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min((limit for limit in limits if limit > 0), default=None)


def _of_cgroups(root: Path) -> Iterator[int]:
    """The limits of the control groups that the process is in, and of those around them."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:  # version 2
            folder, file = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        # A container may see the path as its host does, and only its own group: the topmost here.
        group = folder / path.lstrip("/")
        for each in (group, *group.parents):
            with suppress(OSError, ValueError):  # there is none, or it says "max"
                yield int((each / file).read_text())
            if each == folder:
                break


def _trimming() -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library than glibc
        return None
    trim.argtypes = [ctypes.c_size_t]
    trim.restype = ctypes.c_int
    return trim


_trim = _trimming()


def give_memory_back() -> None:
    """Give the system what was freed and is still held for later; it takes some milliseconds.

    glibc keeps freed memory between blocks that are in use, in each of its arenas.
    """
    if _trim:
        _trim(0)
