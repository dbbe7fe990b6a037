"""What each type of message means to people, by what was said before it."""

from __future__ import annotations

import re

import pytest
from heard import Heard

from s2_mitm.s2.catalog import MESSAGE_TYPES
from s2_mitm.s2.examples.script import identifier
from s2_mitm.s2.meaning import MAX_LENGTH, MEANINGS
from s2_mitm.s2.verdict import Role
from s2_mitm.s2.wording import short_id

LABELLED = """
begin()
select("FRBC")
rm("FRBC.SystemDescription", actuators=[
    actuator(
        diagnostic_label="Battery inverter",
        operation_modes=[
            frbc_mode("idle"),
            frbc_mode("charge", elements=[
                {"fill_level_range": between(0, 50), "fill_rate": between(0, 0.0025),
                 "power_ranges": [power(0, 5000, "ELECTRIC.POWER.3_PHASE_SYMMETRIC")]},
                {"fill_level_range": between(50, 100), "fill_rate": between(0, 0.001),
                 "power_ranges": [power(0, 2000, "ELECTRIC.POWER.3_PHASE_SYMMETRIC")]},
            ]),
        ],
        transitions=[transition("idle", "charge", blocking_timers=["#rest"]),
                     transition("charge", "idle")],
        timers=[timer("rest", diagnostic_label="minimum rest")],
    )])
"""
IDLE = 'rm("FRBC.ActuatorStatus")\n'
CHARGE = 'cem("FRBC.Instruction", operation_mode_factor=0.6, execution_time=at(0))\n'

