"""Whatever the database does when a proxy starts, or when ``s2_db`` changes, the traffic goes on.

What is promised in the README as "the traffic goes on, and the proxy says so once" holds from the
first moment on.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from disks import mounted
from peers import Peer, PeerServer, new_path
from postgres_server import ForeignServer, PostgresServer, connected
from proxies import BY_THEMSELVES, Proxy, Web, running, running_mitmweb, running_record, until
from recordings import Recording
from sqlalchemy import make_url
from test_outages_live import (
    FAILS,
    IS_OVER,
    assert_holds_all,
    assert_says,
    conversation,
    full,
    hear_more,
    locked,
    said,
    stopped,
)

from s2_mitm.history.queries import History
from s2_mitm.history.recorder import Recorder

pytest_plugins = ["postgres_server"]

PATIENCE = 60.0
"""Seconds: what somebody has to put right is tried again every ten."""


def said_in(target: str, role: str) -> list[bytes]:
    """What was said in the only session of a recording."""
    with closing(History(target)) as history:
        [session] = history.sessions()
        rows = list(history.messages(session=session["id"]))
    assert session["lost"] == 0
    return [row["content"].encode() for row in rows if row["sender"] == role]


def assert_all_in(target: str, rm: Peer, cem: Peer) -> None:
    assert said_in(target, "RM") == [sent.data for sent in rm.sent]
    assert said_in(target, "CEM") == [sent.data for sent in cem.sent]


def assert_fails(proxy: Proxy, *peers: Peer) -> None:
    """It says that it cannot write, and the peers hear one another."""
    until(lambda: FAILS in proxy.output, "it says that the recording cannot be written")
    hear_more(*peers)


def assert_recovers(proxy: Proxy) -> None:
    until(lambda: IS_OVER in proxy.output, "it says that the recording is written", PATIENCE)


@contextmanager
def mute() -> Iterator[int]:
    """A server that takes connections and never says a word; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


# Starting


def test_a_server_that_is_away_at_the_start(
    server: PeerServer,
    tmp_path: Path,
    postgres: PostgresServer | ForeignServer,
    postgres_url: str,
) -> None:
    with ExitStack() as stack:
        with stopped(postgres):
            options = {"s2_db": postgres_url, "s2_ignore": BY_THEMSELVES}
            proxy = stack.enter_context(running_record(tmp_path, server.port, **options))
            rm, cem = stack.enter_context(conversation(server, proxy, new_path()))
            assert_fails(proxy, rm, cem)
        assert_recovers(proxy)
        hear_more(rm, cem)
    began, over = said(proxy)
    assert f"{FAILS}no server answers at 127.0.0.1, port " in began
    assert over.endswith(f"{IS_OVER}nothing was lost.")
    assert str(make_url(postgres_url).password) not in proxy.output
    assert_all_in(postgres_url, rm, cem)


def test_a_database_that_is_not_there_at_the_start(
    server: PeerServer,
    tmp_path: Path,
    postgres: PostgresServer | ForeignServer,
    postgres_url: str,
) -> None:
    name = make_url(postgres_url).database
    later = postgres_url.replace(f"/{name}", f"/{name}_later")
    with (
        running_record(tmp_path, server.port, s2_db=later, s2_ignore=BY_THEMSELVES) as proxy,
        conversation(server, proxy, new_path()) as (rm, cem),
    ):
        assert_fails(proxy, rm, cem)
        with connected(postgres.url) as connection:
            connection.execute(f"create database {name}_later")
        assert_recovers(proxy)
    began, _ = said(proxy)
    assert f"{FAILS}there is no database {name}_later on the server, createdb " in began
    assert_all_in(later, rm, cem)
    with connected(postgres.url) as connection:
        connection.execute(f"drop database {name}_later with (force)")


def test_a_file_that_is_locked_at_the_start(server: PeerServer, tmp_path: Path) -> None:
    path, file = new_path(), tmp_path / "s2.sqlite3"
    Recorder(str(file), print).close()
    with ExitStack() as stack:
        with locked(file):
            proxy = stack.enter_context(running(tmp_path, server.port))
            rm, cem = stack.enter_context(conversation(server, proxy, path))
            assert_fails(proxy, rm, cem)
        assert_recovers(proxy)
    assert_says(proxy, "another program has locked it")
    assert_holds_all(proxy.recording, path, rm, cem)


def test_a_disk_that_is_full_at_the_start(server: PeerServer, tmp_path: Path) -> None:
    path = new_path()
    with (
        mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=8m", "none") as disk,
        ExitStack() as stack,
    ):
        file = disk / "s2.sqlite3"
        options = {"s2_db": str(file), "s2_ignore": BY_THEMSELVES}
        with full(disk):
            proxy = stack.enter_context(running_record(tmp_path, server.port, **options))
            rm, cem = stack.enter_context(conversation(server, proxy, path))
            assert_fails(proxy, rm, cem)
        assert_recovers(proxy)
        stack.close()
        assert_says(proxy, "database or disk is full")
        assert_holds_all(Recording(file), path, rm, cem)


