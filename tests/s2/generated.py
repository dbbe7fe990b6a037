"""Messages made at random from JSON Schemas of S2, faults put into them, and who judges both.

All of it follows from a `random.Random`: the same seed gives the same messages.
"""

from __future__ import annotations

import copy
import json
import random
import string
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from s2_mitm.s2.timestamps import is_date_time
from s2_mitm.s2.verdict import MOST_FINDINGS, Finding
from s2_mitm.s2.wording import printable

Message = dict[str, Any]

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or is_date_time(value)


class SchemaFolder:
    """The JSON Schemas of one version of S2: a folder with ``messages/`` and ``schemas/`` in it."""

    def __init__(self, folder: Path) -> None:
        self._schemas = {
            path.relative_to(folder).as_posix().removesuffix(".schema.json"): json.loads(
                path.read_text(encoding="utf-8")
            )
            for path in sorted(folder.glob("*/*.schema.json"))
        }
        self.message_types = [
            name.removeprefix("messages/") for name in self._schemas if name.startswith("messages/")
        ]

    # Judging, by jsonschema alone: nothing of s2-mitm but its date-time has a part in it

    def accepts(self, message: object) -> bool:
        """Whether the schema of the message's own type takes it; an unknown type is refused."""
        if not isinstance(message, dict):
            return False
        message_type = message.get("message_type")
        if not isinstance(message_type, str) or message_type not in self._validators:
            return False
        return self._validators[message_type].is_valid(message)

    def accepts_as(self, message_type: str, message: object) -> bool:
        """Whether the schema of this type takes a message, whatever type it says it has."""
        return self._validators[message_type].is_valid(message)

    @cached_property
    def _validators(self) -> dict[str, Draft202012Validator]:
        resources = {
            f"https://s2.example/{name}.schema.json": DRAFT202012.create_resource(_as_meant(schema))
            for name, schema in self._schemas.items()
        }
        registry: Registry[Any] = Registry().with_resources(resources.items())
        return {
            message_type: Draft202012Validator(
                {"$ref": f"https://s2.example/messages/{message_type}.schema.json"},
                registry=registry,
                format_checker=FORMATS,
            )
            for message_type in self.message_types
        }

    # Making messages

    def message(self, rng: random.Random, message_type: str | None = None) -> Message:
        """A message that the schemas take, of this type or of any."""
        message_type = message_type or rng.choice(self.message_types)
        message: Message = self._value(self._schemas[f"messages/{message_type}"], rng)
        return message

    def _value(self, schema: Any, rng: random.Random) -> Any:
        if reference := schema.get("$ref"):
            name = reference.rpartition("/")[2].removesuffix(".schema.json")
            return self._value(self._schemas[f"schemas/{name}"], rng)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return rng.choice(schema["enum"])
        if "properties" in schema:
            return self._object(schema, rng)
        match schema["type"]:
            case "array":
                return self._list(schema, rng)
            case "boolean":
                return rng.random() < 0.5
            case "integer":
                return _whole_number(rng)
            case "number":
                return _number(rng)
        if schema.get("format") == "date-time":
            return _date_time(rng)
        return _id(rng) if "pattern" in schema else _text(rng)

    def _object(self, schema: Any, rng: random.Random) -> Message:
        required = schema.get("required", ())
        optional = rng.choice((0.0, 0.5, 1.0))
        made = {
            name: self._value(field, rng)
            for name, field in schema["properties"].items()
            if name in required or rng.random() < optional
        }
        names = list(made)
        if rng.random() < 0.2:
            rng.shuffle(names)
        return {name: made[name] for name in names}

    def _list(self, schema: Any, rng: random.Random) -> list[Any]:
        least = schema.get("minItems", 0)
        most = max(least, min(schema.get("maxItems", 3), least + rng.choice((0, 1, 1, 2, 3))))
        return [self._value(schema["items"], rng) for _ in range(rng.randint(least, most))]


