"""What is told once is told in full once, and makes every message invalid that is wrong by it."""

from __future__ import annotations

import pytest

from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Finding, Role, Severity, Verdict


def instructed(settings: Settings | None = None, times: int = 3) -> list[Verdict]:
    """Instructions, though the RM has described nothing."""
    script = Script(settings)
    script.begin()
    script.select("FRBC")
    for _ in range(times):
        script.inject(Role.CEM, "FRBC.Instruction", id=f"#{len(script.lines)}")
    return [
        line.verdict for line in script.lines if line.verdict.message_type == "FRBC.Instruction"
    ]


def nothing_described(verdict: Verdict) -> list[Finding]:
    return [each for each in verdict.findings if each.code == "modes.no-description"]


def test_each_message_is_invalid_and_the_first_is_told_in_full() -> None:
    verdicts = instructed()

    assert [verdict.valid for verdict in verdicts] == [False, False, False]
    (first,), *again = map(nothing_described, verdicts)
    assert not first.repeated
    assert "none was given" in first.text
    for (finding,) in again:
        assert finding.repeated
        assert finding.text == "the same as in #11, where it is told in full"
        assert (finding.path, finding.severity) == (first.path, first.severity)


def test_what_is_no_error_is_told_once() -> None:
    settings = Settings(severity={"modes.no-description": Severity.WARNING})

    first, *again = map(nothing_described, instructed(settings))

    assert [finding.repeated for finding in first] == [False]
    assert again == [[], []]


def test_what_the_user_makes_an_error_is_kept() -> None:
    script = Script(Settings(severity={"measurement.old": Severity.ERROR}))
    script.begin()
    for _ in range(2):
        script.rm("PowerMeasurement", measurement_timestamp="2020-01-01T00:00:00Z")

    measured = [
        line.verdict for line in script.lines if line.verdict.message_type == "PowerMeasurement"
    ]
    assert [verdict.valid for verdict in measured] == [False, False]
    assert [[each.repeated for each in verdict.findings] for verdict in measured] == [
        [False],
        [True],
    ]


def test_what_the_user_ignores_is_not_said_again_either() -> None:
    settings = Settings(ignore=frozenset({"modes.no-description"}))

    assert [*map(nothing_described, instructed(settings))] == [[], [], []]


def test_it_is_told_in_full_once_more_after_it_was_right() -> None:
    script = Script()
    script.begin()
    script.select("FRBC")
    script.cem("FRBC.Instruction", id="#one")
    script.select("OMBC")
    script.select("FRBC")
    script.cem("FRBC.Instruction", id="#two")

    assert script.codes.count("modes.no-description") == 2


@pytest.mark.parametrize("times", [2, 200])
def test_the_findings_of_a_script_have_it_once(times: int) -> None:
    script = Script()
    script.begin()
    script.select("FRBC")
    for number in range(times):
        script.cem("FRBC.Instruction", None, id=f"#{number}")
    assert script.codes.count("modes.no-description") == 1
