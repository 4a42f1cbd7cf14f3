"""What the end of a job adds to its queue's history: plain functions from a record's fields to counts.

Whatever stands in a record is hostile until it was checked: what is no time, no count or no queue of ours adds
nothing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.contract import QUEUES, JobStatus
from app.core.queue.records import TOKENS, status_of, time_of
from app.jobs.histogram import bucket_of

MINUTES_MAX = 60
"""How far the history goes back."""
CLOCKS_DIFFER = timedelta(minutes=1)
TOKENS_MAX = 10**9
"""Of one job: more than a model has ever been given."""
RETRIES_MAX = 1_000
DIGITS_MAX = 15

FIELDS = (
    "status",
    "origin",
    "created_at",
    "requeued_at",
    "enqueued_at",
    "started_at",
    "ended_at",
    "retries_given",
    "retries_left",
    *TOKENS,
)
"""The fields of a record that count."""


@dataclass(frozen=True, slots=True)
class End:
    """When a job of `queue` ended, as its record has it and by the minute, and what that adds to the minute's
    counts."""

    queue: str
    minute: datetime
    ended_at: bytes
    counts: Mapping[str, int]


def end_of(record: Mapping[str, bytes | None], now: datetime) -> End | None:
    """The end in `record`, which has `FIELDS`; None when nothing counts: it has not ended, or not within the hour."""
    try:
        status, queue = status_of(record["status"] or b""), (record["origin"] or b"").decode()
        ended = time_of(record["ended_at"])
    except ValueError:
        return None
    if ended is None or not status.is_terminal or queue not in QUEUES:
        return None
    if not -CLOCKS_DIFFER < now - ended < timedelta(minutes=MINUTES_MAX):
        return None
    return End(queue, minute_of(ended), record["ended_at"] or b"", _counts(record, status, ended))


def minute_of(moment: datetime) -> datetime:
    """The beginning of its minute."""
    return moment.replace(second=0, microsecond=0)


def _counts(record: Mapping[str, bytes | None], status: JobStatus, ended: datetime) -> Mapping[str, int]:
    counts = Counter({status.value: 1})
    counts["retries"] = _number(record["retries_given"], RETRIES_MAX) - _number(record["retries_left"], RETRIES_MAX)
    for name in TOKENS:
        counts[name] = _number(record[name], TOKENS_MAX)
    if status is not JobStatus.STOPPED:  # how long somebody had patience says nothing of the queue
        _add(counts, "w", record["enqueued_at"], _time_or_none(record["started_at"]))
        _add(counts, "t", record["requeued_at"] or record["created_at"], ended)
    return +counts  # those above 0


def _add(counts: "Counter[str]", histogram: str, since: bytes | None, until: datetime | None) -> None:
    start = _time_or_none(since)
    if start is not None and until is not None and until >= start:
        counts[f"{histogram}{bucket_of((until - start) / timedelta(milliseconds=1))}"] += 1


def _number(value: bytes | None, most: int) -> int:
    return min(int(value), most) if value is not None and value.isdigit() and len(value) <= DIGITS_MAX else 0


def _time_or_none(value: bytes | None) -> datetime | None:
    try:
        return time_of(value)
    except ValueError:
        return None
