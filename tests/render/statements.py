"""For each published sentence that is checked: conversations that break it, and nothing else.

A script (`s2_mitm/s2/examples/script.py`) breaks its sentences with the last message that it says.
One sentence may stand in several places, and a part of a message, such as a timer, in messages of
several control types: there is a script for each. The sentences themselves are not ours; the places
are the fields of the published schemas.
"""

from __future__ import annotations

from textwrap import dedent
from typing import NamedTuple


class Broken(NamedTuple):
    """A sentence, the places where it stands, and a script that breaks it there.

    ``found`` is the only code that the message at fault has.
    """

    number: str
    places: tuple[str, ...]
    found: str
    script: str

    @property
    def name(self) -> str:
        return f"{self.number} {self.places[0]} {self.found}"


SCHEMA = "schema.too-few"
"""What the JSON Schema finds: all that it sees of these sentences is a list that is too short."""

BROKEN: list[Broken] = []

MODES = {"FRBC": ("idle", "charge"), "OMBC": ("off", "on"), "DDBC": ("off", "heat")}
STATUS = {"FRBC": "FRBC.ActuatorStatus", "OMBC": "OMBC.Status", "DDBC": "DDBC.ActuatorStatus"}
ABNORMAL = {"FRBC": "emergency", "OMBC": "boost", "DDBC": "boost"}
ACTUATOR = {"FRBC": "actuator", "DDBC": "ddbc_actuator"}
WITHIN = ("Timer", "Transition")
"""The parts that stand in the descriptions of all three control types with operation modes."""


def _broken(number: str, places: str | list[str], found: str, script: str) -> None:
    named = (places,) if isinstance(places, str) else tuple(places)
    BROKEN.append(Broken(number, named, found, dedent(script).strip()))


def _described(family: str, fields: str) -> str:
    """The RM describes itself anew, an actuator (or OMBC as a whole) with these fields."""
    if family in ACTUATOR:
        fields = f"actuators=[{ACTUATOR[family]}({fields})]"
    return f'rm("{family}.SystemDescription", answer=None, {fields})'


def _instructed(family: str, mode: str, fields: str = "") -> str:
    """The CEM instructs an operation mode, at once."""
    field = "operation_mode" if family == "FRBC" else "operation_mode_id"
    return f'cem("{family}.Instruction", answer=None, {field}="#{mode}", {fields})'


def _switched(family: str, end: str, start: str, seconds: int) -> str:
    """The RM tells that it has switched between two modes, after so many seconds."""
    return (
        f'rm("{STATUS[family]}", active_operation_mode_id="#{end}",'
        f' previous_operation_mode_id="#{start}", transition_timestamp=at({seconds}))\n'
    )


# What all control types with operation modes have: the factor, the mode before, and the two that
# one switches between.

for _number, _place in (
    ("N01", "DDBC.ActuatorStatus"),
    ("N01", "DDBC.Instruction"),
    ("N01", "FRBC.Instruction"),
    ("N09", "FRBC.ActuatorStatus"),
    ("N09", "OMBC.Instruction"),
    ("N09", "OMBC.Status"),
):
    _family, _side = _place.partition(".")[0], "cem" if _place.endswith("Instruction") else "rm"
    for _factor in (-0.1, 1.1):
        _broken(
            _number,
            f"{_place}/operation_mode_factor",
            "modes.factor",
            f"""
            begin("{_family}")
            {_side}("{_place}", answer=None, operation_mode_factor={_factor})
            """,
        )

for _number, _family in (("N02", "DDBC"), ("N10", "FRBC"), ("N18", "OMBC")):
    _rest, _work = MODES[_family]
    for _absent, _given in (
        ("previous_operation_mode_id", "transition_timestamp=at(0)"),
        ("transition_timestamp", f'previous_operation_mode_id="#{_rest}"'),
    ):
        _broken(
            _number,
            f"{STATUS[_family]}/{_absent}",
            "modes.no-previous",
            f"""
            begin("{_family}")
            rm("{STATUS[_family]}", answer=None, active_operation_mode_id="#{_work}", {_given})
            """,
        )