def _as_meant(schema: Any) -> Any:
    """A schema with its two oversights put right: ids are whole texts, objects are objects."""
    if isinstance(schema, list):
        return [_as_meant(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    meant = {keyword: _as_meant(value) for keyword, value in schema.items() if keyword != "$id"}
    if isinstance(pattern := schema.get("pattern"), str):
        meant["pattern"] = rf"\A(?:{pattern})\Z"
    if "required" in schema or "additionalProperties" in schema:
        meant.setdefault("type", "object")
    return meant


# Single values that are right

_ID_CHARACTERS = string.ascii_letters + string.digits + "-_:"


def _id(rng: random.Random) -> str:
    if rng.random() < 0.6:
        digits = f"{rng.getrandbits(128):032x}"
        uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        return uuid.upper() if rng.random() < 0.1 else uuid
    length = rng.choice((2, 3, 8, 36, 63, 64))
    return "".join(rng.choices(_ID_CHARACTERS, k=length))


def _text(rng: random.Random) -> str:
    return rng.choice(
        (
            "",
            "0.0.2-beta",
            "1.0.0",
            "Wärmepumpe 1, 21 °C – 電池 🔋",
            'quotes " and \\ and / and ~1',
            "line\nfeed\ttab\x00\x1b[2J",
            "\u202ereversed\u200b\ufeff",
            "null",
            "true",
            "[{]}",
            "x" * rng.choice((1, 50, 1000)),
        )
    )


def _whole_number(rng: random.Random) -> float:
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice((0, 1, 2**31 - 1, 2**31, 2**32, 2**53))
    if kind == 1:  # JSON Schema calls these whole numbers
        return rng.choice((0.0, -0.0, 5.0, 1e3, 1e15, 1e20, 1e300))
    return rng.randrange(int(10 ** rng.randint(1, 12)))


def _number(rng: random.Random) -> float:
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice((0, -1, 1, 5.0, 0.0, -0.0, 1e-7, 1e16, -1e22, 0.1, 2**53, -(2**53)))
    if kind == 1:
        return rng.choice((5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e-300, 1e300))
    if kind == 2:
        return rng.randint(-(10**6), 10**6)
    return round(rng.uniform(-1, 1) * float(10 ** rng.randint(-6, 9)), rng.randint(0, 6))


def _date_time(rng: random.Random) -> str:
    days = rng.choice((rng.randrange(36500), rng.randrange(3652059)))
    day = date(2000, 1, 1) + timedelta(days) if days < 36500 else date.fromordinal(1 + days)
    if rng.random() < 0.1:
        day = rng.choice((date(2024, 2, 29), date(2000, 2, 29), date(1, 1, 1), date(9999, 12, 31)))
    time = f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
    if rng.random() < 0.03:
        time = rng.choice(("23:59:60", "00:00:00", "23:59:59"))
    fraction = rng.choice(("", "", ".0", ".123", ".123456", ".123456789", ".1234567890123"))
    zone = rng.choice(("Z", "Z", "+00:00", "-00:00", "+01:00", "-11:30", "+23:59", "+05:45"))
    text = f"{day.isoformat()}T{time}{fraction}{zone}"
    return text.lower() if rng.random() < 0.05 else text


# Faults

Place = tuple[Any, Any]
"""An object or a list, and the key or index of a value in it."""


def _places(value: Any) -> Iterator[Place]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield value, key
        yield from _places(item)


def places(message: Any, wanted: Callable[[Any], bool] = lambda value: True) -> list[Place]:
    """Every place in a message whose value is wanted."""
    return [(holder, key) for holder, key in _places(message) if wanted(holder[key])]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and is_date_time(value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _numbered(items: list[Any]) -> Iterator[tuple[str, Any]]:
    """A list's items as some languages write them: under "0", "1", …"""
    return ((str(index), item) for index, item in enumerate(items))


def _objects(message: Message) -> list[Message]:
    return [message, *(holder[key] for holder, key in places(message, _is_object))]


_OTHER_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 5.0, 1e300, -1e-300, "", "x", "\n", "null", "5"),
    *("2026-03-01T12:00:00Z", "ab", "a", "a" * 64, "a" * 65, [], [[]], [None], [0], {}, {"": 0}),
    *({"id": "ab"}, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**30, -(10**30), 10**400),
)


def _replaced(wanted: Callable[[Any], bool], by: Callable[[Any, random.Random], Any]) -> Any:
    def fault(message: Message, rng: random.Random) -> bool:
        candidates = places(message, wanted)
        if not candidates:
            return False
        holder, key = rng.choice(candidates)
        holder[key] = by(holder[key], rng)
        return True

    return fault


def _deleted(message: Message, rng: random.Random) -> bool:
    holder, key = rng.choice(places(message))
    del holder[key]
    return True


def _renamed(message: Message, rng: random.Random) -> bool:
    fields = rng.choice([fields for fields in _objects(message) if fields])
    name = rng.choice(list(fields))
    value = fields.pop(name)
    camel = "".join(part.capitalize() for part in name.split("_"))
    others = (name + "_", name.upper(), camel, name[:-1], name + " ", "_" + name, "", name + "\n")
    fields[rng.choice(others)] = value
    return True


def _added(message: Message, rng: random.Random) -> bool:
    fields = rng.choice(_objects(message))
    name = rng.choice(("unit", "id", "message_id", "", "a/b~c", "~1", "é", "\x00", "__proto__"))
    fields.setdefault(name, copy.deepcopy(rng.choice(_OTHER_VALUES)))
    return True


def _text_changed(text: str, rng: random.Random) -> str:
    half = len(text) // 2
    return rng.choice(
        (
            text.lower(),
            text.upper(),
            text.swapcase(),
            text.replace("_", " "),
            text.replace(".", "_"),
            text + "\n",
            "\n" + text,
            text + "\r",
            text + "\u2028",
            " " + text,
            "{" + text + "}",
            "!!" + text + "!!",
            text + "\x00",
            text[:1],
            text[:half] + "\n" + text[half:],
            text[:half] + " " + text[half:],
            text + "é",
            text + "\u0661",
            text * 2,
            text * 10,
            text[:half],
            text[::-1],
            "",
        )
    )


_BAD_TIMES = (
    *("2026-02-30T12:00:00Z", "2025-02-29T12:00:00Z", "2026-13-01T12:00:00Z"),
    *("0000-01-01T00:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T12:60:00Z"),
    *("2026-03-01T12:00:61Z", "2026-03-01T12:00:00,5Z", "2026-03-01T12:00:00+0100"),
    *("2026-03-01T12:00:00+01", "2026-03-01T12:00:00+24:00", "2026-03-01T12:00:00.Z"),
    *("2026-03-01T12:00:00", "2026-03-01 12:00:00Z", "2026-03-01T12:00Z", "2026-03-01"),
    *("2026-03-01T12:00:00Z\n", "2026-03-01T12:00:00ZZ", "2026-03-01T12:00:00 Z"),
    *("2026-W09-7T12:00:00Z", "2026-060T12:00:00Z", "2026-3-1T12:00:00Z", "20260301T120000Z"),
    *("-2026-03-01T12:00:00Z", "12026-03-01T12:00:00Z", "٢٠٢٦-03-01T12:00:00Z", "12:00:00Z"),
    *("2026-03-01T12:00:00\u221201:00", "2026-03-01T12:00:0٠Z", "now", "1772366400", ""),
)  # fmt: skip


def _duplicated(message: Message, rng: random.Random) -> bool:
    candidates = [holder[key] for holder, key in places(message, _is_list) if holder[key]]
    if not candidates:
        return False
    items = rng.choice(candidates)
    items.append(copy.deepcopy(rng.choice(items)))
    return True


def _lengthened(message: Message, rng: random.Random) -> bool:
    candidates = [holder[key] for holder, key in places(message, _is_list) if holder[key]]
    if not candidates:
        return False
    items = rng.choice(candidates)
    # Past 288 only where it stays small: the longest bound in the schemas is 1,000.
    small = len(json.dumps(items[0])) < 200
    wanted = rng.choice((3, 4, 5, 6, 10, 11, 100, 101, 288, 289, 1000, 1001) if small else (5, 11))
    while len(items) < wanted:
        items.append(items[0])
    return True


def _from_elsewhere(message: Message, rng: random.Random) -> bool:
    (holder, key), (other, there) = rng.choice(places(message)), rng.choice(places(message))
    holder[key] = copy.deepcopy(other[there])
    return True


def _other_type(message: Message, rng: random.Random) -> bool:
    names = ("PowerMeasurement", "ReceptionStatus", "DDBC.PresentDemandStatus", "Nothing", "", "\n")
    message["message_type"] = rng.choice(names)
    return True


FAULTS: dict[str, Callable[[Message, random.Random], bool]] = {
    "delete a field or an item": _deleted,
    "rename a field": _renamed,
    "add a field": _added,
    "null": _replaced(lambda value: True, lambda value, rng: None),
    "another value": _replaced(
        lambda value: True, lambda value, rng: copy.deepcopy(rng.choice(_OTHER_VALUES))
    ),
    "text for a number": _replaced(_is_number, lambda value, rng: str(value)),
    "true for a number": _replaced(_is_number, lambda value, rng: rng.random() < 0.5),
    "a negative number": _replaced(_is_number, lambda value, rng: -abs(value) - 1),
    "a fraction": _replaced(_is_number, lambda value, rng: rng.choice((0.5, 1e-9, 5.000001, -0.5))),
    "a huge number": _replaced(
        _is_number, lambda value, rng: rng.choice((2**63, 2**64, -(2**64), 10**30, 1e300, 10**400))
    ),
    "a number for true or false": _replaced(
        lambda value: isinstance(value, bool), lambda value, rng: rng.choice((int(value), "true"))
    ),
    "changed text": _replaced(_is_text, _text_changed),
    "a number for text": _replaced(_is_text, lambda value, rng: rng.choice((0, 1772366400, 1.5))),
    "a bad time": _replaced(_is_time, lambda value, rng: rng.choice(_BAD_TIMES)),
    "an empty list": _replaced(_is_list, lambda value, rng: []),
    "a list as an object": _replaced(_is_list, lambda value, rng: value[0] if value else {}),
    "an object for a list": _replaced(_is_list, lambda value, rng: dict(_numbered(value))),
    "a list around an object": _replaced(_is_object, lambda value, rng: [value]),
    "an object emptied": _replaced(_is_object, lambda value, rng: {}),
    "a duplicate item": _duplicated,
    "a list too long": _lengthened,
    "a value from elsewhere": _from_elsewhere,
    "another message type": _other_type,
}
"""What is done to a message, in place; False where it has nothing to do it to."""


def mutated(message: Message, rng: random.Random) -> tuple[str, Message]:
    """A copy with one fault, or a few, and what was done; sometimes it is valid all the same."""
    changed = copy.deepcopy(message)
    done = []
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3, 6))):
        if not changed:
            break
        name = rng.choice(list(FAULTS))
        if FAULTS[name](changed, rng):
            done.append(name)
    return ", ".join(done) or "nothing", changed


