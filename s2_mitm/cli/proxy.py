"""Between the two: ``s2-mitm web``, ``dump``, ``record`` and ``demo``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

import s2_mitm

_UNTOUCHED = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(context_settings=_UNTOUCHED)
@click.argument("url")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def web(url: str, args: Sequence[str]) -> int:
    """Run mitmweb with s2-mitm in front of URL, such as ws://cem:8080.

    All that follows URL goes to mitmweb as it is: -p PORT, --set OPTION=VALUE, -k, ...
    """
    from s2_mitm.proxy.patches import output

    output.install()
    from mitmproxy.tools.main import mitmweb

    return mitmweb([*_in_front_of(url, args), *args]) or 0


@click.command(context_settings=_UNTOUCHED)
@click.argument("url")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def dump(url: str, args: Sequence[str]) -> int:
    """Run mitmdump with s2-mitm in front of URL, such as ws://cem:8080.

    All that follows URL goes to mitmdump as it is: -p PORT, --set OPTION=VALUE, -k, ...
    mitmdump's own lines are left out, as with --set flow_detail=0.
    """
    from s2_mitm.proxy.patches import output

    output.install()
    from mitmproxy.tools.main import mitmdump

    return mitmdump([*_in_front_of(url, args), "--set", "flow_detail=0", *args]) or 0


@click.command(context_settings=_UNTOUCHED)
@click.argument("url")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def record(url: str, args: Sequence[str]) -> int:
    """Record what goes to and from URL, such as ws://cem:8080, with as little effort as can be.

    For a machine that is left alone: it does what dump does, with less of mitmproxy around it. What
    follows URL are options of mitmdump: -p PORT, --listen-host HOST, --set OPTION=VALUE, -k,
    --certs PATH, -w FILE, -s SCRIPT, -q, ... (--help after URL shows them). Those that would do
    nothing here, such as --anticache or --mode, are refused.
    """
    from s2_mitm.proxy.patches import output

    output.install()
    from s2_mitm.addon import addons
    from s2_mitm.proxy import headless

    headless.run(_asked(url, args), addons, args)
    return 0


def _in_front_of(url: str, args: Sequence[str]) -> list[str]:
    """mitmproxy's arguments for a reverse proxy of ``url`` with our addon."""
    addon = Path(s2_mitm.__file__).with_name("addon.py")
    return ["--mode", f"reverse:{_asked(url, args)}", "-s", str(addon)]


def _asked(url: str, args: Sequence[str]) -> str:
    """``url`` as mitmproxy takes it, after telling the user what to do about a path in it."""
    upstream, path = _upstream(url)
    if path:
        # Which path is asked for is up to the client, and mitmproxy passes it on.
        peer = f"ws://localhost:{_listen_port(args)}{path}"
        click.echo(f"s2-mitm: let the peer connect to {peer}", err=True)
    return upstream


def _upstream(url: str) -> tuple[str, str]:
    """``ws://cem:8080/s2`` as mitmproxy takes it, and its path: ``http://cem:8080``, ``/s2``."""
    from urllib.parse import urlsplit

    from mitmproxy.net import server_spec

    schemes = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
    try:
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise ValueError
        upstream = f"{schemes[parts.scheme]}://{parts.netloc}"
        server_spec.parse(upstream, "http")
    except (KeyError, ValueError):
        raise click.ClickException(
            f"'{url}' is not the URL of a peer: first give ws://HOST:PORT or wss://HOST:PORT, "
            "then mitmproxy's options"
        ) from None
    path = parts._replace(scheme="", netloc="", fragment="").geturl()
    return upstream, "" if path == "/" else path


def _listen_port(args: Sequence[str]) -> str:
    """The port that mitmproxy will listen on, as far as its arguments say."""
    import argparse

    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("-p", "--listen-port", default="8080")
    parser.add_argument("--set", action="append", default=[])
    try:
        known, _ = parser.parse_known_args(args)
    except argparse.ArgumentError:
        return "8080"
    of_options = dict(option.partition("=")[::2] for option in known.set)
    return str(of_options.get("listen_port", known.listen_port))


@click.command()
@click.option("--web", is_flag=True, help="In mitmweb, until Ctrl-C.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="How long the conversation is.",
)
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to record.  [default: s2-demo.sqlite3, replaced]",
)
def demo(web: bool, seconds: float, db: Path | None) -> int:
    """Show a battery and its energy manager talking through the proxy, mistakes and all."""
    from s2_mitm.demo import show
    from s2_mitm.proxy.patches import output

    output.install()
    output.end_within()
    return show.run(web=web, seconds=seconds, db=db)
