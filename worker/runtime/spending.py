"""What a job spends of the models while it runs: noted here, written with its end, and counted there, once.

See `app.core.queue.usage`. Each attempt begins anew: only one comes to the job's end.
"""

import json
from contextvars import ContextVar
from datetime import UTC, datetime

from rq.job import Job

from app.core.queue.scripts import BEYOND_MAXMEMORY
from app.core.queue.usage import MODEL_MAX_CHARACTERS, SPENT, TOKENS_MAX

COUNT = f"""{BEYOND_MAXMEMORY}
{SPENT}
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'spent', ARGV[1])
return spent(KEYS[1], ARGV[2])
"""
"""KEYS: job. ARGV: what it has spent, the day. Counts it now, unless it was counted before; 1 when it was now."""

Spent = list[tuple[str, int, int, int]]
"""Of each call: the model as the settings name it, whether it wrote an answer, tokens in, tokens out."""

_spent: ContextVar[Spent | None] = ContextVar("spent", default=None)


def begin() -> Spent:
    """From now on, what this thread spends is the job's that begins."""
    spent: Spent = []
    _spent.set(spent)
    return spent


def spend(model: str, input_tokens: int, output_tokens: int = 0, *, answers: int = 0) -> None:
    """Note a call of `model`, as the settings name it and not as its server may; outside of a job, do nothing."""
    spent = _spent.get()
    if spent is not None and (input_tokens > 0 or output_tokens > 0):
        spent.append((model[:MODEL_MAX_CHARACTERS], answers, max(0, input_tokens), max(0, output_tokens)))


def as_field(spent: Spent | None) -> dict[str, str]:
    """The field of the job's record, by its name; none when nothing was spent."""
    if not spent:
        return {}
    sums: dict[str, list[int]] = {}
    for model, *numbers in spent:
        before = sums.get(model, (0, 0, 0))
        sums[model] = [min(had + more, TOKENS_MAX) for had, more in zip(before, numbers, strict=True)]
    return {"spent": json.dumps([[model, *numbers] for model, numbers in sums.items()])}


def count(record: Job, spent: Spent) -> None:
    """Count what a job of RQ's own worker has spent, which writes its end itself, and nothing of ours.

    Raises redis-py's errors when Valkey is unavailable.
    """
    for field in as_field(spent).values():
        record.connection.eval(COUNT, 1, record.key, field, f"{datetime.now(UTC):%Y-%m-%d}")
