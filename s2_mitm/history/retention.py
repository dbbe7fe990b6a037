"""How long sessions are kept: old ones are deleted, as a whole and in small steps."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    ScalarSelect,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from s2_mitm.history.database import Database, RecordingError
from s2_mitm.history.tables import findings, gaps, iso, messages, recorders, sessions
from s2_mitm.history.typed_times import UNITS, duration

MESSAGES_AT_ONCE = 250
BYTES_AT_ONCE = 2 * 1024 * 1024
"""How much is deleted at most in one step; a single message may be larger."""
SESSIONS_AT_ONCE = 100
"""How many of the oldest sessions are looked up together."""
ENOUGH = 0.9
"""A recording that is too large is reduced to this part of the limit, so as not to be too large
again at once."""
MESSAGE_BYTES = 350
FINDING_BYTES = 350
SESSION_BYTES = 500
"""About how many bytes a row and its index entries take, that of a message without its content."""
TAKEN_OUT = "taken out to make room"
"""``gaps.reason`` of a session that is being deleted."""

_SIZES = {"kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_LIMIT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([a-zA-Z]{1,3})", re.ASCII)
_LONGEST = timedelta(days=365_000)


@dataclass(frozen=True, slots=True)
class Retention:
    """Which sessions are kept: those that ended within ``max_age`` and fit ``max_bytes``.

    None is no limit. A session that is open is always kept.
    """

    max_age: timedelta | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, or would be; ``bytes`` is an estimate of the space that it took."""

    sessions: int = 0
    messages: int = 0
    bytes: int = 0

    def __add__(self, more: Pruned) -> Pruned:
        return Pruned(
            self.sessions + more.sessions, self.messages + more.messages, self.bytes + more.bytes
        )


def parse_retention(text: str) -> Retention:
    """What ``30d``, ``500MB`` or ``30d, 2GB`` mean; an empty text is no limit.

    The units of an age are ``s``, ``m``, ``h``, ``d`` and ``w``, those of a size ``kB``, ``MB``,
    ``GB``, ``KiB``, ``MiB`` and ``GiB``. Raises ValueError, with a sentence for the person who
    typed it, where it is something else.
    """
    max_age: timedelta | None = None
    max_bytes: int | None = None
    for part in text.split(",") if text.strip() else []:
        limit = _LIMIT.fullmatch(part.strip())
        number, unit = (float(limit[1]), limit[2]) if limit else (0.0, "")
        if max_age is None and unit in UNITS:
            max_age = duration(number, unit)
            good = timedelta(0) < max_age <= _LONGEST
        elif max_bytes is None and (max_bytes := parse_size(part)) is not None:
            good = max_bytes > 0
        else:
            good = False
        if not good:
            raise ValueError(
                f"'{text}' does not say what to keep: give an age such as 12h, 30d or 8w, a size"
                " such as 500MB or 2GB, or both with a comma"
            )
    return Retention(max_age, max_bytes)


def parse_size(text: str) -> int | None:
    """The number of bytes that ``500MB`` or ``1.5 GiB`` mean; None where it is no size."""
    limit = _LIMIT.fullmatch(text.strip())
    unit = _SIZES.get(limit[2].lower()) if limit else None
    return int(float(limit[1]) * unit) if limit and unit else None


_THE_SESSION = sessions.c.id == bindparam("session")
_ITS_MESSAGES = messages.c.session_id == bindparam("session")
_FIRST = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_BEGUN = select(gaps.c.session_id).where(gaps.c.reason == TAKEN_OUT).distinct()
_OLDEST = (
    select(sessions.c.id, sessions.c.ended_at)
    .where(sessions.c.ended_at.is_not(None))
    .order_by(sessions.c.ended_at, sessions.c.id)
    .limit(SESSIONS_AT_ONCE)
)
_LOCK = (
    select(sessions.c.id)
    .where(_THE_SESSION, sessions.c.ended_at.is_not(None))
    .with_for_update(skip_locked=True)
)
_FIRST_MESSAGES = (
    select(messages.c.id, messages.c.size)
    .where(_ITS_MESSAGES)
    .order_by(messages.c.seq)
    .limit(MESSAGES_AT_ONCE)
)
_LAST_MESSAGE = select(messages.c.seq).where(_ITS_MESSAGES).order_by(messages.c.seq.desc()).limit(1)
_TIMES_OF = select(sessions.c.started_at, sessions.c.ended_at).where(_THE_SESSION)
_FORGET_RECORDERS = delete(recorders).where(
    recorders.c.ended_at < bindparam("before"),
    recorders.c.id.not_in(select(sessions.c.recorder).where(sessions.c.recorder.is_not(None))),
)


