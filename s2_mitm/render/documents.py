"""The messages in a file, each with its own bytes and its position."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

BOM = b"\xef\xbb\xbf"

_SPACE = re.compile(r"[ \t\n\r]*")

# How bytes that are not UTF-8 stand in the text, so that they can be encoded again.
_KEPT = "surrogateescape"


@dataclass(frozen=True, slots=True)
class Document:
    """One message of a file.

    ``data`` is its bytes; ``line`` is its line number, from 1, in a file with a message a line;
    ``index`` is its index, from 0, in a file that is an array. ``first_line`` and ``first_column``
    say where it begins in the file, both from 1, in characters.
    """

    data: bytes
    line: int | None = None
    index: int | None = None
    first_line: int = 1
    first_column: int = 1

    @property
    def text(self) -> str:
        """The bytes as text; each byte that is not UTF-8 becomes a lone surrogate."""
        return self.data.decode(errors=_KEPT)

    def position(self, offset: int) -> tuple[int, int]:
        """The line and the column in the file, both from 1, of the character at this offset."""
        text = self.text
        lines = text.count("\n", 0, offset)
        column = offset - text.rfind("\n", 0, offset)
        return self.first_line + lines, column if lines else column + self.first_column - 1


def documents(data: bytes) -> Iterator[Document]:
    """The messages in the bytes of a file: items of a JSON array, one a line, or a single one.

    Each has its own bytes, with all their faults. What is neither an array nor lines is a single
    message, to which a byte order mark belongs; otherwise that belongs to the file.
    """
    content = data.removeprefix(BOM)
    if (items := _array_items(content)) is not None:
        yield from items
    elif _is_lines(content):
        # At line feeds only: str.splitlines would also cut within JSON strings.
        for number, line in enumerate(content.split(b"\n"), 1):
            if line.strip():
                yield Document(line.rstrip(b"\r"), line=number, first_line=number)
    else:
        yield Document(data)


def _array_items(data: bytes) -> Iterator[Document] | None:
    """The items of a JSON array; None where ``data`` is no array."""
    if not data.lstrip(b" \t\n\r").startswith(b"["):
        return None
    text = data.decode(errors=_KEPT)
    spans = _spans_of_items(text)
    return None if spans is None else _cut(text, spans)


def _spans_of_items(text: str) -> list[tuple[int, int]] | None:
    # What is in an item may be wrong; only its end matters here.
    decoder = json.JSONDecoder(strict=False, parse_int=len)
    place = _skip(text, _skip(text, 0) + 1)
    spans = []
    more = text[place : place + 1] != "]"
    try:
        while more:
            _, end = decoder.raw_decode(text, place)
            spans.append((place, end))
            place = _skip(text, end)
            more = text[place : place + 1] == ","
            if more:
                place = _skip(text, place + 1)
    except (ValueError, RecursionError):
        return None
    closed = text[place : place + 1] == "]" and _skip(text, place + 1) == len(text)
    return spans if closed else None


def _cut(text: str, spans: list[tuple[int, int]]) -> Iterator[Document]:
    line, line_start, last = 1, 0, 0
    for index, (start, end) in enumerate(spans):
        if feeds := text.count("\n", last, start):
            line += feeds
            line_start = text.rfind("\n", last, start) + 1
        last = start
        data = text[start:end].encode(errors=_KEPT)
        yield Document(data, None, index, line, start - line_start + 1)


def _skip(text: str, place: int) -> int:
    space = _SPACE.match(text, place)
    return space.end() if space else place


def _is_lines(data: bytes) -> bool:
    """Whether there are several lines, of which the first or the last looks like an object.

    In a single broken message that is spread over lines neither does.
    """
    lines = [line for line in map(bytes.strip, data.split(b"\n")) if line]
    if len(lines) < 2 or _is_json(data):
        return False
    return any(line.startswith(b"{") and line.endswith(b"}") for line in (lines[0], lines[-1]))


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
