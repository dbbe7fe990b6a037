"""Whatever the two sides send, no rule raises, findings are safe to show, and memory is bounded."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2_mitm.s2.conversation import memory, validity
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.examples.script import Script, identifier
from s2_mitm.s2.examples.templates import DESCRIBED, TEMPLATES
from s2_mitm.s2.verdict import MAX_FINDINGS, Role

BOUNDS: dict[str, Any] = {
    "MAX_UNANSWERED": 7,
    "MAX_INSTRUCTIONS": 6,
    "MAX_IDS": 9,
    "MAX_TIMERS": 5,
    "MAX_PLANS": 4,
    "MAX_PLANNED": 3,
}
"""Smaller than in earnest, so that a short conversation comes to them."""

NASTY: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    1e308,
    -1e308,
    10**400,
    -(10**4000),
    float("nan"),
    float("inf"),
    "",
    "x" * 300,
    "\ud800",
    "\x1b[2J\u202e\x00",
    "#instruction",
    "#actuator",
    "#constraints",
    "#idle",
    "NEW",
    "OK",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:60-23:59",
    "2026-03-01T12:00:00Z",
    [],
    {},
    [None, 17, [], {}],
    {"id": {}, "elements": [1]},
]

FIELDS = sorted({name for template in TEMPLATES.values() for name in template})

values = st.one_of(
    st.sampled_from(NASTY),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3)
        ),
        max_leaves=5,
    ),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a message with every key in it."""
    found: list[tuple[Any, Any]] = []
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += places(value[key])
    return found


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """A message of any type with a few things changed, or none."""
    message_type = draw(st.sampled_from(sorted(TEMPLATES)))
    message: dict[str, Any] = {
        "message_type": message_type,
        "message_id": draw(st.sampled_from(["#a", "#b", "#c"]) | st.uuids().map(str)),
        **deepcopy(TEMPLATES[message_type]),
    }
    if message_type == "ReceptionStatus":
        message["subject_message_id"] = draw(st.sampled_from(["#a", "#b", "#c"]))
        message["status"] = draw(st.sampled_from(["OK", "INVALID_CONTENT"]))
    for _ in range(draw(st.integers(0, 3))):
        within, key = draw(st.sampled_from(places(message)))
        match draw(st.sampled_from(["replace", "remove", "repeat"])):
            case "remove" if isinstance(within, dict):
                del within[key]
            case "repeat" if isinstance(within, list):
                within += deepcopy(within)
            case _:
                within[key] = deepcopy(draw(values))  # it may be changed further
    return message


NAMED = sorted({"a", "b", "c", *re.findall(r'"#([^"]+)"', json.dumps(TEMPLATES))})
"""The names of ids in the templates, and those of messages."""


def sent(message: dict[str, Any]) -> bytes:
    """As it goes over the wire, with ids in place of their names."""
    text = json.dumps(message)
    for name in NAMED:
        text = text.replace(f'"#{name}"', f'"{identifier(name)}"')
    return text.encode(errors="surrogatepass")


def check_bounds(conversation: Conversation) -> None:
    """Nothing that is remembered has grown beyond its bound."""
    unanswered, instructions = BOUNDS["MAX_UNANSWERED"], BOUNDS["MAX_INSTRUCTIONS"]
    for name, value in vars(conversation).items():
        if not isinstance(value, dict | set | list):
            continue
        match name:
            case "unanswered" | "overdue" | "answered" | "_revoking":
                most = unanswered
            case "instructions" | "instructions_by_message" | "latest_instructions":
                most = instructions
            case "active_modes" | "timers" | "progress":
                most = BOUNDS["MAX_TIMERS"]
            case "plans":
                most = BOUNDS["MAX_PLANS"]
            case "_ids":
                most = BOUNDS["MAX_IDS"]
            case _:
                most = 50  # kinds of things: message types, roles, severities, what was said once
        assert len(value) <= most, name
    assert all(len(ids) <= BOUNDS["MAX_IDS"] for ids in conversation._message_ids.values())
    assert all(len(plan) <= BOUNDS["MAX_PLANNED"] for plan in conversation.plans.values())
    assert all(
        len(held.all) <= validity.MAX_DESCRIPTIONS for held in conversation.descriptions.values()
    )


@pytest.mark.parametrize("family", [None, *DESCRIBED])
@given(
    said=st.lists(
        st.tuples(st.sampled_from(list(Role)), messages(), st.booleans(), st.floats(0, 100)),
        min_size=1,
        max_size=12,
    )
)
@settings(deadline=None, max_examples=60)
def test_whatever_is_said(
    family: str | None, said: list[tuple[Role, dict[str, Any], bool, float]]
) -> None:
    with patch.multiple(memory, **BOUNDS):
        script = Script()
        script.begin(family)
        for role, message, injected, pause in said:
            before = len(script.findings)
            script._receive(role, sent(message), injected=injected)
            assert len(script.findings) - before <= MAX_FINDINGS * 10
            script.wait(pause)
            check_bounds(script.conversation)
        script.close()
    for finding in script.findings:
        assert finding.text.isprintable(), finding
        assert finding.hint.isprintable(), finding
        assert len(finding.text) < 2000
        json.dumps(finding.as_dict()).encode()
        finding.path.encode()


def test_a_peer_that_never_repeats_itself() -> None:
    """Ids that are all new, selections one after the other, nothing answered."""
    with patch.multiple(memory, **BOUNDS):
        script = Script()
        script.begin("FRBC")
        families = sorted(DESCRIBED)
        for number in range(60):
            for message_type, template in TEMPLATES.items():
                fresh = {
                    name: f"#{name}-{number}"
                    for name, value in template.items()
                    if isinstance(value, str) and value.startswith("#")
                }
                if message_type not in ("ReceptionStatus", "SelectControlType"):
                    script.inject(Role.RM if number % 2 else Role.CEM, message_type, **fresh)
            script.select(families[number // 7 % len(families)], answer=None)
            check_bounds(script.conversation)
