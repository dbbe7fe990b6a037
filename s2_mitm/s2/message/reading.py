"""Read one WebSocket message as strict JSON (RFC 8259), and say what is wrong where it is not.

A message comes from a peer that may be broken or hostile: whatever the bytes are, `read` returns.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from itertools import accumulate, islice
from typing import Any, NamedTuple

from s2_mitm.s2 import finding_types
from s2_mitm.s2.verdict import MAX_FINDINGS, Finding, pointer
from s2_mitm.s2.wording import describe, excerpt, quoted

Place = tuple[str | int, ...]
"""Where a value is: the keys and indices that lead to it. Made into a JSON Pointer only for a
finding.
"""

MAX_SIZE = 1024 * 1024
"""Bytes. The largest messages that devices send, a full system description, take some 100 kB."""

MAX_DEPTH = 64
"""Levels of nesting. The deepest S2 message has 10."""

_BOM = b"\xef\xbb\xbf"

# The closing quote is optional so that a text without an end is still scanned only once.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP = [1 if byte in b"[{" else -1 for byte in range(256)]

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

# What a 64-bit floating point number may not hold: found quickly, then looked at closely. A number
# comes after one of these three; without them, half of all UUIDs would look like one.
_LONG_NUMBER = re.compile(r"[:,\[]\s*-?(?:[\d.]{16}|[\d.]+[eE][+-]?\d{3})")


class Reading(NamedTuple):
    """What a message says as JSON.

    ``message`` is the JSON object, as far as it could be read; None where there is none.
    ``trusted`` is False where something is wrong that makes the values unfit for further checks.
    """

    message: dict[str, Any] | None
    findings: list[Finding]
    trusted: bool


def read(data: bytes, *, binary: bool = False) -> Reading:
    """Read a message.

    Takes the bytes as they went over the wire, and whether they came in a binary frame. Returns
    the JSON object and the findings of source ``json``; raises nothing.
    """
    findings: list[Finding] = []
    if binary:
        text = f"binary WebSocket frame of {len(data)} bytes, expected a text frame"
        findings.append(finding_types.JSON_BINARY.at("", text, "Send S2 messages as text frames."))
    if len(data) > MAX_SIZE:
        text = f"message of {len(data):,} bytes; s2-mitm reads at most {MAX_SIZE:,} bytes"
        findings.append(finding_types.JSON_TOO_LARGE.at("", text))
        return Reading(None, findings, trusted=False)
    try:
        return _read_text(data, findings, binary=binary)
    except RecursionError:  # the caller's own stack is nearly used up
        findings.append(_too_deep())
        return Reading(None, findings, trusted=False)


def _read_text(data: bytes, findings: list[Finding], *, binary: bool) -> Reading:
    trusted = True
    if data.startswith(_BOM):
        text = "the text begins with a byte order mark, which JSON does not allow"
        findings.append(finding_types.JSON_BOM.at("", text, "Encode as UTF-8 without a BOM."))
        data = data[len(_BOM) :]
    try:
        text = data.decode()
    except UnicodeDecodeError as fault:
        if binary:  # bytes that never were text: the frame is the fault
            return Reading(None, findings, trusted=False)
        words = f"byte 0x{data[fault.start]:02x} at offset {fault.start} is not UTF-8"
        findings.append(finding_types.JSON_NOT_UTF8.at("", words, "Encode the JSON text as UTF-8."))
        trusted = False
        text = data.decode(errors="replace")
    if _is_deeper_than(MAX_DEPTH, data):
        findings.append(_too_deep())
        return Reading(None, findings, trusted=False)

    seen = _Seen()
    odd = False
    try:
        try:
            value = _PLAIN.decode(text)
        except _OddError:
            odd = True
            value = json.loads(
                text, object_pairs_hook=seen.object_pairs, parse_constant=seen.constant
            )
    except json.JSONDecodeError as fault:
        if not findings:  # else the text is what it is for a reason already given
            findings.append(_syntax(text, fault))
        return Reading(None, findings, trusted=False)
    except ValueError:  # Python refuses to read integers of more than 4,300 digits
        findings.append(finding_types.JSON_NUMBER.at("", "a number with thousands of digits"))
        return Reading(None, findings, trusted=False)

    if seen.constants:
        trusted = False
        findings.extend(islice(_not_numbers(value), MAX_FINDINGS))
    elif odd and _LONG_NUMBER.search(text):
        too_large = list(islice(_too_large_numbers(text), MAX_FINDINGS))
        trusted = trusted and not too_large
        findings.extend(too_large or islice(_long_numbers(text), MAX_FINDINGS))
    if seen.duplicates:
        findings.extend(islice(_duplicate_keys(text), MAX_FINDINGS))
    if "\\u" in text and _SURROGATE.search(text):
        surrogates = list(islice(_lone_surrogates(value), MAX_FINDINGS))
        trusted = trusted and not surrogates
        findings.extend(surrogates)
    if not isinstance(value, dict):
        words = f"the message is {describe(value)}, expected a JSON object"
        findings.append(finding_types.JSON_NOT_AN_OBJECT.at("", words))
        return Reading(None, findings, trusted=False)
    return Reading(value, findings, trusted)


class _OddError(Exception):
    """The text has something that only the slower reading can judge."""


def _plain_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _OddError
    return result


def _no_constant(name: str) -> float:
    raise _OddError


def _plain_number(read: Callable[[str], float]) -> Callable[[str], float]:
    def plain(text: str) -> float:
        if len(text) > _PLAIN_LENGTH or "e" in text or "E" in text:
            raise _OddError
        return read(text)

    return plain


_PLAIN_LENGTH = 15
"""Characters. A 64-bit floating point number holds so many digits, whatever they are."""

_PLAIN = json.JSONDecoder(
    object_pairs_hook=_plain_object,
    parse_constant=_no_constant,
    parse_float=_plain_number(float),
    parse_int=_plain_number(int),
)
"""Reads what has no key twice, no NaN and no long number, as most messages; made once, for speed.
"""


class _Seen:
    """Notes what is unusual in the text while the JSON parser reads it, by the parser's hooks."""

    def __init__(self) -> None:
        self.duplicates = False
        self.constants = False

    def object_pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            self.duplicates = True
        return result

    def constant(self, name: str) -> float:
        self.constants = True
        return float(name)


