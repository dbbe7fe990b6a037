"""While the version is unknown only that is wrong which is wrong in each; then a message tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from s2_mitm.s2.catalog import MESSAGE_TYPES, TELLING, VERSIONS
from s2_mitm.s2.conversation.alone import judge_alone
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.message.schemas import BUILT_IN, Schemas
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.rules import RULES, Found, rule, rules_in
from s2_mitm.s2.verdict import Role, Severity

OLD, NEW = VERSIONS

WITH_RATE = 'rm("DDBC.SystemDescription", answer={answer})\n'
WITHOUT_RATE = 'rm("DDBC.SystemDescription", present_demand_rate=None, answer={answer})\n'
RATE = 'rm("DDBC.PresentDemandStatus", answer={answer})\n'
UNSHAKEN = 'rm("ResourceManagerDetails")\nselect("DDBC")\n'


def by_message(script: str, settings: Settings | None = None) -> tuple[list[str], str | None]:
    """What schema and s2-python find in a conversation without handshake, and its version then."""
    played = Script(settings).run(UNSHAKEN + script.replace("{answer}", '"OK"'))
    said = [code for code in played.codes if code.startswith(("schema.", "s2-python."))]
    return said, played.conversation.version


@pytest.mark.parametrize(
    ("script", "found", "version"),
    [
        ("", [], None),
        ('rm("DDBC.ActuatorStatus")', [], None),
        (WITH_RATE, [], OLD),
        (WITHOUT_RATE, [], NEW),
        (RATE, [], NEW),
        (WITHOUT_RATE + RATE + WITHOUT_RATE, [], NEW),
        # The first that tells decides.
        (WITH_RATE + RATE, ["schema.unknown-message-type"], OLD),
        (WITH_RATE + WITHOUT_RATE, ["schema.missing"], OLD),
        (WITHOUT_RATE + WITH_RATE, ["schema.unknown-field"], NEW),
        (RATE + WITH_RATE, ["schema.unknown-field"], NEW),
    ],
)
def test_the_first_message_that_fits_one_version_alone_decides(
    script: str, found: list[str], version: str | None
) -> None:
    assert by_message(script) == (found, version)


def test_what_fits_none_is_told_as_in_the_one_where_the_least_is_wrong() -> None:
    wrong = 'rm("DDBC.SystemDescription", {} valid_from="noon")\n'

    assert by_message(wrong.format("")) == (["schema.format"], None)
    assert by_message(wrong.format("present_demand_rate=None,")) == (["schema.format"], None)
    # And so it is with a type that only one version has: that much is sure.
    assert by_message('rm("DDBC.PresentDemandStatus", present_demand_rate=1)') == (
        ["schema.type"],
        NEW,
    )


def test_a_type_that_no_version_has() -> None:
    script = Script()
    script.raw(Role.RM, b'{"message_type": "PowerMesurement"}')
    [finding] = script.findings
    assert finding.text == 'text "PowerMesurement" is no message type of S2'
    assert finding.hint == 'Send "PowerMeasurement".'


@pytest.mark.parametrize("answer", [OLD, NEW])
def test_what_the_user_or_a_handshake_says_is_known(answer: str) -> None:
    other = WITHOUT_RATE if answer == OLD else WITH_RATE
    code = "schema.missing" if answer == OLD else "schema.unknown-field"

    assert by_message(other, Settings(version=answer)) == ([code], answer)
    shaken = (
        f'rm("Handshake", supported_protocol_versions=["{answer}"])\ncem("Handshake")\n'
        f'cem("HandshakeResponse", selected_protocol_version="v{answer}")\n'
    )
    assert by_message(shaken + other) == ([code], answer)
    # The handshake overrules a message that came before it.
    assert by_message(other + shaken + other) == ([code], answer)


@pytest.mark.parametrize("selected", ["0.0.3", "7", "latest", ""])
def test_a_version_that_nobody_knows_may_be_like_any(selected: str) -> None:
    shaken = (
        f'rm("Handshake", supported_protocol_versions=["{selected}"])\ncem("Handshake")\n'
        f'cem("HandshakeResponse", selected_protocol_version="{selected}")\n'
    )
    assert by_message(shaken) == ([], None)
    assert by_message(shaken + WITH_RATE) == ([], OLD)
    assert by_message(shaken + WITHOUT_RATE) == ([], NEW)


def test_an_rm_need_not_speak_what_it_did_not_offer() -> None:
    """The selection was told of already; what follows from it is not a second fault."""
    shaken = (
        'rm("Handshake", supported_protocol_versions=["{}"])\ncem("Handshake")\n'
        'cem("HandshakeResponse", selected_protocol_version="{}")\n'
    )
    assert by_message(shaken.format(OLD, NEW) + WITH_RATE) == ([], OLD)
    assert by_message(shaken.format(NEW, OLD) + WITHOUT_RATE) == ([], NEW)
    # The names of a beta and of its release are different, the schemas are not.
    assert by_message(shaken.format("1.0.0-beta", NEW) + WITH_RATE) == (
        ["schema.unknown-field"],
        NEW,
    )


def test_what_was_not_delivered_decides_nothing() -> None:
    script = Script().run(UNSHAKEN)
    status = Script().run('rm("DDBC.PresentDemandStatus", message_id="#one", answer=None)')
    data = json.dumps(status.lines[0].verdict.message).encode()

    verdict = script.judge.judge(data, from_client=True, time=script.now)
    script.judge.discard()

    assert verdict.findings == []
    assert script.conversation.version is None


def test_the_schemas_of_the_user_are_the_only_ones() -> None:
    for version, script, code in (
        (OLD, WITHOUT_RATE, "schema.missing"),
        (NEW, WITH_RATE, "schema.unknown-field"),
    ):
        own = Settings(schemas=Schemas(BUILT_IN / version))
        assert by_message(script, own)[0] == [code]


def test_a_message_alone_may_be_of_any_version() -> None:
    for script in (WITH_RATE, WITHOUT_RATE, RATE):
        said = Script().run(script.replace("{answer}", "None")).lines[0].verdict.message
        data = json.dumps(said).encode()
        assert judge(data).findings == []
        assert judge_alone(data, Settings()).findings == []
        assert {judge(data, version=each).valid for each in VERSIONS} == {True, False}


def test_the_other_schemas_are_asked_only_where_they_may_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script().run(UNSHAKEN)
    asked: list[str] = []
    of = Schemas._of

    def noted(schemas: Schemas, message_type: str) -> Any:
        asked.append(message_type)
        return of(schemas, message_type)

    monkeypatch.setattr(Schemas, "_of", noted)

    script.rm("PowerMeasurement", values=[], answer=None)
    assert asked == ["PowerMeasurement"]
    script.rm("DDBC.SystemDescription", answer=None)
    assert len(asked) == 4  # by itself, and once with each version when it was delivered
    script.rm("DDBC.SystemDescription", answer=None)
    assert len(asked) == 5


@pytest.fixture
def rule_of_new() -> Iterator[Callable[[list[str]], None]]:
    """Adds a rule of the newer version; it is taken out after the test."""
    before = {occasion: list(rules) for occasion, rules in RULES.items()}

    def always(message: Message, conversation: Conversation) -> Iterator[Found]:
        """A rule for a test.

        It finds something in every message.

        Where: nowhere.
        Why: it is a test.
        Wrong:
            begin()
        Right:
            begin()
        Do: Nothing.
        """
        yield Found("", "found")

    def add(on: list[str]) -> None:
        rule("versions.always", Severity.ERROR, on, versions=[NEW], alone=True)(always)

    yield add
    RULES.update(before)
    del FINDING_TYPES["versions.always"]
    rules_in.cache_clear()


def test_a_rule_that_not_all_versions_have_is_not_asked(
    rule_of_new: Callable[[list[str]], None],
) -> None:
    rule_of_new(["PowerMeasurement", "DDBC.PresentDemandStatus"])

    def said(script: str) -> int:
        return Script().run(UNSHAKEN + script).codes.count("versions.always")

    assert said('rm("PowerMeasurement")') == 0
    assert said('rm("DDBC.PresentDemandStatus")\nrm("PowerMeasurement")') == 2
    measured = b'{"message_type": "PowerMeasurement"}'
    for version, times in ((None, 0), (OLD, 0), (NEW, 1)):
        alone = judge_alone(measured, Settings(version=version))
        assert [each.code for each in alone.findings].count("versions.always") == times


def test_the_types_that_tell_versions_apart() -> None:
    """By the schemas themselves: all others are the same in each version."""
    bundled = {
        (version, name): Schemas(BUILT_IN / version)._bundle(name)._with_definitions({})
        | Schemas(BUILT_IN / version)._bundle(name)._schema
        for version in VERSIONS
        for name in MESSAGE_TYPES
        if version in MESSAGE_TYPES[name].versions
    }
    changed = {
        (name, version)
        for name, row in MESSAGE_TYPES.items()
        for before, version in zip(row.versions, row.versions[1:], strict=False)
        if bundled[before, name] != bundled[version, name]
    }
    assert changed == {(row.name, each) for row in MESSAGE_TYPES.values() for each in row.changed}
    assert {name for name, _ in changed} < TELLING
