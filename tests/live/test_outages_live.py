"""README: "the traffic goes on, and the proxy says so once, and once more when it is over"."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from disks import mounted
from messages import handshake, measurement, select_control_type
from peers import Peer, PeerServer, new_path
from postgres_server import ForeignServer, PostgresServer
from proxies import ADDON, BY_THEMSELVES, Proxy, running, running_record, until
from recordings import Recording

from s2_mitm.history.queries import History

pytest_plugins = ["postgres_server"]

FAILS = " cannot be written now ("
IS_OVER = " is written again; "


LITTLE_MEMORY = """
from s2_mitm.history import recorder

recorder.MOST_MESSAGES = 200
recorder.BATCH = 10
"""
OFTEN = """
import gc
from s2_mitm.history import recorder

recorder.PRUNE_SECONDS = 0.2
for each in gc.get_objects():  # which may have looked already, and would do so in a minute again
    if isinstance(each, recorder.Recorder):
        each._prune_at = 0.0
"""


@contextmanager
def conversation(server: PeerServer, proxy: Proxy, path: str) -> Iterator[tuple[Peer, Peer]]:
    """Both talk as long as the context lasts, and have then heard all, and in order."""
    with server.pair(proxy.url, path) as (rm, cem):
        rm.send(handshake())
        cem.wait_for(1)
        with rm.talking(measurement), cem.talking(lambda _: select_control_type()):
            yield rm, cem
        cem.wait_for(len(rm.sent))
        rm.wait_for(len(cem.sent))
    assert cem.receive_all() == rm.sent
    assert rm.receive_all() == cem.sent


def hear_more(*peers: Peer) -> None:
    for peer in peers:
        peer.wait_for(peer.arrivals + 100)


def sit_out(proxy: Proxy, fault: AbstractContextManager[None], *peers: Peer) -> None:
    """Let messages flow before, while and after the recording cannot be written."""
    hear_more(*peers)
    with fault:
        until(lambda: FAILS in proxy.output, "it says that the recording cannot be written")
        hear_more(*peers)
    until(lambda: IS_OVER in proxy.output, "it says that the recording is written again")
    hear_more(*peers)


def said(proxy: Proxy) -> list[str]:
    """What the proxy said of its recording."""
    about = (FAILS, IS_OVER, "could not be written", "deleted or replaced", "too slow")
    return [line for line in proxy.output.splitlines() if any(map(line.__contains__, about))]


def assert_says(proxy: Proxy, reason: str) -> None:
    """One line when it began, and one when it was over."""
    began, over = said(proxy)
    assert f"{FAILS}{reason}); the traffic goes on, and up to 20000 messages wait in" in began
    assert over.endswith(f"{IS_OVER}nothing was lost.")


def assert_holds_all(recording: Recording, path: str, rm: Peer, cem: Peer) -> None:
    assert recording.said(path, "RM") == [sent.data for sent in rm.sent]
    assert recording.said(path, "CEM") == [sent.data for sent in cem.sent]
    assert recording.rows("select * from gaps") == []
    assert recording.rows("pragma integrity_check") == [{"integrity_check": "ok"}]


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program writes, and takes its time."""
    with closing(sqlite3.connect(file, timeout=20, isolation_level=None)) as other:
        other.execute("begin immediate")
        yield
        other.execute("rollback")


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Something else fills the disk."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    yield
    ballast.unlink()


