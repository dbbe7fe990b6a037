"""Measure s2-mitm, on this machine, now.

    scripts/bench [SECTION …] [--json] [--seconds S] [--quick]
                  [--conversations N,…] [--pairs N] [--without-rules]

Sections: `validation`, what the verdict on one message costs; `flood`, what it costs when messages
are large and full of faults; `rules`, what the conversation costs a message, over the demo's
traffic and as a session grows long; `recorder`, how fast the recording takes what is said, and what
that costs the one who says it; `proxy`, s2-mitm in a real mitmdump, and `s2-mitm record`, beside a
plain mitmdump. Without a section, all of them.

Times are processor time, medians over rounds. A round measures everything that is to be compared
once, one after the other, and a ratio is the median of the ratios within the rounds: other work on
the machine slows both sides of it. The garbage collector runs as it does in real life.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable

from load.children import MeasurementError

from benchmarks import flood, proxy, recorder, rules, validation
from benchmarks.measuring import Options, Rows

SECTIONS: dict[str, tuple[Callable[[Options], Rows], Callable[[Rows], None], float]] = {
    "validation": (validation.measure, validation.show, 1.0),
    "flood": (flood.measure, flood.show, 0.5),
    "rules": (rules.measure, rules.show, 5.0),
    "recorder": (recorder.measure, recorder.show, 6.0),
    "proxy": (proxy.measure, proxy.show, 0.5),
}
"""What measures a section, what prints it, and the seconds that each of its rows takes."""


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    """Measure and print the sections asked for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--json", action="store_true", help="JSON lines, one object a row")
    parser.add_argument("--seconds", type=float, help="how long to measure each row")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a third of the time, no session of a million, and one pair of proxies",
    )
    parser.add_argument(
        "--conversations",
        type=_numbers,
        default=[1, 10, 100],
        metavar="N,…",
        help="conversations at once through a proxy; 1,10,100 by default",
    )
    parser.add_argument(
        "--pairs", type=int, help="how often each proxy is started; 5 by default, 1 if quick"
    )
    parser.add_argument(
        "--without-rules", action="store_true", help="measure a proxy without rules too"
    )
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.sections if name not in SECTIONS]:
        parser.error(f"there is no section {unknown[0]}; there is {', '.join(SECTIONS)}")
    for name in arguments.sections or SECTIONS:
        measure, show, usual = SECTIONS[name]
        seconds = arguments.seconds or (usual / 3 if arguments.quick else usual)
        pairs = max(1, arguments.pairs or (1 if arguments.quick else 5))
        conversations, without_rules = arguments.conversations, arguments.without_rules
        try:
            rows = measure(Options(seconds, arguments.quick, conversations, pairs, without_rules))
        except MeasurementError as problem:
            sys.exit(f"bench: {problem}")
        if arguments.json:
            for row in rows:
                print(json.dumps({"section": name, **row}), flush=True)
        else:
            show(rows)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # its processes are stopped by now
        sys.exit(130)
    except BrokenPipeError:  # who read it has seen enough; Python would write what is left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
