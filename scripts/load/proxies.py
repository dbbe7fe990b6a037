"""The proxies that are loaded: mitmdump, with and without us, and what we have beside it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from load.children import ROOT, Child, MeasurementError, child
from load.programs import WITHOUT_RULES
from s2_mitm.cli import cli


@dataclass(frozen=True)
class Kind:
    """A proxy to be measured: its name, the program that it is, whether it records."""

    name: str
    program: str
    records: bool = True

    @property
    def is_there(self) -> bool:
        """Whether this checkout has it."""
        return self.program != "record" or "record" in cli.commands


PLAIN = Kind("plain mitmdump", "mitmdump", records=False)
WITH_US = Kind("s2-mitm", "mitmdump")
RECORD = Kind("s2-mitm record", "record")
NO_RULES = Kind("s2-mitm, no rules", WITHOUT_RULES)

USUAL = (PLAIN, WITH_US, RECORD)


@asynccontextmanager
async def running(
    kind: Kind,
    upstream: int,
    folder: Path,
    recording: Path | str,
    *arguments: str,
    printing: int | None = None,
) -> AsyncIterator[tuple[Child, int]]:
    """Run a proxy to the server on port ``upstream``: its process, and the port that it is to have.

    It may not listen there yet. ``folder`` is for what it keeps beside the recording, ``printing``
    is as for `child`.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    place = ["--listen-host", "127.0.0.1", "-p", str(port)]
    options = ["--set", f"confdir={folder}/confdir", "--set", "termlog_verbosity=error"]
    if kind.records:
        options += ["--set", "s2_log=none", "--set", f"s2_db={recording}"]
    if kind.program == "record":
        line = [f"ws://127.0.0.1:{upstream}", *place, *options]
    else:
        line = ["--mode", f"reverse:http://127.0.0.1:{upstream}", *place, *options]
        line += ["--set", "flow_detail=0"] if kind.program != "mitmweb" else []
        line += ["-s", str(ROOT / "s2_mitm" / "addon.py")] if kind.records else []
    line = ["load.programs", kind.program, *line, *arguments]
    async with child(kind.name, *line, printing=printing) as process:
        yield process, port


async def at_rest(process: Child) -> float:
    """Wait until a proxy has written down what there was; its seconds of processor time by then."""
    used = float((await process.ask())["cpu"])
    for _ in range(400):
        await asyncio.sleep(0.15)
        before, used = used, float((await process.ask())["cpu"])
        if used - before < 0.01:
            return used
    raise MeasurementError(f"{process.what} does not come to rest")
