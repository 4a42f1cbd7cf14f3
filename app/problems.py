"""Errors as `application/problem+json` (RFC 9457). No body repeats what the caller sent."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler

from app.core.contract import QUERY_MAX_CHARACTERS
from app.core.logging import get_logger
from app.core.queue.producer import (
    VALKEY_AWAY,
    IdempotencyConflictError,
    JobNotFailedError,
    JobNotFoundError,
    JobRunningError,
    QueueFullError,
)
from app.middleware.body_limit import BODY_MAX_BYTES, BodyTooLargeError
from app.request_headers import BadIdempotencyKeyError

VALKEY_RETRY_SECONDS = 2
QUEUE_FULL_RETRY_SECONDS = 10

_DETAILS = {
    404: "There is nothing at this address; see /docs.",
    405: "This address does not take this method; see the Allow header.",
}

_INVALID_DETAILS = {
    "/chat": f'See `errors`. A question is {{"query": "..."}} of 1 to {QUERY_MAX_CHARACTERS:,} characters.',
}

log = get_logger(__name__)


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = "application/problem+json"


def problem(
    status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> ProblemResponse:
    """A problem of type `urn:problem:{kind}`; `members` are its extension members."""
    title = HTTPStatus(status).phrase
    body = {"type": f"urn:problem:{kind}", "title": title, "status": status, "detail": detail, **members}
    return ProblemResponse(body, status, dict(headers) if headers else None)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""
    app.add_exception_handler(RequestValidationError, cast(ExceptionHandler, _invalid))
    app.add_exception_handler(HTTPException, cast(ExceptionHandler, _http))
    app.add_exception_handler(BodyTooLargeError, cast(ExceptionHandler, _body_too_large))
    app.add_exception_handler(JobNotFoundError, _job_not_found)
    app.add_exception_handler(JobRunningError, _job_running)
    app.add_exception_handler(JobNotFailedError, _job_not_failed)
    app.add_exception_handler(IdempotencyConflictError, _idempotency_conflict)
    app.add_exception_handler(BadIdempotencyKeyError, _bad_idempotency_key)
    app.add_exception_handler(QueueFullError, cast(ExceptionHandler, _queue_full))
    for error in VALKEY_AWAY:
        app.add_exception_handler(error, _valkey_away)
    app.add_exception_handler(Exception, _unexpected)


async def _invalid(request: Request, error: RequestValidationError) -> ProblemResponse:
    problems = error.errors()
    if any(found["type"] == "json_invalid" for found in problems):
        return problem(400, "malformed-json", "The body is not JSON.")
    if _is_other_media_type(request):
        return problem(415, "unsupported-media-type", "Send the body as application/json.")
    return problem(
        422,
        "invalid-request",
        _INVALID_DETAILS.get(request.url.path, "See `errors`, and /docs for what this address takes."),
        errors=[_described(found) for found in problems],
    )


def _described(found: Mapping[str, Any]) -> dict[str, str]:
    """One validation error: where (a JSON pointer or a parameter's name) and what; never the value."""
    where, *path = found["loc"]
    if found["type"] == "extra_forbidden":  # the last step is a name that the caller made up
        return {
            "in": str(where),
            "pointer": _pointer(path[:-1]),
            "detail": "There is a field that is not known here.",
        }
    return {"in": str(where), "pointer": _pointer(path), "detail": str(found["msg"])}


def _pointer(path: list[Any]) -> str:
    return "".join(f"/{step}" for step in path)


def _is_other_media_type(request: Request) -> bool:
    """Whether the request has a body that does not call itself JSON."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    subtype = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return has_body and not (subtype == "application/json" or subtype.endswith("+json"))


async def _http(request: Request, error: HTTPException) -> ProblemResponse:
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = _DETAILS.get(error.status_code, HTTPStatus(error.status_code).description or "The request was refused.")
    return problem(error.status_code, kind, detail, headers=error.headers)


async def _body_too_large(request: Request, error: BodyTooLargeError) -> ProblemResponse:
    detail = f"The body is larger than {(error.limit or BODY_MAX_BYTES) // 1024:,} KiB."
    return problem(413, "body-too-large", detail, headers={"Connection": "close"})


async def _job_not_found(request: Request, error: Exception) -> ProblemResponse:
    return problem(
        404, "job-not-found", "There is no such job, or its answer has expired. Ask again with POST /chat."
    )


async def _job_running(request: Request, error: Exception) -> ProblemResponse:
    return problem(409, "job-running", "The job has not stopped yet. Try again in a moment.")


async def _job_not_failed(request: Request, error: Exception) -> ProblemResponse:
    return problem(409, "job-not-failed", "Only a job that has failed can be sent back.")


async def _idempotency_conflict(request: Request, error: Exception) -> ProblemResponse:
    detail = "This Idempotency-Key was used with another request. Use a new key for a new request."
    return problem(422, "idempotency-key-reused", detail)


async def _bad_idempotency_key(request: Request, error: Exception) -> ProblemResponse:
    return problem(400, "bad-idempotency-key", "An Idempotency-Key is 1 to 255 visible ASCII characters.")


async def _queue_full(request: Request, error: QueueFullError) -> ProblemResponse:
    detail = "Too many jobs are waiting. Try again after the time in Retry-After."
    return problem(503, "queue-full", detail, headers={"Retry-After": str(QUEUE_FULL_RETRY_SECONDS)})


async def _valkey_away(request: Request, error: Exception) -> ProblemResponse:
    log.warning("valkey_away", during=request.url.path, reason=type(error).__name__)
    detail = "The queue can't be reached; nothing was lost. Try again after the time in Retry-After."
    return problem(503, "queue-unavailable", detail, headers={"Retry-After": str(VALKEY_RETRY_SECONDS)})


async def _unexpected(request: Request, error: Exception) -> ProblemResponse:
    return problem(500, "internal-error", "Something went wrong on our side; the operator finds it in the log.")