def test_a_recording_of_a_newer_s2_mitm_is_left_alone_until_it_is_taken_away(
    server: PeerServer, tmp_path: Path
) -> None:
    path, file = new_path(), tmp_path / "s2.sqlite3"
    Recorder(str(file), print).close()
    with closing(sqlite3.connect(file)) as database:
        database.execute("update s2_mitm_version set version_num = '0999'")
        database.commit()
    before = file.read_bytes()
    with (
        running(tmp_path, server.port) as proxy,
        conversation(server, proxy, path) as (rm, cem),
    ):
        assert_fails(proxy, rm, cem)
        assert file.read_bytes() == before
        file.rename(tmp_path / "newer.sqlite3")
        assert_recovers(proxy)
    assert (tmp_path / "newer.sqlite3").read_bytes() == before
    assert_says(proxy, "a newer s2-mitm wrote it (revision 0999), update this one")
    assert_holds_all(proxy.recording, path, rm, cem)


# Changing


@contextmanager
def web_conversation(
    server: PeerServer, folder: Path, path: str
) -> Iterator[tuple[Proxy, Web, Peer, Peer]]:
    with (
        running_mitmweb(folder, server.port) as (proxy, web),
        conversation(server, proxy, path) as (rm, cem),
    ):
        until(lambda: proxy.recording.said(path, "RM"), "the first messages are recorded")
        yield proxy, web, rm, cem


def record_to(web: Web, target: object) -> str | None:
    """Change the option; what mitmproxy has against it."""
    return web.call("set", "s2_db", str(target)).get("error")


def test_changing_to_a_server_that_is_mute_holds_nothing(
    server: PeerServer, tmp_path: Path
) -> None:
    path = new_path()
    with mute() as port, web_conversation(server, tmp_path, path) as (proxy, web, rm, cem):
        assert record_to(web, f"postgresql://me:secret@127.0.0.1:{port}/s2") is None
        hear_more(rm, cem)
        assert FAILS not in proxy.output, "it has not even given up yet"
        assert_fails(proxy, rm, cem)
        assert record_to(web, tmp_path / "other.sqlite3") is None
        hear_more(rm, cem)
    assert "secret" not in proxy.output
    # Each recording has its part, and the last one goes on to the end.
    left = proxy.recording.session(path)
    assert left is not None
    assert left["close_reason"] == "recorded elsewhere from here on"
    session = Recording(tmp_path / "other.sqlite3").session(path)
    assert session is not None
    assert session["closed_by"] == "RM"
    for role, peer in (("RM", rm), ("CEM", cem)):
        sent = [each.data for each in peer.sent]
        first = proxy.recording.said(path, role)
        last = Recording(tmp_path / "other.sqlite3").said(path, role)
        assert len(first) < len(sent), "it went on elsewhere"
        assert first == sent[: len(first)]
        assert last == sent[-len(last) :]


def test_changing_away_from_a_file_that_is_locked_holds_nothing(
    server: PeerServer, tmp_path: Path
) -> None:
    path, other = new_path(), tmp_path / "other.sqlite3"
    with web_conversation(server, tmp_path, path) as (proxy, web, rm, cem):
        with locked(proxy.recording.file):
            assert_fails(proxy, rm, cem)
            assert record_to(web, other) is None
            hear_more(rm, cem)
            assert "written to the end" not in proxy.output, "it still tries"
            until(lambda: "could not be written to the end" in proxy.output, "it gives up")
        hear_more(rm, cem)
    last = Recording(other).said(path, "RM")
    assert last == [sent.data for sent in rm.sent][-len(last) :]


def test_a_change_to_what_cannot_be_is_refused_and_the_recording_goes_on(
    server: PeerServer, tmp_path: Path
) -> None:
    path = new_path()
    (tmp_path / "letter.txt").write_text("Dear energy manager,\n" * 100)
    with web_conversation(server, tmp_path, path) as (proxy, web, rm, cem):
        for wrong, reason in (
            (tmp_path / "missing" / "s2.sqlite3", "there is no folder"),
            (tmp_path / "letter.txt", "it is not an SQLite database"),
            (tmp_path, "it is a folder"),
            ("mysql://me:secret@lab/s2", "neither SQLite nor PostgreSQL"),
        ):
            assert reason in str(record_to(web, wrong))
            hear_more(rm, cem)
    assert_holds_all(proxy.recording, path, rm, cem)
    [recorder] = proxy.recording.rows("select * from recorders")
    assert recorder["ended_at"] is not None, "it was one, from the start to the end"
    assert said(proxy) == []


def test_one_that_ends_and_one_that_begins_write_the_same_file_in_order(
    server: PeerServer, tmp_path: Path
) -> None:
    path, other = new_path(), tmp_path / "other.sqlite3"
    with web_conversation(server, tmp_path, path) as (proxy, web, rm, cem):
        file = proxy.recording.file
        with locked(file):
            hear_more(rm, cem)
            assert record_to(web, other) is None
            assert record_to(web, file) is None
            hear_more(rm, cem)
        hear_more(rm, cem)
    session = proxy.recording.session(path)
    assert session is not None
    assert session["closed_by"] == "RM", "the end that the first one wrote was the earlier"
    rows = proxy.recording.rows("select seq from messages order by id")
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    assert len(rows) + Recording(other).rows("select count(*) as n from messages")[0]["n"] == len(
        [*rm.sent, *cem.sent]
    )
