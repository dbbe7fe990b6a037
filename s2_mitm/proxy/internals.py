"""What is looked up in mitmproxy and is no interface of it: nothing fails if it is not there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from mitmproxy import ctx
from mitmproxy.exceptions import OptionsError
from mitmproxy.http import HTTPFlow
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.optmanager import OptManager
from mitmproxy.proxy.server import ConnectionHandler

from s2_mitm.s2.message.explaining import nearest


def handler_of(flow: HTTPFlow) -> ConnectionHandler | None:
    """mitmproxy's handler of the flow's connections; None for a flow that is over, or of a file."""
    connections: Any = getattr(ctx.master.addons.get("proxyserver"), "connections", {})
    handler: ConnectionHandler | None = connections.get(flow.client_conn.id)
    return handler


def prints_log(master: Master) -> bool:
    """Whether it prints what is logged; mitmproxy's console owns the screen, and does not."""
    if not hasattr(master, "_termlog_addon"):
        return not hasattr(master, "keymap")
    return master._termlog_addon is not None


def shows_flows(master: Master) -> bool:
    """Whether people look at flows while it runs: in mitmweb and the console, not in mitmdump."""
    return master.addons.get("view") is not None


def is_ending(master: Master) -> bool:
    """Whether mitmproxy is about to end; True where that is not known."""
    should_exit = getattr(master, "should_exit", None)
    return should_exit is None or bool(should_exit.is_set())


def set_quietly(options: Options, name: str, value: str) -> None:
    """Set an option without telling any addon, us included, of a change."""
    known: Any = getattr(options, "_options", {})
    if name in known:
        known[name].set(value)
    else:
        options.update(**{name: value})


def refused_settings(options: OptManager, names: Collection[str]) -> Iterator[str]:
    """A sentence for each ``--set s2_…`` that cannot be had, which is forgotten then.

    ``names`` are the options that there are. mitmproxy keeps a setting until the addon whose option
    it is has been loaded; where it cannot read one it says nothing, and does without the addon.
    """
    waiting: Any = getattr(options, "deferred", {})
    known: Any = getattr(options, "_options", {})
    for name in [each for each in waiting if each.startswith("s2_")]:
        given = getattr(waiting[name], "val", None)
        if name not in names:
            meant = nearest(name, names)
            yield f"there is no option {name}{f'; {meant} is one' if meant else ''}."
        elif given is None or not hasattr(options, "_parse_setval"):
            continue
        else:
            try:
                options._parse_setval(known[name], given)
                continue
            except OptionsError as problem:
                reason = str(problem).removeprefix(f"Failed to parse option {name}: ")
                yield f"{name}: {reason[:1].lower()}{reason[1:].removesuffix('.')}."
        del waiting[name]
