"""The example messages in `messages/`, as the tests want them.

`messages/VERSION/valid/TYPE[.variant].json` holds a message.
`messages/VERSION/faulty/TYPE.fault.json` holds a message made wrong in one respect, and the whole
list of findings that are to be made of it, by path and code.
A version of S2 takes over what is the same as in the default version.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2_mitm.s2.catalog import DEFAULT_VERSION

MESSAGES = Path(__file__).parent / "messages"


@dataclass(frozen=True)
class Example:
    """One file: ``message_type`` is the type that its name says, whatever the message says."""

    version: str
    name: str
    message_type: str
    message: dict[str, Any]
    findings: tuple[dict[str, str], ...] = ()

    @property
    def data(self) -> bytes:
        """The message as it goes over the wire."""
        return json.dumps(self.message, ensure_ascii=False).encode()

    def __str__(self) -> str:
        return f"{self.version}/{self.name}"


def valid_examples(version: str) -> list[Example]:
    """The valid messages of a version."""
    return _read_valid(version) + _inherited(version, _read_valid(DEFAULT_VERSION))


def faulty_examples(version: str) -> list[Example]:
    """The faulty messages of a version.

    What s2-python finds it finds in messages of the default version only.
    """
    inherited = _inherited(version, _read_faulty(DEFAULT_VERSION))
    return _read_faulty(version) + [
        example
        for example in inherited
        if all(finding["source"] == "schema" for finding in example.findings)
    ]


def _inherited(version: str, examples: list[Example]) -> list[Example]:
    if version == DEFAULT_VERSION:
        return []
    changed = {example.message_type for example in _read_valid(version)}
    return [
        Example(version, each.name, each.message_type, each.message, each.findings)
        for each in examples
        if each.message_type not in changed
    ]


def _read_valid(version: str) -> list[Example]:
    return [
        Example(version, name, message["message_type"], message)
        for name, message in _read(version, "valid")
    ]


def _read_faulty(version: str) -> list[Example]:
    return [
        Example(
            version, name, name.rpartition(".")[0], content["message"], tuple(content["findings"])
        )
        for name, content in _read(version, "faulty")
    ]


def _read(version: str, kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (path.stem, json.loads(path.read_text(encoding="utf-8")))
        for path in sorted((MESSAGES / version / kind).glob("*.json"))
    ]
