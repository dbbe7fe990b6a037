"""The ``s2-mitm`` command.

Exit status: 0 fine, 1 findings as bad as ``--fail-on``, 2 used wrongly or unreadable input. Every
complaint is one line on stderr.
"""

# Nothing slow is imported here but in the commands: `s2-mitm --help` is asked for all the time.
from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s2_mitm import __version__
from s2_mitm.s2.catalog import DEFAULT_VERSION, VERSIONS
from s2_mitm.s2.verdict import Role, Severity, Verdict

if TYPE_CHECKING:
    from rich.table import Table

    from s2_mitm.history.queries import History

CLOSED_PIPE = 141
CTRL_C = 130
"""What a shell reports for a program that SIGPIPE or SIGINT ended."""

NEWEST = 100
"""How many rows a table has when nobody asked for more."""


class _Commands(click.Group):
    """Complains in one line, and ends quietly on Ctrl-C and where the reader of a pipe is gone."""

    def main(self, *args: Any, **extra: Any) -> Any:
        standalone = extra.get("standalone_mode", True)
        extra["standalone_mode"] = False
        status: Any
        try:
            status = super().main(*args, **extra)
        except click.ClickException as error:
            if not standalone:
                raise
            complaint = " ".join(error.format_message().split())
            click.echo(f"s2-mitm: {complaint}", err=True)
            status = 2
        if standalone:
            sys.exit(status if isinstance(status, int) else 0)
        return status

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Python would write what is left at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return CLOSED_PIPE
        except KeyboardInterrupt:
            return CTRL_C


