"""Whether and when a failed job is tried again, told to RQ by its own fields; a waiting retry holds no thread."""

import random
from dataclasses import dataclass
from math import ceil, inf

from rq.job import Job

from app.core.errors import RETRYABLE, ErrorCode, ServiceError

SECONDS_MIN = 1.0
"""RQ's resolution."""
RETRY_AFTER_SECONDS_MAX = 300.0
"""What we grant a provider's Retry-After; who asks for more is unavailable."""


RETRIES_MAX = {ErrorCode.MODEL_NO_ANSWER: 2}
"""How many retries of a job such a failure may use: a call that is paid for and gave nothing may well do so again."""


class JobFailedError(Exception):
    """What RQ records of a failed job: a code and its public message, nothing of what caused it."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait: a random time up to `base_seconds`, doubled with each retry, `max_seconds` at most.

    Full jitter as in Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    base_seconds: float
    max_seconds: float

    def seconds(self, used: int, asked_seconds: float | None) -> int:
        """Whole seconds until the next attempt after `used` retries; never below what was asked."""
        ceiling = max(SECONDS_MIN, min(self.max_seconds, self.base_seconds * 2**used))
        jitter = random.uniform(SECONDS_MIN, ceiling)  # noqa: S311  spreads load
        return ceil(min(asked_seconds or 0.0, RETRY_AFTER_SECONDS_MAX) + jitter)


def prepare_retry(record: Job | None, code: ErrorCode, error: BaseException, backoff: Backoff | None) -> int | None:
    """Have RQ try again in so many seconds; None when it will not, as no retry is left or none can help.

    Without a `backoff` RQ keeps to the record's own schedule, whatever the error.
    """
    if record is None or not record.should_retry:
        return None
    if backoff is None:
        return record.get_retry_interval()
    if code not in RETRYABLE or retries_used(record) >= RETRIES_MAX.get(code, inf):
        record.retries_left = None  # for this run of RQ's; the record keeps the number
        return None
    asked = error.retry_after_seconds if isinstance(error, ServiceError) else None
    record.retry_intervals = [backoff.seconds(retries_used(record), asked)]
    return record.retry_intervals[0]


def put_back(record: Job) -> None:
    """Have RQ put the job back on its queue, before all others; none of its retries is used up."""
    record.retries_left = (record.retries_left or 0) + 1
    record.retry_intervals = None
    record.enqueue_at_front_on_retry = True


def retries_used(record: Job) -> int:
    """How many of the job's retries are gone."""
    retries = record.meta.get("retries", 0)
    return max(0, retries - (record.retries_left or 0)) if isinstance(retries, int) else 0
