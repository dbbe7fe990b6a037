"""The rules of the conversation: what no schema can see.

One file a theme, one function a rule. A rule is a generator: it takes a message (`Message`) and the
conversation as it was before the message, and yields a `Found` for each thing that is wrong. The
decorator has its code, its severity and the message types that it is asked about; its docstring
is what `s2-mitm rules CODE` prints:

    first line          what is wrong, in a few words
    paragraphs          what it means for the two sides
    Where: …            where the specification says so (N-numbers in brackets)
    Wrong: / Right:     a script that breaks it and one that does not, a line a message
    Do: …               what to do about it
"""

from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.rules import (
    acknowledgement,
    ddbc,
    descriptions,
    direction,
    frbc,
    handshake,
    ids,
    instructions,
    measurements,
    modes,
    pebc_constraints,
    pebc_envelopes,
    ppbc_references,
    ppbc_sequences,
    ppbc_times,
    revoking,
    state,
    times,
    transitions,
)
from s2_mitm.s2.rules.registry import (
    AT_THE_END,
    RULES,
    SAID_BY_S2_PYTHON,
    UNANSWERED,
    Found,
    Rule,
    rule,
)

__all__ = [
    "AT_THE_END",
    "FINDING_TYPES",
    "RULES",
    "SAID_BY_S2_PYTHON",
    "UNANSWERED",
    "Found",
    "Rule",
    "acknowledgement",
    "ddbc",
    "descriptions",
    "direction",
    "frbc",
    "handshake",
    "ids",
    "instructions",
    "measurements",
    "modes",
    "pebc_constraints",
    "pebc_envelopes",
    "ppbc_references",
    "ppbc_sequences",
    "ppbc_times",
    "revoking",
    "rule",
    "state",
    "times",
    "transitions",
]
