"""The command `scripts/soak`: which kind, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from soaking import database, examples, growth, streams, terminal

KINDS: dict[str, Callable[[Sequence[str]], NoReturn]] = {
    "terminal": terminal.main,
    "database": database.main,
    "streams": streams.main,
    "examples": examples.main,
}
"""What the first argument may name; without one of these it is `growth`."""


def main() -> NoReturn:
    """Soak what is asked for, and say how it went."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if sys.argv[1:2] and (soak := KINDS.get(sys.argv[1])):
        soak(sys.argv[2:])
    growth.main(sys.argv[1:])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # its processes are stopped by now
        sys.exit(130)
    except BrokenPipeError:  # who read it has seen enough; Python would write what is left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
