"""Hints at clocks and times."""

from __future__ import annotations

from typing import Any

import pytest
from told import play

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import at
from s2_mitm.s2.verdict import Role


def hints(script: str) -> list[str]:
    """What is told, all of which is hints."""
    lines = play(script)
    assert all(line.startswith("info hint.") for line in lines), lines
    return [line.removeprefix("info hint.") for line in lines]


def measured(*times: tuple[float, float], values: list[float] | None = None) -> list[str]:
    """The hints about measurements, by when they were sent and which timestamp they had."""
    script = Script()
    script.begin("FRBC")
    begun = script.now
    for index, (sent, timestamp) in enumerate(times):
        script.now = begun + sent
        value = values[index] if values else 230
        script.rm(
            "PowerMeasurement",
            measurement_timestamp=at(timestamp),
            values=[{"commodity_quantity": "ELECTRIC.POWER.L1", "value": value}],
        )
    assert all(code.startswith("hint.") for code in script.codes), script.codes
    return [f"{each.code.removeprefix('hint.')}: {each.text}" for each in script.findings]


EVERY_TEN = [float(second) for second in range(0, 60, 10)]


@pytest.mark.parametrize(
    ("lag", "words"),
    [
        (300, "5 min"),
        (125, "2 min"),
        (3600, "1 h, as a time zone would be"),
        (3630, "1 h, as a time zone would be"),
        (19800, "5.5 h, as a time zone would be"),
        (4500, "75 min"),
    ],
)
def test_a_clock_that_is_behind(lag: float, words: str) -> None:
    assert measured(*((second, second - lag) for second in EVERY_TEN)) == [
        f"clock: this and the 4 timestamps before are all late by {words}"
    ]


@pytest.mark.parametrize("lag", [0, 1, 30, 60, 110])
def test_a_clock_that_is_nearly_right(lag: float) -> None:
    assert measured(*((second, second - lag) for second in EVERY_TEN)) == []


def test_four_timestamps_are_too_few() -> None:
    assert measured(*((second, second - 300) for second in EVERY_TEN[:4])) == []


def test_what_was_stored_is_no_wrong_clock() -> None:
    """It catches up, one after the other at once."""
    stored = [(0.1 * number, -3600.0 + 600 * number) for number in range(7)]
    assert measured(*stored) == []
    assert measured((0, 0), *((10 + sent, timestamp) for sent, timestamp in stored)) == []


def test_an_average_is_sent_when_its_time_is_over() -> None:
    quarters = [900.0 * number for number in range(8)]
    assert measured(*((second, second - 900) for second in quarters)) == []
    (line,) = measured(*((second, second - 7200) for second in quarters))
    assert line.startswith("clock: ")


def test_statuses_have_timestamps_too() -> None:
    script = Script()
    script.begin("FRBC")
    for number in range(6):
        script.cem("FRBC.Instruction", id=f"#number-{number}", execution_time=None)
        script.now += 10
    timestamps = script.conversation.timestamps
    assert not timestamps.latest
    begun = script.now
    for number, status in enumerate(["NEW", "ACCEPTED", "STARTED", "SUCCEEDED"] * 2):
        script.now += 1
        script.rm(
            "InstructionStatusUpdate",
            instruction_id=f"#number-{number // 4}",
            status_type=status,
            timestamp=at(number + begun - 1_772_366_400.0 - 3600),
        )
    assert script.codes.count("hint.clock") == 1


@pytest.mark.parametrize(
    ("times", "values", "told"),
    [
        ([0, 10, 20, 30], [1, 2, 3, 4], "3 different values of ELECTRIC.POWER.L1 in 20 s"),
        ([0, 60, 120], [1, 2, 1], "3 different values of ELECTRIC.POWER.L1 in 120 s"),
        ([0, 10, 20, 30], [1, 1, 1, 1], ""),  # the same again
        ([0, 1, 2, 3], [1, 2, 3, 4], ""),  # within the same moment
        ([0, 60], [1, 2], ""),  # corrected
    ],
)
def test_a_timestamp_that_stands_still(times: list[float], values: list[float], told: str) -> None:
    lines = measured(*((second, 0) for second in times), values=values)
    assert [line.partition(" is that of ")[2] for line in lines] == ([told] if told else [])


def test_each_quantity_in_a_message_of_its_own() -> None:
    phases = "\n".join(
        f'rm("PowerMeasurement", values=[{{"commodity_quantity": "ELECTRIC.POWER.L{phase}",'
        f' "value": {phase}}}])\nwait(10)'
        for phase in (1, 2, 3)
    )
    details = (
        'begin(details=False)\nrm("ResourceManagerDetails", provides_power_measurement_types='
        '["ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2", "ELECTRIC.POWER.L3"])\n'
    )
    assert hints(details + phases) == []


@pytest.mark.parametrize(
    "times",
    [
        [(0, 0), (10, -20), (20, -40), (30, -60)],
        [(0, 0), (10, 10), (20, -3580), (30, -3570), (40, -3560), (50, -3550), (60, -3540)],
    ],
    ids=["ever earlier", "set back"],
)
def test_timestamps_that_run_backwards(times: list[tuple[float, float]]) -> None:
    (line,) = measured(*times)
    assert line.startswith("timestamp-backwards: ")
    assert line.endswith("of ELECTRIC.POWER.L1, and so was the one before")


