"""A proxy that waits for seconds where it waits for minutes in earnest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxies import Proxy, running

# What takes ten minutes in earnest takes a second here; 11 has a constant, 12 an option.
SOON = """
from mitmproxy import ctx
from mitmproxy.proxy import server

class Soon:
    def load(self, loader):
        if hasattr(server, "TCP_TIMEOUT"):
            server.TCP_TIMEOUT = 1
        else:
            ctx.options._options["tcp_timeout"]._default = 1

    def running(self):
        from s2_mitm.proxy.patches import idle
        idle.KEEPALIVE.update(TCP_KEEPIDLE=1, TCP_KEEPINTVL=1, TCP_KEEPCNT=2)

addons = [Soon()]
"""


# A recorder that says every half second that it is there, and whom ten seconds of silence satisfy.
SOON_GONE = """
from s2_mitm.history import presence, recorder

recorder.RENEW_SECONDS = 0.5
presence.GONE_SECONDS = 10.0
addons = []
"""


@contextmanager
def running_and_soon_gone(folder: Path, upstream: int, **options: Any) -> Iterator[Proxy]:
    """A proxy that takes others for gone, as it does in earnest, but sooner."""
    (folder / "soon_gone.py").write_text(SOON_GONE)
    with running(folder, upstream, "-s", str(folder / "soon_gone.py"), **options) as proxy:
        yield proxy


@contextmanager
def running_with_little_patience(
    folder: Path, upstream: int, *arguments: str, **options: Any
) -> Iterator[Proxy]:
    (folder / "soon.py").write_text(SOON)
    with running(folder, upstream, "-s", str(folder / "soon.py"), *arguments, **options) as proxy:
        yield proxy
