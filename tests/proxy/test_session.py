"""A WebSocket is S2 by its messages; each is judged once, whatever becomes of the flow."""

from __future__ import annotations

from typing import Any

import pytest
from alone import ALONE
from mitmproxy.http import HTTPFlow
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from s2_mitm.proxy.session import KEEP_BYTES, Judged, Session
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.message.recognition import LOOK_BACK, is_s2
from s2_mitm.s2.verdict import Role

STATUS = b'{"message_type": "FRBC.StorageStatus", "present_fill_level": 5}'


@pytest.fixture
def flow() -> HTTPFlow:
    flow = tflow.twebsocketflow(messages=False)
    assert flow.websocket is not None
    flow.websocket.messages = []
    return flow


@pytest.fixture
def session(flow: HTTPFlow) -> Session:
    return Session(flow, ALONE)


def add(
    flow: HTTPFlow,
    content: bytes,
    *,
    from_client: bool = True,
    binary: bool = False,
    injected: bool = False,
) -> WebSocketMessage:
    assert flow.websocket is not None
    kind = Opcode.BINARY if binary else Opcode.TEXT
    message = WebSocketMessage(kind, from_client, content, injected=injected)
    flow.websocket.messages.append(message)
    return message


def say(session: Session, flow: HTTPFlow, content: bytes, **more: Any) -> list[Judged]:
    add(flow, content, **more)
    return list(session.take(flow))


def messages_of(flow: HTTPFlow) -> list[WebSocketMessage]:
    assert flow.websocket is not None
    return flow.websocket.messages


# Recognition


def test_the_first_messages_may_be_broken_and_are_judged_once_it_is_known(
    flow: HTTPFlow, session: Session
) -> None:
    assert say(session, flow, b"hello") == []
    assert say(session, flow, b"\xff", binary=True, from_client=False) == []
    assert not session.recognised

    judged = say(session, flow, STATUS, from_client=False)

    assert session.recognised
    assert [each.number for each in judged] == [1, 2, 3]
    assert [each.message for each in judged] == messages_of(flow)
    assert [each.in_time for each in judged] == [False, False, True]
    assert [each.verdict.findings[0].code for each in judged[:2]] == ["json.syntax", "json.binary"]
    assert judged[2].verdict.sender is Role.RM


def test_once_recognised_every_message_is_judged(flow: HTTPFlow, session: Session) -> None:
    say(session, flow, STATUS)

    (judged,) = say(session, flow, b"hello")

    assert (judged.number, judged.in_time, judged.verdict.valid) == (2, True, False)


@pytest.mark.parametrize("before", [LOOK_BACK, LOOK_BACK + 1, 1000])
def test_it_is_never_too_late_to_be_s2(flow: HTTPFlow, session: Session, before: int) -> None:
    for _ in range(before):
        assert say(session, flow, b"ping") == []
    assert not session.left_alone

    judged = say(session, flow, STATUS)

    assert [each.message for each in judged] == messages_of(flow)[-LOOK_BACK - 1 :]
    assert [each.number for each in judged] == [*range(1, LOOK_BACK + 2)]
    assert [each.in_time for each in judged] == LOOK_BACK * [False] + [True]
    assert len(say(session, flow, b"hello")) == 1


@pytest.mark.parametrize(
    ("before", "from_start"), [(0, True), (LOOK_BACK, True), (LOOK_BACK + 1, False)]
)
def test_it_was_seen_from_its_start_where_all_before_it_is_judged(
    flow: HTTPFlow, session: Session, before: int, from_start: bool
) -> None:
    for _ in range(before):
        say(session, flow, b"ping")
    say(session, flow, STATUS)

    assert session.conversation.from_start is from_start


