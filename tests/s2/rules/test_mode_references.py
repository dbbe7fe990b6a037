"""Actuators, modes and timers that are named are those that were described."""

from __future__ import annotations

import pytest
from mode_script import (
    FAMILIES,
    MODES,
    REST,
    STATUS,
    TARGET,
    WITH_ACTUATORS,
    WORK,
    ModeScript,
    check,
    in_words,
    mode,
    with_modes,
)

from s2_mitm.s2.conversation.validity import MAX_DESCRIPTIONS
from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import (
    actuator,
    at,
    ddbc_actuator,
    frbc_mode,
)
from s2_mitm.s2.verdict import Role, Severity
from s2_mitm.s2.wording import short_id


@FAMILIES
def test_what_was_described_is_known(family: str) -> None:
    script = ModeScript(family)
    script.rm(f"{family}.TimerStatus", finished_at=at(-60))
    script.instruct(WORK)
    script.switched(WORK)
    script.wait(61)
    script.instruct(REST)
    assert script.found == []


@WITH_ACTUATORS
def test_an_unknown_actuator(family: str) -> None:
    script = ModeScript(family)
    script.instruct(WORK, actuator_id="#other")
    check(
        script.only,
        "modes.unknown-actuator",
        Severity.ERROR,
        "/actuator_id",
        f"actuator {short_id(identifier('other'))} is not in the {family}.SystemDescription",
        "from the RM (0.",
        f"which has {short_id(identifier('actuator'))}",
    )


@WITH_ACTUATORS
@pytest.mark.parametrize("kind", ["ActuatorStatus", "TimerStatus"])
def test_an_unknown_actuator_is_not_an_unknown_mode_or_timer_too(family: str, kind: str) -> None:
    script = ModeScript(family)
    script.rm(f"{family}.{kind}", actuator_id="#other")
    assert [each.code for each in script.found] == ["modes.unknown-actuator"]


@FAMILIES
def test_an_unknown_mode_of_an_instruction(family: str) -> None:
    script = ModeScript(family)
    script.instruct("#no-such")
    check(
        script.only,
        "modes.unknown-mode",
        Severity.ERROR,
        f"/{TARGET[family]}",
        f"operation mode {short_id(identifier('no-such'))} is not in",
        f"the {family}.SystemDescription",
        in_words(MODES[family][WORK]),
    )


@FAMILIES
@pytest.mark.parametrize("field", ["active_operation_mode_id", "previous_operation_mode_id"])
def test_an_unknown_mode_of_a_status(family: str, field: str) -> None:
    script = ModeScript(family)
    script.wait(5)
    script.switched(WORK, **{field: "#no-such"})
    check(
        script.only,
        "modes.unknown-mode",
        Severity.ERROR,
        f"/{field}",
        short_id(identifier("no-such")),
    )


@FAMILIES
def test_a_mode_from_before_the_first_description_may_be_named_as_previous(family: str) -> None:
    script = ModeScript(family)
    script.switched(WORK, "#before-all-this", transition_timestamp=at(-3600))
    assert script.found == []


@FAMILIES
def test_a_previous_mode_may_be_of_a_description_that_was_replaced(family: str) -> None:
    script = ModeScript(family)
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.wait(10)
    script.switched("#renamed", REST)
    assert script.found == []


@WITH_ACTUATORS
def test_a_mode_of_another_actuator(family: str) -> None:
    script = ModeScript(family, described=False)
    make = actuator if family == "FRBC" else ddbc_actuator
    other = make(
        id="#other", operation_modes=[mode(family, "elsewhere")], transitions=[], timers=[]
    )
    script.describe(actuators=[make(), other])
    script.instruct("#elsewhere")
    assert script.only.code == "modes.unknown-mode"
    assert script.only.text.endswith(f"; it belongs to actuator {short_id(identifier('other'))}")


@FAMILIES
def test_a_mode_of_a_description_that_was_replaced(family: str) -> None:
    script = ModeScript(family)
    replaced = (
        script.conversation.descriptions_of(f"{family}.SystemDescription").all[0].message.message_id
    )
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.wait(10)
    script.instruct(WORK)
    assert script.only.code == "modes.unknown-mode"
    assert replaced is not None
    name = f"the description {short_id(replaced)}"
    assert script.only.text.endswith(f"; it was in {name}, replaced since")


