"""How many connections the descriptors of a process allow."""

from __future__ import annotations

import sys

import pytest

from s2_mitm.proxy.patches import descriptors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")


@pytest.mark.parametrize(
    ("limit", "most"), [(8, 1), (64, 16), (256, 112), (1024, 496), (65536, 32752)]
)
def test_each_takes_two_and_some_are_left(
    limit: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "_limit", lambda: limit)
    assert descriptors.most_connections() == most


@pytest.mark.parametrize(("soft", "hard", "now"), [(64, 64, 64), (64, 1024, 1024), (64, 10**6, 0)])
def test_it_asks_for_as_many_as_make_sense(
    soft: int, hard: int, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limits.append(both))
    descriptors.raise_limit()
    assert limits[-1] == (now or descriptors.ENOUGH, hard)