_broken(
    "N12",
    "FRBC.Instruction/operation_mode",
    "modes.unknown-mode",
    """
    begin("FRBC")
    cem("FRBC.Instruction", answer=None, operation_mode="#no-such-mode")
    """,
)
_broken(
    "N17",
    "OMBC.Instruction/operation_mode_id",
    "modes.unknown-mode",
    """
    begin("OMBC")
    cem("OMBC.Instruction", answer=None, operation_mode_id="#no-such-mode")
    """,
)

for _number, _family in (("N43", "DDBC"), ("N50", "FRBC"), ("N53", "OMBC")):
    _broken(
        _number,
        f"{_family}.OperationMode/abnormal_condition_only",
        "modes.abnormal-mode",
        f'begin("{_family}")\n' + _instructed(_family, ABNORMAL[_family]),
    )

for _family, (_rest, _work) in MODES.items():
    _begun = f'begin()\nselect("{_family}")\n'
    _there, _back = f'transition("{_rest}", "{_work}"', f'transition("{_work}", "{_rest}"'
    _broken(
        "N68",
        f"{_family} Transition/from",
        "modes.transition-mode",
        _begun + _described(_family, f'transitions=[{_there}), transition("no-mode", "{_rest}")]'),
    )
    _broken(
        "N70",
        f"{_family} Transition/abnormal_condition_only",
        "modes.abnormal-transition",
        _begun
        + _described(
            _family, f"transitions=[{_there}, abnormal_condition_only=True), {_back})]"
        ).replace("answer=None, ", "")
        + f'\nrm("{STATUS[_family]}")\n'
        + _instructed(_family, _work),
    )
    _timed = (
        f'begin("{_family}")\n'
        + _switched(_family, _work, _rest, 0)
        + f'rm("{_family}.TimerStatus", finished_at=at(60))\n'
    )
    _broken(
        "N69",
        f"{_family} Transition/blocking_timers",
        "modes.blocked",
        _timed + _instructed(_family, _rest, "execution_time=at(30)"),
    )
    _broken(
        "N69",
        f"{_family} Transition/blocking_timers",
        "modes.switched-early",
        _timed + "wait(30)\n" + _switched(_family, _rest, _work, 30),
    )
    for _part, _twice in (
        ("Timer", 'timers=[timer("rest"), timer("rest", duration=5000)]'),
        ("Transition", f"transitions=[{_there}), {_there}, start_timers=[])]"),
    ):
        _broken(
            "N67",
            f"{_family} {_part}/id",
            "ids.twice-in-message",
            _begun + _described(_family, _twice),
        )


# The ids of what is described, in a message and in a session.

for _number, _place, _script in (
    (
        "N04",
        "OMBC.OperationMode/id",
        _described("OMBC", 'operation_modes=[ombc_mode("off")] * 2, transitions=[]'),
    ),
    (
        "N04",
        "DDBC.ActuatorDescription/id",
        'rm("DDBC.SystemDescription", answer=None, actuators=[ddbc_actuator()] * 2)',
    ),
    (
        "N04",
        "FRBC.ActuatorDescription/id",
        'rm("FRBC.SystemDescription", answer=None, actuators=[actuator()] * 2)',
    ),
    (
        "N41",
        "DDBC.OperationMode/Id",
        _described(
            "DDBC",
            'operation_modes=[ddbc_mode("off"), ddbc_mode("heat")] * 2,'
            ' transitions=[transition("off", "heat")]',
        ),
    ),
    (
        "N48",
        "FRBC.OperationMode/id",
        _described("FRBC", 'operation_modes=[frbc_mode("idle")] * 2, transitions=[]'),
    ),
    (
        "N60",
        "PPBC.PowerSequence/id",
        'rm("PPBC.PowerProfileDefinition", answer=None, power_sequences_containers=['
        'container("wash", sequence("eco"), sequence("eco"))])',
    ),
    (
        "N62",
        "PPBC.PowerSequenceContainer/id",
        'rm("PPBC.PowerProfileDefinition", answer=None, power_sequences_containers=['
        'container("wash", sequence("eco")), container("wash", sequence("slow"))])',
    ),
):
    _family = _place.partition(".")[0]
    _broken(_number, _place, "ids.twice-in-message", f'begin()\nselect("{_family}")\n{_script}')

