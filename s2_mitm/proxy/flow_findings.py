"""What was found in a session, in the metadata of its flow: for the view, and for saved files.

The findings are a list of dicts, in the order of the messages that they are about. The session
gives each message that it judges a number, from 1; by it a message finds its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import Any

from mitmproxy.http import HTTPFlow
from mitmproxy.websocket import WebSocketMessage

from s2_mitm.proxy.session import Judged
from s2_mitm.render.summary import number_of_first, summary_of
from s2_mitm.s2.verdict import Finding, LateFinding, Severity, Source

FINDINGS = "s2_findings"
"""The key of the findings in the metadata."""

COMPLETE_FROM = "s2_findings_from"
"""The key of the number of the first message that has all its findings there; 1 without it."""

KEPT_FINDINGS = 3000
"""Findings that a flow carries, the last ones; the recording has them all."""


_MEANING = "s2_meaning"


def attach(flow: HTTPFlow, judged: Judged) -> None:
    """Let a flow carry the findings of a message just judged, and the message what it means."""
    if judged.verdict.meaning:
        setattr(judged.message, _MEANING, judged.verdict.meaning)
    if judged.number == 1:  # a flow from a file may carry what was found when it was live
        flow.metadata.pop(FINDINGS, None)
        flow.metadata.pop(COMPLETE_FROM, None)
    verdict = judged.verdict
    for finding in verdict.findings:
        about = (judged.number, verdict.time, str(verdict.sender), verdict.message_type or "")
        _attach(flow, about, finding)
    attach_late(flow, verdict.late)


def attach_late(flow: HTTPFlow, late: Iterable[LateFinding]) -> None:
    """Let a flow carry findings about messages that were judged before."""
    for item in late:
        about = (item.number, item.time, str(item.sender), item.message_type)
        _attach(flow, about, item.finding)


def _attach(flow: HTTPFlow, about: tuple[int, float, str, str], finding: Finding) -> None:
    number, timestamp, sender, message_type = about
    message = {
        "message": number,
        "timestamp": timestamp,
        "sender": sender,
        "message_type": message_type,
    }
    insort(flow.metadata.setdefault(FINDINGS, []), message | finding.as_dict(), key=_number)
    keep_last(flow, KEPT_FINDINGS)


def keep_last(flow: HTTPFlow, most: int) -> None:
    """Let a flow carry no more than so many findings, the last ones."""
    findings = flow.metadata.get(FINDINGS, [])
    if (excess := len(findings) - most) > 0:
        # Its other findings may stay; but the message no longer has them all.
        flow.metadata[COMPLETE_FROM] = _number(findings[excess - 1]) + 1
        del findings[:excess]


def meaning_of(message: WebSocketMessage) -> str:
    """What a message means, as it was told when it was judged; empty where it was not.

    Later it could not be told any more: what was in force then is gone with the oldest messages of
    a flow. It stays as long as the message does; a flow from a file is judged again.
    """
    return getattr(message, _MEANING, "")


def findings_of(flow: HTTPFlow, message: WebSocketMessage) -> list[Finding] | None:
    """What the session of a flow found about one of its messages, also later.

    None where no session has judged the message, or not all of its findings are kept.
    """
    messages = flow.websocket.messages if flow.websocket else []
    place = next((place for place, each in enumerate(messages) if each is message), None)
    if place is None:
        return None
    # What stands in a file may be of another version, or be anything.
    try:
        summary = summary_of(flow.metadata)
        number = number_of_first(summary) + place
        if not flow.metadata.get(COMPLETE_FROM, 1) <= number <= summary["judged"] or number < 1:
            return None
        findings = flow.metadata.get(FINDINGS, [])
        first = bisect_left(findings, number, key=_number)
        last = bisect_right(findings, number, first, key=_number)
        return [_finding(found) for found in findings[first:last]]
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def _number(found: dict[str, Any]) -> int:
    number: int = found["message"]
    return number


def _finding(found: dict[str, Any]) -> Finding:
    return Finding(
        str(found["code"]),
        Severity(found["severity"]),
        Source(found["source"]),
        str(found["path"]),
        str(found["text"]),
        str(found.get("hint", "")),
    )
