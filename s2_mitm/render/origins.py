"""Where a finding comes from, as links that a reader can open."""

from __future__ import annotations

import re
import textwrap
from functools import cache

from s2_mitm.s2.message.schemas import BUILT_IN

_SITE = "https://docs.s2standard.org"
_RFCS = "https://www.rfc-editor.org/rfc"
_SOURCES = "https://github.com/flexiblepower/s2-documentation/blob"

_PAGES = {
    "Common concepts": f"{_SITE}/docs/concepts/common-concepts/",
    "Guide to Operation Modes": f"{_SOURCES}/a46aee15b881d3fbdcd9bae466e2e0915186a197"
    "/website/docs/concepts/operation-modes.md",
    "S2 Connect 1.0.0": f"{_SITE}/s2-connect/1.0.0/discovery-pairing-authentication/",
    "States of Communication": f"{_SOURCES}/0100664751ededceafb7647fb94c1af38fb7de84"
    "/website/docs/Guides/State_of_communication.md",
}
"""Pages of the documentation of S2 by their titles, as texts name them.

Where the documentation has moved or dropped a page, the link is to the text as it was.
"""

_NAME = re.compile(
    rf"\b(?:RFC (?P<rfc>\d{{4}})|(?P<page>{'|'.join(map(re.escape, _PAGES))})"
    r"|(?:[A-Z]{4}\.)?[A-Z][A-Za-z]+)\b"
)


def links(text: str) -> dict[str, str]:
    """The names in a text that have a page of their own, each with the URL of that page.

    They are message types and other types of the published schemas, which the documentation of S2
    describes on a page each, other pages of it by their titles, and the numbers of RFCs.
    """
    found = {match[0]: _url(match) for match in _NAME.finditer(text)}
    return {name: url for name, url in found.items() if url}


def wrapped(text: str, width: int, indent: str) -> list[str]:
    """The lines of a text; a name that becomes a link is not broken where it has spaces."""
    unbroken = _NAME.sub(lambda match: match[0].replace(" ", "\xa0"), text)
    lines = textwrap.wrap(unbroken, width, initial_indent=indent, subsequent_indent=indent)
    return [line.replace("\xa0", " ") for line in lines]


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
    if match["page"]:
        return _PAGES[name]
    family, _, rest = name.partition(".")
    page = f"{_SITE}/model-reference/{family if rest else 'Common'}/{name}/"
    return page if name in _described() else ""


@cache
def _described() -> frozenset[str]:
    """The names of all types in the published schemas."""
    end = ".schema.json"
    return frozenset(file.name.removesuffix(end) for file in BUILT_IN.glob(f"*/*/*{end}"))
