"""What an RM says of its storage under Fill Rate Based Control."""

from __future__ import annotations

from typing import Any

import pytest

from s2_mitm.s2.conversation.message import Part
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import (
    START,
    TEMPLATES,
    actuator,
    at,
    between,
    frbc_mode,
    power,
    transition,
)
from s2_mitm.s2.rules.common.bands import BANDS, crossed
from s2_mitm.s2.verdict import Finding, Severity, Source


def under_frbc(*, described: bool = True) -> Script:
    script = Script()
    script.begin("FRBC" if described else None)
    if not described:
        script.select("FRBC")
    return script


def found(script: Script) -> list[Finding]:
    """What the rules say; that a message was refused is no fault of it."""
    return [
        each
        for each in script.findings
        if each.source is Source.RULE and each.code != "ack.refused"
    ]


def check(script: Script, code: str, severity: Severity, path: str, *words: str) -> None:
    """There is one finding, this one."""
    (finding,) = found(script)
    assert (finding.code, finding.severity, finding.path) == (code, severity, path)
    for word in words:
        assert word in finding.text


def element(start: float, end: float) -> dict[str, Any]:
    """An element of an operation mode."""
    return {
        "fill_level_range": between(start, end),
        "fill_rate": between(-0.01, 0),
        "power_ranges": [power(-2000, 0)],
    }


def describe(script: Script, *elements: dict[str, Any], answer: str = "OK") -> None:
    """A description whose second mode has these elements."""
    modes = [frbc_mode("idle"), frbc_mode("charge", elements=list(elements))]
    only = actuator(operation_modes=modes, transitions=[transition("idle", "charge")], timers=[])
    script.rm("FRBC.SystemDescription", answer, actuators=[only])


def storage(**fields: Any) -> dict[str, Any]:
    return {**TEMPLATES["FRBC.SystemDescription"]["storage"], **fields}


def larger() -> dict[str, Any]:
    """The fields of a description of a storage that goes from 0 to 200, and so do its modes."""
    modes = [
        frbc_mode(name, elements=[element(0, 200)]) for name in ("idle", "charge", "emergency")
    ]
    return {
        "storage": storage(fill_level_range=between(0, 200)),
        "actuators": [actuator(operation_modes=modes)],
    }


PLACE = "/actuators/0/operation_modes/1/elements"


# Ranges of fill levels


@pytest.mark.parametrize(("start", "end", "how"), [(50, 20, "below"), (50, 50, "not above")])
def test_an_operation_mode_for_no_fill_level(start: float, end: float, how: str) -> None:
    script = under_frbc(described=False)
    describe(script, element(0, 20), element(start, end), answer="INVALID_CONTENT")
    check(
        script,
        "frbc.fill-level-order",
        Severity.ERROR,
        f"{PLACE}/1/fill_level_range",
        f"end_of_range {end} is {how} start_of_range {start}",
    )
    refused = [each for each in script.findings if each.code == "s2-python.refused"]
    assert refused == [] or how == "not above"


def test_a_leakage_for_no_fill_level() -> None:
    script = under_frbc()
    elements = [
        {"fill_level_range": between(0, 100), "leakage_rate": 0.1},
        {"fill_level_range": between(100, 100), "leakage_rate": 0.1},
    ]
    script.rm("FRBC.LeakageBehaviour", "INVALID_CONTENT", elements=elements)
    path = "/elements/1/fill_level_range"
    check(script, "frbc.fill-level-order", Severity.ERROR, path, "is not above start_of_range 100")


def test_a_target_that_is_upside_down() -> None:
    script = under_frbc()
    elements = [{"duration": 60000, "fill_level_range": between(80.5, 20)}]
    script.rm("FRBC.FillLevelTargetProfile", "INVALID_CONTENT", elements=elements)
    path = "/elements/0/fill_level_range"
    words = "end_of_range 20 is below start_of_range 80.5"
    check(script, "frbc.fill-level-order", Severity.ERROR, path, words)
    assert "s2-python.refused" not in script.codes


def test_a_target_that_is_a_single_fill_level() -> None:
    script = under_frbc()
    elements = [{"duration": 60000, "fill_level_range": between(80, 80)}]
    script.rm("FRBC.FillLevelTargetProfile", elements=elements)
    assert script.findings == []


