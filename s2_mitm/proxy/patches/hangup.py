"""When the terminal is closed, or its ssh session ends, the proxy ends as with Ctrl-C.

The system would end it at once, with sessions left open in the recording. Who starts it with
``nohup``, or as a service, has it go on.
"""

from __future__ import annotations

import asyncio
import signal

from mitmproxy.master import Master


def end_in_order(master: Master) -> None:
    """Let the event loop that runs end ``master`` when the terminal is closed."""
    hangup = getattr(signal, "SIGHUP", None)  # which Windows has not
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:
        asyncio.get_running_loop().add_signal_handler(hangup, master.shutdown)
