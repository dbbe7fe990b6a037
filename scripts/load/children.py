"""Processes of our own that are asked and that answer, in lines of JSON.

Each ends when its standard input does, so that none outlives the one that started it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds after which a process that does not do as it is told has failed."""

ROOT = Path(__file__).resolve().parents[2]

SCRIPTS = ROOT / "scripts"


class MeasurementError(Exception):
    """The measurement failed; the text says why in one sentence."""


@dataclass
class Child:
    """A process that was started. A question is a line of JSON, and so is the answer."""

    what: str
    process: asyncio.subprocess.Process

    async def ask(self, question: Any = None, seconds: float = 0.0) -> Any:
        """The answer to a question, which may take ``seconds`` and some patience."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        return await self.answer(seconds)

    async def answer(self, seconds: float = 0.0) -> Any:
        """What it says next, within ``seconds`` and some patience."""
        assert self.process.stdout is not None
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), seconds + PATIENCE)
        except TimeoutError:
            raise MeasurementError(f"{self.what} does not answer") from None
        if not line:
            raise MeasurementError(f"{self.what} ended by itself; what it said stands above")
        answer = json.loads(line)
        if isinstance(answer, dict) and "failed" in answer:
            raise MeasurementError(answer["failed"])
        return answer

    async def stop(self) -> None:
        """End the process: kindly, and by force if it takes too long or we are cancelled."""
        try:
            if self.process.returncode is None:
                with suppress(ProcessLookupError):
                    self.process.terminate()
                await asyncio.wait_for(self.process.wait(), PATIENCE)
        except TimeoutError:
            raise MeasurementError(f"{self.what} does not end") from None
        finally:
            if self.process.returncode is None:
                self.process.kill()


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours, such as ``load.peers``."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """The environment of what is started: with this checkout, and without other proxies."""
    path = os.pathsep.join(filter(None, (str(ROOT), str(SCRIPTS), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path, "no_proxy": "127.0.0.1"}


@asynccontextmanager
async def child(
    what: str, module: str, *arguments: str, printing: int | None = None
) -> AsyncIterator[Child]:
    """Run a module of ours as a program while the context lasts.

    ``printing`` is where its standard error goes, as for asyncio; without it, to our own.
    """
    process = await asyncio.create_subprocess_exec(
        *command(module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=printing,
        env=environment(),
        limit=2**24,
        # Ctrl-C is for the one that started it.
        start_new_session=True,
    )
    started = Child(what, process)
    try:
        yield started
    except BaseException:
        if process.returncode is None:
            process.kill()  # or mitmproxy complains of what is still open
        raise
    finally:
        await started.stop()


async def questions() -> AsyncIterator[Any]:
    """What this process is asked on standard input, until that ends."""
    reader = asyncio.StreamReader(limit=2**24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def say(answer: Any) -> None:
    """Answer the one that started this process."""
    print(json.dumps(answer), flush=True)
