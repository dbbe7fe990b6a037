"""Whatever the bytes are: the JSON object, and a finding for everything that RFC 8259 forbids."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2_mitm.s2.message.reading import MAX_DEPTH, MAX_SIZE, Reading, read
from s2_mitm.s2.verdict import MAX_FINDINGS, Severity, Source

BOM = b"\xef\xbb\xbf"


def places(reading: Reading) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in reading.findings]


def nested(levels: int) -> bytes:
    """An object with lists in it, ``levels`` deep in all."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def of_size(size: int) -> bytes:
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("json.too-large", of_size(MAX_SIZE + 1)),
        ("json.bom", BOM + b"{}"),
        ("json.bom", BOM),
        ("json.bom", BOM + BOM + b"{}"),
        ("json.not-utf8", b'{"a":"\xff"}'),
        ("json.not-utf8", b'{"a":"W\xe4rme"}'),
        ("json.not-utf8", b'{"a":"\xed\xa0\x80"}'),  # a surrogate, encoded
        ("json.not-utf8", b'{"a":"\xc0\xaf"}'),  # an overlong slash
        ("json.not-utf8", b'{"a":1}\xe2\x82'),
        ("json.not-utf8", '{"a":1}'.encode("utf-16")),
        ("json.too-deep", nested(MAX_DEPTH + 1)),
        ("json.too-deep", b"[" * 1000),
        ("json.too-deep", b'{"a":' * 1000 + b"1" + b"}" * 1000),
        ("json.syntax", b""),
        ("json.syntax", b" \n\t"),
        ("json.syntax", b"hello"),
        ("json.syntax", b'{"a":'),
        ("json.syntax", b'{"a":1'),
        ("json.syntax", b'{"a":1,}'),
        ("json.syntax", b"{'a':1}"),
        ("json.syntax", b"{a:1}"),
        ("json.syntax", b'{"a" 1}'),
        ("json.syntax", b'{"a":.5}'),
        ("json.syntax", b'{"a":+1}'),
        ("json.syntax", b'{"a":01}'),
        ("json.syntax", b'{"a":1.}'),
        ("json.syntax", b'{"a":0x10}'),
        ("json.syntax", b'{"a":57,3}'),
        ("json.syntax", b'{"a":True}'),
        ("json.syntax", b'{"a":nan}'),
        ("json.syntax", b'{"a":undefined}'),
        ("json.syntax", rb'{"a":"\x41"}'),
        ("json.syntax", rb'{"a":"\u12"}'),
        ("json.syntax", b'{"a":"'),
        ("json.syntax", b'{"a":"\\'),
        ("json.syntax", b'{"a":1 /* why */}'),
        ("json.syntax", b"\x00"),
        ("json.syntax", b'{"a":\x0b1}'),
        ("json.syntax", '{"a":\u00a01}'.encode()),
        ("json.control-character", b'{"a":"\n"}'),
        ("json.control-character", b'{"a":"\x00"}'),
        ("json.control-character", b'{"a\x1f":1}'),
        ("json.trailing-data", b"{}{}"),
        ("json.trailing-data", b'{"a":1}}'),
        ("json.trailing-data", b"{}\x00"),
        ("json.trailing-data", b"{} // why"),
        ("json.trailing-data", b"1 2"),
        ("json.number", b'{"a":' + b"9" * 4301 + b"}"),  # more than Python reads as an integer
        ("json.not-an-object", b"[]"),
        ("json.not-an-object", b"[{}]"),
        ("json.not-an-object", b'"{}"'),
        ("json.not-an-object", b"1"),
        ("json.not-an-object", b"-0.5e-3"),
        ("json.not-an-object", b"null"),
        ("json.not-an-object", b"true"),
    ],
)
def test_what_cannot_be_read_gets_one_finding(code: str, data: bytes) -> None:
    reading = read(data)

    assert places(reading) == [(code, "")]
    assert reading.findings[0].severity is Severity.ERROR
    assert reading.findings[0].source is Source.JSON


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", {}),
        (b' \r\n\t{"a" : 1 } \r\n\t', {"a": 1}),
        (b'{"a":"\xef\xbb\xbf"}', {"a": "\ufeff"}),
        (rb'{"a":"\ufeff"}', {"a": "\ufeff"}),
        ('{"a":"Wärme"}'.encode(), {"a": "Wärme"}),
        (b'{"a":"\x7f"}', {"a": "\x7f"}),
        ('{"a":"\u2028\u0085"}'.encode(), {"a": "\u2028\u0085"}),
        (rb'{"a":"\n\u0000"}', {"a": "\n\0"}),
        (rb'{"a":"\ud83d\ude00"}', {"a": "😀"}),
        (rb'{"a":"\\ud800"}', {"a": r"\ud800"}),
        (b'{"a":"NaN","b":"Infinity"}', {"a": "NaN", "b": "Infinity"}),
        (b'{"NaN":1}', {"NaN": 1}),
        (b'{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}', None),
        (b'{"a":1,"A":2,"a ":3}', {"a": 1, "A": 2, "a ": 3}),
        (b'{"a":1e308,"b":-0.0,"c":1E+2}', {"a": 1e308, "b": -0.0, "c": 100.0}),
        (b'{"a":' + b"9" * 15 + b',"b":1.7976931348623157e308,"c":5e-324}', None),
        (b'{"a":9007199254740992,"b":0.30000000000000004}', None),
        (b'{"a":1.000000000000000000000,"b":100000000000000000000000}', None),
        (b'{"a":"12345678901234567","12345678901234567":"1e999"}', None),
        (b'{"a":"{}{}","b":"[[["}', {"a": "{}{}", "b": "[[["}),
    ],
)
def test_strict_json_has_no_finding(data: bytes, message: dict[str, Any] | None) -> None:
    reading = read(data)

    assert reading.findings == []
    assert reading.trusted
    assert reading.message == (json.loads(data) if message is None else message)


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (b'{"a":NaN}', ["/a"]),
        (b'{"a":Infinity,"b":-Infinity}', ["/a", "/b"]),
        (b'{"a":[1,{"b":[NaN]}]}', ["/a/1/b/0"]),
        (b'{"a/b":NaN,"m~n":{"~1":NaN}}', ["/a~1b", "/m~0n/~01"]),
        (b'{"":NaN}', ["/"]),
        ('{"ä":NaN}'.encode(), ["/ä"]),
        (rb'{"\ud83d\ude00":NaN}', ["/😀"]),
    ],
)
def test_nan_is_found_where_it_stands(data: bytes, paths: list[str]) -> None:
    reading = read(data)

    assert places(reading) == [("json.nan", path) for path in paths]
    assert reading.message is not None
    assert not reading.trusted