for _family in ("DDBC", "FRBC", "OMBC", "PEBC"):
    _broken(
        "N04",
        f"{_family}.Instruction/id",
        "ids.id-again",
        f"""
        begin("{_family}")
        cem("{_family}.Instruction", id="#same")
        cem("{_family}.Instruction", id="#same", answer=None, execution_time=at(60))
        """,
    )
for _kind, _id, _other in (
    ("PEBC.EnergyConstraint", "energy", "valid_from=at(1800)"),
    ("PEBC.PowerConstraints", "constraints", "valid_from=at(1800)"),
    ("PPBC.PowerProfileDefinition", "profile", "end_time=at(9000)"),
):
    _family = _kind.partition(".")[0]
    _broken(
        "N04",
        f"{_kind}/id",
        "ids.id-again",
        f"""
        begin("{_family}")
        rm("{_kind}", id="#{_id}", answer=None, {_other})
        """,
    )
_broken(
    "N04",
    "PPBC.ScheduleInstruction/id",
    "ids.id-again",
    """
    begin("PPBC")
    cem("PPBC.ScheduleInstruction", id="#same")
    cem("PPBC.ScheduleInstruction", id="#same", answer=None, sequence_container_id="#spin",
        power_sequence_id="#slow", execution_time=at(1800))
    """,
)
_broken(
    "N04",
    "PPBC.StartInterruptionInstruction/id",
    "ids.id-again",
    """
    begin("PPBC")
    cem("PPBC.ScheduleInstruction", id="#same")
    cem("PPBC.StartInterruptionInstruction", id="#same", answer=None)
    """,
)
_broken(
    "N04",
    "PPBC.EndInterruptionInstruction/id",
    "ids.id-again",
    """
    begin("PPBC")
    cem("PPBC.ScheduleInstruction")
    cem("PPBC.StartInterruptionInstruction", id="#same")
    cem("PPBC.EndInterruptionInstruction", id="#same", answer=None)
    """,
)
_broken(
    "N04",
    "PEBC.PowerEnvelope/id",
    "pebc.envelope-id-again",
    """
    begin("PEBC")
    cem("PEBC.Instruction", id="#one", power_envelopes=[envelope((900, 0, 4000), id="#same")])
    cem("PEBC.Instruction", id="#two", answer=None,
        power_envelopes=[envelope((900, 0, 3500), id="#same")])
    """,
)
_l2 = '"ELECTRIC.POWER.L2"'
_broken(
    "N04",
    "PEBC.PowerEnvelope/id",
    "ids.twice-in-message",
    f"""
    begin()
    select("PEBC")
    rm("PEBC.PowerConstraints", allowed_limit_ranges=[
        limit(kind, -5000, 5000, commodity_quantity=quantity)
        for kind in ("UPPER", "LOWER") for quantity in ("ELECTRIC.POWER.L1", {_l2})])
    cem("PEBC.Instruction", answer=None, power_envelopes=[
        envelope((900, 0, 4000), id="#same"),
        envelope((900, 0, 4000), id="#same", commodity_quantity={_l2})])
    """,
)


# When an instruction is to be carried out.

_schedule = 'cem("PPBC.ScheduleInstruction", execution_time=at(600))\n'
_interrupt = 'cem("PPBC.StartInterruptionInstruction", execution_time=at(900))\n'
for _number, _kind, _id, _before in (
    ("N05", "DDBC.Instruction", "instruction", ""),
    ("N05", "FRBC.Instruction", "instruction", ""),
    ("N05", "OMBC.Instruction", "instruction", ""),
    ("N05", "PEBC.Instruction", "instruction", ""),
    ("N25", "PPBC.EndInterruptionInstruction", "continuation", _schedule + _interrupt),
    ("N29", "PPBC.ScheduleInstruction", "instruction", ""),
    ("N30", "PPBC.StartInterruptionInstruction", "interruption", _schedule),
):
    _broken(
        _number,
        f"{_kind}/execution_time",
        "hint.too-early",
        f'begin("{_kind.partition(".")[0]}")\n{_before}'
        f'cem("{_kind}", execution_time=at({1080 if _interrupt in _before else 900}))\n'
        f'rm("InstructionStatusUpdate", answer=None, instruction_id="#{_id}",'
        ' status_type="STARTED")',
    )
