"""What the recording of a demo says, in a few lines."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path

_COUNTS = """
    select sender, count(*) from messages where id > :after group by sender order by sender desc
"""
_INVALID = """
    select messages.id, sender, message_type, path, text
    from messages join findings on findings.message = messages.id
    where not valid and severity = 'error' and messages.id > :after
    order by messages.id, findings.id
"""
_UNACKNOWLEDGED = """
    select sender, message_type from messages
    where message_id is not null and reception_status is null and id > :after order by id
"""


class SummaryError(Exception):
    """There is nothing to sum up; the text says why in one sentence."""


def last_message(recording: Path) -> int:
    """The id of the newest message in a recording, 0 if there is none, or no recording yet."""
    try:
        with closing(sqlite3.connect(f"{recording.resolve().as_uri()}?mode=rw", uri=True)) as db:
            (newest,) = db.execute("select max(id) from messages").fetchone()
            return newest or 0
    except sqlite3.Error:
        return 0


def summarize(recording: Path, *, after: int = 0) -> str:
    """The summary of a recording: how much was said, what was wrong, what went unanswered.

    Takes the file, and the id of the message after which to begin. Raises SummaryError when the
    recording cannot be read or has no such messages.
    """
    try:
        # Not mode=ro: who only reads leaves the -wal and -shm files behind.
        with closing(sqlite3.connect(f"{recording.resolve().as_uri()}?mode=rw", uri=True)) as db:
            return "\n".join(_lines(db, {"after": after}))
    except sqlite3.Error as error:
        raise SummaryError(f"the recording {recording} cannot be read: {error}") from error


def _lines(db: sqlite3.Connection, part: dict[str, int]) -> Iterator[str]:
    counts: list[tuple[str, int]] = db.execute(_COUNTS, part).fetchall()
    if not counts:
        raise SummaryError("the proxy recorded no message")
    total = sum(count for _, count in counts)
    shares = ", ".join(f"{count} from the {sender}" for sender, count in counts)
    yield f"Recorded: {total} messages, {shares}."

    invalid = [
        (heading, [(path, text) for *_, path, text in rows])
        for (_, *heading), rows in groupby(db.execute(_INVALID, part), key=lambda row: row[:3])
    ]
    yield f"Not valid: {len(invalid)}"
    for (sender, message_type), findings in invalid:
        yield f"  {sender} {message_type}"
        yield from (f"    {path or '(the whole message)'}: {text}" for path, text in findings)

    unacknowledged = db.execute(_UNACKNOWLEDGED, part).fetchall()
    yield f"Never acknowledged: {len(unacknowledged)}"
    yield from (f"  {sender} {message_type}" for sender, message_type in unacknowledged)