@click.group(cls=_Commands, invoke_without_command=True)
@click.version_option(__version__, message="s2-mitm %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """See what an S2 Resource Manager and its energy manager say to each other, and who is wrong.

    Between the two: web, dump, demo. On files: validate. On a recording: sessions, messages,
    findings.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the command line and exit with its status."""
    cli(prog_name="s2-mitm")


# validate


@dataclass(frozen=True, slots=True)
class Document:
    """One message of a file: its bytes, and the line (from 1) or place in an array (from 0)."""

    data: bytes
    line: int | None = None
    index: int | None = None


_SPACE = re.compile(r"[ \t\n\r]*")


def documents(data: bytes) -> Iterator[Document]:
    """The messages in the bytes of a file: one, those of a JSON array, or one a line.

    Each keeps its own bytes, faults and all. What is neither of these is one message.
    """
    # A mark that some editors put first; it is of the file, not of the message.
    data = data.removeprefix(b"\xef\xbb\xbf")
    items = _array_items(data)
    if items is not None:
        for index, item in enumerate(items):
            yield Document(item, index=index)
    elif _is_lines(data):
        # At line feeds only: str.splitlines would also cut within JSON strings.
        for number, line in enumerate(data.split(b"\n"), 1):
            if line.strip():
                yield Document(line.strip(b"\r"), line=number)
    else:
        yield Document(data)


def _array_items(data: bytes) -> list[bytes] | None:
    """The items of a JSON array as they stand in ``data``; None where it is none."""
    if not data.lstrip().startswith(b"["):
        return None
    # Lenient about characters within strings: it only looks where an item ends.
    decoder = json.JSONDecoder(strict=False)
    try:
        text = data.decode()
        place = _skip(text, _skip(text, 0) + 1)
        items = []
        more = text[place : place + 1] != "]"
        while more:
            _, end = decoder.raw_decode(text, place)
            items.append(text[place:end].encode())
            place = _skip(text, end)
            more = text[place : place + 1] == ","
            if more:
                place = _skip(text, place + 1)
    except (ValueError, RecursionError):
        return None
    closed = text[place : place + 1] == "]" and _skip(text, place + 1) == len(text)
    return items if closed else None


def _skip(text: str, place: int) -> int:
    space = _SPACE.match(text, place)
    return space.end() if space else place


def _is_lines(data: bytes) -> bool:
    """Whether this is JSON lines: several, and the first or the last looks like an object.

    A single message that is broken and spread over lines has neither.
    """
    lines = [line for line in map(bytes.strip, data.split(b"\n")) if line]
    if len(lines) < 2 or _is_json(data):
        return False
    return any(line.startswith(b"{") and line.endswith(b"}") for line in (lines[0], lines[-1]))


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _known_version(_ctx: click.Context, _parameter: click.Parameter, version: str) -> str:
    if version not in VERSIONS:
        known = ", ".join(VERSIONS)
        raise click.ClickException(f"there is no S2 version '{version}'; there is {known}")
    return version


@cli.command()
@click.argument("files", nargs=-1, metavar="[FILE … | -]")
@click.option(
    "--version",
    metavar="V",
    default=DEFAULT_VERSION,
    show_default=True,
    callback=_known_version,
    help="The version of S2 to hold them against.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a message.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info", "never"]),
    default="error",
    show_default=True,
    help="The least severity that makes the exit status 1.",
)
def validate(files: Sequence[str], version: str, as_json: bool, fail_on: str) -> int:
    """Judge the messages in files, or on standard input.

    A FILE holds one message, a JSON array of messages, or one message a line.
    """
    from s2_mitm.report.verdicts import verdict_lines
    from s2_mitm.s2.validation import judge
    from s2_mitm.s2.wording import printable

    sums = _Sums()
    for name in files or ["-"]:
        for document in documents(_content_of(name)):
            verdict = judge(document.data, version=version)
            sums.add(verdict)
            if as_json:
                click.echo(json.dumps(_judged(verdict, name, document)))
                continue
            label = printable(_label(name, document))
            for line in verdict_lines(verdict, label=label):
                click.echo(line)
    if not as_json:
        click.echo(str(sums))
    return int(fail_on != "never" and sums.has(Severity(fail_on)))


class _Sums:
    """``12 messages, 2 invalid, 3 errors, 1 warning``."""

    def __init__(self) -> None:
        self._messages = self._invalid = 0
        self._found: Counter[Severity] = Counter()

    def add(self, verdict: Verdict) -> None:
        self._messages += 1
        self._invalid += not verdict.valid
        self._found.update(finding.severity for finding in verdict.findings)

    def has(self, least: Severity) -> bool:
        return any(severity.rank >= least.rank for severity in self._found)

    def __str__(self) -> str:
        from s2_mitm.report.tables import plural

        parts = [plural(self._messages, "message"), f"{self._invalid} invalid"]
        for severity in (Severity.ERROR, Severity.WARNING):
            parts.append(plural(self._found[severity], severity))
        if infos := self._found[Severity.INFO]:
            parts.append(f"{infos} info")
        return ", ".join(parts)


def _content_of(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read()
        return Path(name).read_bytes()
    except OSError as error:
        raise click.ClickException(f"cannot read {name}: {error.strerror}") from None


def _label(name: str, document: Document) -> str:
    file = "stdin" if name == "-" else name
    if document.line is not None:
        return f"{file}:{document.line}"
    return file if document.index is None else f"{file}[{document.index}]"


def _judged(verdict: Verdict, name: str, document: Document) -> dict[str, Any]:
    place = {"file": name, "line": document.line, "index": document.index}
    return {
        **{name: value for name, value in place.items() if value is not None},
        "message_type": verdict.message_type,
        "valid": verdict.valid,
        "findings": [finding.as_dict() for finding in verdict.findings],
    }


# sessions, messages, findings


def _moment(ctx: click.Context, parameter: click.Parameter, text: str | None) -> datetime | None:
    from s2_mitm.history.moments import moment

    if text is None:
        return None
    try:
        return moment(text, now=datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, parameter) from None


def _reading(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that reads a recording."""
    roles = click.Choice([str(role) for role in Role], case_sensitive=False)
    severities = click.Choice(["error", "warning", "info"])
    most = click.IntRange(min=0)
    ago = "ISO 8601 in UTC, or 10m, 2h, 3d ago"
    upto = f"The newest N, 0 for all.  [default: {NEWEST}, with --json all]"
    options = [
        click.option("--db", metavar="FILE", default="s2.sqlite3", help="s2.sqlite3 by default."),
        click.option("--session", metavar="ID", help="Of this session; enough of its id will do."),
        click.option("--type", "types", metavar="T", multiple=True, help="Of this type, or these."),
        click.option("--sender", type=roles, help="By this side."),
        click.option("--severity", type=severities, help="With findings as bad as this, or worse."),
        click.option("--code", metavar="C", help="With findings of this code."),
        click.option("--since", metavar="T", callback=_moment, help=f"From then on: {ago}."),
        click.option("--until", metavar="T", callback=_moment, help="Until then."),
        click.option("--limit", type=most, metavar="N", help=upto),
        click.option("--json", "as_json", is_flag=True, help="JSON lines."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@cli.command()
@_reading
def sessions(db: str, limit: int | None, as_json: bool, **wanted: Any) -> None:
    """The sessions of a recording: those that have the messages asked for."""
    from s2_mitm.report.tables import sessions_table

    with _history(db) as history:
        _show(history.sessions, wanted, limit, sessions_table, as_json)


@cli.command()
@_reading
def messages(db: str, limit: int | None, as_json: bool, **wanted: Any) -> None:
    """The messages of a recording; with --json also what was in them and found in them."""
    from s2_mitm.report.tables import messages_table

    with _history(db) as history:
        _show(history.messages, wanted, limit, messages_table, as_json)


@cli.command()
@_reading
def findings(db: str, limit: int | None, as_json: bool, **wanted: Any) -> None:
    """The findings of a recording."""
    from s2_mitm.report.tables import findings_table

    with _history(db) as history:
        _show(history.findings, wanted, limit, findings_table, as_json)


@contextmanager
def _history(db: str) -> Iterator[History]:
    from s2_mitm.history.database import RecordingError
    from s2_mitm.history.queries import History

    try:
        history = History(db)
        try:
            yield history
        finally:
            history.close()
    except RecordingError as error:
        raise click.ClickException(str(error)) from None


def _show(
    query: Callable[..., Iterator[dict[str, Any]]],
    wanted: dict[str, Any],
    limit: int | None,
    table: Callable[[list[dict[str, Any]]], Table],
    as_json: bool,
) -> None:
    """Print what ``query`` yields, as lines of JSON or as a table."""
    if wanted["sender"]:
        wanted["sender"] = Role(wanted["sender"])
    if wanted["severity"]:
        wanted["severity"] = Severity(wanted["severity"])
    if as_json:
        for row in query(**wanted, limit=limit or None):
            click.echo(json.dumps(_as_json(row)))
        return
    most = NEWEST if limit is None else limit
    # One more than is shown, to know whether there are more.
    rows = list(query(**wanted, limit=most + 1 if most else None))
    if not rows:
        click.echo("Nothing that was recorded fits.", err=True)
        return
    more = most and len(rows) > most
    _print(table(rows[1:] if more else rows))
    if more:
        click.echo(f"The newest {most}; --limit 0 shows all.", err=True)


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    """``row`` with what JSON cannot hold, bytes that are no text, in base64."""
    content = row.get("content")
    if not isinstance(content, bytes):
        return row
    from base64 import b64encode

    return {**row, "content": None, "content_base64": b64encode(content).decode()}


def _print(table: Table) -> None:
    from rich.console import Console

    # In a pipe a row is a line, however long.
    console = Console() if sys.stdout.isatty() else Console(width=1_000_000)
    with console.capture() as captured:
        console.print(table)
    click.echo(captured.get(), nl=False)


# web, dump, demo

_UNTOUCHED = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@cli.command(context_settings=_UNTOUCHED)
@click.argument("url")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def web(url: str, args: Sequence[str]) -> int:
    """Run mitmweb with s2-mitm in front of URL, such as ws://cem:8080.

    All that follows URL goes to mitmweb as it is: -p PORT, --set OPTION=VALUE, -k, ...
    """
    from mitmproxy.tools.main import mitmweb

    return mitmweb([*_in_front_of(url, args), *args]) or 0


@cli.command(context_settings=_UNTOUCHED)
@click.argument("url")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def dump(url: str, args: Sequence[str]) -> int:
    """Run mitmdump with s2-mitm in front of URL, such as ws://cem:8080.

    All that follows URL goes to mitmdump as it is: -p PORT, --set OPTION=VALUE, -k, ...
    mitmdump's own lines are left out, as with --set flow_detail=0.
    """
    from mitmproxy.tools.main import mitmdump

    return mitmdump([*_in_front_of(url, args), "--set", "flow_detail=0", *args]) or 0


def _in_front_of(url: str, args: Sequence[str]) -> list[str]:
    """mitmproxy's arguments for a reverse proxy of ``url`` with our addon."""
    upstream, path = _upstream(url)
    if path:
        # Which path is asked for is up to the client, and mitmproxy passes it on.
        peer = f"ws://localhost:{_listen_port(args)}{path}"
        click.echo(f"s2-mitm: let the peer connect to {peer}", err=True)
    addon = Path(__file__).with_name("addon.py")
    return ["--mode", f"reverse:{upstream}", "-s", str(addon)]


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


@cli.command()
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

    return show.run(web=web, seconds=seconds, db=db)


if __name__ == "__main__":
    main()
