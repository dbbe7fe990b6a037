"""A verdict for the terminal: the message, whether it is valid, and below it each finding."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest

from s2_mitm.render.verdicts import COLOURS, finding_lines, judgement, verdict_lines
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import Finding, Role, Severity, Source, Verdict


def verdict(*findings: Finding, message_type: str | None = "Handshake", **more: Any) -> Verdict:
    message = {"message_type": message_type} | more.get("fields", {})
    return Verdict(0.0, more.get("sender"), message, message_type, None, None, list(findings))


def finding(severity: Severity = Severity.ERROR, **more: str) -> Finding:
    return Finding(
        "schema.type",
        severity,
        Source.SCHEMA,
        more.get("path", "/a"),
        more.get("text", "null, expected text"),
        more.get("hint", ""),
    )


def plain(*lines: str) -> list[str]:
    return [click.unstyle(line) for line in lines]


@pytest.mark.parametrize(
    ("given", "label", "line"),
    [
        (verdict(), "", "Handshake valid"),
        (verdict(sender=Role.RM), "", "RM  Handshake valid"),
        (verdict(sender=Role.CEM), "12:00", "12:00 CEM Handshake valid"),
        (verdict(finding(), sender=Role.CEM), "", "CEM Handshake INVALID"),
        (verdict(finding(Severity.WARNING)), "", "Handshake valid"),
        (verdict(message_type=None), "", "(no message type) valid"),
        (verdict(message_type=""), "", "(no message type) valid"),
    ],
)
def test_the_first_line_says_what_it_is_about(given: Verdict, label: str, line: str) -> None:
    assert plain(next(verdict_lines(given, label=label))) == [line]


@pytest.mark.parametrize("status", ["OK", "INVALID_CONTENT"])
def test_a_reception_status_shows_its_status(status: str) -> None:
    (line,) = verdict_lines(verdict(message_type="ReceptionStatus", fields={"status": status}))

    assert plain(line) == [f"ReceptionStatus {status} valid"]


@pytest.mark.parametrize(
    "status", [None, 5, ["OK"], {"\x1b[2J": "\ud800"}, "\x1b[2J\n", "x" * 1_000_000, ["x"] * 9999]
)
def test_any_status_is_shown_harmlessly(status: Any) -> None:
    given = verdict(message_type="ReceptionStatus", fields={"status": status})
    (line,) = plain(*verdict_lines(given))

    assert line.isprintable()
    assert len(line) < 200


def test_a_reception_status_without_a_message_is_shown() -> None:
    given = verdict(message_type="ReceptionStatus")
    given.message = None

    assert plain(*verdict_lines(given)) == ["ReceptionStatus valid"]


def test_findings_stand_beneath_in_their_order() -> None:
    given = verdict(finding(path="/b"), finding(Severity.WARNING, path=""), finding(path="/a"))

    assert plain(*verdict_lines(given)) == [
        "Handshake INVALID",
        "    error schema.type /b: null, expected text",
        "  warning schema.type: null, expected text",
        "    error schema.type /a: null, expected text",
    ]


def test_what_it_means_stands_beneath_and_before_its_findings() -> None:
    given = verdict(finding(path="/b"))
    given.meaning = "the RM speaks S2 0.0.2-beta"

    assert plain(*verdict_lines(given, width=30)) == [
        "Handshake INVALID",
        "          · the RM speaks S2",
        "          0.0.2-beta",
        "    error schema.type /b:",
        "          null, expected text",
    ]


def test_what_an_answer_means_stands_in_its_line() -> None:
    given = verdict(message_type="ReceptionStatus", fields={"status": "OK"})
    given.meaning = "OK → Handshake"

    assert plain(*verdict_lines(given)) == ["ReceptionStatus OK → Handshake valid"]


def test_a_hint_stands_beneath_its_finding() -> None:
    assert plain(*finding_lines(finding(hint="Leave it out."))) == [
        "    error schema.type /a: null, expected text",
        "          Leave it out.",
    ]


@pytest.mark.parametrize(
    ("findings", "colour", "word"),
    [
        ([], "green", "valid"),
        ([Severity.INFO], "cyan", "valid"),
        ([Severity.INFO, Severity.WARNING], "yellow", "valid"),
        ([Severity.ERROR, Severity.INFO], "red", "INVALID"),
    ],
)
def test_the_judgement_has_the_colour_of_the_worst(
    findings: list[Severity], colour: str, word: str
) -> None:
    given = verdict(*(finding(severity) for severity in findings))

    assert judgement(given) == click.style(word, fg=colour, bold=word == "INVALID")


def test_every_severity_has_a_colour() -> None:
    assert set(COLOURS) == set(Severity)
    assert len(set(COLOURS.values())) == len(Severity)


HOSTILE = "\x1b[2J\x07\r\n\x9b31m\u202e\u2028\ud800"


@pytest.mark.parametrize(
    "content",
    [
        {"message_type": HOSTILE},
        {HOSTILE: {HOSTILE: 1}, "message_type": "Handshake"},
        {"message_type": "Handshake", "message_id": HOSTILE, "role": HOSTILE},
        {"message_type": "ReceptionStatus", "status": HOSTILE},
        {"message_type": "SelectControlType", "control_type": "NO_SELECTIO" + HOSTILE},
        {HOSTILE: {"message_type": "Handshake"}},
        {"message_type" + HOSTILE: "Handshake"},
    ],
)
def test_nothing_in_a_message_steers_the_terminal(content: Any) -> None:
    for line in plain(*verdict_lines(judge(json.dumps(content).encode()))):
        assert line.isprintable()


@pytest.mark.parametrize(
    "content",
    [
        {"message_type": "x" * 1_000_000},
        {"message_type": "Handshake", "x" * 1_000_000: 1},
        {"message_type": "Handshake", "x": {"y" * 900_000: 1}, "message_id": "x" * 100_000},
        {"x" * 900_000: {"message_type": "Handshake"}},
    ],
    ids=["type", "field", "inner-field", "envelope"],
)
def test_no_line_is_longer_than_people_read(content: Any) -> None:
    for line in verdict_lines(judge(json.dumps(content).encode())):
        assert len(line) < 2_000


def test_a_finding_is_wrapped_where_a_width_is_given() -> None:
    long = finding(text="word " * 30, hint="more " * 30)
    lines = [click.unstyle(line) for line in finding_lines(long, 60)]
    assert all(len(line) <= 60 for line in lines)
    assert lines[0].startswith("    error schema.type /a: word ")
    assert all(
        line.startswith(" " * 10 + word)
        for line, word in zip(lines[1:], ["word"] * 3 + ["more"] * 3, strict=True)
    )
    assert [click.unstyle(line).split() for line in finding_lines(long)] == [
        " ".join(lines[:4]).split(),
        " ".join(lines[4:]).split(),
    ]
