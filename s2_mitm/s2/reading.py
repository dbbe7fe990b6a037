"""Read one WebSocket message as strict JSON (RFC 8259), and say what is wrong where it is not.

A message comes from a peer that may be broken or hostile: whatever the bytes are, `read` returns.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

from s2_mitm.s2.verdict import MAX_FINDINGS, Finding, Severity, Source, pointer
from s2_mitm.s2.wording import describe, excerpt, quoted

MAX_SIZE = 1024 * 1024
"""Bytes. The largest messages that devices send, a full system description, take some 100 kB."""

MAX_DEPTH = 64
"""Levels of nesting. The deepest S2 message has 10."""

_BOM = b"\xef\xbb\xbf"
# The closing quote is optional so that a text without an end is still scanned only once.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP = [1 if byte in b"[{" else -1 for byte in range(256)]


@dataclass(frozen=True, slots=True)
class Reading:
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
        findings.append(
            _error(
                "json.binary",
                f"binary WebSocket frame of {len(data)} bytes, expected a text frame",
                "Send S2 messages as text frames.",
            )
        )
    if len(data) > MAX_SIZE:
        findings.append(
            _error(
                "json.too-large",
                f"message of {len(data):,} bytes; s2-mitm reads at most {MAX_SIZE:,} bytes",
            )
        )
        return Reading(None, findings, trusted=False)
    try:
        return _read_text(data, findings, binary=binary)
    except RecursionError:  # the caller's own stack is nearly used up
        findings.append(_too_deep())
        return Reading(None, findings, trusted=False)


def _read_text(data: bytes, findings: list[Finding], *, binary: bool) -> Reading:
    trusted = True
    if data.startswith(_BOM):
        findings.append(
            _error(
                "json.bom",
                "the text begins with a byte order mark, which JSON does not allow",
                "Encode as UTF-8 without a BOM.",
            )
        )
        data = data[len(_BOM) :]
    try:
        text = data.decode()
    except UnicodeDecodeError as fault:
        if binary:  # bytes that never were text: the frame is the fault
            return Reading(None, findings, trusted=False)
        findings.append(
            _error(
                "json.not-utf8",
                f"byte 0x{data[fault.start]:02x} at offset {fault.start} is not UTF-8",
                "Encode the JSON text as UTF-8.",
            )
        )
        trusted = False
        text = data.decode(errors="replace")
    if _is_deeper_than(MAX_DEPTH, data):
        findings.append(_too_deep())
        return Reading(None, findings, trusted=False)

    seen = _Seen()
    try:
        value = json.loads(text, object_pairs_hook=seen.object_pairs, parse_constant=seen.constant)
    except json.JSONDecodeError as fault:
        if not findings:  # else the text is what it is for a reason already given
            findings.append(_syntax(text, fault))
        return Reading(None, findings, trusted=False)
    except ValueError:  # Python refuses to read integers of more than 4,300 digits
        findings.append(_error("json.number", "a number with thousands of digits"))
        return Reading(None, findings, trusted=False)

    if seen.constants:
        trusted = False
        findings.extend(islice(_non_finite(value), MAX_FINDINGS))
    if seen.duplicates:
        findings.extend(islice(_duplicate_keys(text), MAX_FINDINGS))
    if "\\u" in text:
        surrogates = list(islice(_lone_surrogates(value), MAX_FINDINGS))
        trusted = trusted and not surrogates
        findings.extend(surrogates)
    if not isinstance(value, dict):
        findings.append(
            _error(
                "json.not-an-object",
                f"the message is {describe(value)}, expected a JSON object",
            )
        )
        return Reading(None, findings, trusted=False)
    return Reading(value, findings, trusted)


class _Seen:
    """Oddities that the JSON parser meets on its way, by the hooks that it offers for them."""

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
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > limit


def _too_deep() -> Finding:
    return _error(
        "json.too-deep",
        f"nested more than {MAX_DEPTH} levels deep; the deepest S2 message has 10",
    )


def _syntax(text: str, fault: json.JSONDecodeError) -> Finding:
    """The parser's own words, with the place and what stands there."""
    place = f"line {fault.lineno} column {fault.colno}"
    if fault.msg.startswith("Invalid control character"):
        return _error(
            "json.control-character",
            f"control character U+{ord(text[fault.pos]):04X} inside a text at {place}",
            r"Write it as an escape, such as \n or \u0007.",
        )
    if fault.msg == "Extra data":
        return _error(
            "json.trailing-data",
            f"something follows the JSON object at {place}: {excerpt(text[fault.pos :])}",
            "Send one JSON object in each WebSocket message.",
        )
    found = excerpt(text[fault.pos :]) if text[fault.pos :].strip() else "the end of the message"
    reason = fault.msg[0].lower() + fault.msg[1:].removesuffix(" starting at")
    return _error("json.syntax", f"not JSON: {reason} at {place}, found {found}")


def _duplicate_keys(text: str) -> Iterator[Finding]:
    """Read once more, keeping every pair, to say which key is there twice and where."""

    def walk(value: Any, path: str) -> Iterator[Finding]:
        if isinstance(value, _Pairs):
            names = set()
            for name, item in value:
                here = path + pointer(name)
                if name in names:
                    yield _error(
                        "json.duplicate-key",
                        f"the key {quoted(name)} stands in its object more than once;"
                        " which of the values counts is not defined",
                        path=here,
                    )
                names.add(name)
                yield from walk(item, here)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from walk(item, path + pointer(index))

    yield from _once_per_path(walk(json.loads(text, object_pairs_hook=_Pairs), ""))


class _Pairs(tuple[tuple[str, Any], ...]):
    """The members of a JSON object in order, doubles and all."""

    __slots__ = ()


def _once_per_path(findings: Iterator[Finding]) -> Iterator[Finding]:
    paths = set()
    for finding in findings:
        if finding.path not in paths:
            paths.add(finding.path)
            yield finding


def _non_finite(value: Any) -> Iterator[Finding]:
    for path, number in _leaves(value, lambda item: isinstance(item, float)):
        if not math.isfinite(number):
            name = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
            yield _error(
                "json.nan",
                f"{name} is not a JSON number",
                "Leave the field out, or do not send the message, while there is no value.",
                path=path,
            )


def _lone_surrogates(value: Any) -> Iterator[Finding]:
    for path, item in _leaves(value, lambda item: isinstance(item, str)):
        try:
            item.encode()
        except UnicodeEncodeError:
            yield _error(
                "json.lone-surrogate",
                rf"{quoted(item)} holds half of a surrogate pair, which is no character",
                path=path,
            )


def _leaves(value: Any, wanted: Callable[[Any], bool], path: str = "") -> Iterator[tuple[str, Any]]:
    """All wanted values, and wanted keys, with their places. MAX_DEPTH bounds the recursion."""
    if isinstance(value, dict):
        for name, item in value.items():
            if wanted(name):
                yield path, name
            yield from _leaves(item, wanted, path + pointer(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, wanted, path + pointer(index))
    elif wanted(value):
        yield path, value


def _error(code: str, text: str, hint: str = "", *, path: str = "") -> Finding:
    return Finding(code, Severity.ERROR, Source.JSON, path, text, hint)
