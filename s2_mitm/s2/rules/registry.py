"""What makes a function a rule, and which rules there are."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from s2_mitm.s2.catalog import MESSAGE_TYPES
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.finding_types import FINDING_TYPES, FindingType
from s2_mitm.s2.verdict import Severity

if TYPE_CHECKING:
    from s2_mitm.s2.conversation.judging import Conversation


class Found(NamedTuple):
    """What a rule found: the place (JSON Pointer) and the words.

    ``on`` is the earlier message that it is said of; None for the message being judged.
    """

    path: str
    text: str
    hint: str = ""
    on: Message | None = None


Check = Callable[[Message, "Conversation"], Iterator[Found]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and what kind of finding it makes; ``statements`` are the N-numbers that it holds."""

    kind: FindingType
    check: Check
    statements: tuple[str, ...]


UNANSWERED = "(unanswered)"
"""In place of a message type: asked about a message whose answer did not come in time."""

AT_THE_END = "(at the end)"
"""In place of a message type: asked about each instruction when the conversation is over."""

RULES: dict[str, list[Rule]] = {
    occasion: [] for occasion in (*MESSAGE_TYPES, UNANSWERED, AT_THE_END)
}
"""The rules that each message type is held against, in the order in which they are asked."""


def rule(
    code: str, severity: Severity, on: Iterable[str] = (), *, statements: Iterable[str] = ()
) -> Callable[[Check], Check]:
    """Make a function a rule.

    ``on`` are the message types that it is asked about (all by default), or UNANSWERED or
    AT_THE_END; ``statements`` the published sentences that it holds, by their N-numbers.
    """

    def register(check: Check) -> Check:
        kind = explained(code, severity, inspect.getdoc(check) or "")
        added = Rule(kind, check, tuple(statements))
        for message_type in on or MESSAGE_TYPES:
            RULES[message_type].append(added)
        return check

    return register


_HEADING = re.compile(r"^(Where|Wrong|Right|Do):", re.MULTILINE)


def explained(code: str, severity: Severity, docstring: str) -> FindingType:
    """The kind of finding that a docstring, laid out as above, explains."""
    parts = _HEADING.split(docstring)
    title, _, meaning = parts[0].partition("\n")
    told = {
        name: inspect.cleandoc(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    if not (title and meaning.strip() and told.keys() == {"Where", "Wrong", "Right", "Do"}):
        raise ValueError(f"the docstring of the rule {code} lacks a part")
    kind = FindingType(
        code,
        severity,
        title.strip().removesuffix("."),
        " ".join(meaning.split()),
        " ".join(told["Where"].split()),
        " ".join(told["Do"].split()),
        told["Wrong"].encode(),
        told["Right"].encode(),
    )
    if code in FINDING_TYPES:
        raise ValueError(f"there are two rules {code}")
    FINDING_TYPES[code] = kind
    return kind


SAID_BY_S2_PYTHON = frozenset(
    {
        "forecast.quantity-twice",
        "frbc.fill-level-order",
        "frbc.fill-levels-apart",
        "ids.twice-in-message",
        "measurement.quantity-twice",
        "modes.power-range-order",
        "modes.power-range-twice",
        "modes.transition-mode",
        "modes.transition-timer",
        "pebc.limit-type-missing",
        "pebc.range-upside-down",
        "ppbc.quantity-twice",
        "time.order",
    }
)
"""Rules that s2-python's validators have too; they say it less well, and only the rule is kept."""
