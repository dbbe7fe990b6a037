"""Conversations that go on while others misbehave, and what they still got."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from messages import handshake, measurement, reception_status
from peers import PeerServer, new_path
from proxies import PATIENCE, Proxy
from recordings import wire

INTERVAL = 0.05
"""Seconds between the messages of a conversation."""


@dataclass
class Bystanders:
    """Some conversations, each of which sends, is answered, and waits a little, on and on."""

    proxy: Proxy
    server: PeerServer
    said: dict[str, list[bytes]] = field(default_factory=dict)
    trips: list[float] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    over: bool = False

    def talk(self) -> None:
        path = new_path()
        said = self.said[path] = [handshake()]
        try:
            with self.server.pair(self.proxy.url, path) as (rm, cem):
                rm.send(said[0])
                assert cem.receive().data == said[0]
                while not self.over:
                    question = measurement()
                    answer = reception_status(question)
                    started = time.perf_counter()
                    rm.send(question)
                    assert cem.receive().data == question
                    cem.send(answer)
                    assert rm.receive().data == answer
                    self.trips.append(time.perf_counter() - started)
                    said += [question, answer]
                    time.sleep(INTERVAL)
        except BaseException as fault:
            self.faults.append(fault)
            raise

    def figures(self) -> str:
        """What the round trips were since this was asked last."""
        trips, self.trips = self.trips, []
        if len(trips) < 2:
            return f"{len(trips)} round trips"
        cuts = quantiles(trips, n=100)
        return f"{len(trips)} round trips, p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms"

    def assert_all_is_recorded(self) -> None:
        """Every message that was said is in the recording, in its place.

        Or it stands there as missing: where a flood is faster than this machine's disk, the oldest
        go, whosever they are, and the proxy says so.
        """
        recording = self.proxy.recording
        for path, said in self.said.items():
            gaps = recording.rows(
                "select first_seq, last_seq from gaps"
                " join sessions on sessions.id = session_id where path = ?",
                path,
            )
            missing = {seq for gap in gaps for seq in range(gap["first_seq"], gap["last_seq"] + 1)}
            rows = recording.rows(
                "select seq, content from messages join sessions on sessions.id = session_id"
                " where path = ?",
                path,
            )
            recorded = {row["seq"]: wire(row) for row in rows}
            expected = {seq: data for seq, data in enumerate(said, 1) if seq not in missing}
            assert recorded == expected
            assert not missing or "too slow" in self.proxy.output


@contextmanager
def bystanders(
    proxy: Proxy, server: PeerServer, note: Callable[[str, object], None], count: int = 9
) -> Iterator[Bystanders]:
    """So many conversations that go on while the context lasts; all must get everything."""
    them = Bystanders(proxy, server)
    threads = [threading.Thread(target=them.talk) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    _tell(note, "the others, before", them.figures())
    try:
        yield them
    finally:
        them.over = True
        for thread in threads:
            thread.join(2 * PATIENCE)
    assert them.faults == []
    _tell(note, "the others, meanwhile", them.figures())


@contextmanager
def memory_within(
    proxy: Proxy, megabytes: float, note: Callable[[str, object], None]
) -> Iterator[None]:
    """The proxy's memory grows by no more than this while the context lasts."""
    before = peak = memory(proxy)
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, memory(proxy))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
    _tell(note, "memory", f"{before:.0f} MB before, at most {peak:.0f} MB")
    assert peak < before + megabytes


def memory(proxy: Proxy) -> float:
    """The proxy's resident memory in MB."""
    status = Path(f"/proc/{proxy.pid}/status").read_text(encoding="utf-8")
    return next(
        int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")
    )


def _tell(note: Callable[[str, object], None], name: str, figures: str) -> None:
    note(name, figures)
    print(f"{name}: {figures}")
