"""The recorder: it takes records from mitmproxy's hooks, and writes them in a thread of its own.

To put a record on the backlog takes no time and cannot fail. The thread gathers records for a
tenth of a second and writes them in one transaction.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Unpack

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from s2_mitm.history.backlog import Backlog
from s2_mitm.history.database import Database, RecordingError, Watch, message_of
from s2_mitm.history.presence import Presence
from s2_mitm.history.records import (
    Delivery,
    Gap,
    LateFindingRecord,
    MessageRecord,
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
from s2_mitm.history.retention import Pruning, Retention
from s2_mitm.history.storing import UnknownRecorderError
from s2_mitm.history.target import database_of
from s2_mitm.history.writer import Writer
from s2_mitm.s2.verdict import Finding, Role
from s2_mitm.s2.wording import counted

__all__ = [
    "Figures",
    "MessageRecord",
    "Recorder",
    "RecordingError",
    "SessionStart",
    "check_all",
    "finish_all",
]

KNOWN_SECONDS = 2.0
"""How long a new recorder waits for `Database.look`; a disk that hangs may need longer."""

GATHER_SECONDS = 0.1
"""How long the first record of a batch waits for more to be written with it."""
RETRY_SECONDS = 0.5
"""How long to wait after a failed attempt."""
LASTING_SECONDS = 10.0
"""How long to wait after one that fails until a person changes something."""
LOOK_SECONDS = 0.5
"""How often it checks that the file is still the same, while there is nothing to write."""
SILENT_SECONDS = 7.0
"""After how long without an answer the user is told; longer than it waits for a lock."""
SILENT_AT_THE_END = 2.0
"""How long the process that writes may be silent while the recorder ends."""
PATIENCE_SECONDS = 60.0
"""After how long without an answer the connection is closed and opened anew. It doubles each time,
so that a slow database can finish what takes longer."""
RENEW_SECONDS = 10.0
"""How often the recorder sends its heartbeat, and has SQLite write its log into the file."""
TELL_SECONDS = 60.0
"""How often the user is told that the database is too slow."""
PRUNE_SECONDS = 60.0
"""How often it looks for sessions that are too old or too many."""
PAUSE_SECONDS = 0.02
"""How long it pauses between two steps of pruning."""
BATCH = 1000
"""The most records in one transaction, so that a long backlog does not hold the lock for long."""
MOST_MESSAGES = 20_000
MOST_BYTES = 64 * 1024 * 1024
MOST_SESSIONS = 10_000
"""How much waits in memory while the database cannot be written (see `Backlog`)."""

UNWRITABLE = "the database could not be written"
TOO_SLOW = "the database was slower than the messages"
REFUSED = "the database refused them"
"""Why messages are missing: the texts in ``gaps.reason``."""
SILENT = "it does not answer"


@dataclass(frozen=True, slots=True)
class Figures:
    """How well a recorder keeps up: counts since it was made, and its state now."""

    waiting: int
    """Records that wait to be written, now."""
    written: int
    """Messages that were written."""
    lost: int
    """Messages that were not written and never will be."""
    batches: int
    """Transactions that were committed."""
    write_seconds: float
    """How long all transactions took together, those that failed too."""
    failing: bool
    """Whether the database cannot be written, now."""


class Recorder:
    """Writes sessions, messages and findings to a recording.

    ``target`` is a file, or an ``sqlite:///`` or ``postgresql://`` URL. A recording that exists is
    continued; otherwise it is made. ``report`` is called with one sentence when writing starts to
    fail, when it works again, and when something was lost; it is called from any thread. Sessions
    that ``retain`` does not keep are deleted in small steps.

    All methods may be called from any thread. All but ``flush`` and ``close`` return at once and
    never raise, whatever the database does. While it cannot be opened or written, up to
    ``MOST_MESSAGES`` messages wait in memory; a gap is recorded for those that did not fit.

    Raises RecordingError where ``target`` can never be written (see `Database.look`).
    """

    def __init__(
        self, target: str, report: Callable[[str], None], retain: Retention | None = None
    ) -> None:
        self._report = report
        # A later change of the working directory must not move the recording.
        self._database = database_of(target).absolute()
        _look(self._database)
        self._name = self._database.name
        self._writer = Writer(self._database)
        self._backlog = Backlog(messages=MOST_MESSAGES, content=MOST_BYTES, sessions=MOST_SESSIONS)
        self._backlog.reason = TOO_SLOW
        self._news = threading.Event()
        self._hurry = threading.Event()
        self._flushes: deque[threading.Event] = deque()
        self._state = threading.Lock()
        self._deadline: float | None = None
        self._is_over = False
        # Only the recorder's thread changes what follows.
        self._engine: Engine | None = None
        self._watch = Watch()
        self._presence = Presence()
        self._is_known = False
        """Whether this recorder has a row in the recording. If the row is gone later, the recording
        was emptied or made anew."""
        self._renew_at = 0.0
        self._pruning = Pruning(self._database, retain) if retain else None
        self._is_pruning = False
        self._prune_at = 0.0
        self._written = self._given_up = self._batches = 0
        self._written_into_file = 0
        """How many messages had been written when SQLite's log was last written into the file."""
        self._write_seconds = 0.0
        self._failing = False
        self._has_changed = False
        self._began: float | None = None
        """When the call of the database that is under way began, by the monotonic clock."""
        self._patience = PATIENCE_SECONDS
        self._retry_seconds = RETRY_SECONDS
        self._told_reasons: set[str] = set()
        self._told_lost = self._told_sessions = 0
        self._tell_loss_at = 0.0
        self._thread = threading.Thread(target=self._run, name="s2-recorder", daemon=True)
        _recorders.append(self)
        self._thread.start()

    def session_opened(self, session: SessionStart) -> None:
        """A session begins. One that is recorded already is open again, and goes on."""
        self._put(session)

    def session_changed(self, session_id: str, **facts: Unpack[SessionFacts]) -> None:
        """These facts of a session became known, or changed."""
        self._put(SessionChange(session_id, facts))

    def message(self, record: MessageRecord) -> None:
        """A message was judged. Findings that are added to its verdict later are not recorded."""
        self._put(WaitingMessage.of(record))

    def delivered(self, session_id: str, seq: int, *, dropped: bool, sent: bytes | None) -> None:
        """The message ``seq`` of a session went on otherwise than was recorded of it.

        ``sent`` is what went on where that is not what came; None where it is, or where the message
        was dropped.
        """
        self._put(Delivery(session_id, seq, dropped, sent))

    def late_finding(self, session_id: str, seq: int, finding: Finding) -> None:
        """A late finding about the message ``seq`` of a session, which was recorded before."""
        self._put(LateFindingRecord(session_id, seq, finding))

    def reception_status(
        self, session_id: str, sender: Role, message_id: str, status: str, delay_ms: float
    ) -> None:
        """The message ``message_id`` of ``sender`` got this answer after ``delay_ms``.

        It is recorded with the newest message of that id, unless that has an answer already.
        """
        self._put(Reception(session_id, sender, message_id, status, delay_ms))

    def reception_withdrawn(self, session_id: str, sender: Role, message_id: str) -> None:
        """The answer to the message ``message_id`` of ``sender`` was not delivered after all.

        The newest message of that id has none then.
        """
        self._put(ReceptionWithdrawn(session_id, sender, message_id))

    def senders_swapped(self, session_id: str) -> None:
        """RM and CEM were taken for each other: swap them in all that is recorded of a session."""
        self._put(SendersSwapped(session_id))

    def session_closed(
        self,
        session_id: str,
        ended_at: float,
        close_code: int | None,
        close_reason: str | None,
        closed_by: str | None,
    ) -> None:
        """A session ended at ``ended_at``, in seconds since 1970 (UTC).

        ``closed_by`` is ``RM``, ``CEM`` or ``proxy``.
        """
        self._put(SessionEnd(session_id, ended_at, close_code, close_reason, closed_by))

    def flush(self, timeout: float) -> bool:
        """Wait until all records so far are written, for at most ``timeout`` seconds.

        Returns whether they are. A recorder that was stopped returns False at once.
        """
        if self._deadline is not None:
            return False
        done = threading.Event()
        self._flushes.append(done)
        self._make_haste()
        return done.wait(timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """Let it write what waits, for at most ``timeout`` seconds, and then end.

        Returns at once. Records that come later are ignored; so is a second stop. What could not be
        written is reported. A later recorder of this process waits for this one before it writes
        to the same database.
        """
        with self._state:
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout
        self._make_haste()

    def close(self, timeout: float = 5.0) -> None:
        """Stop it, and wait until it has ended; for a little more than ``timeout`` seconds."""
        self.stop(timeout)
        self._wait_for_its_end()

    def check(self) -> None:
        """See whether the database answers. Another thread must call this every second.

        The recorder's own thread cannot: it is the one that waits for the answer.
        """
        began, is_ending = self._began, self._deadline is not None
        silent = 0.0 if began is None else time.monotonic() - began
        if silent > (SILENT_AT_THE_END if is_ending else SILENT_SECONDS):
            if not is_ending:
                self._cannot_write(SILENT, is_lasting=False)
            self._writer.kill()
        # Not while it is being opened: a migration of its tables may take long.
        if silent > self._patience and self._engine:
            self._patience *= 2
            self._database.interrupt()
        if is_ending and self._seconds_left() <= 0:
            self._leave()

    def _wait_for_its_end(self) -> None:
        while self._thread.is_alive() and (left := self._seconds_left()) > 0:
            self._thread.join(min(left, 0.2))
            self.check()
        self.check()

    def _seconds_left(self) -> float:
        assert self._deadline is not None
        # Where nothing is wrong it may be about to finish: give it as long as it waits for a lock.
        more = 0.0 if self._failing else self._database.patience
        return self._deadline + more - time.monotonic()

    def figures(self) -> Figures:
        """How well it keeps up (see `Figures`)."""
        return Figures(
            waiting=len(self._backlog),
            written=self._written,
            lost=self._lost,
            batches=self._batches,
            write_seconds=self._write_seconds,
            failing=self._failing,
        )

    @property
    def _lost(self) -> int:
        return self._backlog.lost + self._given_up

    def _put(self, record: Record) -> None:
        if self._deadline is None:
            self._backlog.put(record)
            if not self._news.is_set():
                self._news.set()

    def _make_haste(self) -> None:
        self._hurry.set()
        self._news.set()

    def _leave(self) -> None:
        """Write nothing more, and report once what was not written."""
        with self._state:
            was_over, self._is_over = self._is_over, True
        if not was_over:
            _recorders.remove(self)
            self._tell_what_is_left()

    # Everything below runs in the thread.

    def _run(self) -> None:
        while not self._is_over:
            self._wait()
            deadline, flushes = self._deadline, len(self._flushes)
            written = self._write_backlog()
            if written:
                for _ in range(flushes):
                    self._flushes.popleft().set()
            if deadline is not None and (
                written or not self._backlog or time.monotonic() > deadline
            ):
                break
            if written and self._pruning:
                self._prune(self._pruning)
        self._end()

    def _wait(self) -> None:
        """Wait until there is something to do and time to do it."""
        self._began = None
        if self._failing:
            self._hurry.wait(self._retry_seconds if self._deadline is None else RETRY_SECONDS)
        elif self._backlog:  # more came while it wrote
            # Many small batches take the time of the hooks.
            if not self._backlog.fills_batch(BATCH):
                self._hurry.wait(GATHER_SECONDS)
        elif self._news.wait(self._idle_seconds()):
            self._hurry.wait(GATHER_SECONDS)
        self._news.clear()
        self._hurry.clear()

    def _idle_seconds(self) -> float:
        if self._is_pruning:
            return PAUSE_SECONDS
        return min(max(self._renew_at - time.time(), 0.0), LOOK_SECONDS)

    def _write_backlog(self) -> bool:
        """Write what waits now; False where the database cannot be written."""
        # Not what comes meanwhile: under load that would never end, and pruning could not begin.
        left = len(self._backlog)
        self._wait_for_earlier_recorders()
        self._began = time.monotonic()
        try:
            self._open()
            self._renew()
            while left > 0 and not self._is_over and (records := self._backlog.take(BATCH)):
                self._write(records)
                left -= len(records)
        except Exception as error:
            # Whatever it is: the thread must not end.
            self._fails(error)
            return False
        if self._is_over:
            return False
        if self._failing:
            self._recovers()
        elif self._lost > self._told_lost and time.monotonic() >= self._tell_loss_at:
            self._tell_loss_at = time.monotonic() + TELL_SECONDS
            self._tell(f"{self._name} is too slow; {self._loss()}.")
        return True

    def _wait_for_earlier_recorders(self) -> None:
        """Wait for those of this process that were stopped and still write to the same database.

        What they have of a session must be written first.
        """
        for other in [*_recorders]:
            if other is self:
                break
            if other._name == self._name and other._deadline is not None:
                other._wait_for_its_end()

    def _open(self) -> None:
        if self._engine is None:
            engine = self._database.open_for_writing()
            self._watch = self._database.watch(engine)
            self._engine = engine
            self._began = time.monotonic()
        elif self._failing:
            # Somebody may have made a new, empty database in its place.
            self._database.prepare(self._engine)
        self._follow_the_file()

    @property
    def _opened(self) -> Engine:
        assert self._engine is not None
        return self._engine

    def _write(self, records: list[Record]) -> None:
        try:
            self._store(records)
        except Exception as error:
            if self._database.is_to_blame(error):
                raise
            self._write_one_by_one(records)
        else:
            self._settle(records)

    def _store(self, records: Sequence[Record]) -> None:
        """Write ``records``: the oldest of the backlog, or a gap in the place of the oldest."""
        self._began = time.monotonic()
        began = time.perf_counter()
        try:
            self._store_once(records)
        except UnknownRecorderError:
            # Somebody deleted its row, and maybe those of its sessions.
            self._update_presence(self._presence.restore)
            self._store_once(records)
        finally:
            self._write_seconds += time.perf_counter() - began
        self._batches += 1
        self._patience = PATIENCE_SECONDS

    def _store_once(self, records: Sequence[Record]) -> None:
        self._writer.store(self._opened, records, self._presence.id, self._backlog.position)

    def _write_one_by_one(self, records: list[Record]) -> None:
        """Write each of ``records`` alone, and leave out those that the database refuses."""
        refused: list[Exception] = []
        for record in records:
            try:
                self._store([record])
            except Exception as error:
                if self._database.is_to_blame(error):
                    raise
                refused.append(error)
                self._give_up(record)
            else:
                self._settle([record])
        if refused:
            self._tell(
                f"{len(refused)} of {len(records)} records could not be written to {self._name} "
                f"and are left out: {message_of(refused[0])}"
            )

    def _settle(self, records: list[Record]) -> None:
        self._backlog.done(len(records))
        self._presence.note(records)
        self._written += sum(isinstance(record, WaitingMessage) for record in records)

    def _give_up(self, record: Record) -> None:
        if isinstance(record, WaitingMessage):
            try:
                self._store([Gap.of(record, REFUSED)])
            except Exception as error:
                if self._database.is_to_blame(error):
                    raise
            self._given_up += 1
            # They are reported by themselves.
            self._told_lost += 1
        self._backlog.done(1)

    def _follow_the_file(self) -> None:
        """Where the file was moved, deleted or replaced, go on in the one that has its name now."""
        change = self._watch.change()
        if change is None:
            return
        self._writer.close()
        self._opened.dispose()
        self._watch.leave()
        lost = self._written - self._written_into_file if change.has_lost_its_log else 0
        self._engine = self._database.open_for_writing(thoroughly=change.is_elsewhere)
        self._watch = self._database.watch(self._engine)
        self._written_into_file = self._written
        self._is_known = False
        self._update_presence(self._presence.restore)
        self._has_changed = self._failing
        last = f"the last {counted(lost, 'message')}"
        loss = f" (a copy that was made of it a moment before lacks {last})" if lost else ""
        self._tell(
            f"{self._name} {change.text}{loss};"
            " the recording goes on in the file that is there now."
        )

    def _update_presence(self, step: Callable[[Connection], bool]) -> None:
        """Take a ``step`` of `Presence`; report where the recording turns out to be a new one."""
        with self._opened.begin() as connection:
            is_known = step(connection)
        must_be, self._is_known = self._is_known, True
        if must_be and not is_known:
            self._has_changed = self._failing
            self._tell(
                f"{self._name} was emptied or made anew, and what it held is gone;"
                " the recording goes on in what is there now."
            )

    def _checkpoint(self) -> None:
        """Have SQLite write its log into the file, for whoever copies or moves it alone."""
        with contextlib.suppress(Exception):  # the next batch reports what is wrong
            if self._written > self._written_into_file and self._watch.checkpoint():
                self._written_into_file = self._written

    def _renew(self) -> None:
        # By the wall clock: it goes on while this machine sleeps, as the others' clocks do.
        now = time.time()
        if self._renew_at - RENEW_SECONDS <= now < self._renew_at:
            return
        self._update_presence(self._presence.renew)
        self._checkpoint()
        self._renew_at = now + RENEW_SECONDS

    def _prune(self, pruning: Pruning) -> None:
        """Where it is time, delete a little of what ``retain`` does not keep."""
        look = time.monotonic() >= self._prune_at
        if not (self._is_pruning or look):
            return
        self._began = time.monotonic()
        try:
            with self._opened.begin() as connection:
                if look:
                    self._prune_at = time.monotonic() + PRUNE_SECONDS
                    pruning.look(connection)
                self._is_pruning = pruning.step(connection) is not None
        except IntegrityError:
            # Somebody opened the session again.
            pruning.leave_alone()
        except Exception as error:
            self._is_pruning = False
            # A database that cannot be written is reported with the next batch.
            if not self._database.is_to_blame(error):
                self._tell(f"old sessions stay in {self._name}: {message_of(error)}")

    def _end(self) -> None:
        self._writer.close()
        if self._engine:
            with contextlib.suppress(Exception):
                if not self._failing:
                    with self._engine.begin() as connection:
                        self._presence.end(connection)
            self._engine.dispose()
        try:
            self._watch.leave()
        except Exception as error:
            self._tell(f"{self._name} is not whole: {self._database.reason(error)}.")
        self._leave()

    def _fails(self, error: Exception) -> None:
        # The next attempt uses a new connection: one that has seen a full disk, or lost its server,
        # may never work again.
        if self._engine:
            self._engine.dispose()
        # Before it, the recorder checks that the recording is still the same.
        self._renew_at = 0.0
        if isinstance(error, RecordingError):
            reason, is_lasting = error.reason, error.is_lasting
        else:
            reason, is_lasting = self._database.reason(error), self._database.is_lasting(error)
        self._retry_seconds = LASTING_SECONDS if is_lasting else RETRY_SECONDS
        self._cannot_write(reason, is_lasting=is_lasting)

    def _cannot_write(self, reason: str, *, is_lasting: bool) -> None:
        """Report why, once; and again when it becomes something that a person must change."""
        with self._state:
            is_news = not self._failing or (is_lasting and reason not in self._told_reasons)
            self._failing = True
        if is_news:
            self._backlog.blame(UNWRITABLE)
            self._told_reasons.add(reason)
            self._tell(
                f"{self._name} cannot be written now ({reason}); "
                f"the traffic goes on, and up to {MOST_MESSAGES} messages wait in memory."
            )

    def _recovers(self) -> None:
        self._failing = False
        self._told_reasons.clear()
        self._backlog.reason = TOO_SLOW
        self._tell(f"{self._name} is written again; {self._loss()}.")
        self._has_changed = False

    def _loss(self) -> str:
        """What was lost since the last report, as the end of a sentence."""
        lost, self._told_lost = self._lost - self._told_lost, self._lost
        sessions, self._told_sessions = (
            self._backlog.sessions_lost - self._told_sessions,
            self._backlog.sessions_lost,
        )
        if not lost:
            return "nothing else was lost" if self._has_changed else "nothing was lost"
        whole = f", and {counted(sessions, 'session')} as a whole" if sessions else ""
        were_lost = f"{counted(lost, 'message')} {'was' if lost == 1 else 'were'} lost"
        return f"{were_lost} (recorded as gaps){whole}"

    def _tell_what_is_left(self) -> None:
        if self._backlog:
            lost = self._backlog.messages + self._lost - self._told_lost
            loss = f"{counted(lost, 'message')} of the last {'was' if lost == 1 else 'were'} lost"
            self._tell(f"{self._name} could not be written to the end; {loss}.")
        elif self._lost > self._told_lost:
            self._tell(f"{self._name} was too slow; {self._loss()}.")

    def _tell(self, sentence: str) -> None:
        # An error of the receiver must not end this thread.
        with contextlib.suppress(Exception):
            self._report(sentence)


_recorders: list[Recorder] = []
"""The recorders of this process that have not ended, in the order in which they were made."""


def check_all() -> None:
    """Call `Recorder.check` of every recorder; to be done every second, from any thread."""
    for recorder in [*_recorders]:
        recorder.check()


def finish_all() -> None:
    """Wait for the recorders that were stopped; each ends within its own time."""
    for recorder in [*_recorders]:
        if recorder._deadline is not None:
            recorder._wait_for_its_end()


def _look(database: Database) -> None:
    """Raise RecordingError where ``database`` can never be written, as far as that is known soon.

    Where a disk hangs, the caller does not wait for it.
    """
    refusals: list[RecordingError] = []

    def look() -> None:
        try:
            database.look()
        except RecordingError as refusal:
            refusals.append(refusal)

    looking = threading.Thread(target=look, name="s2-look", daemon=True)
    looking.start()
    looking.join(KNOWN_SECONDS)
    if refusals:
        raise refusals[0]