@FAMILIES
def test_a_mode_of_the_description_before_while_the_new_one_is_not_answered(family: str) -> None:
    script = ModeScript(family)
    script.describe(answer=None, **with_modes(family, mode(family, "renamed")))
    script.wait(5)
    script.instruct(WORK)
    script.instruct("#renamed")
    assert script.found == []


@FAMILIES
def test_a_mode_of_a_description_that_is_to_come(family: str) -> None:
    script = ModeScript(family)
    script.describe(valid_from=at(3600), **with_modes(family, mode(family, "renamed")))
    script.wait(10)
    script.instruct("#renamed", execution_time=at(3600))
    script.instruct(WORK, execution_time=at(1800))
    assert script.found == []


@FAMILIES
def test_a_mode_of_a_description_that_is_to_come_too_early(family: str) -> None:
    script = ModeScript(family)
    script.describe(valid_from=at(3600), **with_modes(family, mode(family, "renamed")))
    script.instruct("#renamed", execution_time=at(1800))
    check(
        script.only,
        "modes.not-yet-valid",
        Severity.WARNING,
        "/execution_time",
        f"at 2026-03-01T12:30:00Z this mode is not described yet: the {family}.SystemDescription",
        "is valid from 2026-03-01T13:00:00Z on",
    )


@FAMILIES
def test_a_mode_of_a_description_that_came_into_force_this_second(family: str) -> None:
    script = ModeScript(family)
    script.describe(valid_from=at(60), **with_modes(family, mode(family, "renamed")))
    script.wait(61)
    script.rm(STATUS[family])
    assert script.found == []
    script.wait(5)
    script.rm(STATUS[family])
    assert script.only.code == "modes.unknown-mode"


@FAMILIES
def test_a_mode_of_a_description_that_was_refused_later(family: str) -> None:
    script = ModeScript(family)
    script.describe("INVALID_CONTENT", **with_modes(family, mode(family, "renamed")))
    script.describe(**with_modes(family, mode(family, "better")))
    script.instruct("#renamed")
    assert script.only.code == "modes.unknown-mode"
    assert script.only.text.endswith(', answered with "INVALID_CONTENT"')


@FAMILIES
def test_an_unknown_timer(family: str) -> None:
    script = ModeScript(family)
    script.rm(f"{family}.TimerStatus", timer_id="#no-such")
    check(
        script.only,
        "modes.unknown-timer",
        Severity.ERROR,
        "/timer_id",
        f"timer {short_id(identifier('no-such'))} is not in",
        f"which has {short_id(identifier('rest'))}",
    )


@FAMILIES
def test_only_a_few_of_many_modes_are_listed(family: str) -> None:
    script = ModeScript(family, described=False)
    script.describe(**with_modes(family, *(mode(family, f"m{i}") for i in range(9))))
    script.instruct("#no-such")
    assert script.only.text.endswith(" and 4 more")


# Descriptions that are not there


@FAMILIES
def test_nothing_was_described(family: str) -> None:
    script = ModeScript(family, described=False)
    script.rm(STATUS[family])
    script.rm(f"{family}.TimerStatus")
    script.instruct(WORK)
    script.instruct(WORK)
    missing = f"{family}.SystemDescription, and none was given since the SelectControlType"
    first, second = script.found
    words = f"{STATUS[family]} refers to a"
    check(first, "modes.early-status", Severity.WARNING, "", words, missing)
    words = f"{family}.Instruction refers to a"
    check(second, "modes.no-description", Severity.ERROR, "", words, missing)


@FAMILIES
def test_nothing_was_described_under_another_control_type(family: str) -> None:
    script = ModeScript(family)
    script.select("PEBC")
    script.select(family)
    script.instruct(WORK)
    assert script.only.code == "modes.no-description"


@FAMILIES
def test_the_description_was_revoked(family: str) -> None:
    script = ModeScript(family, described=False)
    description = script.describe()
    script.rm("RevokeObject", object_type=f"{family}.SystemDescription", object_id=description)
    script.instruct(WORK)
    script.instruct(WORK)
    check(
        script.only, "modes.no-description", Severity.ERROR, "", "was revoked by the RevokeObject"
    )


@FAMILIES
def test_the_cem_may_not_know_yet_that_the_description_was_revoked(family: str) -> None:
    script = ModeScript(family, described=False)
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
    script = ModeScript(family, described=False)
    description = script.describe()
    script.rm("RevokeObject", object_type=f"{family}.SystemDescription", object_id=description)
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.instruct(WORK)
    assert script.only.code == "modes.unknown-mode"
    assert ", revoked 0.0 s before" in script.only.text


