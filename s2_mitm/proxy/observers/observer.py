"""Who is told what happens in the sessions: the log, the journal of the recording, the metrics."""

from __future__ import annotations

from collections.abc import Iterable

from s2_mitm.proxy.session import Judged, Session
from s2_mitm.s2.verdict import LateFinding


class Observer:
    """Someone who is told; an observer overrides what it wants to hear."""

    def opened(self, session: Session) -> None:
        """A WebSocket was recognised as S2; its first message is judged next."""

    def judged(self, session: Session, judged: Judged) -> None:
        """A message was judged."""

    def delivered(self, session: Session, judged: Judged) -> None:
        """A message did not go on as it was when it was judged: others dropped or changed it."""

    def late(self, session: Session, late: Iterable[LateFinding]) -> None:
        """Something was found about messages that were judged before."""

    def closed(self, session: Session) -> None:
        """A session is over; where its WebSocket has no end, because the proxy stops."""
