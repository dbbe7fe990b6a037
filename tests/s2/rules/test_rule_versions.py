"""Rules that do not hold for every version of S2."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from told import play

from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.rules import RULES, UNANSWERED, Found, rule, rules_in
from s2_mitm.s2.verdict import Severity

CODE = "versions.made-up"

HANDSHAKE = """
rm("Handshake", supported_protocol_versions=["{0}"])
cem("Handshake", supported_protocol_versions=None)
cem("HandshakeResponse", selected_protocol_version="{0}")
"""
MEASURED = 'rm("PowerMeasurement", answer=None)\nwait(11)'


def made_up(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A rule for a test.

    It finds something in every message.

    Where: nowhere.
    Why: it is for a test.
    Wrong:
        begin()
    Right:
        begin()
    Do: Nothing.
    """
    yield Found("", "found")


@pytest.fixture
def add_rule() -> Iterator[Callable[..., None]]:
    """Adds the rule above, for some versions and message types; it is taken out after the test."""
    before = {occasion: list(rules) for occasion, rules in RULES.items()}

    def add(on: list[str], *versions: str) -> None:
        rule(CODE, Severity.INFO, on, versions=versions)(made_up)

    yield add
    RULES.update(before)
    del FINDING_TYPES[CODE]
    rules_in.cache_clear()


def versions_with(script: str) -> list[str]:
    """The versions in which the rule finds something, selected by the user or by a handshake."""
    by_user = [
        version
        for version in VERSIONS
        if any(CODE in line for line in play(script, Settings(version=version)))
    ]
    by_handshake = [
        version
        for version in VERSIONS
        if any(CODE in line for line in play(HANDSHAKE.format(version) + script))
    ]
    assert by_user == by_handshake
    return by_user


@pytest.mark.parametrize("occasion", ["PowerMeasurement", UNANSWERED])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_rule_is_asked_in_its_versions_alone(
    version: str, occasion: str, add_rule: Callable[..., None]
) -> None:
    add_rule([occasion], version)

    assert versions_with(MEASURED) == [version]


def test_a_rule_holds_in_all_versions_unless_it_says_so(add_rule: Callable[..., None]) -> None:
    add_rule(["PowerMeasurement"])

    assert versions_with(MEASURED) == list(VERSIONS)


def test_a_rule_of_a_version_that_is_not_there_yet(add_rule: Callable[..., None]) -> None:
    add_rule(["PowerMeasurement"], "99.0.0")

    assert versions_with(MEASURED) == []
    new, old = rules_in("99.0.0")["PowerMeasurement"], rules_in(VERSIONS[0])["PowerMeasurement"]
    assert [each.finding_type.code for each in new if each not in old] == [CODE]
    assert set(old) < set(new)
