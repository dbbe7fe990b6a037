"""Messages in files: ``s2-mitm validate``."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s2_mitm.cli import options
from s2_mitm.cli.files import UnreadableError, read_all
from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.verdict import Severity, Verdict

if TYPE_CHECKING:
    from s2_mitm.render.documents import Document

FEW = 20
"""Messages of which each has a line, even if there is nothing to say of it."""

PIPE_WIDTH = 100
"""Columns where the output is no terminal."""

SUFFIXES = (".json", ".jsonl", ".ndjson")
"""The files of a directory that are looked at."""

BY_THEMSELVES = "(each by itself; see s2-mitm check)"
"""What stands after the sums, so that nobody takes a valid message for one that fits its place."""

MAX_COMPLAINTS = 3
"""Unreadable files that the one line about them names."""


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE | DIR | -] …")
@click.option(
    "--version",
    metavar="V",
    callback=options.version_of,
    help=f"Hold them against S2 {' or '.join(VERSIONS)}.  [default: any; what fits"
    " one of them is right]",
)
@click.option(
    "--schemas",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Use these JSON Schemas, laid out like s2-ws-json, in place of the built-in ones.",
)
@options.as_json
@click.option("--verbose", "-v", is_flag=True, help=f"A line for each of more than {FEW} messages.")
@options.summary
@options.fail_on
def validate(
    files: Sequence[str],
    version: str | None,
    directory: Path | None,
    as_json: bool,
    verbose: bool,
    summary: bool,
    fail_on: str,
) -> int:
    """Judge the messages in files, in directories, or on standard input.

    A FILE holds one message, a JSON array of messages, or one message a line. In a DIR and all
    below it the files that end in .json, .jsonl or .ndjson are read.

    Each message is judged by itself: by its schema, by s2-python, and by the rules that need
    nothing but the message. All other rules need the conversation: s2-mitm check asks them.
    """
    from s2_mitm.cli.progress import Progress
    from s2_mitm.s2.conversation.alone import judge_alone
    from s2_mitm.s2.conversation.settings import Settings
    from s2_mitm.s2.message.schemas import SchemaError, Schemas

    sums = _Sums()
    sources = _Sources(files or ["-"])
    messages = sources.messages()
    beginning = list(islice(messages, FEW + 1))
    folded = _Folded(as_json)
    writer: Callable[[Verdict, str, Document], Iterator[str]] = _for_programs
    if summary:
        writer = folded
    elif not as_json:
        writer = _ForPeople(verbose or len(beginning) <= FEW)
    try:
        schemas = Schemas(directory) if directory else None
        settings = Settings(version=version, schemas=schemas)
        with Progress(sources.size, enabled=not as_json and sys.stderr.isatty()) as progress:
            for name, document in chain(beginning, messages):
                verdict = judge_alone(document.data, settings)
                sums.add(verdict)
                for line in writer(verdict, name, document):
                    progress.make_way()
                    click.echo(line)
                progress.advance(len(document.data))
    except SchemaError as error:
        raise click.ClickException(str(error)) from None
    for line in folded.lines():
        click.echo(line)
    if not as_json and (sums.messages or not sources.complaints):
        click.echo(f"{sums.styled()} {click.style(BY_THEMSELVES, dim=True)}")
    if sources.complaints:
        raise click.ClickException(_one_line(sources.complaints))
    return int(fail_on != "never" and sums.has(Severity(fail_on)))


def _one_line(complaints: Sequence[str]) -> str:
    named = "; ".join(complaints[:MAX_COMPLAINTS])
    more = len(complaints) - MAX_COMPLAINTS
    return f"{named}; and {more} more" if more > 0 else named


class _Sums:
    """``12 messages, 2 invalid, 3 errors, 1 warning``."""

    def __init__(self) -> None:
        self.messages = self._invalid = 0
        self._found: Counter[Severity] = Counter()

    def add(self, verdict: Verdict) -> None:
        self.messages += 1
        self._invalid += not verdict.valid
        self._found.update(finding.severity for finding in verdict.findings)

    def has(self, least: Severity) -> bool:
        return any(severity.rank >= least.rank for severity in self._found)

    def styled(self) -> str:
        """In the colour of the worst, for `click.echo`."""
        from s2_mitm.render.verdicts import COLOURS

        worst = max(self._found, key=lambda severity: severity.rank, default=None)
        return click.style(str(self), fg=COLOURS[worst] if worst else "green", bold=True)

    def __str__(self) -> str:
        from s2_mitm.s2.wording import counted

        parts = [counted(self.messages, "message"), f"{self._invalid} invalid"]
        for severity in (Severity.ERROR, Severity.WARNING):
            parts.append(counted(self._found[severity], severity))
        if infos := self._found[Severity.INFO]:
            parts.append(f"{infos} info")
        return ", ".join(parts)


class _Sources:
    """The files to read; what could not be read is in ``complaints``.

    ``size`` is that of all of them, as far as it is known before.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.complaints: list[str] = []
        self._files: list[str] = []
        for name in names:
            self._files += self._in_directory(name) if os.path.isdir(name) else [name]
        self.size = sum(os.path.getsize(file) for file in self._files if os.path.isfile(file))

    def messages(self) -> Iterator[tuple[str, Document]]:
        """The messages of all files, each with the name of its file."""
        from s2_mitm.render.documents import documents

        for name in self._files:
            try:
                content = read_all(name)
            except UnreadableError as error:
                self.complaints.append(str(error))
            else:
                for document in documents(content):
                    yield name, document

    def _in_directory(self, name: str) -> list[str]:
        complaints = len(self.complaints)
        found = [
            os.path.join(directory, file)
            for directory, _, files in os.walk(
                name,
                onerror=lambda error: self.complaints.append(
                    f"cannot read {error.filename}: {error.strerror}"
                ),
            )
            for file in files
            if file.lower().endswith(SUFFIXES)
        ]
        if not found and len(self.complaints) == complaints:
            self.complaints.append(f"no file in {name} ends in {', '.join(SUFFIXES)}")
        return sorted(found)


