"""The words in which s2-mitm judges: finding, severity, verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from s2_mitm.s2.wording import printable

MAX_FINDINGS = 25
"""Findings of one engine about one message; a peer that sends garbage must not fill the memory."""

MOST_FINDINGS = 3 * MAX_FINDINGS
"""Findings about one message in all, whoever found them."""


class Role(StrEnum):
    """Who speaks: the Resource Manager or the Customer Energy Manager."""

    RM = "RM"
    CEM = "CEM"

    @property
    def other(self) -> Role:
        return Role.CEM if self is Role.RM else Role.RM


class Severity(StrEnum):
    """How bad a finding is.

    ``error`` breaks the published schema or a must/shall; ``warning`` breaks a should, or is legal
    but refused by the reference library; ``info`` is worth knowing.
    """

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for error."""
        return _RANK[self]


_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}


class Source(StrEnum):
    """Who found it: the JSON reader, the JSON Schema, s2-python, or a rule of the conversation."""

    JSON = "json"
    SCHEMA = "schema"
    S2_PYTHON = "s2-python"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing, about one message.

    ``path`` is a JSON Pointer (RFC 6901) into the message, ``""`` for the whole of it; ``text``
    says what is wrong, with the value seen and what was expected; ``hint`` says what to do, where
    that helps. ``about`` are the places that cannot be gone by for it, such as a field that is
    missing; None where that is ``path``. ``repeated`` says that it was told in full of an earlier
    message, which ``text`` names: the message is wrong all the same.
    """

    code: str
    severity: Severity
    source: Source
    path: str
    text: str
    hint: str = ""
    about: tuple[str, ...] | None = field(default=None, compare=False, repr=False)
    repeated: bool = field(default=False, compare=False, repr=False)

    def as_dict(self) -> dict[str, str]:
        """The finding as JSON has it; an empty hint is left out."""
        fields = {
            "code": self.code,
            "severity": str(self.severity),
            "source": str(self.source),
            "path": self.path,
            "text": self.text,
        }
        if self.hint:
            fields["hint"] = self.hint
        return fields


def bounded(findings: list[Finding]) -> list[Finding]:
    """``findings``, or where they are more than ``MOST_FINDINGS`` the worst of them, in order.

    The worst, so that what is left out never makes a message valid.
    """
    if len(findings) <= MOST_FINDINGS:
        return findings
    worst_first = sorted(range(len(findings)), key=lambda index: -findings[index].severity.rank)
    return [findings[index] for index in sorted(worst_first[:MOST_FINDINGS])]


@dataclass(frozen=True, slots=True)
class Answer:
    """A ReceptionStatus, from the side of the message that it answers.

    ``sender`` is who sent the message that is answered, ``message_id`` names it; ``delay`` is
    the time that the answer took, in milliseconds.
    """

    sender: Role
    message_id: str
    status: str
    delay: float


@dataclass(frozen=True, slots=True)
class LateFinding:
    """A finding about an earlier message.

    ``number`` is that of the message in its conversation, from 1; ``time`` when it was said, in
    seconds since 1970.
    """

    number: int
    time: float
    sender: Role
    message_type: str
    finding: Finding


@dataclass(slots=True)
class Verdict:
    """What is to be said of one message.

    ``time`` is in seconds since 1970 (UTC); ``sender`` is None while nobody knows who spoke;
    ``message`` is the JSON object, or None where there is no readable one. ``message_type`` is
    the type as it stands in the message, known to S2 or not; it and the two ids are None where
    the message has none that is text. ``answer`` is set when it is a ReceptionStatus for a
    message that was seen; ``late`` is what it, or the time that has passed, shows of earlier ones.
    ``meaning`` is what it means, in one line, where somebody is to read that.
    """

    time: float
    sender: Role | None
    message: dict[str, Any] | None
    message_type: str | None
    message_id: str | None
    subject_message_id: str | None
    findings: list[Finding] = field(default_factory=list)
    answer: Answer | None = None
    late: list[LateFinding] = field(default_factory=list)
    meaning: str = ""

    @property
    def valid(self) -> bool:
        """True when no finding is an error."""
        return not self.findings or all(
            finding.severity is not Severity.ERROR for finding in self.findings
        )

    @property
    def worst(self) -> Severity | None:
        """The highest severity among the findings, None when there are none."""
        return max((f.severity for f in self.findings), key=lambda s: s.rank, default=None)


def pointer(*parts: str | int) -> str:
    """The JSON Pointer (RFC 6901) of a place: ``pointer("values", 0)`` is ``/values/0``.

    It is for people too: what is not `printable` in a name, as only a hostile peer has it, is
    written as its escape.
    """
    return "".join(
        "/" + printable(str(part)).replace("~", "~0").replace("/", "~1") for part in parts
    )
