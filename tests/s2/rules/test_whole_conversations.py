"""Whole conversations give no finding at all; with one thing wrong, those that name it.

Findings are those of the whole variant, to its end: one cause gives one finding, not one for each
message that comes after it.
"""

from __future__ import annotations

import random
import re
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from conversations import (
    CHARGING,
    CURTAILMENT,
    HOME_BATTERY,
    HOT_WATER,
    HYBRID_HEATING,
    LAUNDRY,
    MEASURING,
    S2_CONNECT,
    Play,
    Wire,
)

from s2_mitm.s2.conversation.judging import Conversation, Settings
from s2_mitm.s2.verdict import Role

CONVERSATIONS = {
    "battery": HOME_BATTERY,
    "hot water": HOT_WATER,
    "hybrid": HYBRID_HEATING,
    "laundry": LAUNDRY,
    "charging": CHARGING,
    "curtailment": CURTAILMENT,
    "measuring": MEASURING,
    "s2 connect": S2_CONNECT,
}

SETTINGS = {
    "curtailment": Settings(client_role=Role.CEM),
    "s2 connect": Settings(version="1.0.0-beta"),
}
"""What is not as usual; the RM is the WebSocket client otherwise."""


JOINED_LATE = {
    "handshake.not-seen",
    "modes.cannot-check",
    "pebc.cannot-check",
    "ppbc.cannot-check",
}
"""What is said, once each, by one who did not hear the beginning."""


def play(name: str, text: str) -> Play:
    """Play a text with the settings of the conversation of that name."""
    script = Play(SETTINGS.get(name))
    script.run(text).close()
    return script


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_whole_conversation(name: str) -> None:
    assert play(name, CONVERSATIONS[name]).findings == []


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_whose_end_was_not_seen(name: str) -> None:
    """It goes on: nothing is said of what may still come."""
    for wires in play(name, CONVERSATIONS[name]).connections:
        conversation = Conversation(SETTINGS.get(name))
        for wire in wires:
            assert hear(conversation, wire) == []


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_whose_beginning_was_not_seen(name: str) -> None:
    """From wherever it was heard: what cannot be checked is said once, and nothing is wrong."""
    settings = SETTINGS.get(name, Settings(client_role=Role.RM))
    for wires in play(name, CONVERSATIONS[name]).connections:
        for first in range(1, len(wires)):
            conversation = Conversation(settings, from_start=False)
            codes = [code for wire in wires[first:] for code in hear(conversation, wire)]
            assert set(codes) <= JOINED_LATE
            assert len(codes) == len(set(codes))


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("most", [0.05, 0.5, 2, 8])
def test_answers_take_their_time(name: str, most: float) -> None:
    """The two sides go on talking meanwhile, each by what it knows."""
    chance = random.Random(name)
    for wires in play(name, CONVERSATIONS[name]).connections:
        delayed = [
            wire._replace(time=wire.time + chance.uniform(0, most))
            if b'"ReceptionStatus"' in wire.data
            else wire
            for wire in wires
        ]
        conversation = Conversation(SETTINGS.get(name))
        for wire in sorted(delayed, key=lambda wire: wire.time):
            assert hear(conversation, wire) == []


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("sender", Role)
@pytest.mark.parametrize("seconds", [-30, -3, 3, 30])
def test_a_clock_that_is_wrong(name: str, sender: Role, seconds: float) -> None:
    """By half a minute; it is not what the conversation is about."""
    for wires in play(name, CONVERSATIONS[name]).connections:
        conversation = Conversation(SETTINGS.get(name))
        for wire in wires:
            data = moved(wire.data, seconds) if wire.sender is sender else wire.data
            assert hear(conversation, wire._replace(data=data)) == []


def moved(data: bytes, seconds: float) -> bytes:
    """A message with all its times so many seconds later."""

    def later(time: re.Match[str]) -> str:
        moment = datetime.fromisoformat(time[1]) + timedelta(seconds=seconds)
        return f'"{moment.isoformat()}"'

    return re.sub(r'"(\d{4}-\d\d-\d\dT[\d:.]+Z)"', later, data.decode()).encode()


def hear(conversation: Conversation, wire: Wire) -> list[str]:
    """The codes of what a message makes a conversation say."""
    verdict = conversation.receive(
        wire.data, from_client=wire.sender is conversation.client_role, time=wire.time
    )
    return [finding.code for finding in verdict.findings] + [
        late.finding.code for late in verdict.late
    ]


class Variant(NamedTuple):
    """A conversation with one thing wrong, and the codes and places of all that is found then."""

    what: str
    conversation: str
    text: str
    findings: list[tuple[str, str]]


def changed(what: str, name: str, old: str, new: str, *findings: tuple[str, str]) -> Variant:
    """A text that the conversation has once is another."""
    text = CONVERSATIONS[name]
    assert text.count(old) == 1, what
    return Variant(what, name, text.replace(old, new), list(findings))


