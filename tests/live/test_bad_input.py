"""Whatever a peer sends, the other gets it byte for byte, and the finding says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from messages import handshake, measurement, reception_status, select_control_type
from peers import Peer, PeerServer, Sent, new_path
from proxies import Proxy, running, until
from recordings import wire

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Case:
    """What is sent, and the findings that are to be made of it."""

    name: str
    data: bytes
    codes: list[str]
    is_text: bool = True
    message_type: str | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def is_invalid(self) -> bool:
        """That a key stands twice is no error: RFC 8259 only says that it should not."""
        return self.codes != ["json.duplicate-key"]


def _replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


CASES = [
    Case("a-binary-frame", handshake(), ["json.binary"], False, "Handshake"),
    Case("a-binary-frame-of-no-text", bytes(range(256)), ["json.binary"], False),
    Case("an-empty-message", b"", ["json.syntax"]),
    Case("not-json", b"Hello, energy manager!", ["json.syntax"]),
    Case("json-cut-short", handshake()[:-1], ["json.syntax"]),
    Case("json-of-python", b"{'message_type': 'Handshake'}", ["json.syntax"]),
    Case("two-objects", handshake() + b"\n" + handshake(), ["json.trailing-data"]),
    Case("a-list", b"[" + handshake() + b"]", ["json.not-an-object"]),
    Case("a-text", b'"Handshake"', ["json.not-an-object"]),
    Case("null", b"null", ["json.not-an-object"]),
    Case("nan", measurement(float("nan")), ["json.nan"], True, "PowerMeasurement"),
    Case(
        "a-duplicate-key",
        _replaced(handshake(), b'"role": "RM"', b'"role": "RM", "role": "RM"'),
        ["json.duplicate-key"],
        True,
        "Handshake",
    ),
    Case("no-message-type", b'{"message_id": "1"}', ["schema.no-message-type"]),
    Case("message-type-null", b'{"message_type": null}', ["schema.message-type-not-text"]),
    Case("message-type-list", b'{"message_type": ["a"]}', ["schema.message-type-not-text"]),
    Case(
        "unknown-message-type",
        b'{"message_type": "Hello"}',
        ["schema.unknown-message-type"],
        True,
        "Hello",
    ),
    Case("a-thousand-deep", b'{"a":' * 1000 + b"1" + b"}" * 1000, ["json.too-deep"]),
    Case("a-thousand-brackets", b"[" * 1000, ["json.too-deep"]),
    Case(
        "ten-megabytes",
        b'{"message_type": "Handshake", "x": "' + b"x" * (10 * MEGABYTE) + b'"}',
        ["json.too-large"],
    ),
    Case("ten-megabytes-of-brackets", b"[" * (10 * MEGABYTE), ["json.too-large"]),
    Case(
        "latin-1",
        _replaced(handshake(), b'"RM"', b'"R\xe9"'),
        ["json.not-utf8"],
        True,
        "Handshake",
    ),
    Case("utf-16", handshake().decode().encode("utf-16"), ["json.not-utf8"]),
    Case("a-surrogate-in-utf-8", b'{"a": "\xed\xa0\x80"}', ["json.not-utf8"]),
    Case("a-byte-order-mark", b"\xef\xbb\xbf" + handshake(), ["json.bom"], True, "Handshake"),
    Case("a-raw-escape", b'{"message_type": "\x1b[2J"}', ["json.control-character"]),
    Case("a-raw-nul", b'{"message_type": "Hand\0shake"}', ["json.control-character"]),
    Case("escapes-and-no-json", b"\x1b]0;title\x07\x1b[31mred\r\n\x9b1m", ["json.not-utf8"]),
    Case(
        "an-escaped-escape",
        rb'{"message_type": "\u001b[2J\u0007\u202e"}',
        ["schema.unknown-message-type"],
        True,
        r"\u001b[2J\u0007\u202e",
    ),
    Case(
        "half-a-surrogate-pair",
        rb'{"message_type": "\ud83d"}',
        ["json.lone-surrogate"],
        True,
        r"\ud83d",
    ),
]


@pytest.fixture(scope="module")
def forwarding(server: PeerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running(tmp_path_factory.mktemp("forwarding"), server.port, s2_log="all") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def blocking(server: PeerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("blocking")
    with running(folder, server.port, s2_block_invalid="true") as proxy:
        yield proxy


def _recorded(proxy: Proxy, path: str, number: int) -> list[dict[str, object]]:
    until(lambda: len(proxy.recording.messages(path)) >= number, f"{number} messages of {path}")
    messages = proxy.recording.messages(path)
    assert len(messages) == number
    return messages


def _pass_on(sender: Peer, receiver: Peer, data: bytes, *, text: bool = True) -> None:
    sender.send(data, text=text)
    assert receiver.receive() == Sent(data, text)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_passes_byte_for_byte_and_the_finding_says_what_it_is(
    server: PeerServer, forwarding: Proxy, case: Case
) -> None:
    path = new_path()
    with server.pair(forwarding.url, path) as (rm, cem):
        _pass_on(rm, cem, handshake("RM"))
        _pass_on(rm, cem, case.data, text=case.is_text)
        _pass_on(cem, rm, case.data, text=case.is_text)
        _pass_on(cem, rm, handshake("CEM"))

        first, from_rm, from_cem, last = _recorded(forwarding, path, 4)

    assert (first["valid"], last["valid"]) == (1, 1)
    assert [row["sender"] for row in (from_rm, from_cem)] == ["RM", "CEM"]
    for row in (from_rm, from_cem):
        assert wire(row) == case.data
        assert row["size"] == len(case.data)
        assert row["codes"] == case.codes
        assert (row["valid"], row["dropped"], row["injected"]) == (not case.is_invalid, 0, 0)
        assert row["message_type"] == case.message_type
        is_text_for_sql = _is_utf8(case.data) and b"\0" not in case.data
        assert isinstance(row["content"], str if is_text_for_sql else bytes)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_the_terminal_says_it_and_stays_unharmed(server: PeerServer, forwarding: Proxy) -> None:
    evil = rb'{"message_type": "\u001b]0;evil\u0007"}'
    with server.pair(forwarding.url) as (rm, cem):
        _pass_on(rm, cem, handshake())
        _pass_on(rm, cem, evil)
        until(
            lambda: r"RM  \u001b]0;evil\u0007 INVALID" in forwarding.output, "the terminal says it"
        )

    assert "error schema.unknown-message-type /message_type: " in forwarding.output
    assert "\x1b" not in forwarding.output
    assert "\x07" not in forwarding.output


def test_broken_messages_before_the_first_good_one_are_recorded_too(
    server: PeerServer, forwarding: Proxy
) -> None:
    path = new_path()
    broken = [b"hello", b"\xff\xfe", b"[]", b'{"message_type": "S2"}', b'{"message_type": "Hand']
    with server.pair(forwarding.url, path) as (rm, cem):
        _pass_on(rm, cem, broken[0])
        _pass_on(cem, rm, broken[1])
        _pass_on(rm, cem, broken[2], text=False)
        _pass_on(cem, rm, broken[3])
        _pass_on(rm, cem, broken[4])
        assert forwarding.recording.session(path) is None
        _pass_on(cem, rm, handshake("CEM"))

        rows = _recorded(forwarding, path, 6)

    assert [wire(row) for row in rows[:5]] == broken
    assert [row["sender"] for row in rows] == ["RM", "CEM", "RM", "CEM", "RM", "CEM"]
    assert [row["codes"] for row in rows] == [
        ["json.syntax"],
        ["json.not-utf8"],
        ["json.binary", "json.not-an-object"],
        ["schema.unknown-message-type"],
        ["json.syntax"],
        [],
    ]


@pytest.mark.parametrize("case", [each for each in CASES if each.is_invalid], ids=str)
def test_what_is_invalid_is_not_forwarded_when_it_is_to_be_blocked(
    server: PeerServer, blocking: Proxy, case: Case
) -> None:
    path = new_path()
    with server.pair(blocking.url, path) as (rm, cem):
        _pass_on(rm, cem, handshake("RM"))
        rm.send(case.data, text=case.is_text)
        _pass_on(rm, cem, measurement())
        cem.send(case.data, text=case.is_text)
        _pass_on(cem, rm, select_control_type())

        rows = _recorded(blocking, path, 5)

    assert [row["dropped"] for row in rows] == [0, 1, 0, 1, 0]
    assert [wire(row) for row in rows[1::2]] == [case.data, case.data]
    assert [row["codes"] for row in rows[1::2]] == [case.codes, case.codes]
    assert rm.receive_all() == cem.sent[1:]
    assert cem.receive_all() == [rm.sent[0], rm.sent[2]]


def test_the_terminal_says_that_it_was_not_forwarded(server: PeerServer, blocking: Proxy) -> None:
    with server.pair(blocking.url) as (rm, cem):
        _pass_on(rm, cem, handshake("RM"))
        rm.send(b'{"message_type": "ThisIsNone"}')
        until(
            lambda: "RM  ThisIsNone INVALID NOT FORWARDED\n" in blocking.output,
            "the terminal says that it was not forwarded",
        )


def test_what_came_before_it_was_known_to_be_s2_is_not_said_to_be_blocked(
    server: PeerServer, blocking: Proxy
) -> None:
    path = new_path()
    with server.pair(blocking.url, path) as (rm, cem):
        _pass_on(rm, cem, b"hello")
        _pass_on(rm, cem, handshake())
        rows = _recorded(blocking, path, 2)
    assert [(row["valid"], row["dropped"]) for row in rows] == [(0, 0), (1, 0)]


def test_fragments_are_one_message(server: PeerServer, forwarding: Proxy) -> None:
    path = new_path()
    whole = reception_status(handshake(), label="Grüße – 电池 🔋 " * 500)
    pieces = [whole[start : start + 997] for start in range(0, len(whole), 997)]
    assert not all(map(_is_utf8, pieces)), "no character is cut in two"
    with server.pair(forwarding.url, path) as (rm, cem):
        _pass_on(rm, cem, handshake())
        for sender, receiver in ((rm, cem), (cem, rm)):
            sender.send(pieces)
            arrived = receiver.receive()
            assert arrived == Sent(whole)
            assert arrived.fragments > 1
            sender.send([b"\xff", b"", b"\xfe"])
            assert receiver.receive() == Sent(b"\xff\xfe")
            sender.send([b"{", b"}"], text=False)
            assert receiver.receive() == Sent(b"{}", is_text=False)

        rows = _recorded(forwarding, path, 7)

    assert [wire(row) for row in rows[1:]] == 2 * [whole, b"\xff\xfe", b"{}"]
    assert [row["codes"] for row in rows[1:]] == 2 * [
        [],
        ["json.not-utf8"],
        ["json.binary", "schema.no-message-type"],
    ]
    assert json.loads(wire(rows[1]))["status"] == "OK"
