"""A session with a bearer token, as of S2 Connect: the fact is recorded, never the token."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from messages import resource_manager_details
from peers import PeerServer
from proxies import running, until

from s2_mitm.cli import cli

TOKEN = "c2VjcmV0LXRva2Vu"


@pytest.mark.parametrize("bearer", [True, False])
def test_a_session_with_a_bearer_token(tmp_path: Path, bearer: bool) -> None:
    database, flows = tmp_path / "s2.sqlite3", tmp_path / "flows"
    headers = {"Authorization": f"Bearer {TOKEN}"} if bearer else {}
    details = resource_manager_details("Battery")
    with closing(PeerServer()) as server:
        arguments = ("-w", str(flows))
        with running(tmp_path, server.port, *arguments, s2_db=database, s2_ignore="ack.*") as proxy:
            with server.pair(proxy.url, headers=headers) as (rm, cem):
                rm.send(details)
                cem.receive()
                until(lambda: _rows(database, "messages"), "the message is recorded")
            proxy.stop()
            output = proxy.output

    assert [row["bearer"] for row in _rows(database, "sessions")] == [int(bearer)]
    assert TOKEN not in output
    for file in tmp_path.glob("s2.sqlite3*"):
        assert TOKEN.encode() not in file.read_bytes()
    recorded = [row["code"] for row in _rows(database, "findings")]
    assert ("handshake.missing" in recorded) is not bearer
    for source in (database, flows):
        checked = (
            CliRunner().invoke(cli, ["check", "--json", "--ignore", "ack.*", str(source)]).stdout
        )
        found = [
            each["code"] for line in checked.splitlines() for each in json.loads(line)["findings"]
        ]
        assert sorted(found) == sorted(recorded)


def _rows(database: Path, table: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        try:
            return list(connection.execute(f"select * from {table}"))
        except sqlite3.OperationalError:
            return []  # not yet
