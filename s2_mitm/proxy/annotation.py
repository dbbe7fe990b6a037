"""Say in the flow itself what was found: its marker, its comment and its metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mitmproxy.http import HTTPFlow

from s2_mitm.proxy.session import SUMMARY, Judged, Session
from s2_mitm.s2.catalog import CONTROL_TYPES
from s2_mitm.s2.conversation import Conversation
from s2_mitm.s2.verdict import Finding, Late, Role, Severity
from s2_mitm.s2.wording import printable

MARKERS = {
    Severity.ERROR: ":red_circle:",
    Severity.WARNING: ":yellow_circle:",
    Severity.INFO: ":large_blue_circle:",
    None: ":green_circle:",
}
"""The marker of a flow by the worst severity in it; mitmproxy shows it as an emoji."""

FINDINGS = "s2_findings"
"""Metadata: the findings, a list of dicts, each with the message that it belongs to."""

KEPT_FINDINGS = 1000
"""Findings that a flow carries; the recording has them all."""


def annotate(flow: HTTPFlow, session: Session) -> None:
    """Bring marker, comment and summary of a flow up to date with its session."""
    conversation = session.conversation
    before = flow.metadata.get(SUMMARY, {})
    worst = max(conversation.findings, key=lambda severity: severity.rank, default=None)
    summary: dict[str, Any] = {
        "client_role": str(conversation.client_role),
        "version": conversation.version or "",
        "whole": session.is_whole,
        "marker": MARKERS[worst],
        "comment": summary_line(conversation),
    }
    flow.metadata[SUMMARY] = summary
    if flow.marked in ("", before.get("marker")):
        flow.marked = summary["marker"]
    flow.comment = _comment(flow.comment, before.get("comment", ""), summary["comment"])


def attach(flow: HTTPFlow, judged: Judged) -> None:
    """Let a flow carry the findings of a message just judged."""
    if judged.number == 1:  # a flow from a file may carry what was found when it was live
        flow.metadata.pop(FINDINGS, None)
    verdict = judged.verdict
    for finding in verdict.findings:
        said = (judged.number, verdict.time, str(verdict.sender), verdict.message_type or "")
        _attach(flow, said, finding)
    attach_late(flow, verdict.late)


def attach_late(flow: HTTPFlow, late: Iterable[Late]) -> None:
    """Let a flow carry findings about messages that were judged before."""
    for item in late:
        said = (item.number, item.time, str(item.sender), item.message_type)
        _attach(flow, said, item.finding)


def _attach(flow: HTTPFlow, said: tuple[int, float, str, str], finding: Finding) -> None:
    findings = flow.metadata.setdefault(FINDINGS, [])
    names = ("message", "timestamp", "sender", "message_type")
    findings.append({**dict(zip(names, said, strict=True)), **finding.as_dict()})
    del findings[:-KEPT_FINDINGS]


def _comment(present: str, ours_before: str, ours: str) -> str:
    """The comment with our line in it brought up to date, and the user's words left alone."""
    if not present:
        return ours
    return present.replace(ours_before, ours) if ours_before else present


def summary_line(conversation: Conversation) -> str:
    """A session in one line: ``S2 FRBC · RM "Battery" (client) · CEM (server) · 42 messages …``."""
    name = f' "{printable(conversation.resource_name)}"' if conversation.resource_name else ""
    ends = {conversation.client_role: "client", conversation.client_role.other: "server"}
    control_type = conversation.control_type
    parts = [
        f"S2 {CONTROL_TYPES.get(control_type, printable(control_type))}" if control_type else "S2",
        f"RM{name} ({ends[Role.RM]})",
        f"CEM ({ends[Role.CEM]})",
        ", ".join(
            [
                counted(conversation.messages, "message"),
                counted(conversation.findings[Severity.ERROR], "error"),
                counted(conversation.findings[Severity.WARNING], "warning"),
            ]
        ),
    ]
    return " · ".join(parts)


def counted(number: int, noun: str) -> str:
    """``1 message``, ``2 messages``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
