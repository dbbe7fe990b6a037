"""How to measure: processor time, in rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Options:
    """How to measure: for how many seconds each row, and how much."""

    seconds: float
    quick: bool
    conversations: Sequence[int]
    pairs: int
    without_rules: bool


def rounds(tasks: dict[str, Callable[[], object]], seconds: float) -> Iterator[dict[str, float]]:
    """Measure every task once a round, for about so long; yields seconds a call, by task."""
    calls = {name: _calls_in(task, 0.01) for name, task in tasks.items()}
    end = perf_counter() + seconds
    made = 0
    while perf_counter() < end or made < 5:
        yield {name: _time(task, calls[name]) / calls[name] for name, task in tasks.items()}
        made += 1


def _calls_in(task: Callable[[], object], seconds: float) -> int:
    """How many calls take about so long; at least one. The first one warms up."""
    task()
    number = 1
    while (took := _time(task, number)) < seconds / 2:
        number *= 2 if took < seconds / 20 else 3
    return number


def _time(task: Callable[[], object], number: int) -> float:
    repeats = range(number)
    start = process_time()
    for _ in repeats:
        task()
    return process_time() - start
