"""A message as people read it: the verdict first, then the JSON with the places at fault."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from s2_mitm.render.verdicts import NAME_LENGTH, PATH_LENGTH
from s2_mitm.s2.verdict import Finding, Severity, Verdict
from s2_mitm.s2.wording import excerpt, printable

Keys = tuple[str, ...]
"""Where a value is in a message: the keys, as a pointer has them, and indices that lead to it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line to show.

    ``severity`` is that of the fault that it speaks of, if it does; ``is_good`` says that it
    speaks of a message without one.
    """

    text: str
    severity: Severity | None = None
    is_good: bool = False


def annotated(verdict: Verdict, raw: bytes, remarks: Iterable[str] = ()) -> Iterator[Line]:
    """The lines for one message.

    Takes its verdict, the bytes that it is about, and what else is to be said of it (such as that
    it was injected). Remarks are YAML comments beside the JSON, so that a viewer that highlights
    YAML highlights both.
    """
    sender = f"{verdict.sender} " if verdict.sender else ""
    judgement = "valid" if verdict.valid else "INVALID"
    head = (
        f"{sender}{excerpt(verdict.message_type or '(no message type)', NAME_LENGTH)}: {judgement}"
    )
    yield _remark(" · ".join([head, *remarks]), verdict.worst, is_good=not verdict.findings)
    for finding in verdict.findings:
        place = f" at {excerpt(finding.path, PATH_LENGTH)}" if finding.path else ""
        yield _remark(f"{finding.severity} {finding.code}{place}: {finding.text}", finding.severity)
        if finding.hint:
            yield _remark(f"    {finding.hint}", None)
    yield Line("")
    if verdict.message is None:
        for line in raw.decode(errors="backslashreplace").splitlines() or [""]:
            yield Line(printable(line))
        return
    at_fault: dict[Keys, list[Finding]] = {}
    for finding in verdict.findings:
        if finding.path:
            at_fault.setdefault(_place(finding.path), []).append(finding)
    for text, where in _json_lines(verdict.message, (), 0):
        here = at_fault.get(where, []) if where else []
        note = "  # <-- " + "; ".join(finding.text for finding in here) if here else ""
        severity = max((f.severity for f in here), key=lambda s: s.rank, default=None)
        yield Line(printable(text + note), severity)


def _place(path: str) -> Keys:
    """The parts of a JSON Pointer."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])


def _remark(text: str, severity: Severity | None, *, is_good: bool = False) -> Line:
    return Line(f"# {printable(text)}", severity, is_good)


def _json_lines(value: Any, place: Keys, depth: int) -> Iterator[tuple[str, Keys | None]]:
    """Indented JSON, a line at a time, each with the place of the value that begins there.

    A line that only closes a bracket has none. Nesting is bounded by the reader.
    """
    indent = "  " * depth
    if isinstance(value, dict) and value:
        named = ((f"{json.dumps(name, ensure_ascii=False)}: ", printable(name)) for name in value)
        yield from _container("{}", named, value.values(), place, indent)
    elif isinstance(value, list) and value:
        numbered = (("", str(index)) for index in range(len(value)))
        yield from _container("[]", numbered, value, place, indent)
    else:
        yield json.dumps(value, ensure_ascii=False), place


def _container(
    brackets: str,
    names: Iterable[tuple[str, str]],
    items: Iterable[Any],
    place: Keys,
    indent: str,
) -> Iterator[tuple[str, Keys | None]]:
    yield brackets[0], place
    pending: tuple[str, Keys | None] | None = None
    for (prefix, name), item in zip(names, items, strict=True):
        if pending:
            yield pending[0] + ",", pending[1]
        pending = None
        prefix = f"{indent}  {prefix}"
        for text, here in _json_lines(item, (*place, name), len(indent) // 2 + 1):
            if pending:
                yield pending
            pending = (prefix + text, here)
            prefix = ""
    if pending:
        yield pending
    yield indent + brackets[1], None
