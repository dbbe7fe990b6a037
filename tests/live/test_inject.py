"""``s2.inject`` through mitmweb's REST interface: the right side gets exactly what was given."""

from __future__ import annotations

import json
import os
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from messages import handshake, measurement, message, reception_status, select_control_type
from peers import Peer, PeerServer, Sent, new_path
from proxies import HAS_LOGIN, Proxy, Web, running_mitmweb, until
from recordings import Row, wire


@dataclass(frozen=True)
class Live:
    """An open S2 WebSocket in mitmweb."""

    proxy: Proxy
    web: Web
    path: str
    rm: Peer
    cem: Peer

    @property
    def flow(self) -> str:
        """The flow as commands name it."""
        return f"@{self.web.flow(self.path)['id']}"

    def inject(self, to: str, data: str, *more: str) -> str:
        """Inject what must be accepted; returns what is said of it."""
        result = self.web.call("s2.inject", self.flow, to, data, *more)
        assert "error" not in result, result
        assert isinstance(result["value"], str)
        return result["value"]

    def refused(self, to: str, data: str, *more: str) -> str:
        """Inject what must be refused; returns why."""
        result = self.web.call("s2.inject", self.flow, to, data, *more)
        assert "value" not in result, result
        return _sentence(result["error"])

    def recorded(self, number: int) -> list[Row]:
        messages = self.proxy.recording.messages
        until(lambda: len(messages(self.path)) >= number, f"{number} messages are recorded")
        assert len(messages(self.path)) == number
        return messages(self.path)


def _sentence(text: object) -> str:
    assert isinstance(text, str)
    assert "\n" not in text
    assert text.endswith((".", ")"))
    return text


@pytest.fixture(scope="module")
def mitmweb(
    server: PeerServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, Web]]:
    folder = tmp_path_factory.mktemp("mitmweb")
    with running_mitmweb(folder, server.port) as running:
        yield running


@contextmanager
def _live(server: PeerServer, mitmweb: tuple[Proxy, Web]) -> Iterator[Live]:
    proxy, web = mitmweb
    path = new_path()
    with server.pair(proxy.url, path) as (rm, cem):
        rm.send(handshake("RM"))
        cem.receive()
        cem.send(handshake("CEM"))
        rm.receive()
        yield Live(proxy, web, path, rm, cem)


@pytest.fixture
def live(server: PeerServer, mitmweb: tuple[Proxy, Web]) -> Iterator[Live]:
    with _live(server, mitmweb) as live:
        yield live


def _and_still(live: Live) -> None:
    """What the peers say themselves goes on to arrive, and nothing came before it."""
    for sender, receiver in ((live.rm, live.cem), (live.cem, live.rm)):
        data = reception_status(message("Handshake"))
        sender.send(data)
        assert receiver.receive() == Sent(data)


@pytest.mark.parametrize(
    ("to", "data", "sender"),
    [
        ("rm", select_control_type(), "CEM"),
        ("RM", message("FRBC.StorageStatus", present_fill_level=5), "CEM"),
        ("cem", measurement(), "RM"),
        (
            "cem",
            b'  {"subject_message_id":\t"a-1","status":"OK","message_type":"ReceptionStatus"} ',
            "RM",
        ),
    ],
)
def test_it_reaches_the_side_it_is_for(live: Live, to: str, data: bytes, sender: str) -> None:
    said = live.inject(to, data.decode())
    receiver = live.rm if to.lower() == "rm" else live.cem
    assert receiver.receive() == Sent(data)
    assert json.loads(data)["message_type"] in said
    assert said.endswith(f" to the {to.upper()}.")
    _and_still(live)

    rows = live.recorded(5)
    assert wire(rows[2]) == data
    assert (rows[2]["sender"], rows[2]["injected"], rows[2]["valid"]) == (sender, 1, 1)
    assert [row["injected"] for row in rows] == [0, 0, 1, 0, 0]
    assert live.web.shown(live.path)[2].splitlines()[0] == (
        f"# {sender} {json.loads(data)['message_type']}: valid · injected"
    )
    assert "injected" not in live.web.shown(live.path)[1]


def test_a_missing_message_id_is_filled_in(live: Live) -> None:
    given = '{ "message_type": "SelectControlType",   "control_type": "NO_SELECTION" }'
    said = live.inject("rm", given)
    arrived = live.rm.receive().data.decode()
    message_id = json.loads(arrived)["message_id"]
    assert str(uuid.UUID(message_id)) == message_id
    assert arrived == '{"message_id": "' + message_id + '", ' + given[1:]
    assert message_id in said
    row = live.recorded(3)[2]
    assert (row["message_id"], row["valid"]) == (message_id, 1)


@pytest.mark.parametrize("to", ["rm", "cem"])
def test_a_long_message_arrives_in_one_piece(live: Live, to: str) -> None:
    data = reception_status(handshake(), label="é电🔋ß" * 2000)
    assert len(data) > 20_000
    live.inject(to, data.decode())
    arrived = (live.rm if to == "rm" else live.cem).receive()
    assert arrived == Sent(data)
    assert arrived.fragments == 1
    assert wire(live.recorded(3)[2]) == data


