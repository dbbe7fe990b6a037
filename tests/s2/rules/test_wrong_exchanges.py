"""One thing wrong in a whole conversation that is wrong under every control type."""

from __future__ import annotations

import pytest
from variants import OK_TO_INVALID, REFUSED, Variant, added, changed, check, dropped, lines, renamed

VARIANTS = [
    # The handshake
    dropped(
        "no handshake of the RM",
        "battery",
        'rm("Handshake"',
        ("handshake.unfinished", "/message_type"),
    ),
    dropped(
        "no handshake of the CEM",
        "battery",
        'cem("Handshake"',
        ("handshake.unfinished", "/message_type"),
    ),
    dropped(
        "no handshake response",
        "charging",
        'cem("HandshakeResponse")',
        ("handshake.unfinished", "/message_type"),
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
        "the farewell is answered by closing the connection",
        "curtailment",
        'cem("SessionRequest", request="TERMINATE")',
        'cem("SessionRequest", request="TERMINATE", answer=None)',
    ),
    changed(
        "a measurement is answered long after its time",
        "charging",
        "measured(3610, 3598, 3602)",
        'rm("PowerMeasurement", answer=None)\n    wait(12)\n'
        '    cem("ReceptionStatus", subject_message_id=last())',
        ("ack.missing", ""),
    ),
    changed(
        "a measurement is answered late",
        "charging",
        "measured(3610, 3598, 3602)",
        'rm("PowerMeasurement", answer=None)\n    wait(10.3)\n'
        '    cem("ReceptionStatus", subject_message_id=last())',
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
        ' answer="TEMPORARY_ERROR")\n    wait(10)\n    cem',
        REFUSED,
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
def test_one_thing_wrong_in_any_conversation(variant: Variant) -> None:
    check(variant)
