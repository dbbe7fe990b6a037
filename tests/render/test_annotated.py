"""A message as people read it: the verdict, then the JSON, with each fault on its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2_mitm.render.annotated import AnnotatedLine, annotated
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict, pointer


def fault(path: str, text: str = "wrong", severity: Severity = Severity.ERROR) -> Finding:
    return Finding("rule.x", severity, Source.RULE, path, text)


def verdict(message: Any, *findings: Finding, sender: Role | None = None) -> Verdict:
    message_type = message.get("message_type") if message else None
    return Verdict(0.0, sender, message, message_type, None, None, list(findings))


def lines(message: Any, *findings: Finding) -> list[AnnotatedLine]:
    """The lines of the message itself, without the verdict."""
    shown = list(annotated(verdict(message, *findings), b""))
    return shown[[line.text for line in shown].index("") + 1 :]


def texts(message: Any, *findings: Finding) -> list[str]:
    return [line.text for line in lines(message, *findings)]


MESSAGE = {"a": 1, "b": {"c": [10, {"d": None}], "e": []}, "f": {}, "g": "x"}


def test_what_it_means_comes_after_the_verdict() -> None:
    given = verdict(MESSAGE, fault("/a"))
    given.meaning = "the RM speaks S2"

    assert [line.text for line in annotated(given, b"")][:3] == [
        "# (no message type): INVALID",
        "#     the RM speaks S2",
        "# error rule.x at /a: wrong",
    ]


def test_json_is_laid_out_as_python_does() -> None:
    assert texts(MESSAGE) == json.dumps(MESSAGE, indent=2).splitlines()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/a", '  "a": 1,'),
        ("/b", '  "b": {'),
        ("/b/c", '    "c": ['),
        ("/b/c/0", "      10,"),
        ("/b/c/1", "      {"),
        ("/b/c/1/d", '        "d": null'),
        ("/b/e", '    "e": []'),
        ("/f", '  "f": {},'),
        ("/g", '  "g": "x"'),
    ],
)
def test_a_fault_is_told_on_the_line_where_its_value_begins(path: str, line: str) -> None:
    expected = json.dumps(MESSAGE, indent=2).splitlines()
    expected[expected.index(line)] += "  # <-- wrong"

    shown = lines(MESSAGE, fault(path))

    assert [each.text for each in shown] == expected
    assert [each.severity for each in shown if each.severity] == [Severity.ERROR]


@pytest.mark.parametrize(
    ("message", "path", "line"),
    [
        ({"a/b": 1}, "/a~1b", '  "a/b": 1'),
        ({"m~n": 1}, "/m~0n", '  "m~n": 1'),
        ({"~1": 1, "/": 2}, "/~01", '  "~1": 1,'),
        ({"": 1}, "/", '  "": 1'),
        ({"x": {"0": 1}}, "/x/0", '    "0": 1'),
        ({"ä🔋": 1}, "/ä🔋", '  "ä🔋": 1'),
    ],
)
def test_a_fault_is_found_under_any_name(message: Any, path: str, line: str) -> None:
    assert f"{line}  # <-- wrong" in texts(message, fault(path))


def test_several_faults_of_a_value_share_its_line_in_the_colour_of_the_worst() -> None:
    (marked,) = [
        line
        for line in lines(
            {"a": 1},
            fault("/a", "first", Severity.INFO),
            fault("/a", "second", Severity.ERROR),
            fault("/a", "third", Severity.WARNING),
        )
        if line.severity
    ]

    assert marked == AnnotatedLine('  "a": 1  # <-- first; second; third', Severity.ERROR)


@pytest.mark.parametrize("path", ["", "/nowhere", "/a/0", "/b/c/7", "/b/c/-"])
def test_a_fault_of_the_whole_or_of_nothing_marks_no_line(path: str) -> None:
    assert texts(MESSAGE, fault(path)) == texts(MESSAGE)


def head(given: Verdict, *remarks: str) -> AnnotatedLine:
    return next(annotated(given, b"", remarks))


@pytest.mark.parametrize(
    ("given", "remarks", "line"),
    [
        (
            verdict({"message_type": "Handshake"}),
            [],
            AnnotatedLine("# Handshake: valid", None, is_good=True),
        ),
        (
            verdict({"message_type": "Handshake"}, sender=Role.RM),
            ["injected", "NOT FORWARDED"],
            AnnotatedLine("# RM Handshake: valid · injected · NOT FORWARDED", None, is_good=True),
        ),
        (
            verdict({"message_type": "Handshake"}, fault("", severity=Severity.WARNING)),
            [],
            AnnotatedLine("# Handshake: valid", Severity.WARNING),
        ),
        (verdict({}, fault("")), [], AnnotatedLine("# (no message type): INVALID", Severity.ERROR)),
        (
            verdict(None, fault("")),
            [],
            AnnotatedLine("# (no message type): INVALID", Severity.ERROR),
        ),
    ],
)
def test_the_first_line_is_the_verdict(
    given: Verdict, remarks: list[str], line: AnnotatedLine
) -> None:
    assert head(given, *remarks) == line


def test_the_findings_come_before_the_message_each_with_place_and_hint() -> None:
    hinted = Finding("a.b", Severity.WARNING, Source.RULE, "/x", "odd", "Do this.")

    shown = list(annotated(verdict({"x": 1}, fault(""), hinted), b""))

    assert shown[1:5] == [
        AnnotatedLine("# error rule.x: wrong", Severity.ERROR),
        AnnotatedLine("# warning a.b at /x: odd", Severity.WARNING),
        AnnotatedLine("#     Do this."),
        AnnotatedLine(""),
    ]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"hello", ["hello"]),
        (b"two\nlines", ["two", "lines"]),
        (b"W\xe4rme \xff", [r"W\xe4rme \xff"]),
        (b"", [""]),
        ("Wärme".encode(), ["Wärme"]),
    ],
)
def test_what_is_no_object_is_shown_as_it_came(raw: bytes, shown: list[str]) -> None:
    found = [line.text for line in annotated(verdict(None, fault("")), raw)]

    assert found[found.index("") + 1 :] == shown


@pytest.mark.parametrize(
    "raw", [b"\x1b[2J\x07", b"\x9b31m", "\u202e\u2066".encode(), b"\x00\r\x0b"]
)
def test_what_is_no_object_steers_nothing(raw: bytes) -> None:
    assert all(line.text.isprintable() for line in annotated(verdict(None), raw))


@pytest.mark.parametrize(
    "message",
    [{}, {"a": [[]]}, {"a": [{}]}, {"a": [[], []]}, {"a": {"b": {}}}, {"a": [[[1]]]}],
)
def test_empty_lists_and_objects_stay_on_their_line(message: Any) -> None:
    assert texts(message) == json.dumps(message, indent=2).splitlines()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab ~/0"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/0"), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.text("ab~/0"), JSON, max_size=4))
def test_any_message_is_laid_out_as_json(message: dict[str, Any]) -> None:
    assert "\n".join(texts(message)) == json.dumps(message, indent=2, ensure_ascii=False)


@settings(deadline=None)
@given(st.dictionaries(st.text("ab~/0"), JSON, min_size=1, max_size=4), st.data())
def test_every_place_of_any_message_has_one_line(
    message: dict[str, Any], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(paths_in(message)))

    marked = [text for text in texts(message, fault(path)) if text.endswith("  # <-- wrong")]

    assert len(marked) == 1


def paths_in(value: Any, here: str = "") -> list[str]:
    paths = [here] if here else []
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        paths += paths_in(item, here + pointer(key))
    return paths


@settings(deadline=None)
@given(st.binary() | st.dictionaries(st.text(), st.text()).map(lambda it: json.dumps(it).encode()))
def test_anything_is_shown_in_printable_lines(content: bytes) -> None:
    shown = list(annotated(judge(content), content, ["injected"]))

    assert len(shown) >= 3
    assert all(line.text.isprintable() for line in shown)


@pytest.mark.parametrize(
    "content",
    [
        b'{"message_type":"' + b"x" * 1_000_000 + b'"}',
        b'{"message_type":"Handshake","' + b"k" * 1_000_000 + b'":1}',
        b'{"' + b"k" * 100_000 + b'":[' + b"1," * 50_000 + b"1]}",
        b"[" * 1_000_000,
        b"\n" * 200_000,
    ],
    ids=["type", "field", "long-key-of-many", "depth", "lines"],
)
def test_a_large_message_is_shown(content: bytes) -> None:
    shown = list(annotated(judge(content), content))

    assert "INVALID" in shown[0].text
    assert len(shown[0].text) < 2_000
