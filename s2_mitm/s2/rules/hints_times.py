"""Hints at clocks and times: what nobody means when it sends such times."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from s2_mitm.s2.catalog import DESCRIPTIONS
from s2_mitm.s2.conversation.memory import FORECASTS, Conversation
from s2_mitm.s2.conversation.message import Message, clock
from s2_mitm.s2.conversation.timestamps import REMEMBERED, Timestamp, values
from s2_mitm.s2.rules.common.constraints import CONSTRAINTS
from s2_mitm.s2.rules.common.power import inside
from s2_mitm.s2.rules.common.profiles import PROFILE
from s2_mitm.s2.rules.common.tolerances import (
    CLOCKS,
    OLD_MEASUREMENT,
    SET_BACK,
    SLOW_CLOCK,
    STANDS_STILL,
    STEADY,
    TOGETHER,
)
from s2_mitm.s2.rules.common.zones import HALF_AN_HOUR, hours_ahead
from s2_mitm.s2.rules.registry import AS_TIME_PASSES, Found, rule
from s2_mitm.s2.verdict import Role, Severity

LASTING = {
    **dict.fromkeys(FORECASTS, ("elements",)),
    "PEBC.Instruction": ("power_envelopes", "power_envelope_elements"),
    PROFILE: ("power_sequences_containers", "power_sequences", "elements"),
}
"""Where elements with a duration stand: the lists that lead there."""

MEASURED = "measurement_timestamp"

CLOCK = "hint.clock"
"""A clock that was set back is late from then on: that is told once."""


@rule("hint.clock", Severity.INFO, ["PowerMeasurement", "InstructionStatusUpdate"])
def slow_clock(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The RM's timestamps are all late by the same.

    The clock of the RM is behind by minutes, or it sends the local time of a zone as UTC. What it
    plans with the CEM happens at another time. A clock that is ahead is reported as
    time.in-the-future.

    Where: PowerMeasurement: measurement_timestamp; InstructionStatusUpdate: timestamp.
    Why: No text says how soon a measurement is sent. It may always be late by as much.
    Wrong:
        begin()
        for second in range(0, 50, 10):
            rm("PowerMeasurement", measurement_timestamp=at(second - 3600))
            wait(10)
    Right:
        begin()
        for second in range(0, 50, 10):
            rm("PowerMeasurement", measurement_timestamp=at(second - 30))
            wait(10)
    Do: Set the clock of the RM, by NTP if you can; look for local time sent with a Z.
    """
    name = "timestamp" if message.message_type == "InstructionStatusUpdate" else MEASURED
    happened = message.content.moment(name)
    latest = conversation.timestamps.latest
    if happened is None or message.time - happened < SLOW_CLOCK or len(latest) < REMEMBERED:
        return
    if message.sender is not Role.RM:
        return
    if not conversation.timestamps.is_new(happened):
        return
    each = [*latest, Timestamp(happened, message.time)]
    lags = [timestamp.lag for timestamp in each]
    lag = median(lags)
    if max(lags) - min(lags) > STEADY or not SLOW_CLOCK <= lag <= OLD_MEASUREMENT:
        return
    # An average that is sent when its time is over has a timestamp of when that began.
    if all(after.happened - before.happened >= 0.9 * lag for before, after in pairwise(each)):
        return
    zones = round(lag / HALF_AN_HOUR)
    zone = zones > 0 and abs(lag - zones * HALF_AN_HOUR) <= CLOCKS
    what = f"{zones / 2:g} h, as a time zone would be" if zone else f"{lag / 60:.0f} min"
    yield Found(
        f"/{name}",
        f"this and the {len(latest)} timestamps before are all late by {what}",
        once=CLOCK,
    )


