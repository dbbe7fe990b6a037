"""Writes records as rows of a recording, in as few statements as possible."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Executable, Table, bindparam, case, func, insert, select, update

from s2_mitm.history import bulk_statements
from s2_mitm.history.records import (
    Delivery,
    Gap,
    LateFindingRecord,
    Reception,
    ReceptionWithdrawn,
    Record,
    SendersSwapped,
    SessionChange,
    SessionEnd,
    SessionFacts,
    SessionStart,
    WaitingMessage,
)
from s2_mitm.history.tables import (
    BINARY_FRAME,
    TEXT_FRAME,
    findings,
    gaps,
    iso,
    messages,
    recorders,
    sessions,
    text_or_bytes,
)
from s2_mitm.s2.verdict import Finding, Role, Severity
from s2_mitm.s2.wording import printable

Row = dict[str, Any]

LONGEST_ID = 500
"""Characters; a longer id of a message is cut, since an index cannot hold it."""


class UnknownRecorderError(LookupError):
    """The recorder that writes has no row in ``recorders``."""


def _other_role(column: Any) -> Any:
    swapped = {str(role): str(role.other) for role in Role}
    return case(swapped, value=column, else_=column)


def _insert_or(dialect: str, table: Table) -> Any:
    # Imported here, so that SQLAlchemy loads only the dialect that is in use.
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


@cache
def _opening(dialect: str) -> Executable:
    # A session that was closed may be opened again, such as by an addon that was reloaded.
    start = _insert_or(dialect, sessions).values(
        {name: bindparam(name) for name in (*SessionStart.__slots__, "recorder")}
    )
    over = ("ended_at", "close_code", "close_reason", "closed_by")
    whose = {name: start.excluded[name] for name in ("proxy", "recorder")}
    opening: Executable = start.on_conflict_do_update(
        index_elements=[sessions.c.id], set_=dict.fromkeys(over) | whose
    )
    return opening


@cache
def _adding(dialect: str) -> Executable:
    # A message that is recorded already must not make the whole batch fail.
    adding: Executable = _insert_or(dialect, messages).on_conflict_do_nothing(
        index_elements=[messages.c.session_id, messages.c.seq]
    )
    return adding


_ME = recorders.c.id == bindparam("me")
_COUNT = (
    update(recorders)
    .where(_ME, func.coalesce(recorders.c.written, 0) <= bindparam("before"))
    .values(written=bindparam("after"))
)
_COUNTED = select(recorders.c.written).where(_ME)
_CHANGE = update(sessions).where(sessions.c.id == bindparam("session"))
_SWAP_CLIENT = _CHANGE.values(client_role=_other_role(sessions.c.client_role))
_SWAP_SENDERS = (
    update(messages)
    .where(messages.c.session_id == bindparam("session"))
    .values(sender=_other_role(messages.c.sender))
)
_NEWEST_OF_ITS_ID = update(messages).where(
    messages.c.id
    == select(func.max(messages.c.id))
    .where(
        messages.c.session_id == bindparam("session"),
        messages.c.message_id == bindparam("subject"),
        messages.c.sender == bindparam("spoken_by"),
    )
    .correlate(None)
    .scalar_subquery()
)
_RECEIVED = _NEWEST_OF_ITS_ID.where(messages.c.reception_status.is_(None)).values(
    reception_status=bindparam("status"), reception_delay_ms=bindparam("delay")
)
_WITHDRAWN = _NEWEST_OF_ITS_ID.values(reception_status=None, reception_delay_ms=None)
_INVALID = (
    update(messages)
    .where(messages.c.session_id == bindparam("session"), messages.c.seq == bindparam("number"))
    .values(valid=0)
)
_DELIVERED = (
    update(messages)
    .where(messages.c.session_id == bindparam("session"), messages.c.seq == bindparam("number"))
    .values(dropped=bindparam("was_dropped"), sent=bindparam("went", type_=messages.c.sent.type))
)
_COLUMNS_OF_A_MESSAGE = [column.name for column in messages.columns[1:]]
_VALUES_OF_A_MESSAGE = itemgetter(*_COLUMNS_OF_A_MESSAGE)
_BULK_MESSAGES = (
    f"INSERT INTO messages ({', '.join(_COLUMNS_OF_A_MESSAGE)}) "
    "VALUES {rows} ON CONFLICT (session_id, seq) DO NOTHING"
)
# The row of its message is looked up by session and seq, because few messages have findings: to ask
# the database for the id of every message that it writes would make all of them slower. Where the
# message was discarded and has no row, the finding is not written either.
_FIELDS = ("code", "severity", "source", "path", "text", "hint")
_FINDING = insert(findings).from_select(
    ["message", "session_id", *_FIELDS],
    select(
        messages.c.id,
        messages.c.session_id,
        *(bindparam(name, type_=findings.c[name].type) for name in _FIELDS),
    ).where(messages.c.session_id == bindparam("session"), messages.c.seq == bindparam("seq")),
)
_GAP = insert(gaps)
# The same for SQLite (see `bulk_statements`); the values of a row are column1, column2 and so on.
_BULK_RECEIVED = """
UPDATE messages SET reception_status = given.column4, reception_delay_ms = given.column5
FROM (VALUES {rows}) AS given
WHERE messages.id = (
    SELECT max(id) FROM messages AS subject
    WHERE subject.session_id = given.column1
        AND subject.sender = given.column2 AND subject.message_id = given.column3
) AND messages.reception_status IS NULL
"""
_BULK_FINDINGS = """
INSERT INTO findings (session_id, message, code, severity, source, path, text, hint)
SELECT
    given.column1,
    (
        SELECT id FROM messages
        WHERE messages.session_id = given.column1 AND messages.seq = given.column2
    ) AS subject,
    given.column3, given.column4, given.column5, given.column6, given.column7, given.column8