def test_targets_need_not_be_contiguous() -> None:
    script = under_frbc()
    ranges = [between(0, 20), between(50, 80), between(10, 60)]
    elements = [{"duration": 60000, "fill_level_range": each} for each in ranges]
    script.rm("FRBC.FillLevelTargetProfile", elements=elements)
    assert script.findings == []


@pytest.mark.parametrize(
    ("ranges", "index", "words"),
    [
        ([(0, 50), (50.5, 100)], 1, "there is a gap below: it starts at 50.5"),
        ([(50.5, 100), (0, 50)], 0, f"there is a gap below: it starts at 50.5, and {PLACE}/1 ends"),
        ([(0, 50), (49.9, 100)], 1, "it overlaps with the one below: it starts at 49.9"),
        ([(0, 50), (0, 50)], 1, "overlaps"),
        ([(-1e300, 0), (1e300, 1.7e308)], 1, "there is a gap below: it starts at 1e+300"),
    ],
)
def test_an_operation_mode_whose_elements_are_apart(
    ranges: list[tuple[float, float]], index: int, words: str
) -> None:
    script = under_frbc(described=False)
    describe(script, *(element(*each) for each in ranges), answer="INVALID_CONTENT")
    path = f"{PLACE}/{index}/fill_level_range"
    check(script, "frbc.fill-levels-apart", Severity.ERROR, path, words)
    assert "s2-python.refused" not in script.codes


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, 100)],
        [(50, 100), (0, 50)],
        [(0, 10), (10, 20), (20, 100)],
        [(-10, 0), (0, 0.1)],
        [(0, 0.1 + 0.2), (0.3, 1)],
    ],
)
def test_an_operation_mode_whose_elements_are_contiguous(ranges: list[tuple[float, float]]) -> None:
    script = under_frbc(described=False)
    describe(script, *(element(*each) for each in ranges))
    codes = [each.code for each in found(script)]
    # s2-python compares to the last digit, and what it refuses is answered with OK here.
    assert codes in ([], ["ack.ok-to-invalid"])


def test_leakage_in_parts_that_are_apart() -> None:
    script = under_frbc()
    elements = [
        {"fill_level_range": between(start, end), "leakage_rate": 0.1}
        for start, end in ((0, 30), (30, 60), (70, 100))
    ]
    script.rm("FRBC.LeakageBehaviour", "INVALID_CONTENT", elements=elements)
    words = "there is a gap below: it starts at 70, and /elements/1 ends at 60"
    path = "/elements/2/fill_level_range"
    check(script, "frbc.fill-levels-apart", Severity.ERROR, path, words)


@pytest.mark.parametrize("broken", [None, [], "0 to 50", {"start_of_range": 0}, between(50, 0)])
def test_ranges_that_are_wrong_themselves_are_not_called_apart(broken: Any) -> None:
    script = under_frbc()
    elements = [
        {"fill_level_range": broken, "leakage_rate": 0.1},
        {"fill_level_range": between(60, 100), "leakage_rate": 0.1},
    ]
    script.rm("FRBC.LeakageBehaviour", "INVALID_MESSAGE", elements=elements)
    assert {each.code for each in found(script)} <= {"frbc.fill-level-order"}


# The fill level


@pytest.mark.parametrize("level", [-0.1, 100.1, 1e300])
def test_a_fill_level_outside_the_storage(level: float) -> None:
    script = under_frbc()
    script.rm("FRBC.StorageStatus", present_fill_level=level)
    check(
        script,
        "frbc.fill-level-outside",
        Severity.WARNING,
        "/present_fill_level",
        f"{level} is outside 0 to 100, the range in the FRBC.SystemDescription",
        "from the RM (0.",
    )


@pytest.mark.parametrize("level", [0, 57.3, 100, 100.00000000000001, -1e-15])
def test_a_fill_level_within_the_storage(level: float) -> None:
    script = under_frbc()
    script.rm("FRBC.StorageStatus", present_fill_level=level)
    assert script.findings == []


def test_a_fill_level_outside_is_told_once_until_it_is_back() -> None:
    script = under_frbc()
    for level in (101, 102, 99, 103, 104):
        script.rm("FRBC.StorageStatus", present_fill_level=level)
    assert [each.text.split()[0] for each in found(script)] == ["101", "103"]


