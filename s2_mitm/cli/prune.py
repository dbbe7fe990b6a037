"""Old sessions out of a recording, by hand: ``s2-mitm prune``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from s2_mitm.history.retention import Retention


def _retention(ctx: click.Context, parameter: click.Parameter, text: str) -> Retention:
    from s2_mitm.history.retention import parse_retention

    try:
        return parse_retention(text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, parameter) from None


@click.command()
@click.option(
    "--db",
    metavar="FILE",
    default="s2.sqlite3",
    help="A file or a postgresql:// URL; s2.sqlite3 by default.",
)
@click.option(
    "--keep",
    metavar="LIMITS",
    required=True,
    callback=_retention,
    help="What may stay: 30d (also s m h w), 2GB (also kB MB KiB MiB GiB), or 30d,2GB.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def prune(db: str, keep: Any, dry_run: bool, as_json: bool) -> None:
    """Take old sessions out of a recording, also of one that is being written.

    Whole sessions go, those that ended first before others: all that ended longer ago than the
    age, and more until the rest is well within the size. A session that is open stays. A proxy
    does the same by itself with --set s2_retain=LIMITS.
    """
    from s2_mitm.history.database import RecordingError
    from s2_mitm.history.retention import prune, would_prune
    from s2_mitm.history.target import database_of
    from s2_mitm.s2.wording import counted

    try:
        database = database_of(db)
        gone = would_prune(database, keep) if dry_run else prune(database, keep)
    except RecordingError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(
            json.dumps({"sessions": gone.sessions, "messages": gone.messages, "bytes": gone.bytes})
        )
        return
    sessions, messages = counted(gone.sessions, "session"), counted(gone.messages, "message")
    size = f"about {gone.bytes / 1e6:.1f} MB"
    if dry_run:
        click.echo(f"{sessions} with {messages} would go from {database.name}, {size}.")
    else:
        click.echo(f"{sessions} with {messages} went from {database.name}, {size}.")
