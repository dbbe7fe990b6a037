"""Put a fault that the JSON Schema found into words: what is there, what belongs there, what to do.

The hints are for the mistakes that real implementations make.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import islice
from typing import Any

from jsonschema import ValidationError

from s2_mitm.s2 import finding_types
from s2_mitm.s2.timestamps import fault_of_date_time
from s2_mitm.s2.verdict import Finding, pointer
from s2_mitm.s2.wording import describe, excerpt, quoted

MAX_EXPLAINED = 10
"""Faults of one message, or fields of one object, that are explained; the rest are counted."""

MAX_OPTIONS = 12
"""Allowed values that a text lists; there are 162 currencies."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One keyword of a schema that a value fails.

    ``path`` is where the value is in the message; ``definition`` the name of the schema that the
    keyword stands in, such as ``Duration``, empty for that of the message itself.
    """

    value: Any
    keyword: str
    expected: Any
    schema: Any
    path: str
    definition: str
    message: str

    @classmethod
    def of(cls, error: ValidationError, path: str, definition: str) -> Fault:
        """The fault that jsonschema describes."""
        value, keyword, schema = error.instance, str(error.validator), error.schema
        return cls(value, keyword, error.validator_value, schema, path, definition, error.message)


def explain(faults: Iterable[Fault]) -> Iterator[Finding]:
    """The findings of the faults of one value, all at one place in the message."""
    by_keyword: dict[str, list[Fault]] = {}
    for fault in faults:
        by_keyword.setdefault(fault.keyword, []).append(fault)
    if "type" in by_keyword:  # what a value of the wrong type fails besides has the same cause
        yield _type(by_keyword["type"][0])
        return
    missing = [_missing_name(fault) for fault in by_keyword.get("required", ())]
    for fault in by_keyword.pop("additionalProperties", ()):
        yield from _unknown_fields(fault, missing)
    for fault in by_keyword.pop("required", ()):
        if _missing_name(fault) in missing:  # else it is there under another name
            yield _missing(fault)
    for keyword, of_keyword in by_keyword.items():
        for fault in of_keyword:
            yield _EXPLAINED.get(keyword, _other)(fault)


# The type of a value

_TYPES = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


def _type(fault: Fault) -> Finding:
    types = fault.expected if isinstance(fault.expected, list) else [fault.expected]
    text = f"{describe(fault.value)}, expected {' or '.join(_TYPES[name] for name in types)}"
    if fault.definition == "Duration":
        text += " of milliseconds"
    return finding_types.TYPE.at(fault.path, text, _type_hint(fault))


def _type_hint(fault: Fault) -> str:
    match fault.expected, fault.value:
        case _, None:
            return "S2 has no null: leave a field without a value out."
        case "number" | "integer", str(text):
            return _number_hint(text, fault.definition)
        case "integer", float(number) if fault.definition == "Duration":
            return f"If these are seconds, send {number * 1000:.0f}."
        case "boolean", str(text) if text.lower() in ("true", "false"):
            return f"Send {text.lower()} without quotes."
        case "boolean", 0 | 1:
            return f"Send {'true' if fault.value else 'false'}."
        case "string", int() | float() if fault.schema.get("format") == "date-time":
            return _time_hint(fault.value)
        case "array", dict():
            return "Put the object into a list, even if it is the only one."
        case "object", [dict()]:
            return "Send the object without a list around it."
    return ""


def _number_hint(text: str, definition: str) -> str:
    if re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", text.strip(), re.ASCII):
        return "Send the number without quotes."
    if re.fullmatch(r"-?\d+,\d+", text, re.ASCII):
        return f"Send {text.replace(',', '.')}: without quotes, and with a point."
    if definition == "Duration":
        return "Send the number of milliseconds, without quotes."
    if re.match(r"-?\d", text):
        return "Send the number alone, without quotes and without a unit."
    return ""


def _time_hint(number: float) -> str:
    """Since 1970 in seconds or milliseconds, if it is about now."""
    for seconds in (number, number // 1000):
        if 1e9 < seconds < 1e10:
            time = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
            return f'Send a time as text, this one as "{time.replace("+00:00", "Z")}".'
    return "Send a time as text, as in 2026-03-01T12:00:00Z (RFC 3339)."


# The fields of an object


def _missing_name(fault: Fault) -> str:
    # jsonschema yields an error for each missing field, and names it only in its message.
    return next(str(name) for name in fault.expected if fault.message.startswith(f"{name!r} "))


def _missing(fault: Fault) -> Finding:
    name = _missing_name(fault)
    text = f"the required field {quoted(name)} is missing"
    return finding_types.MISSING.at(fault.path, text, about=(fault.path + pointer(name),))


def _unknown_fields(fault: Fault, missing: list[str]) -> Iterator[Finding]:
    """A finding for each field that is not known; a missing one that it stands for is taken out."""
    known = fault.schema.get("properties", {})
    absent = [name for name in known if name not in fault.value]
    unknown = (name for name in fault.value if name not in known)
    for name in islice(unknown, MAX_EXPLAINED):
        text, hint = f"the field {quoted(name)} is not known here", ""
        about: tuple[str, ...] = ()  # a field that S2 does not have, nothing else depends on
        if meant := nearest(name, absent):
            hint = f"Call it {quoted(meant)}."
            about = (fault.path + pointer(meant),)
            if meant in missing:
                missing.remove(meant)
                text += f", and the required field {quoted(meant)} is missing"
        path = fault.path + pointer(name)
        yield finding_types.UNKNOWN_FIELD.at(path, text, hint, about=about)
    if more := sum(1 for _ in unknown):
        yield finding_types.MORE.at(fault.path, f"{more} more fields that are not known here")


# Single values


def _enum(fault: Fault) -> Finding:
    options = fault.expected if fault.keyword == "enum" else [fault.expected]
    names = [json.dumps(option, ensure_ascii=False) for option in options]
    if len(names) > MAX_OPTIONS:
        names = [*names[: MAX_OPTIONS - 2], f"… ({len(names)} in all)"]
    expected = ("one of " if len(names) > 1 else "") + ", ".join(names)
    words = [option for option in options if isinstance(option, str)]
    meant = nearest(fault.value, words) if isinstance(fault.value, str) else None
    text = f"{describe(fault.value)}, expected {expected}"
    return finding_types.ENUM.at(fault.path, text, f"Send {quoted(meant)}." if meant else "")


def _pattern(fault: Fault) -> Finding:
    found = describe(fault.value)
    if fault.definition != "ID":
        return finding_types.PATTERN.at(fault.path, f"{found}, expected text like {fault.expected}")
    text = f'{found}, expected an id: 2 to 64 letters, digits, "-", "_" or ":"'
    if not 2 <= len(fault.value) <= 64:
        text += f"; it has {len(fault.value)}"
    return finding_types.PATTERN.at(fault.path, text)


def _format(fault: Fault) -> Finding:
    if fault.expected != "date-time":
        return finding_types.FORMAT.at(
            fault.path, f"{describe(fault.value)}, expected {fault.expected}"
        )
    reason, hint = fault_of_date_time(fault.value)
    return finding_types.FORMAT.at(fault.path, f"{describe(fault.value)} {reason}", hint)


def _minimum(fault: Fault) -> Finding:
    text = f"{describe(fault.value)}, expected at least {fault.expected}"
    return finding_types.MINIMUM.at(fault.path, text)


def _too_few(fault: Fault) -> Finding:
    text = f"{describe(fault.value)}, expected at least {fault.expected}"
    return finding_types.TOO_FEW.at(fault.path, text)


def _too_many(fault: Fault) -> Finding:
    text = f"{describe(fault.value)}, expected at most {fault.expected}"
    return finding_types.TOO_MANY.at(fault.path, text)


def _other(fault: Fault) -> Finding:
    """A keyword that only the schemas of a user have; jsonschema has words for all of them."""
    return finding_types.OTHER.at(fault.path, excerpt(fault.message, 200))


_EXPLAINED: dict[str, Callable[[Fault], Finding]] = {
    "enum": _enum,
    "const": _enum,
    "pattern": _pattern,
    "format": _format,
    "minimum": _minimum,
    "minItems": _too_few,
    "maxItems": _too_many,
}


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that was probably meant; None if there is none.

    Names that differ only in their case and in what separates words (``fillLevel`` and
    ``fill_level``, ``from_`` and ``from``) count as the same.
    """
    plain = {_plain(other): other for other in names}
    matches = get_close_matches(_plain(name[:100]), plain, n=1, cutoff=0.75)
    return plain[matches[0]] if matches else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
