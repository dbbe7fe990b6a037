"""Modes that are named for a time at which another description is in force."""

from __future__ import annotations

from typing import Any

import pytest
from mode_script import (
    FAMILIES,
    MODES,
    REST,
    TARGET,
    WORK,
    ModeScript,
    check,
    in_words,
    mode,
    with_modes,
)

from s2_mitm.s2.examples.templates import at
from s2_mitm.s2.verdict import Severity


def renamed(family: str) -> dict[str, Any]:
    """A description whose modes have other ids."""
    return with_modes(family, mode(family, "renamed"), mode(family, "another"))


def announced(family: str, valid_from: float = 600, answer: str | None = "OK") -> ModeScript:
    """A description with other modes was given ahead."""
    script = ModeScript(family)
    script.describe(answer, valid_from=at(valid_from), **renamed(family))
    script.wait(10)
    return script


@FAMILIES
def test_a_mode_of_the_present_description_for_the_time_of_the_next(family: str) -> None:
    script = announced(family)
    script.instruct(WORK, execution_time=at(900))
    check(
        script.only,
        "modes.replaced-by-then",
        Severity.WARNING,
        f"/{TARGET[family]}",
        f"at 2026-03-01T12:15:00Z the device does not have {in_words(MODES[family][WORK])} any"
        f" more: the {family}.SystemDescription",
        "is valid from 2026-03-01T12:10:00Z on",
    )


@FAMILIES
@pytest.mark.parametrize("execution", [300, 600, 659])
def test_a_mode_of_the_present_description_for_its_own_time(family: str, execution: float) -> None:
    script = announced(family)
    script.instruct(WORK, execution_time=at(execution))
    assert script.found == []


@FAMILIES
@pytest.mark.parametrize("answer", [None, "TEMPORARY_ERROR"])
def test_the_cem_has_not_accepted_the_next_description(family: str, answer: str | None) -> None:
    script = announced(family, answer=answer)
    script.instruct(WORK, execution_time=at(900))
    assert script.found == []


@FAMILIES
def test_the_next_description_has_the_mode_too(family: str) -> None:
    script = ModeScript(family)
    same = [mode(family, name) for name in MODES[family]]
    script.describe(valid_from=at(600), **with_modes(family, *same))
    script.wait(10)
    script.instruct(WORK, execution_time=at(900))
    assert script.found == []


@FAMILIES
def test_a_description_was_given_after_the_one_that_is_to_come(family: str) -> None:
    script = announced(family)
    script.describe()
    script.wait(10)
    script.instruct(WORK, execution_time=at(900))
    assert script.found == []


@FAMILIES
def test_a_mode_of_the_next_description_is_active(family: str) -> None:
    script = announced(family)
    script.switched("#renamed", REST)
    script.switched("#another", "#renamed")
    check(
        script.only,
        "modes.active-not-yet-valid",
        Severity.WARNING,
        "/active_operation_mode_id",
        f"{in_words('renamed')} is not described for now: the {family}.SystemDescription",
        "is valid from 2026-03-01T12:10:00Z on",
    )


@FAMILIES
def test_the_next_description_is_valid_by_the_clock_of_the_rm(family: str) -> None:
    script = announced(family)
    script.wait(540)
    script.switched("#renamed", REST)
    assert script.found == []


@FAMILIES
def test_there_is_no_other_description(family: str) -> None:
    script = ModeScript(family, described=False)
    script.describe(valid_from=at(600), **renamed(family))
    script.switched("#renamed", "#another")
    assert script.found == []
