"""The recorder: what is said in the hooks is written down by a thread of its own.

The hooks put small records on a queue, which neither waits nor fails. The thread takes what is
there, some fifty milliseconds' worth, and writes it in one transaction.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Unpack

from sqlalchemy.exc import DBAPIError

from s2_mitm.history.backlog import Backlog
from s2_mitm.history.database import RecordingError, place_of
from s2_mitm.history.records import (
    Afterthought,
    Message,
    MessageRecord,
    Reception,
    Record,
    SendersSwapped,
    SessionChange,
    SessionEnd,
    SessionFacts,
    SessionStart,
)
from s2_mitm.history.storing import store
from s2_mitm.s2.verdict import Finding, Role

__all__ = ["MessageRecord", "Recorder", "RecordingError", "SessionStart"]

GATHER_SECONDS = 0.05
"""How long the first record of a batch waits for company."""
RETRY_SECONDS = 0.5
"""How long to wait after a failed attempt."""
BATCH = 1000
"""The most records in one transaction, so that a long backlog does not hold the lock for long."""
MOST_MESSAGES = 20_000
MOST_BYTES = 64 * 1024 * 1024
"""What is kept in memory while the database does not take it."""


@dataclass(frozen=True, slots=True)
class _Flush:
    """Written when everything put before it is."""

    done: threading.Event


@dataclass(frozen=True, slots=True)
class _Stop:
    """The last on the queue; what is not written by ``deadline`` (monotonic) is given up."""

    deadline: float


class Recorder:
    """Writes sessions, messages and findings to a recording.

    ``target`` is a file, or an ``sqlite:///`` or ``postgresql://`` URL; the recording is made where
    it is not there, and continued where it is. ``report`` takes one sentence when writing starts to
    fail, when it works again, and when something was lost; it is called from the recorder's thread.

    All methods may be called from any thread. But for ``flush`` and ``close`` they return at once
    and never raise, whatever the database does. While it can't be written, up to
    ``MOST_MESSAGES`` messages wait in memory.

    Raises RecordingError where ``target`` cannot be written.
    """

    def __init__(self, target: str, report: Callable[[str], None]) -> None:
        self._report = report
        # A later change of the working directory must not move the recording.
        self._place = place_of(target).absolute()
        self._name = self._place.name
        self._engine = self._place.open_for_writing()
        self._identity = self._place.identity()
        self._queue: SimpleQueue[Record | _Flush | _Stop] = SimpleQueue()
        self._hurry = threading.Event()
        self._closing = threading.Lock()
        self._closed = False
        # From here on for the thread alone.
        self._backlog = Backlog(messages=MOST_MESSAGES, content=MOST_BYTES)
        self._flushes: list[_Flush] = []
        self._stop: _Stop | None = None
        self._open_sessions: dict[str, SessionStart] = {}
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="s2-recorder", daemon=True)
        self._thread.start()

    def session_opened(self, session: SessionStart) -> None:
        """A session begins; one that is known already goes on."""
        self._put(session)

    def session_changed(self, session_id: str, **facts: Unpack[SessionFacts]) -> None:
        """These facts of a session became known, or are others now."""
        self._put(SessionChange(session_id, facts))

    def message(self, record: MessageRecord) -> None:
        """A message and its findings so far."""
        self._put(Message.of(record))

    def afterthought(self, session_id: str, seq: int, finding: Finding) -> None:
        """Something was found about the message ``seq`` of a session that was put before."""
        self._put(Afterthought(session_id, seq, finding))

    def reception_status(
        self, session_id: str, sender: Role, message_id: str, status: str, delay_ms: float
    ) -> None:
        """The message ``message_id`` of ``sender`` got this answer after ``delay_ms``.

        It goes to the newest message of that id, if that has none yet.
        """
        self._put(Reception(session_id, sender, message_id, status, delay_ms))

    def senders_swapped(self, session_id: str) -> None:
        """The roles, also of what is recorded so far, are the other way round."""
        self._put(SendersSwapped(session_id))

    def session_closed(
        self,
        session_id: str,
        ended_at: float,
        close_code: int | None,
        close_reason: str | None,
        closed_by: str | None,
    ) -> None:
        """A session ended, in seconds since 1970, by ``RM``, ``CEM`` or ``proxy``."""
        self._put(SessionEnd(session_id, ended_at, close_code, close_reason, closed_by))

    def flush(self, timeout: float) -> bool:
        """Wait until what was put so far is written; False where ``timeout`` seconds were short.

        A closed recorder has nothing more to write, and returns False at once.
        """
        if self._closed:
            return False
        flush = _Flush(threading.Event())
        self._put(flush)
        self._hurry.set()
        return flush.done.wait(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Write all that was put, for at most ``timeout`` seconds, and end the thread.

        Whatever is put afterwards is ignored; so is a second close.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(_Stop(time.monotonic() + timeout))
            self._hurry.set()
        self._thread.join(timeout + 2 * self._place.patience)

    def _put(self, record: Record | _Flush) -> None:
        if not self._closed:
            self._queue.put(record)

    # Everything below runs in the thread.

    def _run(self) -> None:
        while True:
            self._gather()
            written = self._write_backlog()
            if written:
                for flush in self._flushes:
                    flush.done.set()
                self._flushes.clear()
            if self._stop and (written or time.monotonic() > self._stop.deadline):
                break
        if len(self._backlog):
            left = len(self._backlog)
            self._tell(f"{self._name} could not be written to the end; {left} records were lost.")
        self._engine.dispose()

    def _gather(self) -> None:
        """Wait until there is something to write and time to do it, and take it from the queue."""
        if self._failing:
            self._hurry.wait(RETRY_SECONDS)
        elif not self._backlog:
            self._take(self._queue.get())
            if not (self._flushes or self._stop):
                self._hurry.wait(GATHER_SECONDS)
        self._hurry.clear()
        with contextlib.suppress(Empty):
            while True:
                self._take(self._queue.get_nowait())

    def _take(self, record: Record | _Flush | _Stop) -> None:
        match record:
            case _Flush():
                self._flushes.append(record)
            case _Stop():
                self._stop = record
            case _:
                self._backlog.append(record)

    def _write_backlog(self) -> bool:
        """Write all there is; False where the database does not take it now."""
        try:
            self._follow_the_file()
            while records := self._backlog.first(BATCH):
                self._write(records)
        except Exception as error:
            # Whatever it is: the thread must live on, and the traffic with it.
            self._fails(error)
            return False
        if self._failing or self._backlog.lost:
            self._recovers()
        return True

    def _write(self, records: list[Record]) -> None:
        try:
            with self._engine.begin() as connection:
                store(connection, records)
        except Exception as error:
            if self._place.is_to_blame(error):
                raise
            self._write_one_by_one(records)
        else:
            self._written(records)

    def _write_one_by_one(self, records: list[Record]) -> None:
        """Find what is wrong in ``records`` by writing each alone, and go on without it."""
        refused: list[Exception] = []
        for record in records:
            try:
                with self._engine.begin() as connection:
                    store(connection, [record])
            except Exception as error:
                if self._place.is_to_blame(error):
                    raise
                refused.append(error)
            self._written([record])
        if refused:
            self._tell(
                f"{len(refused)} of {len(records)} records could not be written to {self._name} "
                f"and are left out: {_first_line(refused[0])}"
            )

    def _written(self, records: list[Record]) -> None:
        self._backlog.remove(len(records))
        for record in records:
            if isinstance(record, SessionStart):
                self._open_sessions[record.id] = record
            elif isinstance(record, SessionEnd):
                self._open_sessions.pop(record.session_id, None)

    def _follow_the_file(self) -> None:
        """Begin a new recording where the file was deleted or replaced.

        SQLite would go on writing to a file that nobody can find any more.
        """
        if self._place.identity() == self._identity:
            return
        self._engine.dispose()
        self._engine = self._place.open_for_writing()
        with self._engine.begin() as connection:
            store(connection, self._open_sessions.values())
        self._identity = self._place.identity()
        self._tell(f"{self._name} was deleted or replaced; the recording goes on in a new one.")

    def _fails(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            self._tell(
                f"{self._name} cannot be written now ({_first_line(error)}); "
                f"the traffic goes on, and up to {MOST_MESSAGES} messages wait in memory."
            )

    def _recovers(self) -> None:
        again = f"{self._name} is written again" if self._failing else f"{self._name} is too slow"
        lost = self._backlog.lost
        loss = f"the oldest {lost} messages were lost" if lost else "nothing was lost"
        self._failing, self._backlog.lost = False, 0
        self._tell(f"{again}; {loss}.")

    def _tell(self, sentence: str) -> None:
        # Nobody listens to what goes wrong in this thread, and it must go on.
        with contextlib.suppress(Exception):
            self._report(sentence)


def _first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return (str(cause).splitlines() or [type(cause).__name__])[0]
