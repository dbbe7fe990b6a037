"""Things in a list that should be there once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s2_mitm.s2.conversation.message import Part


def repeated(parts: Iterable[Part], field: str) -> Iterator[tuple[Part, Part, str]]:
    """What has the same text in a field as a part before: itself, the first such part, the text.

    A part without such a field is passed over.
    """
    seen: dict[str, Part] = {}
    for part in parts:
        value = part.text(field)
        if value is None:
            continue
        if first := seen.get(value):
            yield part, first, value
        else:
            seen[value] = part
