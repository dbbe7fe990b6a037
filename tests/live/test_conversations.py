"""s2-python's own RM client and a CEM talk through the real mitmdump, and nothing is changed."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from messages import handshake, measurement, reception_status, select_control_type
from peers import PeerServer, Sent, new_path
from proxies import Proxy, free_port, running, until
from recordings import Row
from s2python.connection.async_.medium.s2_medium import (
    MediumClosedConnectionError,
    S2AsyncMediumConnection,
)
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from s2_mitm.demo.battery import converse, run_battery
from s2_mitm.demo.cem import CEM, serve_cem
from s2_mitm.demo.frames import Frames
from s2_mitm.demo.mistakes import MISTAKES

SECONDS = 4.0
DEMO: dict[str, Any] = {"s2_ignore": "", "s2_ack_timeout": 1}
"""Options for a conversation that lasts no longer than an answer usually may take."""

PLANTED = [mistake for mistake in MISTAKES if not mistake.valid]


@dataclass
class Conversation:
    """One conversation as each side sent and heard it, and whether it ended in order."""

    path: str = field(default_factory=new_path)
    rm: Frames = field(default_factory=Frames)
    cem: Frames = field(default_factory=Frames)
    ended: bool = False


def assert_untouched_and_recorded(
    conversation: Conversation, proxy: Proxy, *, client: str = "RM"
) -> None:
    """What one side sent the other received, and the recording has it all and rightly judged."""
    assert conversation.ended
    assert conversation.rm.sent == conversation.cem.received
    assert conversation.cem.sent == conversation.rm.received

    until(
        lambda: (proxy.recording.session(conversation.path) or {}).get("ended_at"),
        "its end is recorded",
    )
    messages = proxy.recording.messages(conversation.path)
    assert contents(messages, "RM") == conversation.rm.sent
    assert contents(messages, "CEM") == conversation.cem.sent
    assert [m["timestamp"] for m in messages] == sorted(m["timestamp"] for m in messages)
    assert_in_order(messages)

    invalid = [m for m in messages if not m["valid"]]
    assert [(m["sender"], m["message_type"]) for m in invalid] == [
        ("RM", mistake.message_type) for mistake in PLANTED
    ]
    for message, mistake in zip(invalid, PLANTED, strict=True):
        errors = [each for each in message["findings"] if each["severity"] == "error"]
        assert [finding["path"] for finding in errors] == [mistake.path]
    # The one that nobody answered: that only a rule of the conversation can see.
    assert [m["codes"] for m in messages if m["valid"] and m["findings"]] == [["ack.missing"]]

    session = proxy.recording.session(conversation.path)
    assert session is not None
    assert session["client_role"] == client
    assert session["control_type"] == "FILL_RATE_BASED_CONTROL"
    assert session["protocol_version"] == "0.0.2-beta"
    details = next(m for m in messages if m["message_type"] == "ResourceManagerDetails")
    assert session["rm_id"] == json.loads(details["content"])["resource_id"]
    assert (session["closed_by"], session["close_code"]) == ("RM", 1000)
    assert session["started_at"] <= messages[0]["timestamp"]
    assert session["ended_at"] >= messages[-1]["timestamp"]


def contents(messages: list[Row], sender: str) -> list[str]:
    return [message["content"] for message in messages if message["sender"] == sender]


def assert_in_order(messages: list[Row]) -> None:
    """No answer stands before what it answers, and every answer is known to its question."""
    asked: dict[tuple[str, str], Row] = {}
    for message in messages:
        if message["message_type"] == "ReceptionStatus":
            other = "CEM" if message["sender"] == "RM" else "RM"
            question = asked[other, message["subject_message_id"]]
            assert question["reception_status"] == json.loads(message["content"])["status"]
            assert question["reception_delay_ms"] >= 0
        else:
            asked[message["sender"], message["message_id"]] = message
    unanswered = [m["message_type"] for m in asked.values() if m["reception_status"] is None]
    assert unanswered == [mistake.message_type for mistake in MISTAKES if mistake.valid]


@pytest.mark.parametrize("patches", ["all", "none"])
def test_a_conversation(tmp_path: Path, patches: str) -> None:
    conversation = Conversation()

    async def hold(proxy: Proxy, port: int) -> None:
        async with serve_cem(port=port, seconds=SECONDS, frames=conversation.cem):
            url = proxy.url + conversation.path
            conversation.ended = await run_battery(url, seconds=SECONDS, frames=conversation.rm)

    port = free_port()
    with running(tmp_path, port, s2_log="all", s2_patches=patches, **DEMO) as proxy:
        asyncio.run(hold(proxy, port))
        assert_untouched_and_recorded(conversation, proxy)

    verdicts = Counter(
        line.rsplit(" ", 1)[1]
        for line in proxy.output.splitlines()
        if line.endswith((" valid", " INVALID"))
    )
    total = len(conversation.rm.sent) + len(conversation.cem.sent)
    assert verdicts == {"valid": total - len(PLANTED), "INVALID": len(PLANTED)}
    assert (
        f'closed: S2 FRBC · RM "Demo battery" (client) · CEM (server) · {total} messages,'
        f" {len(PLANTED)} errors, 1 warning"
    ) in proxy.output


def test_a_conversation_through_tls(tmp_path: Path) -> None:
    conversation = Conversation()
    tls = _self_signed(tmp_path)

    async def hold(proxy: Proxy, port: int) -> None:
        async with serve_cem(port=port, seconds=SECONDS, frames=conversation.cem, tls=tls):
            url = proxy.url.replace("ws:", "wss:") + conversation.path
            conversation.ended = await run_battery(
                url, seconds=SECONDS, frames=conversation.rm, verify_certificate=False
            )

    port = free_port()
    with running(tmp_path, port, scheme="https", ssl_insecure="true", **DEMO) as proxy:
        asyncio.run(hold(proxy, port))
        assert_untouched_and_recorded(conversation, proxy)


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CEM")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    pem = folder / "cem.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_ten_conversations_at_once(tmp_path: Path) -> None:
    talks = {
        conversation.path: conversation for conversation in (Conversation() for _ in range(10))
    }
    seconds = 1.5 * SECONDS

    async def be_the_cem(connection: ServerConnection) -> None:
        assert connection.request is not None
        await CEM(connection, seconds=seconds, frames=talks[connection.request.path].cem).run()

    async def hold(proxy: Proxy, port: int) -> None:
        async def one(conversation: Conversation) -> None:
            url = proxy.url + conversation.path
            conversation.ended = await run_battery(url, seconds=seconds, frames=conversation.rm)

        async with serve(be_the_cem, "127.0.0.1", port):
            await asyncio.gather(*map(one, talks.values()))

    port = free_port()
    with running(tmp_path, port, **DEMO) as proxy:
        asyncio.run(hold(proxy, port))
        for conversation in talks.values():
            assert_untouched_and_recorded(conversation, proxy)

    total = sum(
        len(conversation.rm.sent) + len(conversation.cem.sent) for conversation in talks.values()
    )
    assert proxy.recording.rows("select count(*) as n from messages") == [{"n": total}]
    assert proxy.recording.rows("select count(*) as n from sessions") == [{"n": 10}]


class ServerMedium(S2AsyncMediumConnection):
    """s2-python's RM at the server's end of a WebSocket, for which it has no medium itself."""

    def __init__(self, connection: ServerConnection, frames: Frames) -> None:
        self._connection = connection
        self._frames = frames

    async def is_connected(self) -> bool:
        return self._connection.close_code is None

    async def messages(self) -> AsyncGenerator[str | bytes, None]:
        async for message in self._connection:
            self._frames.received.append(message)
            yield message

    async def send(self, message: str) -> None:
        self._frames.sent.append(message)
        try:
            await self._connection.send(message)
        except ConnectionClosed as closed:
            raise MediumClosedConnectionError(str(closed)) from closed


@asynccontextmanager
async def _serve_rm(
    port: int, conversation: Conversation, over: asyncio.Event
) -> AsyncIterator[None]:
    async def be_the_rm(connection: ServerConnection) -> None:
        conversation.ended = await converse(
            ServerMedium(connection, conversation.rm), seconds=SECONDS
        )
        await connection.close()
        over.set()

    async with serve(be_the_rm, "127.0.0.1", port):
        yield


def test_the_cem_is_the_websocket_client(tmp_path: Path) -> None:
    conversation = Conversation()

    async def hold(proxy: Proxy, port: int) -> None:
        over = asyncio.Event()
        async with (
            _serve_rm(port, conversation, over),
            connect(proxy.url + conversation.path) as connection,
        ):
            await CEM(connection, seconds=SECONDS, frames=conversation.cem).run()
            await over.wait()

    port = free_port()
    with running(tmp_path, port, "-w", tmp_path / "flows", **DEMO) as proxy:
        asyncio.run(hold(proxy, port))
        assert_untouched_and_recorded(conversation, proxy, client="CEM")
    (flow,) = proxy.saved_flows()
    assert flow.comment.startswith('S2 FRBC · RM "Demo battery" (server) · CEM (client) · ')


@dataclass(frozen=True)
class Introduction:
    """What is said, by which end of the WebSocket, and who the client turns out to be."""

    name: str
    said: list[tuple[str, bytes]]
    client_role: str

    def __str__(self) -> str:
        return self.name


INTRODUCTIONS = [
    Introduction(
        "by-the-handshake-of-the-server",
        [("client", b"?"), ("server", handshake("RM"))],
        "CEM",
    ),
    Introduction(
        "by-a-type-that-only-an-rm-sends",
        [("client", reception_status(measurement())), ("server", measurement())],
        "CEM",
    ),
    Introduction(
        "by-a-type-that-only-a-cem-sends",
        [("client", reception_status(measurement())), ("client", select_control_type())],
        "CEM",
    ),
    Introduction(
        "the-handshake-is-stronger-than-a-type",
        [("client", measurement()), ("client", handshake("CEM")), ("client", measurement())],
        "CEM",
    ),
    Introduction("nothing-says-it", [("client", reception_status(measurement()))], "RM"),
]


def assert_roles(server: PeerServer, proxy: Proxy, introduction: Introduction) -> None:
    path = new_path()
    with server.pair(proxy.url, path) as (client, at_server):
        for speaker, data in introduction.said:
            one, other = (client, at_server) if speaker == "client" else (at_server, client)
            one.send(data)
            assert other.receive() == Sent(data)
    until(lambda: (proxy.recording.session(path) or {}).get("ended_at"), "its end is recorded")

    session = proxy.recording.session(path)
    assert session is not None
    assert session["client_role"] == introduction.client_role
    server_role = "CEM" if introduction.client_role == "RM" else "RM"
    roles = {"client": introduction.client_role, "server": server_role}
    assert [message["sender"] for message in proxy.recording.messages(path)] == [
        roles[speaker] for speaker, _ in introduction.said
    ]


@pytest.fixture(scope="module")
def proxy(server: PeerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running(tmp_path_factory.mktemp("roles"), server.port) as proxy:
        yield proxy


@pytest.mark.parametrize("introduction", INTRODUCTIONS, ids=str)
def test_who_is_who_becomes_known(
    server: PeerServer, proxy: Proxy, introduction: Introduction
) -> None:
    assert_roles(server, proxy, introduction)


def test_the_option_says_who_is_who_where_nothing_else_does(
    server: PeerServer, tmp_path: Path
) -> None:
    answer = ("client", reception_status(measurement()))
    with running(tmp_path, server.port, s2_client_role="cem") as proxy:
        assert_roles(server, proxy, Introduction("option", [answer], "CEM"))
        contradicted = [answer, ("client", handshake("RM"))]
        assert_roles(server, proxy, Introduction("handshake", contradicted, "RM"))


def test_permessage_deflate(server: PeerServer, proxy: Proxy) -> None:
    path = new_path()
    texts = [
        handshake(),
        reception_status(handshake(), label="电池 🔋" * 5000),
        measurement("57.3"),
    ]
    with server.pair(proxy.url, path, deflate=True) as (rm, cem):
        assert rm.compresses
        assert cem.compresses
        for sender, receiver in ((rm, cem), (cem, rm)):
            for data in texts:
                sender.send(data)
                assert receiver.receive() == Sent(data)
            sender.send(b"\xff\xfe\xfd")
            assert receiver.receive() == Sent(b"\xff\xfe\xfd")
            sender.send(b"\x00\x01", text=False)
            assert receiver.receive() == Sent(b"\x00\x01", is_text=False)
    until(lambda: len(proxy.recording.messages(path)) == 10, "it is recorded")
    messages = proxy.recording.messages(path)
    assert [m["valid"] for m in messages] == 2 * [1, 1, 0, 0, 0]
    assert [m["content"] for m in messages[:3]] == [text.decode() for text in texts]


def test_without_permessage_deflate(server: PeerServer, proxy: Proxy) -> None:
    with server.pair(proxy.url) as (rm, cem):
        assert not rm.compresses
        assert not cem.compresses
        rm.send(handshake())
        assert cem.receive() == rm.sent[0]
