"""What was recorded: ``s2-mitm sessions``, ``messages`` and ``findings``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from s2_mitm.cli import options
from s2_mitm.s2.verdict import Finding, Role, Severity, Source

if TYPE_CHECKING:
    from rich.console import RenderableType

    from s2_mitm.history.queries import History

MOST = 10**15
"""A limit beyond which no database counts."""

NEWEST = 100
"""How many rows a table has when nobody asked for more."""


def _time(ctx: click.Context, parameter: click.Parameter, text: str | None) -> datetime | None:
    from s2_mitm.history.typed_times import parse_time

    if text is None:
        return None
    try:
        return parse_time(text, now=datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, parameter) from None


def _reading(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that reads a recording."""
    roles = click.Choice([str(role) for role in Role], case_sensitive=False)
    severities = click.Choice(["error", "warning", "info"])
    most = click.IntRange(0, MOST)
    where = "A file or a postgresql:// URL; s2.sqlite3 by default."
    ago = "ISO 8601 in UTC, or 10m, 2h, 3d ago"
    upto = f"The newest N, 0 for all.  [default: {NEWEST}, with --json all]"
    added = [
        click.option("--db", metavar="FILE", default="s2.sqlite3", help=where),
        click.option("--session", metavar="ID", help="Of this session; enough of its id will do."),
        click.option("--type", "types", metavar="T", multiple=True, help="Of this type, or these."),
        click.option("--sender", type=roles, help="By this side."),
        click.option("--severity", type=severities, help="With findings as bad as this, or worse."),
        click.option("--code", metavar="C", help="With findings of this code."),
        click.option("--since", metavar="T", callback=_time, help=f"From then on: {ago}."),
        click.option("--until", metavar="T", callback=_time, help="Until then."),
        click.option("--limit", type=most, metavar="N", help=upto),
        click.option("--json", "as_json", is_flag=True, help="JSON lines."),
    ]
    for option in reversed(added):
        command = option(command)
    return command


@click.command()
@_reading
def sessions(db: str, limit: int | None, as_json: bool, **wanted: Any) -> None:
    """The sessions of a recording: those that have the messages asked for."""
    from s2_mitm.render.tables import sessions_table

    with _history(db) as history:
        _show(history.sessions, wanted, limit, sessions_table, as_json)


@click.command()
@_reading
def messages(db: str, limit: int | None, as_json: bool, **wanted: Any) -> None:
    """The messages of a recording, and what they mean; with --json also what was found in them."""
    from s2_mitm.render.tables import messages_table
    from s2_mitm.replay.meanings import Meanings

    with _history(db) as history:

        def told(**narrowed: Any) -> Iterator[dict[str, Any]]:
            return Meanings(history).told(history.messages(**narrowed))

        # In a pipe a row stays a line.
        _show(told, wanted, limit, partial(messages_table, below=sys.stdout.isatty()), as_json)


@click.command()
@_reading
@options.summary
def findings(db: str, limit: int | None, as_json: bool, summary: bool, **wanted: Any) -> None:
    """The findings of a recording."""
    from s2_mitm.render.tables import findings_table

    with _history(db) as history:
        if summary:
            _show_groups(history, limit, wanted, as_json=as_json)
            return
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


def _show_groups(
    history: History, limit: int | None, wanted: dict[str, Any], *, as_json: bool
) -> None:
    """Print the findings asked for, each kind once with its count."""
    from s2_mitm.render.groups import Groups, Place, group_lines

    groups = Groups()
    for row in history.findings(**_meant(wanted), limit=limit or None):
        number = f"{row['session_id'][:8]} #{row['seq']}"
        place = Place(number, (row["timestamp"] or "")[:19].replace("T", " "))
        source, severity = Source(row["source"]), Severity(row["severity"])
        finding = Finding(row["code"], severity, source, row["path"] or "", row["text"])
        groups.add(finding, row["sender"], row["message_type"], place)
    if as_json:
        for group in groups:
            click.echo(json.dumps(group.as_dict()))
    elif not groups:
        click.echo("Nothing that was recorded fits.", err=True)
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in group_lines(groups, width=width):
            click.echo(line)


def _meant(wanted: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, as queries take it."""
    sender, severity = wanted["sender"], wanted["severity"]
    return wanted | {
        "sender": Role(sender) if sender else None,
        "severity": Severity(severity) if severity else None,
    }


def _show(
    query: Callable[..., Iterator[dict[str, Any]]],
    wanted: dict[str, Any],
    limit: int | None,
    table: Callable[[list[dict[str, Any]]], RenderableType],
    as_json: bool,
) -> None:
    """Print what ``query`` yields, as lines of JSON or as a table."""
    wanted = _meant(wanted)
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
    for name, value in [*row.items()]:
        if isinstance(value, bytes):
            from base64 import b64encode

            row = {**row, name: None, f"{name}_base64": b64encode(value).decode()}
    return row


def _print(table: RenderableType) -> None:
    from rich.console import Console

    # In a pipe a row is a line, however long.
    console = Console() if sys.stdout.isatty() else Console(width=1_000_000)
    with console.capture() as captured:
        console.print(table)
    click.echo(captured.get(), nl=False)
