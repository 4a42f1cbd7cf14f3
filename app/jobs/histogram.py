"""Durations as counts in fixed buckets, and percentiles from them: what many processes can add to, minute by minute.

Prometheus' idea of a histogram (https://prometheus.io/docs/practices/histograms/), with buckets for a queue's times.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

STEPS_PER_DOUBLING = 2
"""A bucket's bounds are 1.41 apart: a percentile can be wrong by that factor at most, and is by a tenth as a rule."""
DOUBLINGS = 22
"""From one millisecond to 70 minutes: beyond the longest that a job may wait for its retries. What is longer counts
in the last bucket."""
BOUNDS_MS: tuple[float, ...] = tuple(
    round(2 ** (step / STEPS_PER_DOUBLING), 3) for step in range(STEPS_PER_DOUBLING * DOUBLINGS + 1)
)
"""The upper bounds of the buckets, which belong to them."""
BUCKETS = len(BOUNDS_MS)


def bucket_of(milliseconds: float) -> int:
    """The number of the bucket, from 0, that a duration counts in."""
    return min(bisect_left(BOUNDS_MS, milliseconds), BUCKETS - 1)


def percentile(counts: Sequence[int], part: float) -> float | None:
    """The duration in milliseconds that `part` (0 to 1) of what was counted does not exceed; None for no count.

    `counts` has one number a bucket. Within its bucket a percentile is interpolated, as if durations were spread
    evenly there: it is off by a bucket's width at most, a factor of 1.41.
    """
    total = sum(counts)
    if total == 0:
        return None
    rank = part * total
    sums = list(accumulate(counts))
    bucket = next(number for number, reached in enumerate(sums) if reached >= rank and counts[number] > 0)
    before = sums[bucket] - counts[bucket]
    low = BOUNDS_MS[bucket - 1] if bucket else 0.0
    return low + (BOUNDS_MS[bucket] - low) * max(0.0, rank - before) / counts[bucket]
