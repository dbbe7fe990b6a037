"""Set Python itself to carrying messages while the proxy runs.

Its usual settings are for programs that make few objects and have one thread to run: every 700
objects it looks for garbage, from time to time among the some 200,000 that mitmproxy has loaded and
never lets go, while messages wait; and the thread that writes may go on for 5 ms while they do.
"""

from __future__ import annotations

import gc
import sys

THRESHOLDS = (10_000, 20, 20)
"""How many new objects there are before Python looks for garbage, and how much seldomer further."""

HANDOVER_SECONDS = 5e-4
"""For how long one thread may go on in Python while another waits."""

_before: tuple[tuple[int, int, int], float] | None = None


def tune() -> None:
    """Set it so, once all is loaded."""
    global _before
    if _before is None:
        _before = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    sys.setswitchinterval(HANDOVER_SECONDS)


def restore() -> None:
    """Give back the settings that there were."""
    global _before
    if _before is None:
        return
    thresholds, handover = _before
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(handover)
    gc.unfreeze()
    _before = None
