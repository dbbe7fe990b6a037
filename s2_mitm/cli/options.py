"""Options that several commands have."""

from __future__ import annotations

import click

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a message.")
"""What programs read, in place of what people read."""

fail_on = click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info", "never"]),
    default="error",
    show_default=True,
    help="The least severity that makes the exit status 1.",
)
"""From which severity on the exit status tells of findings."""
