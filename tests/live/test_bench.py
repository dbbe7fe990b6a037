"""`scripts/bench` works: its cheap peers carry S2 through real proxies, and its figures add up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parents[2] / "scripts" / "bench"


def bench(*arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [str(BENCH), "--json", *arguments],
        env=os.environ | {"PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_proxies_are_measured_in_turn() -> None:
    rows = bench("proxy", "--quick", "--seconds", "0.1", "--conversations", "3")
    by_name = {row["what"]: row for row in rows}
    assert {"plain mitmdump", "s2-mitm", "s2-mitm : plain mitmdump"} <= by_name.keys()
    for name in ("plain mitmdump", "s2-mitm"):
        row = by_name[name]
        assert row["rate"] > 0
        assert 0 < row["p50"] <= row["p99"]
        assert all(row[f"{who} busy"] > 0 for who in ("proxy", "RM", "CEM"))
    ratio = by_name["s2-mitm : plain mitmdump"]["rate"]
    assert ratio["least"] <= ratio["median"] <= ratio["most"]


def test_a_recorder_is_measured_with_each_database_that_is_here() -> None:
    rows = {row["database"]: row for row in bench("recorder", "--seconds", "0.1")}
    assert rows.keys() == {"SQLite", "PostgreSQL"}
    assert rows["SQLite"]["rate"]["median"] > 0
    assert "rate" in rows["PostgreSQL"] or rows["PostgreSQL"]["skipped"].startswith("not measured")
