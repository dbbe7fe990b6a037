"""A recorded conversation, wherever it was recorded: what is judged again.

`recording` reads them from our database, `json_lines` from JSON Lines, and `flow_file` from a flow
file of mitmproxy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from s2_mitm.s2.verdict import Role


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """A message as it was recorded.

    ``number`` counts the messages of its session from 1; ``time`` is in seconds since 1970 (UTC);
    ``content`` is what its sender sent, byte for byte, and ``binary`` says that it came in a binary
    WebSocket frame; ``injected`` says that the user of the proxy sent it, ``dropped`` that it was
    not forwarded; ``sent`` is what went on to the peer, None where that is ``content`` or nothing.
    """

    number: int
    time: float
    from_client: bool
    content: bytes
    binary: bool = False
    injected: bool = False
    dropped: bool = False
    sent: bytes | None = None


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """A session as it was recorded.

    ``messages`` are in the order in which they came, and can be gone through once. ``client_role``
    is the role of the WebSocket client, None where it is not known. ``version`` is the version of
    S2 where the messages do not tell it, else None. ``ended`` is when the session ended, in seconds
    since 1970 (UTC), None where it was still open or where nobody knows. ``lost_to`` is the number
    of the last message that is known to be missing from the recording, 0 where none is. ``bearer``
    says whether the WebSocket was opened with a bearer token.
    ``senders_given`` says that each message names its sender, so that ``client_role`` is certain.
    ``closed_by`` is who closed it first: RM, CEM or proxy, or client or server where the roles are
    not known yet; None where nobody knows. ``from_start`` is False where the first message is
    not the first that was said, whatever its number is.
    """

    id: str
    messages: Iterable[RecordedMessage]
    client_role: Role | None = None
    version: str | None = None
    ended: float | None = None
    lost_to: int = 0
    bearer: bool = False
    closed_by: str | None = None
    senders_given: bool = False
    from_start: bool = True


class NotRecordedError(Exception):
    """Something that is not a recorded conversation; ``str()`` is one sentence for its user."""


def wire_bytes(content: str | bytes) -> bytes:
    """The bytes that went over the wire, which are stored as text where they are UTF-8."""
    return content if isinstance(content, bytes) else content.encode(errors="surrogatepass")


def utc_seconds(text: str) -> float:
    """An ISO 8601 time, in UTC unless it names an offset, in seconds since 1970.

    Raises ValueError or OverflowError where it is none, or not of the years 1 to 9999.
    """
    time = datetime.fromisoformat(text)
    seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    datetime.fromtimestamp(seconds, UTC)  # raises where that is, in UTC, in no year of the calendar
    return seconds