def renamed(what: str, name: str, old: str, new: str, *findings: tuple[str, str]) -> Variant:
    """Something has another id, wherever it is named."""
    text = CONVERSATIONS[name]
    assert text.count(f'"{old}"') > 1, what
    return Variant(what, name, text.replace(f'"{old}"', f'"{new}"'), list(findings))


def dropped(what: str, name: str, part: str, *findings: tuple[str, str]) -> Variant:
    """The line with this in it is not said."""
    return changed(what, name, lines(name, part, part), "", *findings)


def added(what: str, name: str, part: str, line: str, *findings: tuple[str, str]) -> Variant:
    """After the line with this in it another is said."""
    before = lines(name, part, part)
    return changed(what, name, before, f"{before}    {line}\n", *findings)


def lines(name: str, first: str, last: str) -> str:
    """The lines of a conversation from the only one with this in it to the only one with that."""
    each = CONVERSATIONS[name].splitlines(keepends=True)
    [start] = [number for number, line in enumerate(each) if first in line]
    [end] = [number for number, line in enumerate(each) if last in line]
    return "".join(each[start : end + 1])


REFUSED = ("ack.refused", "")
OK_TO_INVALID = ("ack.ok-to-invalid", "/status")
"""What the other side makes of it is a finding of its own."""

