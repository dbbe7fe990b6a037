"""One conversation between an RM and a CEM: who is who, and what is agreed and in force."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from s2_mitm.s2 import kinds
from s2_mitm.s2.catalog import VERSIONS, closest_version, only_sender
from s2_mitm.s2.schemas import Schemas
from s2_mitm.s2.validation import judge
from s2_mitm.s2.verdict import Answer, Role, Severity, Verdict
from s2_mitm.s2.wording import encodable, quoted

MAX_UNANSWERED = 1000
"""Messages remembered while their ReceptionStatus is due; a peer may never answer."""

LABEL_LENGTH = 100
"""Characters kept of a name or id that a peer gives; it may be as long as a message."""


class _Evidence(IntEnum):
    """How the roles became known; what is stronger corrects what is weaker."""

    ASSUMED = 0
    OPTION = 1
    MESSAGE_TYPE = 2
    HANDSHAKE = 3


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user says about conversations.

    ``version`` is the version of S2 where no handshake selects one, None for the usual one;
    ``client_role`` is None to find it out; ``schemas`` replaces the built-in ones.
    """

    version: str | None = None
    client_role: Role | None = None
    schemas: Schemas | None = None


class Conversation:
    """What one RM and one CEM have said to each other so far.

    One of the two is the WebSocket client. Until a message tells which, the client is taken to
    be the RM, as it mostly is.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self.client_role = self._settings.client_role or Role.RM
        self._evidence = _Evidence.OPTION if self._settings.client_role else _Evidence.ASSUMED
        self.selected_version: str | None = None
        self.control_type: str | None = None
        self.resource_id: str | None = None
        self.resource_name: str | None = None
        self.messages = 0
        self.invalid = 0
        self.findings: Counter[Severity] = Counter()
        self._unanswered: OrderedDict[tuple[bool, str], float] = OrderedDict()

    @property
    def version(self) -> str | None:
        """The version that messages are held against, one that the catalog names.

        None while neither a handshake nor the user says: then each message is taken for the first
        version that has its type.
        """
        if self.selected_version is not None:
            return closest_version(self.selected_version)
        return self._settings.version

    def receive(
        self,
        data: bytes,
        *,
        from_client: bool,
        time: float,
        binary: bool = False,
        injected: bool = False,
    ) -> Verdict:
        """Judge the next message and take in what it says.

        Takes the bytes as they went over the wire, whether the WebSocket client sent them (or
        was made to appear so), when (seconds since 1970), whether in a binary frame, and whether
        they were injected by the user. Returns the verdict.
        """
        schemas = self._settings.schemas
        verdict = judge(data, version=self.version, schemas=schemas, binary=binary, time=time)
        if verdict.message is not None and not injected:
            self._learn_roles(verdict, from_client)
        verdict.sender = self.client_role if from_client else self.client_role.other
        if verdict.message is not None:
            self._take_in(verdict, verdict.message, from_client)
        self.messages += 1
        self.invalid += not verdict.valid
        self.findings.update(finding.severity for finding in verdict.findings)
        return verdict

    def _learn_roles(self, verdict: Verdict, from_client: bool) -> None:
        sender, evidence = only_sender(verdict.message_type), _Evidence.MESSAGE_TYPE
        if verdict.message_type == "Handshake" and verdict.message is not None:
            role = verdict.message.get("role")
            if isinstance(role, str) and role in set(Role):
                sender, evidence = Role(role), _Evidence.HANDSHAKE
        if sender and evidence > self._evidence:
            self.client_role = sender if from_client else sender.other
            self._evidence = evidence

    def _take_in(self, verdict: Verdict, message: dict[str, Any], from_client: bool) -> None:
        """Keep what later messages are understood by, even if parts of this one are wrong."""
        match verdict.message_type:
            case "HandshakeResponse":
                self._select_version(verdict, message)
            case "ResourceManagerDetails":
                self.resource_id = _label(message, "resource_id")
                self.resource_name = _label(message, "name")
            case "SelectControlType":
                self.control_type = _label(message, "control_type")
            case "ReceptionStatus":
                verdict.answer = self._answer(verdict, message, from_client)
        if verdict.message_id is not None and len(verdict.message_id) <= LABEL_LENGTH:
            self._unanswered[from_client, verdict.message_id] = verdict.time
            if len(self._unanswered) > MAX_UNANSWERED:
                self._unanswered.popitem(last=False)

    def _select_version(self, verdict: Verdict, message: dict[str, Any]) -> None:
        self.selected_version = _label(message, "selected_protocol_version")
        if self.selected_version is not None and self.selected_version not in VERSIONS:
            text = (
                f"version {quoted(self.selected_version)} is not one that s2-mitm knows"
                f" ({', '.join(VERSIONS)}); messages are held against"
                f" {closest_version(self.selected_version)}, the closest"
            )
            verdict.findings.append(kinds.UNKNOWN_VERSION.at("/selected_protocol_version", text))

    def _answer(
        self, verdict: Verdict, message: dict[str, Any], from_client: bool
    ) -> Answer | None:
        subject, status = verdict.subject_message_id, _label(message, "status")
        if subject is None or status is None or verdict.sender is None:
            return None
        asked = self._unanswered.pop((not from_client, subject), None)
        if asked is None:
            return None
        return Answer(verdict.sender.other, subject, status, (verdict.time - asked) * 1000)


def _label(message: dict[str, Any], name: str) -> str | None:
    value = message.get(name)
    return encodable(value[:LABEL_LENGTH]) if isinstance(value, str) else None
