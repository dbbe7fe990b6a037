"""How far times may be apart before a rule says something: each number with its reason."""

from __future__ import annotations

CLOCKS = 60.0
"""Seconds that the clocks of the two sides, and ours, may differ.

A device without NTP drifts by some seconds a day. What is wrong by more is planned wrong.
"""

SWITCHING = 2.0
"""Seconds that clocks may differ where one message follows the other within moments.

A status or an instruction may follow a description that is replaced at that time, and an
instruction may be executed at the time at which a timer is finished.
"""

CROSSING = 2.0
"""Seconds that a message may take to its receiver, where no answer says that it has come.

A ReceptionStatus is not answered: until then its receiver may go by what was before.
"""

WINDING_UP = 30.0
"""Seconds in which an RM may tell how the instructions of a control type ended with it.

It may have to bring its device to rest for that.
"""

SOON = 60.0
"""Seconds within which an instruction starts from the operation mode that is active now.

Until a later time the active mode may change, by messages that are still to come.
"""

ROUNDING = 1.0
"""Seconds that added durations may be longer than a period: they come rounded."""

SAME = 1e-9
"""The relative difference up to which two numbers are taken as equal: floating point is not exact.
"""

OLD_MEASUREMENT = 86400.0
"""Seconds after which a measurement says little about now."""

PROMPT_STATUS = 1.0
"""Seconds that the first status of an instruction may always take, whatever was announced."""

PATIENCE = 10
"""How many times the announced processing delay that first status may take."""

ROUNDED = 1e-6
"""The relative difference up to which a hint takes two numbers as equal: they may come rounded."""

TOGETHER = 5.0
"""Seconds within which messages come that are sent together."""

FOLLOWS = 60.0
"""Seconds within which nearly every device, and every session, does what was asked of it."""

SELECTS = 300.0
"""Seconds that a CEM may take to select a control type: somebody may have to allow it."""

STALLED = 30.0
"""Seconds of silence after which two sides that both wait for an answer wait in vain."""

SLOW_CLOCK = 120.0
"""Seconds by which timestamps are behind before a hint calls a clock wrong."""

STEADY = 30.0
"""Seconds between the largest and the smallest lag of timestamps whose clock is wrong."""

STANDS_STILL = 15.0
"""Seconds in which values change and their timestamp does not."""

SET_BACK = 10.0
"""Seconds that a timestamp may be before the one before: messages overtake each other."""

TOGETHER = 5.0
"""Seconds within which messages come that are sent together."""
