"""Reading a recording, also while it is being written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
)

from s2_mitm.history import schema
from s2_mitm.history.database import RecordingError
from s2_mitm.history.tables import BINARY_FRAME, TEXT_FRAME, findings, gaps, iso, messages, sessions
from s2_mitm.history.target import database_of
from s2_mitm.s2.finding_types import JSON_BINARY
from s2_mitm.s2.verdict import Role, Severity

_AT_ONCE = 500
"""Rows that are read together."""

Row = dict[str, Any]
_Conditions = list[ColumnElement[bool]]

_LACKING: dict[str, ColumnElement[Any]] = {
    "messages.opcode": case(
        (
            exists().where(
                findings.c.message == messages.c.id, findings.c.code == JSON_BINARY.code
            ),
            BINARY_FRAME,
        ),
        else_=TEXT_FRAME,
    ),
    "findings.hint": literal(""),
}
"""What stands for a column that an older recording does not have yet; for any other it is NULL."""


class Wanted(TypedDict, total=False):
    """Which rows to read; a field that is left out, or None, does not narrow them.

    ``session`` is the id of a session, or a beginning that no other id has. ``severity`` asks for
    findings of that severity or a worse one, or for messages and sessions that have such findings.
    ``since`` and ``until`` are aware datetimes, both inclusive. ``limit`` asks for that many of the
    newest rows, the oldest of them first.
    """

    session: str | None
    types: Sequence[str]
    sender: Role | None
    severity: Severity | None
    code: str | None
    since: datetime | None
    until: datetime | None
    limit: int | None


class History:
    """An existing recording, opened so that nothing in it can be changed.

    ``target`` is a file, or an ``sqlite:///`` or ``postgresql://`` URL. Raises RecordingError where
    there is no recording, and so do the methods where it cannot be read.
    """

    def __init__(self, target: str) -> None:
        self._database = database_of(target)
        self._engine = self._database.open_for_reading()
        with self._database.reading(), self._engine.connect() as connection:
            self._revision = schema.revision(connection)

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    def sessions(self, **wanted: Unpack[Wanted]) -> Iterator[Row]:
        """The sessions, in the order in which they began.

        Those that have a message that is wanted, and that were open at some time from ``since`` to
        ``until``. Yields the columns of the table and the counts ``messages``, ``errors``,
        ``warnings`` and ``lost`` (messages that could not be recorded). Raises RecordingError for
        an unknown session.
        """
        narrowing = self._narrowing(wanted)
        conditions = [*narrowing.session(sessions.c.id), *narrowing.span_of_session()]
        if of_messages := narrowing.of_messages():
            conditions.append(exists().where(messages.c.session_id == sessions.c.id, *of_messages))
        query = select(
            *self._columns(sessions),
            select(func.count())
            .where(messages.c.session_id == sessions.c.id)
            .scalar_subquery()
            .label("messages"),
            _count_findings(Severity.ERROR).label("errors"),
            _count_findings(Severity.WARNING).label("warnings"),
            self._count_lost().label("lost"),
        ).where(*conditions)
        for rows in self._read(query, ("started_at", "id"), narrowing.limit):
            yield from rows

    def messages(self, **wanted: Unpack[Wanted]) -> Iterator[Row]:
        """The messages, in the order in which they were recorded.

        Yields the columns of the table, with the flags as booleans, and ``findings``: a list of
        what `findings` yields for them. Raises RecordingError for an unknown session.
        """
        narrowing = self._narrowing(wanted)
        query = select(*self._columns(messages)).where(
            *narrowing.session(messages.c.session_id),
            *narrowing.span(),
            *narrowing.of_messages(),
        )
        for rows in self._read(query, ("id",), narrowing.limit):
            found = self._findings_of(rows)
            for row in rows:
                for flag in ("injected", "dropped", "valid"):
                    row[flag] = bool(row[flag])
                row["findings"] = found.get(row["id"], [])
                yield row

    def said(self, session: str, first: int, last: int, types: Sequence[str] = ()) -> Iterator[Row]:
        """The messages of the session with this id from one ``seq`` to another, in that order.

        Only those of ``types`` where there are any. Yields the columns of the table.
        """
        query = select(*self._columns(messages)).where(
            messages.c.session_id == session,
            messages.c.seq.between(first, last),
            *([messages.c.message_type.in_(types)] if types else []),
        )
        for rows in self._read(query, ("seq",), None):
            yield from rows

    def findings(self, **wanted: Unpack[Wanted]) -> Iterator[Row]:
        """The findings, in the order in which they were recorded.

        Yields the columns of the table, and of the message ``seq``, ``timestamp``, ``sender`` and
        ``message_type``. Raises RecordingError for an unknown session.
        """
        narrowing = self._narrowing(wanted)
        of_message = (
            messages.c.seq,
            messages.c.timestamp,
            messages.c.sender,
            messages.c.message_type,
        )
        query = (
            select(*self._columns(findings), *of_message)
            .join_from(findings, messages, findings.c.message == messages.c.id)
            .where(
                *narrowing.session(findings.c.session_id),
                *narrowing.span(),
                *narrowing.of_message_alone(),
                *narrowing.of_findings(),
            )
        )
        for rows in self._read(query, ("id",), narrowing.limit):
            yield from rows

    def gaps(self, session: str) -> list[Row]:
        """The gaps of the session with this id, in order; each has the columns of the table."""
        if not schema.exists_in(gaps, self._revision):
            return []
        query = select(gaps).where(gaps.c.session_id == session)
        return [row for rows in self._read(query, ("first_seq", "id"), None) for row in rows]

    def _columns(self, table: Table) -> list[ColumnElement[Any]]:
        """The columns of ``table``, also those that an older recording does not have yet."""
        return [
            column
            if schema.exists_in(column, self._revision)
            else _LACKING.get(str(column), null()).label(column.name)
            for column in table.columns
        ]

    def _count_lost(self) -> ColumnElement[Any]:
        if not schema.exists_in(gaps, self._revision):
            return literal(0)
        lost = select(func.sum(gaps.c.messages)).where(gaps.c.session_id == sessions.c.id)
        # A sum is a number of another type on PostgreSQL.
        return cast(func.coalesce(lost.scalar_subquery(), 0), BigInteger)

    def _narrowing(self, wanted: Wanted) -> _Narrowing:
        named = wanted.get("session")
        return _Narrowing(wanted, None if named is None else self._session_id(named))

    def _session_id(self, named: str) -> str:
        """The id of the session whose id is ``named``, or begins with it."""
        like = sessions.c.id.istartswith(named, autoescape=True)
        query = select(sessions.c.id).where(or_(sessions.c.id == named, like)).limit(1000)
        with self._database.reading(), self._engine.connect() as connection:
            ids = list(connection.execute(query).scalars())
        if named in ids:
            return named
        if not ids:
            raise RecordingError(
                f"no session in {self._database.name} has an id that begins with '{named}'; "
                "s2-mitm sessions lists them"
            )
        if len(ids) > 1:
            raise RecordingError(
                f"{len(ids)} sessions in {self._database.name} have an id that begins with"
                f" '{named}'; give more of it"
            )
        return str(ids[0])

    def _read(
        self, query: Select[Any], order: tuple[str, ...], limit: int | None
    ) -> Iterator[list[Row]]:
        """The newest ``limit`` rows of ``query``, in the order of these columns, in portions."""
        columns = [query.selected_columns[name] for name in order]
        if limit is None:
            query = query.order_by(*columns)
        else:
            newest = query.order_by(*(column.desc() for column in columns)).limit(limit).subquery()
            query = select(newest).order_by(*(newest.c[name] for name in order))
        with self._database.reading(), self._engine.connect() as connection:
            result = connection.execution_options(yield_per=_AT_ONCE).execute(query)
            for rows in result.mappings().partitions():
                yield [dict(row) for row in rows]

    def _findings_of(self, rows: list[Row]) -> dict[int, list[Row]]:
        """The findings of these messages, by the message's row id."""
        ids = [row["id"] for row in rows]
        by_message: dict[int, list[Row]] = {}
        query = select(*self._columns(findings)).where(findings.c.message.in_(ids))
        query = query.order_by(findings.c.id)
        with self._database.reading(), self._engine.connect() as connection:
            for found in connection.execute(query).mappings():
                by_message.setdefault(found["message"], []).append(dict(found))
        return by_message


