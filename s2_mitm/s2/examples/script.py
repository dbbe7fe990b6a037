"""Conversations that read like a script: the language of the examples in the rules.

    script = Script()
    script.begin("FRBC")
    script.cem("FRBC.Instruction", operation_mode="#no-such-mode")
    assert script.codes == ["frbc.unknown-mode"]

A message is that of `TEMPLATES` with the fields given; None takes a field out. Texts that begin
with ``#`` are names of ids: each stands for its own UUID, and ``#fresh`` for another one each time.
Every message gets a message_id of its own and is answered with OK by the other side at once, unless
``answer`` says otherwise. A message takes ten milliseconds. The same script gives the same
messages, byte for byte, every time.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from hashlib import sha256
from itertools import count
from typing import Any, NamedTuple, Self

from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples import templates
from s2_mitm.s2.examples.templates import CONTROL_TYPES, DESCRIBED, START, TEMPLATES, changed
from s2_mitm.s2.finding_types import FindingType
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import Finding, LateFinding, Role, Verdict


class Line(NamedTuple):
    """A message that was said, and its verdict, with what later messages showed of it too."""

    verdict: Verdict
    injected: bool = False


def play_wrong(finding_type: FindingType) -> list[Line]:
    """Play the example that has findings of this type: one line a message."""
    return _play(finding_type, finding_type.wrong, binary=finding_type.in_binary_frame)


def play_right(finding_type: FindingType) -> list[Line]:
    """Play the example that has none: one line a message."""
    return _play(finding_type, finding_type.right, binary=False)


def _play(finding_type: FindingType, example: bytes, *, binary: bool) -> list[Line]:
    if finding_type.is_rule:
        return Script().run(example.decode()).lines
    return [Line(judge(example, binary=binary, time=START))]


class Script:
    """A conversation to be written line by line. The RM is the WebSocket client."""

    def __init__(
        self, settings: Settings | None = None, *, from_start: bool = True, bearer: bool = False
    ) -> None:
        self.judge = Judge(settings, from_start=from_start, bearer=bearer)
        self.now = START
        self.findings: list[Finding] = []
        """All that was told so far, of earlier messages too: each in full, and what is told once
        only the first time (``lines`` has it of every message that is wrong by it)."""
        self.late: list[LateFinding] = []
        self.lines: list[Line] = []
        """All messages so far, the answers too."""
        self._last = ""
        self._ids = count(1)
        self._fresh = count(1)

    @property
    def conversation(self) -> Conversation:
        """What the two sides know of each other so far."""
        return self.judge.conversation

    @property
    def codes(self) -> list[str]:
        """The codes of all findings so far, in order."""
        return [finding.code for finding in self.findings]

    def begin(self, control_type: str | None = None, *, details: bool = True) -> None:
        """Both handshakes, the details, the control type, and what the RM says first under it."""
        self.rm("Handshake")
        self.cem("Handshake")
        self.cem("HandshakeResponse")
        if details:
            self.rm("ResourceManagerDetails")
        if control_type:
            self.select(control_type)
            for message_type in DESCRIBED.get(control_type, []):
                self.rm(message_type)

    def joined_late(self) -> None:
        """The proxy did not see the beginning."""
        self.judge.joined_late()

    def select(self, control_type: str, **fields: Any) -> None:
        """The CEM selects a control type, by its short name."""
        self.cem("SelectControlType", control_type=CONTROL_TYPES[control_type], **fields)

    def rm(self, message_type: str, answer: str | None = "OK", **fields: Any) -> str:
        """The RM says something; returns its message_id."""
        return self._say(Role.RM, message_type, answer, fields)

    def cem(self, message_type: str, answer: str | None = "OK", **fields: Any) -> str:
        """The CEM says something; returns its message_id."""
        return self._say(Role.CEM, message_type, answer, fields)

    def inject(self, sender: Role, message_type: str, **fields: Any) -> str:
        """The user says something in the name of ``sender``."""
        return self._say(sender, message_type, None, fields, injected=True)

    def raw(self, sender: Role, data: bytes) -> None:
        """Something is said that is no message of a template."""
        self._receive(sender, data)

    def last(self) -> str:
        """The message_id of the last message that has one."""
        return self._last

    def wait(self, seconds: float) -> None:
        """Time passes, and the clock of the proxy ticks."""
        self.now += seconds
        self._note(self.judge.tick(self.now))

    def close(self, closed_by: str | None = None) -> None:
        """The connection is closed, by the RM, the CEM or the proxy where that is known."""
        self._note(self.judge.close(self.now, closed_by=closed_by))

    def run(self, script: str) -> Self:
        """Play lines of Python, as they stand in the docstrings of the rules.

        Only for text of our own: it is executed.
        """
        names = {name: getattr(self, name) for name in dir(self) if not name.startswith("_")}
        exec(script, {**vars(templates), **names, "RM": Role.RM, "CEM": Role.CEM})
        return self

    def _say(
        self,
        sender: Role,
        message_type: str,
        answer: str | None,
        fields: dict[str, Any],
        *,
        injected: bool = False,
    ) -> str:
        message = {"message_type": message_type}
        if message_type != "ReceptionStatus":
            message["message_id"] = identifier(f"message {next(self._ids)}")
        message |= TEMPLATES.get(message_type, {})
        if message_type == "Handshake":
            message["role"] = str(sender)
        data = self._with_ids(json.dumps(changed(message, fields)))
        message_id: str = json.loads(data).get("message_id", "")
        self._receive(sender, data.encode(), injected=injected)
        if message_type == "ReceptionStatus":
            return ""
        self._last = message_id
        if answer is not None:
            self._say(
                sender.other,
                "ReceptionStatus",
                None,
                {"subject_message_id": message_id, "status": answer},
            )
        return message_id

    def _with_ids(self, text: str) -> str:
        """JSON with a UUID in place of each name of an id."""
        return re.sub(r'"#([a-zA-Z0-9-]+)"', lambda name: f'"{self._named(name[1])}"', text)

    def _named(self, name: str) -> str:
        return identifier(f"fresh {next(self._fresh)}" if name == "fresh" else name)

    def _receive(self, sender: Role, data: bytes, *, injected: bool = False) -> None:
        self.now += 0.01
        verdict = self.judge.receive(
            data,
            from_client=sender is self.conversation.client_role,
            time=self.now,
            injected=injected,
        )
        self.lines.append(Line(replace(verdict, findings=[*verdict.findings]), injected))
        self._note(verdict.late)
        self.findings += [finding for finding in verdict.findings if not finding.repeated]

    def _note(self, late: list[LateFinding]) -> None:
        self.late += late
        self.findings += [item.finding for item in late]
        for item in late:
            self.lines[item.number - 1].verdict.findings.append(item.finding)


def identifier(name: str) -> str:
    """The UUID that stands for ``#name``."""
    digest = sha256(name.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
