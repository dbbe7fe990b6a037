"""What the codes of findings mean: ``s2-mitm rules``."""

from __future__ import annotations

import json
import shutil

import click

PIPE_WIDTH = 100
"""Columns where the output is no terminal."""


@click.command()
@click.argument("code", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a kind of finding.")
def rules(code: str | None, as_json: bool) -> None:
    """List what s2-mitm can find, or explain the finding with this CODE."""
    from s2_mitm.report.rules import as_dict, explanation, overview
    from s2_mitm.s2.explaining import nearest
    from s2_mitm.s2.kinds import KINDS

    width = shutil.get_terminal_size((PIPE_WIDTH, 0)).columns
    if code is not None and code not in KINDS:
        meant = nearest(code, KINDS)
        hint = f"did you mean '{meant}'?" if meant else "s2-mitm rules lists them all"
        raise click.ClickException(f"there is no finding with the code '{code}'; {hint}")
    kinds = list(KINDS.values()) if code is None else [KINDS[code]]
    if as_json:
        for kind in kinds:
            click.echo(json.dumps(as_dict(kind)))
        return
    for line in overview(kinds, width) if code is None else explanation(kinds[0], width):
        click.echo(line)
