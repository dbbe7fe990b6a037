"""Tables and goals, for people."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(lines: Sequence[tuple[str, ...]], left: int) -> None:
    """Columns as wide as what is in them; the first ``left`` ones aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def print_goal(what: str, ratio: float, goal: float, *, at_least: bool = False) -> None:
    met = ratio >= goal if at_least else ratio <= goal
    sign = "≥" if at_least else "≤"
    figure = f"{ratio:,.0f}" if ratio >= 1000 else f"{ratio:.2f}"
    print(f"\n{what}: {figure}, goal {sign} {goal:g}: {'met' if met else 'MISSED'}\n")
