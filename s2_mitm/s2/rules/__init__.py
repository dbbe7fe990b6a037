"""The rules of the conversation: what no schema can see.

One file a theme, one function a rule. A rule is a generator: it takes a message (`Message`) and the
conversation as it was before the message, and yields a `Found` for each thing that is wrong. The
decorator has its code, its severity, the message types that it is asked about and the versions of
S2 for which it holds (all, where it says none). Its docstring is what `s2-mitm rules CODE` prints:

    first line          what is wrong, in a few words
    paragraphs          what it means for the two sides
    Where: …            where the specification says so: what a reader can open
    Why: …              why it has its severity
    Wrong: / Right:     a script that breaks it and one that does not, a line a message
    Do: …               what to do about it
"""

from importlib import import_module

from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.rules.registry import (
    AS_TIME_PASSES,
    AT_THE_END,
    RULES,
    SAID_BY_S2_PYTHON,
    UNANSWERED,
    Found,
    Rule,
    SayAgain,
    rule,
    rules_in,
)

THEMES = (
    "acknowledgement",
    "modes",
    "periods",
    "descriptions",
    "frbc",
    "ddbc",
    "direction",
    "handshake",
    "hints_consistency",
    "hints_conversation",
    "hints_deeds",
    "hints_instructions",
    "hints_lists",
    "hints_profiles",
    "hints_times",
    "hints_units",
    "ids",
    "instructions",
    "measurements",
    "pebc_references",
    "pebc_envelopes",
    "pebc_energy",
    "pebc_constraints",
    "ppbc_references",
    "ppbc_profiles",
    "ppbc_progress",
    "ppbc_sequences",
    "ppbc_status",
    "ppbc_times",
    "revoking",
    "state",
    "switches",
    "times",
    "transitions",
)
"""The files with rules. What rules find in the same message is shown in this order."""

for _theme in THEMES:
    import_module(f"{__name__}.{_theme}")

__all__ = [
    "AS_TIME_PASSES",
    "AT_THE_END",
    "FINDING_TYPES",
    "RULES",
    "SAID_BY_S2_PYTHON",
    "THEMES",
    "UNANSWERED",
    "Found",
    "Rule",
    "SayAgain",
    "rule",
    "rules_in",
]
