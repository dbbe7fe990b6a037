"""A proxy that is killed, or told to stop, has written down what its peers received."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from impatient import running_and_soon_gone
from messages import handshake, measurement, select_control_type
from peers import Peer, PeerServer, new_path
from proxies import BY_THEMSELVES, Proxy, running, running_record, until

from s2_mitm.history.presence import LEFT_OPEN

WRITTEN_WITHIN = 0.25
"""Seconds after which a message that was forwarded is in the file."""

Start = Callable[..., AbstractContextManager[Proxy]]


def instruct(_: float) -> bytes:
    return select_control_type()


def assert_holds_what_arrived(proxy: Proxy, path: str, killed_at: float, **peers: Peer) -> None:
    """All that had arrived in time, in its order, and nothing that was not sent.

    ``peers`` are who received, by the role of who sent.
    """
    for sender, peer in peers.items():
        arrived = peer.receive_all()
        early = [sent.data for sent in arrived if sent.at < killed_at - WRITTEN_WITHIN]
        assert early, "it was killed in the midst of a conversation"
        recorded = proxy.recording.said(path, sender)
        assert recorded[: len(early)] == early
        late = recorded[len(early) :]
        assert late[: len(arrived) - len(early)] == [
            sent.data for sent in arrived[len(early) : len(recorded)]
        ]


def assert_is_sound(proxy: Proxy) -> None:
    assert proxy.recording.rows("pragma integrity_check") == [{"integrity_check": "ok"}]


def test_what_arrived_before_a_kill_is_recorded_and_another_proxy_says_how_it_ended(
    server: PeerServer, tmp_path: Path
) -> None:
    path, others = new_path(), new_path()
    folders = [tmp_path / name for name in ("killed", "living", "next")]
    for folder in folders:
        folder.mkdir()
    file = folders[0] / "s2.sqlite3"
    with (
        running_and_soon_gone(folders[1], server.port, s2_db=file) as living,
        server.pair(living.url, others) as (other_rm, other_cem),
    ):
        other_rm.send(handshake())
        other_cem.wait_for(1)
        with (
            running_and_soon_gone(folders[0], server.port, s2_db=file) as proxy,
            server.pair(proxy.url, path) as (rm, cem),
        ):
            rm.send(handshake())
            cem.wait_for(1)
            with rm.talking(measurement), cem.talking(instruct):
                cem.wait_for(200)
                rm.wait_for(200)
                time.sleep(2 * WRITTEN_WITHIN)
                killed_at = time.monotonic()
                proxy.kill()
            assert_holds_what_arrived(proxy, path, killed_at, RM=cem, CEM=rm)
        assert_is_sound(proxy)
        left = proxy.recording.session(path)
        assert left is not None
        assert left["ended_at"] is None

        with running_and_soon_gone(folders[2], server.port, s2_db=file):
            closed = until(
                lambda: ended(proxy, path), "another proxy closes what was left open", 60
            )
            assert (closed["closed_by"], closed["close_reason"]) == ("proxy", LEFT_OPEN)
            assert closed["close_code"] is None
            last = proxy.recording.rows(
                "select max(timestamp) as at from messages where session_id = ?", closed["id"]
            )
            assert closed["ended_at"] >= last[0]["at"]
            assert not ended(proxy, others)
            other_rm.send(measurement())
            other_cem.wait_for(2)
    assert ended(proxy, others)["closed_by"] == "RM"
    assert proxy.recording.said(others, "RM") == [sent.data for sent in other_rm.sent]
    assert_is_sound(proxy)


def ended(proxy: Proxy, path: str) -> dict[str, object]:
    """The session of this path once it has ended, before that nothing."""
    session = proxy.recording.session(path)
    return session if session and session["ended_at"] else {}


@pytest.mark.parametrize("start", [running, running_record])
def test_what_arrived_before_a_kill_is_recorded_also_under_load(
    server: PeerServer, tmp_path: Path, start: Start
) -> None:
    path = new_path()
    with (
        start(tmp_path, server.port, s2_ignore=BY_THEMSELVES) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        rm.send(handshake())
        cem.wait_for(1)
        with rm.talking(measurement, pause=0):
            time.sleep(2)
            killed_at = time.monotonic()
            proxy.kill()
        assert_holds_what_arrived(proxy, path, killed_at, RM=cem)
    assert_is_sound(proxy)


@pytest.mark.parametrize(
    ("start", "with_signal"), [(running, signal.SIGINT), (running_record, signal.SIGTERM)]
)
def test_a_burst_just_before_it_is_told_to_stop_is_recorded(
    server: PeerServer, tmp_path: Path, start: Start, with_signal: signal.Signals
) -> None:
    path = new_path()
    with (
        start(tmp_path, server.port, s2_ignore=BY_THEMSELVES) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        rm.send(handshake())
        cem.wait_for(1)
        prepared = [measurement(number) for number in range(5000)]
        for data in prepared:
            rm.send(data)
        cem.wait_for(5001)
        proxy.stop(with_signal)
    assert proxy.recording.said(path, "RM") == [sent.data for sent in cem.receive_all()]
    assert [sent.data for sent in cem.received] == [rm.sent[0].data, *prepared]
    session = ended(proxy, path)
    assert session["closed_by"] == "proxy"
    [recorder] = proxy.recording.rows("select * from recorders")
    assert recorder["ended_at"] >= session["ended_at"]
    assert proxy.recording.rows("select * from gaps") == []


@pytest.mark.parametrize("start", [running, running_record])
def test_what_was_forwarded_is_recorded_when_it_is_told_to_stop_in_full_flow(
    server: PeerServer, tmp_path: Path, start: Start
) -> None:
    path = new_path()
    with (
        start(tmp_path, server.port, s2_ignore=BY_THEMSELVES) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        rm.send(handshake())
        cem.wait_for(1)
        with rm.talking(measurement, pause=0), cem.talking(instruct):
            cem.wait_for(200)
            proxy.stop(signal.SIGINT)
        for sender, peer in (("RM", cem), ("CEM", rm)):
            arrived = [sent.data for sent in peer.receive_all()]
            assert proxy.recording.said(path, sender)[: len(arrived)] == arrived
    assert ended(proxy, path)
