"""``-w FILE`` has every message of a long conversation; what else is saved says what it lacks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from disks import mounted
from messages import handshake, measurement
from mitmproxy.http import HTTPFlow
from peers import Peer, PeerServer, new_path
from proxies import (
    BY_THEMSELVES,
    Proxy,
    running,
    running_mitmweb,
    running_record,
    saved_flows,
    until,
)

MANY, KEPT = 3000, 100


def talk(rm: Peer, cem: Peer, messages: int = MANY, size: int = 0) -> None:
    """The RM says so much, in messages of so many bytes at least, and the CEM has heard it."""
    for number in range(messages):
        rm.send(measurement(number).ljust(size))
    for _ in range(messages):
        cem.receive()


def content(flow: HTTPFlow) -> list[bytes]:
    assert flow.websocket is not None
    return [message.content for message in flow.websocket.messages]


def sent(peer: Peer) -> list[bytes]:
    return [message.data for message in peer.sent]


def check(file: Path) -> tuple[int, str]:
    """What ``s2-mitm check`` says of a flow file, and how it ends."""
    line = [sys.executable, "-m", "s2_mitm.cli", "check", str(file), "--ignore", BY_THEMSELVES]
    done = subprocess.run(line, capture_output=True, encoding="utf-8", check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def has_closed(proxy: Proxy, times: int) -> bool:
    """Whether the proxy has shown the ends of so many conversations."""
    return proxy.output.count(" closed: S2 ") == times


def disk_room(folder: Path) -> int:
    """Bytes that the disk of a folder still has room for."""
    return shutil.disk_usage(folder).free


@pytest.mark.parametrize("start", [running, running_record], ids=["mitmdump", "record"])
@pytest.mark.parametrize("how", ["closed", "stopped"])
def test_the_file_has_every_message_however_few_stay_in_memory(
    server: PeerServer, tmp_path: Path, start: Any, how: str
) -> None:
    """README: with ``-w FILE`` nothing of a conversation is missing, whatever s2_keep_messages is.

    So it is where the conversation is over, and where the proxy is stopped before.
    """
    file = tmp_path / "flows"
    options = {"s2_db": "", "s2_keep_messages": KEPT, "s2_ignore": BY_THEMSELVES}
    with start(tmp_path, server.port, "-w", file, **options) as proxy:
        with server.pair(proxy.url) as (rm, cem):
            talk(rm, cem)
            if how == "stopped":
                proxy.stop()
        if how == "closed":
            until(lambda: " closed: S2 " in proxy.output, "its end is shown")
    (flow,) = proxy.saved_flows()
    assert content(flow) == sent(rm)
    assert f" · {MANY} messages, " in flow.comment
    assert "lacks" not in flow.comment
    status, said = check(file)
    assert status == 0
    assert said.endswith(f"1 session, {MANY} messages, 0 invalid, 0 errors, 0 warnings\n")


def test_what_is_saved_from_the_page_says_how_many_messages_it_lacks(
    server: PeerServer, tmp_path: Path
) -> None:
    """And nobody is blamed for them. What the file of ``-w`` has, the page need not keep."""
    path = new_path()
    by_hand, file = tmp_path / "by-hand", tmp_path / "flows"
    with running_mitmweb(tmp_path, server.port, "-w", file, s2_db="", s2_keep_messages=KEPT) as (
        proxy,
        web,
    ):
        with server.pair(proxy.url, path) as (rm, cem):
            talk(rm, cem, 500)
        until(lambda: " closed: S2 " in proxy.output, "its end is shown")
        shown = web.flow(path)
        assert shown["comment"].endswith(" · lacks its first 400 messages")
        assert shown["websocket"]["messages_meta"]["count"] == KEPT
        assert "error" not in web.call("save.file", "@all", str(by_hand))
    assert content(saved_flows(by_hand)[0]) == sent(rm)[-KEPT:]
    status, said = check(by_hand)
    assert status == 0
    assert "    400 messages were not recorded: #1 to #400\n" in said
    assert said.endswith("1 session, 100 messages, 400 missing, 0 invalid, 0 errors, 0 warnings\n")

    assert content(saved_flows(file)[0]) == sent(rm)
    assert "missing" not in check(file)[1]


def test_a_file_that_is_asked_for_later_says_what_came_before(
    server: PeerServer, tmp_path: Path
) -> None:
    file = tmp_path / "flows"
    with running_mitmweb(tmp_path, server.port, s2_db="", s2_keep_messages=KEPT) as (proxy, web):
        with server.pair(proxy.url) as (rm, cem):
            talk(rm, cem, 300)
            assert "error" not in web.call("set", f"save_stream_file={file}")
            talk(rm, cem, 300)
        until(lambda: " closed: S2 " in proxy.output, "its end is shown")
    (flow,) = saved_flows(file)
    assert content(flow) == sent(rm)[200:]
    assert flow.comment.endswith(" · lacks its first 200 messages")
    assert "    200 messages were not recorded: #1 to #200\n" in check(file)[1]


def test_a_disk_that_has_no_room_for_them(server: PeerServer, tmp_path: Path) -> None:
    """The traffic goes on, and the file has the last messages."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "none") as disk:
        options: dict[str, Any] = {"s2_db": "", "s2_keep_messages": KEPT}
        options["s2_ignore"] = BY_THEMSELVES
        with (
            running_record(tmp_path, server.port, "-w", disk / "flows", **options) as proxy,
            server.pair(proxy.url) as (rm, cem),
        ):
            rm.send(handshake())
            cem.receive()
            talk(rm, cem, 1000, size=2000)
        (flow,) = saved_flows(disk / "flows")
        assert content(flow) == sent(rm)[-KEPT:]
        assert flow.comment.endswith(" · lacks its first 901 messages")
        said = [line for line in proxy.output.splitlines() if "s2-mitm: " in line]
    assert len(said) == 1, said
    assert f"{disk / 'flows'} will lack the first messages of the WebSocket" in said[0]
    assert "(No space left on device). The traffic goes on." in said[0]


