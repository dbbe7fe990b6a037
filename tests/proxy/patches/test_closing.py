"""A WebSocket ends as its peers end it: who says what, in which order, and what is still heard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.websocket import WebsocketEndHook
from websocket_frames import CLOSE, CONTINUED, PING, PONG, TEXT, Frame
from websocket_layer import Proxy, in_place
from wsproto.events import CloseConnection


@pytest.fixture(autouse=True)
def loaded() -> Iterator[None]:
    with in_place("deflate", "closing", "frames"):
        yield


def close(code: int, reason: str = "") -> Frame:
    return Frame(CLOSE, code.to_bytes(2) + reason.encode())


class End(NamedTuple):
    """What mitmproxy notes of an end."""

    by_client: bool | None
    code: int | None
    reason: str | None


class Ending(Proxy):
    """Notes what is known at the end, when the addons hear of it."""

    ended: End | None = None

    def hook(self, command: commands.StartHook) -> None:
        if isinstance(command, WebsocketEndHook):
            assert self.ended is None
            about = self.flow.websocket
            assert about is not None
            assert about.timestamp_end is not None
            self.ended = End(about.closed_by_client, about.close_code, about.close_reason)


EMPTY = Frame(CLOSE, b"")
CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4999]


@pytest.mark.parametrize("from_client", [True, False])
@pytest.mark.parametrize("code", CODES)
def test_a_close_frame_is_passed_on_and_so_is_its_answer(code: int, from_client: bool) -> None:
    proxy = Ending()
    said, answer = close(code, "schließt"), close(4000, "dann")

    assert proxy.send(said, from_client=from_client) == [said]
    assert proxy.arrived(at_server=not from_client) == []
    assert proxy.closed == []
    assert proxy.send(answer, from_client=not from_client) == [answer]
    assert proxy.arrived(at_server=from_client) == []
    assert len(proxy.closed) == 2
    assert proxy.ended == End(from_client, code, "schließt")


def test_a_close_frame_may_be_empty() -> None:
    proxy = Ending()

    assert proxy.send(EMPTY) == [EMPTY]
    assert proxy.send(EMPTY, from_client=False) == [EMPTY]
    assert proxy.ended == End(True, 1005, "")


@pytest.mark.parametrize("from_client", [True, False])
def test_what_is_said_before_the_answer_is_heard(from_client: bool) -> None:
    """ "Forwards every message byte for byte": also those that cross a close frame on their way."""
    proxy = Ending()
    said = [
        Frame(TEXT, b'{"a":', is_last=False),
        Frame(PING, b"!"),
        Frame(PONG, b"?"),
        Frame(CONTINUED, b"1}"),
        Frame(TEXT, b"\xff"),
    ]
    proxy.send(close(1000), from_client=from_client)

    arrived = proxy.send(*said, close(1000), from_client=not from_client)

    first, ping, pong, second, third = said
    assert arrived == [ping, pong, first, second, third, close(1000)]
    assert [each.content for each in proxy.messages] == [b'{"a":1}', b"\xff"]


def test_both_may_close_at_once() -> None:
    proxy = Ending()

    assert proxy.send(close(1001, "I go")) == [close(1001, "I go")]
    assert proxy.send(close(1012, "me too"), from_client=False) == [close(1012, "me too")]
    assert proxy.ended == End(True, 1001, "I go")


@pytest.mark.parametrize("from_client", [True, False])
def test_after_its_close_frame_a_peer_says_nothing(from_client: bool) -> None:
    proxy = Ending()
    proxy.send(close(1000), from_client=from_client)

    assert proxy.send(Frame(TEXT, b"{}"), close(1001), from_client=from_client) == []
    assert proxy.messages == []


@pytest.mark.parametrize("is_client", [True, False])
def test_one_that_goes_without_a_word_does_not_end_well(is_client: bool) -> None:
    proxy = Ending()
    proxy.send(Frame(TEXT, b"{", is_last=False), from_client=is_client)

    proxy.gone(is_client=is_client)

    assert proxy.arrived(at_server=True) == proxy.arrived(at_server=False) == []
    assert len(proxy.closed) == 2
    assert proxy.ended == End(is_client, 1006, None)


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("is_client", [True, False])
def test_one_that_goes_after_its_close_frame_has_closed(is_client: bool, answers: bool) -> None:
    proxy = Ending()
    proxy.send(close(1000, "bye"), from_client=is_client)

    proxy.gone(is_client=is_client is not answers)  # or the other goes, in place of an answer

    assert proxy.arrived(at_server=True) == proxy.arrived(at_server=False) == []
    assert len(proxy.closed) == 2
    assert proxy.ended == End(is_client, 1000, "bye")


@pytest.mark.parametrize("from_client", [True, False])
def test_a_bad_frame_in_place_of_the_answer_is_told(from_client: bool) -> None:
    proxy = Ending()
    proxy.send(close(1000), from_client=not from_client)

    (told,) = proxy.send(Frame(CONTINUED, b""), from_client=from_client)

    assert (told.opcode, told.payload[:2]) == (CLOSE, (1002).to_bytes(2))
    assert proxy.arrived(at_server=not from_client) == []  # it was told 1000, and no more
    assert proxy.ended == End(not from_client, 1000, "")


def test_we_may_end_it_while_one_waits_for_an_answer() -> None:
    proxy = Ending()
    proxy.send(close(1000, "bye"))
    proxy.layer.client_ws._events.append(CloseConnection(1009, "no memory"))

    proxy.handle(events.DataReceived(proxy.context.client, b""))

    assert proxy.arrived(at_server=False) == [close(1009, "no memory")]
    assert proxy.arrived(at_server=True) == []
    assert proxy.ended == End(True, 1000, "bye")


@pytest.mark.parametrize("to_client", [True, False])
def test_nothing_is_injected_any_more(to_client: bool) -> None:
    proxy = Ending()
    proxy.send(close(1000))

    assert proxy.inject(b"{}", to_client=to_client) == []
    assert proxy.messages == []


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_codes_that_nobody_may_send_are_refused(code: int) -> None:
    proxy = Ending()

    (told,) = proxy.send(close(code))

    assert (told.opcode, told.payload[:2]) == (CLOSE, (1002).to_bytes(2))
    (told,) = proxy.arrived(at_server=False)
    assert (told.opcode, told.payload[:2]) == (CLOSE, (1002).to_bytes(2))
    assert len(proxy.closed) == 2


def test_reasons_are_text_with_any_code() -> None:
    proxy = Ending()

    (told,) = proxy.send(Frame(CLOSE, (1014).to_bytes(2) + b"\xff"))

    assert (told.opcode, told.payload[:2]) == (CLOSE, (1007).to_bytes(2))
