"""A bar on the terminal while something takes long."""

from __future__ import annotations

import sys
import time
from types import TracebackType

DELAY = 0.5
"""Seconds that something may take without a bar."""

INTERVAL = 0.1
"""Seconds between two pictures of the bar."""


class Progress:
    """A bar on stderr, of nothing but what is still to do.

    Takes how much there is to do, 0 where nobody knows, and whether to show anything at all. A
    context manager: the bar is gone at its end.
    """

    def __init__(self, total: int, *, enabled: bool) -> None:
        self._total = total
        self._done = 0
        self._enabled = enabled
        self._next = time.monotonic() + DELAY
        self._bar: _Bar | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._hide()

    def advance(self, amount: int) -> None:
        """So much more is done."""
        self._done += amount
        now = time.monotonic()
        if not self._enabled or now < self._next:
            return
        self._next = now + INTERVAL
        self._bar = self._bar or _Bar(self._total)
        self._bar.show(self._done)

    def make_way(self) -> None:
        """Call before something is written to stdout, which may be the same terminal."""
        if sys.stdout.isatty():
            self._hide()

    def _hide(self) -> None:
        if self._bar is not None:
            self._bar.hide()


class _Bar:
    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            # Drawn by hand: a thread would draw into what is written to stdout.
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=total or None)
        self._shown = False

    def show(self, done: int) -> None:
        self._bar.update(self._task, completed=done)
        if self._shown:
            self._bar.refresh()
        else:
            self._bar.start()
            self._shown = True

    def hide(self) -> None:
        if self._shown:
            self._bar.stop()
            self._shown = False
