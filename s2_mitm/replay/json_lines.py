"""Recorded conversations as JSON Lines: a message a line, with its sender and its time."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from s2_mitm.replay.recorded import (
    NotRecordedError,
    RecordedMessage,
    RecordedSession,
    utc_seconds,
    wire_bytes,
)
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import describe, excerpt

Row = dict[str, Any]


def from_lines(data: bytes, name: str) -> list[RecordedSession]:
    """The sessions in JSON Lines: what ``s2-mitm messages --json`` prints, or less.

    Takes the bytes of the file and its name, for sentences about it. A line has ``sender`` (RM or
    CEM), ``timestamp`` or ``time`` (ISO 8601 or seconds since 1970), and ``content`` (as it went
    over the wire), ``content_base64`` or ``message`` (a JSON object). With ``session_id`` they are
    of several sessions, with ``seq`` numbered within it. ``opcode`` is ``text`` or ``binary``, and
    ``text`` where it is left out (``binary`` may be true instead); ``injected`` says that the user
    of the proxy sent the message, ``dropped`` that it was not forwarded; ``sent`` (or
    ``sent_base64``) is what went on to the peer where that is something else. The RM is taken to be
    the WebSocket client. The end of the lines is the end of each session. Without ``seq`` they are
    from its beginning, unless they have nothing of what a conversation begins with. Raises
    NotRecordedError where a line is something else.
    """
    sessions: dict[str, _Lines] = {}
    # At line feeds only: str.splitlines would also cut within JSON strings.
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = _row(line)
            session = sessions.setdefault(str(row.get("session_id") or ""), _Lines())
            session.add(row)
        except _UnfitError as fault:
            raise NotRecordedError(f"{name}:{number}: {fault}") from None
    return [
        RecordedSession(
            session,
            lines.messages,
            Role.RM,
            ended=lines.messages[-1].time,
            senders_given=True,
            from_start=lines.has_numbers or lines.has_beginning,
        )
        for session, lines in sessions.items()
    ]


@dataclass
class _Lines:
    """The messages of one session, as they are read."""

    messages: list[RecordedMessage] = field(default_factory=list)
    has_numbers: bool = False

    @property
    def has_beginning(self) -> bool:
        """Whether there is something of what a conversation begins with."""
        return any(name in message.content for message in self.messages for name in _BEGINNING)

    def add(self, row: Row) -> None:
        self.has_numbers |= "seq" in row
        last = self.messages[-1].number if self.messages else 0
        number = row.get("seq", last + 1)
        if not isinstance(number, int) or number <= last:
            raise _UnfitError(
                f'"seq" is {describe(number)}, expected a number greater than the {last} before it'
            )
        sender = str(row.get("sender")).upper()
        if sender not in set(Role):
            found = describe(row["sender"]) if "sender" in row else "missing"
            raise _UnfitError(f'"sender" is {found}, expected "RM" or "CEM"')
        message = RecordedMessage(
            number,
            _time_of(row),
            sender == Role.RM,
            _content_of(row),
            _is_binary(row),
            _is_true(row, "injected"),
            _is_true(row, "dropped"),
            _sent_of(row),
        )
        self.messages.append(message)


_BEGINNING = (b"Handshake", b"ResourceManagerDetails")
"""What is said when a conversation begins; without a handshake it begins with the details."""


class _UnfitError(Exception):
    """Why a line is no recorded message."""


def _row(line: bytes) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise _UnfitError("no JSON; each line is to have sender, time and message") from None
    if not isinstance(row, dict):
        raise _UnfitError(f"{describe(row)}, expected an object with sender, time and message")
    if "message_type" in row and not row.keys() & {"content", "content_base64", "message"}:
        raise _UnfitError(
            "a message without its sender and time; s2-mitm validate judges messages one by one"
        )
    return row


def _time_of(row: Row) -> float:
    name = "timestamp" if "timestamp" in row else "time"
    value = row.get(name)
    try:
        if isinstance(value, str):
            return utc_seconds(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            datetime.fromtimestamp(value, UTC)
            return float(value)
    except (ValueError, OverflowError, OSError):
        pass
    found = describe(value) if name in row else "missing"
    raise _UnfitError(
        f'"{name}" is {found}, expected ISO 8601 such as 2026-03-01T12:00:00Z, or seconds since'
        " 1970"
    )


def _content_of(row: Row) -> bytes:
    if (content := _wire_content(row, "content")) is not None:
        return content
    message = row.get("message", row.get("content"))
    if isinstance(message, dict):
        return json.dumps(message).encode()
    name = next(
        (name for name in ("message", "content", "content_base64") if row.get(name) is not None),
        "message",
    )
    found = f"{describe(row[name])}" if name in row else "missing"
    raise _UnfitError(f'"{name}" is {excerpt(found)}, expected the message, an object')


def _sent_of(row: Row) -> bytes | None:
    sent = _wire_content(row, "sent")
    if sent is None and (other := row.get("sent")) is not None:
        raise _UnfitError(f'"sent" is {describe(other)}, expected what went on, as text')
    return sent


def _wire_content(row: Row, name: str) -> bytes | None:
    """The bytes that ``name`` has as text, or ``name_base64``; None where neither is text."""
    text, encoded = row.get(name), row.get(f"{name}_base64")
    if isinstance(text, str):
        return wire_bytes(text)
    if isinstance(encoded, str):
        try:
            return b64decode(encoded, validate=True)
        except ValueError:
            raise _UnfitError(f'"{name}_base64" is no base64') from None
    return None


def _is_true(row: Row, name: str) -> bool:
    return row.get(name) in (True, 1)


def _is_binary(row: Row) -> bool:
    """Whether the message came in a binary frame; where nothing is said of it, it did not."""
    opcode = row.get("opcode")
    if opcode in ("text", "binary", None):
        return opcode == "binary" or _is_true(row, "binary")
    raise _UnfitError(f'"opcode" is {describe(opcode)}, expected "text" or "binary"')
