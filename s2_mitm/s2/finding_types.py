"""Every type of finding about a single message: its code, its severity, what it means.

A rule of the conversation makes its finding type from its docstring; all are in one registry.

A finding is made from its type (`FindingType.at`), so that none can be made without an explanation.
`s2-mitm rules` prints what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from s2_mitm.s2.verdict import Finding, Severity, Source
from s2_mitm.s2.wording import printable

MAX_PATH = 1000
"""Characters of a JSON Pointer."""

FINDING_TYPES: dict[str, FindingType] = {}
"""All finding types by their codes."""


@dataclass(frozen=True, slots=True)
class FindingType:
    """A type of finding.

    ``title`` is one line, ``meaning`` what it means to the two sides, ``origin`` where it comes
    from, ``why`` why it has its severity, ``remedy`` what to do. ``wrong`` is a message with this
    finding, ``right`` one without; for a rule of the conversation both are scripts, a line a
    message. ``in_binary_frame`` says that the wrong one is wrong by its frame. ``example`` is the
    wrong one with ``{}`` in the place of ``padding`` letters, which would be a megabyte in memory
    that nobody looks at.
    """

    code: str
    severity: Severity
    title: str
    meaning: str
    origin: str
    remedy: str
    example: bytes = field(repr=False)
    right: bytes = field(repr=False)
    in_binary_frame: bool = False
    padding: int = 0
    why: str = ""

    @property
    def wrong(self) -> bytes:
        """A message, or a script, with this finding."""
        return self.example.replace(b"{}", b"x" * self.padding) if self.padding else self.example

    @property
    def source(self) -> Source:
        """Who finds it, which is the first part of the code."""
        return Source(self.family) if self.family in set(Source) else Source.RULE

    @property
    def is_rule(self) -> bool:
        """Whether it takes a conversation to see it."""
        return self.source is Source.RULE

    @property
    def family(self) -> str:
        """What comes before the point in the code."""
        return self.code.partition(".")[0]

    def at(
        self, path: str, text: str, hint: str = "", *, about: tuple[str, ...] | None = None
    ) -> Finding:
        """A finding of this type at a place (JSON Pointer), in words; ``about`` as in `Finding`.

        A pointer that is very long, as only a hostile peer needs it, ends at an outer place. All
        three are made harmless here, once for whoever shows them (see `printable`).
        """
        if len(path) > MAX_PATH:
            path = path[:MAX_PATH].rpartition("/")[0]
        safe = printable(path), printable(text), printable(hint)
        return Finding(self.code, self.severity, self.source, *safe, about)


def _finding_type(
    code: str,
    severity: Severity,
    title: str,
    *,
    meaning: str,
    origin: str,
    remedy: str,
    wrong: str | bytes,
    right: str | bytes = "",
    in_binary_frame: bool = False,
    padding: int = 0,
    why: str,
) -> FindingType:
    wrong = wrong if isinstance(wrong, bytes) else wrong.encode()
    right = right if isinstance(right, bytes) else (right or _STATUS).encode()
    finding_type = FindingType(
        code, severity, title, meaning, origin, remedy, wrong, right, in_binary_frame, padding, why
    )
    FINDING_TYPES[code] = finding_type
    return finding_type


_ID = '"message_id": "1c5a7e2e-3b1e-4c55-9f0b-0d2b9d9f0001"'
_STATUS = f'{{"message_type": "FRBC.StorageStatus", {_ID}, "present_fill_level": 57.3}}'
_SELECT = f'{{"message_type": "SelectControlType", {_ID}, "control_type": "NO_SELECTION"}}'
_MEASURED = (
    f'{{"message_type": "PowerMeasurement", {_ID},'
    ' "measurement_timestamp": "2026-03-01T12:00:00Z",'
    ' "values": [{"commodity_quantity": "ELECTRIC.POWER.L1", "value": 230.5}]}'
)
_TIMER = (
    f'{{"message_type": "OMBC.TimerStatus", {_ID},'
    ' "timer_id": "1c5a7e2e-3b1e-4c55-9f0b-0d2b9d9f0002", "finished_at": "2026-03-01T12:00:00Z"}'
)
_DETAILS = (
    f'{{"message_type": "ResourceManagerDetails", {_ID},'
    ' "resource_id": "1c5a7e2e-3b1e-4c55-9f0b-0d2b9d9f0003",'
    ' "roles": [{"role": "ENERGY_PRODUCER", "commodity": "ELECTRICITY"}],'
    ' "instruction_processing_delay": 1500, "available_control_types": ["NOT_CONTROLABLE"],'
    ' "provides_forecast": false, "provides_power_measurement_types": ["ELECTRIC.POWER.L1"]}'
)
_JSON = "JSON, RFC 8259"
_SCHEMA = "the JSON Schema of the message type (flexiblepower/s2-json)"

# Readable JSON

JSON_BINARY = _finding_type(
    "json.binary",
    Severity.ERROR,
    "A message in a binary WebSocket frame",
    meaning="S2 messages are text. Some receivers take binary frames, others close the connection"
    " or ignore the message without an answer.",
    origin="S2 Connect 1.0.0 (docs.s2standard.org), Compression",
    why="S2 Connect says that JSON is exchanged as text; a receiver need not look into a"
    " binary frame.",
    remedy="Send the message as text: most WebSocket libraries send bytes as binary frames and"
    " strings as text frames.",
    wrong=_STATUS,
    in_binary_frame=True,
)
JSON_TOO_LARGE = _finding_type(
    "json.too-large",
    Severity.ERROR,
    "A message larger than s2-mitm reads",
    meaning="No device needs messages of a megabyte, and few receivers can read one. The message"
    " is forwarded and recorded, but it is not judged any further.",
    origin="a bound of s2-mitm",
    why="No sentence limits the size; but what was not read cannot be called valid.",
    remedy="Look for a list that grows without end, or a text that holds a file.",
    wrong='{"diagnostic_label": "{}"}',
    padding=1024 * 1024,
)
JSON_BOM = _finding_type(
    "json.bom",
    Severity.ERROR,
    "A byte order mark before the JSON text",
    meaning="Many parsers refuse the whole message for it.",
    origin=f"{_JSON}, section 8.1",
    why="RFC 8259 forbids it to whoever sends JSON.",
    remedy="Encode as UTF-8 without a BOM (in .NET new UTF8Encoding(false), in Python utf-8, not"
    " utf-8-sig).",
    wrong=b"\xef\xbb\xbf" + _STATUS.encode(),
)
JSON_NOT_UTF8 = _finding_type(
    "json.not-utf8",
    Severity.ERROR,
    "Text that is not UTF-8",
    meaning="A receiver must close the WebSocket when a text frame is not UTF-8. s2-mitm forwards"
    " it all the same, so that it can be seen.",
    origin=f"{_JSON}, section 8.1; RFC 6455, section 8.1",
    why="RFC 8259 asks for UTF-8, and RFC 6455 for text frames that are UTF-8.",
    remedy="Encode the text as UTF-8. Labels with letters such as é or ° in Latin-1 are the usual"
    " cause.",
    wrong=_STATUS.encode().replace(b"FRBC", b"FRBC\xb0"),
)
JSON_SYNTAX = _finding_type(
    "json.syntax",
    Severity.ERROR,
    "Text that is not JSON",
    meaning="The receiver cannot read any of it; it answers INVALID_DATA, or not at all, since it"
    " cannot find the message_id to answer to.",
    origin=_JSON,
    why="The schemas are for JSON, and this is none.",
    remedy="Let a JSON library write the message. Python's str() of a dict, a comma after the last"
    " item and comments are the usual causes.",
    wrong="{'message_type': 'FRBC.StorageStatus'}",
)
JSON_CONTROL_CHARACTER = _finding_type(
    "json.control-character",
    Severity.ERROR,
    "A control character inside a text",
    meaning="JSON texts hold control characters as escapes only; strict parsers refuse the whole"
    " message.",
    origin=f"{_JSON}, section 7",
    why="The grammar of JSON has no such character inside a text.",
    remedy=r"Let a JSON library write the message, or write the character as \n or \u0007.",
    wrong=_STATUS.replace("FRBC", "FR\tBC"),
)
JSON_TRAILING_DATA = _finding_type(
    "json.trailing-data",
    Severity.ERROR,
    "Something follows the JSON object",
    meaning="A WebSocket message holds one S2 message. Receivers refuse the whole, or see the"
    " first and miss the second.",
    origin=_JSON,
    why="The grammar of JSON ends with the object.",
    remedy="Send one object in each WebSocket message.",
    wrong=_STATUS + _STATUS,
)
JSON_NUMBER = _finding_type(
    "json.number",
    Severity.ERROR,
    "A number that receivers cannot hold",
    meaning="Nearly all receivers hold numbers as 64-bit floating point; this one becomes infinite"
    " there, or is refused.",
    origin=f"{_JSON}, section 6",
    why="The grammar allows it; but the message cannot be read as it was meant by anybody known.",
    remedy="Look for an overflow, or a division by something close to zero.",
    wrong=_STATUS.replace("57.3", "1e999"),
)
JSON_LOSES_DIGITS = _finding_type(
    "json.loses-digits",
    Severity.WARNING,
    "A number with more digits than receivers keep",
    meaning="Nearly all receivers hold numbers as 64-bit floating point, some 16 digits. What they"
    " read is not what was sent.",
    origin=f"{_JSON}, section 6",
    why="The grammar allows it; what is lost depends on the receiver.",
    remedy="Round to the digits that are significant.",
    wrong=_STATUS.replace("57.3", "57.30000000000000000001"),
)
JSON_TOO_DEEP = _finding_type(
    "json.too-deep",
    Severity.ERROR,
    "JSON that nests too deep",
    meaning="The deepest S2 message has 10 levels. Many parsers refuse what nests much deeper,"
    " and some of them crash.",
    origin="a bound of s2-mitm",
    why="No message of the schemas nests so deep, so that it cannot be one.",
    remedy="Look for an object that contains itself.",
    wrong='{"message_type": ' + "[" * 70 + "]" * 70 + "}",
)
JSON_NAN = _finding_type(
    "json.nan",
    Severity.ERROR,
    "NaN or Infinity",
    meaning="JSON has no such number. Python writes and reads it by default, other languages"
    " refuse the whole message.",
    origin=f"{_JSON}, section 6",
    why="The grammar of JSON has no such number.",
    remedy="Leave an optional field out while there is no value; do not send a message that needs"
    " one. In Python use json.dumps(..., allow_nan=False) to find the place.",
    wrong=_STATUS.replace("57.3", "NaN"),
)
JSON_DUPLICATE_KEY = _finding_type(
    "json.duplicate-key",
    Severity.WARNING,
    "The same key twice in one object",
    meaning="Which of the values counts is not defined: the two sides may read different ones.",
    origin=f"{_JSON}, section 4",
    why="RFC 8259 says that the names in an object should be unique, not that they must.",
    remedy="Let a JSON library write the message, from a map.",
    wrong=_STATUS.replace("57.3", '57.3, "present_fill_level": 57.4'),
)
JSON_LONE_SURROGATE = _finding_type(
    "json.lone-surrogate",
    Severity.ERROR,
    "Half a character",
    meaning="An escape names half of a surrogate pair, which is no character. Receivers refuse it"
    " or replace it.",
    origin=f"{_JSON}, section 8.2",
    why="The grammar allows it; but half a character is no text, and receivers may do anything with"
    " it.",
    remedy="A text was cut in the middle of a character: cut by characters, not by bytes.",
    wrong=_STATUS.replace("FRBC", r"\ud83d"),
)
JSON_NOT_AN_OBJECT = _finding_type(
    "json.not-an-object",
    Severity.ERROR,
    "JSON, but not an object",
    meaning="Every S2 message is a JSON object. A text that holds JSON was encoded twice.",
    origin=_SCHEMA,
    why="The schema of every message is that of an object.",
    remedy="Send the object itself: not in a list, and not as a text.",
    wrong=f"[{_STATUS}]",
)

# The message type

NO_MESSAGE_TYPE = _finding_type(
    "schema.no-message-type",
    Severity.ERROR,
    "A message without message_type",
    meaning="The receiver does not know what it is. Nothing else in the message can be judged.",
    origin=_SCHEMA,
    why="Every schema requires it.",
    remedy="Send message_type at the top of the object, without an envelope around it.",
    wrong=f'{{"type": "FRBC.StorageStatus", "payload": {_STATUS}}}',
)
MESSAGE_TYPE_NOT_TEXT = _finding_type(
    "schema.message-type-not-text",
    Severity.ERROR,
    "A message_type that is not text",
    meaning="The receiver does not know what it is. Nothing else in the message can be judged.",
    origin=_SCHEMA,
    why="Every schema asks for the name of its message type there.",
    remedy="Send the name of the message type as text.",
    wrong=_STATUS.replace('"FRBC.StorageStatus"', "17"),
)
UNKNOWN_MESSAGE_TYPE = _finding_type(
    "schema.unknown-message-type",
    Severity.ERROR,
    "A message_type that this version of S2 does not have",
    meaning="The receiver does not know what it is. Nothing else in the message can be judged.",
    origin=_SCHEMA,
    why="No schema of this version has that name.",
    remedy="Look at the spelling, capitals and points included, and at the version that the"
    " handshake selected.",
    wrong=_STATUS.replace("StorageStatus", "storageStatus"),
)

# The JSON Schema

MISSING = _finding_type(
    "schema.missing",
    Severity.ERROR,
    "A required field is missing",
    meaning="The receiver cannot act on the message and answers INVALID_MESSAGE.",
    origin=f"{_SCHEMA}: required",
    why="The schema requires the field.",
    remedy="Send the field. The place is that of the object that lacks it.",
    wrong=_STATUS.replace(', "present_fill_level": 57.3', ""),
)
UNKNOWN_FIELD = _finding_type(
    "schema.unknown-field",
    Severity.ERROR,
    "A field that S2 does not have here",
    meaning="The schemas allow no other fields, and receivers that validate refuse the whole"
    " message. When a required field is missing and this one looks like it, that is reported here.",
    origin=f"{_SCHEMA}: additionalProperties",
    why="The schema allows no field but its own.",
    remedy="Look at the spelling; leave out what is your own. A diagnostic_label can hold remarks.",
    wrong=_MEASURED.replace("230.5", '230.5, "unit": "W"'),
    right=_MEASURED,
)
TYPE = _finding_type(
    "schema.type",
    Severity.ERROR,
    "A value of the wrong JSON type",
    meaning="Strict receivers refuse the message. Lenient ones, s2-python among them, turn text"
    " into numbers, so that it works with one peer and not with the next.",
    origin=f"{_SCHEMA}: type",
    why="The schema asks for another type.",
    remedy="Numbers and true or false go without quotes, times with them; a list is a list even"
    " when it has one item; a field without a value is left out, since S2 has no null.",
    wrong=_STATUS.replace("57.3", '"57.3"'),
)
ENUM = _finding_type(
    "schema.enum",
    Severity.ERROR,
    "A value that is not one of those allowed",
    meaning="The receiver does not know it.",
    origin=f"{_SCHEMA}: enum, const",
    why="The schema lists the values, and this is not among them.",
    remedy="Look at the spelling; some values are odd and stay so, such as NOT_CONTROLABLE.",
    wrong=_SELECT.replace("NO_SELECTION", "NOT_CONTROLLABLE"),
    right=_SELECT,
)
PATTERN = _finding_type(
    "schema.pattern",
    Severity.ERROR,
    "Text that does not have the form asked for",
    meaning="In S2 only ids have one: 2 to 64 letters, digits, -, _ and :. Receivers that"
    " validate refuse the message, or cannot find what it refers to.",
    origin=f"{_SCHEMA}: pattern",
    why="The schema has a pattern for it. The published one has no ends, but it describes the"
    " whole id.",
    remedy="Use UUIDs as they are, without braces, spaces or a line feed.",
    wrong=_STATUS.replace("1c5a7e2e-3b1e", "{1c5a7e2e-3b1e"),
)
FORMAT = _finding_type(
    "schema.format",
    Severity.ERROR,
    "Text that is no point in time",
    meaning="A time without a zone means different moments to the two sides; other forms are not"
    " understood.",
    origin=f"{_SCHEMA}: format date-time, RFC 3339, section 5.6",
    why="The schema asks for a date-time of RFC 3339.",
    remedy="Send times as 2026-03-01T12:00:00Z or 2026-03-01T13:00:00+01:00.",
    wrong=_MEASURED.replace("12:00:00Z", "12:00:00"),
    right=_MEASURED,
)
MINIMUM = _finding_type(
    "schema.minimum",
    Severity.ERROR,
    "A number that is too small",
    meaning="In S2 only durations have a minimum: they are in milliseconds and never negative.",
    origin=f"{_SCHEMA}: minimum",
    why="The schema has a smallest value.",
    remedy="Look for a difference of two times that was taken the wrong way round.",
    wrong=_DETAILS.replace("1500", "-1"),
    right=_DETAILS,
)
TOO_FEW = _finding_type(
    "schema.too-few",
    Severity.ERROR,
    "A list with too few items",
    meaning="The list must say something: an empty one is not the same as none.",
    origin=f"{_SCHEMA}: minItems",
    why="The schema has a smallest number of items.",
    remedy="Send the items, or leave an optional list out.",
    wrong=_DETAILS.replace('["NOT_CONTROLABLE"]', "[]"),
    right=_DETAILS,
)
TOO_MANY = _finding_type(
    "schema.too-many",
    Severity.ERROR,
    "A list with too many items",
    meaning="Receivers may refuse more than the schema allows.",
    origin=f"{_SCHEMA}: maxItems",
    why="The schema has a largest number of items.",
    remedy="Join items, or send less of the future at once.",
    wrong=_DETAILS.replace('["ELECTRIC.POWER.L1"]', str(["OIL.FLOW_RATE"] * 11)).replace("'", '"'),
    right=_DETAILS,
)
OTHER = _finding_type(
    "schema.other",
    Severity.ERROR,
    "Against a keyword that only your own schemas have",
    meaning="The published schemas use few keywords of JSON Schema; the ones that you gave with"
    " s2_schemas or --schemas use another, and this message fails it.",
    origin="your own schemas",
    why="Your schema says so.",
    remedy="See what your schema says.",
    wrong="",
)
MORE = _finding_type(
    "schema.more",
    Severity.ERROR,
    "More faults than are explained one by one",
    meaning="The first faults of a message are explained, the rest are counted, so that a peer that"
    " sends much that is wrong does not slow the others.",
    origin="a bound of s2-mitm",
    why="What is counted here are faults like those that are explained.",
    remedy="Correct the first ones; the others are mostly of the same type.",
    wrong=_DETAILS.replace('["ELECTRIC.POWER.L1"]', "[" + ", ".join("01234567891") + "]"),
    right=_DETAILS,
)

# s2-python


def _system(start: str) -> str:
    """An FRBC.SystemDescription of one mode whose second element begins at this fill level."""
    elements = ", ".join(
        f'{{"fill_level_range": {{"start_of_range": {lowest}, "end_of_range": {highest}}},'
        ' "fill_rate": {"start_of_range": 0, "end_of_range": 0}, "power_ranges": [{'
        '"start_of_range": 0, "end_of_range": 0, "commodity_quantity": "ELECTRIC.POWER.L1"}]}'
        for lowest, highest in (("0", "0.3"), (start, "1"))
    )
    return (
        f'{{"message_type": "FRBC.SystemDescription", {_ID}, "valid_from": "2026-03-01T12:00:00Z",'
        ' "actuators": [{"id": "1c5a7e2e-3b1e-4c55-9f0b-0d2b9d9f0004", "supported_commodities":'
        ' ["ELECTRICITY"], "operation_modes": [{"id": "1c5a7e2e-3b1e-4c55-9f0b-0d2b9d9f0005",'
        f' "elements": [{elements}], "abnormal_condition_only": false}}], "transitions": [],'
        ' "timers": []}], "storage": {"provides_leakage_behaviour": false,'
        ' "provides_fill_level_target_profile": false, "provides_usage_forecast": false,'
        ' "fill_level_range": {"start_of_range": 0, "end_of_range": 1}}}'
    )


REFUSED = _finding_type(
    "s2-python.refused",
    Severity.WARNING,
    "What the schema cannot see and s2-python refuses",
    meaning="s2-python, which many devices and energy managers are built on, checks more than the"
    " schema, and answers INVALID_MESSAGE. What the specification forbids, too, is told by a rule"
    " in place of this; what is left is stricter than the specification, such as ranges that must"
    " meet exactly, without any rounding.",
    origin="s2-python, the validators of its models",
    remedy="Correct what it names, and every peer will understand you.",
    wrong=_system("0.30000000000000004"),
    right=_system("0.3"),
    why="A peer that is built on s2-python refuses the message. The specification does not ask for"
    " as much.",
)
NARROWER = _finding_type(
    "s2-python.narrower",
    Severity.WARNING,
    "Legal, but s2-python refuses it",
    meaning="S2 allows it. A peer that is built on s2-python does not take it, and answers"
    " INVALID_MESSAGE.",
    origin="s2-python, the validators of its models",
    remedy="Nothing needs to be corrected; but some peers will not understand it.",
    wrong=_TIMER.replace("12:00:00Z", "23:59:60Z"),
    right=_TIMER,
    why="It is right by the specification, and does not work with many peers.",
)
NOT_A_UUID = _finding_type(
    "s2-python.uuid",
    Severity.WARNING,
    "An id that is no UUID",
    meaning="S2 allows any 2 to 64 letters, digits, -, _ and :. s2-python takes UUIDs only, so that"
    " a peer that is built on it refuses the message.",
    origin="s2-python, the types of its fields; ID: pattern",
    remedy="Use UUIDs, and every peer will understand you.",
    wrong=_STATUS.replace("1c5a7e2e-3b1e-4c55-9f0b-0d2b9d9f0001", "status-17"),
    why="It is right by the specification, and does not work with many peers.",
)