def test_a_fill_level_in_the_range_of_a_description_that_is_not_answered() -> None:
    script = under_frbc()
    script.rm("FRBC.SystemDescription", None, **larger())
    script.wait(5)
    script.rm("FRBC.StorageStatus", present_fill_level=150)
    script.rm("FRBC.StorageStatus", present_fill_level=50)
    assert script.findings == []


@pytest.mark.parametrize("answer", ["OK", "TEMPORARY_ERROR"])
def test_a_fill_level_in_a_range_that_is_replaced(answer: str) -> None:
    script = under_frbc()
    script.rm("FRBC.SystemDescription", answer, **larger())
    script.wait(5)
    script.rm("FRBC.StorageStatus", present_fill_level=150)
    codes = [each.code for each in found(script)]
    assert codes == ([] if answer == "OK" else ["frbc.fill-level-outside"])


def test_a_fill_level_before_any_description() -> None:
    script = under_frbc(described=False)
    script.rm("FRBC.StorageStatus", present_fill_level=150)
    assert script.findings == []


def test_a_storage_that_is_upside_down_holds_no_fill_level_against_anyone() -> None:
    script = under_frbc(described=False)
    script.rm("FRBC.SystemDescription", storage=storage(fill_level_range=between(100, 0)))
    path, words = "/storage/fill_level_range", "end_of_range 0 is below start_of_range 100"
    check(script, "modes.range-order", Severity.WARNING, path, words)
    script.rm("FRBC.StorageStatus", present_fill_level=150)
    assert len(found(script)) == 1


def test_a_storage_with_one_fill_level() -> None:
    script = under_frbc(described=False)
    script.rm("FRBC.SystemDescription", storage=storage(fill_level_range=between(50, 50)))
    assert script.findings == []


# What is provided

PROVIDED = pytest.mark.parametrize(
    ("message_type", "flag"),
    [
        ("FRBC.LeakageBehaviour", "provides_leakage_behaviour"),
        ("FRBC.FillLevelTargetProfile", "provides_fill_level_target_profile"),
        ("FRBC.UsageForecast", "provides_usage_forecast"),
    ],
)


@PROVIDED
def test_what_is_not_provided(message_type: str, flag: str) -> None:
    script = under_frbc(described=False)
    script.rm("FRBC.SystemDescription", storage=storage(**{flag: False}))
    script.rm(message_type)
    path, words = "/message_type", f"{flag} is false in the FRBC.SystemDescription"
    check(script, "frbc.not-provided", Severity.ERROR, path, words)


@PROVIDED
def test_the_other_two_are_provided(message_type: str, flag: str) -> None:
    script = under_frbc(described=False)
    others = {
        name: name == flag
        for name in TEMPLATES["FRBC.SystemDescription"]["storage"]
        if name.startswith("provides_")
    }
    script.rm("FRBC.SystemDescription", storage=storage(**others))
    script.rm(message_type)
    assert script.findings == []


@PROVIDED
def test_it_is_provided_by_a_description_that_is_not_answered(message_type: str, flag: str) -> None:
    script = under_frbc(described=False)
    script.rm("FRBC.SystemDescription", storage=storage(**{flag: False}))
    script.rm("FRBC.SystemDescription", None)
    script.rm(message_type)
    assert script.findings == []


@PROVIDED
@pytest.mark.parametrize("value", [None, "no", 0])
def test_it_is_not_said_readably_whether_it_is_provided(
    message_type: str, flag: str, value: object
) -> None:
    script = under_frbc(described=False)
    script.rm("FRBC.SystemDescription", "INVALID_MESSAGE", storage=storage(**{flag: value}))
    script.rm(message_type)
    assert found(script) == []


# Probability bands


def test_bands_of_a_usage_forecast_that_cross() -> None:
    script = under_frbc()
    fine = {"duration": 60000, "usage_rate_expected": 1}
    bands = {"usage_rate_upper_68PPR": 3, "usage_rate_upper_95PPR": 2.5}
    script.rm("FRBC.UsageForecast", elements=[fine, {**fine, **bands}])
    check(
        script,
        "frbc.bands-crossed",
        Severity.WARNING,
        "/elements/1/usage_rate_upper_95PPR",
        "is below usage_rate_upper_68PPR 3",
    )


def test_bands_of_a_usage_forecast_that_touch() -> None:
    script = under_frbc()
    bands = {f"usage_rate_{band}": -1.5 for band in BANDS}
    script.rm("FRBC.UsageForecast", elements=[{"duration": 60000, **bands}])
    assert script.findings == []


