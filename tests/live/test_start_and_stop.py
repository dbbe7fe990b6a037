"""What keeps the proxy from starting is one sentence; when it stops, nothing is lost."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from messages import handshake, measurement, select_control_type
from peers import PeerServer, Sent, new_path
from proxies import Proxy, free_port, is_listening, run, running, until
from recordings import wire

from s2_mitm.s2.catalog import VERSIONS


@dataclass(frozen=True)
class Wrong:
    """An option that cannot be, and what must be said of it; FOLDER is the working directory."""

    name: str
    option: str
    value: str
    said: str

    def __str__(self) -> str:
        return self.name


WRONGS = [
    Wrong(
        "no-time-for-an-answer", "s2_ack_timeout", "0", "s2_ack_timeout is 1 second or more, not 0"
    ),
    Wrong("no-number", "s2_ack_timeout", "soon", "s2_ack_timeout: "),
    Wrong("neither-true-nor-false", "s2_block_invalid", "yes", "s2_block_invalid: boolean must be"),
    Wrong(
        "misspelt",
        "s2_keepmessages",
        "5",
        "there is no option s2_keepmessages; s2_keep_messages is one.",
    ),
    Wrong(
        "db-as-libpq-has-it",
        "s2_db",
        "host=127.0.0.1 user=me password=secret",
        "that is no database URL; ",
    ),
    Wrong(
        "db-in-no-folder",
        "s2_db",
        "FOLDER/missing/s2.sqlite3",
        "cannot record to FOLDER/missing/s2.sqlite3: there is no folder FOLDER/missing; ",
    ),
    Wrong("db-is-a-folder", "s2_db", "FOLDER", "cannot record to FOLDER: it is a folder; "),
    Wrong(
        "db-is-a-text",
        "s2_db",
        "FOLDER/letter.txt",
        "cannot record to FOLDER/letter.txt: it is not an SQLite database; ",
    ),
    Wrong(
        "db-of-another-kind",
        "s2_db",
        "mysql://user:secret@cem/s2",
        "mysql:// is neither SQLite nor PostgreSQL, ",
    ),
    Wrong(
        "db-with-an-unknown-option",
        "s2_db",
        "postgresql://user:secret@127.0.0.1:1/s2?colour=blue",
        "cannot record to postgresql://user@127.0.0.1:1/s2?colour=blue: invalid connection option",
    ),
    Wrong(
        "version",
        "s2_version",
        "9.9",
        f"s2_version is one of auto, {', '.join(VERSIONS)}, not '9.9'.",
    ),
    Wrong("client-role", "s2_client_role", "RM", "s2_client_role is one of auto, rm, cem, not"),
    Wrong("log", "s2_log", "every", "s2_log is one of all, findings, none, not 'every'."),
    Wrong("filter", "s2_filter", "~u (", "s2_filter is no flow filter: '~u ('."),
    Wrong("retain", "s2_retain", "a while", "s2_retain: 'a while' does not say what to keep: "),
    Wrong("schemas", "s2_schemas", "FOLDER", "s2_schemas: FOLDER holds no S2 schemas: expected "),
]


@pytest.mark.parametrize("wrong", WRONGS, ids=str)
def test_it_does_not_start_and_says_why(tmp_path: Path, wrong: Wrong) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear energy manager,\n" * 100)
    port = free_port()
    value = wrong.value.replace("FOLDER", str(tmp_path))
    mode = ("--mode", "reverse:http://127.0.0.1:9", "--listen-host", "127.0.0.1", "-p", str(port))
    status, output = run(tmp_path, *mode, **{wrong.option: value})

    assert status != 0
    assert not is_listening(port)
    assert "Traceback" not in output
    assert "\x1b" not in output
    (sentence,) = (line for line in output.splitlines() if "s2-mitm: " in line)
    assert f"s2-mitm: {wrong.said}".replace("FOLDER", str(tmp_path)) in sentence
    assert letter.read_text() == "Dear energy manager,\n" * 100


def test_without_a_recording_all_else_works(server: PeerServer, tmp_path: Path) -> None:
    flows = ("-w", tmp_path / "flows")
    with (
        running(tmp_path, server.port, *flows, s2_db="") as proxy,
        server.pair(proxy.url) as (rm, cem),
    ):
        for data in (handshake(), measurement("57.3")):
            rm.send(data)
            assert cem.receive() == Sent(data)
    assert "RM  PowerMeasurement INVALID" in proxy.output
    assert proxy.saved_flows()[0].marked == ":red_circle:"
    assert list(tmp_path.rglob("*.sqlite3*")) == []


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_what_was_forwarded_when_it_stops_is_recorded(
    server: PeerServer, tmp_path: Path, with_signal: signal.Signals
) -> None:
    path = new_path()
    with running(tmp_path, server.port) as proxy, server.pair(proxy.url, path) as (rm, cem):
        for number in range(500):
            rm.send(measurement(number))
            cem.send(select_control_type())
        for _ in range(500):
            cem.receive()
            rm.receive()
        proxy.stop(with_signal)
        assert cem.receive_all() == rm.sent
        assert rm.receive_all() == cem.sent

        messages = proxy.recording.messages(path)
        session = proxy.recording.session(path)

    for role, peer in (("RM", rm), ("CEM", cem)):
        recorded = [wire(row) for row in messages if row["sender"] == role]
        assert recorded == [sent.data for sent in peer.sent]
    assert session is not None
    assert session["ended_at"] >= messages[-1]["timestamp"]
    assert session["closed_by"] == "proxy"


@pytest.fixture(scope="module")
def proxy(server: PeerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running(tmp_path_factory.mktemp("proxy"), server.port) as proxy:
        yield proxy


@pytest.mark.parametrize("closing_role", ["RM", "CEM"])
def test_who_closed_it_is_recorded(server: PeerServer, proxy: Proxy, closing_role: str) -> None:
    path = new_path()
    with server.pair(proxy.url, path) as (rm, cem):
        rm.send(handshake())
        cem.receive()
        (rm if closing_role == "RM" else cem).close(4001, "Grüße")
    until(lambda: (proxy.recording.session(path) or {}).get("ended_at"), "its end is recorded")
    session = proxy.recording.session(path)
    assert session is not None
    assert session["closed_by"] == closing_role
    assert (session["close_code"], session["close_reason"]) == (4001, "Grüße")


@pytest.fixture
def with_a_terminal() -> Iterator[None]:
    """Whoever runs the tests may have done so with nohup, which the proxy would inherit."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("with_a_terminal")
