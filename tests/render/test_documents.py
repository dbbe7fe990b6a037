"""How a file is cut into messages, and where in it they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.render.documents import Document, documents

GOOD = b'{"message_type": "Handshake"}'


def test_a_message_over_several_lines_is_one() -> None:
    text = json.dumps(json.loads(GOOD), indent=2).encode()
    assert list(documents(text)) == [Document(text)]


def test_a_broken_message_over_several_lines_is_one() -> None:
    text = b'{\n  "values": [\n    {"value": 1}\n    {"value": 2}\n  ]\n}\n'
    assert list(documents(text)) == [Document(text)]


def test_a_cut_off_last_or_first_line_does_not_hide_the_others() -> None:
    assert [document.line for document in documents(b'{"a": 1}\n{"b": ')] == [1, 2]
    assert [document.line for document in documents(b'": 1}\n{"b": 2}\n')] == [1, 2]


def test_a_line_ends_at_a_line_feed_only() -> None:
    line = '{"a": "\u2028\x0b\x85"}'.encode()
    assert [document.data for document in documents(line + b"\n" + line)] == [line, line]


def test_a_byte_order_mark_is_of_the_only_message() -> None:
    data = b"\xef\xbb\xbf" + GOOD
    assert list(documents(data)) == [Document(data)]


@pytest.mark.parametrize("content", [b"[%s,%s]", b"%s\n%s"])
def test_a_byte_order_mark_is_of_the_file_where_there_are_several(content: bytes) -> None:
    content %= (GOOD, GOOD)
    assert list(documents(b"\xef\xbb\xbf" + content)) == list(documents(content))


def test_an_empty_array_has_no_messages() -> None:
    assert list(documents(b" [ ] ")) == []


@pytest.mark.parametrize("text", [b"[1,]", b"[,]", b"[1 2]", b"[1]]", b"[1] x", b"[", b"[1,"])
def test_a_broken_array_is_one_message(text: bytes) -> None:
    assert list(documents(text)) == [Document(text)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(json_values, max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_any_array_is_cut_into_its_items(
    items: list[Any], indent: int | None, escaped: bool
) -> None:
    text = json.dumps(items, indent=indent, ensure_ascii=escaped).encode(errors="replace")
    found = list(documents(text))
    assert [document.index for document in found] == list(range(len(items)))
    again = b"[" + b",".join(document.data for document in found) + b"]"
    assert repr(json.loads(again)) == repr(json.loads(text))


OBJECTS = st.dictionaries(st.text(), json_values, max_size=4)


@given(st.lists(OBJECTS, min_size=2, max_size=4), st.booleans())
def test_any_lines_are_cut_into_lines(items: list[Any], escaped: bool) -> None:
    lines = [json.dumps(item, ensure_ascii=escaped).encode(errors="replace") for item in items]
    found = list(documents(b"\n".join(lines)))
    assert [document.data for document in found] == lines
    assert [document.line for document in found] == list(range(1, len(lines) + 1))


@given(st.binary())
def test_no_bytes_are_lost_on_the_way(data: bytes) -> None:
    found = list(documents(data))
    if found and found[0].line is None and found[0].index is None:
        assert found == [Document(data)]


@given(st.lists(json_values, min_size=1, max_size=4), st.sampled_from([None, 0, 2]), st.booleans())
def test_each_message_is_where_it_says(items: list[Any], indent: int | None, lines: bool) -> None:
    if lines:
        content = b"\n\n".join(json.dumps({"a": item}).encode() for item in items)
    else:
        content = json.dumps(items, indent=indent, ensure_ascii=False).encode(errors="replace")
    of_file = content.decode().split("\n")
    for document in documents(content):
        for offset in (0, len(document.text) // 2, len(document.text) - 1):
            line, column = document.position(offset)
            here = "\n".join([of_file[line - 1][column - 1 :], *of_file[line:]])
            assert here.startswith(document.text[offset:])


def test_bytes_that_are_no_utf_8_stay_what_they_are() -> None:
    good, bad = documents(b'["\xc3\xa9", "\xb0"]')
    assert good.text == '"é"'
    assert bad.data == b'"\xb0"'
    assert bad.text.encode(errors="surrogateescape") == bad.data
    assert (bad.first_line, bad.first_column) == (1, 7)


def test_a_number_that_python_refuses_does_not_hide_the_others() -> None:
    assert len(list(documents(b"[1, " + b"9" * 5000 + b"]"))) == 2
