"""Two engines, one verdict: jsonschema-rs, which decides, and jsonschema see every message alike.

And whatever is wrong with a message, what is said of it points into the message, says nothing
twice, and comes to an end.
"""

from __future__ import annotations

import copy
import json
import random
from functools import cache

import pytest
from generated import FAULTS, Message, SchemaFolder, is_well_said, mutated, places, stream, wire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.message.schemas import BUILT_IN
from s2_mitm.s2.message.validation import built_in, judge
from s2_mitm.s2.verdict import Severity

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Half surrogate pairs are the reader's business: they never get as far as the schemas.
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@cache
def ours(version: str) -> SchemaFolder:
    return SchemaFolder(BUILT_IN / version)


@cache
def examples(version: str) -> list[Message]:
    """Three valid messages of each type."""
    rng = random.Random(0)
    return [
        ours(version).message(rng, name) for name in ours(version).message_types for _ in range(3)
    ]


def agrees(version: str, message_type: str, message: Message) -> None:
    """Fail unless both engines say the same."""
    findings = built_in(version).check(message_type, message)
    by_jsonschema = ours(version).accepts_as(message_type, message)
    assert by_jsonschema == (not findings), (findings, json.dumps(message))
    assert all(finding.severity is Severity.ERROR for finding in findings)
    assert "schema.other" not in {finding.code for finding in findings}, (findings, message)
    is_well_said(findings, message)


@pytest.mark.parametrize("version", VERSIONS)
def test_on_generated_messages_of_every_type(version: str) -> None:
    for _, message in stream(ours(version), 11, 900):
        if message.get("message_type") in ours(version).message_types:
            agrees(version, message["message_type"], message)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_on_every_fault(version: str, fault: str) -> None:
    rng = random.Random(fault)
    for message in examples(version):
        changed = copy.deepcopy(message)
        if FAULTS[fault](changed, rng):
            agrees(version, message["message_type"], changed)


@pytest.mark.parametrize("version", VERSIONS)
@given(seed=st.integers(0, 2**64 - 1))
@SLOW
def test_on_faults_from_any_seed(version: str, seed: int) -> None:
    rng = random.Random(seed)
    message = ours(version).message(rng)

    agrees(version, message["message_type"], message)
    agrees(version, message["message_type"], mutated(message, rng)[1])


@pytest.mark.parametrize("version", VERSIONS)
@given(data=st.data())
@SLOW
def test_on_any_json_in_any_place(version: str, data: st.DataObject) -> None:
    message = copy.deepcopy(data.draw(st.sampled_from(examples(version))))
    message_type = message["message_type"]
    holder, key = data.draw(st.sampled_from(places(message)))
    holder[key] = data.draw(JSON)

    agrees(version, message_type, message)


@pytest.mark.parametrize("version", VERSIONS)
@given(message=st.dictionaries(st.text(st.characters(codec="utf-8")), JSON), data=st.data())
@SLOW
def test_on_any_object(version: str, message: Message, data: st.DataObject) -> None:
    message_type = data.draw(st.sampled_from(ours(version).message_types))

    agrees(version, message_type, message)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("seed", range(3))
def test_the_whole_verdict_is_well_said(version: str, seed: int) -> None:
    for _, message in stream(ours(version), seed, 600):
        verdict = judge(wire(message), version=version)

        assert verdict.message is not None
        is_well_said(verdict.findings, verdict.message)


@pytest.mark.parametrize("version", VERSIONS)
@given(data=st.data())
@SLOW
def test_the_verdict_on_any_json_in_any_place_is_well_said(
    version: str, data: st.DataObject
) -> None:
    message = copy.deepcopy(data.draw(st.sampled_from(examples(version))))
    holder, key = data.draw(st.sampled_from(places(message)))
    holder[key] = data.draw(JSON)

    verdict = judge(wire(message), version=version)

    assert verdict.message is not None
    is_well_said(verdict.findings, verdict.message)
