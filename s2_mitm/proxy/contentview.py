"""The content view "S2" of mitmweb and the console: a message with its verdict.

The one file that knows that mitmproxy 12 has another interface for content views than 11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mitmproxy import contentviews, ctx
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.websocket import WebSocketMessage

from s2_mitm.proxy import delivery
from s2_mitm.proxy.flow_findings import findings_of, meaning_of
from s2_mitm.render.annotated import AnnotatedLine, annotated
from s2_mitm.render.summary import SUMMARY, summary_of
from s2_mitm.s2.catalog import known_version
from s2_mitm.s2.conversation.alone import judge_alone
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.message.reading import read
from s2_mitm.s2.message.recognition import is_s2
from s2_mitm.s2.verdict import Finding, Role, Severity, Verdict

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
) -> Iterator[AnnotatedLine]:
    """A message with its verdict: that of the session, by what the flow carries of it.

    What has none, such as a message in a flow file that was written without us, is judged here by
    itself.
    """
    role = _sender(flow, message)
    found = None
    if isinstance(flow, HTTPFlow) and message is not None:
        found = findings_of(flow, message)
    if found is None:
        verdict = _judged_alone(data, flow, message, settings)
        verdict.sender = role
    else:
        verdict = _as_judged(data, message, found, role)
    verdict.meaning = meaning_of(message) if message is not None else ""
    return annotated(verdict, data, _remarks(message, data))


def _sender(flow: Flow | None, message: WebSocketMessage | None) -> Role | None:
    """Who sent a message, where the flow says who is who."""
    client = summary_of(flow.metadata).get("client_role") if flow else None
    if message is None or client not in list(Role):
        return None
    return Role(client) if message.from_client else Role(client).other


def _as_judged(
    data: bytes, message: WebSocketMessage | None, found: list[Finding], sender: Role | None
) -> Verdict:
    content = read(data, binary=_is_binary(message)).message
    message_type = content.get("message_type") if content else None
    if not isinstance(message_type, str):
        message_type = None
    return Verdict(0.0, sender, content, message_type, None, None, found)


def _judged_alone(
    data: bytes, flow: Flow | None, message: WebSocketMessage | None, settings: Settings
) -> Verdict:
    version = summary_of(flow.metadata).get("version") if flow else None
    return judge_alone(
        data,
        settings,
        version=known_version(version) if isinstance(version, str) else None,
        binary=_is_binary(message),
    )


def _is_binary(message: WebSocketMessage | None) -> bool:
    return message is not None and not message.is_text


def _remarks(message: WebSocketMessage | None, data: bytes) -> Iterator[str]:
    if message is None:
        return
    if message.injected:
        yield "injected"
    if message.dropped:
        yield "NOT FORWARDED"
    if delivery.came(message) != data:
        yield "changed on its way, judged as it came"


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


def _style(line: AnnotatedLine) -> str:
    if line.severity is None:
        return _GOOD_STYLE if line.is_good else "text"
    styles = _WEB_STYLES if hasattr(ctx.master, "app") else _CONSOLE_STYLES
    return styles[line.severity]
