"""What a message says counts when it was delivered, whoever held it back, and as what it went."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.http import HTTPFlow
from running_addon import Conversation, addon

from s2_mitm.history.queries import History
from s2_mitm.proxy.session import LIVE
from s2_mitm.s2.examples.script import Line, Script
from s2_mitm.s2.verdict import Role

SELECTION = {
    "message_type": "SelectControlType",
    "message_id": "c009ed72-3ef7-49eb-9052-4258c1d6a3a4",
    "control_type": "OPERATION_MODE_BASED_CONTROL",
}
ID = SELECTION["message_id"].encode()
INVALID = json.dumps(SELECTION | {"unknown": 1}).encode()
VALID = json.dumps(SELECTION).encode()
NO_SELECTION = VALID.replace(b"OPERATION_MODE_BASED_CONTROL", b"NO_SELECTION")


class Drop:
    """An addon that drops a selection."""

    def websocket_message(self, flow: HTTPFlow) -> None:
        assert flow.websocket is not None
        if ID in flow.websocket.messages[-1].content:
            flow.websocket.messages[-1].drop()


class Edit:
    """An addon that has something else selected, or something that is no selection."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def websocket_message(self, flow: HTTPFlow) -> None:
        assert flow.websocket is not None
        message = flow.websocket.messages[-1]
        if ID in message.content:
            message.content = message.content.replace(b"OPERATION_MODE_BASED_CONTROL", self._name)


PATCHES = pytest.mark.parametrize("patches", ["all", "none"])
"""Whether mitmproxy says when it goes on with a message."""


def say(conversation: Conversation, lines: Sequence[Line]) -> None:
    """Let both sides say what they say in a script."""
    for line in lines:
        data = json.dumps(line.verdict.message).encode()
        conversation.say(data, from_client=line.verdict.sender is Role.RM)


def begun() -> Script:
    """A conversation under FRBC, with an instruction and its answer in the end."""
    script = Script()
    script.begin("FRBC")
    script.cem("FRBC.Instruction")
    return script


def codes_after(
    *selections: bytes, others: Any = (), inject: bool = False, **how: Any
) -> list[str]:
    """The codes of what is found in selections of the CEM and in a right instruction after them."""
    with addon(*others, **how) as running:
        conversation = Conversation(running)
        script = begun()
        say(conversation, script.lines[:-2])
        for selection in selections:
            if inject:
                conversation.inject(selection, to_client=True)
            else:
                conversation.say(selection, from_client=False)
        say(conversation, script.lines[-2:])
        assert LIVE[conversation.flow.id].judge.messages == len(script.lines) + len(selections)
        found = conversation.flow.metadata.get("s2_findings", [])
    # The times in the script are past.
    told = ("state", "ids", "ack", "schema")
    return [each["code"] for each in found if each["code"].split(".")[0] in told]


@PATCHES
def test_what_is_blocked(patches: str) -> None:
    assert codes_after(INVALID, s2_block_invalid=True, s2_patches=patches) == [
        "schema.unknown-field"
    ]
    assert "state.other-control-type" in codes_after(INVALID, s2_patches=patches)


@PATCHES
@pytest.mark.parametrize("selection", [VALID, INVALID])
def test_what_another_addon_drops(patches: str, selection: bytes) -> None:
    codes = codes_after(selection, others=[Drop()], s2_patches=patches)

    assert codes == (["schema.unknown-field"] if selection == INVALID else [])


@PATCHES
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"FILL_RATE_BASED_CONTROL", []),
        (b"NO_SELECTION", ["state.no-control-type"]),
        (b"OPERATION_MODE_BASED_CONTROL", ["state.other-control-type"]),
    ],
)
def test_what_another_addon_changes(patches: str, name: bytes, expected: list[str]) -> None:
    codes = codes_after(VALID, others=[Edit(name)], s2_patches=patches)

    assert [code for code in codes if code.startswith("state.")] == expected


@PATCHES
def test_what_was_injected_and_dropped(patches: str) -> None:
    assert codes_after(VALID, others=[Drop()], inject=True, s2_patches=patches) == []


@PATCHES
def test_it_is_as_if_the_dropped_had_not_come(patches: str) -> None:
    """Nobody waits for its answer, and it may come again with its ids."""
    codes = codes_after(VALID, VALID, VALID, others=[Drop()], s2_patches=patches)

    assert codes == []


@PATCHES
@pytest.mark.parametrize(("drops", "control_type"), [([], "NO_SELECTION"), ([Drop()], None)])
def test_what_is_known_of_the_session_is_what_was_delivered(
    patches: str, drops: list[Any], control_type: str | None
) -> None:
    selection = VALID if drops else NO_SELECTION
    with addon(*drops, s2_patches=patches) as running:
        conversation = Conversation(running)
        say(conversation, begun().lines)
        conversation.say(selection, from_client=False)
        conversation.close()
        expected = "S2 no selection" if control_type else "S2 FRBC"

        assert conversation.flow.comment.startswith(expected)


class Answers:
    """An addon that drops all answers, or makes something else of them."""

    def __init__(self, status: bytes | None) -> None:
        self._status = status

    def websocket_message(self, flow: HTTPFlow) -> None:
        assert flow.websocket is not None
        message = flow.websocket.messages[-1]
        if b'"ReceptionStatus"' not in message.content:
            return
        if self._status is None:
            message.drop()
        else:
            message.content = message.content.replace(b'"OK"', b'"%s"' % self._status)


@PATCHES
@pytest.mark.parametrize("status", [None, b"INVALID_CONTENT"])
def test_what_is_recorded_as_the_answer_is_what_was_delivered(
    tmp_path: Path, patches: str, status: bytes | None
) -> None:
    file = tmp_path / "s2.sqlite3"
    with addon(Answers(status), s2_patches=patches, s2_db=str(file)) as running:
        conversation = Conversation(running)
        say(conversation, begun().lines)
        conversation.close()
    with closing(History(str(file))) as history:
        answers = {
            row["reception_status"]
            for row in history.messages()
            if row["message_type"] != "ReceptionStatus"
        }
    assert answers == {status.decode() if status else None}


def test_what_is_held_does_not_count_until_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    moments: list[Callable[[], str | None]] = []

    class Look:
        def websocket_message(self, flow: HTTPFlow) -> None:
            moments.append(lambda: LIVE[flow.id].conversation.control_type)
            seen.append(moments[-1]())

    seen: list[str | None] = []
    with addon(Look()) as running:
        conversation = Conversation(running)
        say(conversation, begun().lines)
        conversation.say(NO_SELECTION, from_client=False)
        assert seen[-1] == "FILL_RATE_BASED_CONTROL"
        assert moments[-1]() == "NO_SELECTION"
