"""Tell the recorder what happens in the sessions, and what became known of them on the way."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from mitmproxy.http import HTTPFlow

from s2_mitm.history.recorder import Recorder
from s2_mitm.history.records import MessageRecord, SessionFacts, SessionStart
from s2_mitm.proxy.metrics import Figures
from s2_mitm.proxy.session import Judged, Session
from s2_mitm.s2.verdict import Late, Role

_ID_IN_PATH = re.compile(r"/(rm|cem)/([^/]+)")


class Journal:
    """Writes live sessions into one recording; flows read from a file are not written again."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._told: dict[str, _Known] = {}

    def opened(self, session: Session) -> None:
        """A session was recognised, or goes on into this recording."""
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
            )
        )
        self._recorder.session_changed(session.id, **_facts(session))
        self._told[session.id] = _known(session)

    def judged(self, session: Session, judged: Judged) -> None:
        """A message of the session was judged."""
        if not session.is_live:
            return
        self._tell_news(session)
        message, verdict = judged.message, judged.verdict
        self._recorder.message(
            MessageRecord(
                session.id,
                judged.number,
                verdict,
                message.content,
                injected=message.injected,
                dropped=message.dropped,
            )
        )
        if answer := verdict.answer:
            self._recorder.reception_status(
                session.id, answer.sender, answer.message_id, answer.status, answer.delay
            )
        self.late(session, verdict.late)

    def late(self, session: Session, late: Iterable[Late]) -> None:
        """Something was found about messages of the session that were judged before."""
        if session.is_live:
            for item in late:
                self._recorder.afterthought(session.id, item.number, item.finding)

    def _tell_news(self, session: Session) -> None:
        told, known = self._told[session.id], _known(session)
        if known == told:
            return
        if known.client_role is not told.client_role:
            self._recorder.senders_swapped(session.id)
        self._recorder.session_changed(session.id, **_facts(session))
        self._told[session.id] = known

    def closed(self, session: Session, flow: HTTPFlow | None = None) -> None:
        """A session ended; without its flow, because the proxy stops."""
        if self._told.pop(session.id, None) is None:
            return
        websocket = flow.websocket if flow else None
        if websocket is None:
            self._recorder.session_closed(session.id, time.time(), None, None, "proxy")
            return
        client = session.conversation.client_role
        self._recorder.session_closed(
            session.id,
            websocket.timestamp_end or time.time(),
            websocket.close_code,
            websocket.close_reason,
            client if websocket.closed_by_client else client.other,
        )

    def figures(self) -> Figures | None:
        """What the recorder says of itself now, if it does; from any thread."""
        figures: Callable[[], Figures] | None = getattr(self._recorder, "figures", None)
        return figures() if figures else None

    def close(self, open_sessions: Iterable[Session] = ()) -> None:
        """Write what is still to be written, after ending the sessions given, and stop."""
        for session in open_sessions:
            self.closed(session)
        self._recorder.close()


class _Known(NamedTuple):
    """What may become known of a session, or change, with any message."""

    client_role: Role
    resource_id: str | None
    version: str | None
    control_type: str | None


def _known(session: Session) -> _Known:
    talk = session.conversation
    return _Known(talk.client_role, talk.resource_id, talk.selected_version, talk.control_type)


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
