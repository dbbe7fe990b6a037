"""Raw text with a place in it underlined, as compilers show what they complain of.

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

from s2_mitm.render.places import Underline
from s2_mitm.s2.wording import printable

MAX_LINES = 3
"""Lines that are shown of a value that spans more."""

MIN_WIDTH = 40
"""Columns that are used even where there are fewer."""

_TAB = "    "
_CUT = "…"
_BYTES = re.compile("[\udc80-\udcff]")
_LABEL_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Gutter:
    """The numbers on the left, as wide as the ``last`` of them needs."""

    last: int

    @property
    def width(self) -> int:
        """Columns, with the bar and a space after it."""
        return len(str(self.last)) + 4

    def line(self, text: str = "", *, number: int | None = None, mark: str = "|") -> str:
        """A line behind the gutter: with its number, or with none."""
        digits = "" if number is None else str(number)
        edge = click.style(f" {digits:>{self.width - 4}} {mark}", fg="blue", bold=True)
        return f"{edge} {text}" if text else edge

    def note(self, name: str, text: str, width: int) -> Iterator[str]:
        """``= help: ...`` beneath an excerpt, wrapped to ``width`` columns."""
        head = f"{name}: "
        room = max(width, MIN_WIDTH) - self.width - len(head)
        lines = textwrap.wrap(printable(text), room) or [""]
        yield self.line(click.style(head, bold=True) + lines[0], mark="=")
        for line in lines[1:]:
            yield " " * (self.width + len(head)) + line


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text of which a place is to be shown.

    ``first_line`` is the number of its first line in its file, ``first_column`` where on that line
    it begins; ``width`` is what the terminal has.
    """

    text: str
    width: int
    first_line: int = 1
    first_column: int = 1

    def gutter(self, place: Underline) -> Gutter:
        """The gutter that the lines of a place need."""
        return Gutter(self._last_line(place))

    def lines(self, place: Underline, label: str, colour: str) -> Iterator[str]:
        """The lines of a place behind their numbers, the place underlined.

        Takes the place, what is to be said of it, and the colour of that. Yields lines styled with
        ANSI sequences, whatever is in the text made harmless.
        """
        gutter = self.gutter(place)
        room = max(self.width, MIN_WIDTH) - gutter.width
        label = printable(label)
        start, end = self._bounds(place.start)
        first = self._line_of(place.start)
        parts = _fitted(
            _visible_end(self._margin(start) + self.text[start : place.start], room),
            _visible(self.text[place.start : min(place.end, end)], room),
            _visible(self.text[min(place.end, end) : end], room),
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

    def _last_line(self, place: Underline) -> int:
        end = self._line_of(max(place.start, place.value_end - 1))
        return min(end, self._line_of(place.start) + MAX_LINES - 1)

    def _bounds(self, offset: int) -> tuple[int, int]:
        """Where the line with this character begins and ends; a line feed ends its line."""
        start = self.text.rfind("\n", 0, offset) + 1
        end = self.text.find("\n", offset)
        return start, len(self.text) if end < 0 else end

    def _margin(self, start: int) -> str:
        # Keeps the brackets of an indented item of an array one above the other.
        indented = start == 0 and self.first_column <= 2 * len(_TAB) + 1
        return " " * (self.first_column - 1) if indented else ""


def _fitted(before: str, place: str, after: str, room: int, label: int) -> tuple[str, str, str]:
    """A line cut to ``room`` columns around its place, with room for what is said of it."""
    if cell_len(before) + cell_len(place) + cell_len(after) > room:
        if cell_len(place) > room * 2 // 3:
            place, after = _head(place, room * 2 // 3), ""
        left = room - cell_len(place)
        beside = left - label - 1
        most = beside if beside >= room // 4 else left - min(cell_len(after), room // 4)
        before = _tail(before, most)
        after = _head(after, left - cell_len(before))
    return before, place, after


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
    """The beginning of a text, more than fits, as it can be shown."""
    return shown(text[: 2 * room]) + _CUT * (len(text) > 2 * room)


def _visible_end(text: str, room: int) -> str:
    """The end of a text, more than fits, as it can be shown."""
    cut = len(text) > 2 * room
    return _CUT * cut + shown(text[-2 * room :])


def shown(text: str) -> str:
    """Raw text, made harmless and its tabs to spaces where they indent."""
    content = text.lstrip("\t ")
    margin = text[: len(text) - len(content)].replace("\t", _TAB)
    return margin + printable(_BYTES.sub(_byte, content.removesuffix("\r")))


def _byte(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]) - 0xDC00:02x}"


def _head(text: str, room: int) -> str:
    """The beginning of a text that takes up no more than ``room`` columns."""
    if cell_len(text) <= room:
        return text
    while cell_len(text) > room - 1:
        text = text[: -max(1, (cell_len(text) - room) // 2)]
    return text + _CUT


def _tail(text: str, room: int) -> str:
    """The end of a text that takes up no more than ``room`` columns."""
    if cell_len(text) <= room:
        return text
    while cell_len(text) > room - 1:
        text = text[max(1, (cell_len(text) - room) // 2) :]
    return _CUT + text
