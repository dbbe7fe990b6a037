"""The real proxy of the demo: mitmdump or mitmweb, with the addon, as a process of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import s2_mitm

T = TypeVar("T")

Program = Literal["mitmdump", "mitmweb"]

_ADDON = Path(s2_mitm.__file__).parent / "addon.py"
_PATIENCE = 10.0  # seconds the proxy gets to end once it is told to


class ProxyError(Exception):
    """The proxy could not be started, or ended by itself; the text says so in one sentence."""


class Proxy:
    """A running proxy."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self._program = program
        self._process = process

    async def while_it_runs(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` and return what it returns.

        Raises ProxyError when the proxy ends first; ``work`` is then cancelled.
        """
        working = asyncio.ensure_future(work)
        ending = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise ProxyError(
                f"{self._program} ended by itself (exit status {ending.result()}); "
                "what it said stands above"
            )
        finally:
            working.cancel()
            ending.cancel()
            await asyncio.gather(working, ending, return_exceptions=True)

    async def stop(self) -> None:
        """End the process: kindly, and by force if it takes too long or we are cancelled."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _PATIENCE)
        finally:
            if self._process.returncode is None:
                self._process.kill()


@asynccontextmanager
async def start_proxy(
    program: Program, *, listen: int, upstream: int, options: dict[str, str]
) -> AsyncIterator[Proxy]:
    """Run ``program`` from port ``listen`` to port ``upstream`` while the context lasts.

    Both are ports of the loopback. ``options`` are mitmproxy's and the addon's. What the program
    prints goes where our own output goes. Raises ProxyError when mitmproxy is not installed.
    """
    if importlib.util.find_spec("mitmproxy") is None:
        raise ProxyError("mitmproxy is not installed for this Python: pip install mitmproxy")
    with tempfile.TemporaryDirectory(prefix="s2-mitm-demo-") as confdir:
        # The user's own mitmproxy settings are for other work than this.
        arguments = ["--set", f"confdir={confdir}", "-s", str(_ADDON)]
        arguments += ["--mode", f"reverse:http://127.0.0.1:{upstream}"]
        arguments += ["--listen-host", "127.0.0.1", "-p", str(listen)]
        for name, value in options.items():
            arguments += ["--set", f"{name}={value}"]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"from mitmproxy.tools.main import {program}; {program}()",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            # Ctrl-C is for us: the proxy is stopped after those who talk through it.
            start_new_session=True,
        )
        proxy = Proxy(program, process)
        try:
            yield proxy
        finally:
            await proxy.stop()


def free_port(preferred: int = 0) -> int:
    """A TCP port of the loopback that is free now: ``preferred`` if it can be had."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            # As servers do: a port whose last connection has only just closed is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ProxyError("there is no free port on 127.0.0.1")
