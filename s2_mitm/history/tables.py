"""The tables of a recording. Their names and columns are a contract: people query them by hand.

Times are ISO 8601 text in UTC, always with microseconds, so that they sort as text; flags are 0
and 1. A table or column that a later revision than the first has added says so in its ``info``;
``migrations`` has the steps from one revision to the next.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    TypeDecorator,
)
from sqlalchemy import Text as AnyText

# As on SQLite, text sorts by its code points, and not by the rules of a language.
Text = AnyText().with_variant(AnyText(collation="C"), "postgresql")
# SQLite makes a primary key the row id only if its type is INTEGER, which has 64 bits there.
Number = BigInteger().with_variant(Integer(), "sqlite")

TEXT_FRAME, BINARY_FRAME = "text", "binary"
"""What stands in ``messages.opcode``."""


class WireContent(TypeDecorator[str | bytes]):
    """What went over the wire: bytes go in; text comes out, or bytes where they are no text.

    SQLite stores text as text and anything else as a BLOB. A column of PostgreSQL has one type:
    there anything else is stored as ``\\x`` and hexadecimal digits, which ``content::bytea``
    decodes, and so is text that begins with ``\\x``.
    """

    impl = AnyText
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | bytes | None:
        if value is None:
            return None
        content = text_or_bytes(value)
        if dialect.name == "sqlite":
            return content
        if isinstance(content, str) and not content.startswith("\\x"):
            return content
        digits: str = value.hex()
        return f"\\x{digits}"

    def process_result_value(self, value: Any, dialect: Dialect) -> str | bytes | None:
        stored: str | bytes | None = value
        if isinstance(stored, str) and dialect.name != "sqlite" and stored.startswith("\\x"):
            return text_or_bytes(bytes.fromhex(stored[2:]))
        return stored


def text_or_bytes(content: bytes) -> str | bytes:
    """``content`` as text; as it is where SQL cannot hold that: not UTF-8, or with a NUL in it."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    return content if "\0" in text else text


_SINCE_2 = {"since": "0002"}
_SINCE_3 = {"since": "0003"}
_SINCE_4 = {"since": "0004"}
_SINCE_5 = {"since": "0005"}


def _refers(column: str, table: str) -> ForeignKeyConstraint:
    # SQLite does not enforce it. PostgreSQL would refuse a message whose session it does not know,
    # and that message may be the one that matters: there it is not declared.
    return ForeignKeyConstraint([column], [f"{table}.id"]).ddl_if(dialect="sqlite")


metadata = MetaData()

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("client_address", Text),
    Column("server_address", Text),
    Column("path", Text),
    Column("client_role", Text),
    Column("rm_id", Text),
    Column("cem_id", Text),
    Column("protocol_version", Text),
    Column("control_type", Text),
    Column("close_code", Number),
    Column("close_reason", Text),
    Column("closed_by", Text),
    Column("proxy", Text, info=_SINCE_2),
    Column("recorder", Text, info=_SINCE_2),
    Column("bearer", Number, info=_SINCE_5),
    _refers("recorder", "recorders"),
)
"""One row a session, which is a WebSocket connection. ``closed_by`` is RM, CEM or proxy; ``proxy``
is the name of the proxy that it passes through; ``recorder`` is the ``id`` of the row in
``recorders`` of the one that wrote it; ``bearer`` says whether the WebSocket was opened with a
bearer token, which itself is nowhere."""

recorders = Table(
    "recorders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Number, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("seen_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("written", Number, info=_SINCE_3),
    info=_SINCE_2,
)
"""One row a run of a proxy that wrote here. ``seen_at`` is its last heartbeat; ``written`` is how
many records it has written, so that nothing is written twice."""

gaps = Table(
    "gaps",
    metadata,
    Column("id", Number, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("first_seq", Number, nullable=False),
    Column("last_seq", Number, nullable=False),
    Column("messages", Number, nullable=False),
    Column("since", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _refers("session_id", "sessions"),
    Index("gaps_by_session", "session_id"),
    info=_SINCE_2,
)
"""One row a run of messages of a session that could not be recorded: ``messages`` of them, from
``first_seq`` to ``last_seq``."""

messages = Table(
    "messages",
    metadata,
    Column("id", Number, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("seq", Number, nullable=False),
    Column("timestamp", Text, nullable=False),
    Column("sender", Text),
    Column("message_type", Text),
    Column("message_id", Text),
    Column("subject_message_id", Text),
    Column("content", WireContent, nullable=False),
    Column("size", Number, nullable=False),
    Column("injected", Number, nullable=False),
    Column("dropped", Number, nullable=False),
    Column("valid", Number, nullable=False),
    Column("reception_status", Text),
    Column("reception_delay_ms", Float),
    Column("sent", WireContent, info=_SINCE_3),
    Column("opcode", Text, nullable=False, server_default=TEXT_FRAME, info=_SINCE_4),
    _refers("session_id", "sessions"),
    Index("messages_by_seq", "session_id", "seq", unique=True),
    Index("messages_by_message_id", "session_id", "message_id"),
)
"""One row a message. ``seq`` counts the messages of its session from 1. ``content`` is what its
sender sent (see `WireContent`), ``size`` its length in bytes. ``sent`` is what went on to the peer
where that differs; it is NULL where it is the same, and where nothing went on. ``opcode`` is that
of the WebSocket frame, ``text`` or ``binary``."""

findings = Table(
    "findings",
    metadata,
    Column("id", Number, primary_key=True),
    Column("message", Number, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("hint", Text, nullable=False, server_default="", info=_SINCE_4),
    _refers("message", "messages"),
    _refers("session_id", "sessions"),
    Index("findings_by_message", "message"),
    Index("findings_by_session", "session_id", "severity"),
)
"""One row a finding; ``message`` is the ``id`` of its row in ``messages``, ``hint`` is empty where
there is none."""


def iso(seconds: float) -> str:
    """A time in seconds since 1970 (UTC) as the tables have it: ``2026-11-21T19:56:43.123456Z``.

    Raises ValueError, OverflowError or OSError for a time outside of the years 1 to 9999.
    """
    time = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    return time.removesuffix("+00:00") + "Z"
