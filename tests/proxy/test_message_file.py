"""A file in place of a message: it is read at once or not at all, and nothing of it is told."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from s2_mitm.proxy.message_file import MAX_SIZE, MessageFileError, read_message


def refusal(path: Path | str) -> str:
    with pytest.raises(MessageFileError) as raised:
        read_message(str(path))
    return str(raised.value)


def test_a_regular_file_is_read_without_the_space_around_it(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_bytes(b"\n {} \r\n")
    (tmp_path / "link").symlink_to(file)

    assert read_message(str(file)) == b"{}"
    assert read_message(str(tmp_path / "link")) == b"{}"


def test_one_megabyte_is_the_most(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_bytes(b"x" * MAX_SIZE)
    assert len(read_message(str(file))) == MAX_SIZE

    os.truncate(file, MAX_SIZE + 1)
    assert refusal(file) == "it is larger than 1,048,576 bytes"
    os.truncate(file, 2**40)
    assert refusal(file) == "it is larger than 1,048,576 bytes"


def test_a_fifo_that_nobody_writes_into_is_not_waited_for(tmp_path: Path) -> None:
    """It froze all traffic."""
    os.mkfifo(tmp_path / "fifo")

    assert refusal(tmp_path / "fifo") == "it is no regular file"


def test_a_fifo_that_came_in_between_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(b"{}")
    before = os.stat(tmp_path / "file")
    assert stat.S_ISREG(before.st_mode)
    monkeypatch.setattr(os, "stat", lambda _: before)

    assert refusal(tmp_path / "fifo") == "it is no regular file"


def test_a_socket_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        assert refusal("socket") == "it is no regular file"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty", "/"])
def test_a_device_and_a_folder_are_not_read(path: str) -> None:
    assert refusal(path) == "it is no regular file"


@pytest.mark.parametrize(
    "path", ["/proc/self/environ", "/proc/self/mem", "/proc/kmsg", "/sys/kernel/uevent_seqnum"]
)
def test_what_the_system_makes_up_is_not_read(path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"there is no {path} here")
    assert refusal(path)


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    assert refusal(tmp_path / "empty") == "it is empty"
