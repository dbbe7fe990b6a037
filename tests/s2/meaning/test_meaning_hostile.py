"""Whatever a message holds, what it means is one printable line of a bounded length."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from functools import cache
from time import perf_counter
from typing import Any

import pytest
from generated import SchemaFolder, wire
from generated import mutated as damaged
from heard import Heard, Listener
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.conversation.message import LARGEST
from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.examples.templates import DESCRIBED, TEMPLATES
from s2_mitm.s2.meaning import MAX_LENGTH
from s2_mitm.s2.meaning.amounts import moment, number, rate, span
from s2_mitm.s2.message.schemas import BUILT_IN
from s2_mitm.s2.verdict import Role

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NASTY: list[Any] = [
    None,
    True,
    -1,
    1.5,
    1e308,
    -1e308,
    10**308,
    10**400,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x" * 300,
    "\ud800",
    "\x1b[2J\u202e\x00\n",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:60-23:59",
    [],
    {},
    [None, 17, [], {}],
    {"start_of_range": -(10**308), "end_of_range": 1e308},
]


def harmless(heard: Heard) -> None:
    for _, told in heard.judge.meanings:
        assert told.isprintable(), told
        assert len(told) <= MAX_LENGTH
        told.encode()


@pytest.mark.parametrize("family", [None, *DESCRIBED])
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_whatever_stands_in_a_field(family: str | None, data: st.DataObject) -> None:
    heard = Heard()
    heard.begin(family)
    ours = [name for name in TEMPLATES if family is None or name.startswith(family)]
    for _ in range(data.draw(st.integers(1, 5))):
        message_type = data.draw(st.sampled_from(ours))
        fields = json.loads(json.dumps(TEMPLATES[message_type]))
        for _ in range(data.draw(st.integers(1, 3))):
            place: Any = fields
            while place:
                keys = list(place) if isinstance(place, dict) else list(range(len(place)))
                key = data.draw(st.sampled_from(keys))
                if isinstance(place[key], dict | list) and data.draw(st.booleans()):
                    place = place[key]
                    continue
                place[key] = deepcopy(data.draw(st.sampled_from(NASTY)))
                break
        role = data.draw(st.sampled_from(Role))
        (heard.rm if role is Role.RM else heard.cem)(message_type, **fields)
    harmless(heard)


@cache
def schemas(version: str) -> SchemaFolder:
    return SchemaFolder(BUILT_IN / version)


@pytest.mark.parametrize("version", VERSIONS)
@given(seeds=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12))
@SLOW
def test_generated_and_mutated_messages(version: str, seeds: list[int]) -> None:
    heard = Heard()
    for seed in seeds:
        rng = random.Random(seed)
        heard.raw(rng.choice(list(Role)), wire(damaged(schemas(version).message(rng), rng)[1], rng))
    harmless(heard)


@given(
    st.floats(-LARGEST, LARGEST) | st.integers(-(10**308), 10**308),
    st.floats(-LARGEST, LARGEST) | st.integers(-(10**308), 10**308),
)
def test_every_number_can_be_told(one: float, other: float) -> None:
    for told in (number(one), number(one, signed=True), rate((one, other), "%"), span(one)):
        assert told.isprintable()
        assert len(told) < 60


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.25, "250 ms"),
        (2.5, "2.5 s"),
        (59.96, "60 s"),
        (60, "1 min"),
        (3599.9, "1 h"),
        (5400, "1 h 30 min"),
        (86400 * 3 + 5, "3 d"),
        (-60, "-1 min"),
        (1e20, "1.16e+15 d"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert span(seconds) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (999.96, "1000"),
        (1480.4, "1,480"),
        (-5000, "-5,000"),
        (1234567, "1,234,567"),
        (1e15, "1e+15"),
        (0.00001, "1e-05"),
        (float("inf"), "inf"),
    ],
)
def test_numbers(value: float, told: str) -> None:
    assert number(value) == told


def test_a_time_that_no_calendar_has() -> None:
    assert moment(1e20, 0.0) == "1e+20 s after 1970"


def test_a_large_description_and_what_refers_to_it_take_no_long_time() -> None:
    """Also an instruction for it: it is looked through once, not once for each mode."""
    heard = Heard()
    heard.begin()
    heard.select("FRBC")
    template = TEMPLATES["FRBC.SystemDescription"]
    actuator = template["actuators"][0]
    mode = actuator["operation_modes"][0]
    many = {**actuator, "operation_modes": [{**mode, "id": f"m{n}"} for n in range(3000)]}
    heard.rm("FRBC.SystemDescription", actuators=[many])
    heard.rm("FRBC.StorageStatus")
    last = {
        "message_type": "FRBC.Instruction",
        **TEMPLATES["FRBC.Instruction"],
        "actuator_id": identifier("actuator"),
        "operation_mode": "m2999",
    }
    heard.judge.judge(json.dumps(last).encode(), from_client=False, time=heard.now)
    assert heard.judge.meaning()  # what the description holds is worked out once
    assert min(_seconds(heard.judge) for _ in range(20)) < 0.005


def _seconds(listener: Listener) -> float:
    start = perf_counter()
    assert listener.meaning().startswith("idle at 0.5")
    return perf_counter() - start
