"""Compressed messages arrive whole: RFC 7692, and the control frames of RFC 6455 between them."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

import pytest
from websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUED,
    PING,
    PONG,
    TAIL,
    TEXT,
    Frame,
    Inflater,
)
from websocket_layer import Proxy, in_place

from s2_mitm.proxy.memory import MAX_MESSAGE

DEFLATE = "permessage-deflate"
AGREEMENTS = {
    "takeover": DEFLATE,
    "no takeover": f"{DEFLATE}; client_no_context_takeover; server_no_context_takeover",
}
MESSAGE = b'{"message_type": "PowerMeasurement", "values": [1, 2, 3]}' * 20
OTHER = b'{"message_type": "ReceptionStatus", "status": "OK"}'


@pytest.fixture(autouse=True)
def loaded() -> Iterator[None]:
    with in_place("deflate", "closing", "frames"):
        yield


class Deflater:
    """Compresses one message after the other, with a context that goes on."""

    def __init__(self, bits: int = 15) -> None:
        self._stream = zlib.compressobj(9, wbits=-bits)

    def __call__(self, message: bytes) -> bytes:
        packed = self._stream.compress(message) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        return packed.removesuffix(TAIL)


def deflated(message: bytes) -> bytes:
    return Deflater()(message)


def ended(message: bytes) -> bytes:
    """Compressed in a stream that ends: its last block says that it is the last."""
    stream = zlib.compressobj(9, wbits=-15)
    return stream.compress(message) + stream.flush(zlib.Z_FINISH)


def stored(message: bytes) -> bytes:
    """Compressed without any repetition, as a sender without a window can."""
    stream = zlib.compressobj(0, wbits=-15)
    return (stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def cut(payload: bytes, *places: int, opcode: int = TEXT) -> list[Frame]:
    """A compressed message in fragments."""
    starts, ends = (0, *places), (*places, len(payload))
    return [
        Frame(
            CONTINUED if start_of else opcode,
            payload[start:end],
            is_last=start_of == len(places),
            is_compressed=not start_of,
        )
        for start_of, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def compressed(payload: bytes) -> Frame:
    return Frame(TEXT, payload, is_compressed=True)


class Receiver:
    """Takes together what arrives at one side, over several calls."""

    def __init__(self, inflater: Inflater | None = None) -> None:
        self._inflater = inflater or Inflater()

    def messages(self, arrived: list[Frame]) -> list[bytes]:
        """The messages in these frames; the last is whole."""
        messages, first, payload = [], None, b""
        for frame in arrived:
            if frame.opcode >= CLOSE:
                continue
            first = first or frame
            assert (frame.opcode == CONTINUED) is (frame is not first)
            assert frame is first or not frame.is_compressed
            payload += frame.payload
            if frame.is_last:
                assert payload, "a compressed message has a byte at least"
                messages.append(self._inflater.message(payload) if first.is_compressed else payload)
                first, payload = None, b""
        assert first is None
        return messages


@pytest.mark.parametrize("piece", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("from_client", [True, False])
@pytest.mark.parametrize("agreement", AGREEMENTS)
def test_a_control_frame_between_fragments_disturbs_nothing(
    agreement: str, from_client: bool, piece: int
) -> None:
    """ "Forwards every message byte for byte": also one that a ping comes in the middle of."""
    proxy = Proxy(AGREEMENTS[agreement])
    forgets = agreement == "no takeover"
    deflater, receiver = Deflater(), Receiver(Inflater(forgets=forgets))
    for number in range(3):
        packed = (Deflater() if forgets else deflater)(MESSAGE + b"%d" % number)
        first, second, third = cut(packed, 0, len(packed) // 2)
        controls = [Frame(PING, b""), Frame(PONG, b"pong"), Frame(PING, b"ping")]

        arrived = proxy.send(
            *(first, controls[0], second, controls[1], controls[2], third),
            from_client=from_client,
            piece=piece,
        )

        assert receiver.messages(arrived) == [MESSAGE + b"%d" % number]
        assert [frame for frame in arrived if frame.opcode > CLOSE] == controls
    assert [each.content for each in proxy.messages] == [MESSAGE + b"%d" % n for n in range(3)]


def test_both_directions_have_a_context_of_their_own() -> None:
    proxy = Proxy(f"{DEFLATE}; client_no_context_takeover")
    from_server, to_server, to_client = Deflater(), Receiver(Inflater(forgets=True)), Receiver()
    for _ in range(2):
        first, second = cut(from_server(MESSAGE), 3)
        assert proxy.send(first, Frame(PING, b""), from_client=False) == [Frame(PING, b"")]
        assert to_server.messages(proxy.send(compressed(deflated(OTHER)))) == [OTHER]
        assert to_client.messages(proxy.send(second, from_client=False)) == [MESSAGE]


@pytest.mark.parametrize("places", [(0,), (0, 0), (5,), (5, 5), (5, 9, 9)])
def test_fragments_may_be_empty(places: tuple[int, ...]) -> None:
    proxy, receiver = Proxy(DEFLATE), Receiver()
    arrived = proxy.send(*cut(deflated(MESSAGE), *places))
    last_is_empty = [*cut(deflated(OTHER)[:], len(deflated(OTHER)))]

    assert receiver.messages(arrived) == [MESSAGE]
    assert receiver.messages(Proxy(DEFLATE).send(*last_is_empty)) == [OTHER]


@pytest.mark.parametrize("agreement", AGREEMENTS)
def test_empty_messages_are_empty(agreement: str) -> None:
    proxy = Proxy(AGREEMENTS[agreement])
    forgets = agreement == "no takeover"
    deflater, receiver = Deflater(), Receiver(Inflater(forgets=forgets))
    for message in (b"", OTHER, b"", b"", OTHER):
        packed = (Deflater() if forgets else deflater)(message)
        arrived = proxy.send(Frame(BINARY, packed, is_compressed=True))
        assert receiver.messages(arrived) == [message]
    # RFC 7692 7.2.3.6
    assert receiver.messages(proxy.send(*cut(b"\0", 0))) == [b""]


def test_each_message_is_compressed_or_not_as_it_likes() -> None:
    proxy, deflater, receiver = Proxy(DEFLATE), Deflater(), Receiver()
    plain = [Frame(TEXT, OTHER[:9], is_last=False), Frame(CONTINUED, OTHER[9:])]
    for _ in range(2):
        packed = cut(deflater(MESSAGE), 5)
        arrived = proxy.send(*packed, *plain, compressed(deflater(OTHER)), Frame(TEXT, OTHER))
        assert receiver.messages(arrived) == [MESSAGE, OTHER, OTHER, OTHER]


@pytest.mark.parametrize("place", [0, 1, 20, -1])
@pytest.mark.parametrize("more", [b"", b"\0"])
def test_what_comes_after_a_last_block_is_not_lost(more: bytes, place: int) -> None:
    """RFC 7692 7.2.3.4; the byte that follows there is not sent by everyone."""
    proxy, receiver, deflater = Proxy(DEFLATE), Receiver(), Deflater()
    packed = ended(MESSAGE) + more
    both = ended(OTHER) + deflater(OTHER)

    assert receiver.messages(proxy.send(*cut(packed, place % len(packed)))) == [MESSAGE]
    assert receiver.messages(proxy.send(compressed(both))) == [OTHER * 2]
    assert receiver.messages(proxy.send(compressed(deflater(MESSAGE)))) == [MESSAGE]


def test_any_way_to_compress_will_do() -> None:
    draw = random.Random(7692)
    proxy, receiver = Proxy(DEFLATE), Receiver()
    for level in range(10):
        for strategy in (
            zlib.Z_DEFAULT_STRATEGY,
            zlib.Z_FILTERED,
            zlib.Z_FIXED,
            zlib.Z_HUFFMAN_ONLY,
            zlib.Z_RLE,
        ):
            stream = zlib.compressobj(level, wbits=-15, strategy=strategy)
            packed, message = b"", b""
            for flush in (zlib.Z_FULL_FLUSH, zlib.Z_BLOCK, zlib.Z_SYNC_FLUSH):
                piece = draw.randbytes(50) + bytes(50)
                packed += stream.compress(piece) + stream.flush(flush)
                message += piece
            # Each begins anew, which no sender has to announce.
            arrived = proxy.send(compressed(packed.removesuffix(TAIL)))
            assert receiver.messages(arrived) == [message]


@pytest.mark.parametrize("from_client", [True, False])
@pytest.mark.parametrize("bits", range(8, 16))
def test_windows_are_as_small_as_agreed(bits: int, from_client: bool) -> None:
    sender = "client" if from_client else "server"
    proxy = Proxy(f"{DEFLATE}; {sender}_max_window_bits={bits}")
    receiver = Receiver(Inflater(bits=bits))  # zlib refuses what goes back farther
    draw = random.Random(bits)
    for distance in (200, 250, 400, 2**bits - 100, 2**bits + 10, 3000):
        message = draw.randbytes(distance) * 3
        arrived = proxy.send(compressed(stored(message)), from_client=from_client)
        assert receiver.messages(arrived) == [message]


@pytest.mark.parametrize(
    "agreed",
    [
        'server_max_window_bits="10"',
        "server_max_window_bits = 10 ; client_no_context_takeover",
        "client_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=" + "9" * 5000,
        "server_max_window_bits=x",
        "something; else=1",
        ";;",
    ],
    ids=lambda agreed: agreed[:40],
)
def test_an_odd_agreement_stops_nothing(agreed: str) -> None:
    """Whether they can live with it is for the peers to say."""
    proxy = Proxy(f"{DEFLATE}; {agreed}")

    for from_client in (True, False):
        arrived = proxy.send(compressed(deflated(MESSAGE)), from_client=from_client)
        assert Receiver().messages(arrived) == [MESSAGE]


def test_a_close_between_fragments_is_a_close() -> None:
    proxy = Proxy(DEFLATE)
    close = Frame(CLOSE, (1001).to_bytes(2) + b"enough")

    arrived = proxy.send(cut(deflated(MESSAGE), 5)[0], close)

    assert arrived == [close]
    assert proxy.messages == []


FIRST, SECOND = cut(deflated(MESSAGE), 5)
WRONG = {
    "RSV1 on a continuation": ([FIRST, Frame(CONTINUED, SECOND.payload, True, True)], 1002),
    "and after a ping": (
        [FIRST, Frame(PING, b""), Frame(CONTINUED, SECOND.payload, True, True)],
        1002,
    ),
    "RSV1 on a continuation of plain text": (
        [Frame(TEXT, b"{", is_last=False), Frame(CONTINUED, b"}", True, True)],
        1002,
    ),
    "RSV1 on a ping": ([Frame(PING, b"", True, True)], 1002),
    "RSV1 on a ping between fragments": ([FIRST, Frame(PING, b"", True, True)], 1002),
    "a message in a message": ([FIRST, Frame(TEXT, b"{}")], 1002),
    "a compressed message in a message": ([FIRST, compressed(deflated(OTHER))], 1002),
    "what is not DEFLATE": ([compressed(b"\xff\xff\xff\xff")], 1007),
    "what is not DEFLATE after a ping": (
        [Frame(TEXT, b"", False, True), Frame(PING, b""), Frame(CONTINUED, b"\xff" * 4)],
        1007,
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("from_client", [True, False])
def test_what_is_wrong_ends_the_connection(name: str, from_client: bool) -> None:
    sent, code = WRONG[name]
    proxy = Proxy(DEFLATE)

    arrived = proxy.send(*sent, from_client=from_client)

    told = (arrived[-1], *proxy.arrived(at_server=not from_client))
    assert [(each.opcode, int.from_bytes(each.payload[:2])) for each in told] == [(CLOSE, code)] * 2
    assert proxy.messages == []


@pytest.mark.parametrize("piece", [0, 5000])
def test_what_inflates_to_too_much_ends_the_connection(piece: int) -> None:
    bomb = deflated(bytes(MAX_MESSAGE + 1))
    proxy = Proxy(DEFLATE)

    arrived = proxy.send(compressed(bomb), piece=piece)

    assert [(each.opcode, each.payload[:2]) for each in arrived] == [(CLOSE, (1009).to_bytes(2))]
    assert proxy.messages == []


def test_what_inflates_to_just_enough_passes() -> None:
    proxy = Proxy(DEFLATE)
    proxy.send(compressed(deflated(bytes(MAX_MESSAGE))))

    assert len(proxy.messages[0].content) == MAX_MESSAGE


def test_a_stream_that_ends_again_and_again_inflates_to_no_more() -> None:
    proxy = Proxy(DEFLATE)
    third = ended(bytes(MAX_MESSAGE // 3 + 1))

    arrived = proxy.send(compressed(third * 3))

    assert [(each.opcode, each.payload[:2]) for each in arrived] == [(CLOSE, (1009).to_bytes(2))]