def _number_of(table: Table, what: ColumnElement[Any]) -> ScalarSelect[Any]:
    return select(what).where(table.c.session_id == sessions.c.id).scalar_subquery()


_EACH_SESSION = (
    select(
        sessions.c.id,
        sessions.c.ended_at,
        _number_of(messages, func.count(messages.c.id)),
        _number_of(messages, func.coalesce(func.sum(messages.c.size), 0)),
        _number_of(findings, func.count(findings.c.id)),
    )
    .where(sessions.c.ended_at.is_not(None))
    .order_by(sessions.c.ended_at, sessions.c.id)
)


class Pruning:
    """Deletes the sessions of a recording that are not kept, those that ended first before others.

    First `look`, then `step` until it returns None. Each step is small, so that a recorder can take
    one between two batches. A session that was deleted in part, by whatever program, is deleted
    first. Several programs may prune the same recording at once.
    """

    def __init__(self, database: Database, retain: Retention) -> None:
        self._database = database
        self._retain = retain
        self._begun: deque[str] = deque()
        self._oldest: deque[tuple[str, str]] = deque()
        self._left_alone: set[str] = set()
        self._session: str | None = None
        self._too_much = 0

    def look(self, connection: Connection, *, exactly: bool = False) -> bool:
        """See how much is to be deleted; returns whether the recording is too large.

        With ``exactly`` its size is not estimated, which may take long.
        """
        self._begun = deque(connection.execute(_BEGUN).scalars())
        self._oldest.clear()
        self._left_alone.clear()
        self._session = None
        self._too_much = 0
        most = self._retain.max_bytes
        if most is not None:
            used = self._database.used(connection, exactly=exactly)
            if used > most:
                self._too_much = used - int(most * ENOUGH)
        connection.execute(_FORGET_RECORDERS, {"before": self._limit(timedelta(days=1))})
        return self._too_much > 0

    def step(self, connection: Connection) -> Pruned | None:
        """Delete a little; None where nothing more is to be deleted until the next look."""
        if self._session is None:
            self._session = self._next(connection)
        if self._session is None:
            return Pruned() if self._database.give_back(connection) else None
        pruned = _delete_some(connection, self._session)
        if pruned is None:
            self.leave_alone()
            return Pruned()
        if pruned.sessions:
            self._session = None
        self._too_much -= pruned.bytes
        return pruned

    def leave_alone(self) -> None:
        """Keep the session that was to be deleted until the next look."""
        if self._session is not None:
            self._left_alone.add(self._session)
            self._session = None

    def all_that_may_go(self, connection: Connection) -> Pruned:
        """What would be deleted now; nothing is changed."""
        going = Pruned()
        too_much = 0
        if (most := self._retain.max_bytes) is not None:
            used = self._database.used(connection, exactly=True)
            too_much = used - int(most * ENOUGH) if used > most else 0
        for _, ended_at, count, size, found in connection.execute(_EACH_SESSION):
            if not (self._is_too_old(ended_at) or going.bytes < too_much):
                break
            takes = size + count * MESSAGE_BYTES + found * FINDING_BYTES + SESSION_BYTES
            going += Pruned(1, count, takes)
        return going

    def _next(self, connection: Connection) -> str | None:
        """The id of the session that is to be deleted next, if any."""
        if self._begun:
            return self._begun.popleft()
        if not (self._too_much > 0 or self._retain.max_age):
            return None
        if not self._oldest:
            rows = connection.execute(_OLDEST.where(sessions.c.id.not_in(self._left_alone)))
            self._oldest.extend((row.id, row.ended_at) for row in rows)
        if self._oldest and (self._too_much > 0 or self._is_too_old(self._oldest[0][1])):
            return self._oldest.popleft()[0]
        return None

    def _is_too_old(self, ended_at: str) -> bool:
        max_age = self._retain.max_age
        return max_age is not None and ended_at < self._limit(max_age)

    def _limit(self, age: timedelta) -> str:
        # A limit before the year 1 cannot be written as a time.
        return iso(max(time.time() - age.total_seconds(), _FIRST))


