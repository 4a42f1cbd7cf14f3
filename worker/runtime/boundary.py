"""The RQ boundary, one for every job: the log's context, errors as codes, and whether a retry can help.

What a job raises goes to the log and nowhere else: its record gets a code and a message fit for the public.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pydantic import ValidationError
from rq import get_current_job
from rq.job import Job
from rq.timeouts import JobTimeoutException
from structlog.contextvars import bind_contextvars, clear_contextvars

from app.core.errors import MESSAGES, ConfigurationError, ErrorCode, ServiceError
from app.core.logging import get_logger, job_context
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.producer import feed
from worker.runtime import spending
from worker.runtime.attempt import Attempt
from worker.runtime.intake import TakenJob
from worker.runtime.retries import Backoff, JobFailedError, prepare_retry, put_back, retries_used
from worker.runtime.sharing import WaitError

log = get_logger(__name__)

NOTHING: Mapping[str, object] = {}


class PutBackError(Exception):
    """The job can't run now, and no attempt is used up. The message says why, for the log."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: the code that the API shows, and what is more exactly so, by name and in words."""

    code: ErrorCode
    reason: str
    message: str

    @classmethod
    def of(cls, code: ErrorCode) -> "Failure":
        """The one wording of `code`."""
        return cls(code, code.value, MESSAGES[code])


def failure_of(error: BaseException) -> Failure:
    """The failure that `error` is, by its class alone."""
    return Failure.of(_code_of(error))


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


def _nothing(failure: Failure | None, *, is_tried_again: bool) -> None:
    """For jobs of whose failure nobody else needs to know."""


@contextmanager
def boundary(
    kind: str,
    payload: object,
    *,
    backoff: Backoff | None,
    classify: Callable[[BaseException], Failure] = failure_of,
    on_failed: Callable[..., None] = _nothing,
    told: Mapping[str, object] = NOTHING,
) -> Iterator[Job | None]:
    """Around a job's work: yields RQ's job, or None when the function is called without one.

    `payload`, still unchecked, says whose job it is, for every line until its end. `told` are fields of the line
    that says it is done; the job fills them as it goes.
    `backoff` says when a failure that a retry may help is tried again; None leaves it to the record's own schedule.
    `on_failed(failure, is_tried_again=...)` is told why the job failed; its failure is None when the job was told
    to end. Raises `JobFailedError` for every error but one that stops the job from outside.
    """
    record = get_current_job()
    is_bound = isinstance(record, TakenJob)  # by its worker, which has more to say when the job is over
    if not is_bound:
        clear_contextvars()
        bind_contextvars(**job_context(record.id if record is not None else None, payload))
    spent = spending.begin()
    if isinstance(record, TakenJob):
        record.spent = spent
    attempt = Attempt(record)
    try:
        if record is not None and not isinstance(record, TakenJob):
            with suppress(*VALKEY_UNAVAILABLE):  # another will
                feed(record.origin, record.connection)
        if record is not None:
            log.info("job_started", kind=kind, attempt=retries_used(record) + 1, worker=record.worker_name)
        yield record
        if record is not None and not isinstance(record, TakenJob):
            with suppress(*VALKEY_UNAVAILABLE):  # an answer that is paid for is worth more than its count
                spending.count(record, spent)
        log.info("job_done", kind=kind, **told)
    except PutBackError as reason:
        if record is not None:
            put_back(record)
        log.info("job_put_back", kind=kind, reason=str(reason))
        raise JobFailedError(f"{reason}: the job is back on the queue") from None
    except WaitError as wait:
        if isinstance(record, TakenJob):
            record.waiting = wait.waiting
        log.info("job_waits", kind=kind)
        raise JobFailedError("the job waits for another that asks the same") from None
    except (Exception, JobTimeoutException) as error:
        if is_told_to_end(record):  # whatever came of it
            log.info("job_left", kind=kind)
            on_failed(None, is_tried_again=not _is_cancelled(record))
            raise JobFailedError("the job was told to end") from None
        failure = classify(error)
        attempt.failed(failure.reason)
        delay = prepare_retry(record, failure.code, error, backoff)
        more = {} if failure.reason == failure.code.value else {"detail": failure.message}
        log.warning("job_failed", kind=kind, code=failure.reason, retry_in_seconds=delay, exc_info=error, **more)
        _note_error(record, failure.code)
        on_failed(failure, is_tried_again=delay is not None)
        raise JobFailedError(f"{failure.reason}: {failure.message}") from None
    finally:
        attempt.end()
        if not is_bound:
            clear_contextvars()


def is_told_to_end(record: Job | None) -> bool:
    """Whether the worker wants the job to leave: it was cancelled, or goes back to the queue as the worker stops."""
    return bool(getattr(record, "is_told_to_end", False))  # a `TakenJob`'s; RQ's own worker kills its fork


def note(record: Job | None, **fields: object) -> None:
    """Write `fields` into the job's metadata, where the API reads progress; Valkey's absence is no failure."""
    if record is None:
        return
    record.meta.update(fields)
    try:
        record.save_meta()  # type: ignore[no-untyped-call]
    except VALKEY_UNAVAILABLE as error:
        log.warning("valkey_unavailable", during="note", reason=type(error).__name__)


def _note_error(record: Job | None, code: ErrorCode) -> None:
    """Write the code into the job's metadata, where the API reads it."""
    if isinstance(record, TakenJob):
        record.meta["error"] = code.value  # what ends the job writes it
    else:
        note(record, error=code.value)


def _is_cancelled(record: Job | None) -> bool:
    with suppress(*VALKEY_UNAVAILABLE):
        return record is not None and bool(record.connection.hexists(record.key, "stop_requested"))
    return False
