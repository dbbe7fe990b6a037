"""Conversations under a control type with operation modes, for the tests of their rules."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import (
    START,
    actuator,
    at,
    ddbc_actuator,
    ddbc_mode,
    frbc_mode,
    ombc_mode,
    transition,
)
from s2_mitm.s2.verdict import Finding, Severity, Source
from s2_mitm.s2.wording import short_id

TARGET = {"FRBC": "operation_mode", "OMBC": "operation_mode_id", "DDBC": "operation_mode_id"}
STATUS = {"FRBC": "FRBC.ActuatorStatus", "OMBC": "OMBC.Status", "DDBC": "DDBC.ActuatorStatus"}
REST, WORK, ABNORMAL = 0, 1, 2
MODES = {
    "FRBC": ("#idle", "#charge", "#emergency"),
    "OMBC": ("#off", "#on", "#boost"),
    "DDBC": ("#off", "#heat", "#boost"),
}
FAMILIES = pytest.mark.parametrize("family", MODES)
WITH_ACTUATORS = pytest.mark.parametrize("family", ["FRBC", "DDBC"])


class ModeScript(Script):
    """A conversation under a control type, in whose terms the lines are put."""

    def __init__(self, family: str, *, described: bool = True) -> None:
        super().__init__()
        self.family = family
        self.begin(family if described else None)
        if not described:
            self.select(family)

    def describe(self, answer: str | None = "OK", **fields: Any) -> str:
        return self.rm(f"{self.family}.SystemDescription", answer, **fields)

    def instruct(self, mode: int | str, answer: str | None = "OK", **fields: Any) -> str:
        """The CEM instructs a mode, each time with another id."""
        name = MODES[self.family][mode] if isinstance(mode, int) else mode
        fields.setdefault("id", f"#instruction-{len(self.conversation.instructions)}")
        fields.setdefault("execution_time", at(self.now - START))
        return self.cem(
            f"{self.family}.Instruction", answer, **{TARGET[self.family]: name}, **fields
        )

    def switched(self, mode: int | str, since: int | str = REST, **fields: Any) -> None:
        """The RM tells that it has switched."""
        named = [MODES[self.family][x] if isinstance(x, int) else x for x in (mode, since)]
        status = {
            "active_operation_mode_id": named[0],
            "previous_operation_mode_id": named[1],
            "transition_timestamp": at(self.now - START),
        }
        self.rm(STATUS[self.family], **(status | fields))

    def update(self, status: str, number: int = 0) -> None:
        self.rm(
            "InstructionStatusUpdate",
            instruction_id=f"#instruction-{number}",
            status_type=status,
            timestamp=at(self.now - START),
        )

    @property
    def found(self) -> list[Finding]:
        """What the rules of operation modes and of the two control types have found."""
        families = ("modes", "frbc", "ddbc")
        return [each for each in self.findings if each.code.partition(".")[0] in families]

    @property
    def only(self) -> Finding:
        (finding,) = self.found
        return finding


def check(finding: Finding, code: str, severity: Severity, path: str, *words: str) -> None:
    assert (finding.code, finding.severity, finding.path) == (code, severity, path)
    assert finding.source is Source.RULE
    for word in words:
        assert word in finding.text


def in_words(name: str) -> str:
    """A thing whose label is its name, as texts name it: the label, and the id shortened."""
    name = name.lstrip("#")
    return f'"{name}" ({short_id(identifier(name))})'


def with_modes(family: str, *modes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The fields of a description with these modes, from each of which one gets to the next."""
    names = [each.get("id", each.get("Id")) for each in modes]
    ring = [
        transition(str(start)[1:], str(end)[1:])
        for start, end in pairwise([*names, names[0]])
        if start != end
    ]
    fields = {"operation_modes": list(modes), "transitions": ring, **fields}
    if family == "OMBC":
        return fields
    return {"actuators": [(actuator if family == "FRBC" else ddbc_actuator)(**fields)]}


def mode(family: str, name: str, **fields: Any) -> dict[str, Any]:
    make = {"FRBC": frbc_mode, "OMBC": ombc_mode, "DDBC": ddbc_mode}[family]
    return make(name.lstrip("#"), **fields)


def inside(family: str, *place: str | int) -> str:
    """The JSON Pointer of a place in the only actuator."""
    start = () if family == "OMBC" else ("actuators", 0)
    return "".join(f"/{part}" for part in (*start, *place))
