"""A message as people read it: its verdict, then its JSON with a note at each value at fault."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from s2_mitm.render.verdicts import NAME_LENGTH, PATH_LENGTH
from s2_mitm.s2.verdict import Finding, Severity, Verdict
from s2_mitm.s2.wording import excerpt, printable

Keys = tuple[str, ...]
"""Where a value is in a message: the keys and indices that lead to it, as a JSON Pointer has
them."""


@dataclass(frozen=True, slots=True)
class AnnotatedLine:
    """A line of an annotated message.

    ``severity`` is that of the finding that it is about, None where it is about none; ``is_good``
    says that it is about a message without findings.
    """

    text: str
    severity: Severity | None = None
    is_good: bool = False


def annotated(verdict: Verdict, raw: bytes, remarks: Iterable[str] = ()) -> Iterator[AnnotatedLine]:
    """The lines for one message.

    Takes its verdict, its bytes, and remarks, such as that it was injected. What is not JSON is a
    YAML comment, so that a viewer that highlights YAML highlights both.
    """
    sender = f"{verdict.sender} " if verdict.sender else ""
    judgement = "valid" if verdict.valid else "INVALID"
    head = (
        f"{sender}{excerpt(verdict.message_type or '(no message type)', NAME_LENGTH)}: {judgement}"
    )
    yield _remark(" · ".join([head, *remarks]), verdict.worst, is_good=not verdict.findings)
    if verdict.meaning:
        yield _remark(f"    {verdict.meaning}", None)
    for finding in verdict.findings:
        place = f" at {excerpt(finding.path, PATH_LENGTH)}" if finding.path else ""
        yield _remark(f"{finding.severity} {finding.code}{place}: {finding.text}", finding.severity)
        if finding.hint:
            yield _remark(f"    {finding.hint}", None)
    yield AnnotatedLine("")
    if verdict.message is None:
        for line in raw.decode(errors="backslashreplace").splitlines() or [""]:
            yield AnnotatedLine(printable(line))
        return
    at_fault: dict[Keys, list[Finding]] = {}
    for finding in verdict.findings:
        if finding.path:
            at_fault.setdefault(_keys(finding.path), []).append(finding)
    for text, where in _json_lines(verdict.message, (), 0):
        here = at_fault.get(where, []) if where else []
        note = "  # <-- " + "; ".join(finding.text for finding in here) if here else ""
        severity = max((f.severity for f in here), key=lambda s: s.rank, default=None)
        yield AnnotatedLine(printable(text + note), severity)


def _keys(path: str) -> Keys:
    """The parts of a JSON Pointer."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])


def _remark(text: str, severity: Severity | None, *, is_good: bool = False) -> AnnotatedLine:
    return AnnotatedLine(f"# {printable(text)}", severity, is_good)


def _json_lines(value: Any, keys: Keys, depth: int) -> Iterator[tuple[str, Keys | None]]:
    """Indented JSON, line by line, each with the keys of the value that begins on it.

    A line that only closes a bracket has None. `read` bounds the depth of nesting.
    """
    indent = "  " * depth
    if isinstance(value, dict) and value:
        named = ((f"{json.dumps(name, ensure_ascii=False)}: ", printable(name)) for name in value)
        yield from _container("{}", named, value.values(), keys, indent)
    elif isinstance(value, list) and value:
        numbered = (("", str(index)) for index in range(len(value)))
        yield from _container("[]", numbered, value, keys, indent)
    else:
        yield json.dumps(value, ensure_ascii=False), keys


def _container(
    brackets: str,
    names: Iterable[tuple[str, str]],
    items: Iterable[Any],
    keys: Keys,
    indent: str,
) -> Iterator[tuple[str, Keys | None]]:
    yield brackets[0], keys
    pending: tuple[str, Keys | None] | None = None
    for (prefix, name), item in zip(names, items, strict=True):
        if pending:
            yield pending[0] + ",", pending[1]
        pending = None
        prefix = f"{indent}  {prefix}"
        for text, here in _json_lines(item, (*keys, name), len(indent) // 2 + 1):
            if pending:
                yield pending
            pending = (prefix + text, here)
            prefix = ""
    if pending:
        yield pending
    yield indent + brackets[1], None
