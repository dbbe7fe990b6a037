"""The content view "S2" of mitmweb and the console: a message with its verdict.

The one file that knows that mitmproxy 12 has another interface for content views than 11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mitmproxy import contentviews, ctx
from mitmproxy.flow import Flow
from mitmproxy.websocket import WebSocketMessage

from s2_mitm.proxy.annotation import FINDINGS
from s2_mitm.render.annotated import Line, annotated
from s2_mitm.render.summary import SUMMARY
from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.message.recognition import is_s2
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import Finding, Role, Severity, Source

NAME = "S2"

_PRIORITY = 10.0
"""Above what mitmproxy's own views claim for JSON."""

_CONSOLE_STYLES = {
    Severity.ERROR: "error",
    Severity.WARNING: "highlight",
    Severity.INFO: "header",
}
# mitmweb's page has no colour for those; these are red, purple and blue there.
_WEB_STYLES = {
    Severity.ERROR: "Token_Literal_String",
    Severity.WARNING: "Token_Literal_Number",
    Severity.INFO: "Token_Keyword_Constant",
}
_GOOD_STYLE = "Token_Name_Tag"


def priority(flow: Flow | None, message: WebSocketMessage | None) -> float:
    """How well this view suits a message: it takes what belongs to S2, and nothing else."""
    if message is None:
        return -1
    known = flow is not None and SUMMARY in flow.metadata
    is_ours = known or is_s2(message.content, binary=not message.is_text)
    return _PRIORITY if is_ours else -1


def lines(
    data: bytes,
    flow: Flow | None,
    message: WebSocketMessage | None,
    settings: Settings,
) -> Iterator[Line]:
    """A message judged afresh, with what the flow says of it; so that flows from files show it."""
    summary = flow.metadata.get(SUMMARY, {}) if flow else {}
    version, client_role = summary.get("version"), summary.get("client_role")
    binary = message is not None and not message.is_text
    verdict = judge(
        data,
        version=version if version in VERSIONS else settings.version,
        schemas=settings.schemas,
        binary=binary,
    )
    remarks = []
    if message is not None:
        if client_role in list(Role):
            role = Role(client_role)
            verdict.sender = role if message.from_client else role.other
        if message.injected:
            remarks.append("injected")
        if message.dropped:
            remarks.append("NOT FORWARDED")
        verdict.findings += _from_conversation(flow, message)
    return annotated(verdict, data, remarks)


def _from_conversation(flow: Flow | None, message: WebSocketMessage) -> list[Finding]:
    """The findings that need the messages before, which are in the flow's metadata."""
    return [
        Finding(
            found["code"],
            Severity(found["severity"]),
            Source.RULE,
            found["path"],
            found["text"],
            found.get("hint", ""),
        )
        for found in (flow.metadata.get(FINDINGS, []) if flow else [])
        if found["source"] == Source.RULE and found["timestamp"] == message.timestamp
    ]


def install(settings: Callable[[], Settings]) -> None:
    """Offer the view in mitmproxy; ``settings`` gives what the user says about conversations."""
    uninstall()
    view: Any = _View12 if hasattr(contentviews, "Contentview") else _View11
    contentviews.add(view(settings))


def uninstall() -> None:
    """Take the view away; mitmproxy 12 cannot, there a later one replaces it."""
    api: Any = contentviews
    for view in list(getattr(api, "views", ())):
        if view.name == NAME:
            api.remove(view)


class _View11:
    """What mitmproxy 11 asks of a content view."""

    name = NAME

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings

    def __call__(self, data: bytes, **metadata: Any) -> tuple[str, Iterator[list[tuple[str, str]]]]:
        flow, message = metadata.get("flow"), metadata.get("websocket_message")
        found = lines(data, flow, message, self._settings())
        return NAME, ([(_style(line), line.text)] for line in found)

    def render_priority(self, data: bytes, **metadata: Any) -> float:
        return priority(metadata.get("flow"), metadata.get("websocket_message"))

    def __lt__(self, other: Any) -> bool:
        return bool(self.name < other.name)


class _View12:
    """What mitmproxy 12 asks of a content view."""

    name = NAME
    syntax_highlight = "yaml"

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings

    def prettify(self, data: bytes, metadata: Any) -> str:
        found = lines(data, metadata.flow, metadata.websocket_message, self._settings())
        return "\n".join(line.text for line in found)

    def render_priority(self, data: bytes, metadata: Any) -> float:
        return priority(metadata.flow, metadata.websocket_message)

    def __lt__(self, other: Any) -> bool:
        return bool(self.name < other.name)


def _style(line: Line) -> str:
    if line.severity is None:
        return _GOOD_STYLE if line.is_good else "text"
    styles = _WEB_STYLES if hasattr(ctx.master, "app") else _CONSOLE_STYLES
    return styles[line.severity]
