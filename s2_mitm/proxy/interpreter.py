"""Settings of Python itself that suit a proxy, while it runs.

By default Python looks for garbage after every 700 new objects, from time to time among all of the
200,000 that mitmproxy has loaded and keeps; and a thread that writes may run for 5 ms before
another gets its turn. Messages wait meanwhile.
"""

from __future__ import annotations

import gc
import sys

THRESHOLDS = (10_000, 20, 20)
"""After how many new objects Python looks for garbage, and how much less often among older ones."""

HANDOVER_SECONDS = 5e-4
"""For how long one thread may run in Python while another waits."""

_before: tuple[tuple[int, int, int], float] | None = None


def tune() -> None:
    """Make these settings; to be called once all is loaded."""
    global _before
    if _before is None:
        _before = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    sys.setswitchinterval(HANDOVER_SECONDS)


def restore() -> None:
    """Restore the settings that there were before `tune`."""
    global _before
    if _before is None:
        return
    thresholds, handover = _before
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(handover)
    gc.unfreeze()
    _before = None
