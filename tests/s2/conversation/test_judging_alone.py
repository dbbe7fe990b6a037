"""A message by itself: what its conversation would say of it, whatever was said before."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.s2.catalog import VERSIONS, only_sender
from s2_mitm.s2.conversation.alone import judge_alone
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, Part
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples.script import Line, Script, play_right, play_wrong
from s2_mitm.s2.examples.templates import TEMPLATES, at, between
from s2_mitm.s2.message.schemas import BUILT_IN, Schemas
from s2_mitm.s2.rules import RULES, Found, Rule
from s2_mitm.s2.verdict import Role, Severity, Source, Verdict

WRONG = (
    b'{"message_type": "FRBC.StorageStatus", "message_id": "x", "present_fill_level": "5", "y": 1}'
)

RULES_ALONE = {rule for rules in RULES.values() for rule in rules if rule.alone}
ALONE = {rule.finding_type.code for rule in RULES_ALONE}

THAT_NOTHING_IS_KNOWN = {
    "handshake.not-seen",
    "modes.cannot-check",
    "pebc.cannot-check",
    "ppbc.cannot-check",
}
"""What is to be said of every message that comes after a beginning that was not seen."""


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
    known = judge_alone(message, settings, version="1.0.0").findings

    assert unknown.code == "schema.unknown-message-type"
    assert {found.code for found in known} == {"schema.missing"}


# Rules that need nothing but the message


def alone(verdict: Verdict, settings: Settings | None = None) -> list[str]:
    """The codes that are found in a message of a conversation, judged by itself."""
    data = json.dumps(verdict.message).encode()
    return [found.code for found in judge_alone(data, settings or Settings()).findings]


def found_without_a_conversation(rule: Rule, verdict: Verdict) -> bool:
    """Whether a rule finds something whoever sent the message, and whenever."""
    assert verdict.message is not None
    message_type = verdict.message_type or ""
    role = verdict.message.get("role")
    sender = only_sender(message_type) or (Role(role) if role in set(Role) else None)
    for speaker in [sender] if sender else Role:
        for now in (0.0, verdict.time, 4e9):
            conversation = Conversation(from_start=False)
            conversation.it_is(now, None)
            message = Message(
                1,
                now,
                now,
                speaker,
                message_type,
                verdict.message_id,
                Part(verdict.message),
                100,
                True,
                True,
                False,
            )
            if not any(isinstance(found, Found) for found in rule.check(message, conversation)):
                return False
    return True


def asked() -> Iterator[tuple[Rule, set[str]]]:
    """Each rule that is asked about messages, and the types of these."""
    occasions: dict[Rule, set[str]] = {}
    for occasion, rules in RULES.items():
        for rule in rules:
            occasions.setdefault(rule, set()).add(occasion)
    return iter(occasions.items())


@pytest.mark.parametrize(("rule", "types"), asked(), ids=lambda item: getattr(item, "check", ""))
def test_a_rule_says_whether_it_needs_nothing_but_the_message(rule: Rule, types: set[str]) -> None:
    code = rule.finding_type.code
    wrong: list[Line] = [
        line
        for line in play_wrong(rule.finding_type)
        if line.verdict.message_type in types
        and any(found.code == code for found in line.verdict.findings)
    ]
    if rule.alone:
        assert wrong
        for line in wrong:
            assert code in alone(line.verdict), "it needs more than the message: not alone=True"
        for line in play_right(rule.finding_type):
            assert code not in alone(line.verdict)
    elif code not in THAT_NOTHING_IS_KNOWN:
        for line in wrong:
            assert not found_without_a_conversation(rule, line.verdict), (
                f"{code} needs nothing but the message: say alone=True in its @rule"
            )


def said(message_type: str, sender: Role = Role.RM, **fields: object) -> Verdict:
    """A message of its template with some fields changed, after nothing else."""
    script = Script()
    script.inject(sender, message_type, **fields)
    return script.lines[0].verdict


def test_messages_that_are_wrong_by_themselves() -> None:
    envelope = {
        "id": "#envelope",
        "commodity_quantity": "ELECTRIC.POWER.L1",
        "power_envelope_elements": [{"duration": 1000, "lower_limit": 5, "upper_limit": -5}],
    }
    storage = TEMPLATES["FRBC.SystemDescription"]["storage"]

    assert alone(said("PEBC.Instruction", Role.CEM, power_envelopes=[envelope])) == [
        "pebc.limits-crossed"
    ]
    assert alone(said("Handshake", supported_protocol_versions=None)) == ["handshake.no-versions"]
    assert alone(said("FRBC.Instruction", Role.CEM, operation_mode_factor=2303)) == ["modes.factor"]
    assert alone(
        said("FRBC.SystemDescription", storage={**storage, "fill_level_range": between(100, 0)})
    ) == ["modes.range-order"]
    assert alone(said("PEBC.EnergyConstraint", valid_from=at(60), valid_until=at(0))) == [
        "time.order"
    ]


def test_what_depends_on_who_sent_it_is_not_said() -> None:
    without_role = said("Handshake", role=17, supported_protocol_versions=None)
    assert alone(without_role) == ["schema.type"]
    of_the_cem = said("Handshake", Role.CEM, supported_protocol_versions=None)
    assert alone(of_the_cem) == []


def test_what_depends_on_the_time_or_on_what_was_said_before_is_not_said() -> None:
    assert alone(said("FRBC.Instruction", Role.CEM, execution_time="1999-01-01T00:00:00Z")) == []
    assert alone(said("PowerMeasurement", measurement_timestamp="2999-01-01T00:00:00Z")) == []
    assert alone(said("InstructionStatusUpdate")) == []
    assert alone(said("ReceptionStatus", subject_message_id="#never", status="OK")) == []


def test_what_the_user_does_not_want_is_not_said() -> None:
    factor = said("FRBC.Instruction", Role.CEM, operation_mode_factor=2303)

    assert alone(factor, Settings(ignore=frozenset({"modes.factor"}))) == []
    data = json.dumps(factor.message).encode()
    settings = Settings(severity={"modes.factor": Severity.INFO})
    assert [found.severity for found in judge_alone(data, settings).findings] == [Severity.INFO]


def test_the_finding_of_a_rule_takes_the_place_of_that_of_s2_python() -> None:
    value = {"commodity_quantity": "ELECTRIC.POWER.L1", "value": 1}
    assert alone(said("PowerMeasurement", values=[value, value])) == ["measurement.quantity-twice"]