@pytest.mark.parametrize(
    ("name", "text"), [("NaN", "NaN"), ("Infinity", "Infinity"), ("-Infinity", "-Infinity")]
)
def test_the_finding_names_what_is_no_number(name: str, text: str) -> None:
    (finding,) = read(f'{{"a":{name}}}'.encode()).findings

    assert finding.text.startswith(f"{text} ")


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (b'{"a":1,"a":2}', ["/a"]),
        (b'{"a":1,"a":1}', ["/a"]),
        (b'{"a":1,"a":2,"a":3}', ["/a"]),
        (b'{"a":1,"b":2,"b":3,"a":4}', ["/b", "/a"]),
        (b'{"x":{"a":1,"a":2}}', ["/x/a"]),
        (b'{"x":[0,{"a":1,"a":2}]}', ["/x/1/a"]),
        (b'{"x":[{"a":1,"a":2},{"a":1,"a":2}]}', ["/x/0/a", "/x/1/a"]),
        (b'{"a/b":1,"a/b":2}', ["/a~1b"]),
        (b'{"~":{"~1":1,"~1":2}}', ["/~0/~01"]),
        (b'{"a":1,"\\u0061":2}', ["/a"]),
        (b'{"":1,"":2}', ["/"]),
        (b'{"a":{"b":1,"b":2},"a":3}', ["/a/b", "/a"]),
    ],
)
def test_a_duplicate_key_is_found_once_where_it_stands(data: bytes, paths: list[str]) -> None:
    reading = read(data)

    assert places(reading) == [("json.duplicate-key", path) for path in paths]
    assert reading.message == json.loads(data)
    assert reading.trusted


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (rb'{"a":"\ud800"}', ["/a"]),
        (rb'{"a":"\ude00\ud83d"}', ["/a"]),
        (rb'{"a":["\uDFFF",{"b":"x\ud83dy"}]}', ["/a/0", "/a/1/b"]),
        (rb'{"x":{"\ud800":1}}', ["/x"]),
    ],
)
def test_half_a_surrogate_pair_is_found_where_it_stands(data: bytes, paths: list[str]) -> None:
    reading = read(data)

    assert places(reading) == [("json.lone-surrogate", path) for path in paths]
    assert not reading.trusted


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("json.number", "1e999"),
        ("json.number", "-1e999"),
        ("json.number", "1.8E+308"),
        ("json.number", "9" * 310),
        ("json.number", "9" * 4300),
        ("json.loses-digits", "9007199254740993"),
        ("json.loses-digits", "-12345678901234567"),
        ("json.loses-digits", "0.12345678901234567890"),
        ("json.loses-digits", "1" * 300),
    ],
)
def test_a_number_that_a_float_does_not_hold_is_found_where_it_stands(
    code: str, number: str
) -> None:
    reading = read(f'{{"x":[0,{{"a/b":{number}}}]}}'.encode())

    assert places(reading) == [(code, "/x/1/a~1b")]
    assert number[:30] in reading.findings[0].text
    assert reading.trusted is (code == "json.loses-digits")


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("digits", ["1", "0.0"])
@pytest.mark.parametrize("exponent", [10**3, 10**18, 10**19, 10**40])
def test_a_number_next_to_nothing_is_read(sign: str, digits: str, exponent: int) -> None:
    reading = read(f'{{"a":{sign}{digits}e-{exponent}}}'.encode())

    assert reading.message == {"a": 0}
    assert all(code == "json.loses-digits" for code, _ in places(reading))


