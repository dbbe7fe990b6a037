"""What is recorded is what went over the wire: what came, and what others made of it afterwards."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from messages import handshake, resource_manager_details
from peers import Peer, PeerServer, Sent, new_path
from proxies import ADDON, Proxy, running, running_record, until
from raw import TEXT, frame
from recordings import Row, wire

from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.verdict import Role

OTHER = """
import asyncio
from pathlib import Path


def websocket_message(flow):
    message = flow.websocket.messages[-1]
    if b"drop me" in message.content:
        message.drop()
    elif b"change me" in message.content:
        message.content = message.content.replace(b"change me", b"changed")
    elif b"hold me" in message.content or b"end me" in message.content:
        flow.intercept()
        asyncio.get_running_loop().create_task(let_go(flow, message))


async def let_go(flow, message):
    here = Path(__file__).parent
    while not (here / "let-go").exists():
        await asyncio.sleep(0.05)
    message.content = message.content.replace(b"hold me", b"held")
    if b"end me" in message.content:
        message.drop()
    flow.resume()
"""
WAITING = OTHER.replace("def websocket_message", "async def websocket_message")
"""The same as a coroutine, for which mitmproxy's own way of calling addons is taken."""


@pytest.fixture
def other(tmp_path: Path) -> Path:
    script = tmp_path / "other.py"
    script.write_text(OTHER, encoding="utf-8")
    return script


@contextmanager
def _before(folder: Path, upstream: int, *arguments: Any, **options: Any) -> Iterator[Proxy]:
    """mitmdump with the other script before ours."""
    first, script, *rest = arguments
    assert first == "-s"
    with running(folder, upstream, "-s", ADDON, *rest, addon=script, **options) as proxy:
        yield proxy


def _without_patches(folder: Path, upstream: int, *arguments: Any, **options: Any) -> Any:
    return running(folder, upstream, *arguments, s2_patches="none", **options)


def fate(row: Row) -> tuple[bytes, bool, bytes | None]:
    """What came, whether it was dropped, and what went where it differs."""
    sent = row["sent"]
    went = sent.encode() if isinstance(sent, str) else sent
    return wire(row), bool(row["dropped"]), went


def say(rm: Peer, *names: str) -> list[bytes]:
    said = [resource_manager_details(name) for name in names]
    for data in said:
        rm.send(data)
    return said


def recorded(proxy: Proxy, path: str, count: int) -> list[Row]:
    def all_of_them() -> list[Row] | None:
        rows = proxy.recording.messages(path)
        return rows if len(rows) == count else None

    return until(all_of_them, f"{count} messages are recorded")


def ended(proxy: Proxy, path: str) -> Row:
    def session() -> Row | None:
        session = proxy.recording.session(path)
        return session if session and session["ended_at"] else None

    return until(session, "its end is recorded")


