"""When a failed job is tried again."""

import pytest

from worker.runtime.retries import RETRY_AFTER_SECONDS_MAX, Backoff

BACKOFF = Backoff(base_seconds=1.0, max_seconds=30.0)


@pytest.mark.parametrize(("used", "most"), [(0, 1), (1, 2), (3, 8), (5, 30), (90, 30)])
def test_waits_grow_to_a_bound_and_are_spread_below_it(used: int, most: int) -> None:
    waits = {BACKOFF.seconds(used, None) for _ in range(300)}
    assert waits <= set(range(1, most + 1))
    assert most <= 2 or len(waits) > 1


def test_what_the_other_side_asks_for_is_waited_for_up_to_a_bound() -> None:
    assert 7 < BACKOFF.seconds(0, 7) <= 8
    assert BACKOFF.seconds(0, 1e9) <= RETRY_AFTER_SECONDS_MAX + 1
