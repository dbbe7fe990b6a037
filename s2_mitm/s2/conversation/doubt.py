"""What cannot be gone by in a message whose schema was broken: one cause, one finding."""

from __future__ import annotations

from collections.abc import Iterable

from s2_mitm.s2 import finding_types
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.verdict import Finding, Source

_SEPARATE = ("actuators", "power_envelopes", "power_sequences_containers")
"""Lists whose items have nothing to do with each other; in others one item depends on the next."""

_ALWAYS_READ = "/message_type"
"""Without this nothing of the message would be judged."""

_NO_DOUBT = {
    finding_types.JSON_BINARY.code,
    finding_types.JSON_BOM.code,
    finding_types.JSON_LONE_SURROGATE.code,
}
"""What is wrong as JSON, and yet leaves no doubt what is meant."""


def faults_of(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The places that are not as the schema has them, from what was found in a message."""
    places: list[str] = []
    for finding in findings:
        if finding.source is Source.SCHEMA:
            places += (finding.path,) if finding.about is None else finding.about
        elif finding.source is Source.JSON and finding.code not in _NO_DOUBT:
            places.append(finding.path)
    return tuple(dict.fromkeys(places))


def depends_on_a_fault(message: Message, path: str) -> bool:
    """Whether what a rule finds at a place of a message may follow from what the schema faults.

    That is so in the whole part of the message where a fault is: the field at its top, or the
    actuator, envelope or container.
    """
    if not message.faults or not path or path == _ALWAYS_READ:
        return False
    return message.is_doubtful(_part_of(path))


def _part_of(path: str) -> str:
    _, top, *rest = path.split("/", 3)
    return f"/{top}/{rest[0]}" if rest and top in _SEPARATE else f"/{top}"
