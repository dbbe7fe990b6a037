"""Whatever comes over the wire: there is a verdict, it can be shown and kept, and it is bounded."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

import pytest
from generated import S2_WORDS, SchemaFolder, damaged, is_well_said, mutated, wire
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from s2_mitm.s2.catalog import VERSIONS
from s2_mitm.s2.conversation.judging import Judge
from s2_mitm.s2.conversation.settings import Settings
from s2_mitm.s2.message.reading import MAX_SIZE, read
from s2_mitm.s2.message.schemas import BUILT_IN
from s2_mitm.s2.message.validation import judge
from s2_mitm.s2.verdict import MOST_FINDINGS, Finding, Verdict

LONGEST_TEXT = 1000
"""Characters of a finding's text or hint."""

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SEEDS = st.integers(0, 2**64 - 1)


@cache
def schemas(version: str) -> SchemaFolder:
    return SchemaFolder(BUILT_IN / version)


def survives(data: bytes, *, binary: bool = False, from_client: bool = True) -> None:
    """Fail if these bytes do harm in any of the places that take bytes from a peer."""
    reading = read(data, binary=binary)
    assert reading.message is not None or reading.findings

    for version in (*VERSIONS, None):
        verdict = judge(data, version=version, binary=binary)
        is_bounded_and_harmless(verdict)
        assert verdict.message is not None or not verdict.valid
        assert verdict.message_type is not None or not verdict.valid
        if reading.trusted:
            is_well_said(verdict.findings, verdict.message)

    the_judge = Judge()
    for time in range(2):  # once more, after it has been taken in
        verdict = the_judge.receive(data, from_client=from_client, time=float(time), binary=binary)
        is_bounded_and_harmless(verdict)
        assert verdict.sender is not None
    json.dumps(
        (
            the_judge.conversation.version,
            the_judge.conversation.selected_version,
            the_judge.conversation.control_type,
            the_judge.conversation.resource_id,
            the_judge.conversation.resource_name,
        ),
        ensure_ascii=False,
    ).encode()


def is_bounded_and_harmless(verdict: Verdict) -> None:
    assert len(verdict.findings) <= MOST_FINDINGS
    for finding in (*verdict.findings, *(late.finding for late in verdict.late)):
        is_harmless(finding)
    names = (verdict.message_type, verdict.message_id, verdict.subject_message_id)
    json.dumps(names, ensure_ascii=False).encode()


def is_harmless(finding: Finding) -> None:
    """Fail unless a finding can be stored, sent, and read by people, by whatever shows it."""
    for words in (finding.path, finding.text, finding.hint):
        assert words.isprintable(), words
    for words in (finding.text, finding.hint):
        assert len(words) <= LONGEST_TEXT


@given(data=st.binary(max_size=2000), binary=st.booleans(), from_client=st.booleans())
@example(data=b"", binary=True, from_client=False)
@SLOW
def test_any_bytes(data: bytes, binary: bool, from_client: bool) -> None:
    survives(data, binary=binary, from_client=from_client)


@given(words=st.lists(st.sampled_from(S2_WORDS) | st.text(max_size=3), max_size=60))
@SLOW
def test_words_of_s2_in_any_order(words: list[str]) -> None:
    survives("".join(words).encode(errors="surrogatepass"))


@pytest.mark.parametrize("version", VERSIONS)
@given(text=st.text(st.characters(codec=None, categories=None)), seed=SEEDS)
@SLOW
def test_any_text_in_the_place_of_any_other(version: str, text: str, seed: int) -> None:
    rng = random.Random(seed)
    # What is between the first and the second quote is a text, and so on.
    parts = wire(schemas(version).message(rng)).decode().split('"')
    place = rng.randrange(1, len(parts), 2)

    for written in (json.dumps(text)[1:-1], text):
        parts[place] = written
        survives('"'.join(parts).encode(errors="surrogatepass"))


HOSTILE = st.sampled_from(
    ("\x1b]0;x\x07", "\x9b2J", "\0", "\u202e", "\u2066", "\ud800", "\r\n", "\u200b")
)


@pytest.mark.parametrize("version", VERSIONS)
@given(hostile=HOSTILE, seeds=st.lists(SEEDS, min_size=1, max_size=8), keys=st.booleans())
@SLOW
def test_what_steers_or_hides_in_any_text_is_in_no_finding(
    version: str, hostile: str, seeds: list[int], keys: bool
) -> None:
    """In every text of a conversation, or in every name of its fields but the message type."""
    the_judge = Judge(Settings(version=version))
    for number, seed in enumerate(seeds):
        message = schemas(version).message(random.Random(seed))
        for each in (message, poisoned(message, hostile, keys=keys)):
            data = json.dumps(each).encode()
            from_client = number % 2 == 0
            is_bounded_and_harmless(
                the_judge.receive(data, from_client=from_client, time=20.0 * number)
            )
    for late in the_judge.close(1e6):
        is_harmless(late.finding)


def poisoned(value: Any, hostile: str, *, keys: bool) -> Any:
    """``value`` with ``hostile`` in all its texts but its message type, or in all its keys."""
    match value:
        case str():
            return value if keys else value + hostile
        case list():
            return [poisoned(item, hostile, keys=keys) for item in value]
        case dict():
            kept = ("message_type",)
            return {
                name + hostile * (keys and name not in kept): item
                if name in kept
                else poisoned(item, hostile, keys=keys)
                for name, item in value.items()
            }
    return value


