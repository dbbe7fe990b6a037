"""Hand the recorder what happens in the sessions, and what becomes known of them on the way."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable
from typing import NamedTuple

from s2_mitm.history.recorder import Figures, Recorder
from s2_mitm.history.records import MessageRecord, SessionFacts, SessionStart
from s2_mitm.proxy import delivery
from s2_mitm.proxy.observers.observer import Observer, Observers
from s2_mitm.proxy.session import Judged, Session
from s2_mitm.s2.verdict import Answer, LateFinding, Role

MOVED = "recorded elsewhere from here on"
"""The reason why a session is over that goes on in another recording, for s2_db was changed."""

FAILED = "s2-mitm failed to record the rest"
"""The reason why a session is over whose recording failed, for a fault of our own."""

_ID_IN_PATH = re.compile(r"/(rm|cem)/([^/]+)")


class Recording(Observer):
    """Writes live sessions into one recording; flows read from a file are not written again.

    ``proxy`` is what people call this proxy; without it, it is the host and port where it listens.
    """

    name = "the recording"

    def __init__(self, recorder: Recorder, proxy: str = "") -> None:
        self._recorder = recorder
        self._proxy = proxy
        self._known: dict[str, _Known] = {}
        """What is recorded of each session that is open, by its id."""
        self._over: str | None = None
        """Why sessions are over now whose WebSockets have no end."""

    def opened(self, session: Session) -> None:
        if not session.is_live:
            return
        self._recorder.session_opened(
            SessionStart(
                session.id,
                session.started_at,
                session.client_address,
                session.server_address,
                session.path,
                session.conversation.client_role,
                self._proxy or f"{socket.gethostname()}:{session.port}",
                session.conversation.bearer,
            )
        )
        self._recorder.session_changed(session.id, **_facts(session))
        self._known[session.id] = _known(session)

    def judged(self, session: Session, judged: Judged) -> None:
        if not session.is_live:
            return
        self._record_changes(session)
        message, verdict = judged.message, judged.verdict
        self._recorder.message(
            MessageRecord(
                session.id,
                judged.number,
                verdict,
                delivery.came(message),
                injected=message.injected,
                dropped=message.dropped,
                sent=delivery.sent(message),
                binary=not message.is_text,
            )
        )
        if verdict.answer and not message.dropped:
            self._record_answer(session, verdict.answer)
        self.late(session, verdict.late)

    def delivered(self, session: Session, judged: Judged) -> None:
        message = judged.message
        self._recorder.delivered(
            session.id, judged.number, dropped=message.dropped, sent=delivery.sent(message)
        )
        if answer := judged.verdict.answer:
            self._recorder.reception_withdrawn(session.id, answer.sender, answer.message_id)
        if answer := session.judge.delivered_answer:
            self._record_answer(session, answer)

    def _record_answer(self, session: Session, answer: Answer) -> None:
        self._recorder.reception_status(
            session.id, answer.sender, answer.message_id, answer.status, answer.delay
        )

    def late(self, session: Session, late: Iterable[LateFinding]) -> None:
        if session.is_live:
            for item in late:
                self._recorder.late_finding(session.id, item.number, item.finding)

    def changed(self, session: Session) -> None:
        if session.id in self._known:
            self._record_changes(session)

    def _record_changes(self, session: Session) -> None:
        before, known = self._known[session.id], _known(session)
        if known == before:
            return
        if known.client_role is not before.client_role:
            self._recorder.senders_swapped(session.id)
        self._recorder.session_changed(session.id, **_facts(session))
        self._known[session.id] = known

    def closed(self, session: Session) -> None:
        websocket = session.flow.websocket
        if websocket is None or websocket.timestamp_end is None:
            self._end_here(session, self._over)
            return
        if self._known.pop(session.id, None) is None:
            return
        self._recorder.session_closed(
            session.id,
            websocket.timestamp_end,
            websocket.close_code,
            websocket.close_reason,
            session.closed_by,
        )

    def left_out(self, session: Session) -> None:
        self._end_here(session, FAILED)

    def _end_here(self, session: Session, reason: str | None) -> None:
        """The WebSocket goes on, or has no end; here its session is over."""
        if self._known.pop(session.id, None) is not None:
            self._recorder.session_closed(session.id, time.time(), None, reason, "proxy")

    def figures(self) -> Figures:
        """How the recorder fares now; from any thread."""
        return self._recorder.figures()

    def stop(self, open_sessions: Iterable[Session] = (), reason: str | None = None) -> None:
        """End the sessions given, for this ``reason``, and let the recorder write what is left.

        Returns at once; `recorder.finish_all` waits for it.
        """
        self._over = reason
        behind_its_wall = Observers([self])
        for session in open_sessions:
            behind_its_wall.closed(session)
        self._recorder.stop()


class _Known(NamedTuple):
    """What may become known of a session, or change, with any message."""

    client_role: Role
    resource_id: str | None
    version: str | None
    control_type: str | None


def _known(session: Session) -> _Known:
    conversation = session.conversation
    return _Known(
        conversation.client_role,
        conversation.resource_id,
        conversation.selected_version,
        conversation.control_type,
    )


def _facts(session: Session) -> SessionFacts:
    conversation = session.conversation
    in_path = dict(_ID_IN_PATH.findall(session.path))
    return {
        "client_role": conversation.client_role,
        "rm_id": conversation.resource_id or in_path.get("rm"),
        "cem_id": in_path.get("cem"),
        "protocol_version": conversation.selected_version,
        "control_type": conversation.control_type,
    }
