"""Percentiles from counts in buckets: off by one bucket's width at most."""

from itertools import pairwise
from random import Random

import pytest

from app.jobs.histogram import BOUNDS_MS, BUCKETS, bucket_of, percentile


def counted(durations: list[float]) -> list[int]:
    counts = [0] * BUCKETS
    for duration in durations:
        counts[bucket_of(duration)] += 1
    return counts


def test_bounds_rise_by_the_root_of_two_from_a_millisecond_to_an_hour() -> None:
    assert BOUNDS_MS[0] == 1
    assert BOUNDS_MS[-1] > 3_600_000
    assert all(1.41 < high / low < 1.42 for low, high in pairwise(BOUNDS_MS))


@pytest.mark.parametrize(
    ("duration", "bucket"), [(0, 0), (1, 0), (1.01, 1), (1.414, 1), (1.5, 2), (2, 2), (1e12, BUCKETS - 1)]
)
def test_a_duration_counts_where_the_bound_is_not_below_it(duration: float, bucket: int) -> None:
    assert bucket_of(duration) == bucket


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile([0] * BUCKETS, 0.5) is None


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.95, 0.99, 1.0])
def test_a_percentile_is_right_to_within_a_buckets_width(part: float) -> None:
    random = Random(7)
    durations = sorted(random.lognormvariate(6, 1.5) for _ in range(5_000))
    exact = durations[min(int(part * len(durations)), len(durations) - 1)]
    found = percentile(counted(durations), part)
    assert found is not None
    assert exact / 1.42 <= found <= exact * 1.42


def test_within_its_bucket_a_percentile_moves_with_its_rank() -> None:
    counts = counted([100.0] * 100)
    found = [percentile(counts, part) or 0.0 for part in (0.01, 0.5, 0.99)]
    assert found == sorted(found)
    assert found[0] != found[2]
    assert all(BOUNDS_MS[14] >= value > BOUNDS_MS[13] for value in found)
