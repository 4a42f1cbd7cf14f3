"""RQ's record of a job, as we write it and as we read it."""

from typing import Any, cast

import pytest
from redis import Redis
from rq.job import Job

from app.core.contract import ANSWER_JOB, QUERY_QUEUE, AnswerJob
from app.core.queue.records import BadRecordError, new_record, read_record
from app.core.serializer import PlainSerializer
from app.core.settings import Settings

NOWHERE = cast(Redis, object())
MOMENT = b"2026-11-21T06:49:46.878813Z"


@pytest.mark.parametrize("question", ["How long is the warranty?", "long " * 1_000])
def test_rq_reads_in_our_record_what_it_reads_in_its_own(question: str) -> None:
    settings = Settings(_env_file=None)
    payload = AnswerJob(query=question, tenant="acme")
    fields, enqueued_at = new_record(payload, settings)
    job = Job("1", connection=NOWHERE, serializer=PlainSerializer)
    job.restore(
        {name.encode(): value if isinstance(value, bytes) else str(value).encode() for name, value in fields.items()}
    )
    assert sum(map(len, map(str, fields.values()))) < 2_000
    assert (job.func_name, job.args, job.kwargs) == (ANSWER_JOB, (payload.model_dump(mode="json"),), {})
    assert (job.origin, job.description, job.get_status(refresh=False)) == (QUERY_QUEUE, "answer", "queued")
    assert (job.timeout, job.result_ttl) == (settings.job_timeout_seconds, settings.result_ttl_seconds)
    assert (job.retries_left, job.enqueued_at, job.created_at) == (
        settings.max_attempts - 1,
        enqueued_at,
        enqueued_at,
    )
    assert (job.started_at, job.ended_at, job.worker_name, job.group_id) == (None, None, None, None)


@pytest.mark.parametrize(
    "moment", [b"2026-11-21", b"2026-11-21T06:49:46", b"2026-11-21T06:49:46+01:00", b"soon", b"\xff"]
)
def test_a_record_with_a_time_that_rq_does_not_write_is_none_of_ours(moment: bytes) -> None:
    def answer(enqueued_at: bytes) -> list[Any]:
        return [[b"queued", QUERY_QUEUE.encode(), None, enqueued_at, None, None, None], None]

    assert read_record("1", answer(MOMENT)).enqueued_at is not None
    with pytest.raises(BadRecordError):
        read_record("1", answer(moment))
