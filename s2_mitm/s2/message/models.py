"""Ask s2-python what it thinks of a message: the reading that most devices have built in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError
from s2python.s2_parser import TYPE_TO_MESSAGE_CLASS
from s2python.s2_validation_error import S2ValidationError

from s2_mitm.s2 import finding_types
from s2_mitm.s2.verdict import MAX_FINDINGS, Finding, pointer
from s2_mitm.s2.wording import describe, excerpt, short_id

VERSION = "0.0.2-beta"
"""The version of S2 that s2-python speaks."""

_PYTHON = (
    (r"\b(Commodity|CommodityQuantity)\.(?=[A-Z])", ""),
    (r"start_of_range=(\S+) end_of_range=([^\s.]+(\.\d+)?)", r"\1 to \2"),
)
"""Python's own notation in the sentences of s2-python, and what people read instead."""

_LEGAL = (
    (
        re.compile(r"Multiple power ranges defined for commodity (\S+) in operation mode (\S+)"),
        "operation mode {mode} has several power ranges for {commodity}: S2 takes one for each"
        " quantity, such as three phases, s2-python only one for each commodity",
    ),
    (
        re.compile(r"No power ranges defined for commodity (\S+) in operation mode (\S+)"),
        "operation mode {mode} has no power range for {commodity}, one of supported_commodities:"
        " S2 allows that, s2-python refuses it",
    ),
    (
        re.compile(r"Found duplicate (\S+) commodity"),
        "{commodity} stands more than once in supported_commodities: S2 does not forbid that,"
        " s2-python refuses it",
    ),
)
"""What s2-python refuses beyond the specification: its sentences, and ours, which say so."""

_OURS = (
    (
        re.compile(r"Elements with fill level ranges (.+) and (.+) are closest match to each"),
        r"s2-python refuses fill level ranges that do not meet exactly: \1 and \2",
    ),
)
"""Other sentences of s2-python that say less than ours do."""


def check(message_type: str, message: Mapping[str, Any]) -> list[Finding]:
    """What s2-python refuses in a message: findings of source ``s2-python``.

    The empty list when it takes the message, or does not know its type. None is an error: what
    the specification forbids has a rule, which says it in place of s2-python.
    """
    model = TYPE_TO_MESSAGE_CLASS.get(message_type)
    if model is None:
        return []
    try:
        model.from_dict(dict(message))
    except S2ValidationError as refusal:
        return list(_findings(refusal, message))
    except RecursionError:
        return [finding_types.REFUSED.at("", "nested too deep for s2-python")]
    return []


def _findings(refusal: S2ValidationError, message: Mapping[str, Any]) -> Iterator[Finding]:
    cause = refusal.__cause__
    if not isinstance(cause, ValidationError):
        # A validator of s2-python's own broke off.
        yield _refused("", _reason(cause, refusal))
        return
    for error in islice(cause.errors(include_url=False, include_input=False), MAX_FINDINGS):
        path, value = _place(error["loc"], message)
        kind = error["type"]
        if kind == "value_error":
            yield _refused(path, _reason(error.get("ctx", {}).get("error"), error["msg"]))
        elif isinstance(value, str) and kind == "uuid_parsing":
            text = f"{describe(value)} is no UUID; S2 allows it, s2-python refuses it"
            yield finding_types.NOT_A_UUID.at(path, text)
        elif isinstance(value, str) and kind.startswith("datetime_"):
            text = f"{describe(value)} is a time that S2 allows and s2-python refuses"
            yield finding_types.NARROWER.at(path, text)
        # Any other kind is about the type of a field: the schema says it better, and where the
        # schema has nothing to say, it is the model that is wrong (in s2-python 0.11.1 those of
        # DDBC.OperationMode and of PPBC.PowerSequenceContainerStatus).


def _refused(path: str, reason: str) -> Finding:
    """What one of the validators of s2-python refuses, from its sentence."""
    for pattern, text in _LEGAL:
        if found := pattern.search(reason):
            commodity, *mode = found.groups()
            words = text.format(commodity=commodity, mode=short_id(mode[0]) if mode else "")
            return finding_types.NARROWER.at(path, words)
    for pattern, text in _OURS:
        if found := pattern.search(reason):
            return finding_types.REFUSED.at(path, found.expand(text))
    return finding_types.REFUSED.at(path, f"s2-python refuses it: {reason}")


def _place(location: tuple[str | int, ...], message: Mapping[str, Any]) -> tuple[str, Any]:
    """The JSON Pointer of a place that pydantic names, and the value that is there.

    pydantic puts names of its own between those of fields (``constrained-str``), and names the
    field that is missing; the pointer ends at the last place that the message has.
    """
    value: Any = message
    parts: list[str | int] = []
    for part in location:
        if isinstance(value, Mapping):
            if part not in value:
                break
        elif not (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            break
        value = value[part]
        parts.append(part)
    return pointer(*parts), value


def _reason(cause: object, otherwise: object) -> str:
    """The sentence of an exception; in some of s2-python's the model itself stands before it."""
    words = cause.args[-1] if isinstance(cause, Exception) and cause.args else otherwise
    sentence = re.sub(r"\s+", " ", str(words))
    for written, meant in _PYTHON:
        sentence = re.sub(written, meant, sentence)
    return excerpt(sentence, 300)
