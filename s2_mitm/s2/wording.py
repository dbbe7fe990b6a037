"""Put what came over the wire into words that are safe to show.

A message is hostile until shown otherwise: it may hold what steers a terminal, what hides or
reorders text, what no encoding can hold, or a megabyte where a word belongs.
"""

from __future__ import annotations

import json
import re
from typing import Any

_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def printable(text: str) -> str:
    """Text made harmless for terminals and pages.

    What steers them, hides or reorders text, or is no character at all, is written as its escape.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escape(character) for character in text
    )


def _escape(character: str) -> str:
    """As JSON has it."""
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else json.dumps(character)[1:-1]


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


def counted(number: int, noun: str) -> str:
    """A number of things: ``1 error``, ``2 errors``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def quoted(text: str) -> str:
    """Text in JSON's quotes and escapes, cut where it is long."""
    whole = json.dumps(text[:100], ensure_ascii=False) + "…" * (len(text) > 100)
    return printable(whole)


def short_id(identifier: str) -> str:
    """An id as a text names a thing that was seen before: of a UUID its beginning and its end.

    Both, since some devices count in the first part of their UUIDs, and some in the last.
    """
    if not _UUID.fullmatch(identifier):
        return quoted(identifier)
    return quoted(f"{identifier[:8]}…{identifier[-4:]}")


def excerpt(text: str, length: int = 40) -> str:
    """The first characters of a text, on one line."""
    line = " ".join(text[: length + 1].splitlines())
    return printable(line if len(text) <= length else line[:length] + "…")
