"""What the codes of findings mean: ``s2-mitm rules``."""

from __future__ import annotations

import json
import os
import shutil
import sys

import click

from s2_mitm.cli.files import UnreadableError, read_all

PIPE_WIDTH = 100
"""Columns where the output is no terminal."""


@click.command()
@click.argument("code", required=False)
@click.option(
    "--coverage",
    "statements",
    metavar="FILE",
    help="Tell what holds each sentence of a normative-statements.json.",
)
@click.option("--run", is_flag=True, help="Play the examples of CODE and show what is found.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a kind, sentence or message."
)
def rules(code: str | None, statements: str | None, run: bool, as_json: bool) -> int:
    """List what s2-mitm can find, or explain the finding with this CODE.

    With --run the examples of CODE, one that has the finding and one that has not, are played: each
    message is shown, and what is found in it.

    With --coverage it is the rules, the schema, or the reason why nobody can see it from the
    outside, for each sentence of the specification; the exit status is 1 where one has none.
    """
    from s2_mitm.render.rules import as_dict, explanation, overview
    from s2_mitm.s2.message.explaining import nearest
    from s2_mitm.s2.rules import FINDING_TYPES

    width = shutil.get_terminal_size((PIPE_WIDTH, 0)).columns
    if statements is not None:
        if code is not None:
            raise click.ClickException("give a CODE or --coverage, not both")
        if run:
            raise click.ClickException("give --run or --coverage, not both")
        return _coverage(statements, width, as_json)
    if code is not None and code not in FINDING_TYPES:
        meant = nearest(code, FINDING_TYPES)
        hint = f"did you mean '{meant}'?" if meant else "s2-mitm rules lists them all"
        raise click.ClickException(f"there is no finding with the code '{code}'; {hint}")
    if run:
        return _run(code, width, as_json)
    kinds = list(FINDING_TYPES.values()) if code is None else [FINDING_TYPES[code]]
    if as_json:
        for kind in kinds:
            click.echo(json.dumps(as_dict(kind)))
        return 0
    lines = (
        overview(kinds, width)
        if code is None
        else explanation(kinds[0], width, with_links=_shows_links())
    )
    for line in lines:
        click.echo(line)
    return 0


def _shows_links() -> bool:
    """Whether the output is a terminal, which shows links or at least leaves them out."""
    return (
        sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") not in ("dumb", "linux")
    )


def _run(code: str | None, width: int, as_json: bool) -> int:
    from s2_mitm.render.examples import played, played_as_dicts
    from s2_mitm.s2.rules import FINDING_TYPES

    if code is None:
        raise click.ClickException("--run plays the examples of one finding: give its CODE")
    if as_json:
        for message in played_as_dicts(FINDING_TYPES[code]):
            click.echo(json.dumps(message))
        return 0
    for line in played(FINDING_TYPES[code], width):
        click.echo(line)
    return 0


def _coverage(file: str, width: int, as_json: bool) -> int:
    from s2_mitm.render.coverage import coverage, coverage_lines, read_statements

    try:
        covered = coverage(read_statements(read_all(file), file))
    except (ValueError, UnreadableError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        for item in covered:
            click.echo(json.dumps(item.as_dict()))
    else:
        for line in coverage_lines(covered, width):
            click.echo(line)
    return int(not all(item.explained for item in covered))
