"""Where a finding comes from, as links that a reader can open."""

from __future__ import annotations

import re
from functools import cache

from s2_mitm.s2.message.schemas import BUILT_IN

_NAME = re.compile(r"\bRFC (?P<rfc>\d{4})\b|\b(?:[A-Z]{4}\.)?[A-Z][A-Za-z]+\b")
_PAGES = "https://docs.s2standard.org/model-reference"
_RFCS = "https://www.rfc-editor.org/rfc"


def links(text: str) -> dict[str, str]:
    """The names in a text that have a page of their own, each with the URL of that page.

    They are message types and other types of the published schemas, which the documentation of S2
    describes on a page each, and the numbers of RFCs.
    """
    found = {match[0]: _url(match) for match in _NAME.finditer(text)}
    return {name: url for name, url in found.items() if url}


def linked(line: str) -> str:
    """A line with its names as links (OSC 8), for a terminal that shows them."""
    return _NAME.sub(_link, line)


def _link(match: re.Match[str]) -> str:
    url = _url(match)
    return f"\x1b]8;;{url}\x1b\\{match[0]}\x1b]8;;\x1b\\" if url else match[0]


def _url(match: re.Match[str]) -> str:
    if match["rfc"]:
        return f"{_RFCS}{match['rfc']}"
    name = match[0]
    family, _, rest = name.partition(".")
    return f"{_PAGES}/{family if rest else 'Common'}/{name}/" if name in _described() else ""


@cache
def _described() -> frozenset[str]:
    """The names of all types in the published schemas."""
    end = ".schema.json"
    return frozenset(file.name.removesuffix(end) for file in BUILT_IN.glob(f"*/*/*{end}"))
