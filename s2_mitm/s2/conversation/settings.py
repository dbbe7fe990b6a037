"""What the user says about conversations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from s2_mitm.s2.catalog import known_version
from s2_mitm.s2.verdict import Finding, Role, Severity

if TYPE_CHECKING:
    from s2_mitm.s2.message.schemas import Schemas


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user says about conversations.

    ``version`` is the version of S2 where no handshake selects one, by any name that it goes by,
    None to find it out; ``client_role`` is None to find it out, and ``senders_given`` says that it
    is certain, whatever a Handshake says;
    ``schemas`` replaces the built-in ones; ``ack_timeout`` is in seconds; ``ignore`` has the codes
    that are not to be said, ``severity`` those that are to be said in another severity.
    """

    version: str | None = None
    client_role: Role | None = None
    senders_given: bool = False
    schemas: Schemas | None = None
    ack_timeout: float = 10.0
    ignore: frozenset[str] = frozenset()
    severity: Mapping[str, Severity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.version is not None:
            known = known_version(self.version)
            object.__setattr__(self, "version", known)  # the way of a frozen dataclass

    def wanted(self, findings: list[Finding]) -> list[Finding]:
        """Findings without those that the user ignores, in the severities that the user gave."""
        if not findings:
            return findings
        severities = self.severity
        return [
            replace(finding, severity=severities[finding.code])
            if finding.code in severities
            else finding
            for finding in findings
            if finding.code not in self.ignore
        ]
