"""Who records: a row for each recorder that is there, and the sessions that others left open."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterable, Mapping

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

GONE_SECONDS = 60.0
"""How long a recorder may be silent before it counts as gone."""
LOOK_SECONDS = 20.0
"""What counts at most of the time between two looks: while the database was away, or this machine
asleep, the others could not be heard."""
LEFT_OPEN = "not closed: the proxy ended without warning"
"""The reason why a session is over whose recorder did not say so."""

_MINE = update(recorders).where(recorders.c.id == bindparam("mine"))
_RENEW = _MINE.where(recorders.c.ended_at.is_(None)).values(seen_at=bindparam("now"))
_RETURN = _MINE.values(seen_at=bindparam("now"), ended_at=None)
_END = _MINE.values(seen_at=bindparam("now"), ended_at=bindparam("now"))
_ONE_OF_MINE = select(sessions.c.id).where(sessions.c.recorder == bindparam("mine")).limit(1)
_LIVING = select(recorders.c.id, recorders.c.seen_at).where(
    recorders.c.ended_at.is_(None), recorders.c.id != bindparam("mine")
)
# Who writes has its row locked: it is there, or the server does not know yet that it is not.
_NOT_WRITING = (
    select(recorders.c.id)
    .where(recorders.c.id.in_(bindparam("silent", expanding=True)))
    .with_for_update(skip_locked=True)
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

    It is known by an id of its own: a host name and the number of a process, which two machines
    or containers may share, are for people. One that was thought to be gone while it was not,
    because it slept, or whose row is not there, because the recording is another, says anew that
    it is there, and opens its sessions again.
    """

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex
        self._host = socket.gethostname()
        self._pid = os.getpid()
        self._started_at = iso(time.time())
        self._open: dict[str, tuple[SessionStart, SessionFacts]] = {}
        self._heartbeats = Heartbeats()
        self._living: set[str] | None = None

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

    def renew(self, connection: Connection) -> bool:
        """Say that the recorder is there, and close what those left open that are gone.

        Returns whether the recording knew it (see `restore`).
        """
        renewed = connection.execute(_RENEW, {"mine": self.id, "now": iso(time.time())})
        is_known = renewed.rowcount > 0 or self.restore(connection)
        self._close_what_was_left(connection)
        return is_known

    def restore(self, connection: Connection) -> bool:
        """See that the recorder and its open sessions stand in the recording, and as such.

        Returns whether the recording knew it: its row was there, or a session that it wrote.
        """
        now = iso(time.time())
        is_known = bool(connection.execute(_RETURN, {"mine": self.id, "now": now}).rowcount)
        if not is_known:
            is_known = connection.execute(_ONE_OF_MINE, {"mine": self.id}).first() is not None
            row = {"id": self.id, "host": self._host, "pid": self._pid, "seen_at": now}
            connection.execute(insert(recorders), {**row, "started_at": self._started_at})
        # Of a session that is there more may stand there than was heeded so far: a batch whose
        # COMMIT was not answered.
        there = set(connection.scalars(select(sessions.c.id).where(sessions.c.id.in_(self._open))))
        for start, facts in self._open.values():
            change = [] if start.id in there else [SessionChange(start.id, facts)]
            store(connection, [start, *change], self.id)
        return is_known

    def end(self, connection: Connection) -> None:
        """Say that the recorder has ended, in order."""
        connection.execute(_END, {"mine": self.id, "now": iso(time.time())})

    def _close_what_was_left(self, connection: Connection) -> None:
        seen = {row.id: row.seen_at for row in connection.execute(_LIVING, {"mine": self.id})}
        silence = self._heartbeats.silence(seen, time.monotonic())
        silent = [name for name, seconds in silence.items() if seconds >= GONE_SECONDS]
        gone = set(connection.scalars(_NOT_WRITING, {"silent": silent})) if silent else set()
        if gone:
            connection.execute(_GONE, [{"theirs": name, "seen": seen[name]} for name in gone])
        living = seen.keys() - gone
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


class Heartbeats:
    """How long others have been silent, by the listener's own clock: theirs may be wrong."""

    def __init__(self) -> None:
        self._looked_at: float | None = None
        self._heard: dict[str, tuple[str, float]] = {}

    def silence(self, seen: Mapping[str, str], now: float) -> dict[str, float]:
        """For how many seconds what each ``seen`` says, by its id, has been the same.

        ``now`` is in seconds of a clock that nobody sets. Of who is seen for the first time
        nothing is known yet.
        """
        passed = 0.0 if self._looked_at is None else min(now - self._looked_at, LOOK_SECONDS)
        self._looked_at = now
        heard = {}
        for name, beat in seen.items():
            before, silent = self._heard.get(name, (None, 0.0))
            heard[name] = beat, silent + passed if beat == before else 0.0
        self._heard = heard
        return {name: silent for name, (_, silent) in heard.items()}
