"""A recording as its users read it: through sqlite3, while it is being written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from s2_mitm.history.database import RecordingError
from s2_mitm.history.queries import History

Row = dict[str, Any]


def sessions_in(target: str) -> list[Row]:
    """The sessions of the recording at ``target``; none while it is not made yet."""
    # A proxy opens it beside the traffic, however long that takes.
    try:
        with closing(History(target)) as history:
            return list(history.sessions())
    except RecordingError:
        return []


class Recording:
    """The recording in ``file``."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def rows(self, query: str, *values: object) -> list[Row]:
        """What a query says now; nothing while there are no tables yet."""
        if not self.file.exists():
            return []
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=rw", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in connection.execute(query, values)]
            except sqlite3.OperationalError as problem:
                if "no such table" not in str(problem):
                    raise
                return []

    def session(self, path: str) -> Row | None:
        """The session of the WebSocket with this path."""
        sessions = self.rows("select * from sessions where path = ?", path)
        assert len(sessions) <= 1, sessions
        return sessions[0] if sessions else None

    def messages(self, path: str) -> list[Row]:
        """The messages of a session in the order of their numbers, each with its findings."""
        messages = self.rows(
            "select messages.* from messages join sessions on sessions.id = session_id"
            " where path = ? order by messages.id",
            path,
        )
        assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
        for message in messages:
            findings = self.rows(
                "select * from findings where message = ? order by id", message["id"]
            )
            message["findings"] = findings
            message["codes"] = [finding["code"] for finding in findings]
        return messages

    def said(self, path: str, sender: str) -> list[bytes]:
        """What ``sender`` said in a session, without what is missing of it."""
        rows = self.rows(
            "select content from messages join sessions on sessions.id = session_id"
            " where path = ? and sender = ? order by seq, messages.id",
            path,
            sender,
        )
        return list(map(wire, rows))


def wire(row: Row) -> bytes:
    """The bytes of a recorded message."""
    content: str | bytes = row["content"]
    return content.encode() if isinstance(content, str) else content
