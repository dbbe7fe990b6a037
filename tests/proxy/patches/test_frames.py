"""With the addon loaded, mitmproxy's own WebSocket layer passes text on byte for byte."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy.proxy import commands
from mitmproxy.proxy.layers import websocket
from websocket_frames import BINARY, CLOSE, CONTINUED, PING, TEXT, Frame
from websocket_layer import Proxy, in_place

from s2_mitm.proxy.memory import MAX_MESSAGE
from s2_mitm.proxy.patches.frames import MAX_FRAMES


@pytest.fixture(autouse=True)
def loaded() -> Iterator[None]:
    with in_place("deflate", "closing", "frames"):
        yield


NOT_ALL_UTF8 = [
    b"",
    b"{}",
    "Wärmepumpe 電池 🔋".encode(),
    b'{"name":"W\xe4rme"}',
    b"\xff\xfe\x00\x80",
    b"\xed\xa0\x80",  # half a surrogate pair
    b"\xf0\x9f\x94",  # the beginning of a character
    b"\x80\x94\x8b",  # its end
    b"\xef\xbb\xbf{}",
    bytes(range(256)),
    b"x" * 125,
    b"x" * 126,
    b"\xff" * 65535,
    b"\xff" * 65536,
    b"\xe4" * (1024 * 1024),
]


@pytest.mark.parametrize("payload", NOT_ALL_UTF8, ids=lambda payload: repr(payload[:12])[2:-1])
@pytest.mark.parametrize("from_client", [True, False])
def test_a_text_frame_arrives_as_it_was_sent(payload: bytes, from_client: bool) -> None:
    proxy = Proxy()

    assert proxy.send(Frame(TEXT, payload), from_client=from_client) == [Frame(TEXT, payload)]
    (message,) = proxy.messages
    assert (message.content, message.is_text) == (payload, True)


@pytest.mark.parametrize("payload", NOT_ALL_UTF8, ids=lambda payload: repr(payload[:12])[2:-1])
def test_so_does_a_binary_frame(payload: bytes) -> None:
    proxy = Proxy()

    assert proxy.send(Frame(BINARY, payload)) == [Frame(BINARY, payload)]
    assert not proxy.messages[0].is_text


def fragments(*payloads: bytes, opcode: int = TEXT) -> list[Frame]:
    last = len(payloads) - 1
    return [
        Frame(CONTINUED if index else opcode, payload, index == last)
        for index, payload in enumerate(payloads)
    ]


@pytest.mark.parametrize("piece", [0, 1, 3])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_fragments_stay_what_they_are(piece: int, opcode: int) -> None:
    battery = "🔋".encode()
    sent = fragments(
        b'{"a":"' + battery[:1], battery[1:3], b"", battery[3:] + b"\xff", opcode=opcode
    )
    proxy = Proxy()

    assert proxy.send(*sent, piece=piece) == sent
    assert proxy.messages[0].content == b'{"a":"' + battery + b"\xff"


def test_a_ping_between_fragments_disturbs_nothing() -> None:
    first, second = fragments(b"\xf0\x9f", b"\x94\x8b")
    ping = Frame(PING, b"\xff")

    arrived = Proxy().send(first, ping, second)

    assert [frame for frame in arrived if frame.opcode != PING] == [first, second]
    assert ping in arrived


def test_a_message_after_a_broken_one_is_its_own() -> None:
    proxy = Proxy()
    proxy.send(Frame(TEXT, b"\xf0\x9f"))
    proxy.send(Frame(TEXT, b"\x94\x8b"), from_client=False)
    proxy.send(Frame(TEXT, b"\x94\x8b"))

    contents = [message.content for message in proxy.messages]
    assert contents == [b"\xf0\x9f", b"\x94\x8b", b"\x94\x8b"]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.binary(max_size=20), min_size=1, max_size=4), st.booleans()),
        max_size=4,
    ),
    st.integers(0, 7),
)
def test_any_frames_arrive_as_they_were_sent(
    sent: list[tuple[list[bytes], bool]], piece: int
) -> None:
    proxy = Proxy()
    for payloads, from_client in sent:
        message = fragments(*payloads)
        assert proxy.send(*message, from_client=from_client, piece=piece) == message
    assert [each.content for each in proxy.messages] == [b"".join(each) for each, _ in sent]


def test_a_message_that_is_too_large_in_all_its_fragments_ends_the_connection() -> None:
    piece = bytes(MAX_MESSAGE // 4)
    proxy = Proxy()

    arrived = proxy.send(*fragments(*[piece] * 4, b"x"))

    assert [each.opcode for each in arrived] == [CLOSE]
    assert proxy.messages == []


def test_messages_are_large_each_for_itself() -> None:
    piece = bytes(MAX_MESSAGE // 2 + 1)
    proxy = Proxy()

    for _ in range(3):
        assert proxy.send(Frame(BINARY, piece)) == [Frame(BINARY, piece)]


def test_very_many_fragments_are_joined_at_the_end() -> None:
    proxy = Proxy()
    arrived = proxy.send(*fragments(*[b"x"] * (MAX_FRAMES + 10)))

    assert len(arrived) == MAX_FRAMES
    assert b"".join(each.payload for each in arrived) == b"x" * (MAX_FRAMES + 10)
    assert len(arrived[-1].payload) == 11


@pytest.mark.parametrize("to_client", [True, False])
@pytest.mark.parametrize(
    "content",
    [b"{}", b"x" * 4001, "ä".encode() * 5000, b"\xff" * 9000, "x🔋".encode() * 50_000],
    ids=["short", "long", "two-bytes", "not-utf8", "four-bytes"],
)
def test_what_is_injected_arrives_in_one_frame(content: bytes, to_client: bool) -> None:
    proxy = Proxy()

    assert proxy.inject(content, to_client=to_client) == [Frame(TEXT, content)]
    assert proxy.messages[0].injected


@pytest.mark.parametrize("to_client", [True, False])
def test_what_is_injected_between_fragments_is_a_message_of_its_own(to_client: bool) -> None:
    proxy = Proxy()
    first, second = fragments(b'{"message_type": ', b'"Handshake"}')

    assert proxy.send(first, from_client=not to_client) == []
    assert proxy.inject(b"{}", to_client=to_client) == [Frame(TEXT, b"{}")]
    assert proxy.send(second, from_client=not to_client) == [first, second]
    contents = [message.content for message in proxy.messages]
    assert contents == [b"{}", b'{"message_type": "Handshake"}']


def test_what_was_edited_arrives_in_one_frame() -> None:
    class Editing(Proxy):
        def hook(self, command: commands.StartHook) -> None:
            if isinstance(command, websocket.WebsocketMessageHook):
                self.messages[-1].content = "ä".encode() * 5000

    assert Editing().send(*fragments(b"a", b"b")) == [Frame(TEXT, "ä".encode() * 5000)]


def test_what_was_edited_to_the_same_length_keeps_its_frames() -> None:
    class Editing(Proxy):
        def hook(self, command: commands.StartHook) -> None:
            if isinstance(command, websocket.WebsocketMessageHook):
                self.messages[-1].content = b"\xff\xfe"

    assert Editing().send(*fragments(b"a", b"b")) == fragments(b"\xff", b"\xfe")


def test_what_was_dropped_does_not_arrive() -> None:
    class Dropping(Proxy):
        def hook(self, command: commands.StartHook) -> None:
            if isinstance(command, websocket.WebsocketMessageHook):
                self.messages[-1].dropped = True

    assert Dropping().send(Frame(TEXT, b"\xff")) == []


def test_an_unexpected_continuation_still_ends_the_connection() -> None:
    proxy = Proxy()

    arrived = proxy.send(Frame(CONTINUED, b"x"))

    assert [frame.opcode for frame in arrived] == [CLOSE]
