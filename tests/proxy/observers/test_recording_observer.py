"""What happens in the sessions of the proxy stands in the recording."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alone import ALONE
from mitmproxy.http import HTTPFlow
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.history.queries import History
from s2_mitm.history.recorder import Recorder, finish_all
from s2_mitm.proxy.observers.recording import Recording
from s2_mitm.proxy.session import Session
from s2_mitm.s2.conversation.settings import Settings

ID = "c009ed72-3ef7-49eb-9052-4258c1d6a3a3"
STATUS = {"message_type": "FRBC.StorageStatus", "message_id": ID, "present_fill_level": 5}
RECEIPT = {"message_type": "ReceptionStatus", "subject_message_id": ID, "status": "OK"}


class Recorded:
    """A recording that is written, and read once it is closed."""

    def __init__(self, file: Path) -> None:
        self._file = str(file)
        self.complaints: list[str] = []
        self.observer = Recording(Recorder(self._file, self.complaints.append))

    def _read(self, query: Callable[[History], Iterator[dict[str, Any]]]) -> list[dict[str, Any]]:
        self.observer.stop()
        finish_all()
        assert self.complaints == []
        history = History(self._file)
        try:
            return list(query(history))
        finally:
            history.close()

    def sessions(self) -> list[dict[str, Any]]:
        return self._read(lambda history: history.sessions())

    def messages(self) -> list[dict[str, Any]]:
        return self._read(lambda history: history.messages())


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recorded]:
    recording = Recorded(tmp_path / "s2.sqlite3")
    yield recording
    recording.observer.stop()
    finish_all()


class Live:
    """A flow, its session, and the observer told of it as the addon does."""

    def __init__(self, observer: Recording, path: str = "/ws", settings: Settings = ALONE) -> None:
        self.flow: HTTPFlow = tflow.twebsocketflow(messages=False)
        assert self.flow.websocket is not None
        self.flow.websocket.messages = []
        self.flow.websocket.timestamp_end = None
        self.flow.request.path = path
        self.observer = observer
        self.session = Session(self.flow, settings)

    def say(
        self,
        content: Any,
        *,
        from_client: bool = True,
        opcode: Opcode = Opcode.TEXT,
        **more: Any,
    ) -> None:
        assert self.flow.websocket is not None
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.flow.websocket.messages.append(WebSocketMessage(opcode, from_client, data, **more))
        for judged in self.session.take(self.flow):
            if judged.number == 1:
                self.observer.opened(self.session)
            self.observer.judged(self.session, judged)
        self.session.settle()
        self.observer.changed(self.session)

    def close(self, *, by_client: bool | None = True, code: int = 1000, reason: str = "") -> None:
        assert self.flow.websocket is not None
        self.flow.websocket.timestamp_end = 2000.0
        self.flow.websocket.closed_by_client = by_client
        self.flow.websocket.close_code = code
        self.flow.websocket.close_reason = reason
        self.observer.closed(self.session)


def test_a_session_is_recorded_from_beginning_to_end(recording: Recorded) -> None:
    live = Live(recording.observer)
    live.say(STATUS, timestamp=1000.5)
    live.close(code=1001, reason="going away")

    (session,) = recording.sessions()
    assert session["id"] == live.flow.id
    assert session["path"] == "/ws"
    assert session["client_address"] == "127.0.0.1:22"
    assert session["server_address"]
    assert session["started_at"].endswith("Z")
    assert session["ended_at"].startswith("1970-01-01T00:33:20")
    assert (session["close_code"], session["close_reason"]) == (1001, "going away")
    assert session["messages"] == 1


@pytest.mark.parametrize(
    ("client_says", "by_client", "closed_by"),
    [
        (STATUS, True, "RM"),
        (STATUS, False, "CEM"),
        ({"message_type": "SelectControlType"}, True, "CEM"),
        ({"message_type": "SelectControlType"}, False, "RM"),
        (STATUS, None, "CEM"),  # mitmproxy knows only when the client did it
    ],
)
def test_who_closed_is_told_by_the_role(
    recording: Recorded, client_says: Any, by_client: bool | None, closed_by: str
) -> None:
    live = Live(recording.observer)
    live.say(client_says)
    live.close(by_client=by_client)

    assert [session["closed_by"] for session in recording.sessions()] == [closed_by]


def test_what_is_open_when_the_proxy_stops_was_closed_by_the_proxy(recording: Recorded) -> None:
    live = Live(recording.observer)
    live.say(STATUS)
    recording.observer.stop([live.session])

    (session,) = recording.sessions()
    assert (session["closed_by"], session["close_code"]) == ("proxy", None)
    assert session["ended_at"] is not None


def test_a_session_that_goes_on_has_no_end(recording: Recorded) -> None:
    Live(recording.observer).say(STATUS)

    assert [session["ended_at"] for session in recording.sessions()] == [None]


def test_messages_are_recorded_as_they_were(recording: Recorded) -> None:
    live = Live(recording.observer)
    live.say(b"\xff not json", timestamp=1000.0)
    live.say(STATUS, timestamp=1001.5)
    live.say(STATUS, from_client=False, injected=True, dropped=True)

    first, second, third = recording.messages()
    assert [message["seq"] for message in (first, second, third)] == [1, 2, 3]
    assert bytes(first["content"]) == b"\xff not json"
    assert (first["valid"], first["message_type"]) == (False, None)
    assert [finding["code"] for finding in first["findings"]] == ["json.not-utf8"]
    assert second["timestamp"].startswith("1970-01-01T00:16:41.5")
    assert (second["sender"], second["message_id"], second["valid"]) == ("RM", ID, True)
    assert (third["injected"], third["dropped"]) == (True, True)
    assert (second["injected"], second["dropped"]) == (False, False)


def test_a_binary_frame_is_known_whatever_the_user_ignores(recording: Recorded) -> None:
    ignoring = replace(ALONE, ignore=ALONE.ignore | {"json.binary"})
    live = Live(recording.observer, settings=ignoring)
    live.say(STATUS, opcode=Opcode.BINARY)
    live.say(STATUS)
    messages = recording.messages()
    assert [message["opcode"] for message in messages] == ["binary", "text"]
    assert [message["findings"] for message in messages] == [[], []]


def test_an_answer_is_recorded_with_what_it_answers(
    recording: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "s2_mitm.proxy.session.time", SimpleNamespace(time=lambda: 1001.0, monotonic=lambda: 5.0)
    )
    live = Live(recording.observer)
    live.say(STATUS, timestamp=1000.0)
    live.say(RECEIPT, from_client=False, timestamp=1000.25)

    status, receipt = recording.messages()
    assert (status["reception_status"], status["reception_delay_ms"]) == ("OK", 250)
    assert receipt["reception_status"] is None
    assert receipt["subject_message_id"] == ID


def test_what_becomes_known_is_recorded(recording: Recorded) -> None:
    live = Live(recording.observer)
    live.say(STATUS)
    live.say({"message_type": "ResourceManagerDetails", "resource_id": "pump-1"})
    live.say(
        {"message_type": "HandshakeResponse", "selected_protocol_version": "1.0.0-beta"},
        from_client=False,
    )
    live.say(
        {"message_type": "SelectControlType", "control_type": "NO_SELECTION"}, from_client=False
    )

    (session,) = recording.sessions()
    assert session["client_role"] == "RM"
    assert session["rm_id"] == "pump-1"
    assert session["protocol_version"] == "1.0.0-beta"
    assert session["control_type"] == "NO_SELECTION"


@pytest.mark.parametrize(
    ("path", "rm_id", "cem_id"),
    [
        ("/ws", None, None),
        ("/rm/pump-1/cem/home", "pump-1", "home"),
        ("/cem/home/rm/pump-1", "pump-1", "home"),
        ("/api/rm/pump-1", "pump-1", None),
        ("/rm/pump-1/cem/home/ws?token=secret", "pump-1", "home"),
        ("/rm/", None, None),
        ("/firm/x/cement/y", None, None),
    ],
)
def test_ids_in_the_path_are_recorded(
    recording: Recorded, path: str, rm_id: str | None, cem_id: str | None
) -> None:
    Live(recording.observer, path).say(STATUS)

    (session,) = recording.sessions()
    assert (session["rm_id"], session["cem_id"]) == (rm_id, cem_id)
    assert "secret" not in json.dumps(session)


def test_the_name_that_the_rm_gives_itself_counts_more_than_the_path(recording: Recorded) -> None:
    live = Live(recording.observer, "/rm/by-path")
    live.say(STATUS)
    live.say({"message_type": "ResourceManagerDetails", "resource_id": "by-itself"})

    assert [session["rm_id"] for session in recording.sessions()] == ["by-itself"]


def test_senders_are_put_right_when_the_roles_become_known(recording: Recorded) -> None:
    live = Live(recording.observer)
    live.say({"message_type": "RevokeObject", "message_id": ID})
    live.say(b"broken", from_client=False)
    live.say({"message_type": "Handshake", "role": "CEM"})

    assert [message["sender"] for message in recording.messages()] == ["CEM", "RM", "CEM"]
    assert [session["client_role"] for session in recording.sessions()] == ["CEM"]


def test_a_flow_from_a_file_is_not_recorded_again(recording: Recorded) -> None:
    live = Live(recording.observer)
    live.flow.live = False
    live.session = Session(live.flow, ALONE)
    live.say(STATUS)
    live.close()

    assert recording.sessions() == []
    assert recording.messages() == []


def test_what_was_never_opened_is_not_closed(recording: Recorded) -> None:
    live = Live(recording.observer)
    live.say(b"hello")
    live.close()
    recording.observer.stop([live.session])

    assert recording.sessions() == []


def test_a_session_ends_once(recording: Recorded) -> None:
    live = Live(recording.observer)
    live.say(STATUS)
    live.close(code=1000)
    live.close(code=4000)
    recording.observer.stop([live.session])

    assert [session["close_code"] for session in recording.sessions()] == [1000]


def test_a_session_goes_on_in_the_observer_of_the_next_addon(tmp_path: Path) -> None:
    first = Recorded(tmp_path / "s2.sqlite3")
    live = Live(first.observer)
    live.say(STATUS)
    first.observer.stop()
    second = Recorded(tmp_path / "s2.sqlite3")
    live.observer = second.observer
    second.observer.opened(live.session)
    live.say(RECEIPT, from_client=False)
    live.close()

    (session,) = second.sessions()
    assert (session["messages"], session["closed_by"]) == (2, "RM")
    assert [message["seq"] for message in second.messages()] == [1, 2]


def test_many_sessions_do_not_mix(recording: Recorded) -> None:
    lives = [Live(recording.observer, f"/rm/{number}") for number in range(5)]
    for turn in range(3):
        for number, live in enumerate(lives):
            live.say(STATUS | {"present_fill_level": 10 * number + turn})

    levels: dict[str, list[int]] = {}
    for message in recording.messages():
        content = json.loads(message["content"])
        levels.setdefault(message["session_id"], []).append(content["present_fill_level"])
    assert [levels[live.flow.id] for live in lives] == [
        [10 * number, 10 * number + 1, 10 * number + 2] for number in range(5)
    ]
