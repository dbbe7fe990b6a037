"""The patches, in the order in which they are put in place: each on top of those before it.

A name has a module before the colon; then ``Class.method`` is what a class has, and
``Class().attribute`` what its objects have. With a function go the names of its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

VERIFIED = "mitmproxy 11.0.2 to 12.3.1, wsproto 1.2.0 to 1.3.2, Python 3.11 to 3.13"
"""With these all patches were tried, as the tests do it."""


@dataclass(frozen=True)
class Patch:
    """What a patch replaces, and what it needs to be there for that.

    ``lost`` is what the user has to do without when it is left out, the end of a sentence.
    ``relies_on`` has the parameters of a function, None for what is none. ``needs`` names the
    patches that it builds on. ``when_running`` is True for what is put in place not before
    mitmproxy runs, and ``only_with`` names a module without which there is nothing to replace.
    """

    name: str
    replaces: tuple[str, ...]
    lost: str
    relies_on: Mapping[str, str | None] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    when_running: bool = False
    only_with: str = ""
    verified: str = VERIFIED


_WEBSOCKET = "mitmproxy.proxy.layers.websocket"
_SERVER = "mitmproxy.proxy.server"

_LAYER: Mapping[str, str | None] = {
    f"{_WEBSOCKET}:WebsocketLayer.__init__": "self, context, flow",
    f"{_WEBSOCKET}:WebsocketLayer.relay_messages": "self, event",
    f"{_WEBSOCKET}:WebsocketLayer().flow": None,
}
_CONNECTION: Mapping[str, str | None] = {
    f"{_WEBSOCKET}:WebsocketConnection.__init__": "self, *args, conn, **kwargs",
    f"{_WEBSOCKET}:WebsocketConnection().frame_buf": None,
    "wsproto.connection:Connection.__init__": ("self, connection_type, extensions, trailing_data"),
    "wsproto.connection:Connection.events": "self",
    "wsproto.connection:Connection()._events": None,
    "wsproto.connection:Connection()._proto": None,
    "wsproto.frame_protocol:FrameProtocol.__init__": "self, client, extensions",
}
_TRANSPORTS: Mapping[str, str | None] = {
    "mitmproxy.addons.proxyserver:Proxyserver().connections": None,
    f"{_SERVER}:ConnectionHandler.drain_writers": "self",
    f"{_SERVER}:ConnectionHandler.server_event": "self, event",
    f"{_SERVER}:ConnectionHandler().transports": None,
    f"{_SERVER}:ConnectionIO.reader": None,
    f"{_SERVER}:ConnectionIO.writer": None,
}

PATCHES = (
    Patch(
        "output",
        replaces=("sys:stdout", "sys:stderr", "mitmproxy.addons.termlog:TermLogHandler().file"),
        relies_on={
            "mitmproxy.addonmanager:AddonManager().lookup": None,
            "mitmproxy.master:Master._termlog_addon": None,
            "mitmproxy.addons.termlog:TermLog().logger": None,
        },
        lost="a terminal that is paused, or a pipe that nobody reads, stops the traffic",
    ),
    Patch(
        "deflate",
        replaces=("wsproto.extensions:PerMessageDeflate",),
        relies_on={
            "wsproto.extensions:Extension.finalize": "self, offer",
            "wsproto.extensions:Extension.enabled": "self",
            "wsproto.extensions:Extension.frame_inbound_header": (
                "self, proto, opcode, rsv, payload_length"
            ),
            "wsproto.extensions:Extension.frame_inbound_payload_data": "self, proto, data",
            "wsproto.extensions:Extension.frame_inbound_complete": "self, proto, fin",
            "wsproto.extensions:Extension.frame_outbound": "self, proto, opcode, rsv, data, fin",
            "wsproto.frame_protocol:RsvBits": "rsv1, rsv2, rsv3",
            f"{_WEBSOCKET}:wsproto": None,
        },
        lost=(
            "some compressed messages that are right end their WebSocket, and a few kilobytes may"
            " become a gigabyte in memory"
        ),
    ),
    Patch(
        "closing",
        replaces=(f"{_WEBSOCKET}:WebsocketLayer", f"{_WEBSOCKET}:WebsocketConnection"),
        relies_on={
            **_LAYER,
            **_CONNECTION,
            f"{_WEBSOCKET}:WebsocketLayer.done": "self, _",
            f"{_WEBSOCKET}:WebsocketConnection.send2": "self, event",
            f"{_WEBSOCKET}:WebsocketEndHook": "flow",
            f"{_WEBSOCKET}:WebSocketMessageInjected": "flow, message",
            "wsproto.connection:Connection.send": "self, event",
            "wsproto.connection:Connection.state": None,
            "wsproto.connection:Connection()._state": None,
            "wsproto.frame_protocol:FrameProtocol._process_close": "self, frame",
        },
        lost=(
            "a WebSocket ends as mitmproxy has it: what one peer was still saying when the other"
            " closed is lost, and so is its own close frame; a proxy that closed it is not named"
        ),
    ),
    Patch(
        "frames",
        replaces=(f"{_WEBSOCKET}:WebsocketConnection", f"{_WEBSOCKET}:Fragmentizer"),
        relies_on={
            **_CONNECTION,
            f"{_WEBSOCKET}:Fragmentizer.__init__": "self, fragments, is_text",
            f"{_WEBSOCKET}:Fragmentizer.__call__": "self, content",
            f"{_WEBSOCKET}:Fragmentizer.msg": "self, data, message_finished",
            f"{_WEBSOCKET}:Fragmentizer.FRAGMENT_SIZE": None,
            "wsproto.frame_protocol:FrameProtocol()._message_decoder": None,
            "wsproto.frame_protocol:MessageDecoder.process_frame": "self, frame",
            "wsproto.frame_protocol:MessageDecoder().decoder": None,
        },
        lost=(
            "a text that is not UTF-8 ends its WebSocket before anybody can say what is wrong with"
            " it, and a large message that is injected or edited goes out in pieces"
        ),
    ),
    Patch(
        "masking",
        replaces=("wsproto.frame_protocol:XorMaskerSimple",),
        relies_on={
            "websockets.speedups:apply_mask": None,  # not where it was installed without it
            "wsproto.frame_protocol:XorMaskerSimple.__init__": "self, masking_key",
            "wsproto.frame_protocol:XorMaskerSimple.process": "self, data",
        },
        lost="every frame of a client takes 0.01 to 0.1 ms more of the processor",
    ),
    Patch(
        "delivery",
        replaces=(f"{_WEBSOCKET}:WebsocketLayer",),
        relies_on={**_LAYER, f"{_WEBSOCKET}:WebsocketMessageHook": "flow"},
        lost=(
            "what other addons did to a message before s2-mitm saw it is not known, and what they"
            " or the user did after that only when the next message comes"
        ),
    ),
    # It sets the drain_writers of a connection, around which pacing puts its own.
    Patch(
        "idle",
        replaces=(
            f"{_SERVER}:ConnectionHandler().drain_writers",
            f"{_SERVER}:TimeoutWatchdog().timeout",
        ),
        relies_on={**_TRANSPORTS, f"{_SERVER}:ConnectionHandler().timeout_watchdog": None},
        lost=(
            "mitmproxy ends a WebSocket that is silent for ten minutes, and does not notice a peer"
            " that is gone, or that reads nothing"
        ),
    ),
    Patch(
        "pacing",
        replaces=(
            f"{_WEBSOCKET}:WebsocketLayer",
            f"{_SERVER}:ConnectionHandler().drain_writers",
            "asyncio:StreamReader().read",
        ),
        relies_on={
            **_LAYER,
            **_TRANSPORTS,
            f"{_WEBSOCKET}:WebsocketMessageHook": "flow",
            f"{_WEBSOCKET}:WebsocketEndHook": "flow",
            "mitmproxy.proxy.layer:Layer.handle_event": "self, event",
            "mitmproxy.proxy.layer:Layer()._paused": None,
            "mitmproxy.proxy.layer:Layer()._paused_event_queue": None,
            "mitmproxy.proxy.events:DataReceived": "connection, data",
            "mitmproxy.proxy.commands:Log": "message, level",
            "asyncio:StreamReader.read": "self, n",
        },
        needs=("frames",),
        lost=(
            "a peer that sends faster than its messages are dealt with fills the memory, whatever"
            " s2_memory says, and one whose messages take long takes the time of all others"
        ),
    ),
    Patch(
        "fast_path",
        replaces=("mitmproxy.proxy.mode_servers:ProxyConnectionHandler",),
        relies_on={
            "mitmproxy.proxy.mode_servers:ProxyConnectionHandler.__init__": (
                "self, master, r, w, options, mode"
            ),
            "mitmproxy.proxy.mode_servers:ProxyConnectionHandler().master": None,
            f"{_SERVER}:ConnectionHandler.server_event": "self, event",
            f"{_SERVER}:ConnectionHandler().layer": None,
            f"{_SERVER}:ConnectionHandler().timeout_watchdog": None,
            f"{_SERVER}:TimeoutWatchdog.disarm": "self",
            f"{_WEBSOCKET}:WebsocketMessageHook": "flow",
            "mitmproxy.proxy.commands:SendData": "connection, data",
            "mitmproxy.proxy.events:HookCompleted": "command, reply",
            "mitmproxy.proxy.layer:Layer.handle_event": "self, event",
            "mitmproxy.addonmanager:AddonManager().lookup": None,
            "mitmproxy.addonmanager:AddonManager().chain": None,
            "mitmproxy.addonmanager:traverse": "chain",
            "mitmproxy.addonmanager:safecall": "",
            "mitmproxy.flow:Flow.wait_for_resume": "self",
            "mitmproxy.flow:Flow().intercepted": None,
        },
        lost="every message takes some 0.1 ms more of the processor",
    ),
    Patch(
        "saving",
        replaces=("mitmproxy.addons.save:Save.save_flow", "mitmproxy.io:FilteredFlowWriter.add"),
        relies_on={
            "mitmproxy.addons.save:Save.save_flow": "self, flow",
            "mitmproxy.addons.save:Save.maybe_rotate_to_new_file": "self",
            "mitmproxy.addons.save:Save().stream": None,
            "mitmproxy.addons.save:Save().current_path": None,
            "mitmproxy.addons.save:Save().active_flows": None,
            "mitmproxy.io:FilteredFlowWriter.add": "self, f",
            "mitmproxy.io:FilteredFlowWriter().fo": None,
            "mitmproxy.io:FilteredFlowWriter().flt": None,
            "mitmproxy.io.tnetstring:dumps": "value",
        },
        lost=(
            "a file of -w has only those messages of a WebSocket that s2_keep_messages keeps, and"
            " where it cannot be written the proxy ends"
        ),
    ),
    Patch(
        "descriptors",
        replaces=("asyncio:Server().sockets",),
        relies_on={
            "mitmproxy.addons.proxyserver:Proxyserver().servers": None,
            "mitmproxy.addons.proxyserver:Servers().changed": None,
            "mitmproxy.proxy.mode_servers:AsyncioServerInstance()._servers": None,
            "asyncio:Server.sockets": None,
            "asyncio.trsock:TransportSocket()._sock": None,
        },
        when_running=True,
        lost=(
            "when there are more connections than the system allows, the recording may not be able"
            " to open its file, and tracebacks fill the terminal"
        ),
    ),
    Patch(
        "hangup",
        replaces=("signal:SIGHUP",),
        relies_on={"mitmproxy.master:Master.shutdown": "self"},
        when_running=True,
        only_with="signal.SIGHUP",  # Windows has none
        lost=(
            "when the terminal is closed the proxy is killed, and its sessions stay open in the"
            " recording"
        ),
    ),
    Patch(
        "updates",
        replaces=("mitmproxy.tools.web.master:WebMaster._sig_view_update",),
        relies_on={
            "mitmproxy.tools.web.master:WebMaster._sig_view_update": "self, flow",
            "mitmproxy.tools.web.master:WebMaster().view": None,
            "mitmproxy.addons.view:View().sig_view_update": None,
        },
        when_running=True,
        only_with="mitmproxy.tools.web.master",
        lost=(
            "mitmweb sends the whole flow to its page at every message, which takes more time than"
            " all else that is done with it"
        ),
    ),
)
"""All there are."""

NAMES = tuple(patch.name for patch in PATCHES)


def markdown() -> str:
    """The patches as a table in Markdown, as the map of the package shows it."""
    lines = ["| patch | replaces | without it |", "|---|---|---|"]
    for patch in PATCHES:
        replaces = ", ".join(f"`{name.replace(':', '.')}`" for name in patch.replaces)
        lines.append(f"| `{patch.name}` | {replaces} | {patch.lost} |")
    return "\n".join(lines)
