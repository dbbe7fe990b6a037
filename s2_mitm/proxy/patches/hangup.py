"""When the terminal is closed, or its ssh session ends, the proxy ends as with Ctrl-C.

Replaces what the system does at SIGHUP: it would end the process immediately, with sessions left
open in the recording. Where the proxy was started with ``nohup``, or as a service, it goes on.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from mitmproxy.master import Master


@contextmanager
def installed(master: Master) -> Iterator[None]:
    """For the event loop that runs."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, master.shutdown)
    try:
        yield
    finally:
        if not loop.is_closed():
            loop.remove_signal_handler(signal.SIGHUP)
