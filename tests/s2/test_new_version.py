"""A new version of S2 is a set of schemas, rows in the table, and the rules that differ."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NEW = "2.0.0-test"

ROW = """
        MessageType(
            "DDBC.Comfort",
            _RM_CONTROLLED,
            "DDBC",
            versions=_since("2.0.0-test"),
            refers={"actuator_id": Thing.ACTUATOR},
        ),
"""

RULE = '''

@rule("ddbc.too-cold", Severity.WARNING, ["DDBC.Comfort"], versions=["2.0.0-test"])
def too_cold(message: Message, conversation: Conversation) -> Iterator[Found]:
    """Somebody is cold.

    It is below 15 degrees.

    Where: DDBC.Comfort.temperature.
    Why: it is for a test.
    Wrong:
        begin("DDBC")
    Right:
        begin("DDBC")
    Do: Heat.
    """
    temperature = message.content.number("temperature")
    if temperature is not None and temperature < 15:
        yield Found("/temperature", f"{temperature} is below 15")
'''

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "message_type": {"const": "DDBC.Comfort"},
        "message_id": {"$ref": "../schemas/ID.schema.json"},
        "actuator_id": {"$ref": "../schemas/ID.schema.json"},
        "temperature": {"type": "number"},
    },
    "required": ["message_type", "message_id", "actuator_id", "temperature"],
    "additionalProperties": False,
}

SAY = """
import json, sys
from s2_mitm.s2.examples.script import Script
from s2_mitm.s2.examples.templates import TEMPLATES
from s2_mitm.s2.conversation.settings import Settings

version, text = sys.argv[1:]
TEMPLATES["DDBC.Comfort"] = {
    "message_type": "DDBC.Comfort", "actuator_id": "#actuator", "temperature": 20
}
script = Script(Settings(version=version or None))
script.run(text)
print(json.dumps([f.code for f in script.findings]))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with one version more, made as a person would make it."""
    folder = tmp_path_factory.mktemp("new-version")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "s2_mitm", folder / "s2_mitm", ignore=ignored)
    shutil.copytree(ROOT / "schemas", folder / "schemas")
    shutil.copytree(folder / "schemas/1.0.0", folder / "schemas" / NEW)
    schema = folder / "schemas" / NEW / "messages/DDBC.Comfort.schema.json"
    schema.write_text(json.dumps(SCHEMA))
    catalog = folder / "s2_mitm/s2/catalog.py"
    text = catalog.read_text("utf-8")
    for before, after in (
        ('"1.0.0")\n"""The published', f'"1.0.0", "{NEW}")\n"""The published'),
        ('        MessageType("PowerForecast"', f'{ROW}        MessageType("PowerForecast"'),
    ):
        assert before in text
        text = text.replace(before, after)
    catalog.write_text(text)
    with (folder / "s2_mitm/s2/rules/ddbc.py").open("a", encoding="utf-8") as rules:
        rules.write(RULE)
    return folder


def codes(package: Path, script: str, version: str = "") -> list[str]:
    """The codes of what is found in a script."""
    command = [sys.executable, "-c", SAY, version, script]
    done = subprocess.run(
        command, cwd=package, env={"PYTHONPATH": str(package)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    found: list[Any] = json.loads(done.stdout)
    return found


def test_a_message_of_the_new_version_is_judged_as_any_other(package: Path) -> None:
    script = """
rm("ResourceManagerDetails")
rm("DDBC.Comfort")
select("DDBC")
rm("DDBC.SystemDescription", present_demand_rate=None)
rm("DDBC.Comfort")
rm("DDBC.Comfort", temperature="20", answer=None)
rm("DDBC.Comfort", actuator_id="#other")
rm("DDBC.Comfort", temperature=14)
cem("DDBC.Comfort")
"""
    assert codes(package, script, NEW) == [
        "state.no-control-type",
        "schema.type",
        "modes.unknown-actuator",
        "ddbc.too-cold",
        "direction.wrong-sender",
    ]


def test_where_no_version_is_known_it_is_taken_for_one_of_the_new_version(package: Path) -> None:
    script = 'joined_late()\nrm("DDBC.Comfort", temperature=14)'

    assert codes(package, script) == ["modes.cannot-check", "ddbc.too-cold", "handshake.not-seen"]


def test_the_older_versions_have_no_such_message(package: Path) -> None:
    script = 'rm("DDBC.Comfort", temperature=14, answer=None)'

    assert codes(package, script, "1.0.0")[0] == "schema.unknown-message-type"
    assert "ddbc.too-cold" not in codes(package, script, "1.0.0")