def _for_programs(verdict: Verdict, name: str, document: Document) -> Iterator[str]:
    """A line of JSON."""
    from s2_mitm.render.diagnostics import located

    judged: dict[str, Any] = {"file": name}
    if document.line is not None:
        judged["line"] = document.line
    if document.index is not None:
        judged["index"] = document.index
    judged["message_type"] = verdict.message_type
    judged["valid"] = verdict.valid
    judged["findings"] = [found.as_dict() for found in located(verdict, document)]
    yield json.dumps(judged)


class _Folded:
    """What is found in all messages, each kind once, when all were judged."""

    def __init__(self, as_json: bool) -> None:
        from s2_mitm.render.groups import Groups

        self._as_json = as_json
        self._groups = Groups()

    def __call__(self, verdict: Verdict, name: str, document: Document) -> Iterator[str]:
        from s2_mitm.render.groups import Place
        from s2_mitm.s2.wording import printable

        place = Place(printable(_label("stdin" if name == "-" else name, document)))
        self._groups.add_all(verdict, place)
        yield from ()

    def lines(self) -> Iterator[str]:
        from s2_mitm.render.groups import group_lines

        if self._as_json:
            for group in self._groups:
                yield json.dumps(group.as_dict())
            return
        width = shutil.get_terminal_size((PIPE_WIDTH, 0)).columns
        yield from group_lines(self._groups, width=width)


class _ForPeople:
    """The findings of a message with the text that they are about, or that there are none."""

    def __init__(self, name_the_valid: bool) -> None:
        self._name_the_valid = name_the_valid
        self._width = shutil.get_terminal_size((PIPE_WIDTH, 0)).columns
        self._after_short_line = False

    def __call__(self, verdict: Verdict, name: str, document: Document) -> Iterator[str]:
        from s2_mitm.render.diagnostics import diagnostic, located
        from s2_mitm.render.verdicts import verdict_lines
        from s2_mitm.s2.wording import printable

        file = "stdin" if name == "-" else name
        if not verdict.findings:
            if self._name_the_valid:
                self._after_short_line = True
                yield from verdict_lines(verdict, label=printable(_label(file, document)))
            return
        if self._after_short_line:
            self._after_short_line = False
            yield ""
        message_type = verdict.message_type or ""
        for found in located(verdict, document):
            yield from diagnostic(
                found, document, self._width, file=file, message_type=message_type
            )
            yield ""


def _label(file: str, document: Document) -> str:
    if document.line is not None:
        return f"{file}:{document.line}"
    return file if document.index is None else f"{file}[{document.index}]"
