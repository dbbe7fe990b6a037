"""What is costly may take its share of the time and no more; what is sent keeps its order."""

from __future__ import annotations

from s2_mitm.proxy.pacing import BURST, SHARE, Budget


def test_a_burst_need_not_wait() -> None:
    budget = Budget()
    budget.charge(BURST, now=100.0)

    assert budget.wait(100.0) <= 0


def test_what_is_more_waits_until_its_share_is_due() -> None:
    budget = Budget()
    budget.charge(BURST + 1.0, now=100.0)

    assert budget.wait(100.0) == 1.0 / SHARE
    assert budget.wait(100.0 + 1.0 / SHARE) <= 0


def test_what_was_not_used_is_not_saved_up() -> None:
    budget = Budget()
    budget.charge(0.1, now=100.0)
    budget.charge(BURST + 1.0, now=100_000.0)

    assert budget.wait(100_000.0) == 1.0 / SHARE
