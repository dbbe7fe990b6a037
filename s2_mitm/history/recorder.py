"""The recorder: what is said in the hooks is written down by a thread of its own.

The hooks put small records on a backlog, which neither waits nor fails. The thread takes what is
there, a hundred milliseconds' worth, and writes it in one transaction.
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
"""How long it is waited for what can be known of a place without opening it."""

GATHER_SECONDS = 0.1
"""How long the first record of a batch waits for company."""
RETRY_SECONDS = 0.5
"""How long to wait after a failed attempt."""
LOOK_SECONDS = 0.5
"""How often it looks whether the file is still there, while there is nothing to write."""
LASTING_SECONDS = 10.0
"""The same where somebody has to put something right."""
SILENT_SECONDS = 7.0
"""How long a database may not answer until that is told; longer than it waits for a lock."""
SILENT_AT_THE_END = 2.0
"""How long the process that writes may not answer while a recorder ends."""
PATIENCE_SECONDS = 60.0
"""After how long a database that does not answer is left, and connected to anew: what is slow must
be able to get through."""
RENEW_SECONDS = 10.0
"""How often the recorder says that it is there, and sees that all is in the file itself."""
TELL_SECONDS = 60.0
"""How often it says that the database is too slow."""
PRUNE_SECONDS = 60.0
"""How often it looks whether something is old enough to go."""
PAUSE_SECONDS = 0.02
"""How long it rests between two steps of taking it out."""
BATCH = 1000
"""The most records in one transaction, so that a long backlog does not hold the lock for long."""
MOST_MESSAGES = 20_000
MOST_BYTES = 64 * 1024 * 1024
MOST_SESSIONS = 10_000
"""What is kept in memory while the database does not take it."""

UNWRITABLE = "the database could not be written"
TOO_SLOW = "the database was slower than the messages"
REFUSED = "the database refused them"
"""Why messages are missing, as gaps say it."""
SILENT = "it does not answer"


@dataclass(frozen=True, slots=True)
class Figures:
    """How a recorder fares: since it was made, but for ``waiting`` and ``failing``."""

    waiting: int
    """Records that are not yet written."""
    written: int
    """Messages that are."""
    lost: int
    """Messages that will never be."""
    batches: int
    """Transactions in which something was written."""
    write_seconds: float
    """How long these took, with those that failed."""
    failing: bool
    """Whether the database cannot be written now."""


class Recorder:
    """Writes sessions, messages and findings to a recording.

    ``target`` is a file, or an ``sqlite:///`` or ``postgresql://`` URL; the recording is made where
    it is not there, and continued where it is. ``report`` takes one sentence when writing starts to
    fail, when it works again, and when something was lost; it is called from any thread.
    What ``retain`` does not let stay is taken out of the recording by and by.

    All methods may be called from any thread. But for ``flush`` and ``close`` they return at once
    and never raise, whatever the database does. While it can't be opened or written, up to
    ``MOST_MESSAGES`` messages wait in memory; for those that had to go there is a gap.

    Raises RecordingError where ``target`` is wrong by itself (see `Database.look`).
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
        # From here on for the thread alone, but to look at.
        self._engine: Engine | None = None
        self._watch = Watch()
        self._presence = Presence()
        self._is_known = False
        """Whether it said that it is there; a recording that does not know it then is another."""
        self._renew_at = 0.0
        self._pruning = Pruning(self._database, retain) if retain else None
        self._is_pruning = False
        self._prune_at = 0.0
        self._written = self._given_up = self._batches = 0
        self._written_home = 0
        self._write_seconds = 0.0
        self._failing = False
        self._has_changed = False
        self._began: float | None = None
        """When the call of the database began that is under way."""
        self._patience = PATIENCE_SECONDS
        self._retry_seconds = RETRY_SECONDS
        self._told_reasons: set[str] = set()
        self._told_lost = self._told_sessions = 0
        self._tell_loss_at = 0.0
        self._thread = threading.Thread(target=self._run, name="s2-recorder", daemon=True)
        _recorders.append(self)
        self._thread.start()

    def session_opened(self, session: SessionStart) -> None:
        """A session begins; one that is known already goes on."""
        self._put(session)

    def session_changed(self, session_id: str, **facts: Unpack[SessionFacts]) -> None:
        """These facts of a session became known, or are others now."""
        self._put(SessionChange(session_id, facts))

    def message(self, record: MessageRecord) -> None:
        """A message and its findings so far."""
        self._put(WaitingMessage.of(record))

    def delivered(self, session_id: str, seq: int, *, dropped: bool, sent: bytes | None) -> None:
        """What became of the message ``seq`` of a session that was put before, after all."""
        self._put(Delivery(session_id, seq, dropped, sent))

    def late_finding(self, session_id: str, seq: int, finding: Finding) -> None:
        """Something was found about the message ``seq`` of a session that was put before."""
        self._put(LateFindingRecord(session_id, seq, finding))

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
        if self._deadline is not None:
            return False
        done = threading.Event()
        self._flushes.append(done)
        self._make_haste()
        return done.wait(timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """Let it write all that was put, for at most ``timeout`` seconds, and then end.

        Whatever is put afterwards is ignored; so is a second stop. What could not be written is
        told. A later recorder of this process waits for it before it writes to the same place.
        """
        with self._state:
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout
        self._make_haste()

    def close(self, timeout: float = 5.0) -> None:
        """Stop it, and wait until it has ended, also where the database does not let it."""
        self.stop(timeout)
        self._wait_for_its_end()

    def check(self) -> None:
        """See whether the database answers; somebody must, every second, from any thread.

        The recorder's own thread waits for the answer and can say nothing.
        """
        began, is_ending = self._began, self._deadline is not None
        silent = 0.0 if began is None else time.monotonic() - began
        if silent > (SILENT_AT_THE_END if is_ending else SILENT_SECONDS):
            if not is_ending:
                self._cannot_write(SILENT, is_lasting=False)
            self._writer.kill()
        # Not while it is opened: to bring its tables up to date may take long.
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
        # Where nothing is wrong it is at work, and what is slow may be done in a moment.
        more = 0.0 if self._failing else self._database.patience
        return self._deadline + more - time.monotonic()

    def figures(self) -> Figures:
        """How it fares now."""
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
        """Say what is lost, once; from here on nothing more is written."""
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
        elif not self._backlog and self._news.wait(self._idle_seconds()):
            self._hurry.wait(GATHER_SECONDS)
        self._news.clear()
        self._hurry.clear()

    def _idle_seconds(self) -> float:
        if self._is_pruning:
            return PAUSE_SECONDS
        return min(max(self._renew_at - time.time(), 0.0), LOOK_SECONDS)

    def _write_backlog(self) -> bool:
        """Write all there is; False where the database does not take it now."""
        # No more than there is now: while it comes as fast as it is written, others wait too.
        left = len(self._backlog)
        self._let_those_before_end()
        self._began = time.monotonic()
        try:
            self._open()
            self._renew()
            while left > 0 and not self._is_over and (records := self._backlog.take(BATCH)):
                self._write(records)
                left -= len(records)
        except Exception as error:
            # Whatever it is: the thread must live on, and the traffic with it.
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

    def _let_those_before_end(self) -> None:
        """Wait for those that were stopped and still write to the same place.

        They have the earlier part of what is said of a session.
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
            # Whoever put it right may have made it anew, and then it is empty.
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
        """Write ``records``, which are the first in the backlog's hand or stand for them."""
        self._began = time.monotonic()
        began = time.perf_counter()
        try:
            self._store_once(records)
        except UnknownRecorderError:
            # Somebody took the row away, and maybe those of its sessions.
            self._say_that_it_is_there(self._presence.restore)
            self._store_once(records)
        finally:
            self._write_seconds += time.perf_counter() - began
        self._batches += 1
        self._patience = PATIENCE_SECONDS

    def _store_once(self, records: Sequence[Record]) -> None:
        self._writer.store(self._opened, records, self._presence.id, self._backlog.position)

    def _write_one_by_one(self, records: list[Record]) -> None:
        """Find what is wrong in ``records`` by writing each alone, and go on without it."""
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
        self._presence.heed(records)
        self._written += sum(isinstance(record, WaitingMessage) for record in records)

    def _give_up(self, record: Record) -> None:
        if isinstance(record, WaitingMessage):
            try:
                self._store([Gap.of(record, REFUSED)])
            except Exception as error:
                if self._database.is_to_blame(error):
                    raise
            self._given_up += 1
            # These are told of on their own.
            self._told_lost += 1
        self._backlog.done(1)

    def _follow_the_file(self) -> None:
        """Go on with what stands under the name now, where the file was taken away or changed."""
        change = self._watch.change()
        if change is None:
            return
        self._writer.close()
        self._opened.dispose()
        self._watch.leave()
        lost = self._written - self._written_home if change.has_lost_its_log else 0
        self._engine = self._database.open_for_writing(thoroughly=change.is_elsewhere)
        self._watch = self._database.watch(self._engine)
        self._written_home = self._written
        self._is_known = False
        self._say_that_it_is_there(self._presence.restore)
        self._has_changed = self._failing
        last = f"the last {counted(lost, 'message')}"
        loss = f" (a copy that was made of it a moment before lacks {last})" if lost else ""
        self._tell(
            f"{self._name} {change.text}{loss};"
            " the recording goes on in the file that is there now."
        )

    def _say_that_it_is_there(self, step: Callable[[Connection], bool]) -> None:
        """Take this ``step`` of its presence; say so where the recording is not what it was."""
        with self._opened.begin() as connection:
            is_known = step(connection)
        must_be, self._is_known = self._is_known, True
        if must_be and not is_known:
            self._has_changed = self._failing
            self._tell(
                f"{self._name} was emptied or made anew, and what it held is gone;"
                " the recording goes on in what is there now."
            )

    def _bring_home(self) -> None:
        """See that what was written stands in the file itself, for whoever copies or moves it."""
        with contextlib.suppress(Exception):  # of what is wrong, the next batch tells
            if self._written > self._written_home and self._watch.checkpoint():
                self._written_home = self._written

    def _renew(self) -> None:
        # By the clock on the wall: the others' also went on while this machine slept.
        now = time.time()
        if self._renew_at - RENEW_SECONDS <= now < self._renew_at:
            return
        self._say_that_it_is_there(self._presence.renew)
        self._bring_home()
        self._renew_at = now + RENEW_SECONDS

    def _prune(self, pruning: Pruning) -> None:
        """Take a little out of what need not stay, where it is time."""
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
            # Where nothing can be written, the next batch tells.
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
        # The next attempt is made with a new connection: one that has seen the disk full, or the
        # server go, may be of no use again.
        if self._engine:
            self._engine.dispose()
        # And it is looked first whether the recording is still the same.
        self._renew_at = 0.0
        if isinstance(error, RecordingError):
            reason, is_lasting = error.reason, error.is_lasting
        else:
            reason, is_lasting = self._database.reason(error), self._database.is_lasting(error)
        self._retry_seconds = LASTING_SECONDS if is_lasting else RETRY_SECONDS
        self._cannot_write(reason, is_lasting=is_lasting)

    def _cannot_write(self, reason: str, *, is_lasting: bool) -> None:
        """Say why, once; and again where it turns out that somebody has to do something."""
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
        """What was lost since that was last told."""
        lost, self._told_lost = self._lost - self._told_lost, self._lost
        sessions, self._told_sessions = (
            self._backlog.sessions_lost - self._told_sessions,
            self._backlog.sessions_lost,
        )
        if not lost:
            return "nothing else was lost" if self._has_changed else "nothing was lost"
        whole = f", and {counted(sessions, 'session')} as a whole" if sessions else ""
        return f"{counted(lost, 'message')} had to go, which stand in it as gaps{whole}"

    def _tell_what_is_left(self) -> None:
        if self._backlog:
            lost = self._backlog.messages + self._lost - self._told_lost
            loss = f"{counted(lost, 'message')} of the last {'was' if lost == 1 else 'were'} lost"
            self._tell(f"{self._name} could not be written to the end; {loss}.")
        elif self._lost > self._told_lost:
            self._tell(f"{self._name} was too slow; {self._loss()}.")

    def _tell(self, sentence: str) -> None:
        # Nobody listens to what goes wrong in this thread, and it must go on.
        with contextlib.suppress(Exception):
            self._report(sentence)


_recorders: list[Recorder] = []
"""Those of this process that have not ended, in the order in which they were made."""


def check_all() -> None:
    """See whether their databases answer; to be called every second, from any thread."""
    for recorder in [*_recorders]:
        recorder.check()


def finish_all() -> None:
    """Wait for those that were stopped; each ends within the time that it was given."""
    for recorder in [*_recorders]:
        if recorder._deadline is not None:
            recorder._wait_for_its_end()


def _look(database: Database) -> None:
    """Raise RecordingError where ``place`` is wrong by itself.

    A disk that hangs does not hold the caller: then it is known when it is opened.
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
