"""Things of a message in words, for the texts of findings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice

from s2_mitm.s2.conversation.message import Part
from s2_mitm.s2.wording import excerpt, quoted, short_id

MAX_LISTED = 5
"""Things that a text lists of those that are known."""


def number(value: float) -> str:
    """A number as it stands in the message."""
    return excerpt(json.dumps(value))


def named(names: Iterable[str]) -> str:
    """The first few ids."""
    return ", ".join(short_id(name) for name in islice(names, MAX_LISTED)) or "none with an id"


def labelled(name: str, thing: Part | None) -> str:
    """The label of a thing, if it has one, and its id."""
    label = thing.text("diagnostic_label") if thing else None
    return f"{quoted(label)} ({short_id(name)})" if label else short_id(name)


def listed(things: Mapping[str, Part]) -> str:
    """Some things by their ids, with their labels."""
    names = [labelled(name, thing) for name, thing in islice(things.items(), MAX_LISTED)]
    more = len(things) - len(names)
    return (", ".join(names) + (f" and {more} more" if more else "")) or "none"


def article(name: str) -> str:
    """A message type with its article."""
    return f"{'an' if name[0] in 'FO' else 'a'} {name}"
