"""The messages that a file holds, each with its own bytes and the place where it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

BOM = b"\xef\xbb\xbf"

_SPACE = re.compile(r"[ \t\n\r]*")

# Bytes that are not UTF-8 are kept in the text, and found again in what is cut from it.
_KEPT = "surrogateescape"


@dataclass(frozen=True, slots=True)
class Document:
    """One message of a file.

    ``data`` is its bytes; ``line`` its line (from 1) where a line is a message, ``index`` its
    place (from 0) in an array; ``first_line`` and ``first_column`` (from 1, in characters) say
    where in the file it begins.
    """

    data: bytes
    line: int | None = None
    index: int | None = None
    first_line: int = 1
    first_column: int = 1

    @property
    def text(self) -> str:
        """The bytes as characters; each byte that is not UTF-8 is one, half a surrogate."""
        return self.data.decode(errors=_KEPT)

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column in the file of a character of ``text``, both from 1."""
        text = self.text
        lines = text.count("\n", 0, offset)
        column = offset - text.rfind("\n", 0, offset)
        return self.first_line + lines, column if lines else column + self.first_column - 1


def documents(data: bytes) -> Iterator[Document]:
    """The messages in the bytes of a file: one, those of a JSON array, or one a line.

    Each keeps its own bytes, faults and all. What is neither of these is one message. A byte order
    mark belongs to the message where that is all there is, else to the file.
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
    """The items of a JSON array as they stand in ``data``; None where it is none."""
    if not data.lstrip(b" \t\n\r").startswith(b"["):
        return None
    text = data.decode(errors=_KEPT)
    spans = _spans_of_items(text)
    return None if spans is None else _cut(text, spans)


def _spans_of_items(text: str) -> list[tuple[int, int]] | None:
    # Lenient about what is in an item: it only looks where one ends.
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
    """Whether this is JSON lines: several, and the first or the last looks like an object.

    A single message that is broken and spread over lines has neither.
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
