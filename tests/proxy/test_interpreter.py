"""Python is set to carrying messages, and set back as it was."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from s2_mitm.proxy import interpreter

Settings = tuple[tuple[int, int, int], float]
SET = interpreter.THRESHOLDS, interpreter.HANDOVER_SECONDS


def settings() -> Settings:
    return gc.get_threshold(), round(sys.getswitchinterval(), 6)


@pytest.fixture(autouse=True)
def before() -> Iterator[Settings]:
    """What it is set to by others, and is again afterwards."""
    found = settings()
    gc.set_threshold(701, 11, 12)
    sys.setswitchinterval(0.004)
    yield settings()
    interpreter.restore()
    gc.set_threshold(*found[0])
    sys.setswitchinterval(found[1])
    gc.unfreeze()


def test_it_is_set_and_given_back(before: Settings) -> None:
    interpreter.tune()
    assert settings() == SET
    assert gc.get_freeze_count() > 0
    interpreter.restore()
    assert settings() == before
    assert gc.get_freeze_count() == 0


def test_setting_it_twice_does_not_forget_what_was_before(before: Settings) -> None:
    """As a script does that is loaded again."""
    interpreter.tune()
    interpreter.tune()
    assert settings() == SET
    interpreter.restore()
    assert settings() == before


def test_it_can_be_set_again(before: Settings) -> None:
    for _ in range(2):
        interpreter.tune()
        assert settings() == SET
        interpreter.restore()
        assert settings() == before


def test_what_others_set_after_it_was_given_back_stays() -> None:
    interpreter.tune()
    interpreter.restore()
    gc.set_threshold(123, 4, 5)
    interpreter.restore()
    assert gc.get_threshold() == (123, 4, 5)


def test_garbage_is_found_all_the_same() -> None:
    class Node:
        itself: Node
        gone = False

        def __del__(self) -> None:
            Node.gone = True

    interpreter.tune()
    node = Node()
    node.itself = node
    del node
    gc.collect()
    assert Node.gone
