"""A recording as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.box import Box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from s2_mitm.render.verdicts import COLOURS
from s2_mitm.s2.verdict import Severity
from s2_mitm.s2.wording import counted, printable

Row = Mapping[str, Any]

_BETWEEN = "\ue000"
"""What a line between two rows is drawn with: it is not printable, so that no cell has it."""

# Called ASCII, or rich takes another box in some terminals.
_WITH_LINES = Box(
    "\n".join(_BETWEEN * 4 if line in (2, 4) else "    " for line in range(8)) + "\n", ascii=True
)
"""Nothing around the cells, but a line below the headings and between the rows."""


def sessions_table(rows: Iterable[Row]) -> Table:
    """A line a session; takes what `History.sessions` yields.

    There is a column for the proxy where there were several, and one for the messages that could
    not be recorded where there are any.
    """
    rows = list(rows)
    several = len({row["proxy"] for row in rows} - {None}) > 1
    lossy = any(row["lost"] for row in rows)
    table = _table("session", "began (UTC)", "ended (UTC)", *(["proxy"] if several else []))
    for heading in ("client", "RM", "CEM", "control type"):
        table.add_column(heading, overflow="fold")
    for heading in ("messages", *(["lost"] if lossy else []), "errors", "warnings"):
        table.add_column(heading, justify="right")
    table.add_column("closed", overflow="fold")
    for row in rows:
        client = " ".join(_some(row["client_role"], row["client_address"], row["path"]))
        closed = " ".join(_some(row["close_code"], row["close_reason"]))
        by = f"by {row['closed_by']}" if row["closed_by"] else ""
        table.add_row(
            _short_id(row["id"]),
            _time(row["started_at"]),
            _time(row["ended_at"]),
            *([_text(row["proxy"])] if several else []),
            _text(client),
            _text(row["rm_id"]),
            _text(row["cem_id"]),
            _text(row["control_type"]),
            _text(row["messages"]),
            *([_text(row["lost"], style="bold red" if row["lost"] else "dim")] if lossy else []),
            _count(row["errors"], Severity.ERROR),
            _count(row["warnings"], Severity.WARNING),
            _text(" ".join(_some(by, closed))),
        )
    return table


def messages_table(rows: Iterable[Row], *, below: bool = False) -> RenderableType:
    """A line a message; takes what `History.messages` yields, with what they mean.

    That is the last column, or with ``below`` stands below each line, where it fits a terminal.
    """
    rows = list(rows)
    table = _table("time (UTC)", "session")
    table.add_column("#", justify="right")
    headings = ["from", "type", "message id", "valid", "findings", "answer", "note"]
    for heading in headings if below else [*headings, "meaning"]:
        table.add_column(heading, overflow="fold")
    for row in rows:
        answer = _some(row["reception_status"], _milliseconds(row["reception_delay_ms"]))
        notes = [note for note in ("injected", "dropped") if row[note]]
        table.add_row(
            _time(row["timestamp"]),
            _short_id(row["session_id"]),
            _text(row["seq"]),
            _text(row["sender"]),
            _text(row["message_type"]),
            _text(row["message_id"]),
            Text("valid", style="green") if row["valid"] else Text("INVALID", style="bold red"),
            _findings(row["findings"]),
            _text(" ".join(answer)),
            _text(", ".join(notes)),
            *([] if below else [_text(row["meaning"])]),
        )
    return _Above(table, [row["meaning"] for row in rows]) if below else table


class _Above:
    """A table with a text below each row, as wide as the whole.

    rich has no cell that spans columns: the texts stand in the place of the lines between the rows.
    """

    def __init__(self, table: Table, texts: list[str]) -> None:
        self._table, self._texts = table, texts
        table.box, table.show_edge, table.show_lines = _WITH_LINES, False, True
        table.padding = (0, 1, 0, 0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        texts = iter(["", *self._texts])  # the first line is below the headings
        for line in console.render_lines(self._table, options, pad=False):
            if any(_BETWEEN in segment.text for segment in line):
                yield from self._below(next(texts))
            else:
                yield from line
                yield Segment.line()
        for text in texts:
            yield from self._below(text)

    def _below(self, text: str) -> Iterator[RenderableType]:
        if text:
            yield Padding(_text(text, style="dim"), (0, 0, 0, 4))


def findings_table(rows: Iterable[Row]) -> Table:
    """A line a finding; takes what `History.findings` yields."""
    table = _table("time (UTC)", "session")
    table.add_column("#", justify="right")
    for heading in ("from", "type", "severity", "code", "path", "finding"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            _time(row["timestamp"]),
            _short_id(row["session_id"]),
            _text(row["seq"]),
            _text(row["sender"]),
            _text(row["message_type"]),
            _text(row["severity"], style=_colour(row["severity"])),
            _text(row["code"]),
            _text(row["path"]),
            _text(row["text"]),
        )
    return table


def _table(*headings: str) -> Table:
    # Without lines around the cells, so that grep and awk can read it too.
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _text(value: object, style: str = "") -> Text:
    # Text, never str: rich would read [markup] in what came over the wire.
    return Text("" if value is None else printable(str(value)), style=style)


def _some(*values: object) -> list[str]:
    return [str(value) for value in values if value not in (None, "")]


def _short_id(session_id: str) -> Text:
    return _text(session_id[:8])


def _time(iso: str | None) -> Text:
    """``2026-11-21T19:56:43.123456Z`` as ``2026-11-21 19:56:43.123``."""
    return _text((iso or "")[:23].replace("T", " "))


def _milliseconds(delay: float | None) -> str:
    return "" if delay is None else f"{delay:.0f} ms"


def _count(count: int, severity: Severity) -> Text:
    return _text(count, style=COLOURS[severity] if count else "dim")


def _findings(findings: Iterable[Row]) -> Text:
    """How many findings there are of each severity, the worst first, in its colour."""
    severities = [finding["severity"] for finding in findings]
    counts = [
        (severities.count(severity), severity)
        for severity in sorted(Severity, key=lambda severity: -severity.rank)
        if severity in severities
    ]
    text = ", ".join(counted(count, severity) for count, severity in counts)
    return _text(text, style=_colour(counts[0][1]) if counts else "")


def _colour(severity: str) -> str:
    return COLOURS[Severity(severity)] if severity in set(Severity) else ""
