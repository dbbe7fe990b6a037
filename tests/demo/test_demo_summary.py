"""The summary says what is in the recording, or in one sentence why it cannot."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from s2_mitm.demo.summary import SummaryError, last_message, summarize

TABLES = """
create table messages (id integer primary key, sender, message_type, message_id, valid,
                       reception_status);
create table findings (id integer primary key, message, severity, path, text);
"""


def _recording(folder: Path, messages: list[tuple[object, ...]]) -> Path:
    path = folder / "a recording?.sqlite3"
    with sqlite3.connect(path) as db:
        db.executescript(TABLES)
        db.executemany("insert into messages values (?, ?, ?, ?, ?, ?)", messages)
        db.executemany(
            "insert into findings values (?, ?, 'error', ?, ?)",
            [(1, 2, "/a", "the first"), (2, 2, "", "the second"), (3, 4, "/b", "another")],
        )
    db.close()
    return path


def test_the_summary(tmp_path: Path) -> None:
    path = _recording(
        tmp_path,
        [
            (1, "RM", "Handshake", "m1", 1, "OK"),
            (2, "RM", "PowerForecast", "m2", 0, "INVALID_MESSAGE"),
            (3, "CEM", "ReceptionStatus", None, 1, None),
            (4, "RM", "PowerForecast", "m3", 0, "INVALID_MESSAGE"),
            (5, "RM", "FRBC.LeakageBehaviour", "m4", 1, None),
        ],
    )
    assert summarize(path).splitlines() == [
        "Recorded: 5 messages, 4 from the RM, 1 from the CEM.",
        "Not valid: 2",
        "  RM PowerForecast",
        "    /a: the first",
        "    (the whole message): the second",
        "  RM PowerForecast",
        "    /b: another",
        "Never acknowledged: 1",
        "  RM FRBC.LeakageBehaviour",
    ]


def test_what_was_recorded_before_is_left_out(tmp_path: Path) -> None:
    path = _recording(
        tmp_path,
        [
            (1, "RM", "PowerForecast", "m1", 1, None),
            (2, "RM", "PowerForecast", "m2", 0, None),
            (3, "CEM", "SessionRequest", "m3", 1, "OK"),
        ],
    )
    assert last_message(path) == 3
    assert summarize(path, after=2).splitlines() == [
        "Recorded: 1 messages, 1 from the CEM.",
        "Not valid: 0",
        "Never acknowledged: 0",
    ]


def test_the_last_message_where_there_is_none(tmp_path: Path) -> None:
    assert last_message(tmp_path / "absent.sqlite3") == 0
    assert not (tmp_path / "absent.sqlite3").exists()


def test_an_empty_recording(tmp_path: Path) -> None:
    with pytest.raises(SummaryError, match="recorded no message"):
        summarize(_recording(tmp_path, []))


def test_no_recording(tmp_path: Path) -> None:
    with pytest.raises(SummaryError, match="cannot be read"):
        summarize(tmp_path / "absent.sqlite3")
    assert not list(tmp_path.iterdir())
