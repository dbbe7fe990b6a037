"""Whether the log beside a file of SQLite belongs to it.

SQLite takes any for the file's own: over a backup that was restored, or over the file of another
program, it would write what belongs to what stood there before. But each of our transactions counts
up a number in the file's first page, which is then in the log (`sqlite_watch.count_up`). A log goes
on from the number in its file.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_HEADER = 32
"""Bytes: what it is, its format, the size of a page, a count, two salts, two checksums."""
_MAGIC = b"\x37\x7f\x06"
_FRAME = struct.Struct(">II8s8x")
"""Before each page: its number, the size of the file after it, the salts, two checksums."""
_NUMBER = struct.Struct(">60xI")
"""Where the number is in the first page."""


def log_of(file: Path) -> Path:
    """The log beside ``file``, whether it is there or not."""
    return Path(f"{file}-wal")


def belongs(log: Path, count: int) -> bool:
    """Whether ``log`` may go on from a file whose number, without the log, is ``count``.

    A file without a number, 0, may have any. Raises OSError where the log cannot be read.
    """
    with log.open("rb") as opened:
        numbers = _numbers(opened)
    return not (count and numbers) or min(numbers) - 1 <= count <= max(numbers)


def _numbers(log: BinaryIO) -> list[int]:
    """The numbers in the first pages that the log has; 0 alone where it does not begin with one."""
    numbers: list[int] = []
    header = log.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        return numbers
    page_size, salts = int.from_bytes(header[8:12], "big"), header[16:24]
    while len(frame := log.read(_FRAME.size)) == _FRAME.size:
        page, _, its_salts = _FRAME.unpack(frame)
        if its_salts != salts:
            break  # what was in the log before it was begun anew
        if len(content := log.read(page_size)) < page_size:
            break
        if page == 1:
            numbers.append(*_NUMBER.unpack_from(content))
        elif not numbers:
            return [0]  # each of our transactions writes the first page
    return numbers