def prune(database: Database, retain: Retention) -> Pruned:
    """Delete all that ``retain`` does not keep; the recording may be written meanwhile.

    Returns what was deleted. Raises RecordingError where it cannot be done.
    """
    with _opened(database) as engine:
        pruning = Pruning(database, retain)
        gone = Pruned()
        while True:
            with engine.begin() as connection:
                too_much = pruning.look(connection, exactly=True)
            before = gone
            while (step := _step(engine, pruning)) is not None:
                gone += step
            # What was deleted may have taken less space than was estimated.
            if not too_much or gone == before:
                return gone


def would_prune(database: Database, retain: Retention) -> Pruned:
    """What `prune` would delete; nothing is changed. Raises RecordingError."""
    with database.reading():
        engine = database.open_for_reading()
        try:
            with engine.connect() as connection:
                return Pruning(database, retain).all_that_may_go(connection)
        finally:
            engine.dispose()


def _step(engine: Engine, pruning: Pruning) -> Pruned | None:
    try:
        with engine.begin() as connection:
            return pruning.step(connection)
    except IntegrityError:
        # The session was opened again.
        pruning.leave_alone()
        return Pruned()


@contextmanager
def _opened(database: Database) -> Iterator[Engine]:
    """Open a recording to prune it; what is no recording stays unchanged."""
    database.open_for_reading().dispose()
    engine = database.open_for_writing()
    try:
        yield engine
    except DBAPIError as error:
        raise RecordingError(f"cannot prune {database.name}: {database.reason(error)}") from None
    finally:
        engine.dispose()


def _delete_some(connection: Connection, session: str) -> Pruned | None:
    """Delete some messages of a session, and with the last of them the session itself.

    None where it cannot be deleted: it is open, or another program is deleting it.
    """
    # The session is locked first, so that two programs never wait for each other's rows.
    if connection.execute(_LOCK, {"session": session}).first() is None:
        return None
    rows = connection.execute(_FIRST_MESSAGES, {"session": session}).all()
    some, size = [], 0
    for message, bytes_ in rows:
        some.append(message)
        size += bytes_
        if size >= BYTES_AT_ONCE:
            break
    is_last = len(some) == len(rows) < MESSAGES_AT_ONCE
    found = connection.execute(delete(findings).where(findings.c.message.in_(some))).rowcount
    connection.execute(delete(messages).where(messages.c.id.in_(some)))
    takes = size + len(some) * MESSAGE_BYTES + found * FINDING_BYTES
    if not is_last:
        _mark_as_begun(connection, session)
        return Pruned(0, len(some), takes)
    for table in (findings, gaps):
        connection.execute(delete(table).where(table.c.session_id == session))
    connection.execute(delete(sessions).where(sessions.c.id == session))
    return Pruned(1, len(some), takes + SESSION_BYTES)


def _mark_as_begun(connection: Connection, session: str) -> None:
    """Write the gap by which a session that is deleted in part is known, unless it has it.

    Readers see from it that messages are missing, and after a crash it says what to go on with.
    """
    if connection.execute(_BEGUN.where(gaps.c.session_id == session)).first():
        return
    last = connection.execute(_LAST_MESSAGE, {"session": session}).first()
    started_at, ended_at = connection.execute(_TIMES_OF, {"session": session}).one()
    seq = last.seq if last else 1
    whole = {"first_seq": 1, "last_seq": seq, "messages": seq, "reason": TAKEN_OUT}
    row = {"session_id": session, "since": started_at, "until": ended_at, **whole}
    connection.execute(insert(gaps), row)
