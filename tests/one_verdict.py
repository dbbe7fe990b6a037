"""The verdicts of a session, wherever one looks, held against each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mitmproxy.http import HTTPFlow

from s2_mitm.proxy.annotation import MARKERS
from s2_mitm.proxy.flow_findings import FINDINGS
from s2_mitm.s2.verdict import Severity

_VERDICT = r"\S+ \[\w{4}\] (RM|CEM) .* (valid|INVALID)( NOT FORWARDED)?$"
"""A line of the log about a message."""

_FINDING = r" +(error|warning|info) ([a-z0-9-]+\.[a-z0-9-]+)"
"""A line of the log about a finding."""


@dataclass(frozen=True)
class Recorded:
    """The rows of a session in the recording; findings have the ``seq`` of their message."""

    messages: list[dict[str, Any]]
    findings: list[dict[str, Any]]

    def errors(self, number: int) -> set[str]:
        """The codes of the errors of a message."""
        return {
            found["code"]
            for found in self.findings
            if found["seq"] == number and found["severity"] == Severity.ERROR
        }


def assert_one_verdict(
    recorded: Recorded,
    flow: HTTPFlow,
    views: Sequence[str],
    log: Sequence[str],
    metrics: Mapping[str, int],
) -> None:
    """See that all say the same as the recording.

    Takes the flow; what the view shows of each of its messages; the lines of a log of all messages;
    and the samples of the metrics, by name and labels as Prometheus writes them.
    """
    findings = recorded.findings

    # The view
    for number, (row, view) in enumerate(zip(recorded.messages, views, strict=True), 1):
        head, *lines = view.partition("\n\n")[0].splitlines()
        remarks = " · NOT FORWARDED" if row["dropped"] else ""
        assert head == (
            f"# {row['sender']} {row['message_type'] or '(no message type)'}:"
            f" {'valid' if row['valid'] else 'INVALID'}{remarks}"
        )
        assert sorted(line for line in lines if not line.startswith("#     ")) == sorted(
            f"# {found['severity']} {found['code']}"
            + (f" at {found['path']}" if found["path"] else "")
            + f": {found['text']}"
            for found in findings
            if found["seq"] == number
        )

    # The metadata
    names = ("code", "severity", "source", "path", "text", "hint")
    assert sorted(
        (found["message"], *(found.get(name, "") for name in names))
        for found in flow.metadata[FINDINGS]
    ) == sorted((found["seq"], *(found[name] for name in names)) for found in findings)

    # The marker and the comment
    severities = Counter(Severity(found["severity"]) for found in findings)
    assert flow.marked == MARKERS[max(severities, key=lambda each: each.rank)]
    counted = re.search(r"(\d+) messages?, (\d+) errors?, (\d+) warnings?$", flow.comment)
    assert counted
    assert [int(each) for each in counted.groups()] == [
        *(len(recorded.messages), severities[Severity.ERROR], severities[Severity.WARNING])
    ]

    # The log
    verdicts = [found for line in log if (found := re.match(_VERDICT, line))]
    for row, verdict in zip(recorded.messages, verdicts, strict=True):
        assert verdict[1] == row["sender"]
        assert bool(verdict[3]) is bool(row["dropped"])
        if (verdict[2] == "valid") is not bool(row["valid"]):  # for what was found later
            assert all(code.startswith("ack.") for code in recorded.errors(row["seq"]))
    logged = Counter((found[1], found[2]) for line in log if (found := re.match(_FINDING, line)))
    said = Counter((found["severity"], found["code"]) for found in findings)
    assert logged.keys() == said.keys()
    assert logged <= said  # what is found again is folded

    # The metrics
    by_sender = Counter((verdict[1], str(verdict[2] == "valid").lower()) for verdict in verdicts)
    assert {name: count for name, count in metrics.items() if "findings_total" in name} == {
        f's2_findings_total{{code="{code}",severity="{severity}"}}': count
        for (severity, code), count in said.items()
    }
    assert {name: count for name, count in metrics.items() if "messages_total" in name} == {
        f's2_messages_total{{sender="{sender}",valid="{valid}"}}': count
        for (sender, valid), count in by_sender.items()
    }
