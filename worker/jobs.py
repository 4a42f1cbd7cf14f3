"""The RQ boundary: checks what came off the queue, binds the log's context, and turns errors into codes."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from math import ceil
from typing import Any

import structlog
from pydantic import ValidationError
from rq import get_current_job
from rq.job import Job
from rq.timeouts import JobTimeoutException

from app.core.contract import AnswerJob, AnswerResult, Timings
from app.core.errors import RETRYABLE, ConfigurationError, ErrorCode, ServiceError
from app.core.logging import get_logger
from app.core.queue import VALKEY_AWAY
from worker.pipeline import answer
from worker.resources import shared

RETRY_SECONDS_BASE = 1.0
RETRY_SECONDS_MAX = 30.0
RETRY_AFTER_SECONDS_MAX = 300.0
"""What we grant a provider's Retry-After; who asks for more is away."""

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
        delay = _prepare_retry(record, code, error)
        log.warning("question_failed", code=code.value, retry_in_seconds=delay, exc_info=error)
        _note(record, error=code.value)
        raise JobFailedError(str(ServiceError(code))) from None
    finally:
        structlog.contextvars.clear_contextvars()


def _prepare_retry(record: Job | None, code: ErrorCode, error: BaseException) -> int | None:
    """Tell RQ, by its own fields, whether and in how many seconds to try again; a waiting retry holds no thread."""
    if record is None or not record.should_retry:
        return None
    if code not in RETRYABLE:
        record.retries_left = None  # for this run of RQ's; the record keeps the number
        return None
    used = record.meta.get("retries", 0) - (record.retries_left or 0)
    asked = error.retry_after_seconds if isinstance(error, ServiceError) else None
    record.retry_intervals = [retry_delay_seconds(used, asked)]
    return record.retry_intervals[0]


def retry_delay_seconds(used: int, asked_seconds: float | None) -> int:
    """Seconds until the next attempt after `used` retries: exponential with full jitter, never below what was asked.

    Full jitter as in Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015; never below a second,
    RQ's resolution.
    """
    ceiling = min(RETRY_SECONDS_MAX, RETRY_SECONDS_BASE * 2**used)
    jittered = random.uniform(RETRY_SECONDS_BASE, max(RETRY_SECONDS_BASE, ceiling))  # noqa: S311  spreads load
    asked = min(asked_seconds or 0.0, RETRY_AFTER_SECONDS_MAX)
    return max(1, ceil(asked + jittered if asked else jittered))


def _code_of(error: BaseException) -> ErrorCode:
    cause: BaseException | None = error
    while cause is not None:  # the model's client turns whatever ends its wait into an error of its own
        if isinstance(cause, JobTimeoutException):
            return ErrorCode.JOB_TIMEOUT
        cause = cause.__cause__ or cause.__context__
    match error:
        case ServiceError(code=code):
            return code
        case ValidationError():
            return ErrorCode.PAYLOAD_INVALID
        case ConfigurationError():
            return ErrorCode.INDEX_UNAVAILABLE
        case _:
            return ErrorCode.INTERNAL


def _note(record: Job | None, **fields: str) -> None:
    """Write `fields` into the job's metadata, where the API reads stage and error; Valkey's absence is no failure."""
    if record is not None:
        record.meta.update(fields)
        try:
            record.save_meta()  # type: ignore[no-untyped-call]
        except VALKEY_AWAY as away:
            log.warning("valkey_away", during="note", reason=type(away).__name__)


def _queued_ms(record: Job | None) -> float:
    if record is None or record.enqueued_at is None:
        return 0.0
    started = record.started_at or datetime.now(UTC)
    return max(0.0, (started - record.enqueued_at).total_seconds() * 1000)
