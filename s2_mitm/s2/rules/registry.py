"""What makes a function a rule, and which rules there are."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from s2_mitm.s2.catalog import MESSAGE_TYPES, with_type
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.finding_types import FINDING_TYPES, FindingType
from s2_mitm.s2.verdict import Severity


class Found(NamedTuple):
    """What a rule found: the place (JSON Pointer), what is wrong, and what to do about it.

    ``on`` is the earlier message that it is about; None for the message that is judged. With a
    key in ``once``, it is told once, until a rule yields `SayAgain` with that key; with ``since``
    too, once after each such message. An error is told in full once, and shortly of each message
    that it makes invalid. Keys must not come from the wire.
    """

    path: str
    text: str
    hint: str = ""
    on: Message | None = None
    once: str = ""
    since: Message | None = None


class SayAgain(NamedTuple):
    """What was reported once may be reported again, when a rule finds it; see `Found`."""

    key: str


Check = Callable[[Message, Conversation], Iterator[Found | SayAgain]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and the type of its findings.

    ``statements`` are the published sentences that it holds, by their N-numbers; ``versions`` the
    versions of S2 for which it holds, None for all; ``alone`` says that it needs nothing but the
    message, so that it is asked of one whose conversation is not known, too.
    """

    finding_type: FindingType
    check: Check
    statements: tuple[str, ...]
    versions: frozenset[str] | None = None
    alone: bool = False

    def holds_in(self, version: str) -> bool:
        """Whether it is asked in a conversation of this version."""
        return self.versions is None or version in self.versions


UNANSWERED = "(unanswered)"
"""In place of a message type: asked about a message whose answer did not come in time."""

AT_THE_END = "(at the end)"
"""In place of a message type: asked about each instruction when the conversation is over."""

AS_TIME_PASSES = "(as time passes)"
"""In place of a message type: asked once a second, and at the end, about each message after which
something is to follow (see `Conversation.awaiting`)."""

RULES: dict[str, list[Rule]] = {
    occasion: [] for occasion in (*MESSAGE_TYPES, UNANSWERED, AT_THE_END, AS_TIME_PASSES)
}
"""The rules that are asked about each message type, in the order in which they are asked."""


def rule(
    code: str,
    severity: Severity,
    on: Iterable[str] = (),
    *,
    versions: Iterable[str] = (),
    statements: Iterable[str] = (),
    alone: bool = False,
) -> Callable[[Check], Check]:
    """Make a function a rule.

    ``on`` are the message types that it is asked about (all by default), or UNANSWERED, AT_THE_END
    or AS_TIME_PASSES; ``versions`` the versions of S2 for which it holds (all by default);
    ``statements`` the published sentences that it holds, by their N-numbers; ``alone`` is for one
    that needs nothing but the message, neither what was said before nor the time.
    """

    def register(check: Check) -> Check:
        finding_type = explained(code, severity, inspect.getdoc(check) or "")
        added = Rule(finding_type, check, tuple(statements), frozenset(versions) or None, alone)
        for message_type in on or MESSAGE_TYPES:
            RULES[message_type].append(added)
        rules_in.cache_clear()
        return check

    return register


@cache
def rules_in(*versions: str) -> Mapping[str, tuple[Rule, ...]]:
    """The rules that hold for a version of S2, by what they are asked about, as in ``RULES``.

    Where it is one of several, those that hold for each that has the message type: what depends on
    a version that is not known is not said of anybody.
    """
    return {
        occasion: tuple(
            each for each in rules if all(map(each.holds_in, with_type(occasion, versions)))
        )
        for occasion, rules in RULES.items()
    }


_HEADING = re.compile(r"^(Where|Why|Wrong|Right|Do):", re.MULTILINE)


def explained(code: str, severity: Severity, docstring: str) -> FindingType:
    """The finding type that the docstring of a rule explains; its layout is in `s2_mitm.s2.rules`.

    Raises ValueError where a part is missing, or the code is taken.
    """
    parts = _HEADING.split(docstring)
    title, _, meaning = parts[0].partition("\n")
    told = {
        name: inspect.cleandoc(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    if not (title and meaning.strip() and told.keys() == {"Where", "Why", "Wrong", "Right", "Do"}):
        raise ValueError(f"the docstring of the rule {code} lacks a part")
    finding_type = FindingType(
        code,
        severity,
        title.strip().removesuffix("."),
        " ".join(meaning.split()),
        " ".join(told["Where"].split()),
        " ".join(told["Do"].split()),
        told["Wrong"].encode(),
        told["Right"].encode(),
        why=" ".join(told["Why"].split()),
    )
    if code in FINDING_TYPES:
        raise ValueError(f"there are two rules {code}")
    FINDING_TYPES[code] = finding_type
    return finding_type


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
        "pebc.quantity-limit-missing",
        "pebc.range-upside-down",
        "time.order",
    }
)
"""Rules that s2-python checks too. Where both find the same fault, the finding of the rule is kept:
its text is better.
"""