_broken(
    "N29",
    "PPBC.ScheduleInstruction/execution_time",
    "ppbc.started-early",
    """
    begin("PPBC")
    cem("PPBC.ScheduleInstruction", execution_time=at(3600))
    rm("PPBC.PowerProfileStatus", answer=None, sequence_container_status=[{
        "power_profile_id": "#profile", "sequence_container_id": "#wash",
        "selected_sequence_id": "#eco", "status": "EXECUTING", "progress": 0}, waiting("spin")])
    """,
)


# The handshake, the details and what goes by them.

_broken(
    "N16",
    "Handshake/supported_protocol_versions",
    "handshake.no-versions",
    'rm("Handshake", answer=None, supported_protocol_versions=None)',
)
_broken(
    "N35",
    "SelectControlType/control_type",
    "state.control-type-not-offered",
    """
    begin(details=False)
    rm("ResourceManagerDetails", available_control_types=["FILL_RATE_BASED_CONTROL"])
    select("OMBC", answer=None)
    """,
)
_dear = '{**frbc_mode("on")["elements"][0], "running_costs": between(0, 1)}'
_running = {
    "DDBC": 'ddbc_mode("on", running_costs=between(0, 1))',
    "FRBC": f'frbc_mode("on", elements=[{_dear}])',
    "OMBC": 'ombc_mode("on", running_costs=between(0, 1))',
}
for _family, (_rest, _work) in MODES.items():
    for _costs in (
        f"operation_modes=[{_running[_family]}], transitions=[]",
        f'transitions=[transition("{_rest}", "{_work}", transition_costs=1)]',
    ):
        _broken(
            "N34",
            "ResourceManagerDetails/currency",
            "costs.no-currency",
            'begin(details=False)\nrm("ResourceManagerDetails", currency=None)\n'
            f'select("{_family}")\n' + _described(_family, _costs),
        )


for _side, _subject, _next in (
    ("cem", 'rm("PowerMeasurement", answer="PERMANENT_ERROR")', "SelectControlType"),
    ("rm", 'cem("SelectControlType", answer="PERMANENT_ERROR")', "PowerMeasurement"),
):
    _broken(
        "N66",
        "ReceptionStatusValues",
        "hint.after-permanent-error",
        f'begin()\n{_subject}\nwait(30)\n{_side}("{_next}", answer=None)',
    )


# The quantities of power and their phases.

_only_l2 = f'{{"commodity_quantity": {_l2}, "value_expected": 230}}'
_element = f'{{"duration": 600000, "power_values": [{_only_l2}]}}'
for _code, _script in (
    (
        "measurement.single-phase",
        'begin(details=False)\nrm("ResourceManagerDetails", answer=None,'
        f" provides_power_measurement_types=[{_l2}])",
    ),
    ("forecast.single-phase", f'begin()\nrm("PowerForecast", answer=None, elements=[{_element}])'),
    (
        "pebc.single-phase",
        'begin()\nselect("PEBC")\nrm("PEBC.PowerConstraints", answer=None, allowed_limit_ranges=['
        f'limit("UPPER", 0, 3000, commodity_quantity={_l2}),'
        f' limit("LOWER", 0, 0, commodity_quantity={_l2})])',
    ),
    (
        "ppbc.single-phase",
        'begin()\nselect("PPBC")\nrm("PPBC.PowerProfileDefinition", answer=None,'
        f' power_sequences_containers=[container("wash", sequence("eco", elements=[{_element}]))])',
    ),
    *(
        (
            "modes.single-phase",
            f'begin()\nselect("{_family}")\n'
            + _described(_family, f"operation_modes=[{_mode}], transitions=[]"),
        )
        for _family, _mode in (
            ("OMBC", f'ombc_mode("on", power_ranges=[power(0, 2000, {_l2})])'),
            ("DDBC", f'ddbc_mode("on", power_ranges=[power(0, 2000, {_l2})])'),
            (
                "FRBC",
                'frbc_mode("on", elements=[{**frbc_mode("on")["elements"][0],'
                f' "power_ranges": [power(0, 2000, {_l2})]}}])',
            ),
        )
    ),
):
    _broken("N36", "CommodityQuantity", _code, _script)
