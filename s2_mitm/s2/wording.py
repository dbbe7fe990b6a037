"""Put what came over the wire into words that are safe to show.

A message is hostile until shown otherwise: it may hold what steers a terminal, what hides or
reorders text, what no encoding can hold, or a megabyte where a word belongs.
"""

from __future__ import annotations

import json
import re
from typing import Any

# Control characters, and those that reorder or hide text; surrogates, which are no characters.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb]"
)


def printable(text: str) -> str:
    """Text made harmless for terminals and pages: what steers them is written as its escape."""
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def encodable(text: str) -> str:
    """Text that UTF-8 can hold: half a surrogate pair is written as its escape."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def describe(value: Any) -> str:
    """A JSON value in words, its type and the value where it is short: ``text "57.3"``."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"number {excerpt(json.dumps(value))}"
        case str():
            return f"text {quoted(value)}"
        case list():
            return f"a list of {len(value)}" if value else "an empty list"
        case _:
            return "an object"


def quoted(text: str) -> str:
    """Text in JSON's quotes and escapes, cut where it is long."""
    whole = json.dumps(text[:100], ensure_ascii=False) + "…" * (len(text) > 100)
    return printable(whole)


def excerpt(text: str, length: int = 40) -> str:
    """The first characters of a text, on one line."""
    line = " ".join(text[: length + 1].splitlines())
    return printable(line if len(text) <= length else line[:length] + "…")
