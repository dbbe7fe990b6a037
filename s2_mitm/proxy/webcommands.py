"""Let mitmweb run commands whose name has a digit in it.

mitmweb's route for commands takes letters and dots only, so that its command bar and its REST
interface answer 404 to ``s2.inject``.
"""

from __future__ import annotations

from typing import Any

from mitmproxy.master import Master

ROUTE = r"/commands/(?P<cmd>s2\.[a-z.]+)"

# As mitmweb 11 has it against DNS rebinding; later ones have a login instead.
_BY_ADDRESS = r"^(localhost|[0-9.]+|\[[0-9a-fA-F:]+\])$"


def install(master: Master) -> None:
    """Add the route to mitmweb's application, once; mitmdump and the console have none."""
    app: Any = getattr(master, "app", None)
    if app is None or "s2_commands" in app.settings:
        return
    from mitmproxy.tools.web.app import ExecuteCommand  # tornado, which mitmdump does not need

    app.settings["s2_commands"] = ROUTE
    app.add_handlers(".*" if app.default_host is None else _BY_ADDRESS, [(ROUTE, ExecuteCommand)])