def test_a_list_of_faults_has_an_end() -> None:
    for fault in (b"NaN", rb'"\ud800"', b'{"b":1,"b":2}', b"1e999", b"1" * 30):
        assert len(read(b'{"a":[' + fault + (b"," + fault) * 1000 + b"]}").findings) == MAX_FINDINGS


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (BOM + b'{"a":NaN}', ["json.bom", "json.nan"]),
        (BOM + b'{"a":1,"a":2}', ["json.bom", "json.duplicate-key"]),
        (b'{"a":NaN,"b":1,"b":1}', ["json.nan", "json.duplicate-key"]),
        (b'{"a":"\xff","b":NaN}', ["json.not-utf8", "json.nan"]),
        (b"[NaN]", ["json.nan", "json.not-an-object"]),
    ],
)
def test_independent_faults_are_found_together(data: bytes, codes: list[str]) -> None:
    assert [finding.code for finding in read(data).findings] == codes


@pytest.mark.parametrize(
    ("data", "message", "codes"),
    [
        (b'{"a":1}', {"a": 1}, ["json.binary"]),
        (b"\x00\xff\x80", None, ["json.binary"]),  # never was text
        (b"hello", None, ["json.binary"]),
        (b"", None, ["json.binary"]),
        (BOM + b"{}", {}, ["json.binary", "json.bom"]),
        (b'{"a":NaN}', None, ["json.binary", "json.nan"]),
        (of_size(MAX_SIZE + 1), None, ["json.binary", "json.too-large"]),
    ],
    ids=["object", "bytes", "text", "empty", "bom", "nan", "large"],
)
def test_a_binary_frame_is_read_all_the_same(
    data: bytes, message: dict[str, Any] | None, codes: list[str]
) -> None:
    reading = read(data, binary=True)

    assert [finding.code for finding in reading.findings] == codes
    if message is not None:
        assert reading.message == message
        assert reading.trusted


