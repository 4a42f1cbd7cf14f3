"""The question of a job, read back from what is on its way to a worker: no second copy of it is kept."""

import pickle
from typing import cast

from pydantic import ValidationError
from redis.asyncio import Redis
from rq.job import Job

from app.core.contract import AnswerJob
from app.core.queue.packing import UNPACKED_BYTES_MAX, unpacked
from app.core.serializer import PlainSerializer


async def question_of(valkey: "Redis", job_id: str, *, tenant: str) -> str | None:
    """The question of a job for an answer; None when it is gone, is not the tenant's, or nothing of ours.

    Raises `VALKEY_UNAVAILABLE`.
    """
    key = Job.key_for(job_id)
    if await valkey.hstrlen(key, "data") > UNPACKED_BYTES_MAX:
        return None
    data = cast(bytes | None, await valkey.hget(key, "data"))
    try:
        _, _, (payload,), _ = PlainSerializer.loads(unpacked(data or b""))
        job = AnswerJob.model_validate(payload)
    except (ValueError, TypeError, ValidationError, pickle.UnpicklingError):
        return None
    return job.query if job.tenant == tenant else None
