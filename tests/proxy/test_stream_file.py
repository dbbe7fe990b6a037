"""The file of ``-w`` has a flow whole or not at all, also where it is no regular file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.test import tflow

from s2_mitm.proxy.stream_file import StreamFile


def breaking_off() -> Iterator[bytes]:
    yield b"half"
    raise OSError(5, "Input/output error")


def test_what_is_not_whole_is_taken_off_at_once(tmp_path: Path) -> None:
    path = tmp_path / "flows"
    file = StreamFile(path.open("wb"))
    file.add([b"one", b"", b"two"])
    with pytest.raises(OSError, match=r"Input/output"):
        file.add(breaking_off())
    assert path.read_bytes() == b"onetwo"
    file.add([b"three"])
    file.close()
    assert path.read_bytes() == b"onetwothree"


def test_else_before_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "flows"
    path.write_bytes(b"before")
    file = StreamFile(path.open("ab"))
    raw: Any = file._file

    class Stuck:
        """Gets no shorter."""

        def __getattr__(self, name: str) -> Any:
            return getattr(raw, name)

        def truncate(self, size: int) -> int:
            raise OSError(28, "No space left on device")

    file._file = Stuck()
    for _ in range(2):
        with pytest.raises(OSError, match=r"Input/output|No space"):
            file.add(breaking_off())
    assert path.read_bytes() == b"beforehalf"
    file._file = raw
    file.add([b"after"])
    file.close()
    assert path.read_bytes() == b"beforeafter"


def test_room_that_is_made_in_the_file_itself(tmp_path: Path) -> None:
    """It has no hole where something was."""
    path = tmp_path / "flows"
    file = StreamFile(path.open("wb"))
    file.add([b"one"])
    os.truncate(path, 0)
    file.add([b"two"])
    file.close()
    assert path.read_bytes() == b"two"


@pytest.mark.skipif(os.name == "nt", reason="it has no such files")
def test_what_cannot_be_made_shorter(caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = os.pipe()
    pipe = StreamFile(open(writing, "wb"))  # noqa: SIM115
    pipe.path = "pipe"
    pipe.add([b"one"])
    assert os.read(reading, 10) == b"one"
    os.close(reading)
    full = Path("/dev/full")
    files = [pipe] + ([StreamFile(full.open("wb"))] if full.exists() else [])
    for file in files:
        for _ in range(2):
            with pytest.raises(OSError, match=r"Broken pipe|No space|Invalid") as problem:
                file.add([b"two"])
            file.is_not_written(tflow.tflow(), problem.value)
        file.close()
        said, at_the_end = caplog.messages
        assert said.startswith(f"s2-mitm: {file.path} cannot be written (")
        assert at_the_end == f"s2-mitm: {file.path} is closed. 2 flows are not in it."
        caplog.clear()
