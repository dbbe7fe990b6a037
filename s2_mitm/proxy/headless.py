"""A reverse proxy without a screen: mitmproxy's core, and of its addons those that WebSockets need.

mitmdump calls some forty addons for every message, of which hardly one has anything to say here.
What those leave out would do is no option here either, and asking for it is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from mitmproxy import hooks
from mitmproxy.addons import (
    block,
    core,
    disable_h2c,
    errorcheck,
    modifyheaders,
    next_layer,
    proxyauth,
    proxyserver,
    save,
    script,
    tlsconfig,
    update_alt_svc,
    upstream_auth,
)
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.tools import main

logger = logging.getLogger(__name__)

WITHOUT_MEANING = {
    "content_view_lines_cutoff",
    "http3",
    "http_connect_send_host_header",
    "mode",
    "protobuf_definitions",
    "server",
    "show_ignored_hosts",
    "showhost",
    "udp_hosts",
}
"""Options of mitmproxy's core that nothing here looks at, or that are not for the user to set."""


class HeadlessMaster(Master):
    """Runs the proxy with ``addons`` as the first to hear of everything."""

    def __init__(self, options: Options, addons: Sequence[Any]) -> None:
        super().__init__(options, with_termlog=True)
        self.asked_for: set[str] = set()
        """The options on the command line; those of the configuration file may be for mitmweb."""
        self._first = addons
        for addon in addons:
            self.addons.register(addon)
        # In the order that mitmproxy has them.
        self.addons.add(
            core.Core(),
            block.Block(),
            disable_h2c.DisableH2C(),
            proxyauth.ProxyAuth(),
            proxyserver.Proxyserver(),
            script.ScriptLoader(),
            next_layer.NextLayer(),
            modifyheaders.ModifyHeaders(),
            save.Save(),
            tlsconfig.TlsConfig(),
            upstream_auth.UpstreamAuth(),
            update_alt_svc.UpdateAltSvc(),
            errorcheck.ErrorCheck(),
        )

    async def run(self) -> None:
        # Once, now that all options are known, as mitmproxy does with the scripts of -s.
        self.addons.chain[:0] = self._first
        for addon in self._first:
            self.addons.invoke_addon_sync(addon, hooks.ConfigureHook(self.options.keys()))
        for _ in range(2):  # turns of the event loop, after which the scripts have been loaded
            await asyncio.sleep(0)
        if unknown := self.asked_for & {*self.options.deferred, *WITHOUT_MEANING}:
            # After which mitmproxy does not start.
            logger.error(f"Unknown option(s): {', '.join(sorted(unknown))}")
        await super().run()


def run(upstream: str, addons: Sequence[Any], arguments: Sequence[str]) -> None:
    """Be a reverse proxy for ``upstream``, such as ``http://cem:8080``, until a signal ends it.

    ``arguments`` are those of mitmdump, as far as they mean something. Raises SystemExit where one
    is wrong, or the proxy cannot start.
    """
    made: list[HeadlessMaster] = []

    def master(options: Options) -> HeadlessMaster:
        made.append(HeadlessMaster(options, addons))
        return made[0]

    def last(args: argparse.Namespace) -> dict[str, Any]:
        made[0].asked_for = {each.partition("=")[0] for each in args.setoptions}
        return {"mode": [f"reverse:{upstream}"]}

    # It only calls the first.
    main.run(master, _parser, arguments, last)  # type: ignore[arg-type]


def _parser(options: Options) -> argparse.ArgumentParser:
    """The parser of our command line: what mitmproxy's own has, and means something here."""
    parser = argparse.ArgumentParser(
        prog="s2-mitm record UPSTREAM", usage="%(prog)s [options]", allow_abbrev=False
    )
    parser.add_argument("--version", action="store_true", help="Show versions and exit.")
    parser.add_argument("--options", action="store_true", help="Show what can be --set and exit.")
    parser.add_argument(
        "--set",
        dest="setoptions",
        default=[],
        action="append",
        metavar="option[=value]",
        help="Set an option.",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="Log errors only.")
    parser.add_argument("-v", "--verbose", action="store_true", help="Log more.")
    # mitmproxy asks for these; there is no screen to give commands on, and nothing to filter.
    parser.set_defaults(commands=False, filter_args=[])
    options.make_parser(parser, "scripts", metavar="SCRIPT", short="s")
    options.make_parser(parser, "save_stream_file", metavar="PATH", short="w")
    group = parser.add_argument_group("Proxy")
    options.make_parser(group, "listen_host", metavar="HOST")
    options.make_parser(group, "listen_port", metavar="PORT", short="p")
    options.make_parser(group, "upstream_auth", metavar="USER:PASS")
    options.make_parser(group, "proxyauth", metavar="SPEC")
    options.make_parser(group, "modify_headers", metavar="PATTERN", short="H")
    options.make_parser(group, "http2")
    group = parser.add_argument_group("TLS")
    options.make_parser(group, "certs", metavar="SPEC")
    options.make_parser(group, "cert_passphrase", metavar="PASS")
    options.make_parser(group, "ssl_insecure", short="k")
    return parser
