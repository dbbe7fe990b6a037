"""Messages that hold something else in some places, for rules that must bear any of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from s2_mitm.s2.examples.templates import TEMPLATES, at

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 1e308, "#constraints", "#profile", "", at(0)])
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@st.composite
def mutated(draw: st.DrawFn, message_types: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """A message type of these, and the fields of its template with other values in some places."""
    message_type = draw(st.sampled_from(message_types))
    fields = json.loads(json.dumps(TEMPLATES[message_type]))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = fields
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if isinstance(inner, dict | list) and inner and draw(st.booleans()):
                place = inner
                continue
            place[key] = draw(ANYTHING)
            break
    return message_type, fields
