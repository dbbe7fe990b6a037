"""Times within a message: their order, and how far they are from now.

Elements of forecasts, profiles and envelopes must be in chronological order (N03), but have only
durations: each begins where the one before ends, so that their order cannot be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

from s2_mitm.s2.catalog import MESSAGE_TYPES, TIMER_STATUSES
from s2_mitm.s2.conversation.memory import Conversation
from s2_mitm.s2.conversation.message import Message, clock
from s2_mitm.s2.rules.common.descriptions import description_of
from s2_mitm.s2.rules.common.tolerances import CLOCKS
from s2_mitm.s2.rules.registry import Found, SayAgain, rule
from s2_mitm.s2.verdict import Role, Severity

PERIODS = {
    row.name: (row.period[0], row.period[1])
    for row in MESSAGE_TYPES.values()
    if row.period and row.period[1]
}
"""The message types that have a period, and the fields of its beginning and its end."""

HAPPENED = {row.name: row.happened for row in MESSAGE_TYPES.values() if row.happened}
"""The fields that say when something happened."""


@rule("time.order", Severity.ERROR, PERIODS, alone=True)
def order(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A period that ends before it begins.

    It is never in force.

    Where: PEBC.PowerConstraints: valid_from, valid_until; PEBC.EnergyConstraint: the same;
    PPBC.PowerProfileDefinition: start_time, end_time.
    Why: The two fields are the beginning and the end of one period, and this is none.
    Wrong:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#upside", valid_from=at(60), valid_until=at(0))
    Right:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#right", valid_from=at(0), valid_until=at(60))
    Do: Look for the two exchanged, or for a time zone that one of them lacks.
    """
    first, last = PERIODS[message.message_type]
    start, end = message.content.moment(first), message.content.moment(last)
    if start is not None and end is not None and end < start:
        yield Found(f"/{last}", f"{last} {clock(end)} is before {first} {clock(start)}")


@rule("time.empty-period", Severity.WARNING, PERIODS, alone=True)
def empty_period(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A period without length.

    It is in force for no time at all, so that it has no effect.

    Where: PEBC.PowerConstraints: valid_from, valid_until; PEBC.EnergyConstraint: the same;
    PPBC.PowerProfileDefinition: start_time, end_time.
    Why: No sentence forbids it, but nothing can be done in it.
    Wrong:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#empty", valid_from=at(60), valid_until=at(60))
    Right:
        begin("PEBC")
        rm("PEBC.EnergyConstraint", id="#short", valid_from=at(60), valid_until=at(61))
    Do: Use RevokeObject to end what is in force.
    """
    first, last = PERIODS[message.message_type]
    start = message.content.moment(first)
    if start is not None and start == message.content.moment(last):
        yield Found(f"/{last}", f"{last} is {first}, {clock(start)}")


IN_THE_FUTURE = {message_type: SayAgain(f"future {message_type}") for message_type in HAPPENED}


@rule("time.in-the-future", Severity.WARNING, HAPPENED)
def in_the_future(message: Message, conversation: Conversation) -> Iterator[Found | SayAgain]:
    """Something is said to have happened in the future.

    The clock of the RM is more than a minute ahead of the clock of this machine. Instructions are
    then executed at the wrong time. It is reported once for each message type until the time is
    right again.

    Where: PowerMeasurement: measurement_timestamp; InstructionStatusUpdate: timestamp;
    FRBC.ActuatorStatus: transition_timestamp, and those of OMBC and DDBC.
    Why: The field says when something happened. Which of the clocks is wrong is not known.
    Wrong:
        begin()
        rm("PowerMeasurement", measurement_timestamp=at(120))
    Right:
        begin()
        rm("PowerMeasurement", measurement_timestamp=at(30))
    Do: Set the clocks of both sides, by NTP if you can; look for local time sent as UTC.
    """
    name = HAPPENED[message.message_type]
    moment = message.content.moment(name)
    if moment is None:
        return
    again = IN_THE_FUTURE[message.message_type]
    if moment - message.time <= CLOCKS:
        yield again
    else:
        text = f"{clock(moment)} is {moment - message.time:.0f} s after this message"
        yield Found(f"/{name}", text, once=again.key)


@rule("time.timer-too-long", Severity.WARNING, TIMER_STATUSES)
def timer_too_long(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A timer that ends later than it can.

    A timer that starts now is finished when its duration has passed. This one blocks transitions
    for longer than the CEM can expect; or the RM's clock is ahead.

    Where: FRBC.TimerStatus: finished_at, and those of OMBC and DDBC; Timer: duration.
    Why: A timer takes as long as its duration says; clocks may differ, so that a minute is
    tolerated.
    Wrong:
        begin("OMBC")
        rm("OMBC.TimerStatus", finished_at=at(600))
    Right:
        begin("OMBC")
        rm("OMBC.TimerStatus", finished_at=at(90))
    Do: Check in both places that the duration is in milliseconds.
    """
    finished = message.content.moment("finished_at")
    timer_id = message.content.text("timer_id")
    if finished is None or timer_id is None or finished - message.time <= CLOCKS:
        return
    longest, source = None, None
    for given in conversation.descriptions_of(description_of(message)).referable(message.time):
        actuator = given.actuators.get(message.content.text("actuator_id") or "")
        timer = actuator.timers.get(timer_id) if actuator else None
        duration = timer.number("duration") if timer else None
        if duration is not None and (longest is None or duration > longest):
            longest, source = duration, given.message
    if source is not None and longest is not None:
        left = finished - message.time
        if message.sender is Role.RM and (left - CLOCKS) * 1000 > longest:
            yield Found(
                "/finished_at",
                f"{clock(finished)} is {left:.0f} s after this message, but the timer takes"
                f" {longest / 1000:g} s, by {source.name(message.time)}",
            )