def test_what_came_while_nobody_looked_is_not_gone_through(
    flow: HTTPFlow, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0

    def look(content: bytes, *, binary: bool) -> bool:
        nonlocal looked_at
        looked_at += 1
        return is_s2(content, binary=binary)

    monkeypatch.setattr("s2_mitm.proxy.session.is_s2", look)
    messages_of(flow).extend([WebSocketMessage(Opcode.TEXT, True, b"ping")] * 10_000)
    assert say(session, flow, b"ping") == []
    assert looked_at <= LOOK_BACK + 1
    for _ in range(10):
        say(session, flow, b"ping")
    assert looked_at <= LOOK_BACK + 11


def test_messages_that_came_at_once_are_judged_at_once(flow: HTTPFlow, session: Session) -> None:
    for content in (b"hello", STATUS, b"hello"):
        add(flow, content)

    assert [each.number for each in session.take(flow)] == [1, 2, 3]


def test_the_kind_of_frame_and_injection_are_passed_on(flow: HTTPFlow, session: Session) -> None:
    (binary,) = say(session, flow, STATUS, binary=True)
    (injected,) = say(session, flow, STATUS, from_client=False, injected=True)

    assert "json.binary" in {finding.code for finding in binary.verdict.findings}
    assert session.conversation.client_role is Role.RM
    assert injected.verdict.sender is Role.CEM


# Blocking


@pytest.mark.parametrize(
    ("content", "injected", "may_be"),
    [(b"{}", False, True), (STATUS, False, True), (b"{}", True, False)],
)
def test_what_is_invalid_may_be_blocked_unless_the_user_sent_it(
    flow: HTTPFlow, session: Session, content: bytes, injected: bool, may_be: bool
) -> None:
    say(session, flow, STATUS)

    (judged,) = say(session, flow, content, injected=injected)

    assert judged.may_be_blocked is may_be


def test_what_is_valid_may_not_be_blocked(flow: HTTPFlow, session: Session) -> None:
    valid = b'{"message_type":"FRBC.StorageStatus","message_id":"a-b","present_fill_level":5}'

    (judged,) = say(session, flow, valid)

    assert not judged.may_be_blocked


def test_what_was_forwarded_already_cannot_be_blocked(flow: HTTPFlow, session: Session) -> None:
    say(session, flow, b"hello")

    first, second = say(session, flow, STATUS)

    assert not first.may_be_blocked
    assert second.may_be_blocked


# What the user does to the flow


def test_a_reverted_flow_goes_on_with_the_newest_message(flow: HTTPFlow, session: Session) -> None:
    say(session, flow, STATUS)
    flow.backup()
    for _ in range(5):
        say(session, flow, STATUS)
    flow.revert()

    judged = say(session, flow, b"hello")

    assert [(each.number, each.message.content) for each in judged] == [(7, b"hello")]


@pytest.mark.parametrize("left", [0, 1, 3])
def test_messages_that_the_user_took_away_are_not_missed(
    flow: HTTPFlow, session: Session, left: int
) -> None:
    for _ in range(5):
        say(session, flow, STATUS)
    del messages_of(flow)[left:]

    judged = say(session, flow, b"hello")

    assert [(each.number, each.in_time) for each in judged] == [(6, True)]
    assert len(say(session, flow, b"hello")) == 1


def test_a_flow_without_messages_has_nothing_to_judge(flow: HTTPFlow, session: Session) -> None:
    assert list(session.take(flow)) == []
    say(session, flow, STATUS)
    messages_of(flow).clear()
    assert list(session.take(flow)) == []
    assert len(say(session, flow, STATUS)) == 1


def test_s2_is_recognised_in_what_is_left_after_the_user_took_messages_away(
    flow: HTTPFlow, session: Session
) -> None:
    for _ in range(5):
        say(session, flow, b"hello")
    messages_of(flow).clear()

    assert len(say(session, flow, STATUS)) == 1


# Forgetting


def test_the_last_messages_are_kept(flow: HTTPFlow, session: Session) -> None:
    for number in range(1, 8):
        say(session, flow, STATUS + b" " * number)
        session.forget(flow, 3)
        assert len(messages_of(flow)) == min(number, 3)

    assert [len(message.content) - len(STATUS) for message in messages_of(flow)] == [5, 6, 7]
    assert session.judge.messages == 7


def test_numbers_go_on_after_forgetting(flow: HTTPFlow, session: Session) -> None:
    numbers = []
    for _ in range(5):
        numbers += [each.number for each in say(session, flow, STATUS)]
        session.forget(flow, 1)

    assert numbers == [1, 2, 3, 4, 5]


def test_messages_that_came_at_once_after_forgetting_are_all_judged(
    flow: HTTPFlow, session: Session
) -> None:
    for _ in range(5):
        say(session, flow, STATUS)
    session.forget(flow, 2)
    for _ in range(3):
        add(flow, STATUS)

    assert [each.number for each in session.take(flow)] == [6, 7, 8]


def test_few_large_messages_are_as_much_as_many_small_ones(
    flow: HTTPFlow, session: Session
) -> None:
    say(session, flow, STATUS)
    large = STATUS + b" " * (KEEP_BYTES // 8)
    for _ in range(20):
        say(session, flow, large)
        session.forget(flow, 1000)
        kept = sum(len(message.content) for message in messages_of(flow))
        assert kept <= KEEP_BYTES
    assert kept >= KEEP_BYTES // 2
    assert session.judge.messages == 21


def test_the_last_message_is_kept_however_large(flow: HTTPFlow, session: Session) -> None:
    say(session, flow, STATUS)
    for _ in range(3):
        say(session, flow, STATUS + b" " * KEEP_BYTES)
        session.forget(flow, 1000)
        assert len(messages_of(flow)) == 1


@pytest.mark.parametrize("keep", [0, 1])
def test_where_memory_is_full_what_was_judged_is_let_go(
    keep: int, flow: HTTPFlow, session: Session
) -> None:
    for _ in range(3):
        say(session, flow, STATUS)

    assert len(session.let_go(flow, keep)) == session.missing == 3 - keep
    assert len(messages_of(flow)) == keep
    (judged,) = say(session, flow, STATUS)
    assert judged.number == 4


def test_where_memory_is_full_what_may_yet_be_s2_is_let_go(
    flow: HTTPFlow, session: Session
) -> None:
    for _ in range(3):
        assert say(session, flow, b"hello") == []

    session.let_go(flow, 0)
    (judged,) = say(session, flow, STATUS)
    assert judged.number == 1
    assert not session.conversation.from_start


def test_zero_keeps_all(flow: HTTPFlow, session: Session) -> None:
    for _ in range(5):
        say(session, flow, STATUS)
        session.forget(flow, 0)

    assert len(messages_of(flow)) == 5


def test_what_was_not_judged_is_not_forgotten(flow: HTTPFlow, session: Session) -> None:
    for _ in range(5):
        say(session, flow, b"hello")
    session.forget(flow, 2)
    assert len(messages_of(flow)) == 5

    for _ in range(3):
        add(flow, STATUS)
    assert len(list(session.take(flow))) == 8


def test_a_flow_from_a_file_is_left_whole(flow: HTTPFlow) -> None:
    flow.live = False
    session = Session(flow, ALONE)
    for _ in range(5):
        say(session, flow, STATUS)
        session.forget(flow, 1)

    assert len(messages_of(flow)) == 5


# What is known of the connection


def test_a_query_may_hold_a_secret_and_is_not_kept(flow: HTTPFlow) -> None:
    flow.request.path = "/rm/1?token=secret#more"

    assert Session(flow, ALONE).path == "/rm/1"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("10.0.0.2", 4711), "10.0.0.2:4711"),
        (("::1", 4711, 0, 0), "[::1]:4711"),
        (("cem.local", 80), "cem.local:80"),
        (None, None),
    ],
)
def test_addresses_are_shown_as_people_write_them(
    flow: HTTPFlow, address: Any, shown: str | None
) -> None:
    flow.client_conn.peername = address
    flow.server_conn.peername = None
    flow.server_conn.address = address

    session = Session(flow, ALONE)

    assert (session.client_address, session.server_address) == (shown, shown)


def test_the_settings_reach_the_conversation(flow: HTTPFlow) -> None:
    session = Session(flow, Settings(client_role=Role.CEM))

    assert session.conversation.client_role is Role.CEM
    assert (session.id, session.is_live) == (flow.id, True)


def test_a_message_is_judged_once_however_often_it_is_looked_for(
    flow: HTTPFlow, session: Session
) -> None:
    """The addon looks once more when it is loaded anew, and the WebSocket closed meanwhile."""
    say(session, flow, STATUS)
    say(session, flow, STATUS)

    assert list(session.take(flow)) == []
    assert session.missing == 0
    assert [judged.number for judged in say(session, flow, STATUS)] == [3]
