"""Demand Driven Based Control: descriptions without transitions, and the forecast of the demand."""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message
from s2_mitm.s2.rules.common.bands import BANDS, crossed_elements
from s2_mitm.s2.rules.common.descriptions import described, flags_denied
from s2_mitm.s2.rules.registry import Found, rule
from s2_mitm.s2.verdict import Severity


@rule(
    "ddbc.no-transitions",
    Severity.ERROR,
    ["DDBC.SystemDescription"],
    statements=["N40"],
    alone=True,
)
def no_transitions(message: Message, conversation: Conversation) -> Iterator[Found]:
    """An actuator with several modes and no transition between them.

    It can never leave the mode that it is in, and the CEM has nothing to choose. The schema allows
    it. An actuator with a single mode needs no transitions.

    Where: DDBC.ActuatorDescription: transitions.
    Why: There shall be at least one transition.
    Wrong:
        begin("DDBC")
        rm("DDBC.SystemDescription", actuators=[ddbc_actuator(transitions=[])])
    Right:
        begin("DDBC")
        rm("DDBC.SystemDescription",
           actuators=[ddbc_actuator(transitions=[transition("off", "heat")])])
    Do: Describe a transition for each pair of modes between which the device can switch.
    """
    for actuator in message.content.parts("actuators"):
        modes = sum(1 for _ in actuator.parts("operation_modes"))
        if actuator.value.get("transitions") == [] and modes > 1:
            yield Found(actuator.at("transitions"), f"no transitions between {modes} modes")


@rule("ddbc.not-provided", Severity.ERROR, ["DDBC.AverageDemandRateForecast"])
def not_provided(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The RM sends a forecast that it has said it does not provide.

    A CEM that follows the description has no use for it and may refuse it.

    Where: DDBC.SystemDescription: provides_average_demand_rate_forecast.
    Why: The RM has said plainly that it does not send this.
    Wrong:
        begin()
        select("DDBC")
        rm("DDBC.SystemDescription", provides_average_demand_rate_forecast=False)
        rm("DDBC.AverageDemandRateForecast")
    Right:
        begin("DDBC")
        rm("DDBC.AverageDemandRateForecast")
    Do: Say true in the SystemDescription; a new one may be sent at any time.
    """
    flag = "provides_average_demand_rate_forecast"
    if given := flags_denied(described(message, conversation), flag):
        yield Found(
            "/message_type",
            f"{flag} is false in {given.message.name(conversation.now)}",
        )


DEMAND_RATES = tuple(f"demand_rate_{band}" for band in BANDS)


@rule("ddbc.bands-crossed", Severity.WARNING, ["DDBC.AverageDemandRateForecast"], alone=True)
def bands_crossed(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The probability bands of a demand forecast are not within each other.

    The range of 68 % lies within that of 95 %, and that within the limits. A CEM that plans with
    the bands gets wrong results.

    Where: DDBC.AverageDemandRateForecastElement: demand_rate_lower_limit, demand_rate_lower_95PPR,
    demand_rate_lower_68PPR, demand_rate_expected and the same upwards.
    Why: It follows from what the bands mean, but no text says it.
    Wrong:
        begin("DDBC")
        rm("DDBC.AverageDemandRateForecast", elements=[
            {"duration": 60000, "demand_rate_expected": 2, "demand_rate_lower_limit": 3}])
    Right:
        begin("DDBC")
        rm("DDBC.AverageDemandRateForecast", elements=[
            {"duration": 60000, "demand_rate_expected": 3, "demand_rate_lower_limit": 3}])
    Do: Check whether the lower and the upper limit are exchanged.
    """
    yield from crossed_elements(message, DEMAND_RATES)