_broken(
    "N37",
    "CommodityQuantity",
    "measurement.two-phases",
    """
    begin(details=False)
    rm("ResourceManagerDetails", answer=None,
       provides_power_measurement_types=["ELECTRIC.POWER.L1", "ELECTRIC.POWER.L2"])
    """,
)

_value = '{"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 230}'
_measured = '{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 230}'
for _number, _place, _code, _script in (
    (
        "N32",
        "PowerMeasurement/values",
        "measurement.quantity-twice",
        'begin()\nrm("PowerMeasurement", answer=None, values=[$])',
    ),
    (
        "N65",
        "PowerForecastElement/power_values",
        "forecast.quantity-twice",
        'begin()\nrm("PowerForecast", answer=None,'
        ' elements=[{"duration": 900000, "power_values": [$]}])',
    ),
    (
        "N64",
        "PPBC.PowerSequenceElement/power_values",
        "ppbc.quantity-twice",
        'begin()\nselect("PPBC")\nrm("PPBC.PowerProfileDefinition", answer=None,'
        ' power_sequences_containers=[container("wash", sequence("eco",'
        ' elements=[{"duration": 600000, "power_values": [$]}]))])',
    ),
):
    _each = _measured if _number == "N32" else _value
    _broken(_number, _place, _code, _script.replace("$", f"{_each}, {_each}"))
    _broken(_number, _place, SCHEMA, _script.replace("$", ""))

for _family, _place, _mode in (
    ("DDBC", "DDBC.OperationMode", 'ddbc_mode("on", power_ranges=[$])'),
    (
        "FRBC",
        "FRBC.OperationModeElement",
        'frbc_mode("on", elements=[{**frbc_mode("on")["elements"][0], "power_ranges": [$]}])',
    ),
    ("OMBC", "OMBC.OperationMode", 'ombc_mode("on", power_ranges=[$])'),
):
    for _code, _ranges in (
        ("modes.power-range-twice", "power(0, 100), power(200, 300)"),
        (SCHEMA, ""),
    ):
        _broken(
            "N42",
            f"{_place}/power_ranges",
            _code,
            f'begin()\nselect("{_family}")\n'
            + _described(
                _family, f"operation_modes=[{_mode.replace('$', _ranges)}], transitions=[]"
            ),
        )


# The fill levels of FRBC.

_leakage = """
begin("FRBC")
rm("FRBC.LeakageBehaviour", answer=None, elements=[
    {"fill_level_range": between(*levels), "leakage_rate": 0.0001} for levels in $])
"""
_levels = """
begin()
select("FRBC")
rm("FRBC.SystemDescription", answer=None, actuators=[actuator(transitions=[], operation_modes=[
    frbc_mode("idle", elements=[{**frbc_mode("idle")["elements"][0],
        "fill_level_range": between(*levels)} for levels in $])])])
"""
for _number, _place, _script in (
    ("N15", "FRBC.LeakageBehaviour/elements", _leakage),
    ("N49", "FRBC.OperationMode/elements", _levels),
):
    for _ranges in ("[(0, 50), (51, 100)]", "[(0, 50), (49, 100)]"):
        _broken(_number, _place, "frbc.fill-levels-apart", _script.replace("$", _ranges))
for _number, _place, _script in (
    ("N47", "FRBC.LeakageBehaviourElement/fill_level_range", _leakage),
    ("N51", "FRBC.OperationModeElement/fill_level_range", _levels),
):
    for _ranges in ("[(0, 100), (50, 50)]", "[(100, 0)]"):
        _broken(_number, _place, "frbc.fill-level-order", _script.replace("$", _ranges))
_broken(
    "N45",
    "FRBC.FillLevelTargetProfileElement/fill_level_range",
    "frbc.fill-level-order",
    """
    begin("FRBC")
    rm("FRBC.FillLevelTargetProfile", answer=None,
       elements=[{"duration": 60000, "fill_level_range": between(80, 20)}])
    """,
)
for _level in (-0.5, 100.5):
    _broken(
        "N52",
        "FRBC.StorageDescription/fill_level_range",
        "frbc.fill-level-outside",
        f"""
        begin("FRBC")
        rm("FRBC.StorageStatus", answer=None, present_fill_level={_level})
        """,
    )


# Envelopes and what they go by.

