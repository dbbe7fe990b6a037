"""What came over the wire is put into words that steer, hide and break nothing."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2_mitm.s2.verdict import pointer
from s2_mitm.s2.wording import counted, describe, encodable, excerpt, printable, quoted

# Any text that Python can hold, half surrogate pairs included.
ANY_TEXT = st.text(st.characters(codec=None, categories=None))


def is_harmless(text: str) -> bool:
    text.encode()
    return not any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("Wärmepumpe 1, 21 °C – 電池 🔋", "Wärmepumpe 1, 21 °C – 電池 🔋"),
        ("\x1b[2J", r"\u001b[2J"),
        ("\x9b2J", r"\u009b2J"),
        ("a\nb\r\tc", r"a\u000ab\u000d\u0009c"),
        ("\x00\x07\x08\x7f", r"\u0000\u0007\u0008\u007f"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("\u2028\u2029\x85", r"\u2028\u2029\u0085"),
        ("\ud800", r"\ud800"),
        ("\ufeff", r"\ufeff"),
        ("soft\u00adhyphen", r"soft\u00adhyphen"),
        ("tags\U000e0041", r"tags\udb40\udc41"),
        ("not assigned \u0378", r"not assigned \u0378"),
    ],
)
def test_what_steers_or_hides_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@settings(deadline=None)
@given(ANY_TEXT)
def test_printable_text_is_harmless_and_stays_so(text: str) -> None:
    shown = printable(text)

    assert is_harmless(shown)
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain", "plain"),
        ("Wärme 🔋 \x00", "Wärme 🔋 \x00"),
        ("half \ud83d", r"half \ud83d"),
        ("é\udc80", r"é\udc80"),
    ],
)
def test_what_no_encoding_holds_is_escaped_and_nothing_else(text: str, kept: str) -> None:
    assert encodable(text) == kept


@settings(deadline=None)
@given(ANY_TEXT)
def test_encodable_text_can_be_encoded(text: str) -> None:
    assert encodable(text).encode().decode() == encodable(text)


@settings(deadline=None)
@given(st.text())
def test_text_without_surrogates_is_kept_as_it_is(text: str) -> None:
    assert encodable(text) == text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "number 0"),
        (-8345, "number -8345"),
        (57.3, "number 57.3"),
        ("57.3", 'text "57.3"'),
        ("", 'text ""'),
        ('say "x"', r'text "say \"x\""'),
        ([], "an empty list"),
        ([1, 2], "a list of 2"),
        ({}, "an object"),
        ({"a": 1}, "an object"),
    ],
)
def test_a_value_is_described_by_type_and_value(value: Any, words: str) -> None:
    assert describe(value) == words


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, "\x1b" * 10**6, "\ud800" * 10**6, 10**4299, [0] * 10**6, {"x" * 10**6: 1}],
    ids=["letters", "escapes", "surrogates", "digits", "list", "key"],
)
def test_the_description_of_a_large_value_is_short_and_harmless(value: Any) -> None:
    assert len(describe(value)) < 1500
    assert is_harmless(describe(value))


def test_quoted_text_is_cut_after_100_characters_and_says_so() -> None:
    assert quoted("x" * 100) == f'"{"x" * 100}"'
    assert quoted("x" * 101) == f'"{"x" * 100}"…'


@settings(deadline=None)
@given(ANY_TEXT)
def test_quoted_text_is_harmless(text: str) -> None:
    assert is_harmless(quoted(text))


@settings(deadline=None)
@given(st.text(max_size=100))
def test_short_quoted_text_is_json(text: str) -> None:
    assert json.loads(quoted(text)) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("short", "short"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 40 + "…"),
        ("two\nlines", "two lines"),
        ("two\r\nlines", "two lines"),
        ("\x1b[31mred", r"\u001b[31mred"),
        ("", ""),
    ],
)
def test_an_excerpt_is_the_beginning_on_one_line(text: str, line: str) -> None:
    assert excerpt(text) == line


@settings(deadline=None)
@given(ANY_TEXT, st.integers(1, 300))
def test_an_excerpt_is_harmless_and_short(text: str, length: int) -> None:
    assert is_harmless(excerpt(text, length))
    assert len(excerpt(text, length)) <= 12 * length + 1  # an escape takes up to twelve characters


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ((), ""),
        (("values", 0, "value"), "/values/0/value"),
        (("a/b", "m~n", ""), "/a~1b/m~0n/"),
        (("~1",), "/~01"),
        (("\ud800",), r"/\ud800"),
        (("\x1b[2J/\u202e",), r"/\u001b[2J~1\u202e"),
    ],
)
def test_a_pointer_is_as_rfc_6901_says(parts: tuple[str | int, ...], path: str) -> None:
    assert pointer(*parts) == path


@settings(deadline=None)
@given(st.lists(st.text()))
def test_a_pointer_leads_back_to_its_parts(parts: list[str]) -> None:
    read = [part.replace("~1", "/").replace("~0", "~") for part in pointer(*parts).split("/")[1:]]

    assert read == [printable(part) for part in parts]


def test_things_are_counted() -> None:
    assert [counted(count, "error") for count in (0, 1, 2)] == ["0 errors", "1 error", "2 errors"]
