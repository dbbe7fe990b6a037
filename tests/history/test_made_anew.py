"""A server's database that is dropped and made anew, or emptied, under a recorder that writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from postgres_server import ForeignServer, PostgresServer, connected
from sqlalchemy import make_url
from test_outages import message, rows, session, wait_until

from s2_mitm.history import recorder as recorder_module
from s2_mitm.history.queries import History
from s2_mitm.history.recorder import Recorder
from s2_mitm.history.writer import LOAD
from s2_mitm.replay.recording import from_history
from s2_mitm.replay.replayed import replay
from s2_mitm.s2.conversation.settings import Settings

pytest_plugins = ["postgres_server"]

ANEW = " was emptied or made anew, and what it held is gone; the recording goes on in what is"

MEASUREMENT = (
    b'{"message_type": "PowerMeasurement", "message_id": "m%d",'
    b' "measurement_timestamp": "2026-11-21T12:00:00Z",'
    b' "values": [{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 1.5}]}'
)


class OngoingSession:
    """A recorder with one session, and the number of its last message."""

    def __init__(self, url: str, at_once: int) -> None:
        self.url = url
        self.said: list[str] = []
        self.seq = 0
        self.recorder = Recorder(url, self.said.append)
        self.recorder.session_opened(session())
        self.recorder.session_changed("s1", rm_id="battery-1", protocol_version="0.0.2-beta")
        self._at_once = at_once
        self.go_on()
        if at_once >= LOAD:
            wait_until(self._is_written_elsewhere)

    def put(self) -> None:
        for _ in range(self._at_once):
            self.seq += 1
            content = MEASUREMENT % self.seq
            self.recorder.message(message(self.seq, content=content))

    def go_on(self) -> None:
        """Record another message, and wait until it is written."""
        self.put()
        assert self.recorder.flush(30)

    def holds_all_after(self, seq: int) -> None:
        """Expect the messages after ``seq``, the row of the session, and no gap."""
        expected = [(number,) for number in range(seq + 1, self.seq + 1)]
        assert rows(self.url, "select seq from messages order by seq") == expected
        about = "select id, rm_id, ended_at, recorder from sessions"
        mine = self.recorder._presence.id
        assert rows(self.url, about) == [("s1", "battery-1", None, mine)]
        assert rows(self.url, "select * from gaps") == []
        assert "handshake.missing" not in codes(self.url)

    def _is_written_elsewhere(self) -> bool:
        self.go_on()
        return self.recorder._writer._is_ready


@pytest.fixture(params=[1, LOAD], ids=["alone", "under load"])
def ongoing(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[OngoingSession]:
    ongoing = OngoingSession(postgres_url, request.param)
    yield ongoing
    ongoing.recorder.close()


def codes(url: str) -> set[str]:
    """The codes of what ``s2-mitm check`` finds."""
    with closing(History(url)) as history:
        replays = [replay(recorded, Settings()) for recorded in from_history(history)]
        judged = [each for replayed in replays if replayed for each in replayed.messages]
        return {finding.code for each in judged for finding in each.verdict.findings}


def drop(server: PostgresServer | ForeignServer, url: str) -> None:
    with connected(server.url) as connection:
        connection.execute(f"drop database {make_url(url).database} with (force)")


def create(server: PostgresServer | ForeignServer, url: str) -> None:
    with connected(server.url) as connection:
        connection.execute(f"create database {make_url(url).database}")


@pytest.mark.parametrize("by_another", [False, True], ids=["by it", "by another"])
def test_one_that_is_dropped_and_made_anew_is_prepared(
    postgres: PostgresServer | ForeignServer, ongoing: OngoingSession, by_another: bool
) -> None:
    """The README's promise: "the first proxy makes the tables"."""
    before = ongoing.seq
    drop(postgres, ongoing.url)
    ongoing.put()
    wait_until(lambda: any("createdb" in sentence for sentence in ongoing.said))
    create(postgres, ongoing.url)
    if by_another:
        Recorder(ongoing.url, print).close()
    ongoing.go_on()
    ongoing.go_on()
    ongoing.holds_all_after(before)
    *_, anew, again = ongoing.said
    assert ANEW in anew
    assert again.endswith(" is written again; nothing else was lost.")
    assert sum(ANEW in sentence for sentence in ongoing.said) == 1


def test_one_that_another_makes_anew_before_anybody_notices(
    postgres: PostgresServer | ForeignServer,
    ongoing: OngoingSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = ongoing.seq
    monkeypatch.setattr(recorder_module, "RENEW_SECONDS", 1e9)
    drop(postgres, ongoing.url)
    create(postgres, ongoing.url)
    Recorder(ongoing.url, print).close()
    ongoing.go_on()
    ongoing.go_on()
    ongoing.holds_all_after(before)
    assert sum(ANEW in sentence for sentence in ongoing.said) == 1
    assert not any("nothing was lost" in sentence for sentence in ongoing.said)


def test_one_that_is_made_anew_while_nothing_is_said(
    postgres: PostgresServer | ForeignServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "RENEW_SECONDS", 0.0)
    ongoing = OngoingSession(postgres_url, 1)
    assert "handshake.missing" in codes(postgres_url)  # for its beginning is there
    drop(postgres, postgres_url)
    create(postgres, postgres_url)
    wait_until(lambda: any(ANEW in sentence for sentence in ongoing.said))
    ongoing.go_on()
    ongoing.holds_all_after(1)
    ongoing.recorder.close()
    assert sum(ANEW in sentence for sentence in ongoing.said) == 1


def test_tables_that_are_dropped_are_made_again(ongoing: OngoingSession) -> None:
    before = ongoing.seq
    with connected(ongoing.url) as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
    ongoing.go_on()
    ongoing.holds_all_after(before)
    unwritable, anew, again = ongoing.said
    assert "cannot be written now (no such table: " in unwritable
    assert ANEW in anew
    assert again.endswith(" is written again; nothing else was lost.")


def test_of_one_that_only_forgot_who_writes_nothing_is_said(ongoing: OngoingSession) -> None:
    with connected(ongoing.url) as connection:
        connection.execute("delete from recorders")
    ongoing.go_on()
    assert not ongoing.said
    assert rows(ongoing.url, "select count(*) from messages") == [(ongoing.seq,)]
