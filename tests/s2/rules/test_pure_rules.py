"""A rule is a pure function of the message and of the conversation as it was before it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from variants import CONVERSATIONS, play

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.rules import RULES, Found, Rule, SayAgain, rules_in
from s2_mitm.s2.verdict import Source

EXAMPLES = [
    example.decode()
    for finding_type in FINDING_TYPES.values()
    if finding_type.source is Source.RULE
    for example in (finding_type.wrong, finding_type.right)
]

OUT_OF_TURN = [
    'cem("SelectControlType")',
    'rm("Handshake")\ncem("SelectControlType")\nselect("FRBC")\ncem("FRBC.Instruction")',
    'joined_late()\ncem("SelectControlType")\ncem("FRBC.Instruction")',
    'joined_late()\nrm("Handshake")\nrm("FRBC.ActuatorStatus")\nrm("FRBC.ActuatorStatus")',
    'joined_late()\nrm("Handshake")\ncem("PPBC.ScheduleInstruction")\ncem("RevokeObject")',
]
"""Messages before the handshake, or without it."""

Ordered = Callable[[list[Rule]], list[Rule]]


@pytest.fixture
def changed_rules() -> Iterator[Callable[[Ordered], None]]:
    """Puts other rules in the place of those of each message type, until the test is over."""
    before = {occasion: list(rules) for occasion, rules in RULES.items()}

    def change(changed: Ordered) -> None:
        RULES.update({occasion: changed(rules) for occasion, rules in before.items()})
        rules_in.cache_clear()

    yield change
    RULES.update(before)
    rules_in.cache_clear()


def played() -> Iterator[Script]:
    """The examples, and messages out of turn."""
    for text in EXAMPLES + OUT_OF_TURN:
        script = Script().run(text)
        script.close()
        yield script


def all_findings() -> list[list[str]]:
    """What is found in each of those, and in each whole conversation, in the order of the codes.

    Message ids are new each time, and not compared.
    """
    scripts = [*played(), *(play(name, text) for name, text in CONVERSATIONS.items())]
    return [sorted(f"{each.code} {each.path}" for each in script.findings) for script in scripts]


@pytest.fixture(scope="module")
def in_order() -> list[list[str]]:
    """What is found when the rules are asked in their own order."""
    return all_findings()


@pytest.mark.parametrize("seed", range(10))
def test_the_order_in_which_rules_are_asked_does_not_matter(
    seed: int, in_order: list[list[str]], changed_rules: Callable[[Ordered], None]
) -> None:
    chance = random.Random(seed)
    changed_rules(lambda rules: chance.sample(rules, len(rules)))

    assert all_findings() == in_order


def test_a_rule_changes_nothing_and_says_the_same_when_it_is_asked_again(
    changed_rules: Callable[[Ordered], None],
) -> None:
    changed_rules(lambda rules: [replace(rule, check=watched(rule)) for rule in rules])

    assert any(script.findings for script in played())


def watched(rule: Rule) -> Callable[[Message, Conversation], Iterator[Found | SayAgain]]:
    """The rule, which fails where it changes the conversation or the message."""

    def check(message: Message, conversation: Conversation) -> Iterator[Found | SayAgain]:
        before = snapshot(message, conversation)
        said = list(rule.check(message, conversation))
        assert list(rule.check(message, conversation)) == said, rule.finding_type.code
        assert snapshot(message, conversation) == before, rule.finding_type.code
        yield from said

    return check


def snapshot(message: Message, conversation: Conversation) -> str:
    """All that the two hold, but for what is worked out from it when it is first asked for."""
    return json.dumps([_held(message), _held(vars(conversation))], default=str)


def _held(value: Any) -> Any:
    if isinstance(value, Part):
        return value.value
    if is_dataclass(value):
        return [_held(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, dict):
        return [(key, _held(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [_held(item) for item in value]
    return value


def test_the_watch_sees_a_rule_that_changes_something() -> None:
    def remembers(message: Message, conversation: Conversation) -> Iterator[Found]:
        conversation.handshakes[message.sender] = message
        yield from ()

    (rule, *_) = RULES["Handshake"]
    script = Script()
    script.rm("Handshake")
    (said,) = script.conversation.handshakes.values()
    script.conversation.handshakes.clear()
    with pytest.raises(AssertionError, match=rule.finding_type.code):
        list(watched(replace(rule, check=remembers))(said, script.conversation))