CASES: dict[str, tuple[str, str]] = {
    # Who is who, and what is agreed
    "Handshake": (
        'rm("Handshake", supported_protocol_versions=["0.0.2-beta", "1.0.0-beta"])',
        "the RM speaks S2 0.0.2-beta, 1.0.0-beta",
    ),
    "Handshake without versions": (
        'cem("Handshake", supported_protocol_versions=None)',
        "the CEM names no version",
    ),
    "HandshakeResponse": (
        'rm("Handshake"); cem("Handshake"); cem("HandshakeResponse")',
        "S2 0.0.2-beta from now on",
    ),
    "ResourceManagerDetails": (
        'begin(details=False); rm("ResourceManagerDetails", manufacturer="Acme", model="B-5")',
        "Test device (electricity storage, Acme B-5): offers PEBC, PPBC, OMBC, FRBC, DDBC;"
        " measures L1; forecasts",
    ),
    "ResourceManagerDetails of little": (
        'begin(details=False); rm("ResourceManagerDetails", name=None, roles=[],'
        " available_control_types=[], provides_forecast=False,"
        " provides_power_measurement_types=[])",
        'resource "#resource": offers nothing; measures nothing',
    ),
    "SelectControlType": ('begin(); select("FRBC")', "FRBC (fill rate) from now on"),
    "SelectControlType of another": (
        'begin("OMBC"); select("FRBC")',
        "FRBC (fill rate) from now on, OMBC (operation modes) until now",
    ),
    "SelectControlType again": ('begin("OMBC"); select("OMBC")', "OMBC (operation modes) again"),
    "SelectControlType, none": (
        'begin("OMBC"); select("NO_SELECTION")',
        "no selection from now on, OMBC (operation modes) until now",
    ),
    "SessionRequest": (
        'begin(); cem("SessionRequest", diagnostic_label="maintenance")',
        "the CEM asks to end the session: maintenance",
    ),
    "SessionRequest to reconnect": (
        'begin(); rm("SessionRequest", request="RECONNECT")',
        "the RM asks to connect again",
    ),
    # Power
    "PowerMeasurement": (
        'begin(); rm("PowerMeasurement", values=['
        '{"commodity_quantity": "ELECTRIC.POWER.L1", "value": -1480.2},'
        '{"commodity_quantity": "ELECTRIC.POWER.L2", "value": 0},'
        '{"commodity_quantity": "NATURAL_GAS.FLOW_RATE", "value": 0.25}])',
        "-1,480 W (L1), 0 W (L2), 0.25 l/s (gas)",
    ),
    "PowerMeasurement of long ago": (
        'begin(); rm("PowerMeasurement", measurement_timestamp="2026-02-28T11:00:00+01:00")',
        "230.5 W, measured at 2026-02-28T10:00:00Z",
    ),
    "PowerForecast": (
        'begin(); rm("PowerForecast", start_time=at(900), elements=[{"duration": 900000,'
        '"power_values": [{"commodity_quantity": "HEAT.THERMAL_POWER", "value_expected": watts}]}'
        " for watts in (100, 300, 200)])",
        "100 to 300 W (heat) expected from 12:15:00Z for 45 min, 3 elements",
    ),
    # Answers, progress, revocation
    "InstructionStatusUpdate": (
        LABELLED
        + 'rm("FRBC.StorageStatus")\n'
        + CHARGE
        + 'rm("InstructionStatusUpdate", status_type="STARTED", timestamp=at(5))',
        "started at 12:00:05Z: Battery inverter → charge at 0.6",
    ),
    "InstructionStatusUpdate of PEBC": (
        'begin("PEBC"); cem("PEBC.Instruction"); rm("InstructionStatusUpdate")',
        "accepted at 12:00:00Z: -1,000 to 4,000 W for 15 min",
    ),
    "InstructionStatusUpdate of nothing": (
        'begin("FRBC"); rm("InstructionStatusUpdate")',
        'accepted at 12:00:00Z: instruction "#instruction", not seen',
    ),
    "RevokeObject": (
        'begin("PPBC"); cem("PPBC.ScheduleInstruction");'
        'cem("RevokeObject", object_type="PPBC.ScheduleInstruction")',
        "takes back the PPBC.ScheduleInstruction: schedules sequence 1 of 2 (10 min, 2,000 W) of"
        " container 1 of 2",
    ),
    "RevokeObject of a description": (
        'begin(); select("FRBC"); it = rm("FRBC.SystemDescription"); wait(90);'
        'rm("RevokeObject", object_type="FRBC.SystemDescription", object_id=it)',
        "takes back the FRBC.SystemDescription of 1 min 30 s before",
    ),
    "RevokeObject of nothing": (
        'begin("FRBC"); cem("RevokeObject")',
        'takes back the FRBC.Instruction: instruction "#instruction", not seen',
    ),
    # PEBC
    "PEBC.PowerConstraints": (
        'begin(); select("PEBC"); rm("PEBC.PowerConstraints", valid_until=at(3600))',
        "upper limit 0 to 5,000 W, lower limit -5,000 to 0 W, others in abnormal conditions;"
        " what is limited is lost; valid until 13:00:00Z",
    ),
    "PEBC.PowerConstraints with a gap": (
        'begin(); select("PEBC"); rm("PEBC.PowerConstraints", allowed_limit_ranges=['
        'limit("UPPER", 1400, 7000), limit("UPPER", 0, 0),'
        ' limit("UPPER", 7000, 7400), limit("LOWER", 0, 0)])',
        "upper limit 0 or 1,400 to 7,400 W, lower limit 0 W; what is limited is lost",
    ),
    "PEBC.PowerConstraints with many gaps": (
        'begin(); select("PEBC"); rm("PEBC.PowerConstraints", allowed_limit_ranges=['
        '*[limit("UPPER", 10 * n, 10 * n) for n in range(6)], limit("LOWER", 0, 0)])',
        "upper limit 0 or 10 or 20 or 30 W or 2 more, lower limit 0 W; what is limited is lost",
    ),
    "PEBC.EnergyConstraint": (
        'begin(); select("PEBC"); rm("PEBC.EnergyConstraint", valid_until=at(1800))',
        "1,000 to 3,000 W on average from 12:00:00Z to 12:30:00Z, which is 500 to 1,500 Wh",
    ),
    "PEBC.Instruction": (
        'begin("PEBC"); cem("PEBC.Instruction", power_envelopes=['
        "envelope((900, -1000, 4000), (900, 0, 2000))], abnormal_condition=True)",
        "within -1,000 to 4,000 W for 30 min, 2 elements, at 12:00:05Z, in an abnormal condition",
    ),
    "PEBC.Instruction of several elements": (
        'begin("PEBC"); cem("PEBC.Instruction", power_envelopes=['
        "envelope((900, 0, 2000), (60, -500, 4000))])",
        "0 to 2,000 W at first, within -500 to 4,000 W for 16 min, 2 elements, at 12:00:05Z",
    ),
    "PEBC.Instruction of several quantities": (
        'begin("PEBC"); cem("PEBC.Instruction", power_envelopes=[envelope((60, 0, 3680),'
        ' commodity_quantity=f"ELECTRIC.POWER.L{phase}") for phase in (1, 2, 3)])',
        "0 to 3,680 W (L1, L2, L3) for 1 min, at 12:00:05Z",
    ),
    "PEBC.Instruction of several quantities and times": (
        'begin("PEBC"); cem("PEBC.Instruction", power_envelopes=[envelope((60, 0, 0)),'
        ' envelope((90, 0, 0), commodity_quantity="HEAT.THERMAL_POWER")])',
        "0 W (L1, heat) fixed, at 12:00:05Z",
    ),
    "PEBC.Instruction of nothing": (
        'begin("PEBC"); cem("PEBC.Instruction", power_envelopes=[], execution_time="soon")',
        "no power envelope that can be read, at a time that is not said",
    ),
    "PEBC.Instruction by what was not given": (
        'begin("PEBC"); cem("PEBC.Instruction", power_constraints_id="#others")',
        '-1,000 to 4,000 W for 15 min, at 12:00:05Z; by power constraints "#others", not described',
    ),
    # PPBC
    "PPBC.PowerProfileDefinition": (
        'begin(); select("PPBC"); rm("PPBC.PowerProfileDefinition")',
        "2 containers with 4 sequences, 2,000 W expected, from 12:00:00Z to 14:00:00Z",
    ),
    "PPBC.PowerProfileStatus": (
        'begin("PPBC"); rm("PPBC.PowerProfileStatus", sequence_container_status=['
        '{"power_profile_id": "#profile", "sequence_container_id": "#wash",'
        ' "selected_sequence_id": "#fast", "progress": 300000, "status": "EXECUTING"},'
        '{"power_profile_id": "#profile", "sequence_container_id": "#spin",'
        ' "status": "NOT_SCHEDULED"}])',
        "container 1 of 2: executing sequence 2 of 2 (10 min, 2,000 W), 5 min in;"
        " container 2 of 2: not scheduled",
    ),
    "PPBC.ScheduleInstruction": (
        'begin("PPBC"); cem("PPBC.ScheduleInstruction")',
        "schedules sequence 1 of 2 (10 min, 2,000 W) of container 1 of 2, at 12:01:00Z",
    ),
    "PPBC.StartInterruptionInstruction": (
        'begin("PPBC"); cem("PPBC.StartInterruptionInstruction", sequence_container_id="#spin",'
        ' power_sequence_id="#eco")',
        'interrupts sequence "#eco", not in its container, of container 2 of 2, at 12:02:00Z',
    ),
    "PPBC.EndInterruptionInstruction": (
        'begin("PPBC"); cem("PPBC.EndInterruptionInstruction", power_profile_id="#other",'
        " execution_time=at(0))",
        'continues sequence "#eco" of container "#wash" of power profile'
        ' "#other", not described, at once',
    ),
    # Descriptions
    "OMBC.SystemDescription": (
        'begin(); select("OMBC"); rm("OMBC.SystemDescription", valid_from=at(3600))',
        "3 modes, 4 transitions, 1 timer; 0 to 2,000 W; valid from 13:00:00Z",
    ),
    "FRBC.SystemDescription": (
        LABELLED,
        "Battery inverter: 2 modes, 2 transitions, 1 timer; 0 to 5,000 W (L1,"
        " 3-phase), 0 to +36 %/h; battery 0 to 100 %",
    ),
    "DDBC.SystemDescription": (
        'begin(); select("DDBC"); rm("DDBC.SystemDescription")',
        "1 actuator: 3 modes, 4 transitions, 1 timer; 0 to 2,000 W, supply rate 0 to 5;"
        " demand rate 1 to 2",
    ),
    # Statuses
    "OMBC.Status": (
        'begin("OMBC"); rm("OMBC.Status", active_operation_mode_id="#on",'
        ' operation_mode_factor=0.25, previous_operation_mode_id="#off",'
        " transition_timestamp=at(0))",
        "on at 0.25 since 12:00:00Z, off before; 500 W described",
    ),
    "FRBC.ActuatorStatus": (
        LABELLED + 'rm("FRBC.StorageStatus", present_fill_level=40)\n'
        'rm("PowerMeasurement", measurement_timestamp=at(1), values=[{"commodity_quantity":'
        ' "ELECTRIC.POWER.3_PHASE_SYMMETRIC", "value": 1480}])\n'
        'rm("FRBC.ActuatorStatus", active_operation_mode_id="#charge",'
        ' operation_mode_factor=0.6, previous_operation_mode_id="#gone",'
        " transition_timestamp=at(0))",
        'Battery inverter: charge at 0.6 since 12:00:00Z, mode "#gone" before (not'
        " described); 3,000 W (3-phase), +5.4 %/h described; 1,480 W (3-phase) measured",
    ),
    "DDBC.ActuatorStatus": (
        'begin(); select("DDBC"); rm("DDBC.SystemDescription", actuators=['
        'ddbc_actuator(), ddbc_actuator(id="#other")]); rm("PowerMeasurement");'
        'rm("DDBC.ActuatorStatus", active_operation_mode_id="#heat", operation_mode_factor=1)',
        'actuator "#actuator": heat at 1; 2,000 W, supply rate 5 described',
    ),
    "FRBC.StorageStatus": (
        'begin("FRBC"); rm("FRBC.StorageStatus")',
        "battery: 57.3 %, of 0 to 100 %",
    ),
    "FRBC.StorageStatus out of range": (
        'begin("FRBC"); rm("FRBC.StorageStatus", present_fill_level=101)',
        "battery: 101 %, outside of 0 to 100 %",
    ),
    **{
        f"FRBC.StorageStatus in {label}": (
            'begin(); select("FRBC"); rm("FRBC.SystemDescription", storage={"fill_level_label":'
            f' "{label}", "fill_level_range": between(20, 60)}}); rm("FRBC.StorageStatus")',
            f"fill level: 57.3{told}, of 20 to 60{told}",
        )
        for label, told in (
            ("SoC in %", " %"),
            ("SoC [%]", " %"),
            ("temperature (°C)", " °C"),
            ("state of charge in percent", " state of charge in percent"),
            ("", ""),
            ("in", " in"),
        )
    },
    "FRBC.StorageStatus without a description": (
        'begin(); select("FRBC"); rm("FRBC.StorageStatus")',
        "fill level: 57.3",
    ),
    "OMBC.TimerStatus": (
        'begin("OMBC"); rm("OMBC.TimerStatus", finished_at=at(-5))',
        'timer "#rest" does not run',
    ),
    "FRBC.TimerStatus": (
        LABELLED + 'wait(10); rm("FRBC.TimerStatus")',
        "timer 'minimum rest' of Battery inverter runs until 12:01:00Z, for 49.9 s",
    ),
    "DDBC.TimerStatus": (
        'begin("DDBC"); rm("DDBC.TimerStatus", timer_id="#no-such", finished_at=at(90))',
        'timer "#no-such", not described, runs until 12:01:30Z, for 1 min 30 s',
    ),
    # Forecasts
    "FRBC.LeakageBehaviour": (
        'begin("FRBC"); rm("FRBC.LeakageBehaviour")',
        "leaks 0.36 to 0.72 %/h at 0 to 100 %, 2 elements",
    ),
    "FRBC.UsageForecast": (
        'begin("FRBC"); rm("FRBC.UsageForecast")',
        "uses 72 %/h from 12:00:00Z for 15 min, 1 element",
    ),
    "FRBC.UsageForecast in words": (
        'begin(); select("FRBC"); rm("FRBC.SystemDescription",'
        ' storage={"fill_level_label": "degrees Celsius", "fill_level_range": between(20, 60)});'
        'rm("FRBC.UsageForecast")',
        "uses 72 degrees Celsius per hour from 12:00:00Z for 15 min, 1 element",
    ),
    "FRBC.FillLevelTargetProfile": (
        'begin("FRBC"); rm("FRBC.FillLevelTargetProfile")',
        "20 to 80 % wanted from 12:00:00Z for 15 min, 1 element",
    ),
    "DDBC.AverageDemandRateForecast": (
        'begin("DDBC"); rm("DDBC.AverageDemandRateForecast")',
        "demand rate 2 expected from 12:00:00Z for 15 min, 1 element",
    ),
    "DDBC.PresentDemandStatus": (
        'begin("DDBC"); rm("DDBC.PresentDemandStatus")',
        "demand rate 1 to 2",
    ),
    # Instructions of modes
    "OMBC.Instruction": (
        'begin("OMBC"); cem("OMBC.Instruction")',
        "on at 1: 2,000 W, at 12:00:05Z",
    ),
    "DDBC.Instruction": (
        'begin("DDBC"); cem("DDBC.Instruction", execution_time="2026-03-02T00:00:00Z")',
        "heat at 0.5: 1,000 W, supply rate 2.5, at 2026-03-02T00:00:00Z",
    ),
    "FRBC.Instruction": (
        LABELLED + 'rm("FRBC.StorageStatus", present_fill_level=40)\n' + CHARGE,
        "Battery inverter → charge at 0.6: 3,000 W (3-phase), +5.4 %/h, at once",
    ),
    "FRBC.Instruction, blocked": (
        LABELLED
        + 'rm("FRBC.StorageStatus", present_fill_level=60)\n'
        + IDLE
        + 'rm("FRBC.TimerStatus", finished_at=at(190))\n'
        + CHARGE,
        "Battery inverter → charge at 0.6: 1,200 W (3-phase), +2.16 %/h, at once;"
        " blocked until 12:03:10Z by the timer 'minimum rest'",
    ),
    "FRBC.Instruction, the timer is finished": (
        LABELLED
        + 'rm("FRBC.StorageStatus", present_fill_level=60)\n'
        + IDLE
        + 'rm("FRBC.TimerStatus", finished_at=at(20))\n'
        + 'cem("FRBC.Instruction", execution_time=at(30))',
        "Battery inverter → charge at 0.5: 1,000 W (3-phase), +1.8 %/h, at 12:00:30Z",
    ),
    "FRBC.Instruction, where none leads there": (
        'begin("FRBC"); rm("FRBC.ActuatorStatus", active_operation_mode_id="#charge",'
        ' operation_mode_factor=1); cem("FRBC.Instruction", operation_mode="#emergency",'
        " abnormal_condition=True, execution_time=at(0))",
        "emergency at 0.5: 2,500 W, +18 %/h, at once, in an abnormal condition;"
        " no transition leads there from charge",
    ),
    "FRBC.Instruction at an unknown fill level": (
        LABELLED + CHARGE,
        "Battery inverter → charge at 0.6: 1,200 to 3,000 W (3-phase), +2.16 to +5.4 %/h,"
        " by the fill level, at once",
    ),
    "FRBC.Instruction for later, when the fill level may be another": (
        LABELLED + 'rm("FRBC.StorageStatus", present_fill_level=40)\n'
        'cem("FRBC.Instruction", execution_time=at(7200))',
        "Battery inverter → charge at 0.5: 1,000 to 2,500 W (3-phase), +1.8 to +4.5 %/h,"
        " by the fill level, at 14:00:00Z",
    ),
    "FRBC.Instruction at a fill level that is not described": (
        LABELLED + 'rm("FRBC.StorageStatus", present_fill_level=101)\n' + CHARGE,
        "Battery inverter → charge at 0.6: not described for the fill level 101 %, at once",
    ),
    "FRBC.Instruction with a factor that is none": (
        LABELLED + 'cem("FRBC.Instruction", operation_mode_factor=2303)',
        "Battery inverter → charge at 2,303, which is not from 0 to 1, at 12:00:05Z",
    ),
    "FRBC.Instruction of an unknown mode": (
        LABELLED + 'cem("FRBC.Instruction", operation_mode="#no-such")',
        'Battery inverter → mode "#no-such", not described, at 0.5, at 12:00:05Z',
    ),
    "FRBC.Instruction to an unknown actuator": (
        LABELLED + 'cem("FRBC.Instruction", actuator_id="#no-such")',
        'actuator "#no-such", not described → mode "#charge" at 0.5, at 12:00:05Z',
    ),
    "FRBC.Instruction by what was refused": (
        'begin(); select("FRBC"); rm("FRBC.SystemDescription", answer="INVALID_CONTENT");'
        'cem("FRBC.Instruction")',
        "charge, no longer described, at 0.5: 2,500 W, +18 %/h, at 12:00:05Z",
    ),
    "FRBC.Instruction by a description to come": (
        'begin("FRBC"); rm("FRBC.SystemDescription", valid_from=at(3600), actuators=[actuator('
        'operation_modes=[frbc_mode("charge", diagnostic_label="charge, new")])]);'
        'cem("FRBC.Instruction", execution_time=at(3600))',
        "charge, new at 0.5: 2,500 W, +18 %/h, at 13:00:00Z",
    ),
    "FRBC.Instruction until a description comes": (
        'begin("FRBC"); rm("FRBC.SystemDescription", valid_from=at(3600), actuators=[actuator('
        'operation_modes=[frbc_mode("charge", diagnostic_label="charge, new")])]);'
        'cem("FRBC.Instruction")',
        "charge at 0.5: 2,500 W, +18 %/h, at 12:00:05Z",
    ),
    "FRBC.Instruction, the beginning was not seen": (
        'joined_late(); cem("FRBC.Instruction")',
        'actuator "#actuator", whose description was not seen → mode "#charge" at 0.5,'
        " at 12:00:05Z",
    ),
}