_broken(
    "N19",
    "PEBC.EnergyConstraint/upper_average_power",
    "pebc.energy-not-allowed",
    """
    begin("PEBC")
    cem("PEBC.Instruction", answer=None, power_envelopes=[envelope((3600, 0, 2500))])
    """,
)
_broken(
    "N21",
    "PEBC.EnergyConstraint/lower_average_power",
    "pebc.energy-not-allowed",
    """
    begin()
    select("PEBC")
    rm("PEBC.PowerConstraints")
    rm("PEBC.EnergyConstraint", upper_average_power=-1000, lower_average_power=-3000)
    cem("PEBC.Instruction", answer=None, power_envelopes=[envelope((3600, -2500, 0))])
    """,
)
_broken(
    "N20",
    ["PEBC.EnergyConstraint/upper_average_power", "PEBC.EnergyConstraint/lower_average_power"],
    "pebc.averages-crossed",
    """
    begin("PEBC")
    rm("PEBC.EnergyConstraint", answer=None, id="#other",
       upper_average_power=1000, lower_average_power=2000)
    """,
)
_broken(
    "N23",
    "PEBC.Instruction/power_envelopes",
    "pebc.envelope-twice",
    """
    begin("PEBC")
    cem("PEBC.Instruction", answer=None,
        power_envelopes=[envelope((900, 0, 4000)), envelope((900, 0, 3500))])
    """,
)
for _kind in ("UPPER", "LOWER"):
    _broken(
        "N24",
        "PEBC.PowerConstraints/allowed_limit_ranges",
        "pebc.limit-type-missing",
        f"""
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints", answer=None,
           allowed_limit_ranges=[limit("{_kind}", 0, 3000), limit("{_kind}", 4000, 5000)])
        """,
    )
    _broken(
        "N54",
        "PEBC.AllowedLimitRange/range_boundary",
        "pebc.range-upside-down",
        f"""
        begin()
        select("PEBC")
        rm("PEBC.PowerConstraints", answer=None, allowed_limit_ranges=[
            limit("UPPER", 0, 3000), limit("LOWER", 0, 0), limit("{_kind}", 2000, 1000)])
        """,
    )
_broken(
    "N55",
    "PEBC.AllowedLimitRange/abnormal_condition_only",
    "pebc.abnormal-limit",
    """
    begin("PEBC")
    cem("PEBC.Instruction", answer=None, power_envelopes=[envelope((900, 0, 7000))])
    """,
)
_broken(
    "N57",
    ["PEBC.PowerEnvelopeElement/upper_limit", "PEBC.PowerEnvelopeElement/lower_limit"],
    "pebc.limits-crossed",
    """
    begin()
    select("PEBC")
    rm("PEBC.PowerConstraints",
       allowed_limit_ranges=[limit("UPPER", -5000, 0), limit("LOWER", -5000, 0)])
    cem("PEBC.Instruction", answer=None, power_envelopes=[envelope((900, -1000, -3000))])
    """,
)
for _number, _field, _limits in (
    ("N58", "upper_limit", "(900, 0, 9000)"),
    ("N59", "lower_limit", "(900, -6000, 4000)"),
):
    _broken(
        _number,
        f"PEBC.PowerEnvelopeElement/{_field}",
        "pebc.limit-not-allowed",
        f"""
        begin("PEBC")
        cem("PEBC.Instruction", answer=None, power_envelopes=[envelope({_limits})])
        """,
    )
    _broken(
        _number,
        f"PEBC.PowerEnvelopeElement/{_field}",
        "pebc.quantity-not-constrained",
        f"""
        begin("PEBC")
        cem("PEBC.Instruction", answer=None,
            power_envelopes=[envelope((900, 0, 4000), commodity_quantity={_l2})])
        """,
    )


# Power profiles.

