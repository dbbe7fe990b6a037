"""The examples in the docstrings of the rules: the wrong break their rule, the right none."""

from __future__ import annotations

import pytest

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.finding_types import FINDING_TYPES, FindingType
from s2_mitm.s2.rules import RULES
from s2_mitm.s2.verdict import Source

RULE_KINDS = [kind for kind in FINDING_TYPES.values() if kind.source is Source.RULE]


CONSEQUENCES = {
    "ack.late": {"ack.missing"},
}
"""What a wrong example cannot but break besides."""


def broken_by(script: str) -> list[str]:
    """The rules that a script breaks; that a message was refused is worth knowing, but no fault."""
    findings = Script().run(script).findings
    return [
        finding.code
        for finding in findings
        if finding.source is Source.RULE and finding.code != "ack.refused"
    ]


@pytest.mark.parametrize("kind", RULE_KINDS, ids=lambda kind: kind.code)
def test_the_wrong_example_breaks_this_rule_and_no_other(kind: FindingType) -> None:
    if kind.code == "ack.refused":
        assert "ack.refused" in Script().run(kind.wrong.decode()).codes
        return
    broken = broken_by(kind.wrong.decode())
    assert kind.code in broken
    assert set(broken) <= {kind.code} | CONSEQUENCES.get(kind.code, set())


@pytest.mark.parametrize("kind", RULE_KINDS, ids=lambda kind: kind.code)
def test_the_right_example_breaks_none(kind: FindingType) -> None:
    assert broken_by(kind.right.decode()) == []


def test_every_rule_is_explained() -> None:
    for rules in RULES.values():
        for rule in rules:
            assert FINDING_TYPES[rule.finding_type.code] is rule.finding_type


def test_a_script_gives_the_same_messages_every_time() -> None:
    first, second = (Script().run('begin("FRBC")').lines for _ in range(2))
    assert first == second
    ids = [line.verdict.message_id for line in first if line.verdict.message_id]
    assert len(set(ids)) == len(ids) > 5
