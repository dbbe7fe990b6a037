"""mitmproxy loads the addon anew when its file is saved; the traffic goes on meanwhile."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from messages import measurement, message, reception_status
from peers import Peer, PeerServer, Sent, new_path
from proxies import ADDON, Proxy, running, until
from recordings import wire

_LOADING = "Loading script"


@pytest.fixture
def addon(tmp_path: Path) -> Path:
    """A copy of ours, to save over and over."""
    for folder in ("s2_mitm", "schemas"):
        shutil.copytree(
            ADDON.parents[1] / folder,
            tmp_path / folder,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    return tmp_path / "s2_mitm" / "addon.py"


def _save(addon: Path, proxy: Proxy, text: str | None = None) -> None:
    """Save the file, and wait until mitmproxy has noticed it."""
    loaded = proxy.output.count(_LOADING)
    later = addon.stat().st_mtime + 10
    if text is not None:
        addon.write_text(text, encoding="utf-8")
    os.utime(addon, (later, later))
    until(lambda: proxy.output.count(_LOADING) > loaded, "the addon is loaded again")


@contextmanager
def _talking(rm: Peer, cem: Peer) -> Iterator[None]:
    """Both sides send numbered messages as fast as the other receives them."""
    over = threading.Event()

    def talk(sender: Peer, receiver: Peer) -> None:
        for number in itertools.count():
            data = (
                measurement(number)
                if sender is rm
                else reception_status(message("PowerMeasurement"), label=str(number))
            )
            sender.send(data)
            assert receiver.receive() == Sent(data)
            if over.wait(0.002):
                return

    threads = [threading.Thread(target=talk, args=ends) for ends in ((rm, cem), (cem, rm))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _wait_for_more(peer: Peer) -> None:
    enough = len(peer.sent) + 50
    until(lambda: len(peer.sent) > enough, "the talk goes on")


def _assert_all_recorded_once(proxy: Proxy, path: str, rm: Peer, cem: Peer) -> None:
    messages = proxy.recording.messages(path)
    for role, peer in (("RM", rm), ("CEM", cem)):
        recorded = [wire(row) for row in messages if row["sender"] == role]
        assert recorded == [sent.data for sent in peer.sent]
    assert proxy.recording.rows("select count(*) as n from sessions") == [{"n": 1}]
    session = proxy.recording.session(path)
    assert session is not None
    assert session["closed_by"] == "RM"
    assert [row["timestamp"] for row in messages] == sorted(row["timestamp"] for row in messages)

    (flow,) = proxy.saved_flows()
    total = len(rm.sent) + len(cem.sent)
    assert total == len(messages) > 100
    assert (
        flow.comment == f"S2 · RM (client) · CEM (server) · {total} messages, 0 errors, 0 warnings"
    )
    assert flow.marked == ":green_circle:"


def test_nothing_is_lost_or_doubled(server: PeerServer, tmp_path: Path, addon: Path) -> None:
    path = new_path()
    with running(tmp_path, server.port, "-w", tmp_path / "flows", addon=addon) as proxy:
        with server.pair(proxy.url, path) as (rm, cem), _talking(rm, cem):
            for _ in range(3):
                _save(addon, proxy)
                _wait_for_more(rm)
        until(lambda: " closed: " in proxy.output, "the session is closed")
    _assert_all_recorded_once(proxy, path, rm, cem)
    assert proxy.output.count(" S2 WebSocket ") == 1


def test_what_is_said_while_the_addon_is_broken_is_judged_late(
    server: PeerServer, tmp_path: Path, addon: Path
) -> None:
    path = new_path()
    good = addon.read_text(encoding="utf-8")
    with running(tmp_path, server.port, "-w", tmp_path / "flows", addon=addon) as proxy:
        with server.pair(proxy.url, path) as (rm, cem), _talking(rm, cem):
            _wait_for_more(rm)
            _save(addon, proxy, "addons = []\n")
            _wait_for_more(rm)
            _save(addon, proxy, good)
            _wait_for_more(rm)
        until(lambda: " closed: " in proxy.output, "the session is closed")
    _assert_all_recorded_once(proxy, path, rm, cem)
