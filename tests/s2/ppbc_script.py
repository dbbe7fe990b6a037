"""Scripts about power profiles, for the tests of the rules of PPBC."""

from __future__ import annotations

from typing import Any

import pytest

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import at, waiting
from s2_mitm.s2.verdict import Finding, Severity

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
SCHEDULE, PROFILE = "PPBC.ScheduleInstruction", "PPBC.PowerProfileDefinition"
START, END = "PPBC.StartInterruptionInstruction", "PPBC.EndInterruptionInstruction"
CONTAINERS = ("wash", "spin")
"""Those of the profile that is given first."""

EVERY = pytest.mark.parametrize("message_type", [SCHEDULE, START, END])


def begun(control_type: str | None = "PPBC") -> Script:
    script = Script()
    script.begin(control_type)
    assert script.findings == []
    return script


def selected() -> Script:
    """PPBC is selected, and nothing given."""
    script = begun(None)
    script.select("PPBC")
    return script


def of_rules(script: Script) -> list[Finding]:
    """What the rules of this family say."""
    return [finding for finding in script.findings if finding.code.startswith("ppbc.")]


def one(script: Script, code: str, severity: Severity, path: str) -> str:
    """The text of the only finding of this family."""
    (finding,) = of_rules(script)
    assert (finding.code, finding.severity, finding.path) == (code, severity, path)
    return finding.text


def ready(script: Script, message_type: str) -> None:
    """What comes before an instruction of this type."""
    if message_type != SCHEDULE:
        script.cem(SCHEDULE)
    if message_type == END:
        script.cem(START)


def status(status: str, **fields: Any) -> dict[str, Any]:
    """The status of a container."""
    return {
        "power_profile_id": "#profile",
        "sequence_container_id": "#wash",
        "status": status,
        **fields,
    }


def report(script: Script, *containers: dict[str, Any], answer: str | None = "OK") -> None:
    """The RM reports these containers, and that nothing is scheduled for the others of #profile."""
    told = {container.get("sequence_container_id") for container in containers}
    others = [waiting(name) for name in CONTAINERS if f"#{name}" not in told]
    whole = [*containers, *others]
    script.rm("PPBC.PowerProfileStatus", answer, sequence_container_status=whole)


def run(script: Script, name: str, seconds: float) -> None:
    """The RM reports a status of the first container."""
    report(script, status(name, selected_sequence_id="#eco", progress=int(seconds * 1000)))


def profile(script: Script, name: str, *containers: dict[str, Any], **fields: Any) -> str:
    """The RM gives a profile with the id ``#name``."""
    if containers:
        fields["power_sequences_containers"] = list(containers)
    return script.rm(PROFILE, id=f"#{name}", **fields)


def spin(script: Script, start: float, **fields: Any) -> None:
    """The CEM schedules the second container."""
    fields = {"id": "#then", "sequence_container_id": "#spin", **fields}
    script.cem(SCHEDULE, power_sequence_id="#slow", execution_time=at(start), **fields)


def element(*quantities: str) -> dict[str, Any]:
    values = [{"commodity_quantity": name, "value_expected": 1} for name in quantities]
    return {"duration": 60_000, "power_values": values}