@contextmanager
def immutable(*files: Path) -> Iterator[None]:
    subprocess.run(["chattr", "+i", *files], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@contextmanager
def stopped(server: PostgresServer | ForeignServer) -> Iterator[None]:
    server.stop()
    yield
    server.start()


def test_a_file_that_another_program_keeps_locked(server: PeerServer, tmp_path: Path) -> None:
    path = new_path()
    with (
        running(tmp_path, server.port) as proxy,
        conversation(server, proxy, path) as (rm, cem),
    ):
        until(lambda: proxy.recording.said(path, "RM"), "the first messages are recorded")
        sit_out(proxy, locked(proxy.recording.file), rm, cem)
    assert_says(proxy, "another program has locked it")
    assert_holds_all(proxy.recording, path, rm, cem)


def test_a_disk_that_is_full_for_a_while(server: PeerServer, tmp_path: Path) -> None:
    path = new_path()
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=8m", "none") as disk:
        file = disk / "s2.sqlite3"
        with (
            running_record(tmp_path, server.port, s2_db=file, s2_ignore=BY_THEMSELVES) as proxy,
            conversation(server, proxy, path) as (rm, cem),
        ):
            sit_out(proxy, full(disk), rm, cem)
        assert_says(proxy, "database or disk is full")
        assert_holds_all(Recording(file), path, rm, cem)


def test_a_file_that_must_not_be_changed_for_a_while(server: PeerServer, tmp_path: Path) -> None:
    path = new_path()
    probe = tmp_path / "probe"
    probe.touch()
    try:
        with immutable(probe):
            pass
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file can be made immutable here (chattr +i, as root)")
    with running(tmp_path, server.port) as proxy:
        file = proxy.recording.file
        with conversation(server, proxy, path) as (rm, cem):
            until(lambda: proxy.recording.said(path, "RM"), "the first messages are recorded")
            sit_out(proxy, immutable(file, file.with_name(f"{file.name}-wal")), rm, cem)
    assert FAILS in said(proxy)[0]
    assert said(proxy)[1].endswith(f"{IS_OVER}nothing was lost.")
    assert len(said(proxy)) == 2
    assert_holds_all(proxy.recording, path, rm, cem)


def test_a_file_that_is_deleted(server: PeerServer, tmp_path: Path) -> None:
    path = new_path()
    with running(tmp_path, server.port) as proxy:
        file = proxy.recording.file
        with conversation(server, proxy, path) as (rm, cem):
            until(lambda: proxy.recording.said(path, "RM"), "the first messages are recorded")
            hear_more(rm, cem)
            deleted_at = time.monotonic()
            file.unlink()
            until(lambda: "deleted or replaced" in proxy.output, "it says so")
            hear_more(rm, cem)
    [line] = said(proxy)
    assert f"{file} was deleted or replaced, and what it held is gone" in line
    assert line.endswith("; the recording goes on in the file that is there now.")
    for sender, peer in (("RM", cem), ("CEM", rm)):
        recorded = proxy.recording.said(path, sender)
        late = sum(sent.at > deleted_at + 0.25 for sent in peer.received)
        assert len(recorded) >= late > 0
        assert recorded == [sent.data for sent in peer.received[-len(recorded) :]]
    session = proxy.recording.session(path)
    assert session is not None
    assert session["closed_by"] == "RM"
    assert proxy.recording.rows("pragma integrity_check") == [{"integrity_check": "ok"}]


def test_a_file_system_that_gives_up(server: PeerServer, tmp_path: Path) -> None:
    """As a memory card at its end: it can be read only, and will never be otherwise."""
    if not shutil.which("mkfs.ext4"):
        pytest.skip("there is no mkfs.ext4")
    path, image = new_path(), tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    with mounted(tmp_path / "card", "-o", "loop,errors=remount-ro", image) as card:
        device = os.stat(card).st_dev
        uevent = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
        trigger = Path("/sys/fs/ext4") / uevent.resolve().name / "trigger_fs_error"
        if not trigger.exists():
            pytest.skip("this system cannot let an ext4 fail")
        with (
            running(tmp_path, server.port, s2_db=card / "s2.sqlite3") as proxy,
            conversation(server, proxy, path) as (rm, cem),
        ):
            hear_more(rm, cem)
            subprocess.run(["sync", "-f", card], check=True)
            trigger.write_text("1")
            until(lambda: FAILS in proxy.output, "it says that it cannot be written")
            hear_more(rm, cem)
        began, end = said(proxy)
        assert FAILS in began
        assert "could not be written to the end; " in end


def test_a_server_that_is_away_for_a_while(
    server: PeerServer,
    tmp_path: Path,
    postgres: PostgresServer | ForeignServer,
    postgres_url: str,
) -> None:
    path = new_path()
    with (
        running_record(tmp_path, server.port, s2_db=postgres_url, s2_ignore=BY_THEMSELVES) as proxy,
        conversation(server, proxy, path) as (rm, cem),
    ):
        sit_out(proxy, stopped(postgres), rm, cem)
    assert FAILS in said(proxy)[0]
    assert said(proxy)[1].endswith(f"{IS_OVER}nothing was lost.")
    assert len(said(proxy)) == 2
    with closing(History(postgres_url)) as history:
        [session] = history.sessions()
        rows = list(history.messages(session=session["id"]))
    for role, peer in (("RM", rm), ("CEM", cem)):
        recorded = [row["content"].encode() for row in rows if row["sender"] == role]
        assert recorded == [sent.data for sent in peer.sent]
    assert session["closed_by"] == "RM"


def test_what_memory_does_not_hold_is_counted_to_the_message(
    server: PeerServer, tmp_path: Path
) -> None:
    path, little = new_path(), tmp_path / "little_memory.py"
    little.write_text(LITTLE_MEMORY)
    # The script first: what memory there is, is settled when the recording is opened.
    with running(tmp_path, server.port, "-s", ADDON, addon=little) as proxy:
        with server.pair(proxy.url, path) as (rm, cem):
            rm.send(handshake())
            until(lambda: proxy.recording.said(path, "RM"), "the first message is recorded")
            with rm.talking(measurement):
                sit_out(proxy, locked(proxy.recording.file), cem)
            cem.wait_for(len(rm.sent))
        assert cem.receive_all() == rm.sent
    rows = proxy.recording.rows("select seq, content from messages order by seq")
    gaps = proxy.recording.rows("select * from gaps")
    dropped = sum(gap["messages"] for gap in gaps)
    assert dropped > 0
    assert len(rows) + dropped == len(rm.sent)
    kept = {row["seq"]: row["content"].encode() for row in rows}
    for gap in gaps:
        missing = range(gap["first_seq"], gap["last_seq"] + 1)
        assert len(missing) == gap["messages"]
        kept |= {seq: rm.sent[seq - 1].data for seq in missing}
    assert kept == {seq: sent.data for seq, sent in enumerate(rm.sent, 1)}
    # It may be too slow for so little memory at other times, too.
    told = re.findall(r" (\d+) messages were lost \(recorded as gaps\)\.", proxy.output)
    assert sum(map(int, told)) == dropped


def test_old_sessions_go_while_it_runs_and_the_open_one_stays_whole(
    server: PeerServer, tmp_path: Path
) -> None:
    path, old = new_path(), new_path()
    often = tmp_path / "often.py"
    often.write_text(OFTEN)
    # Long enough for the proxy to stop, under load too, before the open one is an old one.
    options = {"s2_retain": "4s", "s2_ignore": BY_THEMSELVES}
    with running_record(tmp_path, server.port, "-s", often, **options) as proxy:
        with conversation(server, proxy, path) as (rm, cem):
            with server.pair(proxy.url, old) as (ending, _):
                ending.send(handshake())
                ending.send(b"not JSON")
                until(lambda: len(proxy.recording.said(old, "RM")) == 2, "the other is recorded")
            until(lambda: proxy.recording.session(old) is None, "the ended session goes")
            hear_more(rm, cem)
        assert proxy.recording.said(old, "RM") == []
    assert_holds_all(proxy.recording, path, rm, cem)
    assert said(proxy) == []
