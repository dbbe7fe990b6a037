"""Who has to let go, to wait, or to be closed, by what all have in memory."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2_mitm.proxy.memory import SMALL, Memory

LIMIT = 10_000_000


@dataclass(eq=False)
class WebSocket:
    half: int = 0
    waiting: int = 0
    kept: int = 0


@pytest.fixture
def memory() -> Memory:
    return Memory(LIMIT)


def holding(memory: Memory, *, half: int = 0, waiting: int = 0, kept: int = 0) -> WebSocket:
    websocket = WebSocket()
    memory.note(websocket, half=half, waiting=waiting, kept=kept)
    return websocket


def test_the_total_is_that_of_all_and_of_now(memory: Memory) -> None:
    first, second = holding(memory, half=5, waiting=6, kept=7), holding(memory, kept=100)
    assert memory.total == 118

    memory.note(first, half=1)
    memory.note(second)
    assert memory.total == 1


def test_the_peak_stays(memory: Memory) -> None:
    memory.note(holding(memory, half=1000))
    assert (memory.total, memory.peak) == (0, 1000)


def test_who_is_gone_without_a_word_counts_no_more_once_it_is_counted_anew(memory: Memory) -> None:
    stays = holding(memory, half=3)
    holding(memory, half=1000)
    gc.collect()
    memory.count()
    assert memory.total == stays.half


def test_as_long_as_there_is_room_nobody_waits(memory: Memory) -> None:
    holding(memory, half=LIMIT // 2)
    assert not memory.is_full
    assert memory.share(WebSocket(), 65535, 1) == 65535
    assert memory.to_let_go() is memory.to_close() is None


def test_what_may_grow_is_looked_into_as_far_as_there_is_room_for_it(memory: Memory) -> None:
    holding(memory, half=LIMIT - 2_000_000)
    assert memory.share(WebSocket(), 65535, 1000) == 2000


def test_when_it_is_full_those_with_much_wait_and_the_others_get_a_little(memory: Memory) -> None:
    large = holding(memory, half=LIMIT // 2, waiting=LIMIT // 2)
    small = holding(memory, half=SMALL)
    assert memory.is_full
    assert memory.share(large, 65535, 1) == 0
    assert memory.share(small, 65535, 1) == 65535
    assert memory.share(small, 65535, 1032) == SMALL // 1032


def test_what_a_flow_keeps_is_no_reason_to_wait(memory: Memory) -> None:
    assert memory.share(holding(memory, kept=LIMIT), 65535, 1) == 65535


def test_kept_messages_go_first_the_most_before_others(memory: Memory) -> None:
    holding(memory, kept=LIMIT // 3)
    most = holding(memory, kept=LIMIT // 2)
    assert memory.to_let_go() is None

    holding(memory, half=LIMIT // 4)
    assert memory.to_let_go() is most
    memory.note(most)
    assert memory.to_let_go() is None


def test_while_waiting_helps_nobody_is_closed(memory: Memory) -> None:
    half = holding(memory, half=LIMIT // 2)
    holding(memory, waiting=LIMIT)
    assert memory.to_close() is None

    other = holding(memory, half=LIMIT)
    assert memory.to_close() is other
    memory.note(other)
    assert memory.to_close() is None
    assert half.half


@given(
    st.lists(
        st.tuples(st.integers(0, 7), *[st.integers(0, LIMIT)] * 3),
        max_size=30,
    )
)
def test_whatever_happens_room_can_be_made(changes: list[tuple[int, int, int, int]]) -> None:
    memory = Memory(LIMIT)
    websockets = [WebSocket() for _ in range(8)]
    for number, half, waiting, kept in changes:
        memory.note(websockets[number], half=half, waiting=waiting, kept=kept)
        while found := memory.to_let_go():
            memory.note(found, half=found.half, waiting=found.waiting)
        while found := memory.to_close():
            memory.note(found, waiting=found.waiting)
        assert memory.total == sum(each.half + each.waiting + each.kept for each in websockets)
        # Once their peers have read, everybody goes on.
        waiting_now = sum(each.waiting for each in websockets)
        assert memory.total - waiting_now <= LIMIT - SMALL or not memory.is_full
