"""The RQ boundary of ingestion jobs: binds the log's context, and turns errors into codes and retries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from pydantic import ValidationError
from rq.job import Job
from rq.timeouts import JobTimeoutException

from app.core.documents.catalog import DocumentError, FileBusyError
from app.core.documents.files import StorageUnavailableError, StoredFileNotFoundError
from app.core.errors import MESSAGES, ConfigurationError, ErrorCode, ServiceError
from app.core.logging import get_logger
from app.core.queue.producer import VALKEY_AWAY
from ingest.reading.reasons import SENTENCES, FileError, Reason
from worker.runtime.retries import Backoff, JobFailedError, prepare_retry

UNREADABLE = ErrorCode.DOCUMENT_UNREADABLE
"""The job's code when the fault is the file's; the catalog has the `Reason`."""
STOPPED = DocumentError(code="stopped", message="Its indexing was stopped.")
AGAIN = "Upload the document again in a while."
MESSAGES_OF_A_DOCUMENT = {
    ErrorCode.INDEX_UNAVAILABLE: f"The index could not be reached. {AGAIN}",
    ErrorCode.MODEL_UNAVAILABLE: f"The embedding model could not be reached or failed. {AGAIN}",
    ErrorCode.MODEL_TIMEOUT: f"The embedding model did not answer in time. {AGAIN}",
    ErrorCode.MODEL_RATE_LIMITED: f"The embedding model's provider is limiting our requests. {AGAIN}",
    ErrorCode.CONTENT_FILTERED: "The embedding model's provider refused the document's text.",
    ErrorCode.JOB_TIMEOUT: "Indexing the document took longer than the service allows.",
}
"""`app.core.errors` words the codes for somebody who asked a question."""

BACKOFF = Backoff(base_seconds=2.0, max_seconds=60.0)

AWAY = (ConfigurationError, StorageUnavailableError, FileBusyError, *VALKEY_AWAY)
"""What the index's or the store's absence looks like: another attempt may find them."""

log = get_logger(__name__)


@contextmanager
def boundary(record: Job | None, kind: str, on_failed: Callable[[DocumentError, bool], None]) -> Iterator[None]:
    """Around a job's work. `on_failed` is told why it failed, and whether it will be tried again.

    Raises `JobFailedError` for every error but one that stops the job from outside.
    """
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(job_id=record.id if record else None)
    try:
        yield
        log.info("job_done", kind=kind)
    except (Exception, JobTimeoutException) as error:
        if is_told_to_end(record):  # whatever came of it
            log.info("job_left", kind=kind)
            on_failed(STOPPED, not _is_cancelled(record))
            raise JobFailedError("the job was told to end") from None
        failure, code = _failure(error)
        delay = prepare_retry(record, code, error, BACKOFF)
        log.warning("job_failed", kind=kind, code=failure.code, retry_in_seconds=delay, exc_info=error)
        note(record, error=code.value)
        on_failed(failure, delay is not None)
        raise JobFailedError(f"{failure.code}: {failure.message}") from None
    finally:
        structlog.contextvars.clear_contextvars()


def is_told_to_end(record: Job | None) -> bool:
    """Whether the worker wants the job to leave: it was cancelled, or goes back to the queue as the worker stops."""
    return bool(
        getattr(record, "is_told_to_end", False)
    )  # `worker.runtime.intake.TakenJob`; a stock worker kills its fork


def _is_cancelled(record: Job | None) -> bool:
    with suppress(*VALKEY_AWAY):
        return record is not None and bool(record.connection.hexists(record.key, "stop_requested"))
    return False


def note(record: Job | None, **fields: Any) -> None:
    """Write `fields` into the job's metadata, where the API reads progress; Valkey's absence is no failure."""
    if record is None:
        return
    record.meta.update(fields)
    try:
        record.save_meta()  # type: ignore[no-untyped-call]
    except VALKEY_AWAY as away:
        log.warning("valkey_away", during="note", reason=type(away).__name__)


def _failure(error: BaseException) -> tuple[DocumentError, ErrorCode]:
    """What the catalog says, and the job's code."""
    if isinstance(error, FileError):
        return DocumentError(code=error.reason.value, message=SENTENCES[error.reason]), UNREADABLE
    if isinstance(error, StoredFileNotFoundError):
        reason = Reason.UNREADABLE
        return DocumentError(code=reason.value, message=SENTENCES[reason]), UNREADABLE
    code = _code_of(error)
    return DocumentError(code=code.value, message=MESSAGES_OF_A_DOCUMENT.get(code, MESSAGES[code])), code


def _code_of(error: BaseException) -> ErrorCode:
    match error:
        case JobTimeoutException():
            return ErrorCode.JOB_TIMEOUT
        case ServiceError(code=code):
            return code
        case ValidationError():
            return ErrorCode.PAYLOAD_INVALID
        case _:
            return ErrorCode.INDEX_UNAVAILABLE if isinstance(error, AWAY) else ErrorCode.INTERNAL