@dataclass(frozen=True, slots=True)
class _Narrowing:
    """`Wanted` as conditions of SQL on the tables."""

    wanted: Wanted
    session_id: str | None

    @property
    def limit(self) -> int | None:
        return self.wanted.get("limit")

    def session(self, column: ColumnElement[Any]) -> _Conditions:
        return [] if self.session_id is None else [column == self.session_id]

    def span(self) -> _Conditions:
        conditions: _Conditions = []
        if since := self.wanted.get("since"):
            conditions.append(messages.c.timestamp >= iso(since.timestamp()))
        if until := self.wanted.get("until"):
            conditions.append(messages.c.timestamp <= iso(until.timestamp()))
        return conditions

    def span_of_session(self) -> _Conditions:
        conditions: _Conditions = []
        if since := self.wanted.get("since"):
            ended = sessions.c.ended_at
            conditions.append(or_(ended.is_(None), ended >= iso(since.timestamp())))
        if until := self.wanted.get("until"):
            conditions.append(sessions.c.started_at <= iso(until.timestamp()))
        return conditions

    def of_message_alone(self) -> _Conditions:
        conditions: _Conditions = []
        if types := self.wanted.get("types"):
            conditions.append(messages.c.message_type.in_(types))
        if sender := self.wanted.get("sender"):
            conditions.append(messages.c.sender == str(sender))
        return conditions

    def of_findings(self) -> _Conditions:
        conditions: _Conditions = []
        if severity := self.wanted.get("severity"):
            as_bad = [str(other) for other in Severity if other.rank >= severity.rank]
            conditions.append(findings.c.severity.in_(as_bad))
        if code := self.wanted.get("code"):
            conditions.append(findings.c.code == code)
        return conditions

    def of_messages(self) -> _Conditions:
        """Of a message, and that it has a finding that is wanted, where findings are narrowed."""
        conditions = self.of_message_alone()
        if of_findings := self.of_findings():
            conditions.append(exists().where(findings.c.message == messages.c.id, *of_findings))
        return conditions


def _count_findings(severity: Severity) -> Any:
    return (
        select(func.count())
        .where(findings.c.session_id == sessions.c.id, findings.c.severity == str(severity))
        .scalar_subquery()
    )
