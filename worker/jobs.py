"""The RQ boundary: checks what came off the queue, binds the log's context, and turns errors into codes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from time import perf_counter, sleep
from typing import Any

import structlog
from pydantic import ValidationError
from rq import get_current_job
from rq.job import Job
from rq.timeouts import JobTimeoutException

from app.core.contract import AnswerJob, AnswerResult, SearchHit, SearchJob, SearchResult, Timings, page_url
from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.events import EventType
from app.core.logging import get_logger
from app.core.queue.producer import VALKEY_AWAY
from worker.answer.pipeline import answer
from worker.resources import Resources, shared
from worker.runtime.budget import Budget
from worker.runtime.event_writer import DirectEvents, Events, NoEvents
from worker.runtime.intake import TakenJob
from worker.runtime.retries import Backoff, JobFailedError, prepare_retry, put_back, retries_used
from worker.vectors import Hit

BACKOFF = Backoff(base_seconds=1.0, max_seconds=30.0)

HELD_SECONDS = 0.5
"""How long a stock worker keeps a job for which the budget has no room: else it would take it again at once."""

log = get_logger(__name__)


class OverBudgetError(Exception):
    """The model's budget has no room for this job now."""


def answer_question(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the `AnswerJob` in `payload`; returns an `AnswerResult` as plain data.

    Raises `JobFailedError` when it can't; the job's metadata then holds the code.
    """
    record = get_current_job()
    with _boundary(record, "question"):
        job = AnswerJob.model_validate(payload)
        structlog.contextvars.bind_contextvars(request_id=job.request_id)
        resources = shared()
        with _turn(record, resources.budget):
            events = _events(record)
            given = answer(
                job.query,
                search=lambda _: _searched(resources, job),
                complete=resources.complete,
                on_retrieved=lambda hits: events.add(EventType.RETRIEVED, {"hits": [_shown(hit) for hit in hits]}),
                on_delta=events.delta,
            )
            if resources.budget is not None:
                with suppress(*VALKEY_AWAY):  # an answer that is paid for is worth more than its count
                    resources.budget.spend_tokens(given.usage.input_tokens + given.usage.output_tokens)
        if isinstance(events, DirectEvents):
            events.flush()
        return AnswerResult(
            answer=given.text,
            mode=given.mode,
            grounded=given.grounded,
            citations=given.citations,
            model=given.model,
            usage=given.usage,
            timings_ms=_timings(record, given.retrieval_ms, given.generation_ms),
        ).model_dump(mode="json")


def search_documents(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Search as the `SearchJob` in `payload` asks; returns a `SearchResult` as plain data. Raises as above."""
    record = get_current_job()
    with _boundary(record, "search"):
        job = SearchJob.model_validate(payload)
        structlog.contextvars.bind_contextvars(request_id=job.request_id)
        _events(record)
        began = perf_counter()
        hits = _search(shared(), job)
        return SearchResult(
            hits=tuple(_whole(hit) for hit in hits),
            timings_ms=_timings(record, (perf_counter() - began) * 1000, 0.0),
        ).model_dump(mode="json")


def _searched(resources: Resources, job: AnswerJob) -> list[Hit]:
    """What is found, and for a model what stands around it."""
    hits = _search(resources, job)
    if resources.complete is None:
        return hits
    return resources.searcher.joined(hits, tenant=job.tenant, collection=job.collection)


def _search(resources: Resources, job: SearchJob) -> list[Hit]:
    return resources.searcher.search(
        job.query,
        tenant=job.tenant,
        collection=job.collection,
        top_k=job.top_k or resources.settings.top_k,
        filters=job.filters,
    )


def _shown(hit: Hit) -> dict[str, Any]:
    """What the stream tells of a hit before there is an answer: where it stands, not what it says."""
    return {
        "document_id": hit.document_id,
        "filename": hit.filename,
        "page": hit.page,
        "score": hit.score,
    }


def _whole(hit: Hit) -> SearchHit:
    last_page = hit.last_page if hit.last_page != hit.page else None
    url = page_url(hit.document_id, hit.page)
    return SearchHit(**_shown(hit), last_page=last_page, heading=hit.heading, text=hit.text, url=url)


def _events(record: Job | None) -> Events:
    if isinstance(record, TakenJob):
        return record.events
    return DirectEvents(record, attempt=retries_used(record) + 1) if record is not None else NoEvents()


@contextmanager
def _turn(record: Job | None, budget: Budget | None) -> Iterator[None]:
    """A stock worker's place in the model's budget; our own workers ask before they take a job."""
    if record is None or budget is None:
        yield
        return
    if not budget.begin(record.id):
        sleep(HELD_SECONDS)
        raise OverBudgetError
    try:
        yield
    finally:
        with suppress(*VALKEY_AWAY):  # the lease ends by itself
            budget.release(record.id)


@contextmanager
def _boundary(record: Job | None, kind: str) -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(job_id=record.id if record else None)
    try:
        yield
        log.info("job_done", kind=kind)
    except OverBudgetError:
        if record is not None:
            put_back(record)
        log.info("job_put_back", kind=kind, reason="over_budget")
        raise JobFailedError("the model's budget is spent: the job is back on the queue") from None
    except (Exception, JobTimeoutException) as error:
        if isinstance(record, TakenJob) and record.is_told_to_end:  # whatever came of it
            log.info("job_left", kind=kind)
            raise JobFailedError("the job was told to end") from None
        code = _code_of(error)
        delay = prepare_retry(record, code, error, BACKOFF)
        log.warning("job_failed", kind=kind, code=code.value, retry_in_seconds=delay, exc_info=error)
        _note(record, error=code.value)
        raise JobFailedError(str(ServiceError(code))) from None
    finally:
        structlog.contextvars.clear_contextvars()


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
    """Put `fields` into the job's metadata, where the API reads the code; Valkey's absence is no failure."""
    if record is None:
        return
    record.meta.update(fields)
    if isinstance(record, TakenJob):
        return  # what ends the job writes it
    try:
        record.save_meta()  # type: ignore[no-untyped-call]
    except VALKEY_AWAY as away:
        log.warning("valkey_away", during="note", reason=type(away).__name__)


def _timings(record: Job | None, retrieval_ms: float, generation_ms: float) -> Timings:
    queued = _queued_ms(record)
    return Timings(
        queued=queued,
        retrieval=retrieval_ms,
        generation=generation_ms,
        total=queued + retrieval_ms + generation_ms,
    )


def _queued_ms(record: Job | None) -> float:
    if record is None or record.enqueued_at is None:
        return 0.0
    started = record.started_at or datetime.now(UTC)
    return max(0.0, (started - record.enqueued_at).total_seconds() * 1000)
