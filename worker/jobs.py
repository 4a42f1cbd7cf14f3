"""The RQ boundary: checks what came off the queue, binds the log's context, and turns errors into codes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import ValidationError
from rq import get_current_job
from rq.job import Job
from rq.timeouts import JobTimeoutException

from app.core.contract import AnswerJob, AnswerResult, Timings
from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.logging import get_logger
from worker.pipeline import answer
from worker.resources import shared

log = get_logger(__name__)


class JobFailedError(Exception):
    """What RQ records of a failed job: a code and its public message, nothing of what caused it."""


def answer_question(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the `AnswerJob` in `payload`; returns an `AnswerResult` as plain data.

    Raises `JobFailedError` when it can't; the job's metadata then holds the code.
    """
    record = get_current_job()
    with _boundary(record):
        job = AnswerJob.model_validate(payload)
        resources = shared()
        given = answer(
            job.query,
            search=lambda query: resources.index.search(
                query,
                tenant=job.tenant,
                collection=job.collection,
                top_k=job.top_k or resources.settings.top_k,
                document_ids=job.document_ids,
            ),
            complete=resources.complete,
            on_stage=lambda stage: _note(record, stage=stage.value),
        )
        queued_ms = _queued_ms(record)
        return AnswerResult(
            answer=given.text,
            mode=given.mode,
            grounded=given.grounded,
            citations=given.citations,
            model=given.model,
            usage=given.usage,
            timings_ms=Timings(
                queued=queued_ms,
                retrieval=given.retrieval_ms,
                generation=given.generation_ms,
                total=queued_ms + given.retrieval_ms + given.generation_ms,
            ),
        ).model_dump(mode="json")


@contextmanager
def _boundary(record: Job | None) -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(job_id=record.id if record else None)
    try:
        yield
        log.info("question_answered")
    except (Exception, JobTimeoutException) as error:
        code = _code_of(error)
        log.warning("question_failed", code=code.value, exc_info=error)
        _note(record, error=code.value)
        raise JobFailedError(str(ServiceError(code))) from None
    finally:
        structlog.contextvars.clear_contextvars()


def _code_of(error: BaseException) -> ErrorCode:
    match error:
        case ServiceError(code=code):
            return code
        case ValidationError():
            return ErrorCode.PAYLOAD_INVALID
        case ConfigurationError():
            return ErrorCode.INDEX_UNAVAILABLE
        case JobTimeoutException():
            return ErrorCode.JOB_TIMEOUT
        case _:
            return ErrorCode.INTERNAL


def _note(record: Job | None, **fields: str) -> None:
    """Write `fields` into the job's metadata, where the API reads stage and error."""
    if record is not None:
        record.meta.update(fields)
        record.save_meta()  # type: ignore[no-untyped-call]


def _queued_ms(record: Job | None) -> float:
    if record is None or record.enqueued_at is None:
        return 0.0
    started = record.started_at or datetime.now(UTC)
    return max(0.0, (started - record.enqueued_at).total_seconds() * 1000)
