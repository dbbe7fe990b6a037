"""Whether the log beside a file of SQLite belongs to it.

SQLite takes any log with the right name for that of the file: it would write the log of an earlier
file into a backup that was restored, or into the file of another program. But each of our
transactions increases a number in the first page of the file, which is then in the log
(`sqlite_watch.count_up`). The numbers in a log continue the number in its file.
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
    """The path of the log beside ``file``, whether it exists or not."""
    return Path(f"{file}-wal")


def belongs(log: Path, count: int) -> bool:
    """Whether ``log`` can be that of a file whose number, without the log, is ``count``.

    A file whose number is 0 can have any log. Raises OSError where the log cannot be read.
    """
    with log.open("rb") as opened:
        numbers = _numbers(opened)
    return not (count and numbers) or min(numbers) - 1 <= count <= max(numbers)


def _numbers(log: BinaryIO) -> list[int]:
    """The numbers in the copies of the first page in a log; only 0 where it begins with another."""
    numbers: list[int] = []
    header = log.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        return numbers
    page_size, salts = int.from_bytes(header[8:12], "big"), header[16:24]
    while len(frame := log.read(_FRAME.size)) == _FRAME.size:
        page, _, its_salts = _FRAME.unpack(frame)
        if its_salts != salts:
            break  # the rest is from before SQLite began to use the log from its beginning again
        if len(content := log.read(page_size)) < page_size:
            break
        if page == 1:
            numbers.append(*_NUMBER.unpack_from(content))
        elif not numbers:
            return [0]  # each of our transactions writes the first page
    return numbers
