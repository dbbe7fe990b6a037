"""The demo's proxy is a real process that leaves with the demo; what fails is one sentence."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import s2_mitm
from s2_mitm.demo import proxy as proxy_module
from s2_mitm.demo import show
from s2_mitm.demo.battery import run_battery
from s2_mitm.demo.cem import serve_cem
from s2_mitm.demo.frames import Frames
from s2_mitm.demo.proxy import Proxy, ProxyError, free_port, start_proxy


@pytest.fixture
def no_addon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the addon's place one that does nothing: the proxy alone is looked at here."""
    addon = tmp_path / "addon.py"
    addon.write_text("")
    monkeypatch.setattr(proxy_module, "_ADDON", addon)
    return addon


def _pid(proxy: Proxy) -> int:
    return proxy._process.pid


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.usefixtures("no_addon")
def test_a_conversation_through_mitmdump_arrives_byte_for_byte() -> None:
    rm, cem = Frames(), Frames()

    async def talk() -> tuple[bool, int]:
        listen, upstream = free_port(), free_port()
        async with (
            start_proxy("mitmdump", listen=listen, upstream=upstream, options={}) as proxy,
            serve_cem(port=upstream, seconds=1, frames=cem),
        ):
            while await proxy.while_it_runs(_refused(listen)):
                await asyncio.sleep(0.05)
            work = run_battery(f"ws://127.0.0.1:{listen}", seconds=1, frames=rm)
            return await proxy.while_it_runs(work), _pid(proxy)

    ended, pid = asyncio.run(talk())
    assert ended
    assert rm.sent == cem.received
    assert cem.sent == rm.received
    assert not _is_running(pid)


async def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_proxy_that_ends_by_itself_ends_the_work(no_addon: Path) -> None:
    no_addon.write_text("raise RuntimeError")

    async def wait() -> None:
        async with start_proxy(
            "mitmdump", listen=free_port(), upstream=free_port(), options={}
        ) as proxy:
            await proxy.while_it_runs(asyncio.sleep(60))

    with pytest.raises(ProxyError, match="mitmdump ended by itself"):
        asyncio.run(wait())


def test_whatever_interrupts_the_work_stops_the_proxy() -> None:
    pids = []

    async def fail() -> None:
        async with start_proxy(
            "mitmdump", listen=free_port(), upstream=free_port(), options={}
        ) as proxy:
            pids.append(_pid(proxy))
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        asyncio.run(fail())
    assert not _is_running(pids[0])


def test_without_mitmproxy_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    async def start() -> None:
        async with start_proxy("mitmdump", listen=1, upstream=2, options={}):
            pass

    with pytest.raises(ProxyError, match="mitmproxy is not installed"):
        asyncio.run(start())


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(preferred=port) != port
    assert free_port(preferred=port) == port


def test_a_file_that_is_no_recording_is_left_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "letter.txt"
    precious.write_text("precious")
    assert show.run(db=precious) == 1
    assert precious.read_text() == "precious"
    said = capfd.readouterr()
    assert str(precious) in said.out
    assert "Traceback" not in said.out + said.err


def test_a_folder_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show.run(db=tmp_path / "absent" / "demo.sqlite3") == 1
    assert "there is no folder" in capsys.readouterr().err


def test_a_conversation_too_short_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert show.run(seconds=0) == 1
    assert capsys.readouterr().err == "s2-mitm demo: a conversation takes a second at least.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    program = "import sys; from s2_mitm.demo.show import run; sys.exit(run(seconds=60))"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(s2_mitm.__file__).parent.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "PowerMeasurement valid" in line:
                break
        demo.send_signal(number)
        # The pipes end when the last who holds them does: the proxy, if it were left behind.
        _, errors = demo.communicate(timeout=20)
    assert demo.returncode == 130
    assert errors == ""


def test_the_next_steps_name_the_file_and_a_command_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(sys, "argv", [".venv/bin/s2-mitm", "demo"])
    steps = "\n".join(show._where_to_go_next(Path("my demo.sqlite3"), web=False))
    assert "sqlite3 'my demo.sqlite3' 'select sender" in steps
    assert ".venv/bin/s2-mitm demo --web" in steps