@pytest.mark.parametrize(
    ("values", "pair"),
    [
        ({}, None),
        ({"a": 1}, None),
        ({"a": 1, "c": 1}, None),
        ({"a": 2, "c": 1}, ("a", "c")),
        ({"a": 1, "b": "0", "c": 2}, None),
        ({"a": 1, "b": 3, "c": 2}, ("b", "c")),
        ({"a": 10**400, "b": True, "c": -(10**400)}, None),
    ],
)
def test_crossed(values: dict[str, Any], pair: tuple[str, str] | None) -> None:
    assert crossed(Part(values), "abc") == pair


def test_a_day_of_frbc_has_no_fault() -> None:
    script = under_frbc()
    for message_type in ("LeakageBehaviour", "FillLevelTargetProfile", "UsageForecast"):
        script.rm(f"FRBC.{message_type}")
    script.rm("FRBC.TimerStatus", finished_at=at(-1))
    assert script.findings == []


# A mode at a fill level

BELOW_90 = [element(0, 50), element(50, 90)]


def at_level(level: float, *, answer: str | None = "OK") -> Script:
    """A storage from 0 to 100 with this fill level, whose mode to charge is for 0 to 90."""
    script = under_frbc(described=False)
    describe(script, *BELOW_90)
    script.rm("FRBC.StorageStatus", answer, present_fill_level=level)
    return script


@pytest.mark.parametrize("level", [97, 100, 92])
def test_a_mode_at_a_fill_level_for_which_it_is_not_described(level: float) -> None:
    script = at_level(level)
    script.cem("FRBC.Instruction", operation_mode="#charge")
    check(
        script,
        "frbc.level-not-described",
        Severity.WARNING,
        "/operation_mode",
        'operation mode "charge" (',
        f"is not described for a fill level of {level}, which the storage has by",
        "the FRBC.StorageStatus",
    )


@pytest.mark.parametrize("level", [0, 50, 90, 90.9, -5, 104])
def test_a_mode_at_a_fill_level_for_which_it_may_be_meant(level: float) -> None:
    """Within its elements, or rounded so, or when the storage must be brought back."""
    script = at_level(level)
    script.cem("FRBC.Instruction", operation_mode="#charge")
    assert "frbc.level-not-described" not in script.codes


def test_another_mode_is_described_for_that_fill_level() -> None:
    script = at_level(97)
    script.cem("FRBC.Instruction", operation_mode="#idle")
    assert script.findings == []


def test_the_fill_level_may_change_until_then() -> None:
    script = at_level(97)
    script.rm("FRBC.ActuatorStatus")
    script.cem("FRBC.Instruction", operation_mode="#charge", execution_time=at(600))
    script.wait(900)  # in which it changes by up to nine per cent
    now = script.now - START
    script.cem("FRBC.Instruction", id="#another", operation_mode="#charge", execution_time=at(now))
    assert script.findings == []


def test_the_cem_may_not_know_the_fill_level_yet() -> None:
    script = at_level(97, answer=None)
    script.cem("FRBC.Instruction", operation_mode="#charge")
    assert script.findings == []


def test_a_description_under_way_may_have_the_mode_for_that_fill_level() -> None:
    script = at_level(97)
    modes = [frbc_mode("idle"), frbc_mode("charge")]
    only = actuator(operation_modes=modes, transitions=[transition("idle", "charge")], timers=[])
    script.rm("FRBC.SystemDescription", None, actuators=[only])
    script.cem("FRBC.Instruction", operation_mode="#charge")
    assert script.findings == []


@pytest.mark.parametrize("elements", [[], None, [element(0, 50), {"fill_level_range": None}]])
def test_a_mode_whose_elements_cannot_be_read(elements: Any) -> None:
    script = under_frbc(described=False)
    modes = [frbc_mode("idle"), {**frbc_mode("charge"), "elements": elements}]
    only = actuator(operation_modes=modes, transitions=[transition("idle", "charge")], timers=[])
    script.rm("FRBC.SystemDescription", None, actuators=[only])
    script.rm("FRBC.StorageStatus", present_fill_level=97)
    script.cem("FRBC.Instruction", operation_mode="#charge")
    assert "frbc.level-not-described" not in script.codes