@pytest.mark.parametrize("start", [running, running_record], ids=["mitmdump", "record"])
def test_a_file_that_cannot_be_written_ends_no_conversation(
    server: PeerServer, tmp_path: Path, start: Any
) -> None:
    """README: the traffic goes on; what has no room is not in the file, what comes later is."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "none") as disk:
        file, filler = disk / "flows", disk / "filler"
        options: dict[str, Any] = {"s2_db": "", "s2_ignore": BY_THEMSELVES}
        with start(tmp_path, server.port, "-w", file, **options) as proxy:

            def converse(rm: Peer, cem: Peer) -> None:
                rm.send(handshake())
                cem.receive()
                talk(rm, cem, 100, size=2000)

            def converse_and_close(times: int) -> None:
                with server.pair(proxy.url) as pair:
                    converse(*pair)
                until(partial(has_closed, proxy, times), "its end is shown")

            with server.pair(proxy.url) as pair:
                converse_and_close(1)
                until(lambda: file.stat().st_size > 200_000, "the first one is written")
                filler.write_bytes(bytes(disk_room(disk) - 100_000))
                size = file.stat().st_size
                converse_and_close(2)
                until(lambda: "cannot be written" in proxy.output, "that is said")
                converse(*pair)
                assert file.stat().st_size == size
                filler.unlink()
                converse_and_close(3)
                until(lambda: file.stat().st_size > size, "the third one is written")
        flows = saved_flows(file)
        assert [len(content(flow)) for flow in flows] == [101, 101, 101]
        assert content(flows[2]) == sent(pair[0])
        status, text = check(file)
        assert status == 0
        assert "3 sessions, 303 messages, 0 invalid" in text
    first, second = (line for line in proxy.output.splitlines() if "s2-mitm: " in line)
    assert f"s2-mitm: {file} cannot be written (No space left on device): the conv" in first
    assert f"s2-mitm: {file} is written again. 1 flow is not in it." in second


@pytest.mark.parametrize("start", [running, running_record], ids=["mitmdump", "record"])
def test_a_device_that_is_always_full(server: PeerServer, tmp_path: Path, start: Any) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with (
        start(tmp_path, server.port, "-w", "/dev/full", s2_db="", s2_keep_messages=KEPT) as proxy,
        server.pair(proxy.url) as (rm, cem),
    ):
        for times in (1, 2):
            with server.pair(proxy.url) as (one, other):
                talk(one, other, 2 * KEPT)
            until(partial(has_closed, proxy, times), "its end is shown")
            talk(rm, cem, KEPT)
        proxy.stop()
    said = [line.partition("s2-mitm: ")[2] for line in proxy.output.splitlines()]
    first, last = filter(None, said)
    assert first.startswith("/dev/full cannot be written (No space left on device): the conv")
    assert last == "/dev/full is closed. 3 flows are not in it."
