"""Options that several commands have."""

from __future__ import annotations

import click

from s2_mitm.s2.catalog import VERSIONS, known_version


def version_of(_ctx: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    """The version of S2 that a user names, by any name that it goes by."""
    if given is None:
        return None
    known = known_version(given)
    if known is None:
        raise click.ClickException(
            f"there is no S2 version '{given}'; there is {', '.join(VERSIONS)}"
        )
    return known


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a message.")
"""What programs read, in place of what people read."""

summary = click.option(
    "--summary", is_flag=True, help="Fold what is found again: each kind once, with its count."
)
"""Groups of findings, in place of each."""

fail_on = click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info", "never"]),
    default="error",
    show_default=True,
    help="The least severity that makes the exit status 1.",
)
"""From which severity on the exit status tells of findings."""