@pytest.mark.parametrize("version", VERSIONS)
@given(seed=SEEDS)
@example(seed=442293332297694)  # schema, s2-python and rules together find 78 faults in it
@SLOW
def test_damaged_messages(version: str, seed: int) -> None:
    rng = random.Random(seed)

    survives(damaged(wire(schemas(version).message(rng), rng), rng))


@pytest.mark.parametrize("version", VERSIONS)
@given(seeds=st.lists(SEEDS, min_size=1, max_size=20))
@SLOW
def test_a_conversation_of_right_wrong_and_damaged_messages(version: str, seeds: list[int]) -> None:
    the_judge = Judge()
    for time, seed in enumerate(seeds):
        rng = random.Random(seed)
        data = wire(mutated(schemas(version).message(rng), rng)[1], rng)
        verdict = the_judge.receive(
            damaged(data, rng) if rng.random() < 0.2 else data,
            from_client=rng.random() < 0.5,
            time=float(time),
            binary=rng.random() < 0.1,
            injected=rng.random() < 0.1,
        )
        is_bounded_and_harmless(verdict)
    assert the_judge.messages == len(seeds)
    assert the_judge.invalid <= len(seeds)


MANY = 5_000


def measured(values: str) -> bytes:
    """A PowerMeasurement with this in the place of its values."""
    return (
        '{"message_type":"PowerMeasurement","message_id":"ab",'
        f'"measurement_timestamp":"2026-03-01T12:00:00Z","values":{values}}}'
    ).encode()


def status(fields: str) -> bytes:
    """A ReceptionStatus with more fields."""
    return (
        f'{{"message_type":"ReceptionStatus","subject_message_id":"ab","status":"OK",{fields}}}'
    ).encode()


def listed(value: str) -> bytes:
    """A PowerMeasurement with many of these as its values."""
    return measured(f"[{','.join([value] * MANY)}]")


LONG = "x" * 100_000
LARGE = {
    "wrong items": listed("{}"),
    "nulls": listed("null"),
    "lists in lists": measured("[" * 60 + "]" * 60),
    "lists too deep": measured("[" * 70 + "]" * 70),
    "only brackets": b"[" * MAX_SIZE,
    "only objects": b'{"a":' * 100_000,
    "brackets in text": measured('"' + '[{\\"' * MANY + '"'),
    "unknown fields": status(",".join(f'"field_{n}":0' for n in range(MANY))),
    "unknown fields, nearly known": status(",".join(f'"status{n}":0' for n in range(MANY))),
    "a long unknown field": status(f'"{LONG}":0'),
    "a long id": status(f'"message_id":"{LONG}"'),
    "a long message type": f'{{"message_type":"{LONG}"}}'.encode(),
    "a long time": measured("[]").replace(b":00Z", b":00." + b"0" * 100_000 + b"Z "),
    "a long time without a zone": measured("[]").replace(b":00Z", b":00." + b"0" * 100_000),
    "long text for a number": measured(f'"{"1" * 100_000}"'),
    "a long number": measured("1" * 4_000),
    "a number too long for Python": measured("1" * 5_000),
    "a long fraction": measured("0." + "1" * 100_000),
    "a large exponent": measured("1e" + "9" * 4_000),
    "a small exponent": measured("1e-" + "9" * 4_000),
    "long numbers": listed("0.12345678901234567890"),
    "numbers too large": listed("1e999"),
    "NaN": listed("NaN,Infinity,-Infinity"),
    "one key many times": status(",".join(['"status":"OK"'] * MANY)),
    "many keys twice": status(",".join(f'"k{n // 2}":0' for n in range(MANY))),
    "keys twice in a list": listed('{"a":0,"a":0}'),
    "keys twice, deep": status('"a":{"a":0,' * 60 + '"a":0' + "}" * 60),
    "half surrogate pairs": listed(r'"\ud800"'),
    "half a surrogate pair for a key": status(r'"\udfff":0'),
    "half a surrogate pair for a type": rb'{"message_type":"\ud83d"}',
    "escapes": status('"diagnostic_label":"' + r"\u0000\u001b\u202e" * MANY + '","x":0'),
    "control characters": b"\x00" * 100_000,
    "not UTF-8": b'{"message_type":"' + b"\xff" * 100_000 + b'"}',
    "a surrogate in UTF-8": b'{"message_type":"\xed\xa0\x80"}',
    "marks": b"\xef\xbb\xbf" * 1000 + b"{}",
    "many messages": status('"x":0') * 1000,
    "spaces": b" " * 100_000 + b"{}" + b"\n" * 100_000,
    "an open text": b'{"message_type":"' + b"\\" * 100_001,
    "one byte too large": b" " * (MAX_SIZE - 1) + b"{}",
}


@pytest.mark.parametrize("name", LARGE)
def test_large_and_wrong(name: str) -> None:
    survives(LARGE[name])


@pytest.mark.parametrize("name", LARGE)
def test_what_is_said_is_no_longer_than_what_was_sent(name: str) -> None:
    data = LARGE[name]

    said = sum(len(json.dumps(finding.as_dict())) for finding in judge(data).findings)

    assert said <= len(data) + MOST_FINDINGS * LONGEST_TEXT


def test_a_long_name_is_not_said_again_with_every_fault_below_it() -> None:
    inner = ",".join(f'"k{n}":0,"k{n}":1' for n in range(100))
    data = status(f'"{LONG}":{{{inner}}}')

    said = sum(len(json.dumps(finding.as_dict())) for finding in judge(data).findings)

    assert said <= len(data) + MOST_FINDINGS * LONGEST_TEXT
