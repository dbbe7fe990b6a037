"""What the recording of a demo says, in a few lines."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path

_COUNTS = """
    select sender, count(*) from messages group by sender order by sender desc
"""
_INVALID = """
    select messages.id, sender, message_type, path, text
    from messages join findings on findings.message = messages.id
    where not valid order by messages.id, findings.id
"""
_UNACKNOWLEDGED = """
    select sender, message_type from messages
    where message_id is not null and reception_status is null order by id
"""


class SummaryError(Exception):
    """There is nothing to sum up; the text says why in one sentence."""


def summarize(recording: Path) -> str:
    """The summary of a recording: how much was said, what was wrong, what went unanswered.

    Raises SummaryError when the recording cannot be read or has no messages.
    """
    try:
        # Not mode=ro: who only reads leaves the -wal and -shm files behind.
        with closing(sqlite3.connect(f"{recording.resolve().as_uri()}?mode=rw", uri=True)) as db:
            return "\n".join(_lines(db))
    except sqlite3.Error as error:
        raise SummaryError(f"the recording {recording} cannot be read: {error}") from error


def _lines(db: sqlite3.Connection) -> Iterator[str]:
    counts: list[tuple[str, int]] = db.execute(_COUNTS).fetchall()
    if not counts:
        raise SummaryError("the proxy recorded no message")
    total = sum(count for _, count in counts)
    shares = ", ".join(f"{count} from the {sender}" for sender, count in counts)
    yield f"Recorded: {total} messages, {shares}."

    invalid = [
        (heading, [(path, text) for *_, path, text in rows])
        for (_, *heading), rows in groupby(db.execute(_INVALID), key=lambda row: row[:3])
    ]
    yield f"Not valid: {len(invalid)}"
    for (sender, message_type), findings in invalid:
        yield f"  {sender} {message_type}"
        yield from (f"    {path or '(the whole message)'}: {text}" for path, text in findings)

    unacknowledged = db.execute(_UNACKNOWLEDGED).fetchall()
    yield f"Never acknowledged: {len(unacknowledged)}"
    yield from (f"  {sender} {message_type}" for sender, message_type in unacknowledged)
