"""Metrics for Prometheus: messages, findings, sessions, the recording, and the time in our hook.

For each message only plain numbers are counted; what Prometheus reads is made of them when it asks.
No text from the wire becomes a label.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from s2_mitm.history.recorder import Figures
from s2_mitm.proxy.observers.observer import Observer
from s2_mitm.proxy.observers.scraping import ScrapeServer
from s2_mitm.proxy.options import OptionError
from s2_mitm.proxy.session import LIVE, Judged, Session
from s2_mitm.s2.verdict import Finding, LateFinding, Role, Severity

HOOK_SECONDS = (
    *(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4),
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
"""The upper bounds of the buckets of s2_hook_seconds."""

_OF_MESSAGES = ("sender", "valid")
_OF_FINDINGS = ("code", "severity")

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Metrics(Observer, Collector):
    """Counts, and answers at an IP address and a port; with port 0, at one that is free.

    ``figures`` gives those of the recorder, None while there is none; it is called from a thread
    of the server. Raises OptionError where nothing can listen there.
    """

    name = "the metrics"

    def __init__(self, host: str, port: int, figures: Callable[[], Figures | None]) -> None:
        self._figures = figures
        self._sessions = 0
        self._messages: Counter[tuple[Role | None, bool]] = Counter()
        self._findings: Counter[tuple[str, Severity]] = Counter()
        self._in_bucket = [0] * (len(HOOK_SECONDS) + 1)
        self._hook_seconds = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._host, self._server = host, self._listening(host, port)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{_joined(self._host, self._server.server_port)}/metrics"

    def move(self, host: str, port: int) -> None:
        """Answer there from now on, with what was counted so far.

        Raises OptionError where nothing can listen there; then it answers where it did.
        """
        before = self._server
        has_the_port = before.server_port == port
        if has_the_port:
            before.close()
        try:
            self._server = self._listening(host, port)
        except OptionError:
            if has_the_port:
                self._server = self._listening(self._host, port)
            raise
        self._host = host
        if not has_the_port:
            before.close()

    def _listening(self, host: str, port: int) -> ScrapeServer:
        try:
            return ScrapeServer(host, port, self._registry)
        except OSError as problem:
            raise OptionError(
                f"s2_metrics cannot be served at {_joined(host, port)}: "
                f"{problem.strerror or problem}; name another port, or leave it empty."
            ) from problem

    def opened(self, session: Session) -> None:
        self._sessions += 1

    def judged(self, session: Session, judged: Judged) -> None:
        verdict = judged.verdict
        self._messages[verdict.sender, verdict.valid] += 1
        for finding in verdict.findings:
            self._found(finding)
        self.late(session, verdict.late)

    def late(self, session: Session, late: Iterable[LateFinding]) -> None:
        for item in late:
            self._found(item.finding)

    def _found(self, finding: Finding) -> None:
        self._findings[finding.code, finding.severity] += 1

    def took(self, session: Session, seconds: float) -> None:
        self._in_bucket[bisect_left(HOOK_SECONDS, seconds)] += 1
        self._hook_seconds += seconds

    def collect(self) -> Iterator[Family]:
        """All samples, for one answer; called from a thread of the server."""
        messages = CounterMetricFamily("s2_messages", "Messages judged.", labels=_OF_MESSAGES)
        for (sender, valid), count in dict(self._messages).items():
            messages.add_metric([str(sender), str(valid).lower()], count)
        yield messages
        findings = CounterMetricFamily("s2_findings", "Findings.", labels=_OF_FINDINGS)
        for (code, severity), count in dict(self._findings).items():
            findings.add_metric([code, str(severity)], count)
        yield findings
        yield CounterMetricFamily("s2_sessions", "S2 WebSockets recognised.", self._sessions)
        is_open = [session.recognised and session.is_live for session in [*LIVE.values()]]
        yield GaugeMetricFamily("s2_sessions_open", "S2 WebSockets open now.", sum(is_open))
        counts = accumulate(self._in_bucket.copy())
        bounds = [*map(str, HOOK_SECONDS), "+Inf"]
        yield HistogramMetricFamily(
            "s2_hook_seconds",
            "Time that messages spent in s2-mitm before they went on.",
            list(zip(bounds, counts, strict=True)),
            self._hook_seconds,
        )
        if figures := self._figures():
            yield from _of_recording(figures)

    def close(self) -> None:
        """Stop answering; it may take half a second."""
        self._server.close()


def _of_recording(figures: Figures) -> Iterator[Family]:
    name = "s2_recording"
    yield GaugeMetricFamily(f"{name}_queue", "Records that wait to be written.", figures.waiting)
    for what, text, value in (
        ("written_messages", "Messages written.", figures.written),
        ("dropped_messages", "Messages that could not be written.", figures.lost),
        ("batches", "Transactions.", figures.batches),
        ("write_seconds", "Time that transactions took.", figures.write_seconds),
    ):
        yield CounterMetricFamily(f"{name}_{what}", text, value)
    yield GaugeMetricFamily(
        f"{name}_failing", "Whether the recording cannot be written now.", figures.failing
    )


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
