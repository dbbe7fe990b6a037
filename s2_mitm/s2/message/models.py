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
from s2_mitm.s2.wording import describe, excerpt

VERSION = "0.0.2-beta"
"""The version of S2 that s2-python speaks."""

_LEGAL = ("Multiple power ranges defined for commodity",)
"""What s2-python refuses beyond the specification, which asks for one range a quantity."""

_PYTHON = (
    (r"\b(Commodity|CommodityQuantity)\.(?=[A-Z])", ""),
    (r"start_of_range=(\S+) end_of_range=([^\s.]+(\.\d+)?)", r"\1 to \2"),
)
"""Python's own notation in the sentences of s2-python, and what people read instead."""


def check(message_type: str, message: Mapping[str, Any]) -> list[Finding]:
    """What s2-python refuses in a message: findings of source ``s2-python``.

    The empty list when it takes the message, or does not know its type. Severity ``warning`` is
    for what the specification allows, such as an id that is no UUID.
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
        yield finding_types.REFUSED.at("", f"s2-python: {_reason(cause, refusal)}")
        return
    for error in islice(cause.errors(include_url=False, include_input=False), MAX_FINDINGS):
        path, value = _place(error["loc"], message)
        kind = error["type"]
        if kind == "value_error":
            reason = _reason(error.get("ctx", {}).get("error"), error["msg"])
            legal = any(words in reason for words in _LEGAL)
            yield (finding_types.NARROWER if legal else finding_types.REFUSED).at(
                path, f"s2-python: {reason}"
            )
        elif isinstance(value, str) and kind == "uuid_parsing":
            text = f"{describe(value)} is no UUID; S2 allows it, s2-python refuses it"
            yield finding_types.NOT_A_UUID.at(path, text)
        elif isinstance(value, str) and kind.startswith("datetime_"):
            text = f"{describe(value)} is a time that S2 allows and s2-python refuses"
            yield finding_types.NARROWER.at(path, text)
        # Any other kind is about the type of a field: the schema says it better, and where the
        # schema has nothing to say, it is the model that is wrong (in s2-python 0.11.1 those of
        # DDBC.OperationMode and of PPBC.PowerSequenceContainerStatus).


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