@pytest.mark.parametrize(
    "data",
    [
        rb'{"message_type": "FRBC.\u0053torageStatus", "label": "\"\\d+\" \n \x41 C:\\new"}',
        b"\\",
    ],
)
def test_what_is_wanted_is_sent_exactly_as_it_was_given(live: Live, data: bytes) -> None:
    """mitmproxy would decode the escapes, which are JSON's to decode."""
    live.inject("rm", data.decode(), "false")
    assert live.rm.receive() == Sent(data)


needs_login = pytest.mark.skipif(not HAS_LOGIN, reason="without a login no file is sent")


@pytest.mark.skipif(HAS_LOGIN, reason="this mitmweb has a login")
def test_without_a_login_no_file_is_sent(live: Live, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(select_control_type())
    for more in ((), ("false",)):
        why = live.refused("rm", f"@{tmp_path}/m.json", *more)
        assert "this mitmweb has no login" in why
    _and_still(live)


@needs_login
def test_a_fifo_does_not_hold_the_traffic(live: Live, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "it is no regular file" in live.refused("rm", f"@{tmp_path}/fifo")
    _and_still(live)


@needs_login
def test_a_file_is_sent(live: Live, tmp_path: Path) -> None:
    file = tmp_path / "Grüße an den RM.json"
    data = json.dumps(json.loads(select_control_type()), indent=4).encode()
    file.write_bytes(data + b"\n")
    live.inject("rm", f"@{file}")
    assert live.rm.receive() == Sent(data)


@needs_login
def test_a_file_of_no_utf_8_is_sent_as_it_is(live: Live, tmp_path: Path) -> None:
    file = tmp_path / "latin-1"
    file.write_bytes(b'{"message_type": "Gr\xfc\xdfe"}')
    assert "json.not-utf8" in live.refused("rm", f"@{file}")
    live.inject("rm", f"@{file}", "false")
    assert live.rm.receive() == Sent(b'{"message_type": "Gr\xfc\xdfe"}')
    assert live.recorded(3)[2]["codes"] == ["json.not-utf8"]


@pytest.mark.parametrize(
    ("data", "findings"),
    [
        (measurement("57.3"), ["/values/0/value", '"57.3", expected a number', "schema.type"]),
        (measurement(unit="W"), ["/values/0/unit", "schema.unknown-field"]),
        (b'{"message_type": "Hello"}', ["schema.unknown-message-type"]),
        (b'{"message_type": "Handshake"', ["json.syntax"]),
        (b"hello", ["json.syntax"]),
        ("Grüße, 电池 🔋 ".encode() * 2000, ["json.syntax"]),
    ],
)
def test_an_invalid_message_is_refused_unless_it_is_wanted(
    live: Live, data: bytes, findings: list[str]
) -> None:
    why = live.refused("cem", data.decode())
    for words in findings:
        assert words in why
    _and_still(live)

    live.inject("cem", data.decode(), "false")
    arrived = live.cem.receive()
    assert arrived == Sent(data)
    assert arrived.fragments == 1
    row = live.recorded(5)[4]
    assert wire(row) == data
    assert (row["sender"], row["injected"], row["valid"], row["dropped"]) == ("RM", 1, 0, 0)
    assert all(code in why for code in row["codes"])


@pytest.mark.parametrize("patches", ["all", "none"])
def test_what_is_wanted_is_not_blocked(server: PeerServer, tmp_path: Path, patches: str) -> None:
    options = {"s2_block_invalid": "true", "s2_patches": patches}
    with (
        running_mitmweb(tmp_path, server.port, **options) as mitmweb,
        _live(server, mitmweb) as live,
    ):
        live.inject("cem", "hello", "false")
        assert live.cem.receive() == Sent(b"hello")
        live.rm.send(b"hello")
        _and_still(live)
        rows = live.recorded(6)
    assert [(row["injected"], row["dropped"]) for row in rows] == [
        (0, 0),
        (0, 0),
        (1, 0),
        (0, 1),
        (0, 0),
        (0, 0),
    ]


def test_what_cannot_be_is_one_sentence(live: Live, tmp_path: Path) -> None:
    good = select_control_type().decode()
    assert "'both'" in live.refused("both", good)
    if HAS_LOGIN:
        assert str(tmp_path / "missing") in live.refused("rm", f"@{tmp_path / 'missing'}")
        assert str(tmp_path) in live.refused("rm", f"@{tmp_path}")
    _and_still(live)


def test_there_must_be_a_live_s2_websocket(server: PeerServer, mitmweb: tuple[Proxy, Web]) -> None:
    proxy, web = mitmweb

    def why(path: str) -> str:
        arguments = (f"@{web.flow(path)['id']}", "rm", select_control_type().decode())
        return _sentence(web.call("s2.inject", *arguments)["error"])

    with _live(server, mitmweb) as closed:
        pass
    closed.cem.wait_closed()
    until(lambda: web.flow(closed.path)["websocket"]["timestamp_end"], "mitmweb knows it is closed")
    assert "closed" in why(closed.path)

    chat = new_path()
    with server.pair(proxy.url, chat) as (client, at_server):
        client.send(b"hello")
        at_server.receive()
        assert "S2" in why(chat)

    plain = new_path()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{proxy.port}{plain}") as answer:
        assert answer.status == 200
    assert "not a WebSocket" in why(plain)