@pytest.mark.parametrize("start", [running, running_record, _before, _without_patches])
@pytest.mark.parametrize("script", [OTHER, WAITING], ids=["fast", "mitmproxys"])
def test_what_another_addon_drops_or_changes(
    server: PeerServer, tmp_path: Path, other: Path, start: Callable[..., Any], script: str
) -> None:
    """README: "what went over the wire is in ``content``": what came; ``sent`` is what went where
    it differs, ``dropped`` says that nothing went; whoever did it, before us or after."""
    other.write_text(script, encoding="utf-8")
    path = new_path()
    with (
        start(tmp_path, server.port, "-s", other) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        first, dropped, changed, last = say(rm, "first", "drop me", "change me", "last")
        went = changed.replace(b"change me", b"changed")
        assert [cem.receive() for _ in range(3)] == [Sent(first), Sent(went), Sent(last)]
    ended(proxy, path)
    assert list(map(fate, recorded(proxy, path, 4))) == [
        (first, False, None),
        (dropped, True, None),
        (changed, False, went),
        (last, False, None),
    ]


def test_what_is_held_is_recorded_at_once_and_put_right_when_it_goes(
    server: PeerServer, tmp_path: Path, other: Path
) -> None:
    path = new_path()
    with (
        running(tmp_path, server.port, "-s", other) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        first, held = say(rm, "first", "hold me")
        assert cem.receive() == Sent(first)
        assert fate(recorded(proxy, path, 2)[1]) == (held, False, None)
        (tmp_path / "let-go").touch()
        went = held.replace(b"hold me", b"held")
        assert cem.receive() == Sent(went)
        until(
            lambda: fate(recorded(proxy, path, 2)[1]) == (held, False, went),
            "it is put right",
        )


@pytest.mark.parametrize("start", [running, running_record])
def test_what_is_held_when_the_proxy_stops_did_not_go(
    server: PeerServer, tmp_path: Path, other: Path, start: Callable[..., Any]
) -> None:
    path = new_path()
    with (
        start(tmp_path, server.port, "-s", other) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        first, held = say(rm, "first", "hold me")
        assert cem.receive() == Sent(first)
        recorded(proxy, path, 2)
        proxy.stop()
        assert cem.receive_all() == [Sent(first)]
        rows = proxy.recording.messages(path)
    assert list(map(fate, rows)) == [(first, False, None), (held, True, None)]


def test_nobody_is_blamed_for_not_answering_what_was_dropped(
    server: PeerServer, tmp_path: Path, other: Path
) -> None:
    path = new_path()
    options: dict[str, Any] = {"s2_ack_timeout": 1, "s2_ignore": "handshake.*"}
    with (
        running(tmp_path, server.port, "-s", other, **options) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        say(rm, "drop me", "first")
        cem.receive()
        until(
            lambda: "ack.missing" in recorded(proxy, path, 2)[1]["codes"],
            "the other one was not answered",
        )
        assert "ack.missing" not in recorded(proxy, path, 2)[0]["codes"]


@pytest.mark.parametrize("how", ["drop me", "end me"])
def test_what_was_dropped_does_not_count(
    server: PeerServer, tmp_path: Path, other: Path, how: str
) -> None:
    """Another control type is selected, which the RM never hears: the instruction after it is
    right. By a script, and by one that holds it back first."""
    script = Script()
    script.begin("FRBC")
    count = len(script.lines)
    script.cem("FRBC.Instruction")
    path = new_path()
    with (
        running(tmp_path, server.port, "-s", other) as proxy,
        server.pair(proxy.url, path) as (rm, cem),
    ):
        for line in script.lines:
            speaker, hearer = (rm, cem) if line.verdict.sender is Role.RM else (cem, rm)
            if count == 0:
                cem.send(select_control_type(how))
                (tmp_path / "let-go").touch()
            speaker.send(json.dumps(line.verdict.message).encode())
            hearer.receive()
            count -= 1
        rows = recorded(proxy, path, len(script.lines) + 1)
    *before, selection, instruction, _ = rows
    assert not any(row["dropped"] for row in before)
    assert selection["dropped"]
    assert selection["codes"]
    assert [code for code in instruction["codes"] if code.startswith("state.")] == []


def select_control_type(label: str) -> bytes:
    """One that is not valid, with another control type than FRBC."""
    return json.dumps(
        {
            "message_type": "SelectControlType",
            "message_id": "c009ed72-3ef7-49eb-9052-4258c1d6a3a4",
            "control_type": "OPERATION_MODE_BASED_CONTROL",
            "unknown": label,
        }
    ).encode()


def bad_frame(rm: Peer) -> None:
    rm.connection.socket.sendall(frame(TEXT, b"{}", reserved=7))


def close(rm: Peer) -> None:
    rm.close(1002)


def break_off(rm: Peer) -> None:
    rm.connection.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("start", [running, running_record])
@pytest.mark.parametrize(
    ("end", "closed_by", "code"),
    [(bad_frame, "proxy", 1002), (close, "RM", 1002), (break_off, "RM", 1006)],
)
def test_who_closed_it(
    server: PeerServer,
    tmp_path: Path,
    start: Callable[..., Any],
    end: Callable[[Peer], None],
    closed_by: str,
    code: int,
) -> None:
    """A bad frame is closed by the proxy; a connection that breaks, by the peer whose it was."""
    path = new_path()
    with start(tmp_path, server.port) as proxy:
        with server.pair(proxy.url, path) as (rm, cem):
            rm.send(handshake())
            cem.receive()
            end(rm)
            cem.wait_closed()
        session = ended(proxy, path)
    assert (session["closed_by"], session["close_code"]) == (closed_by, code)
