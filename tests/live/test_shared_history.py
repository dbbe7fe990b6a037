"""Several proxies write into one database of a PostgreSQL server, and lose and mix up nothing."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from pathlib import Path

from messages import handshake, measurement, reception_status
from peers import PeerServer, new_path
from proxies import running, until
from recordings import sessions_in

from s2_mitm.history.queries import History

pytest_plugins = ["postgres_server"]


def test_two_proxies_and_ten_conversations_at_once(
    server: PeerServer, tmp_path: Path, postgres_url: str
) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    said: dict[str, list[tuple[str, bytes]]] = {new_path(): [] for _ in range(10)}
    with ExitStack() as stack:
        proxies = []
        for folder, name in zip(folders, ("", "cellar"), strict=True):
            folder.mkdir()
            run = running(folder, server.port, s2_db=postgres_url, s2_name=name)
            proxies.append(stack.enter_context(run))
        names = [f"{socket.gethostname()}:{proxies[0].port}", "cellar"]
        with ExitStack() as conversations:
            pairs = {
                path: conversations.enter_context(server.pair(proxies[number % 2].url, path))
                for number, path in enumerate(said)
            }
            for turn in range(40):
                for path, (rm, cem) in pairs.items():
                    question = measurement(float(turn)) if turn else handshake("RM")
                    answer = reception_status(question)
                    rm.send(question)
                    assert cem.receive().data == question
                    cem.send(answer)
                    assert rm.receive().data == answer
                    said[path] += [("RM", question), ("CEM", answer)]

        until(lambda: ended(postgres_url) == len(said), "the end of all of them is recorded")
    with closing(History(postgres_url)) as history:
        sessions = {row["path"]: row for row in history.sessions()}
        assert sessions.keys() == said.keys()
        seen_by = [sessions[path]["proxy"] for path in said]
        assert seen_by == names * 5
        recorders = {sessions[path]["recorder"] for path in said}
        assert len(recorders) == 2
        for path, expected in said.items():
            rows = list(history.messages(session=sessions[path]["id"]))
            assert [(row["sender"], row["content"].encode()) for row in rows] == expected
            assert [row["seq"] for row in rows] == list(range(1, len(expected) + 1))
            answers = {row["reception_status"] for row in rows if row["sender"] == "RM"}
            assert answers == {"OK"}
    assert [list(folder.glob("*.sqlite3*")) for folder in folders] == [[], []]


def ended(target: str) -> int:
    return sum(row["ended_at"] is not None for row in sessions_in(target))
