"""Raw text with a part of it underlined, as compilers show what they complain of.

::

      |
    3 | …"present_fill_level": "57.3"}
      |                        ^^^^^^ text "57.3", expected a number
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import click
from rich.cells import cell_len

from s2_mitm.render.underlines import Underline
from s2_mitm.s2.wording import printable

MAX_LINES = 3
"""How many lines are shown of a value that has more."""

MIN_WIDTH = 40
"""Columns that are used even where the terminal has fewer."""

_TAB = "    "
_CUT = "…"
_BYTES = re.compile("[\udc80-\udcff]")
_LABEL_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Gutter:
    """The column of line numbers on the left, wide enough for the ``last`` of them."""

    last: int

    @property
    def width(self) -> int:
        """Its columns, with the bar and the space after it."""
        return len(str(self.last)) + 4

    def line(self, text: str = "", *, number: int | None = None, mark: str = "|") -> str:
        """The gutter, with a line number or without one, and a line of text."""
        digits = "" if number is None else str(number)
        edge = click.style(f" {digits:>{self.width - 4}} {mark}", fg="blue", bold=True)
        return f"{edge} {text}" if text else edge

    def note(self, name: str, text: str, width: int) -> Iterator[str]:
        """``= help: ...`` below an excerpt, wrapped to ``width`` columns."""
        head = f"{name}: "
        room = max(width, MIN_WIDTH) - self.width - len(head)
        lines = textwrap.wrap(printable(text), room) or [""]
        yield self.line(click.style(head, bold=True) + lines[0], mark="=")
        for line in lines[1:]:
            yield " " * (self.width + len(head)) + line


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text of which some lines are to be shown.

    ``first_line`` is the number of its first line in the file, ``first_column`` the column, from 1,
    at which it begins there; ``width`` is that of the terminal in columns.
    """

    text: str
    width: int
    first_line: int = 1
    first_column: int = 1

    def gutter(self, underline: Underline) -> Gutter:
        """The gutter for the lines of an underline."""
        return Gutter(self._last_line(underline))

    def lines(self, underline: Underline, label: str, colour: str) -> Iterator[str]:
        """The lines of the value that is underlined, with their numbers and the underline.

        Takes what to underline, the label that is written to it, and the colour of both. Yields
        lines styled with ANSI sequences; what is in the text itself is made harmless.
        """
        gutter = self.gutter(underline)
        room = max(self.width, MIN_WIDTH) - gutter.width
        label = printable(label)
        start, end = self._bounds(underline.start)
        first = self._line_of(underline.start)
        parts = _fitted(
            _visible_end(self._margin(start) + self.text[start : underline.start], room),
            _visible(self.text[underline.start : min(underline.end, end)], room),
            _visible(self.text[min(underline.end, end) : end], room),
            room,
            cell_len(label),
        )
        yield gutter.line()
        yield gutter.line("".join(parts), number=first)
        for line in _underlined(cell_len(parts[0]), max(1, cell_len(parts[1])), label, room):
            yield gutter.line(click.style(line, fg=colour, bold=True))
        for number in range(first + 1, gutter.last + 1):
            start, end = self._bounds(end + 1)
            yield gutter.line(_head(_visible(self.text[start:end], room), room), number=number)

    def _line_of(self, offset: int) -> int:
        return self.first_line + self.text.count("\n", 0, offset)

    def _last_line(self, underline: Underline) -> int:
        end = self._line_of(max(underline.start, underline.value_end - 1))
        return min(end, self._line_of(underline.start) + MAX_LINES - 1)

    def _bounds(self, offset: int) -> tuple[int, int]:
        """The offsets where the line of a character begins and ends; a line feed ends its line."""
        start = self.text.rfind("\n", 0, offset) + 1
        end = self.text.find("\n", offset)
        return start, len(self.text) if end < 0 else end

    def _margin(self, start: int) -> str:
        # Restores the indent of an item of an array, so that its brackets stand in one column.
        indented = start == 0 and self.first_column <= 2 * len(_TAB) + 1
        return " " * (self.first_column - 1) if indented else ""


def _fitted(
    before: str, underlined: str, after: str, room: int, label: int
) -> tuple[str, str, str]:
    """The three parts of a line, cut to fit ``room`` columns, if possible with the label."""
    if cell_len(before) + cell_len(underlined) + cell_len(after) > room:
        if cell_len(underlined) > room * 2 // 3:
            underlined, after = _head(underlined, room * 2 // 3), ""
        left = room - cell_len(underlined)
        beside = left - label - 1
        most = beside if beside >= room // 4 else left - min(cell_len(after), room // 4)
        before = _tail(before, most)
        after = _head(after, left - cell_len(before))
    return before, underlined, after


def _underlined(offset: int, length: int, label: str, room: int) -> Iterator[str]:
    carets = " " * offset + "^" * length
    if len(carets) + 1 + cell_len(label) <= room:
        yield f"{carets} {label}".rstrip()
        return
    yield carets
    margin = " " * min(offset, max(0, room - min(cell_len(label), _LABEL_WIDTH)))
    yield from textwrap.wrap(
        label, room, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )


def _visible(text: str, room: int) -> str:
    """The beginning of a text, longer than ``room``, made harmless."""
    return shown(text[: 2 * room]) + _CUT * (len(text) > 2 * room)


def _visible_end(text: str, room: int) -> str:
    """The end of a text, longer than ``room``, made harmless."""
    cut = len(text) > 2 * room
    return _CUT * cut + shown(text[-2 * room :])


def shown(text: str) -> str:
    """Raw text made harmless; tabs that indent become spaces."""
    content = text.lstrip("\t ")
    margin = text[: len(text) - len(content)].replace("\t", _TAB)
    return margin + printable(_BYTES.sub(_byte, content.removesuffix("\r")))


def _byte(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]) - 0xDC00:02x}"


def _head(text: str, room: int) -> str:
    """The beginning of a text, at most ``room`` columns wide."""
    if cell_len(text) <= room:
        return text
    while cell_len(text) > room - 1:
        text = text[: -max(1, (cell_len(text) - room) // 2)]
    return text + _CUT


def _tail(text: str, room: int) -> str:
    """The end of a text, at most ``room`` columns wide."""
    if cell_len(text) <= room:
        return text
    while cell_len(text) > room - 1:
        text = text[max(1, (cell_len(text) - room) // 2) :]
    return _CUT + text
