"""Observers are told what happens in the sessions: the list of flows, the recording, the log, the
metrics.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from s2_mitm.proxy.session import Judged, Session
from s2_mitm.s2.verdict import LateFinding

logger = logging.getLogger(__name__)


class Observer:
    """One that is told; it overrides the methods that it needs.

    ``name`` is what people call it, such as "the log".
    """

    name: str

    def opened(self, session: Session) -> None:
        """A WebSocket was recognised as S2; its first message is judged next."""

    def judged(self, session: Session, judged: Judged) -> None:
        """A message was judged."""

    def delivered(self, session: Session, judged: Judged) -> None:
        """A message did not go on as it was when it was judged: others dropped or changed it."""

    def changed(self, session: Session) -> None:
        """What the two sides of a session agreed on, such as the control type, may have changed."""

    def took(self, session: Session, seconds: float) -> None:
        """A message spent so much time in s2-mitm before it went on."""

    def late(self, session: Session, late: Iterable[LateFinding]) -> None:
        """Something was found about messages that were judged before."""

    def closed(self, session: Session) -> None:
        """A session is over; where its WebSocket has no end, because the proxy stops."""

    def left_out(self, session: Session) -> None:
        """This observer failed in the session, and is told nothing more of it."""


class Observers(Observer):
    """All observers, in order, each behind a wall of its own.

    One that raises is left out for the rest of that session, and the log says so once; the others
    and the traffic go on.
    """

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = observers

    def opened(self, session: Session) -> None:
        self._tell(session, lambda observer: observer.opened(session))

    def judged(self, session: Session, judged: Judged) -> None:
        # As `_tell`, which would take 0.7 µs more for every message.
        left_out = session.left_out
        for observer in self._observers:
            if not (left_out and observer in left_out):
                try:
                    observer.judged(session, judged)
                except Exception as fault:
                    _leave_out(observer, session, fault)

    def delivered(self, session: Session, judged: Judged) -> None:
        self._tell(session, lambda observer: observer.delivered(session, judged))

    def changed(self, session: Session) -> None:
        self._tell(session, lambda observer: observer.changed(session))

    def took(self, session: Session, seconds: float) -> None:
        self._tell(session, lambda observer: observer.took(session, seconds))

    def late(self, session: Session, late: Iterable[LateFinding]) -> None:
        self._tell(session, lambda observer: observer.late(session, late))

    def closed(self, session: Session) -> None:
        self._tell(session, lambda observer: observer.closed(session))

    def _tell(self, session: Session, tell: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            if observer not in session.left_out:
                try:
                    tell(observer)
                except Exception as fault:
                    _leave_out(observer, session, fault)


def _leave_out(observer: Observer, session: Session, fault: Exception) -> None:
    session.left_out.add(observer)
    logger.error(
        f"s2-mitm: a fault of its own, {fault!r}; {observer.name} has nothing more of the WebSocket"
        f" {session.id}, which goes on, and so does all else. Please report this."
    )
    logger.debug("The fault:", exc_info=fault)
    try:
        observer.left_out(session)
    except Exception:
        logger.debug("Another one:", exc_info=True)
