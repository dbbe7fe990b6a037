"""`scripts/soak` works: that it runs to its end, records everything, and can be ended before."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from load.postgres import server_programs
from proxies import until

from s2_mitm.cli import cli

SOAK = Path(__file__).parents[2] / "scripts" / "soak"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of a short name, for the browser makes a socket in it."""
    with TemporaryDirectory(prefix="s2-") as name:
        yield Path(name)


def soak(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(SOAK), *arguments],
        env=os.environ | {"PYTHON": sys.executable, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(output: str) -> dict[str, dict[str, Any]]:
    return {row["what"]: row for row in map(json.loads, output.splitlines())}


def test_every_proxy_that_is_here_carries_it_and_records_all(folder: Path) -> None:
    process = soak(folder, "--quick", "--json")
    output, complaints = process.communicate(timeout=600)
    # Not whether the goals are met: that is for a machine that does nothing else.
    assert process.returncode in (0, 1), complaints
    soaked = rows(output)
    expected = {"s2-mitm"}
    expected |= {"s2-mitm record"} & {f"s2-mitm {name}" for name in cli.commands}
    expected |= {"s2-mitm in mitmweb"} if any(map(shutil.which, BROWSERS)) else set()
    assert soaked.keys() == expected, complaints
    for row in soaked.values():
        assert row["recorded"], row["missing"]
        assert [point["after"] for point in row["messages"]][-1] in (10_000, 4_000)
        assert [point["after"] for point in row["connections"]][-1] in (40, 20)
        assert all(point["memory"] > 0 and point["cost"] > 0 for point in row["messages"])
    assert list(folder.iterdir()) == []


def test_ctrl_c_ends_it_with_all_that_it_started(folder: Path) -> None:
    process = soak(folder, "--proxies", "mitmdump")
    until(lambda: [*folder.glob("s2-soak-*/s2.sqlite3")], "the proxy records", 60)
    process.send_signal(signal.SIGINT)
    output, complaints = process.communicate(timeout=120)
    assert (process.returncode, output) == (130, "")
    assert "Traceback" not in complaints
    assert list(folder.iterdir()) == []


def test_what_it_does_not_know_it_says(folder: Path) -> None:
    process = soak(folder, "--proxies", "squid")
    _, complaints = process.communicate(timeout=120)
    assert process.returncode == 2
    assert complaints.endswith("there is no squid; there is mitmdump, record, mitmweb\n")


def test_a_paused_terminal_holds_nothing(folder: Path) -> None:
    process = soak(folder, "terminal", "--messages", "10000", "--proxies", "record", "--json")
    output, complaints = process.communicate(timeout=600)
    # Not whether the goals are met: that is for a machine that does nothing else.
    assert process.returncode in (0, 1), complaints
    measured = [json.loads(line) for line in output.splitlines()]
    assert [each["reader"] for each in measured] == ["terminal", "pipe"]
    for each in measured:
        assert each["missing"] == 0
    # Colours make more of it than may wait; without them, to a pipe, it just fits.
    assert measured[0]["left_out"] > 0
    assert list(folder.iterdir()) == []


def test_a_database_that_is_frozen_and_killed_misses_nothing(folder: Path) -> None:
    if not server_programs():
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("the programs of a PostgreSQL server (initdb, postgres) are not here")
    folder.chmod(0o755)  # where this is root, the server is another user
    process = soak(folder, "database", "--rounds", "1", "--seconds", "12", "--json")
    output, complaints = process.communicate(timeout=600)
    # Not whether it was said in time: that is for a machine that does nothing else.
    assert process.returncode in (0, 1), complaints
    soaked = json.loads(output)
    assert [each["how"] for each in soaked["outages"]] == ["frozen", "frozen", "killed"]
    for each in soaked["outages"][1:]:
        assert len(each["said"]) == len(each["over"]) == 1, complaints
    wrong = ("not_forwarded", "in_gaps", "missing", "twice", "strange")
    assert {name: soaked[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert list(folder.iterdir()) == []


def test_random_streams_are_played(folder: Path) -> None:
    process = soak(folder, "streams", "--count", "5", "--seed", "9")
    output, complaints = process.communicate(timeout=300)
    assert (process.returncode, complaints) == (0, "")
    assert output.startswith("s2-mitm: of 5 random streams 0 are different, in ")
    assert output.endswith(" s, from seed 9 on\n")
    assert list(folder.iterdir()) == []


def test_what_differs_is_told_with_its_seed(folder: Path) -> None:
    """A plain mitmdump loses what is said while one closes, and more."""
    process = soak(folder, "streams", "--proxy", "plain", "--count", "10", "--seed", "302")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert re.search(r"^30\d: through the proxy: ", output, re.MULTILINE)


def test_property_tests_draw_what_the_seed_says(folder: Path) -> None:
    test = "tests/s2/test_verdict.py"
    process = soak(folder, "examples", "--rounds", "2", "--seed", "7", test)
    output, complaints = process.communicate(timeout=300)
    assert (process.returncode, complaints) == (0, "")
    assert re.findall(r"^seed (\d+)$", output, re.MULTILINE) == ["7", "8"]
    assert output.endswith("of 2 rounds 0 failed\n")
    assert list(folder.iterdir()) == []
