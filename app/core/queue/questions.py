"""The question of a job, read back from what is on its way to a worker: no second copy of it is kept."""

import pickle
from collections.abc import Sequence
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from rq.job import Job

from app.core.contract import AnswerJob, TaskJob
from app.core.models import HIDDEN
from app.core.queue.packing import UNPACKED_BYTES_MAX, unpacked
from app.core.serializer import PlainSerializer

_JOB: TypeAdapter[AnswerJob | TaskJob] = TypeAdapter(AnswerJob | TaskJob, config=HIDDEN)


async def question_of(valkey: "Redis", job_id: str, *, tenant: str) -> str | None:
    """The question of a job for an answer, or a chat client's task.

    None when the job is gone, is not the tenant's, or nothing of ours. Raises `VALKEY_UNAVAILABLE`.
    """
    key = Job.key_for(job_id)
    if await valkey.hstrlen(key, "data") > UNPACKED_BYTES_MAX:
        return None
    job = _asked(cast(bytes | None, await valkey.hget(key, "data")))
    if job is None or job.tenant != tenant:
        return None
    return job.task if isinstance(job, TaskJob) else job.query


async def asked(valkey: "Redis", job_ids: Sequence[str]) -> list[AnswerJob | None]:
    """What each of these jobs was asked, whoever's it is, in two round trips; None as for `question_of`.

    Raises `VALKEY_UNAVAILABLE`.
    """
    keys = [Job.key_for(job_id) for job_id in job_ids]
    sizes = await _each(valkey, "hstrlen", keys)
    fitting = [key for key, size in zip(keys, sizes, strict=True) if size and size <= UNPACKED_BYTES_MAX]
    found = dict(zip(fitting, await _each(valkey, "hget", fitting), strict=True))
    jobs = [_asked(found.get(key)) for key in keys]
    return [job if isinstance(job, AnswerJob) else None for job in jobs]


async def _each(valkey: "Redis", command: str, keys: Sequence[str]) -> list[Any]:
    """The answer to `command` of each record's payload; None where the key is of another type."""
    async with valkey.pipeline(transaction=False) as pipeline:
        for key in keys:
            getattr(pipeline, command)(key, "data")
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception) and not isinstance(answer, ResponseError):
            raise answer
    return [None if isinstance(answer, ResponseError) else answer for answer in answers]


def _asked(data: bytes | None) -> AnswerJob | TaskJob | None:
    try:
        _, _, (payload,), _ = PlainSerializer.loads(unpacked(data or b""))
        return _JOB.validate_python(payload)
    except (ValueError, TypeError, ValidationError, pickle.UnpicklingError):
        return None
