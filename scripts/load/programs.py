"""Be mitmdump, mitmweb or `s2-mitm record`, and say on the side what that uses.

The first argument says which, the others go to it. Each line on standard input is answered on
standard output; the program ends with standard input.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

# No import of more than that: it would be in the memory of what is measured.

WITHOUT_RULES = "mitmdump-without-rules"


def mitmdump(arguments: Sequence[str]) -> object:
    from mitmproxy.tools.main import mitmdump as run

    return run(list(arguments))


def mitmdump_without_rules(arguments: Sequence[str]) -> object:
    from s2_mitm.s2.rules import RULES

    for each in RULES.values():
        each.clear()
    return mitmdump(arguments)


def mitmweb(arguments: Sequence[str]) -> object:
    from mitmproxy.tools.main import mitmweb as run

    return run(list(arguments))


def record(arguments: Sequence[str]) -> object:
    from s2_mitm.cli import main as run

    sys.argv[1:] = ["record", *arguments]
    run()  # exits with its status
    return 0


PROGRAMS: dict[str, Callable[[Sequence[str]], object]] = {
    "mitmdump": mitmdump,
    WITHOUT_RULES: mitmdump_without_rules,
    "mitmweb": mitmweb,
    "record": record,
}


def _answer_questions(replies: int) -> None:
    """Answer each line on standard input. Not by sys.stdin: the program may end first."""
    while asked := os.read(0, 4096):
        for question in asked.splitlines():
            answer = objects() if question == b'"objects"' else usage()
            os.write(replies, json.dumps(answer).encode() + b"\n")
    os._exit(1)


def usage() -> dict[str, float]:
    """Seconds of processor time, bytes of memory now and at its largest."""
    memory, peak = _memory()
    return {"cpu": time.process_time(), "memory": memory, "peak": peak}


def objects() -> dict[str, int]:
    """How many objects there are of the most frequent types."""
    gc.collect()
    types = Counter(type(each) for each in gc.get_objects())
    return {f"{kind.__module__}.{kind.__qualname__}": n for kind, n in types.most_common(40)}


def _memory() -> tuple[int, int]:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = largest if sys.platform == "darwin" else largest * 1024
        return peak, peak
    now, peak = (
        int(status.partition(f"{name}:")[2].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")
    )
    return now, peak


def main() -> None:
    """Be what the first argument says."""
    program, *arguments = sys.argv[1:]
    replies = os.dup(1)
    os.dup2(2, 1)  # what the program prints is for people
    threading.Thread(target=_answer_questions, args=(replies,), daemon=True).start()
    status = PROGRAMS[program](arguments)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