_broken(
    "N26",
    "PPBC.PowerProfileDefinition/end_time",
    "ppbc.too-late",
    """
    begin("PPBC")
    cem("PPBC.ScheduleInstruction", answer=None, sequence_container_id="#spin",
        power_sequence_id="#slow", execution_time=at(7000))
    """,
)
_broken(
    "N26",
    "PPBC.PowerProfileDefinition/end_time",
    "ppbc.rest-too-late",
    """
    begin("PPBC")
    cem("PPBC.ScheduleInstruction", answer=None, execution_time=at(6400))
    """,
)
_broken(
    "N28",
    "PPBC.PowerProfileDefinition/power_sequences_containers",
    "ppbc.out-of-order",
    """
    begin("PPBC")
    cem("PPBC.ScheduleInstruction", execution_time=at(3600))
    cem("PPBC.ScheduleInstruction", answer=None, id="#then", sequence_container_id="#spin",
        power_sequence_id="#slow", execution_time=at(1800))
    """,
)
_broken(
    "N61",
    "PPBC.PowerSequence/abnormal_condition_only",
    "ppbc.abnormal-sequence",
    """
    begin("PPBC")
    cem("PPBC.ScheduleInstruction", answer=None, sequence_container_id="#spin",
        power_sequence_id="#hot")
    """,
)
for _status in ("EXECUTING", "INTERRUPTED", "FINISHED"):
    _broken(
        "N63",
        "PPBC.PowerSequenceContainerStatus/progress",
        "ppbc.progress-missing",
        f"""
        begin("PPBC")
        rm("PPBC.PowerProfileStatus", answer=None, sequence_container_status=[{{
            "power_profile_id": "#profile", "sequence_container_id": "#wash",
            "selected_sequence_id": "#eco", "status": "{_status}"}}, waiting("spin")])
        """,
    )


# DDBC asks for transitions.

_broken(
    "N40",
    "DDBC.ActuatorDescription/transitions",
    "ddbc.no-transitions",
    """
    begin()
    select("DDBC")
    rm("DDBC.SystemDescription", answer=None, actuators=[ddbc_actuator(transitions=[])])
    """,
)


# Lists that must not be empty: that is all that the schema can see.

for _number, _place, _script in (
    ("N08", "DDBC.SystemDescription/actuators", 'rm("DDBC.SystemDescription", actuators=[])'),
    (
        "N11",
        "FRBC.FillLevelTargetProfile/elements",
        'rm("FRBC.FillLevelTargetProfile", elements=[])',
    ),
    ("N11", "FRBC.UsageForecast/elements", 'rm("FRBC.UsageForecast", elements=[])'),
    (
        "N23",
        "PEBC.Instruction/power_envelopes",
        'rm("PEBC.PowerConstraints")\ncem("PEBC.Instruction", power_envelopes=[])',
    ),
    (
        "N24",
        "PEBC.PowerConstraints/allowed_limit_ranges",
        'rm("PEBC.PowerConstraints", allowed_limit_ranges=[limit("UPPER", 0, 3000)])',
    ),
    (
        "N27",
        "PPBC.PowerProfileDefinition/power_sequences_containers",
        'rm("PPBC.PowerProfileDefinition", power_sequences_containers=[])',
    ),
    (
        "N27",
        "PPBC.PowerProfileDefinition/power_sequences_containers",
        'rm("PPBC.PowerProfileDefinition",'
        ' power_sequences_containers=[container("wash", power_sequences=[])])',
    ),
    ("N31", "PowerForecast/elements", 'rm("PowerForecast", elements=[])'),
    (
        "N38",
        "DDBC.ActuatorDescription/supported_commodites",
        'rm("DDBC.SystemDescription", actuators=[ddbc_actuator(supported_commodites=[])])',
    ),
    (
        "N39",
        "DDBC.ActuatorDescription/operation_modes",
        'rm("DDBC.SystemDescription",'
        " actuators=[ddbc_actuator(operation_modes=[], transitions=[])])",
    ),
    (
        "N56",
        "PEBC.PowerEnvelope/power_envelope_elements",
        'rm("PEBC.PowerConstraints")\ncem("PEBC.Instruction", power_envelopes=[envelope()])',
    ),
    (
        "N56",
        "PPBC.PowerSequence/elements",
        'rm("PPBC.PowerProfileDefinition",'
        ' power_sequences_containers=[container("wash", sequence("eco", elements=[]))])',
    ),
):
    _family = _place.partition(".")[0]
    _begun = f'begin()\nselect("{_family}")\n' if _family in ("DDBC", "PEBC", "PPBC") else ""
    _begun = 'begin("FRBC")\n' if _family == "FRBC" else _begun or "begin()\n"
    _broken(_number, _place, SCHEMA, f"{_begun}{_script[:-1]}, answer=None)")
