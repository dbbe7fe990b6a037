"""There is one verdict on a message, wherever one looks: log, marker, view, recording, metrics."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import urllib.request
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from content_views import shown
from mitmproxy import ctx
from mitmproxy.exceptions import CommandError
from mitmproxy.proxy import commands
from one_verdict import Recorded, assert_one_verdict
from running_addon import Conversation, Running, addon

from s2_mitm.demo.battery import run_battery
from s2_mitm.demo.cem import serve_cem
from s2_mitm.demo.frames import Frames
from s2_mitm.history.queries import History
from s2_mitm.proxy.injection import inject
from s2_mitm.s2.message.schemas import BUILT_IN
from s2_mitm.s2.rules import RULES

SECONDS_BETWEEN = 2.0
"""Of every two messages, which have the same time."""

Traffic = list[tuple[bool, bytes]]
"""Messages in their order, and whether the client sent them."""

ID = "c009ed72-3ef7-49eb-9052-4258c1d6a3a3"

MORE: Traffic = [
    (True, b"not JSON"),
    (False, b'{"message_type": "Hello"}'),
    (True, b'{"message_type": "FRBC.StorageStatus", "message_id": "x", "y": {"z": null}}'),
    (False, json.dumps({"message_type": "SelectControlType", "control_type": 1}).encode()),
    (True, b'{"message_type": "FRBC.StorageStatus", "message_id": "y", "present_fill_level": NaN}'),
    # s2-python refuses it, which a rule says better.
    (True, json.dumps({"message_type": "Handshake", "message_id": ID, "role": "RM"}).encode()),
    (True, json.dumps({"message_type": "Handshake", "message_id": ID, "role": "RM"}).encode()),
]


class _Noted(list[str | bytes]):
    """The frames that one end sends, noted in one list with those of the other."""

    def __init__(self, said: Traffic, *, from_client: bool) -> None:
        super().__init__()
        self._said = said
        self._from_client = from_client

    def append(self, frame: str | bytes) -> None:
        super().append(frame)
        data = frame.encode() if isinstance(frame, str) else frame
        self._said.append((self._from_client, data))


ASKED_ALONE = {rule.finding_type.code for rules in RULES.values() for rule in rules if rule.alone}


@pytest.fixture(scope="module")
def said() -> Traffic:
    """The demo's conversation, with a few more messages in the middle."""
    demo: Traffic = []

    async def talk() -> None:
        rm = Frames(sent=_Noted(demo, from_client=True))
        cem = Frames(sent=_Noted(demo, from_client=False))
        async with serve_cem(seconds=1.0, days=1, frames=cem) as port:
            assert await run_battery(f"ws://127.0.0.1:{port}", seconds=1.0, frames=rm)

    asyncio.run(talk())
    assert len(demo) > 50
    middle = len(demo) // 2
    return demo[:middle] + MORE + demo[middle:]


class _Timed(Conversation):
    """Two messages each have the same time, and the next two come some seconds later."""

    def __init__(self, running: Running, messages: int) -> None:
        self._begin = time.time() - messages * SECONDS_BETWEEN
        super().__init__(running)

    def hook(self, command: commands.StartHook) -> None:
        if command.name == "websocket_message":
            number = len(self.messages) - 1
            self.messages[-1].timestamp = self._begin + number // 2 * SECONDS_BETWEEN
        super().hook(command)


def _rows(database: Path, query: str) -> list[dict[str, Any]]:
    history = History(str(database))
    try:
        return list(getattr(history, query)())
    finally:
        history.close()


def _scraped(url: str) -> dict[str, int]:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: int(float(count))
        for name, _, count in (line.rpartition(" ") for line in lines)
        if name.startswith(("s2_messages_total", "s2_findings_total"))
    }


OPTIONS: list[dict[str, Any]] = [
    {},
    {"s2_ignore": "schema.*,ack.missing"},
    {"s2_severity": "schema.type=warning,ack.*=error,s2-python.*=info"},
    {"s2_version": "1.0.0"},
    {"s2_schemas": str(BUILT_IN / "1.0.0")},
    {"s2_client_role": "cem"},
    {"s2_ack_timeout": 1},
    {"s2_block_invalid": True},
    {"s2_block_invalid": True, "s2_severity": "schema.type=warning,ack.*=error"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options) or "none")
def test_there_is_one_verdict_wherever_one_looks(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    said: Traffic,
    options: dict[str, Any],
) -> None:
    database = tmp_path / "s2.sqlite3"
    caplog.set_level(logging.INFO, "s2_mitm")
    refused = {}
    with addon(s2_db=str(database), s2_metrics="0", s2_log="all", **options) as running:
        conversation = _Timed(running, len(said))
        for number, (from_client, content) in enumerate(said, 1):
            if number > 1 and b'message_id"' in content:  # else inject fills one in
                refused[number] = _is_refused(monkeypatch, conversation, content, from_client)
            conversation.say(content, from_client=from_client)
        conversation.close()
        (url,) = re.findall(r"http://\S+/metrics", caplog.text)
        metrics = _scraped(url)
        flow = conversation.flow
        views = [shown(message, flow)[1] for message in conversation.messages]
    recorded = Recorded(_rows(database, "messages"), _rows(database, "findings"))
    assert len(recorded.messages) == len(said)
    assert len({row["source"] for row in recorded.findings}) > 1
    assert_one_verdict(
        recorded,
        flow,
        views,
        [line for record in caplog.records for line in record.getMessage().splitlines()],
        metrics,
    )

    # What could be injected
    assert len(set(refused.values())) == 2
    findings = [f for f in recorded.findings if f["source"] != "rule" or f["code"] in ASKED_ALONE]
    by_itself = replace(recorded, findings=findings)
    for number, is_refused in refused.items():
        assert is_refused is bool(by_itself.errors(number)), said[number - 1]


def _is_refused(
    monkeypatch: pytest.MonkeyPatch, conversation: Conversation, content: bytes, from_client: bool
) -> bool:
    """Whether a message may not be injected; it is not in any case."""
    client = conversation.session.conversation.client_role
    receiver = str(client.other if from_client else client).lower()
    with monkeypatch.context() as context:
        context.setattr(ctx.master.commands, "call", lambda *_: None)
        with suppress(CommandError):
            inject(
                conversation.flow, conversation.session, receiver, content.decode(), validate=True
            )
            return False
    return True
