"""Let the property tests draw new examples, round after round.

    scripts/soak examples [--rounds N] [--seed N] [TEST …]

CI draws the same examples every time, so that a failure there is one of the change. Here each
round draws others, from a seed that is printed: `--seed` draws them again. TESTs are files and
folders of tests, those of the protocol by default; pytest and what else the tests need is in the
virtual environments that `scripts/test` makes.

The exit status is 1 where a test fails.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> NoReturn:
    """Draw what is asked for, and say how it went."""
    parser = argparse.ArgumentParser(
        prog="soak examples",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rounds", type=int, default=20, help="how many; 20")
    add("--seed", type=int, help="that of the first; a new one")
    add("tests", nargs="*", metavar="TEST", default=["tests/s2"])
    asked = parser.parse_args(arguments)
    first = secrets.randbelow(1 << 40) if asked.seed is None else asked.seed
    # In CI hypothesis would draw what it always draws.
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    failed = 0
    for seed in range(first, first + asked.rounds):
        print(f"seed {seed}", flush=True)
        drawing = ["-m", "pytest", "-m", "hypothesis", f"--hypothesis-seed={seed}", *asked.tests]
        done = subprocess.run([sys.executable, *drawing], cwd=ROOT, env=environment, check=False)
        failed += done.returncode != 0
    print(f"of {asked.rounds} rounds {failed} failed")
    sys.exit(1 if failed else 0)