def stream(schemas: SchemaFolder, seed: int, number: int) -> Iterator[tuple[str, Message]]:
    """Messages in turn of every type, each as it is (``""``) and then twice with faults."""
    rng = random.Random(seed)
    for index in range(number):
        if index % 3 == 0:
            types = schemas.message_types
            message = schemas.message(rng, types[index // 3 % len(types)])
            yield "", message
        else:
            yield mutated(message, rng)


def wire(message: object, rng: random.Random | None = None) -> bytes:
    """A message as bytes; with ``rng``, written in one of the ways that JSON can be written."""
    if rng is None:
        return json.dumps(message, ensure_ascii=False).encode(errors="replace")
    separators = rng.choice(((",", ":"), (", ", ": "), (" ,\t", " :\r ")))
    text = json.dumps(message, ensure_ascii=rng.random() < 0.5, separators=separators)
    return text.encode()


# What is said of them


def is_well_said(findings: list[Finding], message: Any) -> None:
    """Fail unless every finding has its place, is said once, and there are not too many."""
    for finding in findings:
        assert _has_place(message, finding.path), (finding, json.dumps(message))
        assert finding.text
    said = [(finding.code, finding.path, finding.text) for finding in findings]
    assert len(said) == len(set(said)), (said, json.dumps(message))
    assert len(findings) <= MOST_FINDINGS


def _has_place(value: Any, path: str) -> bool:
    """Whether a JSON Pointer (RFC 6901) names a place in a value."""
    if path and not path.startswith("/"):
        return False
    for part in path.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in (keys := {printable(key): key for key in value}):
            value = value[keys[name]]
        else:
            return False
    return True


# Bytes

S2_WORDS = (
    *("{", "}", "[", "]", ",", ":", '"', "\\", "\\u", "\\ud83d", "\\udc00", "\\u0000", "\ufeff"),
    *("NaN", "-Infinity", "Infinity", "1e999", "-0", "1e-7", "0.1", "9" * 20, "null", "true"),
    *('"message_type"', '"PowerMeasurement"', '"ReceptionStatus"', '"FRBC.StorageStatus"'),
    *('"message_id"', '"subject_message_id"', '"status"', '"OK"', '"values"', '"role"', '"RM"'),
    *('"2026-03-01T12:00:00Z"', '"commodity_quantity"', '"ELECTRIC.POWER.L1"', '"value"', "\x00"),
    *("[" * 70, '{"a":' * 70, "\n", "\r", "\u2028", "//", "'", "True"),
)  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes with a few of them changed, cut out, doubled, or with words of S2 put in."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(changed) + 1)
        length = rng.choice((1, 1, 2, 10, 100))
        match rng.randrange(6):
            case 0:
                changed[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                del changed[place : place + length]
            case 2:
                changed[place:place] = changed[place : place + length]
            case 3:
                changed[place:place] = rng.choice(S2_WORDS).encode()
            case 4:
                changed[place : place + length] = rng.choice(S2_WORDS).encode()
            case _:
                there = rng.randrange(len(changed) + 1)
                changed[place:place] = changed[there : there + length]
    return bytes(changed)