def test_the_message_is_kept_where_only_its_encoding_is_wrong() -> None:
    reading = read(b'{"message_type":"Handshake","name":"W\xe4rme"}')

    assert reading.message == {"message_type": "Handshake", "name": "W\ufffdrme"}
    assert not reading.trusted


@pytest.mark.parametrize(("size", "is_read"), [(MAX_SIZE, True), (MAX_SIZE + 1, False)])
def test_the_size_is_bounded_exactly(size: int, is_read: bool) -> None:
    assert len(of_size(size)) == size
    assert (read(of_size(size)).message is not None) is is_read


@pytest.mark.parametrize(("levels", "is_read"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_the_depth_is_bounded_exactly(levels: int, is_read: bool) -> None:
    beside = b'{"b":[{},{}],"c":"\\"[",'

    assert (read(nested(levels)).message is not None) is is_read
    assert (read(nested(levels).replace(b"{", beside)).message is not None) is is_read


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1000,
        "{" * 1000,
        '"' + "[" * 1000,
        '\\"' + "[" * 1000,
        "\\" + "[" * 1000,
        "[" * 1000 + "\\",
    ],
    ids=["lists", "objects", "quote", "escaped-quote", "backslash", "backslash-at-the-end"],
)
def test_brackets_in_texts_are_no_depth(text: str) -> None:
    message = {"a": text, text: [text]}

    assert read(json.dumps(message).encode()) == Reading(message, [], trusted=True)


def test_brackets_side_by_side_are_no_depth() -> None:
    message = {"a": [[] for _ in range(1000)], "b": [{} for _ in range(1000)]}

    assert read(json.dumps(message).encode()).findings == []


def test_depth_is_found_behind_a_text() -> None:
    data = b'{"a":"\\\\","b":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}"

    assert places(read(data)) == [("json.too-deep", "")]


def test_reading_needs_little_of_the_stack() -> None:
    def at_the_bottom(frames: int) -> Reading:
        return at_the_bottom(frames - 1) if frames else read(nested(MAX_DEPTH))

    depth = 0
    frame = sys._getframe()
    while frame.f_back:
        frame, depth = frame.f_back, depth + 1
    for left in (5, 10, 20, 30, 60):
        try:
            reading = at_the_bottom(sys.getrecursionlimit() - depth - left)
        except RecursionError:
            continue  # of this test itself, or before `read` began
        assert [finding.code for finding in reading.findings] in ([], ["json.too-deep"])


