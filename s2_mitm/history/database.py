"""Where a recording is kept, and the sentence that says why it cannot be opened there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

_WRITE_ELSEWHERE = "name another file with --set s2_db=FILE, or record nothing with --set s2_db="
_READ_ANOTHER = "name the recording with --db FILE"


class RecordingError(Exception):
    """A recording that cannot be opened or asked; ``str()`` is one sentence for its user.

    ``reason`` is the part of it that says why, where it is about one recording; ``is_lasting``
    whether that stays so until somebody puts it right.
    """

    def __init__(self, sentence: str, reason: str = "", *, is_lasting: bool = False) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.is_lasting = is_lasting


class UnfitError(Exception):
    """Why a place holds no recording and cannot take one."""


@dataclass(frozen=True)
class Change:
    """What became of what is written: ``text`` is the end of a sentence about it."""

    text: str
    is_elsewhere: bool = False
    """Whether what stands at the place now, if anything, is something else."""
    has_lost_its_log: bool = False
    """Whether what `Watch.checkpoint` had not brought into the file is lost, also for a copy."""


class Watch:
    """Sees whether what is written is still what stands at its place; a server keeps that itself.

    For one thread. Its methods raise what the database raises.
    """

    def change(self) -> Change | None:
        """What became of it; None while it is what it was."""
        return None

    def checkpoint(self) -> bool:
        """Bring what was written into the file itself; False where not all of it could be."""
        return True

    def leave(self) -> None:
        """Let go of it, and leave nothing beside it that would harm what stands there now.

        To be called when all connections are closed, and again where it raised.
        """


class Database(ABC):
    """A file or a server's database that is a recording, or can become one.

    ``name`` is what people call it, never with a password; ``has_password`` says that there is
    one, without which ``name`` does not open it; ``patience`` is how long, in seconds, one attempt
    to write waits for what is in its way.
    """

    name: str
    has_password = False
    patience: float
    _WRONG: tuple[type[Exception], ...]
    """What opening or asking it may raise."""

    @abstractmethod
    def absolute(self) -> Database:
        """The same place under a name that holds wherever the working directory moves."""

    def look(self) -> None:
        """Raise RecordingError where what is wrong with it can be known without opening it.

        What may be otherwise in a moment is not wrong: a server that is away, a file that is
        locked. For them nobody waits here.
        """
        with self.writing():
            self._look()

    @abstractmethod
    def _look(self) -> None:
        """Look, and raise one of ``_WRONG``."""

    @abstractmethod
    def open_for_writing(self, *, thoroughly: bool = False) -> Engine:
        """Open or make the recording, with all its tables there.

        Its connections may be used by any one thread at a time. What came here while another was
        written is to be looked through ``thoroughly`` before. Raises RecordingError where it cannot
        be written; what is no recording is then as it was.
        """

    def watch(self, engine: Engine) -> Watch:
        """Watch what was opened for writing as ``engine``. Raises RecordingError."""
        return Watch()

    def prepare(self, engine: Engine) -> None:  # noqa: B027
        """See after an outage that what was opened for writing as ``engine`` has its tables.

        On a server somebody may have made the database anew; of a file its watch tells that.
        Raises RecordingError where they are not there and cannot be made.
        """

    def interrupt(self) -> None:  # noqa: B027
        """Let what another thread has been waiting for fail, where that can be done."""

    @abstractmethod
    def open_for_reading(self) -> Engine:
        """Open the recording so that nothing can be changed in it.

        It may be written by recorders meanwhile. Raises RecordingError where there is none.
        """

    @abstractmethod
    def reason(self, error: Exception) -> str:
        """What ``error``, raised by this database, means in words of its user."""

    @abstractmethod
    def is_lasting(self, error: Exception) -> bool:
        """Whether ``error``, raised by this database, stays until somebody puts it right."""

    @abstractmethod
    def is_to_blame(self, error: Exception) -> bool:
        """Whether ``error`` is the database's, which may pass, and not that of what was written."""

    @abstractmethod
    def used(self, connection: Connection, *, exactly: bool = False) -> int:
        """The bytes that what is recorded takes; what is free to be used again is not counted.

        It may be an estimate, unless it is to be known ``exactly``, which may take its time.
        """

    @abstractmethod
    def give_back(self, connection: Connection) -> bool:
        """Give some free space back to the disk; whether more of it can be."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn what goes wrong with writing into a RecordingError."""
        try:
            yield
        except self._WRONG as error:
            reason = self.reason(error)
            sentence = f"cannot record to {self.name}: {reason}; {_WRITE_ELSEWHERE}"
            raise RecordingError(sentence, reason, is_lasting=self.is_lasting(error)) from None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what goes wrong with reading into a RecordingError."""
        try:
            yield
        except self._WRONG as error:
            reason = self.reason(error)
            raise RecordingError(f"cannot read {self.name}: {reason}; {_READ_ANOTHER}") from None


def message_of(error: Exception) -> str:
    """What the database itself said, on one line."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(cause).split()) or type(cause).__name__
