"""One thing wrong in what a whole conversation says of a device's flexibility."""

from __future__ import annotations

import pytest
from variants import REFUSED, Variant, added, changed, check, dropped

VARIANTS = [
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
        ("modes.early-status", ""),
        ("modes.no-description", ""),
    ),
    changed(
        "a transition to a mode of another actuator",
        "battery",
        'transition("charging", "standby", blocking_timers=["#cool-down"])',
        'transition("charging", "off", blocking_timers=["#cool-down"])',
        ("modes.transition-mode", "/actuators/0/transitions/1/to"),
    ),
    changed(
        "a transition with a timer of the description before",
        "battery",
        'transition("charging", "standby", blocking_timers=["#cool-down"])',
        'transition("charging", "standby", blocking_timers=["#pause"])',
        ("modes.transition-timer", "/actuators/0/transitions/1/blocking_timers/0"),
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
        ("pebc.constraints-replaced", "/power_constraints_id"),
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
    ),
    changed(
        "a limit range that is upside down",
        "curtailment",
        'limit("LOWER", -900, 0, **ROOF)',
        'limit("LOWER", 0, -900, **ROOF)',
        ("pebc.range-upside-down", "/allowed_limit_ranges/1/range_boundary"),
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
        ("hint.too-early", "/status_type"),  # the device goes on as before
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
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.what)
def test_one_thing_wrong_under_a_control_type(variant: Variant) -> None:
    check(variant)