VARIANTS = [
    # The handshake
    dropped(
        "no handshake of the RM",
        "battery",
        'rm("Handshake"',
        ("handshake.missing", "/message_type"),
    ),
    dropped(
        "no handshake of the CEM",
        "battery",
        'cem("Handshake"',
        ("handshake.missing", "/message_type"),
    ),
    dropped(
        "no handshake response",
        "charging",
        'cem("HandshakeResponse")',
        ("handshake.missing", "/message_type"),
    ),
    added(
        "the RM shakes hands twice",
        "laundry",
        "**WASHER",
        'rm("Handshake")',
        ("handshake.twice", "/message_type"),
    ),
    changed(
        "the RM offers no versions",
        "battery",
        'supported_protocol_versions=["0.0.2-beta", "1.0.0-beta"]',
        "supported_protocol_versions=None",
        ("handshake.no-versions", ""),
    ),
    changed(
        "a version that the RM does not offer",
        "battery",
        '["0.0.2-beta", "1.0.0-beta"]',
        '["1.0.0-beta"]',
        ("handshake.version-not-offered", "/selected_protocol_version"),
    ),
    changed(
        "a version that nobody knows",
        "charging",
        'rm("Handshake")\n    cem("Handshake")\n    cem("HandshakeResponse")',
        'rm("Handshake", supported_protocol_versions=["0.0.3"])\n    cem("Handshake")\n'
        '    cem("HandshakeResponse", selected_protocol_version="0.0.3")',
        ("handshake.unknown-version", "/selected_protocol_version"),
    ),
    changed(
        "the CEM says that it is an RM",
        "laundry",
        'cem("Handshake")',
        'cem("Handshake", role="RM")',
        ("handshake.same-role", "/role"),
    ),
    # States
    changed(
        "a control type that the RM does not offer",
        "battery",
        'cem("SelectControlType", control_type="FILL_RATE_BASED_CONTROL")',
        'cem("SelectControlType", control_type="DEMAND_DRIVEN_BASED_CONTROL")\n'
        '    cem("SelectControlType", control_type="FILL_RATE_BASED_CONTROL")',
        ("state.control-type-not-offered", "/control_type"),
    ),
    dropped(
        "no control type is selected",
        "battery",
        'cem("SelectControlType"',
        ("state.no-control-type", "/message_type"),
    ),
    dropped(
        "the CEM selects before it knows the device",
        "s2 connect",
        "**HYBRID",
        ("state.no-details", "/message_type"),
    ),
    added(
        "an instruction of another control type",
        "battery",
        "present_fill_level=41.5",
        'cem("PEBC.Instruction", id="#envelope-instruction")',
        ("state.other-control-type", "/message_type"),
    ),
    added(
        "the RM goes on with the control type before",
        "hybrid",
        'active_operation_mode_id="#on-electricity"',
        'rm("DDBC.ActuatorStatus", actuator_id="#boiler", active_operation_mode_id="#boiler-off")',
        ("state.other-control-type", "/message_type"),
    ),
    added(
        "the CEM instructs a device that is not controllable",
        "laundry",
        'control_type="NOT_CONTROLABLE"',
        'cem("PPBC.ScheduleInstruction", id="#too-late", execution_time=soon(60))',
        ("state.no-control-type", "/message_type"),
    ),
    added(
        "the RM measures after it has said farewell",
        "charging",
        'rm("SessionRequest"',
        "measured(0, 0, 0)",
        ("state.after-the-end", "/message_type"),
    ),
    added(
        "the CEM instructs after the farewell",
        "hybrid",
        'cem("SessionRequest"',
        'cem("SelectControlType", control_type="OPERATION_MODE_BASED_CONTROL")',
        ("state.after-the-end", "/message_type"),
    ),
    # Direction
    added(
        "the RM selects a control type",
        "measuring",
        "forecast(-1200, -600",
        'rm("SelectControlType", control_type="NOT_CONTROLABLE")',
        ("direction.wrong-sender", "/message_type"),
    ),
    added(
        "the RM ends its control type",
        "battery",
        "measured(3010)",
        'rm("SelectControlType", control_type="NO_SELECTION")',
        ("direction.wrong-sender", "/message_type"),
    ),
    added(
        "the CEM measures",
        "measuring",
        "measured(-1230",
        'cem("PowerMeasurement", values=[{"commodity_quantity":'
        ' "ELECTRIC.POWER.3_PHASE_SYMMETRIC", "value": -1230}])',
        ("direction.wrong-sender", "/message_type"),
    ),
    added(
        "the RM sends the instruction back",
        "battery",
        'update("#charge", "NEW", "ACCEPTED")',
        'rm("FRBC.Instruction", id="#charge", actuator_id="#inverter",'
        ' operation_mode="#charging", execution_time=soon(5))',
        ("direction.wrong-sender", "/message_type"),
    ),
    added(
        "the CEM sends a description of its own",
        "battery",
        "present_fill_level=41.5",
        'cem("FRBC.SystemDescription", answer="INVALID_CONTENT")',
        ("direction.wrong-sender", "/message_type"),
        REFUSED,
    ),
    added(
        "the CEM sends a description of its own, and the RM says OK",
        "battery",
        "present_fill_level=41.5",
        'cem("FRBC.SystemDescription")',
        ("direction.wrong-sender", "/message_type"),
    ),
    added(
        "the CEM says what became of its instruction",
        "hybrid",
        'update("#adjust", "STARTED", "SUCCEEDED")',
        'cem("InstructionStatusUpdate", instruction_id="#adjust", timestamp=ago())',
        ("direction.wrong-sender", "/message_type"),
    ),
    # Acknowledgement
    changed(
        "a measurement is not answered",
        "battery",
        "measured(2980)",
        'rm("PowerMeasurement", answer=None)',
        ("ack.missing", ""),
    ),
    changed(
        "an instruction is not answered",
        "laundry",
        'power_sequence_id="#warm-wash", execution_time=soon(600))',
        'power_sequence_id="#warm-wash", execution_time=soon(600), answer=None)',
        ("ack.missing", ""),
    ),
    changed(
        "the last message is not answered",
        "curtailment",
        'cem("SessionRequest", request="TERMINATE")',
        'cem("SessionRequest", request="TERMINATE", answer=None)',
        ("ack.missing", ""),
    ),
    changed(
        "a measurement is answered late",
        "charging",
        "measured(3610, 3598, 3602)",
        'rm("PowerMeasurement", answer=None)\n    wait(12)\n'
        '    cem("ReceptionStatus", subject_message_id=last())',
        ("ack.missing", ""),
        ("ack.late", ""),
    ),
    added(
        "a message is answered twice",
        "hot water",
        "present_fill_level=38.25",
        'cem("ReceptionStatus", subject_message_id=last())',
        ("ack.twice", "/subject_message_id"),
    ),
    added(
        "an answer to nothing",
        "hot water",
        "present_fill_level=38.25",
        'cem("ReceptionStatus", subject_message_id="#never-sent")',
        ("ack.unknown-subject", "/subject_message_id"),
    ),
    changed(
        "what is right is called invalid",
        "battery",
        'rm("FRBC.StorageStatus", present_fill_level=43.9)',
        'rm("FRBC.StorageStatus", present_fill_level=43.9, answer="INVALID_CONTENT")',
        REFUSED,
        ("ack.refused-faultless", "/status"),
    ),
    changed(
        "what breaks the schema is answered with OK",
        "battery",
        "present_fill_level=43.9",
        'present_fill_level="43.9"',
        ("schema.type", "/present_fill_level"),
        OK_TO_INVALID,
    ),
    changed(
        "what breaks the schema is refused",
        "battery",
        "present_fill_level=43.9",
        'present_fill_level="43.9", answer="INVALID_MESSAGE"',
        ("schema.type", "/present_fill_level"),
        REFUSED,
    ),
    changed(
        "a device that is busy",
        "battery",
        "measured(3010)",
        'rm("PowerMeasurement", answer="TEMPORARY_ERROR")',
        REFUSED,
    ),
    # Ids
    added(
        "a message_id comes twice",
        "battery",
        "present_fill_level=41.5",
        'rm("FRBC.StorageStatus", present_fill_level=41.6, message_id=last())',
        ("ids.message-id-again", "/message_id"),
    ),
    renamed(
        "two instructions with one id",
        "battery",
        "#stop",
        "#charge",
        ("ids.id-again", "/id"),
    ),
    renamed(
        "constraints with the id of those before",
        "charging",
        "#hot-plug",
        "#wallbox",
        ("ids.id-again", "/id"),
    ),
    changed(
        "two actuators with one id",
        "hot water",
        '    rm("FRBC.SystemDescription", valid_from=soon(1), storage=BUFFER,\n'
        "        actuators=[COMPRESSOR, IMMERSION_HEATER])",
        '    rm("FRBC.SystemDescription", valid_from=soon(1), storage=BUFFER,\n'
        "        actuators=[COMPRESSOR, IMMERSION_HEATER, COMPRESSOR])",
        ("ids.twice-in-message", "/actuators/2/id"),
    ),
    # Instructions and their life
    changed(
        "a status for an instruction that nobody gave",
        "battery",
        'update("#evening", "ACCEPTED")',
        'update("#morning", "ACCEPTED")',
        ("instruction.unknown", "/instruction_id"),
    ),
    changed(
        "a status with the message_id in place of the id",
        "battery",
        'update("#evening", "ACCEPTED")',
        'update(last(), "ACCEPTED")',
        ("instruction.message-id", "/instruction_id"),
    ),
    changed(
        "accepted after it has begun",
        "laundry",
        'update("#hold", "STARTED")',
        'update("#hold", "STARTED", "ACCEPTED")',
        ("instruction.wrong-step", "/status_type"),
    ),
    changed(
        "aborted after it has succeeded",
        "charging",
        'update("#gentle", "SUCCEEDED")',
        'update("#gentle", "SUCCEEDED", "ABORTED")',
        ("instruction.after-final", "/status_type"),
    ),
    changed(
        "a status is said again",
        "hybrid",
        'update("#thaw", "STARTED")',
        'update("#thaw", "STARTED", "STARTED")',
        ("instruction.same-status", "/status_type"),
    ),
    changed(
        "a revoked instruction succeeds",
        "laundry",
        'update("#later", "REVOKED")',
        'update("#later", "REVOKED", "SUCCEEDED")',
        ("instruction.after-final", "/status_type"),
    ),
    changed(
        "an instruction is executed that was refused",
        "charging",
        'power_envelopes=envelopes("full", (14400, 0, 3680)))',
        'power_envelopes=envelopes("full", (14400, 0, 3680)), answer="TEMPORARY_ERROR")',
        REFUSED,
        ("instruction.refused", "/status_type"),
    ),
    changed(
        "the RM thinks for a minute",
        "battery",
        'update("#charge", "NEW", "ACCEPTED")',
        'wait(60)\n    update("#charge", "NEW", "ACCEPTED")',
        ("instruction.slow", ""),
    ),
    changed(
        "the RM says nothing of an instruction",
        "hot water",
        'update("#again", "ACCEPTED")\n    wait(5)\n    update("#again", "STARTED", "SUCCEEDED")',
        "wait(60)",
        ("instruction.no-status", ""),
    ),
    changed(
        "an instruction for an hour ago",
        "hybrid",
        "operation_mode_factor=0.4, execution_time=soon(2))",
        "operation_mode_factor=0.4, execution_time=ago(3600))",
        ("instruction.in-the-past", "/execution_time"),
    ),
    # Modes, transitions, timers
    changed(
        "an actuator that nobody described",
        "battery",
        'cem("FRBC.Instruction", id="#evening", actuator_id="#inverter"',
        'cem("FRBC.Instruction", id="#evening", actuator_id="#rectifier"',
        ("modes.unknown-actuator", "/actuator_id"),
    ),
    changed(
        "an actuator without its mode",
        "hot water",
        'id="#assist", actuator_id="#immersion-heater", operation_mode="#hot"',
        'id="#assist", actuator_id="#immersion-heater", operation_mode="#heating"',
        ("modes.unknown-mode", "/operation_mode"),
    ),
    changed(
        "a status with a mode that nobody described",
        "hybrid",
        'rm("OMBC.Status", active_operation_mode_id="#all-off"',
        'rm("OMBC.Status", active_operation_mode_id="#standby"',
        ("modes.unknown-mode", "/active_operation_mode_id"),
    ),
    changed(
        "a timer that nobody described",
        "hybrid",
        'timer_id="#settle"',
        'timer_id="#settled"',
        ("modes.unknown-timer", "/timer_id"),
    ),
    changed(
        "a factor of 60 %",
        "battery",
        "operation_mode_factor=0.6, execution_time",
        "operation_mode_factor=60, execution_time",
        ("modes.factor", "/operation_mode_factor"),
    ),
    changed(
        "an emergency mode on an ordinary day",
        "battery",
        "execution_time=soon(0.5), abnormal_condition=True",
        "execution_time=soon(0.5), abnormal_condition=False",
        ("modes.abnormal-mode", "/operation_mode"),
    ),
    changed(
        "a transition for emergencies on an ordinary day",
        "battery",
        'transition("discharging", "standby"),',
        'transition("discharging", "standby", abnormal_condition_only=True),',
        ("modes.abnormal-transition", "/operation_mode"),
    ),
    changed(
        "a mode that cannot be reached",
        "battery",
        'operation_mode="#standby",\n        operation_mode_factor=0, execution_time=soon(1))\n'
        '    update("#evening"',
        'operation_mode="#backup",\n        abnormal_condition=True, execution_time=soon(1))\n'
        '    update("#evening"',
        ("modes.unreachable", "/operation_mode"),
    ),
    changed(
        "a transition while its timer runs",
        "hot water",
        "wait(400)",
        "wait(100)",
        ("modes.blocked", "/execution_time"),
    ),
    changed(
        "a status without the mode before",
        "hybrid",
        'operation_mode_factor=0,\n        previous_operation_mode_id="#on-electricity",'
        " transition_timestamp=ago(0.1))",
        "operation_mode_factor=0)",
        ("modes.no-previous", ""),
    ),
    dropped(
        "no description",
        "battery",
        "actuators=[INVERTER], storage=CELLS",
        ("modes.no-description", ""),
    ),
    changed(
        "a transition to a mode of another actuator",
        "battery",
        'transition("charging", "standby", blocking_timers=["#cool-down"])',
        'transition("charging", "off", blocking_timers=["#cool-down"])',
        ("modes.transition-mode", "/actuators/0/transitions/1/to"),
        OK_TO_INVALID,
    ),
    changed(
        "a transition with a timer of the description before",
        "battery",
        'transition("charging", "standby", blocking_timers=["#cool-down"])',
        'transition("charging", "standby", blocking_timers=["#pause"])',
        ("modes.transition-timer", "/actuators/0/transitions/1/blocking_timers/0"),
        OK_TO_INVALID,
    ),
    # Descriptions that were refused, or that nobody can read
    added(
        "a description that breaks the schema and is refused",
        "battery",
        "present_fill_level=45)",
        'rm("FRBC.SystemDescription", actuators="none", answer="INVALID_MESSAGE")',
        ("schema.type", "/actuators"),
        REFUSED,
    ),
    changed(
        "a description with an odd label, which the CEM takes",
        "battery",
        "valid_from=ago(), actuators=[INVERTER], storage=CELLS)",
        'valid_from=ago(), actuators=[{**INVERTER, "diagnostic_label": 5}], storage=CELLS)',
        ("schema.type", "/actuators/0/diagnostic_label"),
        OK_TO_INVALID,
    ),
    changed(
        "a description that is no JSON",
        "battery",
        'rm("FRBC.SystemDescription", valid_from=ago(), actuators=[INVERTER], storage=CELLS)',
        'raw(RM, b\'{"message_type": "FRBC.SystemDescription", \')',
        ("json.syntax", ""),
        ("modes.cannot-check", ""),
    ),
    changed(
        "a profile that is no JSON",
        "laundry",
        lines("laundry", 'Definition", id="#cottons"', "=COTTONS"),
        "    raw(RM, b'{')\n",
        ("json.syntax", ""),
        ("ppbc.cannot-check", "/sequence_container_status/0/power_profile_id"),
    ),
    changed(
        "constraints that are no JSON",
        "charging",
        lines("charging", 'id="#wallbox", valid_from', "limits(3680)"),
        "    raw(RM, b'{')\n",
        ("json.syntax", ""),
        ("pebc.cannot-check", "/power_constraints_id"),
    ),
    changed(
        "an instruction that is no JSON",
        "charging",
        lines("charging", 'cem("PEBC.Instruction", id="#full"', 'envelopes("full"'),
        "    raw(CEM, b'{')\n",
        ("json.syntax", ""),
    ),
    changed(
        "a description that the CEM cannot take now, and gets again",
        "hybrid",
        'rm("OMBC.SystemDescription", valid_from=ago(), **WHOLE_HOUSE)',
        'rm("OMBC.SystemDescription", valid_from=ago(), answer="TEMPORARY_ERROR", **WHOLE_HOUSE)\n'
        '    rm("OMBC.SystemDescription", valid_from=ago(), **WHOLE_HOUSE)',
        REFUSED,
    ),
    changed(
        "a profile that the CEM cannot take now, and gets again",
        "laundry",
        lines("laundry", 'Definition", id="#cottons"', "=COTTONS"),
        lines("laundry", 'Definition", id="#cottons"', "=COTTONS").replace(
            "S)", 'S, answer="TEMPORARY_ERROR")'
        )
        + lines("laundry", 'Definition", id="#cottons"', "=COTTONS"),
        REFUSED,
    ),
    changed(
        "a selection that the RM cannot take now, and gets again",
        "charging",
        'cem("SelectControlType", control_type="POWER_ENVELOPE_BASED_CONTROL")',
        'cem("SelectControlType", control_type="POWER_ENVELOPE_BASED_CONTROL",'
        ' answer="TEMPORARY_ERROR")\n'
        '    cem("SelectControlType", control_type="POWER_ENVELOPE_BASED_CONTROL")',
        REFUSED,
    ),
    changed(
        "a change of control type that the RM refuses",
        "battery",
        "wait(10)\n    cem",
        'cem("SelectControlType", control_type="POWER_ENVELOPE_BASED_CONTROL",'
        ' answer="PERMANENT_ERROR")\n    wait(10)\n    cem',
        REFUSED,
    ),
    # FRBC
    changed(
        "leakage with a gap",
        "battery",
        "between(80, 100)",
        "between(81, 100)",
        ("frbc.fill-levels-apart", "/elements/1/fill_level_range"),
    ),
    changed(
        "a target that is upside down",
        "battery",
        "between(20, 100)",
        "between(100, 20)",
        ("frbc.fill-level-order", "/elements/1/fill_level_range"),
        OK_TO_INVALID,
    ),
    changed(
        "a level in another unit",
        "hot water",
        "present_fill_level=38.25",
        "present_fill_level=311.4",
        ("frbc.fill-level-outside", "/present_fill_level"),
    ),
    added(
        "a forecast that the storage does not provide",
        "battery",
        "present_fill_level=41.5",
        'rm("FRBC.UsageForecast")',
        ("frbc.not-provided", "/message_type"),
    ),
    changed(
        "usage whose bands are crossed",
        "hot water",
        '"usage_rate_upper_68PPR": 0.001',
        '"usage_rate_upper_68PPR": 0.01',
        ("frbc.bands-crossed", "/elements/0/usage_rate_upper_95PPR"),
    ),
    # DDBC
    changed(
        "a demand whose bands are crossed",
        "hybrid",
        '"demand_rate_lower_limit": 0',
        '"demand_rate_lower_limit": 3.7',
        ("ddbc.bands-crossed", "/elements/0/demand_rate_lower_95PPR"),
    ),
    changed(
        "modes without transitions",
        "s2 connect",
        "actuators=[BOILER]",
        'actuators=[{**BOILER, "transitions": []}]',
        ("ddbc.no-transitions", "/actuators/0/transitions"),
    ),
    changed(
        "a demand that is upside down",
        "s2 connect",
        "between(6, 6.3)",
        "between(6.3, 6)",
        ("modes.range-order", "/present_demand_rate"),
    ),
    # PEBC
    changed(
        "an envelope beyond what is allowed",
        "charging",
        "(14400, 0, 2070)",
        "(14400, 0, 2400)",
        ("pebc.limit-not-allowed", "/power_envelopes/0/power_envelope_elements/0/upper_limit"),
        ("pebc.limit-not-allowed", "/power_envelopes/1/power_envelope_elements/0/upper_limit"),
        ("pebc.limit-not-allowed", "/power_envelopes/2/power_envelope_elements/0/upper_limit"),
    ),
    changed(
        "an envelope in the gap between off and 6 A",
        "charging",
        "(3600, 0, 1840)",
        "(3600, 0, 1000)",
        ("pebc.limit-not-allowed", "/power_envelopes/0/power_envelope_elements/1/upper_limit"),
        ("pebc.limit-not-allowed", "/power_envelopes/1/power_envelope_elements/1/upper_limit"),
        ("pebc.limit-not-allowed", "/power_envelopes/2/power_envelope_elements/1/upper_limit"),
    ),
    changed(
        "constraints that nobody gave",
        "charging",
        'id="#full", power_constraints_id="#wallbox"',
        'id="#full", power_constraints_id="#wall"',
        ("pebc.unknown-constraints", "/power_constraints_id"),
    ),
    changed(
        "constraints that were replaced",
        "charging",
        'id="#gentle", power_constraints_id="#hot-plug"',
        'id="#gentle", power_constraints_id="#wallbox"',
        ("pebc.constraints-not-in-force", "/power_constraints_id"),
    ),
    changed(
        "constraints that the CEM refused",
        "charging",
        "valid_until=soon(36000), allowed_limit_ranges=limits(2300))",
        'valid_until=soon(36000), allowed_limit_ranges=limits(2300), answer="TEMPORARY_ERROR")',
        REFUSED,
        ("pebc.constraints-refused", "/power_constraints_id"),
    ),
    changed(
        "less energy than the car needs",
        "charging",
        '("full", (14400, 0, 3680))',
        '("full", (14400, 0, 1380))',
        ("pebc.energy-not-allowed", "/power_envelopes/0/power_envelope_elements"),
    ),
    changed(
        "an energy constraint upside down",
        "charging",
        "upper_average_power=1400, lower_average_power=900",
        "upper_average_power=900, lower_average_power=1400",
        ("pebc.averages-crossed", "/upper_average_power"),
    ),
    changed(
        "curtailed to nothing on an ordinary day",
        "curtailment",
        "abnormal_condition=True,\n",
        "\n",
        ("pebc.abnormal-limit", "/power_envelopes/0/power_envelope_elements/0/lower_limit"),
    ),
    changed(
        "limits that are exchanged",
        "curtailment",
        "(900, -3000, 0), ",
        "(900, 0, -3000), ",
        ("pebc.limits-crossed", "/power_envelopes/0/power_envelope_elements/0/lower_limit"),
    ),
    changed(
        "production with the wrong sign",
        "curtailment",
        "(900, -3000, 0), ",
        "(900, 3000, 0), ",
        ("pebc.limits-crossed", "/power_envelopes/0/power_envelope_elements/0/lower_limit"),
    ),
    changed(
        "constraints without a lower limit",
        "curtailment",
        'limit("UPPER", 0, 0, **ROOF), limit("LOWER", -900, 0, **ROOF)',
        'limit("UPPER", 0, 0, **ROOF), limit("UPPER", -900, 0, **ROOF)',
        ("pebc.limit-type-missing", "/allowed_limit_ranges"),
        OK_TO_INVALID,
    ),
    changed(
        "a limit range that is upside down",
        "curtailment",
        'limit("LOWER", -900, 0, **ROOF)',
        'limit("LOWER", 0, -900, **ROOF)',
        ("pebc.range-upside-down", "/allowed_limit_ranges/1/range_boundary"),
        OK_TO_INVALID,
    ),
    changed(
        "two envelopes for one phase",
        "curtailment",
        'id="#cap-envelope", **ROOF)]',
        'id="#cap-envelope", **ROOF),\n        envelope((1800, -3000, 0), id="#cap-too", **ROOF)]',
        ("pebc.envelope-twice", "/power_envelopes/1/commodity_quantity"),
    ),
    changed(
        "an envelope for a phase that is not limited",
        "curtailment",
        'id="#cap-envelope", **ROOF)]',
        'id="#cap-envelope")]',
        ("pebc.quantity-not-constrained", "/power_envelopes/0/commodity_quantity"),
    ),
    changed(
        "no constraints",
        "curtailment",
        """    rm("PEBC.PowerConstraints", id="#roof", valid_from=ago(), consequence_type="VANISH",
        allowed_limit_ranges=[
            limit("UPPER", 0, 0, **ROOF),
            limit("LOWER", -8000, -2400, **ROOF),
            limit("LOWER", -2400, 0, abnormal_condition_only=True, **ROOF),
        ])
""",
        "",
        ("pebc.no-constraints", "/power_constraints_id"),
    ),
    changed(
        "energy of a phase that is not limited",
        "charging",
        "upper_average_power=1400, lower_average_power=900",
        "upper_average_power=1400, lower_average_power=900,\n"
        '        commodity_quantity="HEAT.THERMAL_POWER"',
        ("pebc.energy-quantity", "/commodity_quantity"),
    ),
    # PPBC
    changed(
        "a profile that nobody gave",
        "laundry",
        'id="#wash", power_profile_id="#cottons"',
        'id="#wash", power_profile_id="#wool"',
        ("ppbc.unknown-profile", "/power_profile_id"),
    ),
    changed(
        "a container that the profile does not have",
        "laundry",
        'sequence_container_id="#spinning", power_sequence_id="#gentle-spin"',
        'sequence_container_id="#drying", power_sequence_id="#gentle-spin"',
        ("ppbc.unknown-container", "/sequence_container_id"),
    ),
    changed(
        "a sequence of another container",
        "laundry",
        'sequence_container_id="#spinning", power_sequence_id="#gentle-spin"',
        'sequence_container_id="#spinning", power_sequence_id="#cold-wash"',
        ("ppbc.unknown-sequence", "/power_sequence_id"),
    ),
    changed(
        "a status of a sequence that nobody described",
        "laundry",
        '"selected_sequence_id": "#warm-wash", "progress": 0,',
        '"selected_sequence_id": "#hot-wash", "progress": 0,',
        ("ppbc.unknown-sequence", "/sequence_container_status/0/selected_sequence_id"),
    ),
    changed(
        "boil-wash on an ordinary day",
        "laundry",
        'power_sequence_id="#warm-wash", execution_time=soon(600))',
        'power_sequence_id="#boil-wash", execution_time=soon(600))',
        ("ppbc.abnormal-sequence", "/power_sequence_id"),
    ),
    changed(
        "washing that cannot be interrupted",
        "laundry",
        "power_sequences_containers=COTTONS)",
        "power_sequences_containers=FIRM)",
        ("ppbc.not-interruptible", "/power_sequence_id"),
    ),
    changed(
        "too late for the user",
        "laundry",
        "execution_time=soon(1800))",
        "execution_time=soon(7000))",
        ("ppbc.too-late", "/execution_time"),
    ),
    changed(
        "too early for the user",
        "laundry",
        'id="#rinse", start_time=ago(), end_time',
        'id="#rinse", start_time=soon(3600), end_time',
        ("ppbc.too-early", "/execution_time"),
    ),
    changed(
        "spun before it is washed",
        "laundry",
        "execution_time=soon(3300))",
        "execution_time=soon(1200))",
        ("ppbc.out-of-order", "/execution_time"),
    ),
    changed(
        "spun when the laundry is dry",
        "laundry",
        "execution_time=soon(3300))",
        "execution_time=soon(7200))",
        ("ppbc.pause-too-long", "/execution_time"),
    ),
    changed(
        "a wash without progress",
        "laundry",
        '"#warm-wash", "progress": 0, "status": "EXECUTING"',
        '"#warm-wash", "status": "EXECUTING"',
        ("ppbc.progress-missing", "/sequence_container_status/0"),
    ),
    changed(
        "a wash that is not named",
        "laundry",
        '"selected_sequence_id": "#warm-wash", "progress": 0, "status": "EXECUTING"',
        '"status": "EXECUTING"',
        ("ppbc.selection-missing", "/sequence_container_status/0"),
    ),
    changed(
        "no time for the rinse",
        "laundry",
        'id="#rinse", start_time=ago(), end_time=soon(7200)',
        'id="#rinse", start_time=ago(), end_time=soon(500)',
        ("ppbc.window-too-short", "/end_time"),
    ),
    changed(
        "a profile that the RM has revoked",
        "laundry",
        'object_id="#rinse")\n',
        'object_id="#rinse")\n'
        '    cem("PPBC.ScheduleInstruction", id="#still", power_profile_id="#rinse",\n'
        '        sequence_container_id="#rinsing", power_sequence_id="#rinse-cycle",\n'
        '        execution_time=soon(1800))\n    update("#still", "REJECTED")\n',
        ("ppbc.profile-not-in-force", "/power_profile_id"),
    ),
    # Measurements, forecasts, costs
    changed(
        "a measurement that was not promised",
        "hybrid",
        "measured(1175)",
        'measured(1175, quantity="ELECTRIC.POWER.L2")',
        ("measurement.not-promised", "/values/0/commodity_quantity"),
    ),
    changed(
        "the same quantity twice",
        "charging",
        "measured(3612, 3600, 3597)",
        'rm("PowerMeasurement", answer="INVALID_MESSAGE", values=[\n'
        '        {"commodity_quantity": "ELECTRIC.POWER.L1", "value": 3612},\n'
        '        {"commodity_quantity": "ELECTRIC.POWER.L1", "value": 3600}])',
        ("measurement.quantity-twice", "/values/1/commodity_quantity"),
        REFUSED,
    ),
    changed(
        "a single phase that is not L1",
        "battery",
        "**BATTERY)\n    measured(11)",
        '**{**BATTERY, "provides_power_measurement_types": ["ELECTRIC.POWER.L2"]})\n'
        '    rm("ResourceManagerDetails", **BATTERY)\n    measured(11)',
        ("measurement.single-phase", "/provides_power_measurement_types"),
    ),
    changed(
        "a forecast that was not promised",
        "charging",
        "measured(3612, 3600, 3597)",
        'rm("PowerForecast", start_time=ago(), elements=forecast(3600))',
        ("forecast.not-provided", "/message_type"),
    ),
    changed(
        "costs without a currency",
        "hybrid",
        "**HYBRID",
        '**{**HYBRID, "currency": None}',
        ("costs.no-currency", "/actuators/0/transitions/0/transition_costs"),
    ),
    # Time
    changed(
        "a profile that ends before it starts",
        "laundry",
        'id="#rinse", start_time=ago(), end_time=soon(7200)',
        'id="#rinse", start_time=soon(7200), end_time=ago()',
        ("time.order", "/end_time"),
    ),
    changed(
        "a measurement of tomorrow",
        "laundry",
        "measured(2130)",
        'rm("PowerMeasurement", measurement_timestamp=soon(86400))',
        ("time.in-the-future", "/measurement_timestamp"),
    ),
    changed(
        "a timer in minutes",
        "hot water",
        "finished_at=soon(600)",
        "finished_at=soon(36000)",
        ("time.timer-too-long", "/finished_at"),
    ),
    # Revoking
    changed(
        "the CEM revokes what it never gave",
        "battery",
        'cem("RevokeObject", object_type="FRBC.Instruction", object_id="#feed-in")',
        'cem("RevokeObject", object_type="FRBC.Instruction", object_id="#feed")',
        ("revoke.unknown", "/object_id"),
    ),
    changed(
        "the CEM revokes what is the RM's",
        "laundry",
        'rm("RevokeObject"',
        'cem("RevokeObject"',
        ("revoke.not-own", "/object_type"),
    ),
    changed(
        "revoked as something else",
        "laundry",
        'object_type="PPBC.ScheduleInstruction", object_id="#later"',
        'object_type="PPBC.StartInterruptionInstruction", object_id="#later"',
        ("revoke.wrong-type", "/object_type"),
    ),
    added(
        "revoked twice",
        "charging",
        'object_id="#night"',
        'cem("RevokeObject", object_type="PEBC.Instruction", object_id="#night")',
        ("revoke.twice", "/object_id"),
    ),
    added(
        "an instruction of the control type before is revoked",
        "hybrid",
        'active_operation_mode_id="#on-electricity"',
        'cem("RevokeObject", object_type="DDBC.Instruction", object_id="#gas-off")',
        ("revoke.other-control-type", "/object_type"),
    ),
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.what)
def test_one_thing_wrong(variant: Variant) -> None:
    findings = play(variant.conversation, variant.text).findings
    assert [(finding.code, finding.path) for finding in findings] == variant.findings
