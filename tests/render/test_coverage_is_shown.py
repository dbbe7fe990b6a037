"""``s2-mitm rules --coverage`` claims no more than a conversation shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from statements import BROKEN, MODES, SCHEMA, WITHIN, Broken

from s2_mitm.render.coverage import BY_SCHEMA, coverage
from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.examples.script import Line, Script
from s2_mitm.s2.examples.templates import TEMPLATES, changed

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT.parent / "shared" / "spec" / "normative-statements.json"
NUMBERS = [f"N{number:02}" for number in range(1, 71)]


def claimed() -> set[tuple[str, str]]:
    """Every sentence with each of those that are said to check it."""
    rules = {
        (each.id, code)
        for each in coverage([{"id": number} for number in NUMBERS])
        for code in each.rules
    }
    return rules | {(number, SCHEMA) for number in BY_SCHEMA}


def without_last_answer(lines: list[Line]) -> list[Line]:
    """The conversation up to the message at fault, which is the last that is no answer."""
    while lines[-1].verdict.message_type == "ReceptionStatus":
        lines = lines[:-1]
    return lines


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each version of S2: the scripts are spoken in it."""
    spoken: str = request.param
    monkeypatch.setitem(TEMPLATES, "Handshake", {"supported_protocol_versions": [spoken]})
    monkeypatch.setitem(TEMPLATES, "HandshakeResponse", {"selected_protocol_version": spoken})
    if spoken != VERSIONS[0]:  # where the demand has a message of its own
        ddbc = changed(TEMPLATES["DDBC.SystemDescription"], {"present_demand_rate": None})
        monkeypatch.setitem(TEMPLATES, "DDBC.SystemDescription", ddbc)
    return spoken


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_what_breaks_a_sentence_is_found_in_the_message_at_fault(broken: Broken) -> None:
    *before, at_fault = without_last_answer(Script().run(broken.script).lines)
    told = {finding.code for line in before for finding in line.verdict.findings}
    assert told <= {"ack.refused"}  # a refusal is told, and is no fault
    assert {finding.code for finding in at_fault.verdict.findings} == {broken.found}


def test_every_claim_has_a_script() -> None:
    assert claimed() - {(broken.number, broken.found) for broken in BROKEN} == set()


def test_every_script_has_a_claim() -> None:
    assert {(broken.number, broken.found) for broken in BROKEN} - claimed() == set()


def places(number: str, where: list[str]) -> Iterator[str]:
    """The places of a sentence; those in a part of several messages once for each of them."""
    for place in dict.fromkeys(where):
        if place.partition("/")[0] in WITHIN:
            yield from (f"{family} {place}" for family in MODES)
        else:
            yield place


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published sentences are not beside us")
def test_every_place_of_a_claimed_sentence_has_a_script() -> None:
    """By a rule where rules are claimed, and by the schema where that is claimed."""
    published = {each["id"]: each["where"] for each in json.loads(PUBLISHED.read_bytes())}
    wanted = {
        (number, place, code == SCHEMA)
        for number, code in claimed()
        for place in places(number, published[number])
    }
    shown = {
        (broken.number, place, broken.found == SCHEMA)
        for broken in BROKEN
        for place in broken.places
    }
    assert wanted - shown == set()
    assert shown - wanted == set()
