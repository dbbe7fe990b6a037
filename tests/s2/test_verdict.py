"""How many findings a message may have, and which of them stay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.s2.verdict import MOST_FINDINGS, Finding, Severity, Source, Verdict, bounded


def finding(number: int, severity: Severity) -> Finding:
    return Finding("ids.empty", severity, Source.RULE, f"/{number}", "a text")


@given(st.lists(st.sampled_from([*Severity]), max_size=3 * MOST_FINDINGS))
def test_the_worst_stay_in_their_order(severities: list[Severity]) -> None:
    findings = [finding(number, severity) for number, severity in enumerate(severities)]

    stay = bounded(findings)

    assert len(stay) == min(len(findings), MOST_FINDINGS)
    assert [each for each in findings if each in stay] == stay
    gone = [each.severity.rank for each in findings if each not in stay]
    assert max(gone, default=0) <= min((each.severity.rank for each in stay), default=0)


def test_what_is_left_out_never_makes_a_message_valid() -> None:
    hints = [finding(number, Severity.INFO) for number in range(2 * MOST_FINDINGS)]

    verdict = Verdict(0.0, None, {}, None, None, None, [*hints, finding(999, Severity.ERROR)])
    verdict.findings = bounded(verdict.findings)

    assert not verdict.valid