FROM (VALUES {rows}) AS given
WHERE subject IS NOT NULL
"""


def store_once(
    connection: Connection, records: Sequence[Record], recorder: str, before: int
) -> None:
    """Write ``records`` as `store` does, but leave out those that are written already.

    ``recorder`` is the id of the recorder in ``recorders``, and ``before`` how many records it has
    written before these. Where the answer to a COMMIT was lost, it does not know whether they were
    written, and may give the same again. If that transaction still runs, this one waits for it.

    Raises UnknownRecorderError where the recorder has no row, and what `store` raises.
    """
    count = {"me": recorder, "before": before, "after": before + len(records)}
    if connection.execute(_COUNT, count).rowcount:
        store(connection, records, recorder)
        return
    counted = connection.execute(_COUNTED, {"me": recorder}).first()
    if counted is None:
        raise UnknownRecorderError(f"there is no recorder {recorder}")
    if left := records[counted.written - before :]:
        store_once(connection, left, recorder, counted.written)


def store(connection: Connection, records: Iterable[Record], recorder: str | None = None) -> None:
    """Write ``records``, in their order, within the transaction of ``connection``.

    ``recorder`` is the id, in ``recorders``, of the recorder that writes.

    Raises what SQLAlchemy raises, and ValueError, TypeError or OverflowError for a record with a
    value that no row can hold.
    """
    batch = _Batch(_opening(connection.dialect.name), recorder)
    for record in records:
        batch.add(record)
    batch.write(connection)


class _Batch:
    """Records as rows, in as few statements as their order allows.

    The messages, which are most of the records, are written last and together. A record that
    changes a message of this batch therefore changes its row here; the statements that are executed
    before change only messages of earlier batches.
    """

    def __init__(self, opening: Executable, recorder: str | None) -> None:
        self._opening = opening
        self._recorder = recorder
        self._statements: list[tuple[Executable, Row]] = []
        self._messages: list[Row] = []
        self._newest: dict[tuple[str, str | None, str | None], Row] = {}
        self._findings: list[Row] = []
        self._received: dict[tuple[str, str, str | None], Row] = {}
        """The first answer to each message of an earlier batch."""

    def add(self, record: Record) -> None:
        match record:
            case WaitingMessage():
                self._add_message(record)
            case LateFindingRecord(session_id, seq, finding):
                self._add_finding(session_id, seq, finding)
                if finding.severity is Severity.ERROR:
                    self._invalidate(session_id, seq)
            case Reception():
                self._add_reception(record)
            case ReceptionWithdrawn():
                self._withdraw_reception(record)
            case Delivery():
                self._add_delivery(record)
            case Gap():
                self._add_statement(_GAP, _gap_row(record))
            case SessionStart():
                self._add_statement(
                    self._opening, _session_row(record) | {"recorder": self._recorder}
                )
            case SessionChange(session_id, facts):
                if facts:
                    self._add_statement(_CHANGE, {"session": session_id, **_facts_row(facts)})
            case SendersSwapped(session_id):
                self._swap(session_id)
            case SessionEnd(session_id, ended_at, close_code, close_reason, closed_by):
                end = {
                    "ended_at": iso(ended_at),
                    "close_code": close_code,
                    "close_reason": storable(close_reason),
                    "closed_by": storable(closed_by),
                }
                self._add_statement(_CHANGE, {"session": session_id, **end})

    def write(self, connection: Connection) -> None:
        for _, group in groupby(self._statements, key=lambda each: (id(each[0]), each[1].keys())):
            alike = list(group)
            connection.execute(alike[0][0], [row for _, row in alike])
        if connection.dialect.name == "sqlite":
            self._write_in_bulk(connection)
            return
        for statement, rows in (
            (_RECEIVED, [*self._received.values()]),
            (_adding(connection.dialect.name), self._messages),
            (_FINDING, self._findings),
        ):
            if rows:
                connection.execute(statement, rows)

    def _write_in_bulk(self, connection: Connection) -> None:
        for row in self._messages:
            row["content"] = text_or_bytes(row["content"])
            if row["sent"] is not None:
                row["sent"] = text_or_bytes(row["sent"])
        for template, rows in (
            (_BULK_RECEIVED, [[*row.values()] for row in self._received.values()]),
            (_BULK_MESSAGES, [*map(_VALUES_OF_A_MESSAGE, self._messages)]),
            (_BULK_FINDINGS, [[*row.values()] for row in self._findings]),
        ):
            bulk_statements.execute(connection, template, rows)

    def _add_statement(self, statement: Executable, row: Row) -> None:
        self._statements.append((statement, row))

    def _add_message(self, message: WaitingMessage) -> None:
        row = _message_row(message)
        self._messages.append(row)
        self._newest[_key_of_message(row)] = row
        for finding in message.findings:
            self._add_finding(message.session_id, message.seq, finding)

    def _add_finding(self, session_id: str, seq: int, finding: Finding) -> None:
        self._findings.append(
            {
                "session": session_id,
                "seq": seq,
                "code": finding.code,
                "severity": str(finding.severity),
                "source": str(finding.source),
                "path": storable(finding.path),
                "text": storable(finding.text),
                "hint": storable(finding.hint),
            }
        )

    def _invalidate(self, session_id: str, seq: int) -> None:
        for row in self._messages:
            if (row["session_id"], row["seq"]) == (session_id, seq):
                row["valid"] = 0
                return
        self._add_statement(_INVALID, {"session": session_id, "number": seq})

    def _add_delivery(self, delivery: Delivery) -> None:
        # It is mostly one of the last messages.
        for row in reversed(self._messages):
            if (row["session_id"], row["seq"]) == (delivery.session_id, delivery.seq):
                row |= {"dropped": int(delivery.dropped), "sent": delivery.sent}
                return
        older = {"session": delivery.session_id, "number": delivery.seq}
        went = {"was_dropped": int(delivery.dropped), "went": delivery.sent}
        self._add_statement(_DELIVERED, older | went)

    def _add_reception(self, reception: Reception) -> None:
        sender, message_id = str(reception.sender), _id(reception.message_id)
        row = self._newest.get((reception.session_id, sender, message_id))
        if row is None:
            older = {
                "session": reception.session_id,
                "spoken_by": sender,
                "subject": message_id,
                "status": storable(reception.status),
                "delay": reception.delay_ms,
            }
            self._received.setdefault(_key_of_answered(older), older)
        elif row["reception_status"] is None:
            row["reception_status"] = storable(reception.status)
            row["reception_delay_ms"] = reception.delay_ms

    def _withdraw_reception(self, reception: ReceptionWithdrawn) -> None:
        sender, message_id = str(reception.sender), _id(reception.message_id)
        row = self._newest.get((reception.session_id, sender, message_id))
        if row is not None:
            row |= {"reception_status": None, "reception_delay_ms": None}
            return
        older = {"session": reception.session_id, "spoken_by": sender, "subject": message_id}
        if self._received.pop(_key_of_answered(older), None) is None:
            self._add_statement(_WITHDRAWN, older)

    def _swap(self, session_id: str) -> None:
        self._add_statement(_SWAP_CLIENT, {"session": session_id})
        self._add_statement(_SWAP_SENDERS, {"session": session_id})
        for row in self._messages:
            if row["session_id"] == session_id and row["sender"] is not None:
                row["sender"] = str(Role(row["sender"]).other)
        for row in self._received.values():
            if row["session"] == session_id:
                row["spoken_by"] = str(Role(row["spoken_by"]).other)
        self._received = {_key_of_answered(row): row for row in self._received.values()}
        self._newest = {_key_of_message(row): row for row in self._messages}


def storable(text: str | None) -> str | None:
    """``text`` as SQL can hold it and as is safe to show, with ``sqlite3`` too (see `printable`).

    Every column of text is written so, but for ``messages.content`` and ``messages.sent``, which
    have what went over the wire.
    """
    # str() because the drivers do not take a Role, which is a StrEnum.
    return None if text is None else printable(str(text))


def _id(text: str | None) -> str | None:
    # Cut twice: an escape is longer than the character that it stands for.
    return (storable(text[:LONGEST_ID]) or "")[:LONGEST_ID] if text else text


def _key_of_message(row: Row) -> tuple[str, str | None, str | None]:
    return row["session_id"], row["sender"], row["message_id"]


def _key_of_answered(row: Row) -> tuple[str, str, str | None]:
    return row["session"], row["spoken_by"], row["subject"]


def _session_row(start: SessionStart) -> Row:
    return {
        "id": start.id,
        "started_at": iso(start.started_at),
        "client_address": storable(start.client_address),
        "server_address": storable(start.server_address),
        "path": storable(start.path),
        "client_role": storable(start.client_role),
        "proxy": storable(start.proxy),
        "bearer": int(start.bearer),
    }


def _gap_row(gap: Gap) -> Row:
    return {
        "session_id": gap.session_id,
        "first_seq": gap.first_seq,
        "last_seq": gap.last_seq,
        "messages": gap.messages,
        "since": _iso_or_now(gap.since),
        "until": _iso_or_now(gap.until),
        "reason": storable(gap.reason),
    }


def _iso_or_now(seconds: float) -> str:
    # The time of a message may be why it could not be recorded.
    try:
        return iso(seconds)
    except (ValueError, OverflowError, OSError):
        return iso(time.time())


def _facts_row(facts: SessionFacts) -> Row:
    # The database would refuse the statement as it does where it has lost a column, and the
    # recorder would try it again for ever: it must be an error of the record.
    if unknown := facts.keys() - SessionFacts.__annotations__.keys():
        raise ValueError(f"a session has no {', '.join(unknown)}")
    return {name: None if fact is None else storable(str(fact)) for name, fact in facts.items()}


def _message_row(message: WaitingMessage) -> Row:
    return {
        "session_id": message.session_id,
        "seq": message.seq,
        "timestamp": iso(message.time),
        "sender": storable(message.sender),
        "message_type": storable(message.message_type),
        "message_id": _id(message.message_id),
        "subject_message_id": _id(message.subject_message_id),
        "content": message.content,
        "size": len(message.content),
        "injected": int(message.injected),
        "dropped": int(message.dropped),
        "valid": int(message.valid),
        "reception_status": None,
        "reception_delay_ms": None,
        "sent": message.sent,
        "opcode": BINARY_FRAME if message.binary else TEXT_FRAME,
    }
