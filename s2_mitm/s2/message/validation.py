"""Judge one message on its own: readable JSON, the JSON Schema, s2-python.

Whether it fits the messages before it is for the rules of the conversation to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from s2_mitm.s2 import finding_types
from s2_mitm.s2.catalog import SINCE, TELLING, VERSIONS, known_version, with_type
from s2_mitm.s2.message import models
from s2_mitm.s2.message.explaining import MAX_EXPLAINED, nearest
from s2_mitm.s2.message.reading import read
from s2_mitm.s2.message.schemas import BUILT_IN, Schemas
from s2_mitm.s2.verdict import Finding, Role, Verdict, bounded
from s2_mitm.s2.wording import describe, encodable, quoted


def judge(
    data: bytes,
    *,
    version: str | tuple[str, ...] | None = None,
    schemas: Schemas | None = None,
    binary: bool = False,
    sender: Role | None = None,
    time: float = 0.0,
) -> Verdict:
    """Judge one message by itself.

    Takes the bytes as they went over the wire, the version of S2 to hold them against, schemas to
    use in place of the built-in ones, whether they came in a binary frame, who sent them, and when
    (seconds since 1970). Where the version is one of several, the likeliest first, or None, any of
    all, only that is wrong which is wrong in each of them: it is told as in the one in which the
    least is. Returns the verdict; raises nothing, whatever the bytes are.
    """
    reading = read(data, binary=binary)
    message = reading.message
    findings = reading.findings
    if message is None:
        return Verdict(time, sender, None, None, None, None, findings)
    message_type = _text(message, "message_type")
    if reading.trusted:
        findings.extend(_faults(message, message_type, possible(version), schemas))
    return Verdict(
        time,
        sender,
        message,
        message_type,
        _text(message, "message_id"),
        _text(message, "subject_message_id"),
        bounded(findings),
    )


def fitting(
    message_type: str, message: Mapping[str, Any], versions: tuple[str, ...]
) -> tuple[str, ...]:
    """Those of some versions that a message fits; where only one has its type, that one."""
    having = with_type(message_type, versions)
    if len(having) == 1:
        return having
    return tuple(
        version
        for version in having
        if message_type in built_in(version).message_types
        and built_in(version).fits(message_type, message)
    )


def possible(version: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """The versions to hold a message against, the likeliest first."""
    if isinstance(version, tuple):
        return version
    known = known_version(version) if version else None
    return (known,) if known else VERSIONS


def _faults(
    message: Mapping[str, Any],
    message_type: str | None,
    versions: tuple[str, ...],
    schemas: Schemas | None,
) -> list[Finding]:
    """What the schema and s2-python have against a message."""
    if len(versions) > 1 and message_type in TELLING:
        versions = with_type(message_type or "", versions)
    version = versions[0]
    known = schemas or built_in(version)
    if message_type is None or message_type not in known.message_types:
        return [_type_fault(message, versions, known.message_types)]
    faults = known.check(message_type, message)
    if faults and schemas is None and len(versions) > 1 and message_type in TELLING:
        # Seldom: most messages are right, and most types are the same in every version.
        for other in versions[1:]:
            less = built_in(other).check(message_type, message)
            if len(less) < len(faults):
                version, faults = other, less
    # Where much is wrong, s2-python takes long to say the same.
    ask = version == models.VERSION and len(faults) < MAX_EXPLAINED
    refused = models.check(message_type, message) if ask else ()
    return _merged(faults, refused) if refused else faults


@cache
def built_in(version: str) -> Schemas:
    """Our own schemas of a version that the catalog names."""
    return Schemas(BUILT_IN / version)


def _text(message: Mapping[str, Any], name: str) -> str | None:
    value = message.get(name)
    return encodable(value) if isinstance(value, str) else None


def _type_fault(
    message: Mapping[str, Any], versions: tuple[str, ...], known: frozenset[str]
) -> Finding:
    """What is wrong with the message's type, without which nothing else can be judged."""
    if "message_type" not in message:
        text = 'the required field "message_type" is missing'
        hint = ""
        if wrapper := _wrapper(message, known):
            text += f", which is inside {quoted(wrapper)}"
            hint = f"Send what is in {quoted(wrapper)} alone, without an envelope."
        elif misspelt := nearest("message_type", message):
            hint = f'Call {quoted(misspelt)} "message_type".'
        return finding_types.NO_MESSAGE_TYPE.at("", text, hint)
    message_type = message["message_type"]
    if not isinstance(message_type, str):
        text = f"{describe(message_type)}, expected the name of an S2 message type as text"
        return finding_types.MESSAGE_TYPE_NOT_TEXT.at("/message_type", text)
    text, hint = f"{describe(message_type)} is no message type of S2", ""
    if len(versions) == 1:
        text += f" {versions[0]}"
    if message_type in SINCE:
        text += f"; it came with {SINCE[message_type]}"
    elif meant := nearest(message_type, known):
        hint = f"Send {quoted(meant)}."
    return finding_types.UNKNOWN_MESSAGE_TYPE.at("/message_type", text, hint)


def _wrapper(message: Mapping[str, Any], known: frozenset[str]) -> str | None:
    """The field that holds the whole message, if there is one."""
    for name, value in message.items():
        inner = value.get("message_type") if isinstance(value, dict) else None
        if isinstance(inner, str) and inner in known:
            return name
    return None


def _merged(by_schema: list[Finding], by_model: Iterable[Finding]) -> list[Finding]:
    """One cause, one finding: what both refuse at one place is the schema's, and names both."""
    refused = {finding.path: finding for finding in by_model}
    merged = [
        replace(finding, text=f"{finding.text} (s2-python refuses it too)")
        if finding.path in refused
        else finding
        for finding in by_schema
    ]
    paths = {finding.path for finding in by_schema}
    return merged + [finding for path, finding in refused.items() if path not in paths]