def repeated(
    unit: bytes, before: bytes = b"", after: bytes = b"", *, size: int = MAX_SIZE
) -> bytes:
    """As large as a message may be, if nothing else is said."""
    return before + unit * ((size - len(before + after)) // len(unit)) + after


LARGE = MAX_SIZE // 4
LONG_KEY = b'{"' + b"k" * (LARGE // 2) + b'":['


# Each ends within a second where the time grows with the size, and hardly where it grows faster.
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (repeated(b'"'), "json.trailing-data"),
        (repeated(b"\\"), "json.syntax"),
        (repeated(b"\\", b'"'), "json.syntax"),
        (repeated(b'\\"', b'"'), "json.syntax"),
        (repeated(b'"\\'), "json.syntax"),
        (repeated(b'"[', b"["), "json.too-deep"),
        (repeated(b"["), "json.too-deep"),
        (repeated(b"{"), "json.too-deep"),
        (repeated(b"]"), "json.syntax"),
        (repeated(b"[]"), "json.trailing-data"),
        (repeated(b"[{}"), "json.too-deep"),
        (repeated(b" "), "json.syntax"),
        (repeated(b"\n"), "json.syntax"),
        (repeated(b"-"), "json.syntax"),
        (repeated(b"1"), "json.number"),
        (repeated(b"1", b'{"a":0.', b"}"), "json.loses-digits"),
        (repeated(b"\x00"), "json.syntax"),
        (repeated(b"\xff"), "json.not-utf8"),
        (repeated(BOM), "json.bom"),
        (repeated(b"\n", b'{"a":"'), "json.control-character"),
        (repeated(b'"a":1,', b"{", b'"a":1}'), "json.duplicate-key"),
        (repeated(b'{"a":1,"a":2},', b'{"x":[', b"{}]}"), "json.duplicate-key"),
        (repeated(b"NaN,", b'{"x":[', b"1]}"), "json.nan"),
        (repeated(b"\\ud800", b'{"x":"', b'"}'), "json.lone-surrogate"),
        (repeated(b'"\\ud800",', b'{"x":[', b"1]}"), "json.lone-surrogate"),
        (repeated(b"1,", LONG_KEY, b"NaN]}", size=LARGE), "json.nan"),
        (repeated(b"1,", LONG_KEY, b'1],"a":1,"a":1}', size=LARGE), "json.duplicate-key"),
    ],
    ids=[
        *("quotes", "backslashes", "text-of-backslashes", "escaped-quotes", "quote-backslash"),
        *("quote-bracket", "lists", "objects", "closing", "pairs", "ladder", "spaces", "lines"),
        *("signs", "digits", "fraction", "zeros", "not-utf8", "boms", "raw-lines", "duplicates"),
        *("objects-with-duplicates", "nans", "surrogates", "texts-with-surrogates"),
        *("a-nan-beneath-a-long-key", "duplicates-beside-a-long-key"),
    ],
)
def test_a_large_message_full_of_trouble_is_dealt_with(data: bytes, code: str) -> None:
    reading = read(data)

    assert reading.findings[0].code == code
    assert all(len(finding.text) <= 1000 for finding in reading.findings)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)

SCRAPS = st.sampled_from(
    [
        *(
            b"{",
            b"}",
            b"[",
            b"]",
            b":",
            b",",
            b'"',
            b"\\",
            b"\\u",
            b"d800",
            b"\\udc00",
            b" ",
            b"\n",
        ),
        *(b"NaN", b"-Infinity", b"null", b"true", b"1", b"-", b".5", b"e999", b"0", b'"a":', b"\0"),
        *(b"e-", b"1e-999999999999999999999", b"12345678901234567", b'{"a":0.1e-'),
        *(b"\xff", b"\xe2\x82", BOM, "ä😀\u202e\u2028".encode(), b"\x1b[2J", b'"message_type"'),
        *(b'{"a":', b"1}", b'"a":1,', b"[1,", b"9" * 4301),
    ]
)


@settings(deadline=None)
@given(st.binary() | st.lists(SCRAPS, max_size=40).map(b"".join), st.booleans())
def test_no_bytes_make_it_raise_and_all_it_says_is_harmless(data: bytes, binary: bool) -> None:
    reading = read(data, binary=binary)

    assert reading.findings or reading.message is not None
    for finding in reading.findings:
        assert finding.code.startswith("json.")
        assert finding.path == "" or finding.path.startswith("/")
        assert 0 < len(finding.text) <= 1000
        finding.path.encode()
        for text in (finding.text, finding.hint):
            text.encode()
            assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in text)


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=5), st.booleans())
def test_what_python_writes_as_json_is_read_back(message: dict[str, Any], ascii_only: bool) -> None:
    reading = read(json.dumps(message, ensure_ascii=ascii_only).encode())

    assert reading.findings == []
    assert reading.trusted
    # Compared as text: to Python, 1, 1.0 and True are equal.
    assert json.dumps(reading.message) == json.dumps(message)


@settings(deadline=None)
@given(st.binary(), st.binary())
def test_bytes_around_an_object_never_pass(before: bytes, after: bytes) -> None:
    is_clean = read(before + b'{"a":1}' + after).findings == []

    blank = b" \t\r\n"
    assert is_clean is (before.strip(blank) == b"" and after.strip(blank) == b"")