@rule("hint.timestamp-stands-still", Severity.INFO, ["PowerMeasurement"])
def stands_still(message: Message, conversation: Conversation) -> Iterator[Found]:
    """The measured values change and their timestamp does not.

    For the CEM all of them were measured at the same moment, and it cannot tell which is the
    latest.

    Where: PowerMeasurement: measurement_timestamp.
    Why: No text says how exact a timestamp is, and a measurement may be corrected.
    Wrong:
        begin()
        for power in [100, 200, 300]:
            rm("PowerMeasurement", values=[
                {"commodity_quantity": "ELECTRIC.POWER.L1", "value": power}])
            wait(10)
    Right:
        begin()
        for power in [100, 200, 300]:
            rm("PowerMeasurement", measurement_timestamp=at(power / 10), values=[
                {"commodity_quantity": "ELECTRIC.POWER.L1", "value": power}])
            wait(10)
    Do: Take the timestamp when you measure, not when the program starts.
    """
    timestamps = conversation.timestamps
    moment = message.content.moment(MEASURED)
    if moment is None or timestamps.is_new(moment) or message.sender is not Role.RM:
        return
    for quantity, value in values(message):
        before = timestamps.measured.get(quantity)
        if before is None or before.timestamp.happened != moment or value == before.value:
            continue
        took = message.monotonic - before.since
        if before.changes and took >= STANDS_STILL:
            yield Found(
                f"/{MEASURED}",
                f"{clock(moment)} is that of {before.changes + 2} different values of {quantity} in"
                f" {took:.0f} s",
                once="hint.timestamp-stands-still",
            )
            return