@FAMILIES
def test_the_description_was_refused(family: str) -> None:
    script = ModeScript(family, described=False)
    script.describe("TEMPORARY_ERROR")
    script.rm(STATUS[family])
    script.instruct("#no-such", actuator_id=None if family == "OMBC" else "#other")
    check(
        script.only,
        "modes.cannot-check",
        Severity.INFO,
        "",
        f"cannot be checked: the last {family}.SystemDescription was",
        'answered with "TEMPORARY_ERROR"',
    )


@FAMILIES
def test_after_a_refused_description_the_one_before_still_counts(family: str) -> None:
    script = ModeScript(family)
    script.describe("INVALID_CONTENT", **with_modes(family, mode(family, "renamed")))
    script.wait(5)
    script.instruct(WORK)
    assert script.found == []
    script.instruct("#renamed")
    assert script.only.code == "modes.description-refused"


@FAMILIES
def test_an_instruction_by_a_description_that_the_cem_has_refused(family: str) -> None:
    script = ModeScript(family, described=False)
    script.describe("INVALID_CONTENT")
    script.instruct(WORK)
    check(
        script.only,
        "modes.description-refused",
        Severity.WARNING,
        script.only.path,
        f"it refers to the {family}.SystemDescription",
        'which the CEM has answered with "INVALID_CONTENT"',
    )
    script.describe("OK")
    script.instruct(WORK)
    assert len(script.found) == 1


@FAMILIES
def test_each_refused_description_is_told_once(family: str) -> None:
    script = ModeScript(family, described=False)
    for _ in range(2):
        script.describe("INVALID_CONTENT")
        script.instruct(WORK)
        script.instruct(WORK)
    assert [each.code for each in script.found] == ["modes.description-refused"] * 2


@FAMILIES
def test_what_an_invalid_description_says_readably_is_gone_by(family: str) -> None:
    script = ModeScript(family, described=False)
    script.describe(valid_from="soon")
    script.rm(STATUS[family])
    script.instruct(WORK)
    assert script.found == []
    script.instruct("#no-such")
    check(script.only, "modes.cannot-check", Severity.INFO, "", "is not valid")


@FAMILIES
def test_the_answer_to_an_older_description_does_not_put_the_newer_in_doubt(family: str) -> None:
    script = ModeScript(family, described=False)
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
    script = ModeScript(family)
    script.select(family)
    script.rm(STATUS[family])
    script.instruct(WORK)
    script.describe(**with_modes(family, mode(family, "renamed")))
    script.rm(STATUS[family], active_operation_mode_id="#renamed")
    assert script.found == []


@FAMILIES
def test_a_status_on_its_way_when_the_control_type_is_ended_and_selected_again(family: str) -> None:
    script = ModeScript(family)
    script.select("NO_SELECTION")
    script.select(family, answer=None)
    script.wait(1)
    script.describe()
    script.rm(STATUS[family])
    assert script.found == []


@FAMILIES
def test_an_unreadable_description_may_have_had_it_all(family: str) -> None:
    script = ModeScript(family, described=False)
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
    script = ModeScript(family)
    script.cem(f"{family}.SystemDescription", **with_modes(family, mode(family, "no-such")))
    script.cem(STATUS[family], active_operation_mode_id="#no-such")
    script.wait(5)
    script.rm(STATUS[family])
    script.instruct(WORK)
    assert script.found == []
    assert script.codes == ["direction.wrong-sender"] * 2


@FAMILIES
def test_under_no_control_type_nothing_is_said_of_references(family: str) -> None:
    script = ModeScript(family)
    script.select("NO_SELECTION")
    script.instruct("#no-such")
    assert script.found == []
    assert script.codes == ["state.no-control-type"]


def test_many_descriptions_are_not_remembered_forever() -> None:
    script = ModeScript("FRBC")
    for number in range(2 * MAX_DESCRIPTIONS):
        script.wait(60)
        modes = [frbc_mode(f"idle-{number}"), frbc_mode(f"charge-{number}")]
        script.describe(**with_modes("FRBC", *modes))
        script.switched(
            f"#charge-{number}", "#idle-0" if number else REST, transition_timestamp=at(0)
        )
    assert script.found == []
