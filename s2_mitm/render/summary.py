"""The summary of a session in the metadata of its flow, which is also saved in flow files.

It is a dict of a few words and numbers: ``client_role`` (RM or CEM), ``version`` (of S2), ``whole``
(whether the flow has every message of the session), ``missing`` (how many of the first it lacks),
``bearer`` (whether a bearer token opened it), ``unjudged`` (how many came before the first that
was judged), ``judged`` (how many were judged),
``marker`` and ``comment``.
"""

from __future__ import annotations

from typing import Any

from s2_mitm.s2.catalog import CONTROL_TYPES
from s2_mitm.s2.wording import printable

SUMMARY = "s2"
"""The key of the summary in the metadata."""


def summary_of(metadata: dict[str, Any]) -> dict[str, Any]:
    """The summary in the metadata of a flow; an empty one where there is none."""
    summary = metadata.get(SUMMARY)
    return summary if isinstance(summary, dict) else {}


def has_bearer(authorization: str | None) -> bool:
    """Whether the Authorization header of a request has a bearer token, as that of S2 Connect."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip())


def protocol(control_type: str | None) -> str:
    """What a session speaks, in words: ``S2``, or ``S2 FRBC`` while that is selected.

    ``control_type`` is as it stands on the wire, where it may be anything.
    """
    if not control_type:
        return "S2"
    return f"S2 {CONTROL_TYPES.get(control_type, printable(control_type))}"


def missing(summary: dict[str, Any]) -> int:
    """How many of its first messages a flow with this summary lacks; 0 where it does not say."""
    number = summary.get("missing")
    return number if isinstance(number, int) and number > 0 else 0


def number_of_first(summary: dict[str, Any]) -> int:
    """The number that the session gave the first message of a flow with this summary.

    0 or less where that came before the first one that was judged. Raises LookupError or TypeError
    where the summary does not say.
    """
    number: int = summary["missing"] - summary["unjudged"] + 1
    return number
