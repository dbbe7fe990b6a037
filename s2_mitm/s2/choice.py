"""Which findings the user wants, and how bad: codes as people write them in options.

A code stands for itself, ``ack.*`` for all codes that begin with ``ack.``.
"""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.message.explaining import nearest
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import excerpt

_EVERY = ".*"
_LIST = "s2-mitm rules lists them all"


def parse_codes(text: str) -> frozenset[str]:
    """The codes in a list with commas, such as ``ack.missing, ids.*``.

    Raises ValueError, with a sentence for the one who wrote it, for a code that there is not.
    """
    return frozenset(code for name in _items(text) for code in _codes(name))


def parse_severities(text: str) -> dict[str, Severity]:
    """The severities in a list with commas, such as ``ack.*=info, ack.missing=error``.

    Later ones count. Raises ValueError, with a sentence for the one who wrote it, for a code or a
    severity that there is not.
    """
    severities: dict[str, Severity] = {}
    for item in _items(text):
        name, equals, severity = (part.strip() for part in item.partition("="))
        if not equals:
            raise ValueError(f"'{excerpt(item)}' has no severity: write {excerpt(name)}=info")
        codes = _codes(name)
        if severity not in set(Severity):
            known = ", ".join(reversed(Severity))
            raise ValueError(f"there is no severity '{excerpt(severity)}'; there is {known}")
        severities |= dict.fromkeys(codes, Severity(severity))
    return severities


def _items(text: str) -> Iterator[str]:
    return (item.strip() for item in text.split(",") if item.strip())


def _codes(name: str) -> list[str]:
    """The codes that a name stands for, at least one."""
    if not name.endswith(_EVERY):
        if name in FINDING_TYPES:
            return [name]
        meant = _code_meant(name)
        hint = f"did you mean '{meant}'?" if meant else _LIST
        raise ValueError(f"there is no finding with the code '{excerpt(name)}'; {hint}")
    family = name.removesuffix(_EVERY)
    if codes := [
        code for code, finding_type in FINDING_TYPES.items() if finding_type.family == family
    ]:
        return codes
    meant = nearest(family, {each.family for each in FINDING_TYPES.values()})
    hint = f"did you mean '{meant}{_EVERY}'?" if meant else _LIST
    raise ValueError(f"no code begins with '{excerpt(family)}.'; {hint}")


def _code_meant(name: str) -> str | None:
    if any(each.family == name for each in FINDING_TYPES.values()):
        return f"{name}{_EVERY}"
    return nearest(name, FINDING_TYPES)
