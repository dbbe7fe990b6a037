"""What mitmweb needs from us: a route for our command, calm, and a word about its safety.

mitmweb's route for commands takes letters and dots only, so that its command bar and its REST
interface answer 404 to ``s2.inject``.
"""

from __future__ import annotations

import logging
from typing import Any

from mitmproxy.master import Master
from mitmproxy.version import VERSION

from s2_mitm.proxy import updates

logger = logging.getLogger(__name__)

ROUTE = r"/commands/(?P<cmd>s2\.[a-z.]+)"

FIRST_WITH_LOGIN = (11, 1, 2)

# As mitmweb 11 has it against DNS rebinding; later ones have a login instead.
_BY_ADDRESS = r"^(localhost|[0-9.]+|\[[0-9a-fA-F:]+\])$"


def prepare(master: Master) -> None:
    """Prepare mitmweb's application, once; mitmdump and the console have none."""
    app: Any = getattr(master, "app", None)
    if app is None or "s2_commands" in app.settings:
        return
    from mitmproxy.tools.web.app import ExecuteCommand  # tornado, which mitmdump does without

    app.settings["s2_commands"] = ROUTE
    app.add_handlers(".*" if app.default_host is None else _BY_ADDRESS, [(ROUTE, ExecuteCommand)])
    updates.moderate(master)
    if tuple(int(part) for part in VERSION.split(".")[:3]) < FIRST_WITH_LOGIN:
        logger.warning(
            f"mitmweb {VERSION} has no login: whoever reaches its page, any program on this machine"
            " included, can read and send as you do (CVE-2025-23217). Keep it on 127.0.0.1, or use"
            " mitmproxy 12, which needs Python 3.12."
        )
