"""What a flow says of its session, in its metadata: the proxy writes it, also into flow files.

It is a dict of a few words and numbers: ``client_role`` (RM or CEM), ``version`` (of S2), ``whole``
(whether the flow has every message of the session), ``missing`` (how many of the first it lacks),
``marker`` and ``comment``.
"""

from __future__ import annotations

from typing import Any

SUMMARY = "s2"
"""The key of the summary in the metadata."""


def missing(summary: dict[str, Any]) -> int:
    """How many of its first messages a flow with this summary lacks; 0 where it does not say."""
    number = summary.get("missing")
    return number if isinstance(number, int) and number > 0 else 0
