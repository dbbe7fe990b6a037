"""The addon as a whole: observers behind walls, and options that are changed while it runs."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.http import HTTPFlow
from running_addon import Conversation, addon

from s2_mitm.history.queries import History
from s2_mitm.proxy.annotation import Annotation
from s2_mitm.proxy.flow_findings import meaning_of
from s2_mitm.proxy.observers.log import Log
from s2_mitm.proxy.observers.metrics import Metrics
from s2_mitm.proxy.observers.observer import Observer
from s2_mitm.proxy.observers.recording import FAILED, Recording
from s2_mitm.proxy.options import OPTIONS
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.meaning import MEANINGS


def status(number: int, **more: Any) -> bytes:
    return json.dumps(
        {
            "message_type": "FRBC.StorageStatus",
            "message_id": f"c009ed72-3ef7-49eb-9052-{number:012}",
            "present_fill_level": number,
        }
        | more
    ).encode()


DROPPED = status(2)


SELECTION = json.dumps(
    {
        "message_type": "SelectControlType",
        "message_id": "c009ed72-3ef7-49eb-9052-4258c1d6a3a4",
        "control_type": "FILL_RATE_BASED_CONTROL",
    }
).encode()


class Dropper:
    """Another addon, which drops a message after ours has seen it."""

    def websocket_message(self, flow: HTTPFlow) -> None:
        assert flow.websocket is not None
        message = flow.websocket.messages[-1]
        if message.content == DROPPED:
            message.drop()


def rows(database: Path, query: str) -> list[dict[str, Any]]:
    history = History(str(database))
    try:
        found: list[dict[str, Any]] = list(getattr(history, query)())
        return found
    finally:
        history.close()


def scraped(url: str) -> dict[str, float]:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
        lines = answer.read().decode().splitlines()
    counts = (line.rpartition(" ") for line in lines if line.startswith("s2_") and "total" in line)
    return {name: float(count) for name, _, count in counts if "recording" not in name}


def play(folder: Path, caplog: pytest.LogCaptureFixture) -> tuple[dict[str, Any], list[str]]:
    """A session in which all is heard that an observer can hear.

    Returns what each observer, and the peer, has of it, and what was complained of.
    """
    database = folder / "s2.sqlite3"
    has: dict[str, Any] = {}
    caplog.set_level(logging.INFO, "s2_mitm")
    caplog.clear()
    with addon(Dropper(), s2_db=str(database), s2_metrics="0", s2_log="all") as running:
        conversation = Conversation(running)
        # The option takes whole seconds; so that something is late before the end.
        conversation.session.judge_by(Settings(ack_timeout=1e-9))
        arrived = [conversation.say(content) for content in (status(1), DROPPED, status(3, x=1))]
        arrived.append(conversation.say(SELECTION, from_client=False))
        conversation.close()
        (url,) = re.findall(r"http://\S+/metrics", caplog.text)
        has["the metrics"] = scraped(url)
    has["the peer"] = arrived
    has["the list of flows"] = [
        conversation.flow.marked,
        conversation.flow.comment,
        [(found["message"], found["code"]) for found in conversation.flow.metadata["s2_findings"]]
        if "s2_findings" in conversation.flow.metadata
        else [],
    ]
    session_id = conversation.flow.id
    has["the recording"] = [
        [(row["seq"], row["dropped"], row["valid"]) for row in rows(database, "messages")],
        [(row["seq"], row["code"]) for row in rows(database, "findings")],
        [(row["closed_by"], row["close_reason"]) for row in rows(database, "sessions")],
    ]
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    has["the log"] = [
        re.sub(r"\d\d:\d\d:\d\d(\.\d{3})?|\[\w{4}\]", "", line)
        for line in said
        if f"[{session_id[:4]}]" in line
    ]
    complaints = [
        record.getMessage().replace(session_id, "ID")
        for record in caplog.records
        if record.levelno > logging.INFO
    ]
    return has, complaints


CALLS = ("opened", "judged", "delivered", "took", "changed", "late", "closed")


@pytest.mark.parametrize(
    ("observer", "call"),
    [
        (observer, call)
        for observer in (Annotation, Log, Recording, Metrics)
        for call in CALLS
        if getattr(observer, call) is not getattr(Observer, call)
    ],
)
def test_an_observer_that_fails_is_left_out_and_all_else_goes_on(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    observer: type[Observer],
    call: str,
) -> None:
    (tmp_path / "well").mkdir()
    (tmp_path / "ill").mkdir()
    well, complaints = play(tmp_path / "well", caplog)
    assert complaints == []
    assert well["the peer"] == [[status(1)], [], [status(3, x=1)], [SELECTION]]
    assert [name for name, has in well.items() if not has] == []

    def fail(*_: object) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr(observer, call, fail)
    ill, complaints = play(tmp_path / "ill", caplog)

    assert complaints == [
        f"s2-mitm: a fault of its own, RuntimeError('not today'); {observer.name} has nothing more"
        " of the WebSocket ID, which goes on, and so does all else. Please report this."
    ]
    del well[observer.name]
    if observer is Recording and call not in ("opened", "closed"):
        ((_, reason),) = ill[observer.name][2]
        assert reason == FAILED
    del ill[observer.name]
    assert ill == well


def test_an_observer_that_failed_in_one_session_hears_of_the_next(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "s2_mitm")
    with addon(s2_log="all") as running:
        first, second = Conversation(running), Conversation(running)
        with monkeypatch.context() as broken:
            broken.setattr(Log, "judged", None)
            first.say(status(1))
        second.say(status(1))
        first.say(status(2))

    assert caplog.text.count("FRBC.StorageStatus valid") == 1
    assert caplog.text.count("Please report this.") == 1


# Options that are changed while it runs


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("s2_retain", "long"),
        ("s2_severity", "ack.late=bad"),
        ("s2_severity", "ack.late"),
        ("s2_ignore", "nothing"),
        ("s2_schemas", "/nowhere"),
        ("s2_version", "9"),
        ("s2_client_role", "x"),
        ("s2_ack_timeout", 0),
        ("s2_keep_messages", -1),
        ("s2_memory", "x"),
        ("s2_filter", "~u ("),
        ("s2_log", "x"),
        ("s2_metrics", "x"),
        ("s2_db", "/nowhere/s2.sqlite3"),
        ("s2_db", "mysql://x"),
    ],
)
def test_a_value_that_is_refused_names_its_option_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, option: str, value: object
) -> None:
    database = str(tmp_path / "s2.sqlite3")
    caplog.set_level(logging.INFO, "s2_mitm")
    with addon(s2_db=database, s2_metrics="0", s2_log="all", s2_ignore="ack.late") as running:
        conversation = Conversation(running)
        conversation.say(status(1))
        before = [getattr(running.context.options, each.name) for each in OPTIONS]
        caplog.clear()

        refused = running.set(**{"s2_ignore": "", option: value})

        assert option in refused
        assert "\n" not in refused
        assert caplog.text == ""
        assert [getattr(running.context.options, each.name) for each in OPTIONS] == before
        assert conversation.say(status(2)) == [status(2)]
    assert "FRBC.StorageStatus valid" in caplog.text
    assert [row["seq"] for row in rows(tmp_path / "s2.sqlite3", "messages")] == [1, 2]
    (session,) = rows(tmp_path / "s2.sqlite3", "sessions")
    assert session["close_reason"] is None


def test_what_is_refused_with_others_leaves_the_metrics_where_they_were(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "s2_mitm")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        addon(s2_metrics=str(port)) as running,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        Conversation(running).say(status(1))
        (url,) = re.findall(r"http://\S+/metrics", caplog.text)
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        assert "Address already in use" in running.set(s2_metrics=address, s2_log="all")
        assert "cannot record" in running.set(s2_metrics="0", s2_db="/nowhere/x")

        assert scraped(url)["s2_sessions_total"] == 1


def test_what_messages_mean_is_told_where_somebody_reads_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "s2_mitm")
    with addon(s2_log="findings") as running:
        conversation = Conversation(running)
        conversation.say(status(1))
        assert "fill level" not in caplog.text

        running.set(s2_log="all")
        conversation.say(status(2))
        assert "          · fill level: 2" in caplog.text

        caplog.clear()
        running.set(s2_log="findings")
        conversation.say(status(3, x=1))
        assert "schema.unknown-field" in caplog.text
        assert "fill level" not in caplog.text


def test_a_fault_in_telling_what_a_message_means_costs_no_verdict(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(message: Any, conversation: Any) -> str:
        raise ValueError("oh")

    monkeypatch.setitem(MEANINGS, "FRBC.StorageStatus", fails)
    caplog.set_level(logging.INFO, "s2_mitm")
    with addon(s2_log="all") as running:
        conversation = Conversation(running)
        for number in range(2):
            conversation.say(status(number))
    verdicts = [each for each in caplog.messages if "RM  FRBC.StorageStatus" in each]
    assert len(verdicts) == 2
    [record] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "a fault of its own, ValueError('oh'); what the messages" in record.getMessage()


def test_what_messages_mean_is_told_where_flows_are_looked_at() -> None:
    class View:
        """That of mitmweb and the console; mitmproxy knows addons by such names."""

        name = "view"

    with addon() as running:
        running.context.master.addons.register(View())
        running.set(s2_log="none")
        conversation = Conversation(running)
        conversation.say(status(1))
        assert conversation.flow.websocket
        assert meaning_of(conversation.flow.websocket.messages[0]) == "fill level: 1"


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ({"s2_ignore": "schema.unknown-field"}, []),
        ({"s2_severity": "schema.unknown-field=warning"}, [("schema.unknown-field", "warning")]),
        ({"s2_version": "v1.0.0"}, [("schema.unknown-field", "error")]),
    ],
)
def test_how_open_sessions_are_judged_can_be_changed(
    options: dict[str, str], codes: list[tuple[str, str]]
) -> None:
    with addon() as running:
        conversation = Conversation(running)
        conversation.say(status(1, x=1))
        assert running.set(**options) == ""
        conversation.say(status(2, x=1))
        findings = conversation.flow.metadata["s2_findings"]

    assert [(each["code"], each["severity"]) for each in findings if each["message"] == 2] == codes


def test_how_long_an_answer_may_take_is_changed_for_open_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with addon(s2_ack_timeout=10) as running:
        conversation = Conversation(running)
        conversation.say(status(1))
        assert running.set(s2_ack_timeout=1) == ""
        late = conversation.session.judge.tick(
            conversation.messages[0].timestamp + 5, time.monotonic() + 5
        )

    assert [each.finding.code for each in late] == ["ack.missing"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"s2_version": "0.0.2-beta"}, "s2_version holds for sessions that open from now on."),
        ({"s2_client_role": "rm"}, "s2_client_role holds for sessions that open from now on."),
        (
            {"s2_version": "0.0.2-beta", "s2_filter": "~u x", "s2_log": "all"},
            "s2_version and s2_filter hold for sessions that open from now on.",
        ),
        ({"s2_ignore": "ack.late", "s2_severity": "ack.late=info", "s2_ack_timeout": 5}, ""),
        ({"s2_version": "auto"}, ""),
    ],
)
def test_what_open_sessions_do_not_take_is_said(
    caplog: pytest.LogCaptureFixture, options: dict[str, Any], sentence: str
) -> None:
    caplog.set_level(logging.INFO, "s2_mitm")
    with addon() as running:
        caplog.clear()
        assert running.set(**options) == ""

    said = [record.getMessage() for record in caplog.records]
    assert said == ([f"s2-mitm: {sentence}"] if sentence else [])


def test_a_fault_in_what_is_done_every_second(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is overdue is still reported then, and the fault is said once."""
    turns: list[float] = []

    async def sleep(seconds: float) -> None:
        turns.append(seconds)
        if len(turns) > 3:
            raise asyncio.CancelledError

    def fail() -> None:
        raise LookupError("of the test")

    def tick() -> list[Any]:
        ticks.append(turns[-1])
        return []

    ticks: list[float] = []
    with addon() as running:
        conversation = Conversation(running)
        conversation.say(SELECTION, from_client=False)
        monkeypatch.setattr("s2_mitm.addon.check_all", fail)
        monkeypatch.setattr("asyncio.sleep", sleep)
        monkeypatch.setattr(conversation.session, "tick", tick)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(running.addon._watch_the_clock())
    assert len(ticks) == 3
    assert caplog.text.count("a fault of its own, LookupError('of the test')") == 1
