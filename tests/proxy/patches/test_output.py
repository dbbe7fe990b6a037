"""What is printed never waits for who reads it; nothing is lost without a word."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mitmproxy.addons.dumper import Dumper
from mitmproxy.addons.termlog import TermLog
from mitmproxy.master import Master

from s2_mitm.proxy.patches import output
from s2_mitm.proxy.patches.output import Output
from s2_mitm.proxy.patches.replacing import UnexpectedError

LEFT_OUT = re.compile(rb"s2-mitm: (\d+) lines were left out here, for nobody took them\.\n")


class Paused(io.RawIOBase):
    """A terminal that takes what is written once it is let go."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.waits = threading.Event()
        self.got = b""

    def write(self, data: Any) -> int:
        self.waits.set()
        self.goes_on.wait()
        part = bytes(data)[:1000]  # as a terminal may: not all at once
        self.got += part
        return len(part)


@pytest.fixture
def paused() -> Iterator[Paused]:
    terminal = Paused()
    yield terminal
    terminal.goes_on.set()


def lines(first: int, last: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, last + 1))


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def soon() -> float:
    """When it is time to give up on what is there already."""
    return time.monotonic() + 0.05


def test_it_is_written_in_order() -> None:
    reading, writing = os.pipe()
    with open(writing, "wb", buffering=0) as file, open(reading, "rb") as reader:
        written = Output(file)
        for number in range(1, 101):
            written.put(b"line %d\n" % number)
        assert written.end(None)
        file.close()
        assert reader.read() == lines(1, 100)


def test_what_does_not_fit_is_left_out_and_said_where_it_was(paused: Paused) -> None:
    written = Output(paused, most_bytes=5000)
    written.put(lines(1, 1))
    assert paused.waits.wait(5)
    for number in range(2, 1001):
        written.put(lines(number, number))
    paused.goes_on.set()
    wait_until(lambda: LEFT_OUT.search(paused.got))
    written.put(lines(1001, 1001))
    assert written.end(None)

    before, left_out, after = LEFT_OUT.split(paused.got)
    kept = before.count(b"\n")
    assert before == lines(1, kept)
    assert after == lines(1001, 1001)
    assert kept + int(left_out) == 1000
    assert len(before) <= 5000


def test_a_slow_terminal_hears_of_a_gap_once_it_has_all_before_it(paused: Paused) -> None:
    """A line in between each time that one more fits would be no better than a gap."""
    written = Output(paused, most_bytes=5000)
    for number in range(1000):
        written.put(b"%d %s\n" % (number, b"x" * 100))
    paused.goes_on.set()
    written.end(None)

    assert len(LEFT_OUT.findall(paused.got)) == 1


def test_one_piece_may_be_larger_than_all_that_waits(paused: Paused) -> None:
    written = Output(paused, most_bytes=100)
    written.put(lines(1, 1000))
    paused.goes_on.set()

    assert written.end(None)
    assert paused.got == lines(1, 1000)


def test_what_waits_is_bounded_for_short_pieces_too(paused: Paused) -> None:
    written = Output(paused, most_bytes=10_000)
    for _ in range(10_000):
        written.put(b"\n")
    paused.goes_on.set()
    written.end(None)

    (left_out,) = LEFT_OUT.findall(paused.got)
    assert int(left_out) > 9000


def test_the_end_does_not_wait_for_who_is_paused(paused: Paused) -> None:
    written = Output(paused)
    written.put(lines(1, 1))

    assert not written.end(soon())
    written.put(lines(2, 2))
    paused.goes_on.set()
    wait_until(lambda: paused.got)
    assert paused.got == lines(1, 1)


def test_the_end_waits_for_what_is_on_its_way(paused: Paused) -> None:
    written = Output(paused)
    written.put(lines(1, 100))
    threading.Timer(0.05, paused.goes_on.set).start()

    assert written.end(None)
    assert paused.got == lines(1, 100)


