"""The clock of the machine is set while the proxy runs, as NTP does at the start of a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from messages import handshake, reception_status
from peers import Peer, PeerServer
from proxies import Proxy, running, until

HOUR = 3600

_SCRIPT = """
import time
from pathlib import Path

real, ahead = time.time, Path({file!r})
time.time = lambda: real() + int(ahead.read_text())
"""

Set = Callable[[int], object]


@contextmanager
def _running(
    server: PeerServer, folder: Path, ack_timeout: int
) -> Iterator[tuple[Proxy, Peer, Peer, Set]]:
    ahead, script = folder / "ahead", folder / "clock.py"
    ahead.write_text("0")
    script.write_text(_SCRIPT.format(file=str(ahead)))
    arguments = ("-s", script)
    with (
        running(folder, server.port, *arguments, s2_ack_timeout=ack_timeout, s2_ignore="") as proxy,
        server.pair(proxy.url) as (rm, cem),
    ):
        new = folder / "new"
        yield proxy, rm, cem, lambda seconds: (new.write_text(str(seconds)), new.rename(ahead))


def test_set_back_an_hour_it_still_says_what_is_not_answered(
    server: PeerServer, tmp_path: Path
) -> None:
    with _running(server, tmp_path, 2) as (proxy, rm, cem, set_clock):
        rm.send(handshake("RM"))
        cem.receive()
        set_clock(-HOUR)
        until(lambda: "ack.missing" in proxy.output, "the missing answer is said")


def test_set_forward_an_hour_it_says_nothing_of_what_is_not_due(
    server: PeerServer, tmp_path: Path
) -> None:
    with _running(server, tmp_path, 600) as (proxy, rm, cem, set_clock):
        question = handshake("RM")
        rm.send(question)
        cem.receive()
        set_clock(HOUR)
        cem.send(handshake("CEM"))
        rm.receive()
        cem.send(reception_status(question))
        rm.receive()
    assert "closed: S2" in proxy.output
    assert "within" not in proxy.output
    assert "ack.late" not in proxy.output
