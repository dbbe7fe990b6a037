"""A message as people read it: the verdict first, then the JSON with the places at fault."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from s2_mitm.report.verdicts import NAME_LENGTH, PATH_LENGTH
from s2_mitm.s2.verdict import Finding, Severity, Verdict, pointer
from s2_mitm.s2.wording import excerpt, printable


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
    at_fault: dict[str, list[Finding]] = {}
    for finding in verdict.findings:
        at_fault.setdefault(finding.path, []).append(finding)
    for text, path in _json_lines(verdict.message, "", 0):
        here = at_fault.get(path, []) if path else []
        note = "  # <-- " + "; ".join(finding.text for finding in here) if here else ""
        severity = max((f.severity for f in here), key=lambda s: s.rank, default=None)
        yield Line(printable(text + note), severity)


def _remark(text: str, severity: Severity | None, *, is_good: bool = False) -> Line:
    return Line(f"# {printable(text)}", severity, is_good)


def _json_lines(value: Any, path: str, depth: int) -> Iterator[tuple[str, str | None]]:
    """Indented JSON, a line at a time, each with the JSON Pointer of the value that begins there.

    A line that only closes a bracket has no pointer. Nesting is bounded by the reader.
    """
    indent = "  " * depth
    if isinstance(value, dict) and value:
        yield from _container("{}", value.items(), path, indent, depth, keyed=True)
    elif isinstance(value, list) and value:
        yield from _container("[]", enumerate(value), path, indent, depth, keyed=False)
    else:
        yield json.dumps(value, ensure_ascii=False), path


def _container(
    brackets: str,
    items: Iterable[tuple[Any, Any]],
    path: str,
    indent: str,
    depth: int,
    *,
    keyed: bool,
) -> Iterator[tuple[str, str | None]]:
    yield brackets[0], path
    pending: tuple[str, str | None] | None = None
    for key, item in items:
        if pending:
            yield pending[0] + ",", pending[1]
        prefix = f"{indent}  " + (f"{json.dumps(key, ensure_ascii=False)}: " if keyed else "")
        pending = None
        for text, place in _json_lines(item, path + pointer(key), depth + 1):
            if pending:
                yield pending
            pending = (prefix + text, place)
            prefix = ""
    if pending:
        yield pending
    yield indent + brackets[1], None
