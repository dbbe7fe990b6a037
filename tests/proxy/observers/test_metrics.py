"""What is counted, and how Prometheus gets to see it."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest
from alone import ALONE
from mitmproxy.test import tflow
from mitmproxy.websocket import WebSocketMessage
from prometheus_client.parser import text_string_to_metric_families
from wsproto.frame_protocol import Opcode

from s2_mitm.history.recorder import Figures
from s2_mitm.proxy.observers.metrics import HOOK_SECONDS, Metrics
from s2_mitm.proxy.options import OptionError
from s2_mitm.proxy.session import Judged, Session
from s2_mitm.s2.verdict import Finding, LateFinding, Role, Severity, Source, Verdict

FIGURES = Figures(waiting=3, written=40, lost=5, batches=6, write_seconds=0.25, failing=False)

SESSION = Session(tflow.twebsocketflow(messages=False), ALONE)


@pytest.fixture
def figures() -> list[Figures]:
    """The recorder's figures, the last of them; none where there is no recorder."""
    return []


@pytest.fixture
def metrics(figures: list[Figures]) -> Iterator[Metrics]:
    metrics = Metrics("127.0.0.1", 0, lambda: figures[-1] if figures else None)
    yield metrics
    metrics.close()


def judged(
    *findings: Finding, sender: Role = Role.RM, late: tuple[LateFinding, ...] = ()
) -> Judged:
    verdict = Verdict(0.0, sender, {}, "x", None, None, list(findings), late=list(late))
    return Judged(1, WebSocketMessage(Opcode.TEXT, True, b"{}"), verdict, in_time=True)


def finding(code: str, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(code, severity, Source.RULE, "/secret-of-the-wire", "secret of the wire")


def scraped(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample: its name and the values of its labels, and its value."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(metrics.url, timeout=10) as answer:
        text = answer.read().decode()
    assert "secret" not in text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_messages_are_counted_by_sender_and_validity(metrics: Metrics) -> None:
    for _ in range(3):
        metrics.judged(SESSION, judged())
    metrics.judged(SESSION, judged(finding("schema.type")))
    metrics.judged(SESSION, judged(finding("schema.type", Severity.WARNING), sender=Role.CEM))
    samples = scraped(metrics)
    assert samples["s2_messages_total", "RM", "true"] == 3
    assert samples["s2_messages_total", "RM", "false"] == 1
    assert samples["s2_messages_total", "CEM", "true"] == 1
    assert samples["s2_findings_total", "schema.type", "error"] == 1
    assert samples["s2_findings_total", "schema.type", "warning"] == 1


def test_what_is_found_late_is_counted_once(metrics: Metrics) -> None:
    late = LateFinding(
        1, 0.0, Role.RM, "PowerMeasurement", finding("ack.missing", Severity.WARNING)
    )
    metrics.judged(SESSION, judged(late=(late,)))
    metrics.late(SESSION, [late, late])
    assert scraped(metrics)["s2_findings_total", "ack.missing", "warning"] == 3


def test_time_in_the_hook_is_a_histogram(metrics: Metrics) -> None:
    for seconds in (1e-6, 1e-5, 3e-5, 0.02, 7.0):
        metrics.took(SESSION, seconds)
    samples = scraped(metrics)
    assert samples["s2_hook_seconds_bucket", "1e-05"] == 2
    assert samples["s2_hook_seconds_bucket", "5e-05"] == 3
    assert samples["s2_hook_seconds_bucket", "1.0"] == 4
    assert samples["s2_hook_seconds_bucket", "+Inf"] == 5
    assert samples["s2_hook_seconds_count",] == 5
    assert samples["s2_hook_seconds_sum",] == pytest.approx(7.020041)
    buckets = [key for key in samples if key[0] == "s2_hook_seconds_bucket"]
    assert len(buckets) == len(HOOK_SECONDS) + 1


def test_the_figures_of_the_recorder_are_asked_for_each_time(
    metrics: Metrics, figures: list[Figures]
) -> None:
    assert not [key for key in scraped(metrics) if key[0].startswith("s2_recording")]

    figures.append(FIGURES)
    samples = scraped(metrics)
    assert samples["s2_recording_queue",] == 3
    assert samples["s2_recording_written_messages_total",] == 40
    assert samples["s2_recording_dropped_messages_total",] == 5
    assert samples["s2_recording_batches_total",] == 6
    assert samples["s2_recording_write_seconds_total",] == 0.25
    assert samples["s2_recording_failing",] == 0

    figures.append(replace(figures[0], failing=True))
    assert scraped(metrics)["s2_recording_failing",] == 1


def test_two_of_them_do_not_know_of_each_other(metrics: Metrics) -> None:
    other = Metrics("127.0.0.1", 0, lambda: None)
    try:
        other.opened(SESSION)
        assert scraped(other)["s2_sessions_total",] == 1
        assert scraped(metrics)["s2_sessions_total",] == 0
    finally:
        other.close()


def test_it_can_be_asked_while_it_counts(metrics: Metrics) -> None:
    stop = threading.Event()

    def count() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            metrics.judged(SESSION, judged(finding(f"code.{number % 500}")))

    counting = threading.Thread(target=count)
    counting.start()
    try:
        for _ in range(20):
            scraped(metrics)
    finally:
        stop.set()
        counting.join()


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")]
)
def test_where_it_answers(host: str, url: str) -> None:
    try:
        metrics = Metrics(host, 0, lambda: None)
    except OptionError:
        if host != "::1":
            raise
        pytest.skip("this machine has no IPv6")
    try:
        assert metrics.url.startswith(url)
        assert scraped(metrics)
    finally:
        metrics.close()


def port_of(metrics: Metrics) -> int:
    return int(metrics.url.split(":")[2].split("/")[0])


def test_it_frees_its_port() -> None:
    metrics = Metrics("127.0.0.1", 0, lambda: None)
    metrics.close()
    Metrics("127.0.0.1", port_of(metrics), lambda: None).close()


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OptionError, match=rf"127\.0\.0\.1:{port}: Address already in use; "):
            Metrics("127.0.0.1", port, lambda: None)


def test_it_moves_with_what_it_has_counted(metrics: Metrics) -> None:
    metrics.opened(SESSION)
    before = port_of(metrics)

    metrics.move("127.0.0.1", 0)

    assert port_of(metrics) != before
    assert scraped(metrics)["s2_sessions_total",] == 1
    Metrics("127.0.0.1", before, lambda: None).close()


def test_it_moves_to_another_address_of_its_port(metrics: Metrics) -> None:
    port = port_of(metrics)

    metrics.move("0.0.0.0", port)

    assert metrics.url == f"http://0.0.0.0:{port}/metrics"
    assert scraped(metrics)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
def test_where_it_cannot_move_it_stays(metrics: Metrics, host: str) -> None:
    url = metrics.url
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if host == "127.0.0.1" else port_of(metrics)
        with pytest.raises(OptionError, match="cannot be served at"):
            metrics.move(host, port)

    assert metrics.url == url
    assert scraped(metrics)
