"""The question of a job, read back from what is on its way to a worker: no second copy of it is kept."""

import pickle
from typing import cast

from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis
from rq.job import Job

from app.core.contract import AnswerJob, TaskJob
from app.core.queue.packing import UNPACKED_BYTES_MAX, unpacked
from app.core.serializer import PlainSerializer

_JOB: TypeAdapter[AnswerJob | TaskJob] = TypeAdapter(AnswerJob | TaskJob)


async def question_of(valkey: "Redis", job_id: str, *, tenant: str) -> str | None:
    """The question of a job for an answer, or a chat client's task. None, and raises, as `asked_in` does."""
    job = await asked_in(valkey, job_id, tenant=tenant)
    return job.task if isinstance(job, TaskJob) else job.query if job else None


async def asked_in(valkey: "Redis", job_id: str, *, tenant: str) -> AnswerJob | TaskJob | None:
    """What a job for an answer, or for a chat client's task, was given.

    None when the job is gone, is not the tenant's, or nothing of ours. Raises `VALKEY_UNAVAILABLE`.
    """
    key = Job.key_for(job_id)
    if await valkey.hstrlen(key, "data") > UNPACKED_BYTES_MAX:
        return None
    data = cast(bytes | None, await valkey.hget(key, "data"))
    try:
        _, _, (payload,), _ = PlainSerializer.loads(unpacked(data or b""))
        job = _JOB.validate_python(payload)
    except (ValueError, TypeError, ValidationError, pickle.UnpicklingError):
        return None
    return job if job.tenant == tenant else None
