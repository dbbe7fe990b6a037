"""Scripts about power constraints and envelopes, for the tests of the rules of PEBC."""

from __future__ import annotations

from typing import Any

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import envelope
from s2_mitm.s2.verdict import Finding, Severity

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def begun(control_type: str | None = "PEBC") -> Script:
    script = Script()
    script.begin(control_type)
    assert script.findings == []
    return script


def of_rules(script: Script) -> list[Finding]:
    """What the rules of this family say."""
    return [finding for finding in script.findings if finding.code.startswith("pebc.")]


def one(script: Script, code: str, severity: Severity, path: str) -> str:
    """The text of the only finding of this family."""
    (finding,) = of_rules(script)
    assert (finding.code, finding.severity, finding.path) == (code, severity, path)
    return finding.text


def instruct(script: Script, *limits: tuple[float, float, float], **fields: Any) -> None:
    """The CEM instructs, with an envelope of elements (seconds, lower limit, upper limit)."""
    if limits:
        fields["power_envelopes"] = [envelope(*limits)]
    script.cem("PEBC.Instruction", **fields)


def constrain(script: Script, name: str, **fields: Any) -> str:
    """The RM gives constraints with the id ``#name``."""
    return script.rm("PEBC.PowerConstraints", id=f"#{name}", **fields)
