"""What is underlined in the raw text of a message."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.render.documents import Document
from s2_mitm.render.underlines import locate, underlines
from s2_mitm.s2 import finding_types
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import pointer

keys = st.text() | st.sampled_from(["", "a", "~", "/", "~1", 'a"b', "\\", "\n", "0", "é", "😀"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)


def pointers(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, value
    items = value.items() if isinstance(value, dict) else []
    for key, item in enumerate(value) if isinstance(value, list) else items:
        yield from pointers(item, path + pointer(key))


def check(text: str) -> None:
    expected = dict(pointers(json.loads(text)))
    spans = locate(text, expected)
    assert spans.keys() == expected.keys()
    for path, value in expected.items():
        span = spans[path]
        assert json.loads(text[span.start : span.end]) == value
        name = path.rpartition("/")[2]
        if (span.key_start, span.key_end) != (span.start, span.end):
            assert pointer(json.loads(text[span.key_start : span.key_end])) == "/" + name
        else:
            assert name == "" or name.isdecimal()


@given(json_values, st.sampled_from([None, 0, 3]), st.booleans())
def test_every_value_is_where_it_says(value: Any, indent: int | None, escaped: bool) -> None:
    check(json.dumps(value, indent=indent, ensure_ascii=escaped))


@given(st.lists(st.tuples(st.sampled_from("abc"), json_values), min_size=1, max_size=6))
def test_of_doubles_the_last_counts(members: list[tuple[str, Any]]) -> None:
    check("{" + ", ".join(f'"{key}": {json.dumps(value)}' for key, value in members) + "}")


@given(st.text(alphabet='{}[],:"\\ a1\n') | st.text())
def test_any_text_will_do(text: str) -> None:
    for span in locate(text, ["", "/0", "/a", "/a/0"]).values():
        assert 0 <= span.start < span.end <= len(text)


def test_any_depth_will_do() -> None:
    deep = 100_000
    text = "[" * deep + "]" * deep
    assert locate(text, ["", "/0"])["/0"].start == 1


def test_a_long_line_takes_no_long_time() -> None:
    text = json.dumps({"values": [{"value": number} for number in range(50_000)]})
    span = locate(text, ["/values/49999/value"])["/values/49999/value"]
    assert text[span.start : span.end] == "49999"


def test_a_long_key_over_many_values_takes_no_long_time() -> None:
    key = "k" * 500_000
    text = json.dumps({key: {str(number): number for number in range(50_000)}})
    span = locate(text, [f"/{key}/49999"])[f"/{key}/49999"]
    assert text[span.start : span.end] == "49999"


ID = '"message_id": "b6b4fa9b-1d3a-4a5f-9d1a-0a5a8f0b7a11"'


@pytest.mark.parametrize(
    ("raw", "code", "underlined"),
    [
        (f'{{"message_type": "Handshake", {ID}, "role": 17}}', finding_types.TYPE, "17"),
        (f'{{"message_type": "Handshake", {ID}}}', finding_types.MISSING, "{"),
        ('{"message_typ": "Handshake"}', finding_types.NO_MESSAGE_TYPE, "{"),
        (
            f'{{"message_type": "Handshake", {ID}, "role": "RM", "r\\u0061le": []}}',
            finding_types.UNKNOWN_FIELD,
            '"r\\u0061le"',
        ),
        (f'{{"role": 1, "role" : 2, {ID}}}', finding_types.JSON_DUPLICATE_KEY, '"role"'),
        (f'{{"message_type": "Handshake", {ID}, "role": NaN}}', finding_types.JSON_NAN, "NaN"),
        ("{'message_type': 1}", finding_types.JSON_SYNTAX, "'message_type'"),
        ('{"role": True}', finding_types.JSON_SYNTAX, "True"),
        ('{"role": 1,}', finding_types.JSON_SYNTAX, "," if sys.version_info >= (3, 13) else "}"),
        ('{"role": "RM', finding_types.JSON_SYNTAX, '"RM'),
        ('{"role": 1\n\n', finding_types.JSON_SYNTAX, "\n"),
        ("", finding_types.JSON_SYNTAX, ""),
        ('{"a": "\x01b"}', finding_types.JSON_CONTROL_CHARACTER, "\x01"),
        ('{"a": 1} {"b": 2}', finding_types.JSON_TRAILING_DATA, "{"),
        ("17", finding_types.JSON_NOT_AN_OBJECT, "17"),
        ('[{"a": 1}]', finding_types.JSON_NOT_AN_OBJECT, "["),
        (b'{"a": "\xb0\xb1"}', finding_types.JSON_NOT_UTF8, "\udcb0\udcb1"),
        (b'\xef\xbb\xbf{"a": 1}', finding_types.JSON_BOM, "\ufeff"),
        (b'\xef\xbb\xbf{"a": NaN}', finding_types.JSON_NAN, "NaN"),
    ],
)
def test_what_is_underlined(
    raw: str | bytes, code: finding_types.FindingType, underlined: str
) -> None:
    document = Document(raw.encode() if isinstance(raw, str) else raw)
    verdict = judge(document.data)
    found = underlines(verdict.findings, document.text)
    [place] = [
        place
        for finding, place in zip(verdict.findings, found, strict=True)
        if finding.code == code.code
    ]
    assert place
    assert document.text[place.start : place.end] == underlined
    assert place.end <= place.value_end


def test_the_last_of_two_keys_is_underlined() -> None:
    text = '{"role": 1, "role": 2}'
    [place, *_] = underlines(judge(text.encode()).findings, text)
    assert place
    assert place.start == text.rindex('"role"')


@pytest.mark.parametrize("raw", ["[" * 99 + "]" * 99, '{"a": "' + "x" * 1024 * 1024 + '"}'])
def test_what_has_no_place(raw: str) -> None:
    assert underlines(judge(raw.encode()).findings, raw) == [None]


@given(st.binary())
def test_any_bytes_have_places_in_their_text(data: bytes) -> None:
    text = Document(data).text
    for place in underlines(judge(data).findings, text):
        assert place is None or 0 <= place.start <= place.end <= place.value_end <= len(text)