def test_a_terminal_that_is_closed_ends_it_in_order(server: PeerServer, tmp_path: Path) -> None:
    with running(tmp_path, server.port) as proxy, server.pair(proxy.url) as (rm, cem):
        rm.send(handshake())
        assert cem.receive() == rm.sent[0]
        proxy.stop(signal.SIGHUP)
        [session] = proxy.recording.rows("select closed_by, ended_at from sessions")
        assert session["closed_by"] == "proxy"
        [recorder] = proxy.recording.rows("select ended_at from recorders")
        assert recorder["ended_at"] is not None


def test_the_recording_can_be_read_while_it_is_written(server: PeerServer, proxy: Proxy) -> None:
    path = new_path()
    count = "select count(*) from messages join sessions on sessions.id = session_id where path = ?"
    with server.pair(proxy.url, path) as (rm, cem):
        rm.send(handshake())
        until(lambda: len(proxy.recording.messages(path)) == 1, "the first is recorded")
        with closing(sqlite3.connect(proxy.recording.file, isolation_level=None)) as reader:
            reader.execute("begin")
            assert reader.execute(count, [path]).fetchone() == (1,)
            for number in range(200):
                rm.send(measurement(number))
                cem.receive()
            until(lambda: len(proxy.recording.messages(path)) == 201, "all are recorded")
            assert reader.execute(count, [path]).fetchone() == (1,), "a reader sees one moment"
            reader.execute("commit")
            assert reader.execute(count, [path]).fetchone() == (201,)
    assert "cannot be written" not in proxy.output


def test_a_recording_is_continued_by_the_next_proxy(server: PeerServer, tmp_path: Path) -> None:
    for number in (1, 2):
        with running(tmp_path, server.port) as proxy, server.pair(proxy.url) as (rm, cem):
            rm.send(handshake())
            assert cem.receive() == rm.sent[0]
        rows = proxy.recording.rows("select valid from messages")
        assert rows == [{"valid": 1}] * number
