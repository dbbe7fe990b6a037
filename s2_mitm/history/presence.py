"""Who records: a row for each recorder that is there, and the sessions that others left open."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from s2_mitm.history.records import (
    Record,
    SendersSwapped,
    SessionChange,
    SessionEnd,
    SessionFacts,
    SessionStart,
)
from s2_mitm.history.storing import store
from s2_mitm.history.tables import iso, messages, recorders, sessions

GONE_SECONDS = 60
"""How long a recorder may be silent before it counts as gone."""
LEFT_OPEN = "not closed: the proxy ended without warning"
"""The reason why a session is over whose recorder did not say so."""

_here: set[str] = set()
"""The recorders of this process."""

_MINE = update(recorders).where(recorders.c.id == bindparam("mine"))
_RENEW = _MINE.where(recorders.c.ended_at.is_(None)).values(seen_at=bindparam("now"))
_RETURN = _MINE.values(seen_at=bindparam("now"), ended_at=None)
_END = _MINE.values(seen_at=bindparam("now"), ended_at=bindparam("now"))
_LIVING = select(recorders.c.id, recorders.c.host, recorders.c.pid, recorders.c.seen_at).where(
    recorders.c.ended_at.is_(None)
)
# Unless it was seen meanwhile.
_GONE = (
    update(recorders)
    .where(
        recorders.c.id == bindparam("theirs"),
        recorders.c.seen_at == bindparam("seen"),
        recorders.c.ended_at.is_(None),
    )
    .values(ended_at=recorders.c.seen_at)
)
_LEFT = (
    select(
        sessions.c.id,
        sessions.c.started_at,
        recorders.c.seen_at,
        select(messages.c.timestamp)
        .where(messages.c.session_id == sessions.c.id)
        .order_by(messages.c.seq.desc())
        .limit(1)
        .scalar_subquery(),
    )
    .select_from(sessions.outerjoin(recorders))
    .where(sessions.c.ended_at.is_(None))
)
_CLOSE = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"), sessions.c.ended_at.is_(None))
    .values(ended_at=bindparam("end"), close_reason=LEFT_OPEN, closed_by="proxy")
)


class Presence:
    """That a recorder is there, and which sessions it has open.

    One that was thought to be gone while it was not, because it slept, or whose row is not there,
    because the recording is another, says anew that it is there, and opens its sessions again.
    """

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex
        self._host = socket.gethostname()
        self._pid = os.getpid()
        self._started_at = iso(time.time())
        self._open: dict[str, tuple[SessionStart, SessionFacts]] = {}
        self._living: set[str] | None = None
        _here.add(self.id)

    def heed(self, records: Iterable[Record]) -> None:
        """These were written: know from them which sessions are open."""
        for record in records:
            match record:
                case SessionStart():
                    start: tuple[SessionStart, SessionFacts]
                    start = record, {"client_role": record.client_role}
                    self._open.setdefault(record.id, start)
                case SessionChange() if record.session_id in self._open:
                    self._open[record.session_id][1].update(record.facts)
                case SendersSwapped() if record.session_id in self._open:
                    facts = self._open[record.session_id][1]
                    if role := facts["client_role"]:
                        facts["client_role"] = role.other
                case SessionEnd():
                    self._open.pop(record.session_id, None)

    def renew(self, connection: Connection) -> None:
        """Say that the recorder is there, and close what those left open that are gone."""
        renewed = connection.execute(_RENEW, {"mine": self.id, "now": iso(time.time())})
        if not renewed.rowcount:
            self.restore(connection)
        self._close_what_was_left(connection)

    def restore(self, connection: Connection) -> None:
        """See that the recorder and its open sessions stand in the recording, and as such."""
        now = iso(time.time())
        if not connection.execute(_RETURN, {"mine": self.id, "now": now}).rowcount:
            row = {"id": self.id, "host": self._host, "pid": self._pid, "seen_at": now}
            connection.execute(insert(recorders), {**row, "started_at": self._started_at})
        # Of a session that is there more may stand there than was heeded so far: a batch whose
        # COMMIT was not answered.
        there = set(connection.scalars(select(sessions.c.id).where(sessions.c.id.in_(self._open))))
        for start, facts in self._open.values():
            change = [] if start.id in there else [SessionChange(start.id, facts)]
            store(connection, [start, *change], self.id)

    def end(self, connection: Connection) -> None:
        """Say that the recorder has ended, in order."""
        connection.execute(_END, {"mine": self.id, "now": iso(time.time())})

    def forget(self) -> None:
        """The recorder is no more; what it still has open is for others to close."""
        _here.discard(self.id)

    def _close_what_was_left(self, connection: Connection) -> None:
        others = [row for row in connection.execute(_LIVING) if row.id not in _here]
        gone = [row for row in others if self._is_gone(row)]
        if gone:
            connection.execute(_GONE, [{"theirs": row.id, "seen": row.seen_at} for row in gone])
        living = {row.id for row in others} - {row.id for row in gone}
        if self._living is None:
            self._close_sessions(connection, with_older=True)
        elif gone or self._living - living:
            # They ended since we looked last, in order or not.
            self._close_sessions(connection, with_older=False)
        self._living = living

    def _close_sessions(self, connection: Connection, *, with_older: bool) -> None:
        # Before there was this table nobody said who wrote, and there was but one to write.
        nobodys = sessions.c.recorder.is_(None)
        over = recorders.c.ended_at.is_not(None)
        left = connection.execute(_LEFT.where(or_(over, nobodys) if with_older else over))
        ends = [{"session": name, "end": max(filter(None, times))} for name, *times in left]
        if ends:
            connection.execute(_CLOSE, ends)

    def _is_gone(self, other: Any) -> bool:
        if other.seen_at < iso(time.time() - GONE_SECONDS):
            return True
        # A container that is started again has the host, and the process, of the one before.
        return other.host == self._host and (other.pid == self._pid or not _lives(other.pid))


def _lives(pid: int) -> bool:
    if os.name == "nt":
        # There it would be killed by the question.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
