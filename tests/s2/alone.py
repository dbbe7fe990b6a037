"""Judge messages by themselves, in tests that are not about the rules of the conversation."""

from __future__ import annotations

from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.rules import RULES

RULE_CODES = frozenset(rule.finding_type.code for rules in RULES.values() for rule in rules)

ALONE = Settings(ignore=RULE_CODES)
"""Settings with which no rule of the conversation says anything."""
