"""The database that a recording is in, and what goes wrong with it in words of its user."""

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
    """A recording that cannot be opened, read or written; ``str()`` is one sentence for its user.

    ``reason`` is the part of the sentence that says why, empty where the recording is not even
    named rightly. ``is_lasting`` says that trying again does not help until a person changes
    something.
    """

    def __init__(self, sentence: str, reason: str = "", *, is_lasting: bool = False) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.is_lasting = is_lasting


class UnfitError(Exception):
    """Why a database is no recording, and cannot become one."""


@dataclass(frozen=True)
class Change:
    """What happened to a recording that is written; ``text`` is the end of a sentence."""

    text: str
    is_elsewhere: bool = False
    """Whether another file has its name now, or none."""
    has_lost_its_log: bool = False
    """Whether what was written since the last `Watch.checkpoint` is lost, also in a copy."""


class Watch:
    """Sees whether a recording that is written was moved, deleted or replaced.

    This class is for a server, where none of that can happen unseen: it sees nothing. For use by
    one thread. Its methods raise what the database raises.
    """

    def change(self) -> Change | None:
        """What happened to the recording, None while nothing did."""
        return None

    def checkpoint(self) -> bool:
        """Write SQLite's log into the file; returns False where not all of it could be."""
        return True

    def leave(self) -> None:
        """End it, and leave no log that would damage the file that has the recording's name now.

        To be called when all other connections are closed, and again where it raised.
        """


class Database(ABC):
    """A file of SQLite, or a database of a server, that is a recording or can become one.

    ``name`` is what people call it, without its password; ``has_password`` says that it has one,
    so that ``name`` alone does not open it. ``patience`` is how long, in seconds, an attempt to
    write waits for a lock.
    """

    name: str
    has_password = False
    patience: float
    _WRONG: tuple[type[Exception], ...]
    """What opening, reading or writing it may raise."""

    @abstractmethod
    def absolute(self) -> Database:
        """The same database under a name that does not depend on the working directory."""

    def look(self) -> None:
        """Raise RecordingError where it is known, without opening it, that it can never be written.

        Nothing is wrong with what may pass by itself, such as a server that is away or a file that
        is locked.
        """
        with self.writing():
            self._look()

    @abstractmethod
    def _look(self) -> None:
        """As `look`, but raise one of ``_WRONG``."""

    @abstractmethod
    def open_for_writing(self, *, thoroughly: bool = False) -> Engine:
        """Open the recording, and make it or bring its tables up to date where that is needed.

        A connection may be used by any thread, by one at a time. With ``thoroughly`` the whole of
        it is checked for damage first, as is right for a file that came here while another was
        written. Raises RecordingError where it cannot be written; what is no recording then stays
        unchanged.
        """

    def watch(self, engine: Engine) -> Watch:
        """Watch what was opened for writing as ``engine`` (see `Watch`). Raises RecordingError."""
        return Watch()

    def prepare(self, engine: Engine) -> None:  # noqa: B027
        """After an outage, make the tables where what was opened as ``engine`` has none any more.

        On a server somebody may have made the database anew; of a file, its watch sees that. Raises
        RecordingError where they are missing and cannot be made.
        """

    def interrupt(self) -> None:  # noqa: B027
        """Let the call that another thread waits for fail now, where that is possible."""

    @abstractmethod
    def open_for_reading(self) -> Engine:
        """Open the recording so that nothing in it can be changed; recorders may go on writing it.

        Raises RecordingError where there is none, or where it cannot be read.
        """

    @abstractmethod
    def reason(self, error: Exception) -> str:
        """What an ``error`` that this database raised means, as the end of a sentence."""

    @abstractmethod
    def is_lasting(self, error: Exception) -> bool:
        """Whether an ``error`` that this database raised stays until a person changes something."""

    @abstractmethod
    def is_to_blame(self, error: Exception) -> bool:
        """Whether the database is at fault for ``error``, and not the records that were written."""

    @abstractmethod
    def used(self, connection: Connection, *, exactly: bool = False) -> int:
        """The bytes that the recorded sessions take, without the free space of the database.

        It may be an estimate, unless it is asked for ``exactly``, which may take long.
        """

    @abstractmethod
    def give_back(self, connection: Connection) -> bool:
        """Give some free space back to the disk; returns whether there is more to give."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn an error of the database while it is written into a RecordingError."""
        try:
            yield
        except self._WRONG as error:
            reason = self.reason(error)
            sentence = f"cannot record to {self.name}: {reason}; {_WRITE_ELSEWHERE}"
            raise RecordingError(sentence, reason, is_lasting=self.is_lasting(error)) from None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn an error of the database while it is read into a RecordingError."""
        try:
            yield
        except self._WRONG as error:
            reason = self.reason(error)
            raise RecordingError(f"cannot read {self.name}: {reason}; {_READ_ANOTHER}") from None


def message_of(error: Exception) -> str:
    """What the database itself says of ``error``, on one line."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(cause).split()) or type(cause).__name__
