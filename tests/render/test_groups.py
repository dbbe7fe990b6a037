"""What is found again and again is told once and counted, whatever a peer sends."""

from __future__ import annotations

import re

import click
from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.render.groups import MOST_GROUPS, OTHERS, Groups, Place, group_lines
from s2_mitm.s2.verdict import Finding, Severity, Source


def add(groups: Groups, code: str = "schema.type", path: str = "", **more: str) -> None:
    severity = Severity(more.get("severity", "error"))
    finding = Finding(code, severity, Source.RULE, path, more.get("text", "text"))
    sender, message_type = more.get("sender", "RM"), more.get("message_type", "PowerMeasurement")
    place = Place(more.get("number", "#1"), more.get("time", ""))
    groups.add(finding, sender, message_type, place)


def lines(groups: Groups, most: int | None = None, width: int | None = None) -> list[str]:
    return [click.unstyle(line) for line in group_lines(groups, most=most, width=width)]


def test_the_same_again_is_counted() -> None:
    groups = Groups()
    add(groups, path="/values/0/value", number="#3", time="12:00:01", text="the first")
    add(groups, path="/values/12/value", number="#9", time="12:00:07", text="another")
    assert lines(groups) == [
        "     2× error schema.type · RM PowerMeasurement /values/*/value",
        "        #3 at 12:00:01 to #9 at 12:00:07: the first",
    ]


def test_another_field_side_type_code_or_severity_is_another_group() -> None:
    groups = Groups()
    add(groups)
    add(groups, path="/value")
    add(groups, sender="CEM")
    add(groups, message_type="PowerForecast")
    add(groups, code="schema.enum")
    add(groups, severity="warning")
    assert len(groups) == 6
    assert {group.count for group in groups} == {1}


def test_the_worst_and_then_the_most_frequent_first() -> None:
    groups = Groups()
    for code, severity, times in (
        ("hint.a", "info", 9),
        ("ids.b", "warning", 5),
        ("json.c", "error", 1),
        ("json.d", "error", 3),
    ):
        for _ in range(times):
            add(groups, code, severity=severity)
    assert [(group.count, group.code) for group in groups] == [
        (3, "json.d"),
        (1, "json.c"),
        (5, "ids.b"),
        (9, "hint.a"),
    ]
    assert lines(groups, most=2)[-1] == "        and 2 more kinds of findings"
    assert lines(groups, most=3)[-1] == "        and 1 more kind of findings"
    assert len(lines(groups, most=4)) == 8


@given(st.lists(st.text(max_size=300), max_size=60))
def test_a_line_is_a_line_whatever_is_in_it(texts: list[str]) -> None:
    groups = Groups()
    for text in texts:
        add(groups, path=f"/{text}", message_type=text, text=text)
    told = list(group_lines(groups))
    assert all(click.unstyle(line).isprintable() for line in told)
    assert sum(group.count for group in groups) == len(texts)


def test_the_groups_do_not_grow_without_a_bound() -> None:
    groups = Groups()
    for number in range(MOST_GROUPS + 100):
        add(groups, path=f"/x{number}")
    assert len(groups) == MOST_GROUPS + 1
    [others] = [group for group in groups if group.code == OTHERS]
    assert others.count == 100
    assert sum(group.count for group in groups) == MOST_GROUPS + 100


def test_lines_fit_the_terminal() -> None:
    groups = Groups()
    add(groups, text="a sentence of several words that is longer than the terminal is wide" * 2)
    assert all(len(line) <= 80 for line in lines(groups, width=80))
    assert re.fullmatch(r" {8}#1: a sentence.*", lines(groups, width=80)[1])