def with_ids(expected: str) -> str:
    """A line with the id in place of each name of one."""
    return re.sub(r'"#([^"]+)"', lambda name: short_id(identifier(name[1])), expected)


@pytest.mark.parametrize("case", CASES)
def test_it_is_told(case: str) -> None:
    script, expected = CASES[case]
    assert Heard().run(script).told == with_ids(expected)


def test_every_type_has_a_meaning_and_a_case() -> None:
    assert MEANINGS.keys() == MESSAGE_TYPES.keys()
    assert {case.split(",")[0].split(" ")[0] for case in CASES} == {
        *MESSAGE_TYPES.keys() - {"ReceptionStatus"}
    }


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('begin(); rm("PowerMeasurement")', "OK → PowerMeasurement"),
        (
            'begin(); rm("PowerMeasurement", answer="INVALID_DATA")',
            "INVALID_DATA → PowerMeasurement",
        ),
        (
            'begin(); rm("PowerMeasurement", answer=None); wait(99);'
            'cem("ReceptionStatus", subject_message_id=last(), diagnostic_label="too busy")',
            "OK → PowerMeasurement: too busy",
        ),
        (
            'begin(); rm("PowerMeasurement", answer=None);'
            'cem("ReceptionStatus", subject_message_id=last(), diagnostic_label="x" * 999)',
            f"OK → PowerMeasurement: {'x' * 120}…",
        ),
        (
            'begin(); rm("PowerMeasurement"); cem("ReceptionStatus", subject_message_id=last())',
            "OK → PowerMeasurement",
        ),
        (
            'begin(); cem("ReceptionStatus", subject_message_id="#no-such")',
            'OK → message "#no-such", not seen',
        ),
        (  # it names what its own side said
            'begin(); rm("PowerMeasurement", answer=None);'
            'rm("ReceptionStatus", subject_message_id=last())',
            'OK → message "#message 5", not seen',
        ),
    ],
)
def test_what_an_answer_answers(script: str, expected: str) -> None:
    assert Heard().run(script).answer == with_ids(expected)


def test_what_is_no_message_of_s2_has_none() -> None:
    heard = Heard()
    for data in (
        b"",
        b"hello",
        b"[]",
        b"{}",
        b'{"message_type": "Handshaek"}',
        b'{"message_type": 5}',
    ):
        heard.raw(Role.RM, data)
        assert heard.told == ""


def test_it_is_gone_once_the_message_is_taken_in() -> None:
    heard = Heard()
    heard.rm("Handshake")
    assert heard.judge.meaning() == ""


def test_labels_are_made_harmless_and_short() -> None:
    heard = Heard()
    heard.begin(details=False)
    heard.rm("ResourceManagerDetails", name="\x1b[2J\u202e\n" + "x" * 1_000_000)
    assert heard.told.startswith("\\u001b[2J\\u202e xxxx")
    assert heard.told.isprintable()
    assert len(heard.told) <= MAX_LENGTH
