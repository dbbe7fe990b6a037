"""What instructions, statuses and descriptions say of actuators, modes, transitions and timers."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from script import (
    START,
    TEMPLATES,
    Script,
    actuator,
    at,
    between,
    ddbc_actuator,
    ddbc_mode,
    frbc_mode,
    identifier,
    ombc_mode,
    power,
    timer,
    transition,
)

from s2_mitm.s2.conversation.validity import MAX_HELD
from s2_mitm.s2.verdict import Finding, Role, Severity, Source

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


class Talk(Script):
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


# What is referred to


@FAMILIES
def test_what_was_described_is_known(family: str) -> None:
    script = Talk(family)
    script.rm(f"{family}.TimerStatus", finished_at=at(-60))
    script.instruct(WORK)
    script.switched(WORK)
    script.instruct(REST)
    assert script.found == []


@WITH_ACTUATORS
def test_an_unknown_actuator(family: str) -> None:
    script = Talk(family)
    script.instruct(WORK, actuator_id="#other")
    check(
        script.only,
        "modes.unknown-actuator",
        Severity.ERROR,
        "/actuator_id",
        f'actuator "{identifier("other")}" is not in the {family}.SystemDescription',
        "from the RM (0.",
        f'which has "{identifier("actuator")}"',
    )


@WITH_ACTUATORS
@pytest.mark.parametrize("kind", ["ActuatorStatus", "TimerStatus"])
def test_an_unknown_actuator_is_not_an_unknown_mode_or_timer_too(family: str, kind: str) -> None:
    script = Talk(family)
    script.rm(f"{family}.{kind}", actuator_id="#other")
    assert [each.code for each in script.found] == ["modes.unknown-actuator"]


@FAMILIES
def test_an_unknown_mode_of_an_instruction(family: str) -> None:
    script = Talk(family)
    script.instruct("#no-such")
    check(
        script.only,
        "modes.unknown-mode",
        Severity.ERROR,
        f"/{TARGET[family]}",
        f'operation mode "{identifier("no-such")}" is not in',
        f"the {family}.SystemDescription",
        f'"{identifier(MODES[family][WORK][1:])}" ("{MODES[family][WORK][1:]}")',
    )


@FAMILIES
@pytest.mark.parametrize("field", ["active_operation_mode_id", "previous_operation_mode_id"])
def test_an_unknown_mode_of_a_status(family: str, field: str) -> None:
    script = Talk(family)
    script.wait(5)
    script.switched(WORK, **{field: "#no-such"})
    check(script.only, "modes.unknown-mode", Severity.ERROR, f"/{field}", identifier("no-such"))


@FAMILIES
def test_a_mode_from_before_the_first_description_may_be_named_as_previous(family: str) -> None:
    script = Talk(family)
    script.switched(WORK, "#before-all-this", transition_timestamp=at(-3600))
    assert script.found == []


@FAMILIES
def test_a_previous_mode_may_be_of_a_description_that_was_replaced(family: str) -> None:
    script = Talk(family)
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.wait(10)
    script.switched("#renamed", REST)
    assert script.found == []


@WITH_ACTUATORS
def test_a_mode_of_another_actuator(family: str) -> None:
    script = Talk(family, described=False)
    make = actuator if family == "FRBC" else ddbc_actuator
    other = make(
        id="#other", operation_modes=[mode(family, "elsewhere")], transitions=[], timers=[]
    )
    script.describe(actuators=[make(), other])
    script.instruct("#elsewhere")
    assert script.only.code == "modes.unknown-mode"
    assert script.only.text.endswith(f'; it belongs to actuator "{identifier("other")}"')


@FAMILIES
def test_a_mode_of_a_description_that_was_replaced(family: str) -> None:
    script = Talk(family)
    replaced = script.conversation.holds(f"{family}.SystemDescription").given[0].message.message_id
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.wait(10)
    script.instruct(WORK)
    assert script.only.code == "modes.unknown-mode"
    assert f'; it was in the {family}.SystemDescription "{replaced}"' in script.only.text
    assert script.only.text.endswith("before), replaced since")


@FAMILIES
def test_a_mode_of_the_description_before_while_the_new_one_is_not_answered(family: str) -> None:
    script = Talk(family)
    script.describe(answer=None, **with_modes(family, mode(family, "renamed")))
    script.wait(5)
    script.instruct(WORK)
    script.instruct("#renamed")
    assert script.found == []


@FAMILIES
def test_a_mode_of_a_description_that_is_to_come(family: str) -> None:
    script = Talk(family)
    script.describe(valid_from=at(3600), **with_modes(family, mode(family, "renamed")))
    script.wait(10)
    script.instruct("#renamed", execution_time=at(3600))
    script.instruct(WORK, execution_time=at(1800))
    assert script.found == []


@FAMILIES
def test_a_mode_of_a_description_that_is_to_come_too_early(family: str) -> None:
    script = Talk(family)
    script.describe(valid_from=at(3600), **with_modes(family, mode(family, "renamed")))
    script.instruct("#renamed", execution_time=at(1800))
    check(
        script.only,
        "modes.not-yet-valid",
        Severity.WARNING,
        "/execution_time",
        "2026-03-01T12:30:00Z is before",
        f"the {family}.SystemDescription",
        "from 2026-03-01T13:00:00Z on",
    )


@FAMILIES
def test_a_mode_of_a_description_that_came_into_force_this_second(family: str) -> None:
    script = Talk(family)
    script.describe(valid_from=at(60), **with_modes(family, mode(family, "renamed")))
    script.wait(61)
    script.rm(STATUS[family])
    assert script.found == []
    script.wait(5)
    script.rm(STATUS[family])
    assert script.only.code == "modes.unknown-mode"


@FAMILIES
def test_a_mode_of_a_description_that_was_refused_later(family: str) -> None:
    script = Talk(family)
    script.describe("INVALID_CONTENT", **with_modes(family, mode(family, "renamed")))
    script.describe(**with_modes(family, mode(family, "better")))
    script.instruct("#renamed")
    assert script.only.code == "modes.unknown-mode"
    assert script.only.text.endswith("before), answered with INVALID_CONTENT")


@FAMILIES
def test_an_unknown_timer(family: str) -> None:
    script = Talk(family)
    script.rm(f"{family}.TimerStatus", timer_id="#no-such")
    check(
        script.only,
        "modes.unknown-timer",
        Severity.ERROR,
        "/timer_id",
        f'timer "{identifier("no-such")}" is not in',
        f'which has "{identifier("rest")}"',
    )


@FAMILIES
def test_only_a_few_of_many_modes_are_listed(family: str) -> None:
    script = Talk(family, described=False)
    script.describe(**with_modes(family, *(mode(family, f"m{i}") for i in range(9))))
    script.instruct("#no-such")
    assert script.only.text.endswith(" and 4 more")


# Descriptions that are not there


@FAMILIES
def test_nothing_was_described(family: str) -> None:
    script = Talk(family, described=False)
    script.rm(STATUS[family])
    script.rm(f"{family}.TimerStatus")
    script.instruct(WORK)
    check(
        script.only,
        "modes.no-description",
        Severity.ERROR,
        "",
        f"{STATUS[family]} refers to a",
        f"{family}.SystemDescription, and none was given since the SelectControlType",
    )


@FAMILIES
def test_nothing_was_described_under_another_control_type(family: str) -> None:
    script = Talk(family)
    script.select("PEBC")
    script.select(family)
    script.instruct(WORK)
    assert script.only.code == "modes.no-description"


@FAMILIES
def test_the_description_was_revoked(family: str) -> None:
    script = Talk(family, described=False)
    description = script.describe()
    script.rm("RevokeObject", object_type=f"{family}.SystemDescription", object_id=description)
    script.instruct(WORK)
    script.instruct(WORK)
    check(
        script.only, "modes.no-description", Severity.ERROR, "", "was revoked by the RevokeObject"
    )


@FAMILIES
def test_the_cem_may_not_know_yet_that_the_description_was_revoked(family: str) -> None:
    script = Talk(family, described=False)
    description = script.describe()
    revoke = {"object_type": f"{family}.SystemDescription", "object_id": description}
    script.rm("RevokeObject", answer=None, **revoke)
    script.instruct(WORK)
    assert script.found == []
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.instruct(WORK)
    assert script.found == []


@FAMILIES
def test_a_mode_of_a_description_that_was_revoked(family: str) -> None:
    script = Talk(family, described=False)
    description = script.describe()
    script.rm("RevokeObject", object_type=f"{family}.SystemDescription", object_id=description)
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.instruct(WORK)
    assert script.only.code == "modes.unknown-mode"
    assert ", revoked by the RevokeObject" in script.only.text


@FAMILIES
def test_the_description_was_refused(family: str) -> None:
    script = Talk(family, described=False)
    script.describe("TEMPORARY_ERROR")
    script.rm(STATUS[family])
    script.instruct(WORK)
    script.instruct("#no-such", actuator_id=None if family == "OMBC" else "#other")
    check(
        script.only,
        "modes.cannot-check",
        Severity.INFO,
        "",
        f"cannot be checked: the last {family}.SystemDescription was answered with TEMPORARY_ERROR",
    )


@FAMILIES
def test_after_a_refused_description_the_one_before_still_counts(family: str) -> None:
    script = Talk(family)
    script.describe("INVALID_CONTENT", **with_modes(family, mode(family, "renamed")))
    script.wait(5)
    script.instruct(WORK)
    assert script.found == []
    script.instruct("#renamed")
    assert script.only.code == "modes.cannot-check"


@FAMILIES
def test_each_refused_description_is_told_once(family: str) -> None:
    script = Talk(family, described=False)
    for _ in range(2):
        script.describe("INVALID_CONTENT")
        script.instruct(WORK)
        script.instruct(WORK)
    assert [each.code for each in script.found] == ["modes.cannot-check"] * 2


@FAMILIES
def test_what_an_invalid_description_says_readably_is_gone_by(family: str) -> None:
    script = Talk(family, described=False)
    script.describe(valid_from="soon")
    script.rm(STATUS[family])
    script.instruct(WORK)
    assert script.found == []
    script.instruct("#no-such")
    check(script.only, "modes.cannot-check", Severity.INFO, "", "is not valid")


@FAMILIES
def test_the_answer_to_an_older_description_does_not_put_the_newer_in_doubt(family: str) -> None:
    script = Talk(family, described=False)
    first = script.describe(None)
    script.describe()
    script.cem("ReceptionStatus", subject_message_id=first, status="TEMPORARY_ERROR")
    script.instruct("#no-such")
    assert script.only.code == "modes.unknown-mode"


@FAMILIES
def test_what_was_said_before_the_proxy_joined_is_unknown(family: str) -> None:
    script = Script()
    script.joined_late()
    script.rm(STATUS[family])
    script.cem(f"{family}.Instruction")
    assert sorted(script.codes) == ["handshake.not-seen", "modes.cannot-check"]
    (finding,) = (each for each in script.findings if each.code == "modes.cannot-check")
    check(finding, "modes.cannot-check", Severity.INFO, "", "before the first message")


@FAMILIES
def test_a_description_that_was_seen_after_joining_late(family: str) -> None:
    script = Script()
    script.joined_late()
    script.rm(f"{family}.SystemDescription")
    script.rm(STATUS[family])
    assert script.codes == ["handshake.not-seen"]
    script.cem(f"{family}.Instruction", **{TARGET[family]: "#no-such"})
    assert script.codes[1:] == ["modes.unknown-mode"]


@FAMILIES
def test_the_control_type_is_selected_again(family: str) -> None:
    script = Talk(family)
    script.select(family)
    script.rm(STATUS[family])
    script.instruct(WORK)
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.rm(STATUS[family], active_operation_mode_id="#renamed")
    assert script.found == []


@FAMILIES
def test_a_status_on_its_way_when_the_control_type_is_ended_and_selected_again(family: str) -> None:
    script = Talk(family)
    script.select("NO_SELECTION")
    script.select(family, answer=None)
    script.wait(1)
    script.describe()
    script.rm(STATUS[family])
    assert script.found == []


@FAMILIES
def test_an_unreadable_description_may_have_had_it_all(family: str) -> None:
    script = Talk(family, described=False)
    script.raw(Role.RM, b'{"message_type": "FRBC.SystemDescription", ')
    script.rm(STATUS[family])
    script.instruct(WORK)
    check(script.only, "modes.cannot-check", Severity.INFO, "", "what the RM sent", "not be read")
    script.wait(1)
    script.describe()
    script.instruct("#no-such")
    assert script.found[1].code == "modes.unknown-mode"


@FAMILIES
def test_what_the_wrong_side_says_is_neither_judged_nor_believed(family: str) -> None:
    script = Talk(family)
    script.cem(f"{family}.SystemDescription", **with_modes(family, mode(family, "no-such")))
    script.cem(STATUS[family], active_operation_mode_id="#no-such")
    script.wait(5)
    script.rm(STATUS[family])
    script.instruct(WORK)
    assert script.found == []
    assert script.codes == ["direction.wrong-sender"] * 2


@FAMILIES
def test_under_no_control_type_nothing_is_said_of_references(family: str) -> None:
    script = Talk(family)
    script.select("NO_SELECTION")
    script.instruct("#no-such")
    assert script.found == []
    assert script.codes == ["state.no-control-type"]


def test_many_descriptions_are_not_remembered_forever() -> None:
    script = Talk("FRBC")
    for number in range(2 * MAX_HELD):
        script.wait(60)
        modes = [frbc_mode(f"idle-{number}"), frbc_mode(f"charge-{number}")]
        script.describe(**with_modes("FRBC", *modes))
        script.switched(
            f"#charge-{number}", "#idle-0" if number else REST, transition_timestamp=at(0)
        )
    assert script.found == []


# What an instruction asks for


@FAMILIES
@pytest.mark.parametrize("factor", [-0.01, 1.01, 50, 10**400, -1e300])
def test_a_factor_beyond_its_range(family: str, factor: float) -> None:
    script = Talk(family)
    script.instruct(WORK, operation_mode_factor=factor)
    if abs(factor) > 1e308:  # said of the number itself already
        assert script.found == []
        return
    path = "/operation_mode_factor"
    check(script.only, "modes.factor", Severity.WARNING, path, "is not between 0 and 1")


@FAMILIES
@pytest.mark.parametrize("factor", [0, 1, 0.1 + 0.2, 1.0000000000000002])
def test_a_factor_just_within_its_range(family: str, factor: float) -> None:
    script = Talk(family)
    script.rm(STATUS[family], operation_mode_factor=factor)
    assert script.found == []


@FAMILIES
def test_the_factor_of_a_status(family: str) -> None:
    script = Talk(family)
    script.rm(STATUS[family], operation_mode_factor=70)
    assert script.only.code == "modes.factor"
    assert script.only.text == "number 70 is not between 0 and 1"


@FAMILIES
def test_a_mode_for_abnormal_conditions(family: str) -> None:
    script = Talk(family)
    script.instruct(ABNORMAL)
    label = MODES[family][ABNORMAL][1:]
    check(
        script.only,
        "modes.abnormal-mode",
        Severity.ERROR,
        f"/{TARGET[family]}",
        f'("{label}") is for abnormal conditions only',
        f"the {family}.SystemDescription",
    )


@FAMILIES
def test_a_mode_for_abnormal_conditions_in_one(family: str) -> None:
    script = Talk(family)
    script.instruct(ABNORMAL, abnormal_condition=True)
    script.switched(ABNORMAL)
    assert script.found == []


@FAMILIES
def test_a_mode_that_is_no_longer_for_abnormal_conditions_only(family: str) -> None:
    script = Talk(family)
    rest, abnormal = MODES[family][REST], MODES[family][ABNORMAL]
    move = transition(rest[1:], abnormal[1:])
    modes = [mode(family, rest), mode(family, abnormal)]
    script.describe(None, **with_modes(family, *modes, transitions=[move]))
    script.instruct(ABNORMAL)
    assert script.found == []


@FAMILIES
def test_a_mode_that_cannot_be_reached(family: str) -> None:
    script = Talk(family)
    script.switched(ABNORMAL)
    script.wait(1)
    script.instruct(WORK)
    check(
        script.only,
        "modes.unreachable",
        Severity.WARNING,
        f"/{TARGET[family]}",
        "no transition from",
        f'("{MODES[family][ABNORMAL][1:]}"), active by the {STATUS[family]}',
        f'("{MODES[family][WORK][1:]}") in the {family}.SystemDescription',
    )


@FAMILIES
def test_the_mode_that_is_active_needs_no_transition(family: str) -> None:
    script = Talk(family)
    script.switched(ABNORMAL)
    script.instruct(ABNORMAL, abnormal_condition=True, operation_mode_factor=0.3)
    assert script.found == []


@FAMILIES
def test_from_an_unknown_mode_everything_may_be_reached(family: str) -> None:
    script = Talk(family, described=False)
    modes = [mode(family, name) for name in MODES[family]]
    move = transition(MODES[family][REST][1:], MODES[family][ABNORMAL][1:])
    script.describe(**with_modes(family, *modes, transitions=[move]))
    script.instruct(WORK)
    assert script.found == []


@FAMILIES
def test_what_is_to_happen_later_may_start_from_another_mode(family: str) -> None:
    script = Talk(family)
    script.switched(ABNORMAL)
    script.instruct(WORK, execution_time=at(300))
    assert script.found == []


@FAMILIES
@pytest.mark.parametrize("status", [None, "NEW", "ACCEPTED", "STARTED", "SUCCEEDED", "ABORTED"])
def test_an_earlier_instruction_may_have_changed_the_mode(family: str, status: str | None) -> None:
    script = Talk(family)
    script.switched(ABNORMAL)
    script.instruct(REST)
    if status:
        script.update(status)
    script.instruct(WORK)
    assert script.found == []


@FAMILIES
@pytest.mark.parametrize("end", ["SUCCEEDED", "ABORTED"])
def test_an_earlier_instruction_is_done_with(family: str, end: str) -> None:
    script = Talk(family)
    script.switched(ABNORMAL)
    script.instruct(REST)
    script.update("ACCEPTED")
    script.update(end)
    script.switched(ABNORMAL)  # not where it was to go
    script.instruct(WORK)
    assert script.only.code == "modes.unreachable"


@FAMILIES
@pytest.mark.parametrize("by", ["status", "answer"])
def test_an_earlier_instruction_was_turned_down(family: str, by: str) -> None:
    script = Talk(family)
    script.switched(ABNORMAL)
    script.instruct(REST, answer="INVALID_CONTENT" if by == "answer" else "OK")
    if by == "status":
        script.update("REJECTED")
    script.instruct(WORK)
    assert script.only.code == "modes.unreachable"


@FAMILIES
def test_an_earlier_instruction_has_led_to_the_active_mode(family: str) -> None:
    script = Talk(family)
    script.instruct(ABNORMAL, abnormal_condition=True)
    script.switched(ABNORMAL)  # and no word of the instruction
    script.instruct(WORK)
    assert script.only.code == "modes.unreachable"


@WITH_ACTUATORS
def test_an_instruction_for_another_actuator_changes_nothing_here(family: str) -> None:
    script = Talk(family, described=False)
    make = actuator if family == "FRBC" else ddbc_actuator
    script.describe(actuators=[make(), make(id="#other")])
    script.switched(ABNORMAL)
    script.instruct(REST, actuator_id="#other")
    script.instruct(WORK)
    assert script.only.code == "modes.unreachable"


@FAMILIES
def test_a_new_description_may_have_the_transition(family: str) -> None:
    script = Talk(family)
    script.switched(ABNORMAL)
    modes = [mode(family, name) for name in MODES[family]]
    moves = [transition(MODES[family][ABNORMAL][1:], MODES[family][WORK][1:])]
    script.describe(None, **with_modes(family, *modes, transitions=moves))
    script.instruct(WORK)
    assert script.found == []


@FAMILIES
def test_the_active_mode_may_be_of_a_description_that_was_replaced(family: str) -> None:
    script = Talk(family)
    script.describe(**with_modes(family, mode(family, "renamed"), mode(family, "another")))
    script.wait(10)
    script.instruct("#another")
    assert script.found == []


@FAMILIES
def test_that_there_are_no_transitions_at_all_is_told_once(family: str) -> None:
    script = Talk(family, described=False)
    modes = [mode(family, "a"), mode(family, "b")]
    for transitions in ([], [], [transition("b", "a")]):
        script.wait(5)
        script.describe(**with_modes(family, *modes, transitions=transitions))
        script.rm(STATUS[family], active_operation_mode_id="#a")
        script.instruct("#b", answer="INVALID_CONTENT")
        script.instruct("#b", answer="INVALID_CONTENT")
    found = [each.text for each in script.found if each.code == "modes.unreachable"]
    told = [] if family == "DDBC" else [True, True]  # which has a rule of its own for that
    assert [text.endswith("no transitions at all") for text in found] == [*told, False, False]


def abnormal_way(family: str, *more: dict[str, Any]) -> dict[str, Any]:
    """A description whose transition from rest to work is for abnormal conditions."""
    rest, work = MODES[family][REST], MODES[family][WORK]
    moves = [transition(rest[1:], work[1:], abnormal_condition_only=True), *more]
    return with_modes(family, mode(family, rest), mode(family, work), transitions=moves)


@FAMILIES
def test_a_transition_for_abnormal_conditions(family: str) -> None:
    script = Talk(family, described=False)
    script.describe(**abnormal_way(family))
    script.rm(STATUS[family])
    script.instruct(WORK)
    check(
        script.only,
        "modes.abnormal-transition",
        Severity.ERROR,
        f"/{TARGET[family]}",
        "the transition from",
        f'("{MODES[family][WORK][1:]}") is for abnormal conditions only',
    )


@FAMILIES
def test_a_mode_for_abnormal_conditions_is_not_a_transition_for_them_too(family: str) -> None:
    script = Talk(family, described=False)
    rest, abnormal = MODES[family][REST], MODES[family][ABNORMAL]
    modes = [mode(family, rest), mode(family, abnormal, abnormal_condition_only=True)]
    move = transition(rest[1:], abnormal[1:], abnormal_condition_only=True)
    script.describe(**with_modes(family, *modes, transitions=[move]))
    script.rm(STATUS[family])
    script.instruct(ABNORMAL)
    assert script.only.code == "modes.abnormal-mode"


@FAMILIES
@pytest.mark.parametrize("way", ["abnormal", "other", "status"])
def test_no_transition_for_abnormal_conditions_is_needed(family: str, way: str) -> None:
    script = Talk(family, described=False)
    other = transition(MODES[family][REST][1:], MODES[family][WORK][1:], id="#another-way")
    script.describe(**abnormal_way(family, *([other] if way == "other" else [])))
    if way != "status":
        script.rm(STATUS[family])
    script.instruct(WORK, abnormal_condition=way == "abnormal")
    assert script.found == []


def resting(family: str, finished: float) -> Talk:
    """The device works, and a timer blocks its way back until then."""
    script = Talk(family)
    script.switched(WORK)
    script.rm(f"{family}.TimerStatus", finished_at=at(finished))
    return script


@FAMILIES
def test_a_timer_blocks_the_way(family: str) -> None:
    script = resting(family, 60)
    script.instruct(REST, execution_time=at(30))
    check(
        script.only,
        "modes.blocked",
        Severity.WARNING,
        "/execution_time",
        "at 2026-03-01T12:00:30Z the transition from",
        f'is blocked by timer "{identifier("rest")}"',
        "finished at 2026-03-01T12:01:00Z",
    )


@FAMILIES
def test_a_timer_blocks_what_is_to_happen_at_once(family: str) -> None:
    script = resting(family, 60)
    script.instruct(REST, execution_time=at(-3600))
    assert script.only.code == "modes.blocked"


@FAMILIES
@pytest.mark.parametrize(("finished", "execution"), [(60, 60), (60, 59), (31, 30), (-1, 0)])
def test_a_timer_is_finished_in_time(family: str, finished: float, execution: float) -> None:
    script = resting(family, finished)
    script.instruct(REST, execution_time=at(execution))
    assert script.found == []


@FAMILIES
def test_a_timer_is_finished_early(family: str) -> None:
    script = resting(family, 60)
    script.rm(f"{family}.TimerStatus", finished_at=at(0))
    script.instruct(REST)
    assert script.found == []


@FAMILIES
def test_a_timer_that_runs_longer_than_it_can_is_not_believed(family: str) -> None:
    script = resting(family, 3600)
    script.instruct(REST)
    assert script.found == []


@FAMILIES
def test_a_timer_of_another_transition_blocks_nothing(family: str) -> None:
    script = Talk(family)
    script.rm(f"{family}.TimerStatus", finished_at=at(60))
    script.instruct(WORK)
    assert script.found == []


@FAMILIES
def test_another_transition_is_not_blocked(family: str) -> None:
    script = Talk(family, described=False)
    way = (MODES[family][WORK][1:], MODES[family][REST][1:])
    moves = [
        transition(*way, blocking_timers=["#rest", "#never-started"]),
        transition(*way, id="#another-way", blocking_timers=["#never-started"]),
    ]
    modes = [mode(family, name) for name in MODES[family]]
    timers = [timer("rest"), timer("never-started")]
    script.describe(**with_modes(family, *modes, transitions=moves, timers=timers))
    script.switched(WORK)
    script.rm(f"{family}.TimerStatus", finished_at=at(60))
    script.instruct(REST)
    assert script.found == []


@FAMILIES
def test_an_unknown_mode_is_nothing_else_besides(family: str) -> None:
    script = resting(family, 60)
    script.instruct("#no-such")
    script.switched("#no-such", previous_operation_mode_id=None, transition_timestamp=None)
    assert [each.code for each in script.found] == ["modes.unknown-mode"] * 2


# What a status tells


@FAMILIES
def test_a_switch_that_is_not_explained(family: str) -> None:
    script = Talk(family)
    script.rm(STATUS[family], active_operation_mode_id=MODES[family][WORK])
    check(
        script.only,
        "modes.no-previous",
        Severity.ERROR,
        "",
        f'is "{identifier(MODES[family][WORK][1:])}"',
        f'("{MODES[family][REST][1:]}") by the {STATUS[family]}',
        "previous_operation_mode_id and transition_timestamp are missing",
    )


@FAMILIES
@pytest.mark.parametrize("field", ["previous_operation_mode_id", "transition_timestamp"])
def test_a_switch_that_is_half_explained(family: str, field: str) -> None:
    script = Talk(family)
    absent: dict[str, Any] = {field: None}
    script.switched(WORK, **absent)
    assert script.only.text.endswith(f"; {field} is missing")


@FAMILIES
def test_the_first_mode_needs_no_previous_one_and_the_same_one_neither(family: str) -> None:
    script = Talk(family)
    script.rm(STATUS[family], operation_mode_factor=0.5)
    assert script.found == []


@FAMILIES
def test_new_names_of_modes_are_no_switch(family: str) -> None:
    script = Talk(family)
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.rm(STATUS[family], active_operation_mode_id="#renamed")
    assert script.found == []


@WITH_ACTUATORS
def test_each_actuator_has_a_mode_of_its_own(family: str) -> None:
    script = Talk(family, described=False)
    make = actuator if family == "FRBC" else ddbc_actuator
    script.describe(actuators=[make(), make(id="#other")])
    script.rm(STATUS[family])
    script.rm(STATUS[family], actuator_id="#other", active_operation_mode_id=MODES[family][WORK])
    assert script.found == []


# What a description says


@FAMILIES
@pytest.mark.parametrize("field", ["from", "to"])
def test_a_transition_of_a_mode_that_is_not_there(family: str, field: str) -> None:
    script = Talk(family, described=False)
    fields = with_modes(
        family,
        mode(family, "a"),
        mode(family, "b"),
        transitions=[transition("a", "b"), transition("a", "b", **{"id": "#x", field: "#c"})],
    )
    script.describe("INVALID_CONTENT", **fields)
    check(
        script.only,
        "modes.transition-mode",
        Severity.ERROR,
        inside(family, "transitions", 1, field),
        f'"{identifier("c")}" is no operation mode beside this transition',
        f'"{identifier("a")}" ("a")',
    )
    assert "s2-python.refused" not in script.codes


@FAMILIES
@pytest.mark.parametrize("field", ["start_timers", "blocking_timers"])
def test_a_transition_with_a_timer_that_is_not_there(family: str, field: str) -> None:
    script = Talk(family, described=False)
    moves = [transition("a", "b", **{field: ["#rest", "#no-such"]})]
    fields = with_modes(family, mode(family, "a"), mode(family, "b"), transitions=moves)
    script.describe("INVALID_CONTENT", **fields)
    check(
        script.only,
        "modes.transition-timer",
        Severity.ERROR,
        inside(family, "transitions", 0, field, 1),
        f'"{identifier("no-such")}" is no timer beside this transition',
        identifier("rest"),
    )
    assert "s2-python.refused" not in script.codes


@FAMILIES
@pytest.mark.parametrize("name", ["operation_modes", "timers"])
def test_lists_that_cannot_be_read_are_not_searched(family: str, name: str) -> None:
    script = Talk(family, described=False)
    description = json.loads(json.dumps(TEMPLATES[f"{family}.SystemDescription"]))
    part = description if family == "OMBC" else description["actuators"][0]
    part[name] = [*part[name][1:], {"no": "id"}]
    script.describe("INVALID_MESSAGE", **description)
    part[name] = None
    script.describe("INVALID_MESSAGE", **description)
    assert script.found == []


def with_power(family: str, *ranges: dict[str, Any]) -> dict[str, Any]:
    """The fields of a description with one mode that has these power ranges."""
    if family != "FRBC":
        return with_modes(family, mode(family, "a", power_ranges=list(ranges)))
    element = frbc_mode("a")["elements"][0] | {"power_ranges": list(ranges)}
    return with_modes(family, mode(family, "a", elements=[element]))


def power_place(family: str, *rest: str | int) -> str:
    element = ("elements", 0) if family == "FRBC" else ()
    return inside(family, "operation_modes", 0, *element, "power_ranges", *rest)


@FAMILIES
def test_two_power_ranges_for_a_quantity(family: str) -> None:
    script = Talk(family, described=False)
    script.describe(**with_power(family, power(0, 1), power(1, 2)))
    check(
        script.only,
        "modes.power-range-twice",
        Severity.ERROR,
        power_place(family, 1, "commodity_quantity"),
        '"ELECTRIC.POWER.L1" has its power range in',
        power_place(family, 0),
    )


@FAMILIES
def test_a_power_range_for_each_phase(family: str) -> None:
    script = Talk(family, described=False)
    phases = [power(0, 1, f"ELECTRIC.POWER.L{phase}") for phase in (1, 2, 3)]
    script.describe(**with_power(family, *phases))
    assert script.found == []


@FAMILIES
def test_a_power_range_that_runs_downwards(family: str) -> None:
    script = Talk(family, described=False)
    script.describe("INVALID_CONTENT", **with_power(family, power(0, -2000)))
    check(
        script.only,
        "modes.power-range-order",
        Severity.ERROR,
        power_place(family, 0),
        "it ends at -2000, below its start 0",
    )
    assert "s2-python.refused" not in script.codes


@FAMILIES
def test_a_power_range_of_one_power(family: str) -> None:
    script = Talk(family, described=False)
    script.describe(**with_power(family, power(-2000, -2000)))
    assert script.found == []


@FAMILIES
def test_running_costs_that_run_downwards(family: str) -> None:
    script = Talk(family, described=False)
    fields = with_power(family, power(0, 1))
    owner = fields if family == "OMBC" else fields["actuators"][0]
    part = owner["operation_modes"][0]
    part = part["elements"][0] if family == "FRBC" else part
    part["running_costs"] = between(0.2, 0.1)
    script.describe(**fields)
    path = power_place(family).replace("power_ranges", "running_costs")
    check(script.only, "modes.range-order", Severity.WARNING, path, "ends at 0.1, below its start")
    part["running_costs"] = between(0.1, 0.1)
    script.describe(**fields)
    assert len(script.found) == 1


# Whatever comes


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([identifier("idle"), identifier("actuator"), at(0), "Id", "\ud800"]),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "Id", "from", "to", "start_of_range", "end_of_range", "x"]),
            children,
            max_size=4,
        )
    ),
    max_leaves=8,
)
OURS = [name for name in TEMPLATES if name[:4] in MODES]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A message of ours, some fields of which hold something else, at any depth."""
    message_type = draw(st.sampled_from(OURS))
    message = json.loads(json.dumps(TEMPLATES[message_type]))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = message
        while True:
            if not place:
                break
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(JSON)
            break
    return message_type, message


@settings(max_examples=150, deadline=None)
@given(family=st.sampled_from(list(MODES)), messages=st.lists(mutated(), min_size=1, max_size=6))
def test_no_message_breaks_a_rule(family: str, messages: list[tuple[str, dict[str, Any]]]) -> None:
    script = Talk(family)
    for message_type, fields in messages:
        sender = Role.CEM if message_type.endswith("Instruction") else Role.RM
        whole = {"message_type": message_type, "message_id": identifier("any"), **fields}
        text = json.dumps(whole)
        for name in ("idle", "charge", "actuator", "rest", "off", "on", "heat"):
            text = text.replace(f'"#{name}"', f'"{identifier(name)}"')
        script.raw(sender, text.encode(errors="surrogatepass"))
    script.instruct(WORK)
    script.close()
    for finding in script.findings:
        finding.text.encode()
        finding.path.encode()


def test_an_injected_instruction_takes_part_as_what_it_claims_to_be() -> None:
    script = Talk("FRBC")
    script.inject(Role.CEM, "FRBC.Instruction", operation_mode="#no-such")
    assert script.only.text.endswith("(this message was injected)")
