"""Errors as data: a code, a message fit for the public, and whether trying again can help.

Raw exception text goes to the log only: it may hold a key, a path or somebody's question.
"""

from enum import StrEnum

from pydantic import ConfigDict

from app.core.models import QuietModel


class ErrorCode(StrEnum):
    """Why a job failed. A closed list: clients may switch on it."""

    PAYLOAD_INVALID = "payload_invalid"
    INDEX_UNAVAILABLE = "index_unavailable"
    INDEX_MISMATCH = "index_mismatch"
    INDEX_AUTH_FAILED = "index_auth_failed"
    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_TIMEOUT = "model_timeout"
    MODEL_RATE_LIMITED = "model_rate_limited"
    MODEL_AUTH_FAILED = "model_auth_failed"
    MODEL_REJECTED = "model_rejected"
    MODEL_NO_ANSWER = "model_no_answer"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTENT_FILTERED = "content_filtered"
    DOCUMENT_UNREADABLE = "document_unreadable"
    JOB_TIMEOUT = "job_timeout"
    WORKER_LOST = "worker_lost"
    INTERNAL = "internal_error"


MESSAGES: dict[ErrorCode, str] = {
    ErrorCode.PAYLOAD_INVALID: "The job on the queue is not one that this version understands.",
    ErrorCode.INDEX_UNAVAILABLE: "The document index could not be reached. Ask again in a moment.",
    ErrorCode.INDEX_MISMATCH: "The embedding model gives vectors of another length than the index was built with.",
    ErrorCode.INDEX_AUTH_FAILED: "The document index refused this service's key. The operator must set another.",
    ErrorCode.MODEL_UNAVAILABLE: "The model could not be reached or failed. Ask again in a moment.",
    ErrorCode.MODEL_TIMEOUT: "The model did not answer in time. Ask again, or ask something shorter.",
    ErrorCode.MODEL_RATE_LIMITED: "The model's provider is limiting our requests. Ask again in a moment.",
    ErrorCode.MODEL_AUTH_FAILED: "The model's provider refused this service's key. The operator must set another.",
    ErrorCode.MODEL_REJECTED: "The model's provider refused the request. The operator must check model and settings.",
    ErrorCode.MODEL_NO_ANSWER: "The model gave no answer, or only its thoughts. Ask again, or ask less at once.",
    ErrorCode.CONTEXT_TOO_LONG: "The model's context is too short for the question and even one source. Ask less; "
    "the operator can set a CHAT_MODEL with a longer context, or a longer one at the model's server.",
    ErrorCode.CONTENT_FILTERED: "The model's provider refused to answer this question.",
    ErrorCode.DOCUMENT_UNREADABLE: "The document could not be read; its record says why.",
    ErrorCode.JOB_TIMEOUT: "The job took longer than the service allows.",
    ErrorCode.WORKER_LOST: "The worker that had this job died. Ask again.",
    ErrorCode.INTERNAL: "Something went wrong on our side. The operator finds it in the log under this job's id.",
}

RETRYABLE = frozenset(
    {
        ErrorCode.INDEX_UNAVAILABLE,
        ErrorCode.MODEL_UNAVAILABLE,
        ErrorCode.MODEL_TIMEOUT,
        ErrorCode.MODEL_RATE_LIMITED,
        ErrorCode.MODEL_NO_ANSWER,
        ErrorCode.WORKER_LOST,
    }
)


class JobError(QuietModel):
    """What a client is told of a failed job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: ErrorCode
    message: str
    retryable: bool

    @classmethod
    def of(cls, code: ErrorCode) -> "JobError":
        """The one wording of `code`."""
        return cls(code=code, message=MESSAGES[code], retryable=code in RETRYABLE)


class ServiceError(Exception):
    """A failure that has a code. `retry_after_seconds` is what the other side asked us to wait, if it did."""

    def __init__(self, code: ErrorCode, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{code.value}: {MESSAGES[code]}")
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class ConfigurationError(Exception):
    """The service can't start as it is configured. The message says what to change."""


class Limit(StrEnum):
    """What a key or a tenant may have so much of, in the word that a client is told."""

    STREAMS = "streams"
    WAITS = "waits"
    UPLOADS = "uploads"
    DOCUMENTS = "documents"
    STORED_BYTES = "stored-bytes"
    COLLECTIONS = "collections"
    FILES = "files"
    BATCHES = "batches"


class LimitReachedError(Exception):
    """The key, or its tenant, has as much of `limit` as it may: `most`."""

    def __init__(self, limit: Limit, most: int) -> None:
        super().__init__(f"{limit}: {most} at most")
        self.limit = limit
        self.most = most
