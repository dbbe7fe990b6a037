"""What the user does not want to hear, and what the user takes more or less seriously."""

from __future__ import annotations

import re

import pytest

from s2_mitm.s2.choice import parse_codes, parse_severities
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.verdict import Role, Severity

ACK = frozenset(code for code in FINDING_TYPES if code.startswith("ack."))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        (" , ", set()),
        ("ack.missing", {"ack.missing"}),
        ("ack.missing, schema.type,", {"ack.missing", "schema.type"}),
        ("ack.*", ACK),
        ("ack.*,ack.late,json.nan", ACK | {"json.nan"}),
        ("s2-python.*", {code for code in FINDING_TYPES if code.startswith("s2-python.")}),
    ],
)
def test_codes(text: str, expected: set[str]) -> None:
    assert parse_codes(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "ack.mising",
            "there is no finding with the code 'ack.mising'; did you mean 'ack.missing'?",
        ),
        ("ack", "there is no finding with the code 'ack'; did you mean 'ack.*'?"),
        ("x", "there is no finding with the code 'x'; s2-mitm rules lists them all"),
        ("*", "there is no finding with the code '*'; s2-mitm rules lists them all"),
        ("shema.*", "no code begins with 'shema.'; did you mean 'schema.*'?"),
        ("q.*", "no code begins with 'q.'; s2-mitm rules lists them all"),
        (
            "a\nb",
            "there is no finding with the code 'a b'; s2-mitm rules lists them all",
        ),
    ],
)
def test_unknown_codes(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        parse_codes(f"schema.type, {text}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("ack.late=error", {"ack.late": Severity.ERROR}),
        (
            " ack.late = warning , json.nan=info ",
            {"ack.late": Severity.WARNING, "json.nan": Severity.INFO},
        ),
        (
            "ack.*=info,ack.missing=error",
            {**dict.fromkeys(ACK, Severity.INFO), "ack.missing": Severity.ERROR},
        ),
    ],
)
def test_severities(text: str, expected: dict[str, Severity]) -> None:
    assert parse_severities(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ack.late", "'ack.late' has no severity: write ack.late=info"),
        ("ack.late=bad", "there is no severity 'bad'; there is error, warning, info"),
        (
            "ack.lat=info",
            "there is no finding with the code 'ack.lat'; did you mean 'ack.late'?",
        ),
    ],
)
def test_wrong_severities(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        parse_severities(text)


def faulty(settings: Settings) -> Script:
    """A wrong sender, a text for a number, and a message that is never answered."""
    script = Script(settings)
    script.begin()
    script.rm("SelectControlType", control_type="NO_SELECTION", answer="INVALID_CONTENT")
    script.rm("PowerMeasurement", measurement_timestamp="today", answer="INVALID_MESSAGE")
    script.rm("PowerMeasurement", answer=None)
    script.wait(60)
    script.close()
    return script


FAULTS = ["direction.wrong-sender", "ack.refused", "schema.format", "ack.refused", "ack.missing"]


def test_all_is_said_by_default() -> None:
    script = faulty(Settings())
    assert script.codes == FAULTS
    assert script.judge.invalid == 2


@pytest.mark.parametrize("code", sorted(set(FAULTS)))
def test_a_code_is_ignored(code: str) -> None:
    script = faulty(Settings(ignore=parse_codes(code)))
    assert script.codes == [other for other in FAULTS if other != code]
    assert sum(script.judge.findings.values()) == len(script.findings)


def test_a_family_is_ignored() -> None:
    script = faulty(Settings(ignore=parse_codes("ack.*,schema.*")))
    assert script.codes == ["direction.wrong-sender"]
    assert script.judge.invalid == 1


def test_a_severity_is_changed() -> None:
    severity = parse_severities("schema.format=warning,ack.missing=error")
    script = faulty(Settings(severity=severity))
    severities = {finding.code: finding.severity for finding in script.findings}
    assert severities == {
        "direction.wrong-sender": Severity.ERROR,
        "ack.refused": Severity.INFO,
        "schema.format": Severity.WARNING,
        "ack.missing": Severity.ERROR,
    }
    assert script.judge.invalid == 1
    assert script.judge.findings == {
        Severity.ERROR: 2,
        Severity.WARNING: 1,
        Severity.INFO: 2,
    }


def test_what_is_ignored_is_no_fault_that_can_be_answered_with_ok() -> None:
    script = Script(Settings(ignore=parse_codes("schema.format")))
    script.begin()
    script.rm("PowerMeasurement", measurement_timestamp="today", answer="OK")
    assert script.codes == []


def test_what_is_no_error_any_more_can_be_answered_with_ok() -> None:
    script = Script(Settings(severity=parse_severities("schema.format=info")))
    script.begin()
    script.rm("PowerMeasurement", measurement_timestamp="today", answer="OK")
    assert script.codes == ["schema.format"]


def test_what_is_ignored_may_still_be_refused() -> None:
    script = Script(Settings(ignore=parse_codes("direction.*")))
    script.begin()
    script.inject(Role.RM, "SelectControlType")
    script.cem("ReceptionStatus", subject_message_id=script.last(), status="INVALID_CONTENT")
    assert script.codes == ["ack.refused"]
