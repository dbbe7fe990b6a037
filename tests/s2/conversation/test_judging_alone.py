"""A message by itself is judged as its conversation would judge it before it asks the rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.conversation.alone import judge_alone
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.message.schemas import BUILT_IN, Schemas
from s2_mitm.s2.verdict import Severity, Source

WRONG = (
    b'{"message_type": "FRBC.StorageStatus", "message_id": "x", "present_fill_level": "5", "y": 1}'
)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(version="0.0.2-beta"),
        Settings(ignore=frozenset({"schema.type", "json.binary"})),
        Settings(severity={"schema.type": Severity.INFO}),
        Settings(schemas=Schemas(BUILT_IN / VERSIONS[-1])),
    ],
    ids=lambda settings: ",".join(
        name for name in Settings.__slots__ if getattr(settings, name) != getattr(Settings(), name)
    ),
)
@pytest.mark.parametrize("binary", [False, True])
@given(data=st.binary() | st.just(WRONG) | st.just(WRONG.replace(b'"5"', b"NaN")))
def test_it_is_what_a_conversation_says(settings: Settings, binary: bool, data: bytes) -> None:
    verdict = Judge(settings).judge(data, from_client=True, time=0.0, binary=binary)

    alone = judge_alone(data, settings, binary=binary)

    by_itself = [found for found in verdict.findings if found.source is not Source.RULE]
    assert alone.findings == by_itself
    assert (alone.message_type, alone.message_id) == (verdict.message_type, verdict.message_id)


def test_the_version_that_is_spoken_counts_before_that_of_the_settings() -> None:
    message = b'{"message_type": "DDBC.PresentDemandStatus"}'
    settings = Settings(version="0.0.2-beta")

    (unknown,) = judge_alone(message, settings).findings
    known = judge_alone(message, settings, version="1.0.0-beta").findings

    assert unknown.code == "schema.unknown-message-type"
    assert {found.code for found in known} == {"schema.missing"}
