"""Raw text with a part of it underlined."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from s2_mitm.render.excerpts import Excerpt
from s2_mitm.render.underlines import Underline


def show(
    text: str, fault: str, label: str = "label", *, width: int = 80, first_line: int = 1
) -> list[str]:
    start = text.index(fault)
    place = Underline(start, start + len(fault), start + len(fault))
    return lines(Excerpt(text, width, first_line), place, label)


def lines(excerpt: Excerpt, place: Underline, label: str = "label") -> list[str]:
    return [click.unstyle(line) for line in excerpt.lines(place, label, "red")]


def test_a_short_line() -> None:
    assert show('{"a": "57.3"}', '"57.3"', first_line=7) == [
        "   |",
        ' 7 | {"a": "57.3"}',
        "   |       ^^^^^^ label",
    ]


def test_a_line_among_others() -> None:
    shown = show('{\n\t"a": 1,\r\n\t"b": 2\r\n}', "2", first_line=9)
    assert shown == ["    |", ' 11 |     "b": 2', "    |          ^ label"]


def test_a_value_over_many_lines_is_shown_by_its_first() -> None:
    text = '{\n  "a": [\n    1,\n    2,\n    3\n  ]\n}'
    start = text.index("[")
    assert lines(Excerpt(text, 80), Underline(start, start + 1, text.index("]") + 1)) == [
        "   |",
        ' 2 |   "a": [',
        "   |        ^ label",
        " 3 |     1,",
        " 4 |     2,",
    ]


def test_an_item_of_an_indented_array_keeps_its_margin() -> None:
    shown = lines(Excerpt('{\n    "a": 1\n  }', 80, 4, 3), Underline(0, 1, 18))
    assert shown[1:4] == [" 4 |   {", "   |   ^ label", ' 5 |     "a": 1']


def test_a_long_line_is_cut_around_the_place() -> None:
    text = "[" + "1, " * 100 + '"bad", ' + "2, " * 100 + "3]"
    _, line, mark = show(text, '"bad"', width=60)
    assert len(line) <= 60
    assert line[5] == line[-1] == "…"
    assert mark.index("^") == line.index('"bad"')
    assert mark.endswith("^^^^^ label")


def test_a_long_place_is_cut_too() -> None:
    _, line, mark, label = show("{" + "x" * 500 + "}", "x" * 500, "word " * 10, width=60)
    assert line.endswith("x…")
    assert len(mark) == len(line)
    assert "word word" in label


def test_a_long_label_goes_below() -> None:
    *_, mark, first, second = show('{"a": 1}', "1", "word " * 20, width=60)
    assert mark == "   |       ^"
    assert first.startswith("   | word word")
    assert len(first) <= 60
    assert second.startswith("   | word")


@pytest.mark.parametrize(
    ("text", "line", "mark"),
    [
        ('"漢字", 1', ' 1 | "漢字", 1', "   |         ^ label"),
        ('"\u202e", 1', ' 1 | "\\u202e", 1', "   |           ^ label"),
        ('"\udcb0", 1', ' 1 | "\\xb0", 1', "   |         ^ label"),
        ('"é", 1', ' 1 | "é", 1', "   |      ^ label"),
    ],
)
def test_columns_are_right_whatever_comes_before(text: str, line: str, mark: str) -> None:
    shown = show(text, "1")
    assert shown[1:] == [line, mark]


def test_a_control_character_is_as_wide_as_its_escape() -> None:
    _, line, mark = show('"\x1b[2J", 1', "1")
    assert "\x1b" not in line
    assert mark.index("^") == line.rindex("1")


def test_a_place_at_the_very_end() -> None:
    assert lines(Excerpt('{"a"', 80), Underline(4, 4, 4))[2] == "   |     ^ label"
    assert lines(Excerpt("", 80), Underline(0, 0, 0))[1:] == [" 1 |", "   | ^ label"]


@given(st.text(), st.integers(0, 20), st.integers(0, 20), st.text(), st.integers(0, 100))
def test_nothing_gets_wider_than_the_terminal_or_steers_it(
    text: str, start: int, length: int, label: str, width: int
) -> None:
    start = min(start, len(text))
    place = Underline(start, min(start + length, len(text)), len(text))
    for line in lines(Excerpt(text, width), place, label):
        assert not set(line) & set("\x1b\n\r\t\u202e")
        assert cell_len(line.rstrip("^")) <= max(width, 40) + cell_len(label)