def test_who_is_gone_holds_nothing_and_may_come_back(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with open(fifo, "wb", buffering=0) as file:
        written = Output(file)
        os.close(reading)
        written.put(lines(1, 1))
        written.put(lines(2, 2))
        reading = os.open(fifo, os.O_RDONLY)
        got = b""
        while got != lines(1, 2):
            got += os.read(reading, 100)
        os.close(reading)
        written.put(lines(3, 3))
        assert not written.end(None)


def test_a_file_that_must_not_block_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with open(writing, "wb", buffering=0) as file, open(reading, "rb") as reader:
        written = Output(file)
        written.put(b"x" * 100_000 + b"\n")
        assert not written.end(soon())
        assert reader.read(100_001) == b"x" * 100_000 + b"\n"


def test_many_threads_may_print(paused: Paused) -> None:
    written = Output(paused, most_bytes=20_000)

    def put(letter: bytes) -> None:
        for number in range(200):
            written.put(b"%s %d\n" % (letter, number))

    threads = [threading.Thread(target=put, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    paused.goes_on.set()
    assert written.end(None)

    (left_out,) = LEFT_OUT.findall(paused.got)
    shown = [line.split() for line in LEFT_OUT.sub(b"", paused.got).splitlines()]
    assert len(shown) + int(left_out) == 600
    for letter in (b"a", b"b", b"c"):
        numbers = [int(number) for who, number in shown if who == letter]
        assert numbers == sorted(numbers)


# In place of sys.stdout and sys.stderr


Become = Callable[[], io.BufferedReader]


@pytest.fixture
def become_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Become]:
    """Make the process's own output a pipe, whose other end is returned.

    To be called in the test itself, for pytest puts its own there before that.
    """
    reading, writing = os.pipe()
    with open(reading, "rb") as reader:

        def become() -> io.BufferedReader:
            monkeypatch.setattr(output, "_replaced", {})
            monkeypatch.setattr("atexit.register", lambda _: None)
            for name in ("stdout", "stderr"):
                stream = open(  # noqa: SIM115
                    os.dup(writing), "w", encoding="iso-8859-1", errors="replace"
                )
                monkeypatch.setattr(sys, name, stream)
                monkeypatch.setattr(sys, f"__{name}__", stream)
            os.close(writing)
            return reader

        yield become


def test_what_is_printed_goes_the_same_way_in_the_same_order(become_own: Become) -> None:
    own = become_own()
    print("before")
    output.install()
    print("Wärme", "🔋")
    print("in between", file=sys.stderr)
    sys.stdout.write("and\nafter\n")
    sys.stdout.buffer.write(b"bytes\n")

    expected = "before\nWärme ?\nin between\nand\nafter\nbytes\n".encode("iso-8859-1")
    assert own.read(len(expected)) == expected


def test_it_says_of_itself_what_the_file_said(become_own: Become) -> None:
    become_own()
    before = sys.stdout
    output.install()

    assert sys.stdout is not before
    for what in ("isatty", "fileno", "writable", "readable"):
        assert getattr(sys.stdout, what)() == getattr(before, what)()
    for what in ("encoding", "errors", "name"):
        assert getattr(sys.stdout, what) == getattr(before, what)


def test_a_terminal_stays_one(become_own: Become, monkeypatch: pytest.MonkeyPatch) -> None:
    become_own()
    master, terminal = os.openpty()
    with open(terminal, "w") as stream, open(master, "rb", buffering=0):
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "__stdout__", stream)
        output.install()
        assert sys.stdout is not stream
        assert sys.stdout.isatty()
        assert not sys.stderr.isatty()


def test_a_second_time_changes_nothing(become_own: Become) -> None:
    become_own()
    output.install()
    first = sys.stdout, sys.stderr
    output.install()

    assert (sys.stdout, sys.stderr) == first


def test_what_somebody_else_has_put_there_stays(
    become_own: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    become_own()
    theirs = io.StringIO()
    monkeypatch.setattr(sys, "stdout", theirs)
    monkeypatch.setattr(sys, "stderr", None)
    output.install()

    assert sys.stdout is theirs
    assert sys.stderr is None


def master_with(termlog: TermLog | None, *addons: object) -> Master:
    lookup = {str(number): addon for number, addon in enumerate(addons)}
    addons_of = SimpleNamespace(lookup=lookup)
    return cast(Master, SimpleNamespace(_termlog_addon=termlog, addons=addons_of))


def test_mitmproxys_own_lines_go_the_same_way(become_own: Become) -> None:
    own = become_own()
    termlog, dumper = TermLog(), Dumper()
    before = sys.stdout
    with output.installed(master_with(termlog, termlog, dumper, None)):
        print("first")
        logging.getLogger("anybody").error("second")
        dumper.echo("third")

        first, second, third = (own.readline() for _ in range(3))
        assert first == b"first\n"
        assert second.endswith(b" second\n")
        assert third == b"third\n"
        assert termlog.logger.file is dumper.outfp is sys.stdout is not before
    assert termlog.logger.file is dumper.outfp is sys.stdout is before
    termlog.uninstall()


def test_a_mitmproxy_that_prints_otherwise_keeps_what_it_has(become_own: Become) -> None:
    become_own()
    before = sys.stdout
    termlog = TermLog(io.StringIO())
    with pytest.raises(UnexpectedError), output.installed(master_with(termlog, termlog)):
        pass
    assert sys.stdout is before
    termlog.uninstall()


def test_the_screen_of_mitmproxys_console_is_left_alone(become_own: Become) -> None:
    become_own()
    before = sys.stdout
    with output.installed(master_with(None)):
        assert sys.stdout is before


def test_at_the_end_python_has_its_own_back(
    become_own: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = become_own()
    before = sys.stdout
    output.install()
    print("no end", end="")
    output._end()

    assert own.read(6) == b"no end"
    assert sys.stdout is before


def test_at_the_end_one_that_is_stuck_keeps_what_it_has(
    become_own: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = become_own()
    before = sys.stdout
    output.install()
    monkeypatch.setattr(output, "_seconds_at_the_end", None)
    output.end_within(0.05)
    print("x" * 1_000_000)
    output._end()
    print("and this is for nobody")

    assert sys.stdout is not before
    assert own.read(1_000_000) == b"x" * 1_000_000
