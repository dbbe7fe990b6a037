"""``s2-mitm record``, the real command: all that mitmdump would do, and what it leaves out."""

from __future__ import annotations

import datetime
import ipaddress
import re
import signal
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from messages import handshake, measurement, reception_status, resource_manager_details
from mitmproxy.http import HTTPFlow
from peers import PeerServer, Sent, new_path
from proxies import (
    PATIENCE,
    Proxy,
    free_port,
    record_command,
    running,
    running_record,
    until,
)
from recordings import wire
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve


def run(folder: Path, *arguments: str | Path, **options: Any) -> tuple[int, str]:
    """A record that ends by itself: its exit status and its output."""
    done = subprocess.run(
        record_command(folder, "ws://127.0.0.1:9", *arguments, **options),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.decode()


DETAILS = resource_manager_details("Bäckerei")
SAID: list[tuple[str, bytes, bool]] = [
    ("RM", handshake(), True),
    ("CEM", b"not JSON", True),
    ("RM", DETAILS, True),
    ("CEM", reception_status(DETAILS), True),
    ("RM", measurement("57.3"), True),
    ("RM", measurement(1), False),
    ("CEM", measurement(2), True),
]
"""Who says what, in a text frame or not: some of it right, some of it wrong."""


def talk(server: PeerServer, proxy: Proxy, path: str) -> None:
    with server.pair(proxy.url, path, deflate=True) as (rm, cem):
        assert rm.compresses
        assert cem.compresses
        ends = {"RM": (rm, cem), "CEM": (cem, rm)}
        for sender, data, is_text in SAID:
            source, target = ends[sender]
            source.send(data, text=is_text)
            assert target.receive() == Sent(data, is_text)
        cem.close(4001, "Grüße")
    until(lambda: " closed: S2 " in proxy.output, "its end is shown")


def recorded(proxy: Proxy, path: str) -> object:
    """A session as it stands in the recording, without what differs each time."""
    session = proxy.recording.session(path)
    assert session is not None
    assert session["ended_at"]
    own = {"id", "started_at", "ended_at", "client_address", "server_address"}
    own |= {"proxy", "recorder", "timestamp", "session_id", "message", "reception_delay_ms"}

    def common(row: dict[str, Any]) -> dict[str, Any]:
        return {
            name: list(map(common, value)) if name == "findings" else value
            for name, value in row.items()
            if name not in own
        }

    return common(session), list(map(common, proxy.recording.messages(path)))


def shown(proxy: Proxy) -> list[str]:
    """What the terminal showed of the conversation, without what differs each time."""
    _, _, rest = proxy.output.partition(" S2 WebSocket ")
    lines = [line for line in rest.splitlines()[1:] if not re.match(r"\[\d\d:", line)]
    return [re.sub(r"\d\d:\d\d:\d\d(\.\d+)?|\[[0-9a-f]{4}\]", "", line) for line in lines]


def essence(flows: list[HTTPFlow]) -> object:
    (flow,) = flows
    assert flow.websocket is not None
    said = [(each.from_client, each.content, each.is_text) for each in flow.websocket.messages]
    return said, flow.marked, flow.comment, len(flow.metadata["s2_findings"])


@pytest.mark.parametrize("patches", ["all", "none"])
def test_it_records_and_shows_what_mitmdump_does(
    server: PeerServer, tmp_path: Path, patches: str
) -> None:
    seen: list[Any] = []
    path = new_path()
    options: dict[str, Any] = {
        "s2_log": "all",
        "s2_ignore": "handshake.*, measurement.old",
        "s2_patches": patches,
    }
    for start in (partial(running, flow_detail=0), running_record):
        folder = tmp_path / str(len(seen))
        folder.mkdir()
        with start(folder, server.port, "-w", folder / "flows", **options) as proxy:
            talk(server, proxy, path)
        seen.append((recorded(proxy, path), shown(proxy), essence(proxy.saved_flows())))
    dumped, written = seen
    assert written == dumped
    assert len(written[1]) > len(SAID)
    assert wire(proxy.recording.messages(path)[2]) == DETAILS


def test_plain_http_passes(server: PeerServer, tmp_path: Path) -> None:
    with running_record(tmp_path, server.port) as proxy:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{proxy.port}/plain", timeout=PATIENCE) as answer:
            assert answer.headers["X-Plain"] == "yes"
            assert answer.read() == b'{"message_type": "Handshake"}'


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_what_was_forwarded_when_record_stops_is_recorded(
    server: PeerServer, tmp_path: Path, with_signal: signal.Signals
) -> None:
    path = new_path()
    with running_record(tmp_path, server.port) as proxy, server.pair(proxy.url, path) as (rm, cem):
        for number in range(300):
            rm.send(measurement(number))
        for _ in range(300):
            cem.receive()
        proxy.stop(with_signal)
        assert [wire(row) for row in proxy.recording.messages(path)] == [
            sent.data for sent in rm.sent
        ]
        session = proxy.recording.session(path)
        assert session is not None
        assert session["closed_by"] == "proxy"


# TLS


class Secrets:
    """A self-signed certificate for 127.0.0.1, and its key, in one file."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.file = folder / "cem.pem"
        self.file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )

    def for_server(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.file)
        return context

    def for_client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.file)


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path)


@pytest.fixture
def echo(secrets: Secrets) -> Iterator[int]:
    """The port of a server that speaks TLS and says everything back."""

    def talk(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(talk, "127.0.0.1", 0, ssl=secrets.for_server()) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield int(server.socket.getsockname()[1])
        server.shutdown()
        thread.join(PATIENCE)


def test_tls_on_both_sides(echo: int, secrets: Secrets, tmp_path: Path) -> None:
    arguments = ("-k", "--certs", f"*={secrets.file}")
    with running_record(tmp_path, echo, *arguments, scheme="wss") as proxy:
        url = f"wss://127.0.0.1:{proxy.port}/tls"
        with connect(url, ssl=secrets.for_client(), proxy=None) as rm:
            rm.send(handshake().decode())
            assert b"Handshake" in rm.recv(PATIENCE, decode=False)
        until(lambda: " closed: S2 " in proxy.output, "its end is shown")
    assert len(proxy.recording.messages("/tls")) == 2


def test_a_certificate_that_nobody_vouches_for_is_refused(echo: int, tmp_path: Path) -> None:
    with running_record(tmp_path, echo, scheme="wss") as proxy:
        with pytest.raises(InvalidHandshake), connect(proxy.url, proxy=None):
            pass
        assert "ertificate verify failed" in proxy.output
    assert proxy.recording.rows("select * from sessions") == []


# Options


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "anticache"), "Unknown option(s): anticache"),
        (("--set", "map_remote=|a|b"), "Unknown option(s): map_remote"),
        (("--set", "mode=regular"), "Unknown option(s): mode"),
        (("--set", "showhost", "--set", "s3_db=x"), "Unknown option(s): s3_db, showhost"),
        (("--stickycookie", "."), "unrecognized arguments: --stickycookie ."),
        (("--set", "s2_version=9"), "s2_version is one of auto, "),
        (("-s", "missing.py"), "No such script: missing.py"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_meaning_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    port = free_port()
    status, output = run(tmp_path, "-p", str(port), *arguments)
    assert status == 1
    assert said in output
    assert "listening" not in output
    assert "Traceback" not in output


def test_the_configuration_file_of_the_other_programs_does_no_harm(
    server: PeerServer, tmp_path: Path
) -> None:
    (tmp_path / "confdir").mkdir()
    (tmp_path / "confdir" / "config.yaml").write_text(
        "web_port: 9\nanticache: true\nshowhost: true\nmode: [regular]\ns2_log: all\n"
    )
    with running_record(tmp_path, server.port) as proxy, server.pair(proxy.url) as (rm, cem):
        rm.send(handshake())
        assert cem.receive() == rm.sent[0]
        until(lambda: "RM  Handshake" in proxy.output, "s2_log=all is in force")


def test_scripts_of_the_user_run_with_options_of_their_own(
    server: PeerServer, tmp_path: Path
) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "from mitmproxy import ctx\n"
        "def load(loader):\n"
        "    loader.add_option('mine', str, '', '')\n"
        "async def websocket_message(flow):\n"
        "    message = flow.websocket.messages[-1]\n"
        "    if ctx.options.mine in message.text:\n"
        "        message.drop()\n"
    )
    with (
        running_record(tmp_path, server.port, "-s", script, mine="Details") as proxy,
        server.pair(proxy.url) as (rm, cem),
    ):
        for data in (handshake(), DETAILS, measurement()):
            rm.send(data)
        assert [cem.receive(), cem.receive()] == [rm.sent[0], rm.sent[2]]


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output = run(tmp_path, "-p", str(port))
    assert status == 1
    assert "Traceback" not in output
    (sentence,) = [line for line in output.splitlines() if str(port) in line]
    assert "ddress already in use" in sentence


def test_it_prints_its_options(tmp_path: Path) -> None:
    status, output = run(tmp_path, "--options")
    assert status == 0
    for option in ("s2_metrics:", "ssl_insecure:", "save_stream_file:", "block_global:"):
        assert f"\n{option}" in output
    assert "\nanticache:" not in output


# Messages that pass in one go


def test_what_is_said_in_one_breath_arrives_whole_and_in_order(
    server: PeerServer, tmp_path: Path
) -> None:
    path = new_path()
    with running_record(tmp_path, server.port) as proxy:
        with server.pair(proxy.url, path) as (rm, cem):
            for number in range(400):
                rm.send(measurement(number) if number % 50 else measurement("x" * 70_000))
                cem.send(measurement(-number))
        assert cem.receive_all() == rm.sent
        assert rm.receive_all()[: len(rm.received)] == cem.sent[: len(rm.received)]
    recorded = [wire(row) for row in proxy.recording.messages(path) if row["sender"] == "RM"]
    assert recorded == [sent.data for sent in rm.sent]


def test_a_script_may_hold_a_message_back(server: PeerServer, tmp_path: Path) -> None:
    script = tmp_path / "hold.py"
    script.write_text(
        "import asyncio\n"
        "def websocket_message(flow):\n"
        "    if b'Details' in flow.websocket.messages[-1].content:\n"
        "        flow.intercept()\n"
        "        asyncio.get_running_loop().call_later(0.2, flow.resume)\n"
    )
    with (
        running_record(tmp_path, server.port, "-s", script) as proxy,
        server.pair(proxy.url) as (rm, cem),
    ):
        for data in (handshake(), DETAILS, measurement(), DETAILS, measurement()):
            rm.send(data)
        assert [cem.receive() for _ in range(5)] == rm.sent


def test_a_script_may_give_itself_a_deadline(server: PeerServer, tmp_path: Path) -> None:
    script = tmp_path / "deadline.py"
    script.write_text(
        "import asyncio\n"
        "async def websocket_message(flow):\n"
        "    try:\n"
        "        async with asyncio.timeout(0.05):\n"
        "            await asyncio.sleep(60)\n"
        "    except TimeoutError:\n"
        "        pass\n"
    )
    with (
        running_record(tmp_path, server.port, "-s", script) as proxy,
        server.pair(proxy.url) as (rm, cem),
    ):
        for data in (handshake(), DETAILS, measurement()):
            rm.send(data)
            assert cem.receive() == Sent(data)
