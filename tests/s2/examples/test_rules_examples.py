"""The examples in the docstrings of the rules: the wrong break their rule, the right none."""

from __future__ import annotations

import pytest

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.finding_types import FINDING_TYPES, FindingType
from s2_mitm.s2.rules import RULES
from s2_mitm.s2.verdict import Source

OF_RULES = [
    finding_type for finding_type in FINDING_TYPES.values() if finding_type.source is Source.RULE
]


CONSEQUENCES = {"hint.deadlock": {"ack.missing"}}
"""What a wrong example cannot but break besides."""


def broken_by(script: str) -> list[str]:
    """The rules that a script breaks; that a message was refused is worth knowing, but no fault."""
    findings = Script().run(script).findings
    return [
        finding.code
        for finding in findings
        if finding.source is Source.RULE and finding.code != "ack.refused"
    ]


@pytest.mark.parametrize("finding_type", OF_RULES, ids=lambda finding_type: finding_type.code)
def test_the_wrong_example_breaks_this_rule_and_no_other(finding_type: FindingType) -> None:
    if finding_type.code == "ack.refused":
        assert "ack.refused" in Script().run(finding_type.wrong.decode()).codes
        return
    broken = broken_by(finding_type.wrong.decode())
    assert set(broken) == {finding_type.code} | CONSEQUENCES.get(finding_type.code, set())


@pytest.mark.parametrize("finding_type", OF_RULES, ids=lambda finding_type: finding_type.code)
def test_the_right_example_breaks_none(finding_type: FindingType) -> None:
    assert broken_by(finding_type.right.decode()) == []


def test_every_rule_is_explained() -> None:
    for rules in RULES.values():
        for rule in rules:
            assert FINDING_TYPES[rule.finding_type.code] is rule.finding_type


def test_a_script_gives_the_same_messages_every_time() -> None:
    first, second = (Script().run('begin("FRBC")').lines for _ in range(2))
    assert first == second
    ids = [line.verdict.message_id for line in first if line.verdict.message_id]
    assert len(set(ids)) == len(ids) > 5
