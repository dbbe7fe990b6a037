"""Held against the published schemas: nothing that they refuse is called valid, and no false alarm.

S2_GENERATED=20000 makes as many messages a version and seed; S2_SEEDS=1,2,3 names the seeds.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from generated import Message, SchemaFolder, stream, wire

from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.conversation.alone import judge_alone
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import Source, Verdict

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT.parent / "shared/spec/s2-json"
FOLDERS = {"1.0.0": "1.0.0-beta"}  # the same schemas under an older name

NUMBER = int(os.environ.get("S2_GENERATED", "600"))
SEEDS = [int(seed) for seed in os.environ.get("S2_SEEDS", "1,2").split(",")]

pytestmark = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the published schemas are not at ../shared/spec/s2-json"
)


@cache
def published(version: str) -> SchemaFolder:
    return SchemaFolder(PUBLISHED / FOLDERS.get(version, version))


def has_false_alarm(verdict: Verdict) -> bool:
    """Whether a message that is right was found wrong by what only reads and compares."""
    return not {finding.source for finding in verdict.findings}.isdisjoint(
        {Source.JSON, Source.SCHEMA}
    )


def misjudged(version: str, made: Iterator[tuple[str, Message]]) -> Iterator[str]:
    """The messages that s2-mitm and the published schemas see differently."""
    for fault, message in made:
        accepted = published(version).accepts(message)
        verdict = judge(wire(message), version=version)
        if verdict.valid and not accepted:
            yield f"a miss after {fault}: {json.dumps(message)}"
        if not fault:
            assert accepted, message
            if has_false_alarm(verdict):
                yield f"a false alarm, {verdict.findings}: {json.dumps(message)}"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_no_miss_and_no_false_alarm(version: str, seed: int) -> None:
    made = stream(published(version), seed, NUMBER)

    assert next(misjudged(version, made), None) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_made_is_of_every_type_and_of_both_sorts(version: str) -> None:
    made = list(stream(published(version), 1, 600))
    accepted = [(message, published(version).accepts(message)) for _, message in made]

    assert {message["message_type"] for message, is_right in accepted if is_right} == set(
        published(version).message_types
    )
    assert 200 < sum(not is_right for _, is_right in accepted) < 400


@pytest.mark.parametrize("version", VERSIONS)
def test_a_message_that_is_no_message_of_s2_is_refused_by_all(version: str) -> None:
    nothings: tuple[object, ...] = (
        [],
        "",
        None,
        1,
        {},
        {"message_type": None},
        {"message_type": "x"},
    )
    for nothing in nothings:
        assert not published(version).accepts(nothing)
        assert not judge(wire(nothing), version=version).valid


@pytest.mark.parametrize("version", VERSIONS)
def test_the_command_line_says_the_same_of_a_file_of_messages(version: str, tmp_path: Path) -> None:
    made = list(stream(published(version), 3, NUMBER))
    rng = random.Random(3)
    lines = [wire(message, rng) for _, message in made]
    file = tmp_path / "messages.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")

    program = [sys.executable, "-m", "s2_mitm.cli", "validate", "--version", version, "--json"]
    ended = subprocess.run([*program, file], capture_output=True, text=True, cwd=ROOT, check=False)

    assert ended.stderr == ""
    assert ended.returncode == 1
    said = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(said) == len(made)
    for answer, (fault, message), line in zip(said, made, lines, strict=True):
        verdict = judge_alone(line, Settings(version=version))
        assert answer["valid"] == verdict.valid, message
        assert answer["message_type"] == verdict.message_type
        for told, finding in zip(answer["findings"], verdict.findings, strict=True):
            assert finding.as_dict().items() <= told.items()
        if answer["valid"]:
            assert published(version).accepts(message), (fault, message)
