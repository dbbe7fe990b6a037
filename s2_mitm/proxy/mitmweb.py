"""What mitmweb needs from us: a route for our commands, and a word about its safety.

mitmweb's route for commands takes letters and dots only, so that its command bar and its REST
interface answer 404 to ``s2.inject``. Ours asks for more than mitmweb's own: a page of another
origin that is open in the same browser, such as that of a device on another port, has its cookies.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mitmproxy.master import Master
from mitmproxy.version import VERSION

logger = logging.getLogger(__name__)

ROUTE = r"/commands/(?P<cmd>s2\.[a-z.]+)"

HAS_LOGIN = tuple(int(part) for part in VERSION.split(".")[:3]) >= (11, 1, 2)
"""Whether this mitmweb lets only those in who know its password."""

# As mitmweb 11 has it against DNS rebinding; later ones have a login instead.
_BY_ADDRESS = r"^(localhost|[0-9.]+|\[[0-9a-fA-F:]+\])$"


def prepare(master: Master) -> None:
    """Prepare mitmweb's application, once; mitmdump and the console have none."""
    app: Any = getattr(master, "app", None)
    if app is None or "s2_commands" in app.settings:
        return
    app.settings["s2_commands"] = ROUTE
    try:
        app.add_handlers(".*" if app.default_host is None else _BY_ADDRESS, [(ROUTE, _handler())])
    except (ImportError, AttributeError) as missing:  # its application is no interface
        logger.warning(
            f"s2-mitm: its commands, such as s2.inject, are not there in this mitmweb ({missing})."
        )
    if not HAS_LOGIN:
        logger.warning(
            f"mitmweb {VERSION} has no login: whoever reaches its page, any program on this machine"
            " included, can read and send as you do (CVE-2025-23217). Keep it on 127.0.0.1, or use"
            " mitmproxy 12, which needs Python 3.12."
        )


def is_open_to_all(master: Master) -> bool:
    """Whether this is a mitmweb whose commands may come from anybody who reaches its page."""
    return not HAS_LOGIN and getattr(master, "app", None) is not None


def _handler() -> type:
    # With tornado, which mitmdump does without.
    from mitmproxy.tools.web.app import APIError, ExecuteCommand

    class Command(ExecuteCommand):
        """Runs a command for mitmweb's own page, and for programs, which name no origin."""

        def prepare(self) -> None:
            if not is_same_origin(self.request.headers, self.request.host):
                raise APIError(403, "Only mitmweb's own page may do this.")
            if self.request.headers.get("Content-Type", "").split(";")[0] != "application/json":
                raise APIError(415, "Send application/json.")  # and not what any form can send
            mitmwebs: Any = super()
            mitmwebs.prepare()

    return Command


def is_same_origin(headers: Mapping[str, str], host: str) -> bool:
    """Whether a request comes from the page that it goes to, or from no page at all.

    Takes its headers, and the host, with its port, that it was sent to.
    """
    if site := headers.get("Sec-Fetch-Site"):  # what the browser itself says
        return site in ("same-origin", "none")
    origin = headers.get("Origin")
    return origin is None or origin.partition("://")[2] == host
