"""Whole conversations with one thing in them made wrong, and what is found then.

Findings are those of the whole variant, to its end: one cause gives one finding, not one for each
message that comes after it.
"""

from __future__ import annotations

from typing import NamedTuple

from conversations import (
    CHARGING,
    CURTAILMENT,
    HOME_BATTERY,
    HOT_WATER,
    HYBRID_HEATING,
    LAUNDRY,
    MEASURING,
    S2_CONNECT,
    Play,
)

from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.verdict import Role

CONVERSATIONS = {
    "battery": HOME_BATTERY,
    "hot water": HOT_WATER,
    "hybrid": HYBRID_HEATING,
    "laundry": LAUNDRY,
    "charging": CHARGING,
    "curtailment": CURTAILMENT,
    "measuring": MEASURING,
    "s2 connect": S2_CONNECT,
}

SETTINGS = {
    "curtailment": Settings(client_role=Role.CEM),
    "s2 connect": Settings(version="1.0.0"),
}
"""What is not as usual; the RM is the WebSocket client otherwise."""


def play(name: str, text: str) -> Play:
    """Play a text with the settings of the conversation of that name."""
    script = Play(SETTINGS.get(name))
    script.run(text).close()
    return script


class Variant(NamedTuple):
    """A conversation with one thing wrong, and the codes and places of all that is found then."""

    what: str
    conversation: str
    text: str
    findings: list[tuple[str, str]]


def changed(what: str, name: str, old: str, new: str, *findings: tuple[str, str]) -> Variant:
    """A text that the conversation has once is another."""
    text = CONVERSATIONS[name]
    assert text.count(old) == 1, what
    return Variant(what, name, text.replace(old, new), list(findings))


def renamed(what: str, name: str, old: str, new: str, *findings: tuple[str, str]) -> Variant:
    """Something has another id, wherever it is named."""
    text = CONVERSATIONS[name]
    assert text.count(f'"{old}"') > 1, what
    return Variant(what, name, text.replace(f'"{old}"', f'"{new}"'), list(findings))


def dropped(what: str, name: str, part: str, *findings: tuple[str, str]) -> Variant:
    """The line with this in it is not said."""
    return changed(what, name, lines(name, part, part), "", *findings)


def added(what: str, name: str, part: str, line: str, *findings: tuple[str, str]) -> Variant:
    """After the line with this in it another is said."""
    before = lines(name, part, part)
    return changed(what, name, before, f"{before}    {line}\n", *findings)


def lines(name: str, first: str, last: str) -> str:
    """The lines of a conversation from the only one with this in it to the only one with that."""
    each = CONVERSATIONS[name].splitlines(keepends=True)
    [start] = [number for number, line in enumerate(each) if first in line]
    [end] = [number for number, line in enumerate(each) if last in line]
    return "".join(each[start : end + 1])


REFUSED = ("ack.refused", "")
OK_TO_INVALID = ("ack.ok-to-invalid", "/status")
"""What the other side makes of it is a finding of its own."""


def check(variant: Variant) -> None:
    """What is found in a variant is what it says, no more and no less."""
    findings = play(variant.conversation, variant.text).findings
    assert [(finding.code, finding.path) for finding in findings] == variant.findings