@rule("hint.timestamp-backwards", Severity.INFO, ["PowerMeasurement"])
def backwards(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Measurements are older than one that came before them.

    The clock of the RM was set back, or its measurements come in the wrong order. A CEM that keeps
    the latest by the timestamp does not see these. A single one is passed over, and so are those
    that catch up: an RM may send what it has stored.

    Where: PowerMeasurement: measurement_timestamp.
    Why: No text asks for an order; but nothing is measured before what was measured earlier.
    Wrong:
        begin()
        for second in [0, -20, -40]:
            rm("PowerMeasurement", measurement_timestamp=at(second))
    Right:
        begin()
        for second in [-40, -20, 0]:
            rm("PowerMeasurement", measurement_timestamp=at(second))
    Do: Send measurements in the order in which they were made; take UTC, which is never set back
        by an hour in autumn.
    """
    timestamps = conversation.timestamps
    moment = message.content.moment(MEASURED)
    if moment is None or moment >= timestamps.newest - SET_BACK or message.sender is not Role.RM:
        return
    if message.time - moment > OLD_MEASUREMENT:
        return
    for quantity, _ in values(message):
        before = timestamps.measured.get(quantity)
        if before is None:
            continue
        went_on = moment - before.timestamp.happened
        back = before.newest - max(moment, before.timestamp.happened)
        if back > SET_BACK and 0 != went_on <= message.time - before.timestamp.said + SET_BACK:
            yield Found(
                f"/{MEASURED}",
                f"{clock(moment)} is {before.newest - moment:.0f} s before the latest that was"
                f" measured of {quantity}, and so was the one before",
                once=CLOCK,
            )
            return


@rule("hint.forecast-past", Severity.INFO, [AS_TIME_PASSES])
def forecast_past(message: Message, conversation: Conversation) -> Iterator[Found]:
    """A forecast was over when it was sent, and none followed at once.

    It says nothing of what comes, so that the CEM plans without it.

    Where: PowerForecast, FRBC.UsageForecast, FRBC.FillLevelTargetProfile,
    DDBC.AverageDemandRateForecast: start_time, and the duration of the elements.
    Why: No text forbids it. Mostly an old forecast was sent again, or a clock is wrong.
    Wrong:
        begin()
        rm("PowerForecast", start_time=at(-3600))
        wait(6)
    Right:
        begin()
        rm("PowerForecast", start_time=at(-600))
        wait(6)
    Do: Make a new forecast in time; look at the zone of start_time.
    """
    if message.message_type not in FORECASTS:
        return
    start = message.content.moment("start_time")
    if start is None or start > message.time - CLOCKS or not message.valid:
        return
    if not conversation.over and conversation.waited(message) < TOGETHER:
        return
    length = 0.0
    for element in message.content.parts("elements"):
        length += (element.number("duration") or 0) / 1000
    # What has next to no length has another fault. A clock that is behind is told of by itself.
    behind = max((each.lag for each in conversation.timestamps.latest), default=0.0)
    over = message.time - start - length
    if length >= CLOCKS and over > CLOCKS + max(behind, 0.0):
        yield Found(
            "/start_time",
            f"all of it lay in the past: it ended at {clock(start + length)}, {over:.0f} s before",
            once="hint.forecast-past",
        )


@rule("hint.no-duration", Severity.INFO, LASTING, alone=True)
def no_duration(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Elements that last no time at all.

    What they say never holds. A CEM that divides by the duration may stumble over them.

    Where: Duration; duration in PowerForecastElement, FRBC.UsageForecastElement,
    FRBC.FillLevelTargetProfileElement, DDBC.AverageDemandRateForecastElement,
    PEBC.PowerEnvelopeElement, PPBC.PowerSequenceElement.
    Why: The schema allows a duration of 0, but nobody needs such an element.
    Wrong:
        begin("FRBC")
        rm("FRBC.UsageForecast", elements=[
            {"duration": 900000, "usage_rate_expected": 0.02},
            {"duration": 0, "usage_rate_expected": 0.03},
        ])
    Right:
        begin("FRBC")
        rm("FRBC.UsageForecast", elements=[
            {"duration": 900000, "usage_rate_expected": 0.02},
            {"duration": 900000, "usage_rate_expected": 0.03},
        ])
    Do: Leave the element out, or give its duration in milliseconds; the last one has one, too.
    """
    *outer, last = LASTING[message.message_type]
    for owner in inside(message.content, tuple(outer)):
        first, count, empty = "", 0, 0
        for element in owner.parts(last):
            count += 1
            if element.number("duration") == 0:
                first = first or element.at("duration")
                empty += 1
        # A single element may say that there is nothing to say; and of an envelope without any
        # length another rule tells.
        alone = count == 1 or message.message_type == "PEBC.Instruction"
        if empty and message.valid and (empty < count or not alone):
            yield Found(first, f"{empty} of {count} elements last 0 ms", once="hint.no-duration")
            return


@rule("hint.local-time", Severity.INFO, [*DESCRIPTIONS.values(), CONSTRAINTS])
def local_time(message: Message, conversation: Conversation) -> Iterator[Found]:
    """What is to be valid now looks like local time sent as UTC.

    It is the first of its kind, so that nothing holds until then; and it begins ahead of now by
    just what a time zone is. The CEM cannot use it for hours.

    Where: valid_from in OMBC.SystemDescription, FRBC.SystemDescription, DDBC.SystemDescription,
    PEBC.PowerConstraints.
    Why: No text forbids to describe what begins later. It is rarely meant.
    Wrong:
        begin()
        select("OMBC")
        rm("OMBC.SystemDescription", valid_from=at(3601))
    Right:
        begin()
        select("OMBC")
        rm("OMBC.SystemDescription", valid_from=at(1))
    Do: Send UTC with a Z, or local time with the offset of its zone, as in 13:00:00+01:00.
    """
    moment = message.content.moment("valid_from")
    if moment is None or moment - message.time < HALF_AN_HOUR or not message.valid:
        return
    text = message.content.text("valid_from") or ""
    hours = hours_ahead(moment, message.time)
    if (
        not text.upper().endswith(("Z", "+00:00"))
        or not hours
        or conversation.selection is None
        or conversation.descriptions_of(message.message_type).all
        or any(each.lag < -CLOCKS for each in conversation.timestamps.latest)
    ):
        return
    yield Found(
        "/valid_from",
        f"{clock(moment)} is {hours:g} h after this message, just as a time zone would be, and"
        " nothing is valid until then",
        once="hint.local-time",
    )