def _is_deeper_than(limit: int, data: bytes) -> bool:
    """Whether brackets nest deeper than this; found without recursion and without parsing."""
    if data.count(b"{") + data.count(b"[") <= limit:
        return False
    # The split is five times as fast as the pattern, and right where no quote is escaped.
    outside = _STRING.sub(b"", data) if b"\\" in data else b"".join(data.split(b'"')[::2])
    brackets = outside.translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > limit


def _too_deep() -> Finding:
    text = f"nested more than {MAX_DEPTH} levels deep; the deepest S2 message has 10"
    return finding_types.JSON_TOO_DEEP.at("", text)


def _syntax(text: str, fault: json.JSONDecodeError) -> Finding:
    """The parser's own words, with the place and what stands there."""
    place = f"line {fault.lineno} column {fault.colno}"
    if fault.msg.startswith("Invalid control character"):
        words = f"control character U+{ord(text[fault.pos]):04X} inside a text at {place}"
        hint = r"Write it as an escape, such as \n or \u0007."
        return finding_types.JSON_CONTROL_CHARACTER.at("", words, hint)
    if fault.msg == "Extra data":
        words = f"something follows the JSON object at {place}: {excerpt(text[fault.pos :])}"
        hint = "Send one JSON object in each WebSocket message."
        return finding_types.JSON_TRAILING_DATA.at("", words, hint)
    found = excerpt(text[fault.pos :]) if text[fault.pos :].strip() else "the end of the message"
    reason = fault.msg[0].lower() + fault.msg[1:].removesuffix(" starting at")
    words = f"not JSON: {reason} at {place}, found {found}"
    return finding_types.JSON_SYNTAX.at("", words, _syntax_hint(text[fault.pos :]))


