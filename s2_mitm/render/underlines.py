"""What to underline in the raw text of a message for a finding.

The text is shown as it was sent, with its spaces, its escapes and keys that occur twice. So values
are looked up in the text, and not in what was parsed from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from s2_mitm.s2 import finding_types
from s2_mitm.s2.verdict import Finding, pointer

_BOM = "\ufeff"

_TOKEN = re.compile(
    r"""
    "[^"\\]*+(?:\\.[^"\\]*+)*+"     # a text
    | [{}\[\],:]
    | [^\s{}\[\],:"]++              # a number, true, false, null, NaN ...
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class ValueSpan:
    """Where a value and its key are in a text: offsets in characters, the ends exclusive.

    Where there is no key, in a list or at the top, ``key_start`` and ``key_end`` are those of the
    value.
    """

    start: int
    end: int
    key_start: int
    key_end: int


@dataclass(frozen=True, slots=True)
class Underline:
    """What to underline: offsets in characters from ``start`` up to, not including, ``end``.

    ``value_end`` is where the value ends that the finding is about, which may be later.
    """

    start: int
    end: int
    value_end: int


class _Node:
    """A value that is looked for, or an object or list around one."""

    __slots__ = ("inner", "span")

    def __init__(self) -> None:
        self.inner: dict[str, _Node] = {}
        self.span: ValueSpan | None = None

    def at(self, path: str) -> _Node:
        node = self
        for part in path.split("/")[1:]:
            node = node.inner.setdefault(part, _Node())
        return node


@dataclass(slots=True)
class _Container:
    """An object or a list whose end has not come yet.

    ``node`` is None where nothing in it is looked for. ``index`` is that of the item that is being
    read in a list, None in an object.
    """

    node: _Node | None
    start: int
    key: tuple[int, int] | None
    index: int | None

    def inner(self, part: str) -> _Node | None:
        return self.node.inner.get(part) if self.node else None


def locate(text: str, pointers: Iterable[str]) -> dict[str, ValueSpan]:
    """Find values in JSON text.

    Takes the text and the JSON Pointers (RFC 6901) of the values. Returns, by its pointer, where
    each value is that the text has; where a key occurs twice, the last one counts, as for most
    parsers. The text may be anything, nested to any depth: where it stops being JSON, the values
    before that are found all the same.
    """
    root = _Node()
    wanted = {path: root.at(path) for path in pointers}
    open_ones: list[_Container] = []
    here: _Node | None = root
    key: tuple[int, int] | None = None
    key_comes = False

    for match in _TOKEN.finditer(text):
        token, start, end = match[0], match.start(), match.end()
        outer = open_ones[-1] if open_ones else None
        if token in "{[":
            outer = _Container(here, start, key, None if token == "{" else 0)
            open_ones.append(outer)
            key, key_comes = None, token == "{"
            here = outer.inner("0")  # of a list; in an object the key will say
        elif token == ":":
            continue
        elif key_comes and outer is not None and token not in "}],":
            here = outer.inner(pointer(_text_of(token))[1:]) if outer.node else None
            key, key_comes = (start, end), False
        elif token == ",":
            if outer is None:
                break
            key, key_comes = None, outer.index is None
            if outer.index is not None:
                outer.index += 1
                here = outer.inner(str(outer.index))
        else:  # a value ends
            if token in "}]":
                if outer is None:
                    break
                open_ones.pop()
                here, start, key, key_comes = outer.node, outer.start, outer.key, False
            if here is not None:
                here.span = ValueSpan(start, end, *(key or (start, end)))
    return {path: node.span for path, node in wanted.items() if node.span}


def _text_of(token: str) -> str:
    if "\\" not in token:
        return token[1:-1]
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token


def underlines(findings: Collection[Finding], text: str) -> list[Underline | None]:
    """What to underline for each of the findings of a message, None where there is nothing.

    Takes the findings and the text of the message.
    """
    bom = len(_BOM) if text.startswith(_BOM) else 0
    rest = text[bom:]
    paths = {finding.path for finding in findings if finding.code not in _ELSEWHERE}
    spans = locate(rest, paths) if paths else {}
    return [_underline(finding, rest, spans, bom) for finding in findings]


def _underline(
    finding: Finding, rest: str, spans: dict[str, ValueSpan], bom: int
) -> Underline | None:
    if finding.code == finding_types.JSON_BOM.code:
        return Underline(0, bom, bom)
    if finding.code in _NOT_READABLE:
        at = _unreadable(rest)
        return at and Underline(at.start + bom, at.end + bom, at.end + bom)
    if finding.code == finding_types.JSON_NOT_UTF8.code:
        bad = _NOT_UTF8.search(rest)
        return Underline(bad.start() + bom, bad.end() + bom, bad.end() + bom) if bad else None
    span = spans.get(finding.path)
    if span is None:
        return None
    start, end = span.start, span.end
    if finding.code in _ABOUT_KEYS:
        start, end = span.key_start, span.key_end
    elif rest[start] in "{[" and (finding.code in _ABOUT_FIELDS or not finding.path):
        end = start + 1  # the bracket; what is within is not at fault
    return Underline(start + bom, end + bom, span.end + bom)


def _unreadable(rest: str) -> Underline | None:
    """The word at which the text stops being JSON, as the parser that judged it says."""
    try:
        json.loads(rest)
    except json.JSONDecodeError as fault:
        start = min(fault.pos, len(rest.rstrip()))  # not in the white space at the end
        word = _WORD.match(rest, start)
        end = word.end() if word else min(start + 1, len(rest))
        return Underline(start, end, end)
    except (ValueError, RecursionError):
        pass
    return None


_WORD = re.compile(r"""'[^'\n]*'|"[^"\n]*"?|[-+.\w]+""")
_NOT_UTF8 = re.compile("[\ud800-\udfff]+")

_NOT_READABLE = frozenset(
    each.code
    for each in (
        finding_types.JSON_SYNTAX,
        finding_types.JSON_CONTROL_CHARACTER,
        finding_types.JSON_TRAILING_DATA,
    )
)
_NOWHERE = frozenset(
    each.code
    for each in (
        finding_types.JSON_BINARY,
        finding_types.JSON_TOO_LARGE,
        finding_types.JSON_TOO_DEEP,
    )
)
_ELSEWHERE = (
    _NOT_READABLE | _NOWHERE | {finding_types.JSON_BOM.code, finding_types.JSON_NOT_UTF8.code}
)
_ABOUT_KEYS = frozenset(
    each.code for each in (finding_types.UNKNOWN_FIELD, finding_types.JSON_DUPLICATE_KEY)
)
_ABOUT_FIELDS = frozenset(
    each.code for each in (finding_types.MISSING, finding_types.NO_MESSAGE_TYPE)
)
