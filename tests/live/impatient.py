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
        from s2_mitm.proxy import idle
        idle.KEEPALIVE.update(TCP_KEEPIDLE=1, TCP_KEEPINTVL=1, TCP_KEEPCNT=2)

addons = [Soon()]
"""


@contextmanager
def running_with_little_patience(
    folder: Path, upstream: int, *arguments: str, **options: Any
) -> Iterator[Proxy]:
    (folder / "soon.py").write_text(SOON)
    with running(folder, upstream, "-s", str(folder / "soon.py"), *arguments, **options) as proxy:
        yield proxy
