"""The table of every error that a route may raise and what a client is told of it; /docs shows it as well.

An error is defined where it is raised. To answer a new one, add its row here: nothing else knows of it.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette._utils import get_route_path
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.auth.principals import (
    ForbiddenError,
    KeysUnavailableError,
    NotAuthenticatedError,
    NotLocalError,
    OtherSiteError,
)
from app.auth.rate_limits import RateLimitedError
from app.auth.sessions import BadSessionError
from app.auth.signed import BadLinkError
from app.chat_log import ChatLogOffError, ChatLogUnavailableError
from app.core.contract import QUERY_MAX_CHARACTERS
from app.core.documents.collections import CollectionNotFoundError
from app.core.documents.files import StorageUnavailableError, StoredFileNotFoundError
from app.core.documents.operations import FileBusyError
from app.core.errors import Limit, LimitReachedError
from app.core.queue.acknowledged import NotReplicatedError
from app.core.queue.connections import VALKEY_FULL, VALKEY_UNREACHABLE
from app.core.queue.conversations import ConversationNotFoundError
from app.core.queue.erasing import TenantBeingErasedError, TenantNotFoundError
from app.core.queue.producer import (
    IdempotencyConflictError,
    JobNotEndedError,
    JobNotFailedError,
    JobNotFoundError,
    JobNotStoppableError,
    JobRunningError,
    QueueFullError,
    QueueShareError,
)
from app.core.queue.usage import TokenBudgetError
from app.documents.downloads import RangeNotSatisfiableError
from app.documents.looks import (
    NoPictureError,
    OtherVersionError,
    PageNotDrawnError,
    PageNotFoundError,
    PagePendingError,
    PageUnreadableError,
)
from app.documents.schemas import FileProblem
from app.documents.service import DocumentNotFoundError
from app.documents.uploads import Refusal, UploadRefusedError
from app.metrics import MetricsOffError
from app.middleware.body_limit import BODY_MAX_BYTES, BodyTooLargeError
from app.problems.details import ProblemDetails, Row
from app.problems.invalid import described, is_malformed_json, is_other_media_type
from app.request_headers import BadIdempotencyKeyError

VALKEY_RETRY_SECONDS = 2
QUEUE_FULL_RETRY_SECONDS = 10
STORAGE_RETRY_SECONDS = 5
FILE_BUSY_RETRY_SECONDS = 1
JWKS_RETRY_SECONDS = 10
PAGE_RETRY_SECONDS = 2
OPEN_RETRY_SECONDS = 5

CHALLENGE = 'Bearer realm="rag-queue"'


def _challenge(error: NotAuthenticatedError) -> Mapping[str, str]:
    """Only this says whether something was shown (RFC 6750, section 3)."""
    return {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"' if error.is_wrong else CHALLENGE}


def _scope_challenge(error: ForbiddenError) -> Mapping[str, str]:
    return {"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope"'}


def _retry_after(seconds: int) -> Callable[[Exception], Mapping[str, str]]:
    return lambda error: {"Retry-After": str(seconds)}


_LIMITS = {
    Limit.STREAMS: "Your key has {:,} streams open here, as many as it may. Close one.",
    Limit.WAITS: "{:,} requests of your key wait here for a job's end, as many as may. Let one come back, or poll.",
    Limit.UPLOADS: "Your key has {:,} uploads under way here, as many as it may. Let one come to its end.",
    Limit.DOCUMENTS: "Your tenant has {:,} documents, as many as it may. Delete some.",
    Limit.STORED_BYTES: "Your tenant's documents would have more than {:,} MiB, which is all they may. Delete some.",
    Limit.FILES: "Your tenant has {:,} files of /v1/files, as many as it may. Delete some.",
    Limit.BATCHES: "Your tenant has {:,} batches that are not over, as many as it may. Let one come to its end.",
    Limit.COLLECTIONS: "Something is said of {:,} collections of your tenant's, as many as may be. Use one of them.",
}
_STORED = (Limit.DOCUMENTS, Limit.STORED_BYTES, Limit.COLLECTIONS, Limit.FILES)


def _when_closed(error: LimitReachedError) -> Mapping[str, str] | None:
    """What is open will be closed; what is stored stays until it is deleted."""
    return None if error.limit in _STORED else {"Retry-After": str(OPEN_RETRY_SECONDS)}


def _budget(error: TokenBudgetError) -> Mapping[str, Any]:
    ends_at = error.ends_at.isoformat().replace("+00:00", "Z")
    return {
        "limit": error.budget.tokens,
        "used": error.used,
        "window": error.budget.window,
        "ends_at": ends_at,
    }


def _closing(error: Exception) -> Mapping[str, str]:
    """The rest of the body is not read, so that the connection is of no more use."""
    return {"Connection": "close"}


def _file_range(error: RangeNotSatisfiableError) -> Mapping[str, str]:
    return {"Content-Range": f"bytes */{error.size}", "Accept-Ranges": "bytes"}


def _how_to_ask(request: Request, error: RequestValidationError) -> str:
    if get_route_path(request.scope) == "/chat":
        return f'See `errors`. A question is {{"query": "..."}} of 1 to {QUERY_MAX_CHARACTERS:,} characters.'
    return "See `errors`, and /docs for what this address takes."


def file_problem(number: int, refusal: Refusal) -> FileProblem:
    """Why the file at place `number` of an upload is not taken, as a problem of its own."""
    return FileProblem(index=number, **ProblemDetails(refusal.status, refusal.kind, refusal.detail).standard)


def _of_pages(error: PageNotFoundError) -> str:
    if not error.pages:
        return "The document has no such page."
    return f"The document has {error.pages:,} page{'s' if error.pages > 1 else ''}."


def _files(error: UploadRefusedError) -> Mapping[str, Any]:
    files = [file_problem(number, refusal).model_dump() for number, refusal in error.files.items()]
    return {"problems": files} if files else {}


def _refused(status: int, kind: str, meaning: str) -> Row[UploadRefusedError]:
    """An upload that is refused for a reason of this kind; the reason has its own words."""
    return Row(
        UploadRefusedError,
        status,
        kind,
        meaning,
        when=lambda _, error: error.refusal.kind == kind,
        exactly=lambda _, error: error.refusal.detail,
        headers=_closing,
        members=_files,
    )


def _http(status: int, detail: str | None = None) -> Row[HTTPException]:
    """An error of the framework's own, which has a status and, without `detail`, that status's words."""
    known = HTTPStatus(status)
    return Row(
        HTTPException,
        status,
        known.phrase.lower().replace(" ", "-"),
        detail or known.description or "The request was refused.",
        when=lambda _, error: error.status_code == status,
        headers=lambda error: error.headers,
    )


UNEXPECTED = Row(
    Exception, 500, "internal-error", "Something went wrong on our side; the operator finds it in the log."
)

TABLE: tuple[Row[Any], ...] = (
    # The request itself
    Row(RequestValidationError, 400, "malformed-json", "The body is not JSON in UTF-8.", when=is_malformed_json),
    Row(
        RequestValidationError,
        415,
        "unsupported-media-type",
        "Send the body as application/json.",
        when=is_other_media_type,
    ),
    Row(
        RequestValidationError,
        422,
        "invalid-request",
        "The request is not what this address takes: see `errors`.",
        exactly=_how_to_ask,
        members=lambda error: {"errors": described(error)},
    ),
    Row(
        BodyTooLargeError,
        413,
        "body-too-large",
        "The body is larger than this address takes.",
        exactly=lambda _, error: f"The body is larger than {(error.limit or BODY_MAX_BYTES) // 1024:,} KiB.",
        headers=_closing,
    ),
    Row(
        BadIdempotencyKeyError,
        400,
        "bad-idempotency-key",
        "An Idempotency-Key is 1 to 255 visible ASCII characters.",
    ),
    Row(
        IdempotencyConflictError,
        422,
        "idempotency-key-reused",
        "This Idempotency-Key was used with another request. Use a new key for a new request.",
    ),
    _http(400, "The body cannot be read as JSON: it is not UTF-8, or nested too deeply."),
    _http(404, "There is nothing at this address; see /docs."),
    _http(405, "This address does not take this method; see the Allow header."),
    Row(
        MetricsOffError,
        404,
        "metrics-off",
        "Nothing is counted here. The operator can set METRICS=true.",
    ),
    Row(
        ChatLogOffError,
        404,
        "chat-log-off",
        "No chat log is kept here. The operator can set DATABASE_URL.",
    ),
    Row(
        ChatLogUnavailableError,
        503,
        "chat-log-unavailable",
        "The chat log can't be reached; nothing was lost. Try again after the time in Retry-After.",
        headers=_retry_after(STORAGE_RETRY_SECONDS),
        event="chat_log_unavailable",
    ),
    # Who asks
    Row(
        BadLinkError,
        401,
        "link-expired",
        "The link or ticket has expired, or is not whole. Fetch the answer again, which has new links; a ticket is "
        "made by POST /jobs/{job_id}/ticket.",
        headers=_challenge,
    ),
    Row(
        BadSessionError,
        401,
        "session-ended",
        "The session has ended: sign in again, with POST /session.",
        headers=_challenge,
    ),
    Row(
        NotAuthenticatedError,
        401,
        "unauthorized",
        "Show a valid API key or token: `Authorization: Bearer ...`, or `X-API-Key: ...`.",
        headers=_challenge,
    ),
    Row(
        ForbiddenError,
        403,
        "forbidden",
        "This needs a key with a role that may do more.",
        exactly=lambda _, error: f"This needs a key with the role {error.needed}.",
        headers=_scope_challenge,
    ),
    Row(
        OtherSiteError,
        403,
        "other-site",
        "A page of another site has sent this, or something that does not say whose page it is. A session is for the "
        "pages of this service; a program shows its key: `Authorization: Bearer ...`.",
    ),
    Row(
        NotLocalError,
        403,
        "keys-required",
        "This service has no keys and serves its own machine alone: nothing that came through a proxy, and no "
        "page of another site. Its operator can set API_KEYS or JWTs.",
    ),
    Row(
        RateLimitedError,
        429,
        "quota-exceeded",
        "Too many requests. Try again after the time in Retry-After; RateLimit-Policy says how many are allowed.",
        headers=lambda error: {"Retry-After": str(error.standing.reset_seconds)},
        # The member that the RateLimit draft gives its problem type of this name.
        members=lambda error: {"violated-policies": [error.standing.policy]},
    ),
    Row(
        KeysUnavailableError,
        503,
        "issuer-unavailable",
        "The issuer's keys can't be fetched, so no token can be checked. Try again after the time in Retry-After.",
        headers=_retry_after(JWKS_RETRY_SECONDS),
    ),
    Row(
        LimitReachedError,
        429,
        "limit-reached",
        "Your key has as much of something open, or your tenant has stored as much, as it may: `limit` says of what.",
        exactly=lambda _, error: _LIMITS[error.limit].format(error.most),
        headers=_when_closed,
        members=lambda error: {"limit": error.limit.value},
    ),
    # Jobs
    Row(
        JobNotFoundError,
        404,
        "job-not-found",
        "There is no such job, or its answer has expired. Ask again with POST /chat.",
    ),
    Row(
        ConversationNotFoundError,
        404,
        "conversation-not-found",
        "There is no such conversation, or it has expired. GET /conversations lists what there is.",
    ),
    Row(JobRunningError, 409, "job-running", "The job has not stopped yet. Try again in a moment."),
    Row(
        JobNotStoppableError,
        409,
        "job-not-stoppable",
        "A job that deletes a document or erases a tenant is not stopped: half of it would be left.",
    ),
    Row(TenantNotFoundError, 404, "tenant-not-found", "There is no such tenant, or it is not yours."),
    Row(
        TenantBeingErasedError,
        409,
        "tenant-being-erased",
        "All that your tenant has is just being erased. Nothing new is taken until that is done.",
    ),
    Row(JobNotEndedError, 409, "job-not-ended", "The job has not ended yet: there is nothing to say of its answer."),
    Row(JobNotFailedError, 409, "job-not-failed", "Only a job that has failed can be sent back."),
    Row(
        QueueFullError,
        503,
        "queue-full",
        "Too many jobs are waiting. Try again after the time in Retry-After.",
        headers=_retry_after(QUEUE_FULL_RETRY_SECONDS),
    ),
    Row(
        QueueShareError,
        429,
        "queue-share-full",
        "Half of the jobs that may wait are your tenant's, its whole share. Try again after the time in Retry-After.",
        headers=_retry_after(QUEUE_FULL_RETRY_SECONDS),
    ),
    Row(
        TokenBudgetError,
        429,
        "token-budget",
        "The answers of your key have taken as many of the model's tokens as they may: `used` of `limit` a `window`, "
        "which ends at `ends_at` (UTC). Try again after the time in Retry-After.",
        headers=lambda error: {"Retry-After": str(error.seconds)},
        members=_budget,
    ),
    *(
        Row(
            error,
            503,
            "queue-unavailable",
            "The queue can't be reached; nothing was lost. Try again after the time in Retry-After.",
            headers=_retry_after(VALKEY_RETRY_SECONDS),
            event="valkey_unavailable",
        )
        for error in VALKEY_UNREACHABLE
    ),
    Row(
        NotReplicatedError,
        503,
        "queue-not-replicated",
        "Too few replicas of the queue have confirmed the job in time, so that it is not promised. Try again after "
        "the time in Retry-After, with the same Idempotency-Key if you sent one: without a key it was stopped.",
        headers=_retry_after(VALKEY_RETRY_SECONDS),
    ),
    Row(
        VALKEY_FULL,
        503,
        "queue-memory-full",
        "The queue's memory is full, so that nothing new is taken; nothing was lost. What was taken before is still "
        "worked on. Try again after the time in Retry-After.",
        headers=_retry_after(QUEUE_FULL_RETRY_SECONDS),
        event="valkey_unavailable",
    ),
    # Documents
    Row(
        DocumentNotFoundError,
        404,
        "document-not-found",
        "There is no such document. GET /documents lists what there is.",
    ),
    Row(
        CollectionNotFoundError,
        404,
        "collection-not-found",
        "There is no document in such a collection, and nothing is said of it. GET /collections lists what there is.",
    ),
    Row(
        StoredFileNotFoundError,
        404,
        "file-not-kept",
        "The document is indexed, but its file is not kept here. Upload it again.",
    ),
    Row(
        PageNotFoundError,
        404,
        "page-not-found",
        "The document has no such page.",
        exactly=lambda _, error: _of_pages(error),
    ),
    Row(
        OtherVersionError,
        404,
        "other-version",
        "The document has other bytes by now than those of this version. Ask without it.",
    ),
    Row(
        NoPictureError,
        404,
        "no-picture",
        "There is no picture of this page, which is words alone: ask for it without .png.",
    ),
    Row(
        PageUnreadableError,
        422,
        "page-unreadable",
        "The page cannot be shown: its file is damaged, asks for a password, or takes too long to read or draw. Open "
        "the file itself.",
    ),
    Row(
        PagePendingError,
        503,
        "page-pending",
        "The page is still being drawn. Try again after the time in Retry-After.",
        headers=_retry_after(PAGE_RETRY_SECONDS),
    ),
    Row(
        PageNotDrawnError,
        503,
        "page-not-drawn",
        "The page could not be drawn just now. Try again after the time in Retry-After.",
        headers=_retry_after(STORAGE_RETRY_SECONDS),
    ),
    Row(
        RangeNotSatisfiableError,
        416,
        "range-not-satisfiable",
        "The range begins beyond the end of the file.",
        headers=_file_range,
    ),
    Row(
        StorageUnavailableError,
        503,
        "storage-unavailable",
        "The store of files can't be reached. Try again after the time in Retry-After.",
        headers=_retry_after(STORAGE_RETRY_SECONDS),
    ),
    Row(
        FileBusyError,
        503,
        "file-busy",
        "A file with these bytes is just being removed. Try again after the time in Retry-After.",
        headers=_retry_after(FILE_BUSY_RETRY_SECONDS),
    ),
    # Uploads, and single files of them
    _refused(400, "malformed-multipart", "The body is not multipart/form-data as RFC 7578 has it."),
    _refused(413, "body-too-large", "The files have too many bytes, all together."),
    _refused(413, "too-many-files", "There are too many files. Send some of them in another upload."),
    _refused(413, "file-too-large", "The file has too many bytes."),
    _refused(415, "unsupported-media-type", "Send the files as multipart/form-data."),
    _refused(415, "unsupported-file-type", "The file is none of the types that are read, or not what its name says."),
    _refused(422, "invalid-request", "A part of the form is missing, or wrong."),
    _refused(422, "invalid-filename", "The file needs a name of 1 to 255 characters."),
    _refused(422, "empty-file", "The file is empty."),
    _refused(422, "no-file-taken", "None of the files can be taken: see `problems`."),
    UNEXPECTED,
)
"""Of an error's rows the first that is about it holds; a subclass without rows has those of its base."""

STANDARD = tuple(_http(status) for status in HTTPStatus)
"""For whatever else the framework may raise one day; not shown, since nothing does."""
