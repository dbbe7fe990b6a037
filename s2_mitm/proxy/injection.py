"""Speak into a live conversation: what the command ``s2.inject`` does."""

from __future__ import annotations

import json
import re
import uuid

from mitmproxy import ctx
from mitmproxy.exceptions import CommandError
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow

from s2_mitm.proxy import mitmweb
from s2_mitm.proxy.message_file import MessageFileError, read_message
from s2_mitm.proxy.session import Session
from s2_mitm.s2.catalog import MESSAGE_TYPES, NOT_ANSWERED
from s2_mitm.s2.conversation.alone import judge_alone
from s2_mitm.s2.finding_types import FINDING_TYPES
from s2_mitm.s2.message.reading import read
from s2_mitm.s2.verdict import Finding, Role, Severity
from s2_mitm.s2.wording import excerpt

MAX_FINDINGS = 5
"""Findings that a refusal names; it is to be read in a command bar."""


def inject(flow: Flow, session: Session | None, to: str, message: str, *, validate: bool) -> str:
    """Send a message to one side of a session, as if the other had sent it.

    ``to`` is ``rm`` or ``cem``; ``message`` is JSON, or ``@`` and the path of a file that holds
    it (see `read_message`), of which no refusal shows the content. With ``validate``, a missing
    message_id is filled in, and an invalid message is refused with its findings; without, it is
    sent exactly as given. Returns a sentence that says what was sent; raises CommandError, with a
    sentence, when it was not.
    """
    role = {"rm": Role.RM, "cem": Role.CEM}.get(to.lower())
    if role is None:
        raise CommandError(f"Cannot inject to {to!r}: say 'rm' or 'cem'.")
    if not isinstance(flow, HTTPFlow) or flow.websocket is None:
        raise CommandError("Cannot inject: this flow is not a WebSocket.")
    if not flow.live or flow.websocket.close_code is not None:
        raise CommandError("Cannot inject: this WebSocket is closed.")
    if session is None or not session.recognised:
        raise CommandError("Cannot inject: no S2 message has been seen on this WebSocket.")

    content = _content(message)
    conversation = session.conversation
    if validate:
        content = with_message_id(content)
        settings, versions = session.judge.settings, conversation.versions
        verdict = judge_alone(content, settings, version=versions, sender=role.other)
        if (
            not verdict.valid
            and message.startswith("@")
            and verdict.message_type not in MESSAGE_TYPES
        ):
            # It may be any file of this machine.
            raise CommandError(
                f"Not injected, {_named(message)} holds no S2 message:"
                f" {_kinds(verdict.findings)}{_where(content)}"
                " (put 'false' after it to send it all the same)."
            )
        if not verdict.valid:
            raise CommandError(
                f"Not injected, the message is invalid: {_sentence(verdict.findings)}"
                " (put 'false' after it to send it all the same)."
            )
    to_client = conversation.client_role is role
    ctx.master.commands.call("inject.websocket", flow, to_client, content, True)
    sent = read(content).message or {}
    names = [str(sent[name]) for name in ("message_type", "message_id") if name in sent]
    return f"Injected {excerpt(' '.join(names) or 'a message', 200)} to the {role}."


def _content(message: str) -> bytes:
    if not message.startswith("@"):
        try:
            return message.encode(errors="surrogateescape")
        except UnicodeEncodeError:
            sentence = "Cannot inject: the message holds what is no character."
            raise CommandError(sentence) from None
    if mitmweb.is_open_to_all(ctx.master):
        raise CommandError(
            "Cannot inject from a file: this mitmweb has no login, so that whoever reaches its page"
            " could send any file of this machine. Give the message itself, or use mitmproxy 12."
        )
    try:
        return read_message(message[1:])
    except MessageFileError as fault:
        raise CommandError(f"Cannot inject {_named(message)}: {fault}.") from None


def _named(message: str) -> str:
    return excerpt(message[1:], 200)


def _kinds(findings: list[Finding]) -> str:
    """What is wrong, without anything of the content."""
    codes = dict.fromkeys(each.code for each in findings if each.severity is Severity.ERROR)
    return "; ".join(f"{FINDING_TYPES[code].title} [{code}]" for code in codes)


def _where(content: bytes) -> str:
    try:
        json.loads(content)
    except json.JSONDecodeError as fault:
        return f" at line {fault.lineno} column {fault.colno}"
    except (ValueError, RecursionError):  # what has no place
        pass
    return ""


def with_message_id(content: bytes) -> bytes:
    """A message with a message_id, a random UUID if it had none; its other bytes stay as given."""
    message = read(content).message
    if not message or "message_id" in message or str(message.get("message_type")) in NOT_ANSWERED:
        return content
    return re.sub(rb"\{", b'{"message_id": "%s", ' % str(uuid.uuid4()).encode(), content, count=1)


def _sentence(findings: list[Finding]) -> str:
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    said = [
        f"{excerpt(finding.path, 100) or 'message'}: {excerpt(finding.text, 200)} [{finding.code}]"
        for finding in errors[:MAX_FINDINGS]
    ]
    more = [f"{len(errors) - MAX_FINDINGS} more"] if len(errors) > MAX_FINDINGS else []
    return "; ".join(said + more)
