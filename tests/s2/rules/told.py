"""What s2-mitm tells of a script, as short texts that a test can be compared with."""

from __future__ import annotations

import re
import textwrap

from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.wording import short_id

NAMES = (
    "one", "two", "other", "another", "never", "given", "same", "answer", "shake", "details",
    "select", "end", "described", "later", "revoked", "constraints", "energy", "profile",
    "instruction", "actuator", "idle", "charge", "wash", "rest", "resource", "status",
)  # fmt: skip
_NAMED = {
    text: f"#{name}"
    for name in NAMES
    for text in (identifier(name), short_id(identifier(name))[1:-1])
}
_UUID = re.compile(r"[0-9a-f]{8}(?:(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|…[0-9a-f]{4})")


def told(script: Script) -> list[str]:
    """All findings so far: severity, code, place, text, hint. Ids stand under their names."""
    lines = []
    for finding in script.findings:
        line = f"{finding.severity} {finding.code} {finding.path}: {finding.text}"
        line += f" → {finding.hint}" if finding.hint else ""
        lines.append(_UUID.sub(lambda match: _NAMED.get(match[0], "#"), line))
    return lines


def play(script: str, settings: Settings | None = None, *, from_start: bool = True) -> list[str]:
    """What is told of a script."""
    return told(Script(settings, from_start=from_start).run(textwrap.dedent(script)))
