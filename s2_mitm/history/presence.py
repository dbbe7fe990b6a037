"""Which recorders are running, and the sessions that recorders left open which ended unseen.

Each recorder has a row in ``recorders`` and renews it every few seconds: its heartbeat.
"""

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
"""How long a recorder may send no heartbeat before it counts as ended."""
LOOK_SECONDS = 20.0
"""How much of the time between two looks counts at most as silence of the others: while the
database could not be reached, or this machine slept, their heartbeats could not be seen."""
LEFT_OPEN = "not closed: the proxy ended without warning"
"""``close_reason`` of a session whose recorder ended without closing it."""

_MINE = update(recorders).where(recorders.c.id == bindparam("mine"))
_RENEW = _MINE.where(recorders.c.ended_at.is_(None)).values(seen_at=bindparam("now"))
_RETURN = _MINE.values(seen_at=bindparam("now"), ended_at=None)
_END = _MINE.values(seen_at=bindparam("now"), ended_at=bindparam("now"))
_ONE_OF_MINE = select(sessions.c.id).where(sessions.c.recorder == bindparam("mine")).limit(1)
_LIVING = select(recorders.c.id, recorders.c.seen_at).where(
    recorders.c.ended_at.is_(None), recorders.c.id != bindparam("mine")
)
# A recorder that writes has its row locked (see `store_once`): it is running, or the server has not
# noticed yet that it is not.
_NOT_WRITING = (
    select(recorders.c.id)
    .where(recorders.c.id.in_(bindparam("silent", expanding=True)))
    .with_for_update(skip_locked=True)
)
# Unless it has sent a heartbeat meanwhile.
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
    """The row of a recorder in ``recorders``, and the sessions that it has open.

    A recorder is known by a random id; the host name and the process number in its row are for
    people, since two machines or containers may have the same. If others took it for ended because
    its machine slept, or if the recording is a new one, it opens its row and its sessions again.
    """

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex
        self._host = socket.gethostname()
        self._pid = os.getpid()
        self._started_at = iso(time.time())
        self._open: dict[str, tuple[SessionStart, SessionFacts]] = {}
        self._heartbeats = Heartbeats()
        self._living: set[str] | None = None

    def note(self, records: Iterable[Record]) -> None:
        """Note which sessions are open, and their facts, from ``records`` that were written."""
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
        """Send a heartbeat, and close the sessions that other recorders left open.

        Returns whether the recording knew this recorder (see `restore`).
        """
        renewed = connection.execute(_RENEW, {"mine": self.id, "now": iso(time.time())})
        is_known = renewed.rowcount > 0 or self.restore(connection)
        self._close_sessions_left_open(connection)
        return is_known

    def restore(self, connection: Connection) -> bool:
        """Write the row of the recorder and its open sessions where the recording lacks them.

        Returns whether the recording knew this recorder: it had its row, or a session of it.
        """
        now = iso(time.time())
        is_known = bool(connection.execute(_RETURN, {"mine": self.id, "now": now}).rowcount)
        if not is_known:
            is_known = connection.execute(_ONE_OF_MINE, {"mine": self.id}).first() is not None
            row = {"id": self.id, "host": self._host, "pid": self._pid, "seen_at": now}
            connection.execute(insert(recorders), {**row, "started_at": self._started_at})
        # The recording may know more of a session than was noted here: a batch may have been
        # written although its COMMIT was not answered.
        recorded = set(
            connection.scalars(select(sessions.c.id).where(sessions.c.id.in_(self._open)))
        )
        for start, facts in self._open.values():
            change = [] if start.id in recorded else [SessionChange(start.id, facts)]
            store(connection, [start, *change], self.id)
        return is_known

    def end(self, connection: Connection) -> None:
        """Write that the recorder has ended."""
        connection.execute(_END, {"mine": self.id, "now": iso(time.time())})

    def _close_sessions_left_open(self, connection: Connection) -> None:
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
            # Some have ended since the last look.
            self._close_sessions(connection, with_older=False)
        self._living = living

    def _close_sessions(self, connection: Connection, *, with_older: bool) -> None:
        # Before revision 0002 sessions did not have a recorder, and only one could write.
        nobodys = sessions.c.recorder.is_(None)
        over = recorders.c.ended_at.is_not(None)
        left = connection.execute(_LEFT.where(or_(over, nobodys) if with_older else over))
        ends = [{"session": name, "end": max(filter(None, times))} for name, *times in left]
        if ends:
            connection.execute(_CLOSE, ends)


class Heartbeats:
    """How long other recorders have sent no heartbeat, by our own clock: theirs may be wrong."""

    def __init__(self) -> None:
        self._looked_at: float | None = None
        self._heard: dict[str, tuple[str, float]] = {}

    def silence(self, seen: Mapping[str, str], now: float) -> dict[str, float]:
        """For how many seconds each recorder has sent no heartbeat, by its id.

        ``seen`` has the last heartbeat of each (``seen_at``) by its id, ``now`` is the monotonic
        time in seconds. A recorder that is seen for the first time has been silent for 0 seconds.
        """
        passed = 0.0 if self._looked_at is None else min(now - self._looked_at, LOOK_SECONDS)
        self._looked_at = now
        heard = {}
        for name, beat in seen.items():
            before, silent = self._heard.get(name, (None, 0.0))
            heard[name] = beat, silent + passed if beat == before else 0.0
        self._heard = heard
        return {name: silent for name, (_, silent) in heard.items()}
