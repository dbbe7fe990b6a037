"""Every validator of s2-python: the rule that says the same, or the reason why it only warns."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import s2python
from pydantic import BaseModel

from s2_mitm.s2.conversation.alone import judge_alone
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import (
    TEMPLATES,
    actuator,
    at,
    between,
    frbc_mode,
    limit,
    power,
    timer,
    transition,
)
from s2_mitm.s2.message import models
from s2_mitm.s2.rules import FINDING_TYPES, SAID_BY_S2_PYTHON
from s2_mitm.s2.verdict import Finding, Role, Severity

Fields = dict[str, Any]

NO_HINTS = Settings(ignore=frozenset(code for code in FINDING_TYPES if code.startswith("hint.")))
"""The examples are small and odd."""


@dataclass(frozen=True)
class Ours:
    """The rule that says the same; with a message that both refuse."""

    code: str
    message_type: str
    fields: Callable[[], Fields]


@dataclass(frozen=True)
class OnlyAWarning:
    """Why the specification does not forbid it; with a message that s2-python alone refuses."""

    reason: str
    fields: Callable[[], Fields]
    code: str = "s2-python.narrower"
    message_type: str = "FRBC.SystemDescription"


def described(**fields: Any) -> Fields:
    return {"actuators": [actuator(**fields)]}


def mode_with(*elements: Fields) -> Fields:
    return described(operation_modes=[frbc_mode("idle", elements=list(elements))], transitions=[])


def element(start: float, end: float, **fields: Any) -> Fields:
    levels = {"fill_level_range": between(start, end), "fill_rate": between(0, 0)}
    return {**levels, "power_ranges": [power(0, 0)], **fields}


VALUE = {"commodity_quantity": "ELECTRIC.POWER.L1", "value": 1}
EXPECTED = {"commodity_quantity": "ELECTRIC.POWER.L1", "value_expected": 1}

VALIDATORS: dict[str, Ours | OnlyAWarning] = {
    "PEBCPowerConstraints.validate_has_one_upper_one_lower_limit_range": Ours(
        "pebc.limit-type-missing",
        "PEBC.PowerConstraints",
        lambda: {"allowed_limit_ranges": [limit("UPPER", 0, 4000), limit("UPPER", 0, 5000)]},
    ),
    "PEBCPowerConstraints.validate_valid_until_after_valid_from": Ours(
        "time.order", "PEBC.PowerConstraints", lambda: {"valid_from": at(60), "valid_until": at(0)}
    ),
    "PEBCAllowedLimitRange.validate_range_boundary": Ours(
        "pebc.range-upside-down",
        "PEBC.PowerConstraints",
        lambda: {"allowed_limit_ranges": [limit("UPPER", 4000, 0), limit("LOWER", 0, 4000)]},
    ),
    "PowerMeasurement.validate_values_at_most_one_per_commodity_quantity": Ours(
        "measurement.quantity-twice", "PowerMeasurement", lambda: {"values": [VALUE, VALUE]}
    ),
    "PowerForecastElement.validate_values_at_most_one_per_commodity_quantity": Ours(
        "forecast.quantity-twice",
        "PowerForecast",
        lambda: {"elements": [{"duration": 1000, "power_values": [EXPECTED, EXPECTED]}]},
    ),
    "PowerRange.validate_start_end_order": Ours(
        "modes.power-range-order",
        "FRBC.SystemDescription",
        lambda: mode_with(element(0, 100, power_ranges=[power(1, 0)])),
    ),
    "FRBCFillLevelTargetProfileElement.validate_start_end_order": Ours(
        "frbc.fill-level-order",
        "FRBC.FillLevelTargetProfile",
        lambda: {"elements": [{"duration": 1000, "fill_level_range": between(80, 20)}]},
    ),
    "FRBCLeakageBehaviourElement.validate_start_end_order": Ours(
        "frbc.fill-level-order",
        "FRBC.LeakageBehaviour",
        lambda: {"elements": [{"leakage_rate": 0, "fill_level_range": between(80, 20)}]},
    ),
    "FRBCActuatorDescription.validate_timers_in_transitions": Ours(
        "modes.transition-timer", "FRBC.SystemDescription", lambda: described(timers=[])
    ),
    "FRBCActuatorDescription.validate_timers_unique_ids": Ours(
        "ids.twice-in-message",
        "FRBC.SystemDescription",
        lambda: described(timers=[timer("rest"), timer("rest")], transitions=[]),
    ),
    "FRBCActuatorDescription.validate_operation_modes_in_transitions": Ours(
        "modes.transition-mode",
        "FRBC.SystemDescription",
        lambda: described(transitions=[transition("idle", "nowhere")], timers=[]),
    ),
    "FRBCActuatorDescription.validate_operation_modes_unique_ids": Ours(
        "ids.twice-in-message",
        "FRBC.SystemDescription",
        lambda: described(operation_modes=[frbc_mode("idle"), frbc_mode("idle")], transitions=[]),
    ),
    "FRBCActuatorDescription.validate_operation_mode_elements_have_all_supported_commodities": (
        OnlyAWarning(
            "one power range is asked for each quantity, and none for each commodity: a hybrid"
            " heat pump burns gas in one mode and uses electricity in another",
            lambda: {
                "actuators": [
                    actuator(supported_commodities=["ELECTRICITY", "GAS"]),
                ]
            },
        )
    ),
    "FRBCActuatorDescription.validate_unique_supported_commodities": OnlyAWarning(
        "nothing says that a commodity must not stand twice in the list",
        lambda: described(supported_commodities=["ELECTRICITY", "ELECTRICITY"]),
    ),
    "FRBCOperationMode.validate_contiguous_fill_levels_operation_mode_elements": Ours(
        "frbc.fill-levels-apart",
        "FRBC.SystemDescription",
        lambda: mode_with(element(0, 50), element(51, 100)),
    ),
}
"""By the class and the name of the validator."""

SAID_BY_OTHER_RULES = {"modes.power-range-twice", "pebc.quantity-limit-missing"}
"""What a validator refuses for another reason, or together with something else: a second range for
a quantity as one for its commodity, a limit that lacks for one quantity as for all.
"""

BEYOND = {
    "three phases in one list": OnlyAWarning(
        "at most one power range for each quantity: three phases are three quantities",
        lambda: mode_with(
            element(0, 100, power_ranges=[power(0, 1, f"ELECTRIC.POWER.L{n}") for n in (1, 2, 3)])
        ),
    ),
    "ranges that meet within rounding": OnlyAWarning(
        "contiguous is not equal to the last digit: floating point numbers are not exact",
        lambda: mode_with(element(0, 0.3), element(0.1 + 0.2, 1)),
        "s2-python.refused",
    ),
    "the same UUID in capitals": OnlyAWarning(
        "ids are texts, and these differ",
        lambda: described(
            timers=[{**timer("rest"), "id": uuid} for uuid in (UUID, UUID.upper())], transitions=[]
        ),
        "s2-python.refused",
    ),
}
"""What a validator refuses beyond the rule that says the same."""

UUID = "7bc7a3f2-9c62-4a8e-8d25-1c0f6d2e0abc"


def validators() -> Iterator[str]:
    """All validators of the models of s2-python, as pydantic knows them."""
    for module in pkgutil.walk_packages(s2python.__path__, "s2python."):
        if "mqtt" not in module.name:
            try:
                importlib.import_module(module.name)
            except ImportError:  # it needs what is not installed, and validates no messages
                continue
    for model in {*_below(BaseModel)}:
        if model.__module__.startswith("s2python"):
            known = model.__pydantic_decorators__
            for kind in (known.validators, known.field_validators, known.root_validators):
                yield from (f"{model.__name__}.{name}" for name in kind)
            yield from (f"{model.__name__}.{name}" for name in known.model_validators)


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for below in model.__subclasses__():
        yield below
        yield from _below(below)


def test_each_validator_has_a_rule_or_a_reason() -> None:
    found = set(validators())
    assert len(found) >= 15
    unknown = found - VALIDATORS.keys()
    assert not unknown, (
        f"s2-python has validators that nobody has looked at: {sorted(unknown)}. Name in VALIDATORS"
        " the rule that says the same, or the reason why the specification does not forbid it"
    )


def test_no_validator_is_named_that_there_is_not() -> None:
    assert VALIDATORS.keys() <= set(validators())


def test_the_rules_that_say_the_same_are_kept_in_place_of_s2_python() -> None:
    named = {each.code for each in VALIDATORS.values() if isinstance(each, Ours)}
    assert named | SAID_BY_OTHER_RULES == SAID_BY_S2_PYTHON


def judged(message_type: str, fields: Fields) -> tuple[list[Finding], list[Finding]]:
    """What s2-python finds in a message, and what is said of it."""
    script = Script()
    script.inject(Role.RM, message_type, **fields)
    message = script.lines[0].verdict.message
    assert message is not None
    data = json.dumps(message).encode()
    return models.check(message_type, message), judge_alone(data, NO_HINTS).findings


RULES = {name: each for name, each in VALIDATORS.items() if isinstance(each, Ours)}
WARNINGS = BEYOND | {
    name: each for name, each in VALIDATORS.items() if isinstance(each, OnlyAWarning)
}


@pytest.mark.parametrize("ours", RULES.values(), ids=RULES)
def test_what_the_specification_forbids_is_told_by_a_rule_alone(ours: Ours) -> None:
    refused, said = judged(ours.message_type, ours.fields())

    assert [finding.code for finding in refused] == ["s2-python.refused"]
    assert {finding.code for finding in said} == {ours.code}
    assert all(
        finding.severity is FINDING_TYPES[finding.code].severity is not Severity.INFO
        for finding in said
    )


@pytest.mark.parametrize("only", WARNINGS.values(), ids=WARNINGS)
def test_what_it_does_not_forbid_is_a_warning(only: OnlyAWarning) -> None:
    _, said = judged(only.message_type, only.fields())

    assert [(finding.code, finding.severity) for finding in said] == [(only.code, Severity.WARNING)]
    assert "s2-python" in said[0].text
    assert len(said[0].text) <= 200


def test_a_second_range_for_a_quantity_is_told_once() -> None:
    twice = element(0, 100, power_ranges=[power(0, 1), power(2, 3)])

    _, said = judged("FRBC.SystemDescription", mode_with(twice))

    assert [finding.code for finding in said] == ["modes.power-range-twice"]


def test_what_it_refuses_is_told_in_words_that_blame_nobody() -> None:
    _, (phases,) = judged("FRBC.SystemDescription", BEYOND["three phases in one list"].fields())
    assert phases.text.endswith(
        "has several power ranges for ELECTRICITY: S2 takes one for each quantity, such as three"
        " phases, s2-python only one for each commodity"
    )
    _, (rounding,) = judged(
        "FRBC.SystemDescription", BEYOND["ranges that meet within rounding"].fields()
    )
    assert rounding.text == (
        "s2-python refuses fill level ranges that do not meet exactly:"
        " 0.0 to 0.3 and 0.30000000000000004 to 1.0"
    )


def test_the_templates_are_right_so_that_each_message_has_one_fault() -> None:
    for message_type in {ours.message_type for ours in RULES.values()}:
        assert judged(message_type, {}) == ([], []), TEMPLATES[message_type]
