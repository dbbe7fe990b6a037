"""The machine's memory is that of the container, where there is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from s2_mitm.proxy import machine

GIGABYTE = 1024**3


def a_machine(root: Path, cgroup: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, content in files.items():
        file = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


@pytest.fixture(autouse=True)
def large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64 * GIGABYTE // 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__, raising=False)


def test_a_machine_without_limits(tmp_path: Path) -> None:
    assert machine.memory(tmp_path) == 64 * GIGABYTE
    assert machine.memory(a_machine(tmp_path, "0::/\n", memory_dot_max="max\n")) == 64 * GIGABYTE


def test_a_container(tmp_path: Path) -> None:
    root = a_machine(tmp_path, "0::/\n", memory_dot_max="268435456\n")
    assert machine.memory(root) == 268435456


def test_a_service_in_a_slice_has_the_smallest_limit(tmp_path: Path) -> None:
    root = a_machine(
        tmp_path,
        "0::/system.slice/s2.service\n",
        **{
            "system.slice__memory_dot_max": str(GIGABYTE),
            "system.slice__s2.service__memory_dot_max": "max",
        },
    )
    assert machine.memory(root) == GIGABYTE


def test_version_1(tmp_path: Path) -> None:
    """A container's path is that of its host, which it may not have."""
    root = a_machine(
        tmp_path,
        "3:cpu,cpuacct:/docker/abc\n2:memory:/docker/abc\n0::/\n",
        **{"memory__memory.limit_in_bytes": str(2 * GIGABYTE)},
    )
    assert machine.memory(root) == 2 * GIGABYTE


@pytest.mark.parametrize("cgroup", ["", "x", "::", "0::/../..", "2:memory:", "\n\n", "0::/a/../b"])
def test_what_is_not_understood_is_no_limit(cgroup: str, tmp_path: Path) -> None:
    assert machine.memory(a_machine(tmp_path, cgroup, memory_dot_max="much")) == 64 * GIGABYTE


def test_a_platform_that_does_not_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf")
    assert machine.memory(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux's")
def test_this_one() -> None:
    assert (machine.memory() or 0) > 10 * 1024**2
    machine.give_memory_back()
