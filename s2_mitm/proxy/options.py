"""The options of s2-mitm (``--set``): a table, one row each, and the values that hold now.

A new option is a row here, a row in the README, and what is done with its value.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from mitmproxy import flowfilter

from s2_mitm.history.retention import parse_retention, parse_size
from s2_mitm.proxy import machine, memory
from s2_mitm.proxy.observers.log import LEVELS
from s2_mitm.proxy.patches.switch import parse_names
from s2_mitm.s2.catalog import VERSIONS, known_version
from s2_mitm.s2.choice import parse_codes, parse_severities
from s2_mitm.s2.message.schemas import SchemaError, Schemas
from s2_mitm.s2.verdict import Role

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class OptionError(ValueError):
    """A value that an option cannot have; ``str()`` is a sentence that names the option."""


class _UnfitError(ValueError):
    """The same; ``str()`` goes on after the name of the option."""


class Area(Enum):
    """What an option bears on."""

    JUDGING = auto()
    TRAFFIC = auto()
    RECORDING = auto()
    LOG = auto()
    METRICS = auto()
    PATCHES = auto()


@dataclass(frozen=True, eq=False)
class Option(Generic[T_co]):
    """A row of the table.

    ``parse`` takes a value as mitmproxy has it, of the type that ``default`` has, and returns what
    it stands for; it raises ValueError or SchemaError, with a sentence, where that is nothing.
    ``reaches_open`` says whether a change holds for the sessions that are open, too.
    """

    name: str
    default: str | int | bool
    help: str
    parse: Callable[[Any], T_co]
    bears_on: Area
    reaches_open: bool = True

    def __str__(self) -> str:
        return self.name

    def read(self, given: object) -> T_co:
        """What a value stands for. Raises OptionError where that is nothing."""
        try:
            return self.parse(given)
        except _UnfitError as problem:
            raise OptionError(f"{self} {problem}") from problem
        except (ValueError, SchemaError) as problem:
            raise OptionError(f"{self}: {problem}") from problem


class Address(NamedTuple):
    """Where to listen: an IP address and a port."""

    host: str
    port: int


def _one_of(values: Mapping[str, T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        if text not in values:
            raise _UnfitError(f"is one of {', '.join(values)}, not {text!r}.")
        return values[text]

    return parse


def _version(text: str) -> str | None:
    version = None if text == "auto" else known_version(text)
    if version is None and text != "auto":
        raise _UnfitError(f"is one of auto, {', '.join(VERSIONS)}, not {text!r}.")
    return version


def _at_least(least: int, unit: str = "") -> Callable[[int], int]:
    def parse(number: int) -> int:
        if number < least:
            raise _UnfitError(f"is {least}{unit} or more, not {number}.")
        return number

    return parse


def _schemas(folder: str) -> Schemas | None:
    if not folder:
        return None
    schemas = Schemas(Path(folder))
    schemas.compile_all()
    return schemas


def _filter(expression: str) -> flowfilter.TFilter | None:
    try:
        return flowfilter.parse(expression) if expression else None
    except ValueError as problem:
        raise _UnfitError(f"is no flow filter: {expression!r}.") from problem


def _memory(size: str) -> int:
    """Bytes; a part of the machine's where the user does not say."""
    if size.strip() in ("", "0"):
        return min((machine.memory() or 4 * memory.MOST) // 4, memory.MOST)
    if (limit := parse_size(size)) is None or limit < memory.LEAST:
        raise _UnfitError(f"is a size of 1MB or more, such as 200MB, or empty, not {size!r}.")
    return limit


def _address(text: str) -> Address | None:
    """``9464`` → ``127.0.0.1``, 9464; ``[::]:9464`` → ``::``, 9464; None for nothing."""
    if not text:
        return None
    host, _, port = text.rpartition(":")
    try:
        if not (port.isascii() and port.isdigit() and int(port) < 2**16):
            raise ValueError
        if not host and text == port:
            return Address("127.0.0.1", int(port))
        is_bracketed = host.startswith("[") and host.endswith("]")
        ip = ipaddress.ip_address(host[1:-1] if is_bracketed else host)
        if is_bracketed is not (ip.version == 6):
            raise ValueError
    except ValueError:
        raise _UnfitError(
            "is a port, such as 9464, or an IP address and a port, such as 0.0.0.0:9464 or"
            f" [::]:9464, not {text!r}."
        ) from None
    return Address(str(ip), int(port))


DB = Option(
    "s2_db",
    "s2.sqlite3",
    "The recording: a file or a database URL; empty for none.",
    str,
    Area.RECORDING,
)
RETAIN = Option(
    "s2_retain",
    "",
    "How much of the recording stays, such as 30d or 30d,2GB.",
    parse_retention,
    Area.RECORDING,
)
NAME = Option(
    "s2_name",
    "",
    "The name of this proxy in the recording; else its host and port.",
    str,
    Area.RECORDING,
)
SCHEMAS = Option(
    "s2_schemas",
    "",
    "A directory of S2 JSON Schemas to use in place of our own.",
    _schemas,
    Area.JUDGING,
    reaches_open=False,
)
VERSION = Option(
    "s2_version",
    "auto",
    f"The version of S2: auto, {', '.join(VERSIONS)}.",
    _version,
    Area.JUDGING,
    reaches_open=False,
)
FILTER = Option(
    "s2_filter",
    "",
    "Look only at WebSockets that match this flow filter.",
    _filter,
    Area.TRAFFIC,
    reaches_open=False,
)
CLIENT_ROLE = Option(
    "s2_client_role",
    "auto",
    "Who the WebSocket client is: auto, rm, cem.",
    _one_of({"auto": None, "rm": Role.RM, "cem": Role.CEM}),
    Area.JUDGING,
    reaches_open=False,
)
BLOCK_INVALID = Option(
    "s2_block_invalid",
    False,
    "Do not forward messages that are not valid.",
    bool,
    Area.TRAFFIC,
)
KEEP_MESSAGES = Option(
    "s2_keep_messages",
    1000,
    "Messages that a flow keeps in memory; 0 keeps all.",
    _at_least(0),
    Area.TRAFFIC,
)
MEMORY = Option(
    "s2_memory",
    "",
    "What messages that wait may take in memory, such as 200MB.",
    _memory,
    Area.TRAFFIC,
)
ACK_TIMEOUT = Option(
    "s2_ack_timeout",
    10,
    "Seconds within which a ReceptionStatus is due.",
    _at_least(1, " second"),
    Area.JUDGING,
)
IGNORE = Option(
    "s2_ignore",
    "",
    "Codes of findings not to be said, with commas; ack.* is all of ack.",
    parse_codes,
    Area.JUDGING,
)
SEVERITY = Option(
    "s2_severity",
    "",
    "Other severities for findings: code=severity, with commas.",
    parse_severities,
    Area.JUDGING,
)
METRICS = Option(
    "s2_metrics",
    "",
    "Serve Prometheus metrics at this port, or ADDRESS:PORT.",
    _address,
    Area.METRICS,
)
LOG = Option(
    "s2_log",
    "findings",
    f"What the terminal shows: {', '.join(LEVELS)}.",
    _one_of({level: level for level in LEVELS}),
    Area.LOG,
)
PATCHES = Option(
    "s2_patches",
    "all",
    "The parts of mitmproxy to replace: all, none, names, or -names for all but these.",
    parse_names,
    Area.PATCHES,
    reaches_open=False,
)

OPTIONS: tuple[Option[Any], ...] = (
    *(DB, RETAIN, NAME),
    *(SCHEMAS, VERSION, FILTER, CLIENT_ROLE, BLOCK_INVALID, KEEP_MESSAGES, MEMORY),
    *(ACK_TIMEOUT, IGNORE, SEVERITY, METRICS, LOG, PATCHES),
)
"""In the order in which mitmproxy has them."""


class Values:
    """What the options are set to: ``values[IGNORE]`` is what s2_ignore stands for.

    ``changed`` are the options that were just set to something else than before; at first all are
    unset and have their defaults.
    """

    def __init__(self) -> None:
        self._given: dict[Option[Any], object] = {}
        self._parsed = {option: option.read(option.default) for option in OPTIONS}
        self.changed: tuple[Option[Any], ...] = ()

    def __getitem__(self, option: Option[T]) -> T:
        value: T = self._parsed[option]
        return value

    def updated(self, given: Mapping[Option[Any], object]) -> Values:
        """Those that hold once options are set to what is ``given``; these stay as they are.

        Raises OptionError where one of them cannot be.
        """
        values = Values()
        values.changed = tuple(
            option
            for option, value in given.items()
            if option not in self._given or self._given[option] != value
        )
        values._given = self._given | {option: given[option] for option in values.changed}
        values._parsed = self._parsed | {
            option: option.read(given[option]) for option in values.changed
        }
        return values

    def bear_on(self, area: Area) -> bool:
        """Whether one of those that changed does."""
        return any(option.bears_on is area for option in self.changed)


def only_for_new_sessions(options: Iterable[Option[Any]]) -> str:
    """The sentence that says which of ``options`` open sessions do not take; empty for none."""
    names = [str(option) for option in options if not option.reaches_open]
    if not names:
        return ""
    verb = "holds" if len(names) == 1 else "hold"
    return f"{' and '.join(names)} {verb} for sessions that open from now on."
