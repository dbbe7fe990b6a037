"""A recording as s2-mitm made it before recordings had a revision."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_TABLES_AND_ROWS = """
CREATE TABLE sessions (
    id TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT, client_address TEXT,
    server_address TEXT, path TEXT, client_role TEXT, rm_id TEXT, cem_id TEXT,
    protocol_version TEXT, control_type TEXT, close_code INTEGER, close_reason TEXT,
    closed_by TEXT, PRIMARY KEY (id)
);
CREATE TABLE messages (
    id INTEGER NOT NULL, session_id TEXT NOT NULL, seq INTEGER NOT NULL, timestamp TEXT NOT NULL,
    sender TEXT, message_type TEXT, message_id TEXT, subject_message_id TEXT,
    content TEXT NOT NULL, size INTEGER NOT NULL, injected INTEGER NOT NULL,
    dropped INTEGER NOT NULL, valid INTEGER NOT NULL, reception_status TEXT,
    reception_delay_ms FLOAT, PRIMARY KEY (id), FOREIGN KEY(session_id) REFERENCES sessions (id)
);
CREATE INDEX messages_in_order ON messages (session_id, seq);
CREATE INDEX messages_by_message_id ON messages (session_id, message_id);
CREATE TABLE findings (
    id INTEGER NOT NULL, message INTEGER NOT NULL, session_id TEXT NOT NULL, code TEXT NOT NULL,
    severity TEXT NOT NULL, source TEXT NOT NULL, path TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(message) REFERENCES messages (id),
    FOREIGN KEY(session_id) REFERENCES sessions (id)
);
CREATE INDEX findings_by_message ON findings (message);
CREATE INDEX findings_by_session ON findings (session_id, severity);
INSERT INTO sessions (id, started_at) VALUES ('s1', '2026-01-01T00:00:00.000000Z');
INSERT INTO messages VALUES (1, 's1', 1, '2026-01-01T00:00:01.000000Z', 'RM', 'Handshake', 'm1',
    NULL, '{}', 2, 0, 0, 0, NULL, NULL);
INSERT INTO findings VALUES (1, 1, 's1', 'schema.type', 'error', 'schema', '', 'wrong');
"""


def make_old_recording(file: Path) -> Path:
    """Make it: one session of one message that has one finding."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.executescript(_TABLES_AND_ROWS)
    return file