@pytest.mark.parametrize(
    "times",
    [
        [(0, 0), (10, -1000), (20, 20), (30, 30)],
        [(0, 5), (1, 1), (2, 4), (3, 3)],
        [(0, 0), (1, -3000), (2, -2000), (3, -1000), (4, 4)],
    ],
    ids=["one", "a few seconds", "catching up"],
)
def test_an_order_that_may_be_meant(times: list[tuple[float, float]]) -> None:
    assert measured(*times) == []


def test_a_clock_that_was_ahead_and_is_right_now() -> None:
    script = Script()
    script.begin()
    for second, timestamp in [(0, 3600), (10, 10), (20, 20), (30, 30)]:
        script.now += second
        script.rm("PowerMeasurement", measurement_timestamp=at(timestamp))
    assert script.codes == ["time.in-the-future"]


FORECAST = 'begin()\nrm("PowerForecast", start_time=at({}))\n'
PAST = "forecast-past /start_time: all of it lay in the past: it ended at "


def test_a_forecast_that_is_over() -> None:
    said = [PAST + "2026-03-01T11:15:00Z, 2700 s before"]
    assert hints(FORECAST.format(-3600) + "wait(5)\nwait(5)") == said
    assert hints(FORECAST.format(-3600) + "close()") == said
    assert hints(FORECAST.format(-3600) + "wait(10)\n" + FORECAST.format(-3600)[8:]) == said


@pytest.mark.parametrize(
    "script",
    [
        FORECAST.format(-890) + "wait(10)",
        FORECAST.format(-940) + "wait(10)",
        FORECAST.format(0) + "wait(10000)\nrm('ResourceManagerDetails')\nwait(10)",
        FORECAST.format(-3600) + 'rm("PowerForecast")\nwait(10)\nclose()',
    ],
    ids=["nearly", "a clock", "over since", "another one at once"],
)
def test_a_forecast_that_is_not_over(script: str) -> None:
    lines = [line for line in hints(script) if not line.startswith("never-selected")]
    assert lines == []


def test_each_kind_of_forecast() -> None:
    for family, name in [
        ("FRBC", "FRBC.UsageForecast"),
        ("FRBC", "FRBC.FillLevelTargetProfile"),
        ("DDBC", "DDBC.AverageDemandRateForecast"),
    ]:
        (line,) = hints(f'begin("{family}")\nrm("{name}", start_time=at(-3600))\nclose()')
        assert line.startswith(PAST)


@pytest.mark.parametrize(
    ("durations", "told"),
    [
        ([900000, 0], "/elements/1/duration: 1 of 2"),
        ([0, 900000, 0], "/elements/0/duration: 2 of 3"),
        ([0, 0], "/elements/0/duration: 2 of 2"),
        ([0], ""),
        ([900000, 900000], ""),
    ],
)
def test_elements_of_no_duration(durations: list[int], told: str) -> None:
    elements = [{"duration": each, "usage_rate_expected": 0.02} for each in durations]
    script = f'begin("FRBC")\nrm("FRBC.UsageForecast", elements={elements})\n'
    expected = [f"no-duration {told} elements last 0 ms"] if told else []
    assert hints(script + script.splitlines()[1]) == expected


def test_an_envelope_without_length_is_told_of_once() -> None:
    script = 'begin("PEBC")\ncem("PEBC.Instruction", power_envelopes=[envelope({})])'
    (line,) = play(script.format("(0, 0, 5000), (0, 0, 4000)"))
    assert "pebc.no-duration" in line
    assert len(hints(script.format("(900, 0, 5000), (0, 0, 4000)"))) == 1


@pytest.mark.parametrize("hours", [1, 2, 5.5])
def test_local_time_said_to_be_utc(hours: float) -> None:
    script = 'begin()\nselect("OMBC")\nrm("OMBC.SystemDescription", valid_from=at({}))'
    (line,) = hints(script.format(hours * 3600 + 1))
    assert line.startswith("local-time /valid_from: ")
    assert f" is {hours:g} h after this message, just as a time zone would be" in line
    assert hints(script.format(hours * 3600)) == []  # a time that somebody has chosen
    assert hints(script.format(hours * 3600 + 100)) == []
    again = script.format(hours * 3600 + 1).splitlines()[-1]
    assert hints(f"{script.format(0)}\n{again}") == []


def test_the_cem_is_not_blamed_for_the_clock_of_the_rm() -> None:
    described = 'begin()\nselect("OMBC")\nrm("OMBC.SystemDescription", valid_from=at({}))\n'
    instructed = 'cem("OMBC.Instruction")'
    (line,) = hints(described.format(3601) + instructed)
    assert line.startswith("local-time ")
    measured = 'rm("PowerMeasurement", measurement_timestamp=at(400))\n'
    ahead = [line.split()[1] for line in play(described.format(400) + measured + instructed)]
    assert ahead == ["time.in-the-future"]
    (late,) = play(described.format(400) + instructed)
    assert late.startswith("warning modes.not-yet-valid ")


def test_nobody_stumbles_over_times_that_are_none() -> None:
    script = Script()
    script.begin()
    each: list[Any] = ["today", 7, None, [], {}, "2026-03-01T12:00:00"]
    for broken in each:
        script.rm("PowerMeasurement", measurement_timestamp=broken, answer=None)
        script.rm("PowerMeasurement", values=broken, answer=None)
        script.rm("PowerForecast", start_time=broken, answer=None)
        script.rm("PowerForecast", start_time=at(-9999), elements=broken, answer=None)
    script.raw(Role.RM, b'{"message_type": "PowerMeasurement", "values": [1, null, {}]}')
    script.close()
    assert not any(code.startswith("hint.") for code in script.codes)
