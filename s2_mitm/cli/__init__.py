"""The ``s2-mitm`` command.

Exit status: 0 fine, 1 findings as bad as ``--fail-on``, 2 used wrongly or unreadable input. Every
complaint is one line on stderr.
"""

# Nothing slow is imported here but in the commands: `s2-mitm --help` is asked for all the time.
from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any

import click

from s2_mitm import __version__
from s2_mitm.cli import check, proxy, prune, recording, rules, validate
from s2_mitm.s2.wording import printable

CLOSED_PIPE = 141
CTRL_C = 130
"""What a shell reports for a program that SIGPIPE or SIGINT ended."""


class _Commands(click.Group):
    """Complains in one line, and ends quietly on Ctrl-C and where the reader of a pipe is gone."""

    def main(self, *args: Any, **extra: Any) -> Any:
        standalone = extra.get("standalone_mode", True)
        extra["standalone_mode"] = False
        _have_streams()
        status: Any
        try:
            status = super().main(*args, **extra)
        except (click.ClickException, OSError, MemoryError) as error:
            if not standalone:
                raise
            complaint = printable(" ".join(_sentence(error).split()))
            click.echo(f"s2-mitm: {complaint}", err=True)
            status = 2
        if standalone:
            sys.exit(status if isinstance(status, int) else 0)
        return status

    def invoke(self, ctx: click.Context) -> Any:
        try:
            status = super().invoke(ctx)
            sys.stdout.flush()
            return status
        except BrokenPipeError:
            _let_go_of_output()
            return CLOSED_PIPE
        except KeyboardInterrupt:
            return CTRL_C


def _sentence(error: click.ClickException | OSError | MemoryError) -> str:
    match error:
        case click.ClickException():
            return error.format_message()
        case OSError():  # such as a disk that is full under what is written to it
            _let_go_of_output()
            about = f"{error.filename}: " if error.filename else ""
            return f"{about}{error.strerror or error}"
    return "there is not enough memory for this"


def _have_streams() -> None:
    """Let the three streams take whatever there is to say, also where one was closed before."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            # What the terminal has no letters for is written as an escape.
            stream.reconfigure(errors="backslashreplace")


def _let_go_of_output() -> None:
    # Python would write what is left at its end, and complain.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_Commands, invoke_without_command=True)
@click.version_option(__version__, message="s2-mitm %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """See what an S2 Resource Manager and its energy manager say to each other, and who is wrong.

    Between the two: web, dump, record, demo. On files: validate, check. On a recording: sessions,
    messages, findings, prune. What the codes of findings mean: rules.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in (
    proxy.web,
    proxy.dump,
    proxy.record,
    proxy.demo,
    validate.validate,
    check.check,
    rules.rules,
    recording.sessions,
    recording.messages,
    recording.findings,
    prune.prune,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line and exit with its status."""
    cli(prog_name="s2-mitm")
