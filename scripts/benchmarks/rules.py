"""What the conversation costs a message, over the demo's traffic and as a session grows long."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import randrange
from statistics import median
from time import perf_counter, process_time
from types import FunctionType, ModuleType
from typing import Any

from benchmarks.measuring import Options, Rows
from benchmarks.printing import print_goal, print_table
from benchmarks.sessions import Frame, LongSession, demo_traffic
from s2_mitm.s2.conversation import message as s2_message
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.rules import RULES, rules_in

RULES_GOAL = 30.0
"""All rules together, over the demo's traffic: microseconds a message."""

GROWTH_GOAL = 1.1
"""A message late in a long session: times one after the first thousand. No growth, but noise."""


@contextmanager
def no_rules() -> Iterator[None]:
    """While it lasts, conversations have no rule to ask."""
    kept = {occasion: [*rules] for occasion, rules in RULES.items()}
    for rules in RULES.values():
        rules.clear()
    rules_in.cache_clear()
    try:
        yield
    finally:
        for occasion, rules in kept.items():
            RULES[occasion].extend(rules)
        rules_in.cache_clear()


Calls = list[Callable[[], object]]


def receiving(traffic: Sequence[Frame]) -> Calls:
    """A conversation that receives a message a call."""
    whole = Judge()
    return [
        partial(whole.receive, each.data, from_client=each.from_client, time=each.time)
        for each in traffic
    ]


def judging(traffic: Sequence[Frame]) -> Calls:
    """The verdict alone on a message a call, as a conversation asks for it."""
    whole, calls = Judge(), Calls()
    for each in traffic:
        calls.append(partial(judge, each.data, version=whole.conversation.versions, time=each.time))
        whole.receive(each.data, from_client=each.from_client, time=each.time)
    return calls


def layers(traffic: Sequence[Frame], seconds: float) -> Iterator[dict[str, list[float]]]:
    """Play the traffic with less and less of the conversation; microseconds of each message.

    The last in each list is the processor time of them all.
    """
    end = perf_counter() + seconds
    made = 0
    while made < 6 or perf_counter() < end:
        times = {"receive": _clocked(receiving(traffic))}
        with no_rules():
            times["no rules"] = _clocked(receiving(traffic))
        times["judge"] = _clocked(judging(traffic))
        if made:  # the first one warms up
            yield times
        made += 1


_garbage: list[list[None]] = []


def _clocked(calls: Calls) -> list[float]:
    s2_message._seconds_of.cache_clear()  # or the same times come again, as they never do
    # Nor does the garbage collector come at the same messages.
    _garbage[:] = [[] for _ in range(randrange(gc.get_threshold()[0]))]
    times = []
    start = process_time()
    for call in calls:
        before = perf_counter()
        call()
        times.append(perf_counter() - before)
    return [each * 1e6 for each in (*times, process_time() - start)]


def cost_of_layers(traffic: Sequence[Frame], seconds: float) -> Rows:
    """What the conversation costs a message: on average, and by message type."""
    made = list(layers(traffic, seconds))
    by_type: dict[str, list[int]] = {}
    for place, frame in enumerate(traffic):
        by_type.setdefault(str(judge(frame.data).message_type), []).append(place)

    def row(name: str, places: Sequence[int], number: int) -> dict[str, Any]:
        took = {
            layer: [sum(times[layer][place] for place in places) / number for times in made]
            for layer in made[0]
        }
        rules = map(float.__sub__, took["receive"], took["no rules"])
        taking_in = map(float.__sub__, took["no rules"], took["judge"])
        both = map(float.__sub__, took["receive"], took["judge"])
        figures = {
            "judge": median(took["judge"]),
            "rules": median(rules),
            "taking in": median(taking_in),
            "rules + taking in": median(both),
            "receive": median(took["receive"]),
        }
        return {
            "message": name,
            "messages": number,
            "rounds": len(made),
            **{layer: round(figure, 3) for layer, figure in figures.items()},
        }

    rows = [row(name, places, len(places)) for name, places in sorted(by_type.items())]
    return [*rows, row("all", [len(traffic)], len(traffic))]


def measure_long_session(lengths: Sequence[int], seconds: float) -> Rows:
    """A row for each length of a session: a message then, and one after the first thousand."""
    session = LongSession()
    rows: Rows = []
    memory = resident_memory()
    for length in lengths:
        while session.judge.messages < length:
            session.say(1000)
        then: list[float] = []
        young: list[float] = []
        end = perf_counter() + seconds
        while len(then) < 5 or perf_counter() < end:
            other = LongSession()
            other.say(1000)
            young.append(other.say(500))
            then.append(session.say(500))
        rows.append(
            {
                "messages": length,
                "then": round(median(then), 3),
                "after 1,000": round(median(young), 3),
                "then : after 1,000": round(median(map(float.__truediv__, then, young)), 3),
                "conversation": weight(session.judge),
                "process": resident_memory() - memory,
                "rounds": len(then),
            }
        )
    if session.judge.findings:
        sys.exit(f"bench: the session has findings: {session.judge.findings}")
    return rows


def weight(thing: object) -> int:
    """Bytes of a thing and of all that it holds, but for code."""
    seen: set[int] = set()
    waiting, total = [thing], 0
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, type | ModuleType | FunctionType):
            seen.add(id(each))
            total += sys.getsizeof(each)
            waiting += gc.get_referents(each)
    return total


def resident_memory() -> int:
    """Bytes of memory that this process has now; 0 where nothing tells."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def measure(options: Options) -> Rows:
    """Over the demo's traffic, a row a message type; then a row for each length of a session."""
    traffic = asyncio.run(demo_traffic(seconds=2.0))
    demo = [{"of": "demo", **row} for row in cost_of_layers(traffic, options.seconds)]
    lengths = [10_000, 100_000] if options.quick else [10_000, 100_000, 1_000_000]
    long = measure_long_session(lengths, options.seconds)
    return [*demo, *({"of": "a long session", **row} for row in long)]


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The tables of this section, and whether its goals are met."""
    print("The demo's traffic, microseconds a message\n")
    columns = ("judge", "rules", "taking in", "rules + taking in", "receive")
    demo = [row for row in rows if row["of"] == "demo"]
    lines: list[tuple[str, ...]] = [("", "messages", *columns)]
    lines += [
        (row["message"], f"{row['messages']:,}", *(f"{row[name]:,.1f}" for name in columns))
        for row in demo
    ]
    print_table(lines, left=1)
    print("\nreceive: the whole. rules: that without any rule, less. judge: the verdict alone.")
    print_goal("The rules, microseconds a message", demo[-1]["rules"], RULES_GOAL)

    print("One session of PowerMeasurement and ReceptionStatus, microseconds a message\n")
    long = [row for row in rows if row["of"] != "demo"]
    times = ("then", "after 1,000", "then : after 1,000")
    lines = [("after messages", *times, "conversation, kB", "process, MB more")]
    for row in long:
        took = (f"{row['then']:,.1f}", f"{row['after 1,000']:,.1f}")
        memory = (f"{row['conversation'] / 1e3:,.0f}", f"{row['process'] / 1e6:,.1f}")
        lines.append((f"{row['messages']:,}", *took, f"{row['then : after 1,000']:.2f}", *memory))
    print_table(lines, left=0)
    last = long[-1]
    what = f"A message after {last['messages']:,} : one after 1,000"
    print_goal(what, last["then : after 1,000"], GROWTH_GOAL)
