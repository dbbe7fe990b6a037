"""Recorded conversations, judged again: ``s2-mitm check``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import click

from s2_mitm.cli import options
from s2_mitm.cli.files import UnreadableError, read_all, read_head
from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.verdict import Severity

if TYPE_CHECKING:
    from s2_mitm.replay.recorded import RecordedSession
    from s2_mitm.replay.replayed import ReplayedSession
    from s2_mitm.s2.conversation.settings import Settings


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE | - …")
@click.option(
    "--version",
    metavar="V",
    callback=options.version_of,
    help=f"Hold them against S2 {' or '.join(VERSIONS)} where no handshake selects a version.",
)
@options.as_json
@click.option(
    "--verbose", "-v", is_flag=True, help="Messages without findings too, and what each means."
)
@options.summary
@click.option("--ignore", "ignored", metavar="CODE", multiple=True, help="Say nothing of these.")
@click.option(
    "--severity",
    "severities",
    metavar="CODE=S",
    multiple=True,
    help="Take these as error, warning or info.",
)
@options.fail_on
def check(
    files: Sequence[str],
    version: str | None,
    as_json: bool,
    verbose: bool,
    summary: bool,
    ignored: Sequence[str],
    severities: Sequence[str],
    fail_on: str,
) -> int:
    """Judge recorded conversations again, with the rules that there are now.

    A FILE is a recording of s2-mitm, also one at a postgresql:// URL, a flow file of mitmproxy, or
    JSON Lines as s2-mitm messages --json prints them: at least sender (RM or CEM), time (or
    timestamp) and message (or content); seq says where the beginning is missing.
    A CODE is that of a finding, or ack.* for all that begin with ack.; commas separate several.
    """
    from s2_mitm.history.database import RecordingError
    from s2_mitm.render.verdicts import verdict_as_dict
    from s2_mitm.replay.lines import Totals, replay_lines
    from s2_mitm.replay.recorded import NotRecordedError
    from s2_mitm.replay.replayed import replay

    settings = _settings(version, ignored, severities)
    totals = Totals()
    complaints: list[str] = []
    for name in files:
        before = totals.sessions
        shown = "stdin"
        try:
            shown = _shown(name)
            for recorded in _recorded(name):
                replayed = replay(recorded, settings, meanings=verbose)
                if replayed is None:
                    continue
                totals.add(replayed)
                if summary:
                    for line in _summary(replayed, shown, as_json=as_json):
                        click.echo(line)
                elif as_json:
                    for each in replayed.messages:
                        judged = verdict_as_dict(each.number, each.verdict, injected=each.injected)
                        file = name if name == "-" else shown
                        place = {"file": file, "session": replayed.id or None}
                        click.echo(json.dumps({**place, **judged}))
                else:
                    for line in replay_lines(replayed, shown, verbose=verbose):
                        click.echo(line)
        except (RecordingError, NotRecordedError, UnreadableError) as error:
            complaints.append(str(error))
        else:
            if totals.sessions == before:
                complaints.append(f"there is no S2 conversation in {shown}")
    if not as_json and (totals.sessions or not complaints):
        click.echo(totals.styled())
    if complaints:
        raise click.ClickException("; ".join(complaints))
    return int(fail_on != "never" and totals.has(Severity(fail_on)))


def _summary(replayed: ReplayedSession, name: str, *, as_json: bool) -> Iterator[str]:
    """What was found in a session, each kind once."""
    from s2_mitm.render.groups import group_lines
    from s2_mitm.replay.lines import grouped, headline

    groups = grouped(replayed)
    if as_json:
        for group in groups:
            yield json.dumps({"file": name, "session": replayed.id or None, **group.as_dict()})
        return
    yield headline(replayed, name)
    yield from group_lines(groups)


def _settings(version: str | None, ignored: Sequence[str], severities: Sequence[str]) -> Settings:
    from s2_mitm.s2.choice import parse_codes, parse_severities
    from s2_mitm.s2.conversation.settings import Settings

    try:
        return Settings(
            version=version,
            ignore=parse_codes(",".join(ignored)),
            severity=parse_severities(",".join(severities)),
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _shown(name: str) -> str:
    """What to call a file; never with a password."""
    if "://" in name:
        from s2_mitm.history.target import database_of

        return database_of(name).name
    return "stdin" if name == "-" else name


def _recorded(name: str) -> Iterator[RecordedSession]:
    """The sessions in a file, of whatever kind it is."""
    from s2_mitm.history.queries import History
    from s2_mitm.replay.json_lines import from_lines
    from s2_mitm.replay.recorded import NotRecordedError
    from s2_mitm.replay.recording import SQLITE, from_history

    data = b"" if "://" in name else _content_of(name)
    if "://" in name or data.startswith(SQLITE):
        with closing(History(name)) as history:
            yield from from_history(history)
        return
    shown = _shown(name)
    if not data.strip():
        raise NotRecordedError(f"{shown} is empty")
    if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        yield from from_lines(data, shown)
        return
    # It takes half a second to import mitmproxy.
    from s2_mitm.replay.flow_file import from_flows

    yield from from_flows(data, shown)


def _content_of(name: str) -> bytes:
    """What is in a file, of a recording only its beginning; the database is read elsewhere."""
    from s2_mitm.replay.recording import SQLITE

    if name != "-" and (head := read_head(name, len(SQLITE))) == SQLITE:
        return head
    return read_all(name)
