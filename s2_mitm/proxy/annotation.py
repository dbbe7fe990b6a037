"""What the list of flows shows of a session: its marker, its comment, and its summary."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from mitmproxy.http import HTTPFlow

from s2_mitm.proxy.flow_findings import attach, attach_late
from s2_mitm.proxy.observers.observer import Observer
from s2_mitm.proxy.session import Judged, Session
from s2_mitm.render.summary import SUMMARY, protocol, summary_of
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.verdict import LateFinding, Role, Severity
from s2_mitm.s2.wording import counted, printable

MARKERS = {
    Severity.ERROR: ":red_circle:",
    Severity.WARNING: ":yellow_circle:",
    Severity.INFO: ":large_blue_circle:",
    None: ":green_circle:",
}
"""The marker of a flow by the worst severity in it; mitmproxy shows it as an emoji."""


class Annotation(Observer):
    """Brings up to date what a flow shows and carries of its session."""

    name = "the list of flows"

    def judged(self, session: Session, judged: Judged) -> None:
        attach(session.flow, judged)
        annotate(session.flow, session)

    def changed(self, session: Session) -> None:
        annotate(session.flow, session)

    def late(self, session: Session, late: Iterable[LateFinding]) -> None:
        attach_late(session.flow, late)
        annotate(session.flow, session)


def annotate(flow: HTTPFlow, session: Session) -> None:
    """Bring marker, comment and summary of a flow up to date with its session."""
    conversation = session.conversation
    before = summary_of(flow.metadata)
    summary: dict[str, Any] = {
        "client_role": str(conversation.client_role),
        "version": conversation.version or "",
        "whole": session.from_start and not session.missing,
        "missing": session.missing,
        "bearer": conversation.bearer,
        "unjudged": session.unjudged,
        "judged": session.judge.messages,
        "marker": MARKERS[session.judge.worst],
        "comment": summary_line(session.judge) + _lacks(session.missing),
    }
    flow.metadata[SUMMARY] = summary
    if flow.marked in ("", before.get("marker")):
        flow.marked = summary["marker"]
    flow.comment = _comment(flow.comment, before.get("comment", ""), summary["comment"])


def lacking(
    summary: dict[str, Any], comment: str, missing: int, *, whole: bool
) -> tuple[dict[str, Any], str]:
    """The summary and the comment of a flow, once it lacks its first ``missing`` messages.

    ``whole`` says that with these it would be whole.
    """
    before = summary.get("comment", "")
    line = before.removesuffix(_lacks(summary.get("missing", 0))) + _lacks(missing)
    changes = {"whole": whole and not missing, "missing": missing, "comment": line}
    return summary | changes, _comment(comment, before, line)


def _lacks(missing: int) -> str:
    return f" · lacks its first {counted(missing, 'message')}" if missing else ""


def _comment(present: str, ours_before: str, ours: str) -> str:
    """The comment with our line in it brought up to date, and the user's words left alone."""
    if not present or present == ours_before:
        return ours
    return present.replace(ours_before, ours) if ours_before else present


def summary_line(judge: Judge) -> str:
    """A session in one line: ``S2 FRBC · RM "Battery" (client) · CEM (server) · 42 messages …``."""
    conversation = judge.conversation
    who = _who(conversation.control_type, conversation.resource_name, conversation.client_role)
    messages = counted(judge.messages, "message")
    errors = counted(judge.findings.get(Severity.ERROR, 0), "error")
    warnings = counted(judge.findings.get(Severity.WARNING, 0), "warning")
    return f"{who} · {messages}, {errors}, {warnings}"


@lru_cache(256)
def _who(control_type: str | None, resource_name: str | None, client_role: Role) -> str:
    """The part of the line that seldom changes."""
    name = f' "{printable(resource_name)}"' if resource_name else ""
    ends = {client_role: "client", client_role.other: "server"}
    return f"{protocol(control_type)} · RM{name} ({ends[Role.RM]}) · CEM ({ends[Role.CEM]})"
