"""Writes batches of records, under load in a process of its own.

A thread that writes slows mitmproxy's hooks down by more than the writing takes, since they share
Python's lock (the GIL). For a process of its own the records only have to be handed over. A device
that sends a message now and then never needs that process.
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from s2_mitm.history.database import Database, RecordingError
from s2_mitm.history.records import Record
from s2_mitm.history.storing import store_once

LOAD = 50
"""From so many records in a batch on, a process is worth its start."""

IDLE_SECONDS = 60.0
"""After so long without such a batch the process ends; it takes about 50 MB of memory."""

_HERE = str(Path(__file__).resolve().parents[2])
_CHILD = f"import sys; sys.path.insert(0, {_HERE!r}); from {__name__} import serve; serve()"
_LENGTH = 4
"""Bytes: before each thing that is handed over stands its length."""


class Writer:
    """Writes batches of records to ``database``; for use by one thread, but for `kill`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: subprocess.Popen[bytes] | None = None
        """The process, while its answer is waited for."""
        self._is_ready = False
        self._loaded_at = 0.0

    def store(self, engine: Engine, records: Sequence[Record], recorder: str, before: int) -> None:
        """Write ``records`` in one transaction, unless they are written already (see `store_once`).

        ``engine`` is used where there is no process. Raises what `store_once` raises, and
        OperationalError where the process ends meanwhile: then nobody knows whether the records
        were written, and the next batch is written without a process.
        """
        now = time.monotonic()
        if len(records) >= LOAD:
            self._loaded_at = now
            if self._process is None:
                self._start()
        elif self._process and now > self._loaded_at + IDLE_SECONDS:
            self.close()
        if self._process and self._can_take(self._process):
            self._hand_over(self._process, (records, recorder, before))
        else:
            with engine.begin() as connection:
                store_once(connection, records, recorder, before)

    def close(self) -> None:
        """End the process when it has written what it was handed. `store` starts another one."""
        process, self._process = self._process, None
        self._is_ready = False
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # where it has ended before
                _pipe(pipe).close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            with suppress(subprocess.TimeoutExpired):  # where a disk hangs, it cannot even die
                process.wait(1)

    def kill(self) -> None:
        """Kill the process if its answer is waited for, so that the waiting ends.

        Any thread may call this. Nobody then knows whether what it was handed was written.
        """
        if process := self._asked:
            process.kill()

    def _start(self) -> None:
        if os.name == "nt":  # where select() cannot see whether a pipe can be read
            return
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Ctrl-C is for the proxy, which then hands over the last.
                start_new_session=True,
            )
            # Not as an argument, which all users of the machine can read: it may have a password.
            _send(_pipe(self._process.stdin), self._database)
        except OSError:
            self.close()  # then the records are written here

    def _can_take(self, process: subprocess.Popen[bytes]) -> bool:
        if not self._is_ready:
            said, _, _ = select.select([_pipe(process.stdout)], [], [], 0)
            if said:
                self._is_ready = _receive(_pipe(process.stdout)) == "ready"
                if not self._is_ready:
                    self.close()
        return self._is_ready

    def _hand_over(
        self, process: subprocess.Popen[bytes], batch: tuple[Sequence[Record], str, int]
    ) -> None:
        self._asked = process
        try:
            _send(_pipe(process.stdin), batch)
            answer = _receive(_pipe(process.stdout))
        except OSError:
            answer = None
        finally:
            self._asked = None
        if answer is None:
            self.close()
            raise _failure("the process that writes has ended")
        if isinstance(answer, Exception):
            raise answer


def serve() -> None:
    """The process: write what is handed over on standard input, until that ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    engine: Engine | None = None
    database = _receive(sys.stdin.buffer)
    _send(answers, "ready")
    while handed := _receive(sys.stdin.buffer):
        try:
            engine = engine or database.open_for_writing()
            with engine.begin() as connection:
                store_once(connection, *handed)
        except Exception as error:
            _send(answers, _without_rows(error))
            # A connection that has seen a full disk, or lost its server, may never work again.
            if engine:
                engine.dispose()
        else:
            _send(answers, "written")


def _without_rows(error: Exception) -> Exception:
    """``error`` as it can be handed over: without the rows of its statement, and picklable."""
    if isinstance(error, DBAPIError):
        error.statement = error.params = None
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return _failure(str(error))
    if isinstance(error, RecordingError):
        return _failure(error.reason or str(error))
    return error


def _failure(sentence: str) -> OperationalError:
    """An error that counts as one of the database, and not of the records."""
    return OperationalError(None, None, Exception(sentence))


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _send(pipe: IO[bytes], what: object) -> None:
    data = pickle.dumps(what, pickle.HIGHEST_PROTOCOL)
    pipe.write(len(data).to_bytes(_LENGTH, "big") + data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """What was sent, None where the other side has ended."""
    length = int.from_bytes(pipe.read(_LENGTH), "big")
    data = pipe.read(length)
    return pickle.loads(data) if length and len(data) == length else None
