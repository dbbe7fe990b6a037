"""A database that hangs is said, once, and the metrics show it; afterwards nothing is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from disks import mounted
from peers import PeerServer, new_path
from postgres_server import ForeignServer, PostgresServer
from proxies import BY_THEMSELVES, Proxy, free_port, running, running_record, until
from recordings import Recording, sessions_in
from test_outages_live import (
    FAILS,
    IS_OVER,
    assert_holds_all,
    assert_says,
    conversation,
    hear_more,
    said,
    sit_out,
)
from test_traffic_is_never_held import assert_all_in

pytest_plugins = ["postgres_server"]

SILENT = "it does not answer"

SOON_A_PROCESS = """
from s2_mitm.history import writer

writer.LOAD = 2
"""


def is_failing(port: int) -> bool:
    """What the metrics say of the recording."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        return b"\ns2_recording_failing 1.0\n" in answer.read()


def writing_process(proxy: Proxy) -> int | None:
    """The process that has the recording open beside the proxy."""
    found = subprocess.run(["pgrep", "-P", str(proxy.pid)], capture_output=True, check=False)
    for process in found.stdout.split():
        opened = Path(f"/proc/{process.decode()}/fd").iterdir()
        with suppress(FileNotFoundError):  # one that is closed meanwhile
            if any(os.readlink(each) == str(proxy.recording.file) for each in opened):
                return int(process)
    return None


@contextmanager
def standing_still(disk: Path) -> Iterator[None]:
    """Whoever writes to the disk waits."""
    if subprocess.run(["fsfreeze", "-f", disk], capture_output=True, check=False).returncode:
        pytest.skip("no disk can be frozen here")
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", disk], check=True)


def test_a_server_that_is_frozen_for_a_while(
    server: PeerServer,
    tmp_path: Path,
    postgres: PostgresServer | ForeignServer,
    postgres_url: str,
) -> None:
    port = free_port()
    options = {"s2_db": postgres_url, "s2_ignore": BY_THEMSELVES, "s2_metrics": str(port)}
    with (
        running_record(tmp_path, server.port, **options) as proxy,
        conversation(server, proxy, new_path()) as (rm, cem),
    ):
        hear_more(rm, cem)
        # It is opened beside the traffic: one that was never connected cannot be reached.
        until(lambda: sessions_in(postgres_url), "the recording is written")
        with postgres.frozen():
            until(lambda: FAILS in proxy.output, "it says that the server does not answer")
            assert is_failing(port)
            hear_more(rm, cem)
        until(lambda: IS_OVER in proxy.output, "it says that it is over", 60)
        hear_more(rm, cem)
        assert not is_failing(port)
    # Under load a process of its own writes, whose connection may be the one that is not made.
    began, over = said(proxy)
    assert FAILS in began
    assert began.partition(FAILS)[2].startswith((SILENT, "127.0.0.1, port "))
    assert over.endswith(f"{IS_OVER}nothing was lost.")
    assert_all_in(postgres_url, rm, cem)


def test_a_process_that_stands_still_is_done_without(server: PeerServer, tmp_path: Path) -> None:
    path, soon = new_path(), tmp_path / "soon.py"
    soon.write_text(SOON_A_PROCESS)
    options = {"s2_ignore": BY_THEMSELVES}
    with (
        running_record(tmp_path, server.port, "-s", soon, **options) as proxy,
        conversation(server, proxy, path) as (rm, cem),
    ):
        process = until(lambda: writing_process(proxy), "a process of its own writes")
        hear_more(rm, cem)
        os.kill(process, signal.SIGSTOP)
        until(lambda: FAILS in proxy.output, "it says that nothing is written")
        until(lambda: IS_OVER in proxy.output, "it says that it is over")
        hear_more(rm, cem)
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
    assert_says(proxy, SILENT)
    assert_holds_all(proxy.recording, path, rm, cem)


def test_a_disk_that_stands_still_for_a_while(server: PeerServer, tmp_path: Path) -> None:
    path, image = new_path(), tmp_path / "image"
    image.touch()
    os.truncate(image, 32 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    with mounted(tmp_path / "card", "-o", "loop", image) as card:
        file = card / "s2.sqlite3"
        with (
            running(tmp_path, server.port, s2_db=file) as proxy,
            conversation(server, proxy, path) as (rm, cem),
        ):
            sit_out(proxy, standing_still(card), rm, cem)
        assert_says(proxy, SILENT)
        assert_holds_all(Recording(file), path, rm, cem)


def test_a_server_that_is_frozen_does_not_hold_the_end(
    server: PeerServer,
    tmp_path: Path,
    postgres: PostgresServer | ForeignServer,
    postgres_url: str,
) -> None:
    with running_record(
        tmp_path, server.port, s2_db=postgres_url, s2_ignore=BY_THEMSELVES
    ) as proxy:
        with postgres.frozen():
            with conversation(server, proxy, new_path()) as (rm, cem):
                until(lambda: FAILS in proxy.output, "it says that the server does not answer")
                hear_more(rm, cem)
            proxy.stop(signal.SIGTERM)
        sent = len([*rm.sent, *cem.sent])
    assert (
        f"could not be written to the end; {sent} messages of the last were lost."
        in said(proxy)[-1]
    )
