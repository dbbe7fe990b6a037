"""The demo: a battery and a CEM that talk through a real proxy, and what came of it."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import logging
import os
import secrets
import shlex
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from s2python.connection.async_.medium.s2_medium import MediumCouldNotConnectError

from s2_mitm.demo.battery import run_battery
from s2_mitm.demo.cem import serve_cem
from s2_mitm.demo.mistakes import MISTAKES
from s2_mitm.demo.proxy import ProxyError, free_port, start_proxy
from s2_mitm.demo.summary import SummaryError, last_message, summarize

RECORDING = Path("s2.sqlite3")
"""Where the demo records when it is not told otherwise: where s2-mitm itself does."""

_PATIENCE = 60.0  # seconds the proxy gets to start; a Raspberry Pi takes its time
_DAYS_OF_A_WEB_SESSION = 30  # long enough to try something out on a live connection


class DemoError(Exception):
    """The demo could not be shown; the text says why in one sentence."""


def run(
    *, web: bool = False, seconds: float = 10.0, db: Path | None = None, browser: bool = False
) -> int:
    """Show the demo; returns the exit status, 0 when all went well.

    ``seconds`` is the length of the conversation. With ``web`` it runs in mitmweb, repeats itself
    and goes on until Ctrl-C; ``browser`` opens one. ``db`` is the file to record in, which must
    not exist yet; without it `RECORDING` is replaced. What goes wrong is one sentence on stderr.
    """
    # Both libraries log what is part of this show: a proxy that is not up yet, a peer that leaves.
    for library in ("s2python", "websockets"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    # The way to our own proxy must not lead through another one of the environment.
    os.environ["no_proxy"] = "127.0.0.1"
    recording = db or RECORDING
    try:
        if seconds < 1:
            raise DemoError("a conversation takes a second at least")
        if not recording.absolute().parent.is_dir():
            raise DemoError(f"there is no folder {recording.absolute().parent}")
        before = last_message(recording)
        if web:
            asyncio.run(_show_in_browser(recording, seconds, browser))
        else:
            asyncio.run(_show_in_terminal(recording, seconds))
            _say("", summarize(recording, after=before))
    except (asyncio.CancelledError, KeyboardInterrupt):
        if not web:
            return 130  # as a shell has it for what Ctrl-C ended
    except (DemoError, ProxyError, SummaryError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(error.strerror or str(error))
    _say("", *_where_to_go_next(recording, web))
    return 0


async def _show_in_terminal(recording: Path, seconds: float) -> None:
    _cancel_on_signals()
    listen, upstream = free_port(), free_port()
    _say(
        f"A simulated battery (RM) and a CEM talk through mitmdump for {seconds:g} seconds.",
        "On purpose there is",
        *(f"  {mistake.message_type}: {mistake.what}" for mistake in MISTAKES),
        "All else should be right.",
        "",
    )
    options = {
        "s2_db": str(recording.resolve()),
        "s2_log": "all",
        "s2_ack_timeout": "1",  # the whole day takes no longer than the usual ten seconds
        "flow_detail": "0",
        "termlog_verbosity": "warn",
    }
    async with (
        start_proxy("mitmdump", listen=listen, upstream=upstream, options=options) as proxy,
        serve_cem(port=upstream, seconds=seconds),
    ):
        if not await proxy.while_it_runs(_talk(f"ws://127.0.0.1:{listen}", seconds)):
            raise DemoError("the conversation broke off before its end")


async def _show_in_browser(recording: Path, seconds: float, browser: bool) -> None:
    _cancel_on_signals()
    listen, upstream, page = free_port(), free_port(), free_port(preferred=8081)
    options = {
        "s2_db": str(recording.resolve()),
        "s2_ack_timeout": "1",
        "web_port": str(page),
        "web_open_browser": str(browser).lower(),
        "termlog_verbosity": "warn",
    }
    token = ""
    if _mitmweb_has_login():
        password = secrets.token_hex(16)
        # As a hash: mitmweb warns of a plain one, and everyone can see a command line.
        options["web_password"] = importlib.import_module("argon2").PasswordHasher().hash(password)
        token = f"?token={password}"
    _say(
        f"mitmweb: http://127.0.0.1:{page}/{token}",
        "A simulated battery (RM) and a CEM talk through it until you press Ctrl-C.",
        "",
    )
    async with (
        start_proxy("mitmweb", listen=listen, upstream=upstream, options=options) as proxy,
        serve_cem(port=upstream, seconds=seconds, days=_DAYS_OF_A_WEB_SESSION),
    ):
        while True:
            await proxy.while_it_runs(_talk(f"ws://127.0.0.1:{listen}", seconds))
            await proxy.while_it_runs(asyncio.sleep(1))


async def _talk(url: str, seconds: float) -> bool:
    """One conversation, as soon as somebody listens at ``url``; as `run_battery`."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + _PATIENCE
    while clock.time() < deadline:
        with suppress(MediumCouldNotConnectError):
            return await run_battery(url, seconds=seconds)
        await asyncio.sleep(0.1)
    raise DemoError(f"the proxy did not answer within {_PATIENCE:g} seconds")


def _cancel_on_signals() -> None:
    """Let whatever ends us end the proxy first."""
    task = asyncio.current_task()
    assert task is not None
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Windows has neither SIGHUP nor such handlers; there Ctrl-C does the same by itself.
        with suppress(AttributeError, NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(getattr(signal, name), task.cancel)


def _mitmweb_has_login() -> bool:
    major, minor, patch = importlib.metadata.version("mitmproxy").split(".")[:3]
    return (int(major), int(minor), int(patch)) >= (11, 1, 2)


def _where_to_go_next(recording: Path, web: bool) -> list[str]:
    file = shlex.quote(str(recording))
    of_it = "" if recording == RECORDING else f" --db {file}"
    query = "select sender, message_type, valid from messages"
    command, called_as = "s2-mitm", Path(sys.argv[0])
    # scripts/demo installs it into a place that is not on the PATH.
    if not shutil.which(command) and called_as.name == command:
        with suppress(ValueError):
            called_as = called_as.relative_to(Path.cwd())
        command = shlex.quote(str(called_as))
    steps = [
        (f"sqlite3 {file} '{query}'", "the conversation in order"),
        (f"{command} messages{of_it}", "the same as a table"),
    ]
    if not web:
        steps.append((f"{command} demo --web", "the same, live in the browser"))
    steps.append(("README.md", "how to put it between your own RM and CEM"))
    return ["Where to go next:", *(f"  {step}\n      {why}" for step, why in steps)]


def _fail(sentence: str) -> int:
    print(f"s2-mitm demo: {sentence}.", file=sys.stderr)
    return 1


def _say(*lines: str) -> None:
    # The proxy writes to the same place: nothing of ours may wait in a buffer.
    print(*lines, sep="\n", flush=True)
