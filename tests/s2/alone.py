"""Judge messages by themselves, in tests that are not about the rules of the conversation."""

from __future__ import annotations

from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.verdict import Source

RULE_CODES = frozenset(code for code, kind in FINDING_TYPES.items() if kind.source is Source.RULE)

ALONE = Settings(ignore=RULE_CODES)
"""Settings with which no rule of the conversation says anything."""
