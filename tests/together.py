"""Several programs that are let go at the same moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_together(
    code: str,
    arguments: Sequence[Sequence[str]],
    env: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
) -> list[tuple[int, bytes]]:
    """Run Python ``code`` once with each of the ``arguments``, all at once.

    It prints "ready" and waits for a line on standard input before it does what it is to do.
    Returns the exit status of each and what it printed then.
    """
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", code, *each],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=cwd,
            env=env,
        )
        for each in arguments
    ]
    for program in programs:
        assert program.stdout
        assert program.stdout.readline() == b"ready\n"
    for program in programs:
        assert program.stdin
        program.stdin.write(b"go\n")
        program.stdin.flush()
    said = [program.communicate()[0] for program in programs]
    return [(program.returncode, each) for program, each in zip(programs, said, strict=True)]