_NOT_JSON = {
    "'": "JSON has double quotes. Is this a Python dict, not turned into JSON?",
    "True": "JSON has true, in lower case. Is this a Python dict, not turned into JSON?",
    "False": "JSON has false, in lower case. Is this a Python dict, not turned into JSON?",
    "None": "JSON has null, and S2 has none: leave the field out.",
    "undefined": "Leave the field out while it has no value.",
    ",": "There may be a comma after the last item.",
    "}": "There may be a comma after the last item.",
    "]": "There may be a comma after the last item.",
    "/": "JSON has no comments.",
}
"""What stands where JSON does not go on, and what it means."""


def _syntax_hint(rest: str) -> str:
    return next((hint for start, hint in _NOT_JSON.items() if rest.startswith(start)), "")


def _duplicate_keys(text: str) -> Iterator[Finding]:
    """Read once more, keeping every pair, to say which key is there twice and where."""

    def walk(value: Any, place: Place) -> Iterator[Finding]:
        if isinstance(value, _Pairs):
            times: Counter[str] = Counter()
            for name, item in value:
                here = (*place, name)
                times[name] += 1
                if times[name] == 2:
                    yield finding_types.JSON_DUPLICATE_KEY.at(
                        pointer(*here),
                        f"the key {quoted(name)} stands in its object more than once;"
                        " which of the values counts is not defined",
                    )
                yield from walk(item, here)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from walk(item, (*place, index))

    yield from _once_per_path(walk(json.loads(text, object_pairs_hook=_Pairs), ()))


class _Pairs(tuple[tuple[str, Any], ...]):
    """The members of a JSON object in order, with those whose key stands there twice."""

    __slots__ = ()


def _once_per_path(findings: Iterator[Finding]) -> Iterator[Finding]:
    paths = set()
    for finding in findings:
        if finding.path not in paths:
            paths.add(finding.path)
            yield finding


def _not_numbers(value: Any) -> Iterator[Finding]:
    for path, number in _leaves(value, lambda item: isinstance(item, float)):
        if not math.isfinite(number):
            name = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
            hint = "Leave the field out, or do not send the message, while there is no value."
            yield finding_types.JSON_NAN.at(path, f"{name} is not a JSON number", hint)


class _Digits(str):
    """A number as it is written."""

    __slots__ = ()


def _written_numbers(text: str) -> Iterator[tuple[str, _Digits]]:
    """Read once more, keeping the numbers as they are written."""
    value = json.loads(text, parse_float=_Digits, parse_int=_Digits)
    return _leaves(value, lambda item: isinstance(item, _Digits))


def _too_large_numbers(text: str) -> Iterator[Finding]:
    for path, digits in _written_numbers(text):
        if not math.isfinite(float(digits)):
            words = f"number {excerpt(digits)} is beyond what 64-bit floating point holds"
            yield finding_types.JSON_NUMBER.at(path, words)


def _long_numbers(text: str) -> Iterator[Finding]:
    for path, digits in _written_numbers(text):
        kept = float(digits)
        if not _is_exactly(digits, repr(kept)):
            words = f"number {excerpt(digits)} is read as {kept!r} by most receivers"
            yield finding_types.JSON_LOSES_DIGITS.at(path, words)


def _is_exactly(digits: str, others: str) -> bool:
    try:
        return Decimal(digits) == Decimal(others)
    except InvalidOperation:  # an exponent beyond what even Decimal has
        return False


def _lone_surrogates(value: Any) -> Iterator[Finding]:
    for path, item in _leaves(value, lambda item: isinstance(item, str)):
        try:
            item.encode()
        except UnicodeEncodeError:
            words = f"{quoted(item)} holds half of a surrogate pair, which is no character"
            yield finding_types.JSON_LONE_SURROGATE.at(path, words)


def _leaves(
    value: Any, wanted: Callable[[Any], bool], place: Place = ()
) -> Iterator[tuple[str, Any]]:
    """All wanted values, and wanted keys, with their places. MAX_DEPTH bounds the recursion."""
    if isinstance(value, dict):
        for name, item in value.items():
            if wanted(name):
                yield pointer(*place), name
            yield from _leaves(item, wanted, (*place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, wanted, (*place, index))
    elif wanted(value):
        yield pointer(*place), value
