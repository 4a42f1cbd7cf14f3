"""What the errors of a server of OpenAI's protocol mean: by status, and by the `error` object of its body."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.core.errors import ErrorCode, ServiceError
from worker.model.context_errors import is_too_long
from worker.runtime.retry_after import retry_after_seconds

NOT_THE_PROTOCOL = (ValueError, TypeError, KeyError, IndexError, AttributeError)
"""What reading an answer raises that is not of OpenAI's protocol: a proxy's page, say."""

_PASSING = frozenset({407, 408, 409})
"""Statuses of the 400s that are not about the request."""

_CODES = {
    "insufficient_quota": ErrorCode.MODEL_REJECTED,
    "content_filter": ErrorCode.CONTENT_FILTERED,
    "rate_limit_exceeded": ErrorCode.MODEL_RATE_LIMITED,
    "429": ErrorCode.MODEL_RATE_LIMITED,
    "401": ErrorCode.MODEL_AUTH_FAILED,
    "403": ErrorCode.MODEL_AUTH_FAILED,
    "invalid_api_key": ErrorCode.MODEL_AUTH_FAILED,
    "400": ErrorCode.MODEL_REJECTED,
    "404": ErrorCode.MODEL_REJECTED,
    "invalid_request_error": ErrorCode.MODEL_REJECTED,
}
"""In the order of what they say when an error has several: OpenAI's words, and statuses as gateways put them."""


class RefusedError(ServiceError):
    """What a response means whose `status` is an error."""

    def __init__(self, code: ErrorCode, status: int, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(code, retry_after_seconds=retry_after_seconds)
        self.status = status


class StatusError(RefusedError):
    """A response whose status is not 200, and what the server `said`."""

    def __init__(self, status: int, said: bytes, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(_code_of(status, said), status, retry_after_seconds=retry_after_seconds(headers or {}))
        self.said = said


def error_in_body(body: Any) -> ServiceError:
    """What an error means that a server sends within an answer: OpenAI's `error` object, or anything else."""
    details = _details(body)
    if is_too_long(orjson.dumps(body)):
        return ServiceError(ErrorCode.CONTEXT_TOO_LONG)
    words = {str(details.get(field)) for field in ("code", "type", "status")}
    codes = [code for word, code in _CODES.items() if word in words]
    return ServiceError(codes[0] if codes else ErrorCode.MODEL_UNAVAILABLE)


def _code_of(status: int, said: bytes) -> ErrorCode:
    match status, _word(said):
        case ((401 | 403), _):
            return ErrorCode.MODEL_AUTH_FAILED
        case 429, "insufficient_quota":
            return ErrorCode.MODEL_REJECTED
        case 429, _:
            return ErrorCode.MODEL_RATE_LIMITED
        case 400, "content_filter":
            return ErrorCode.CONTENT_FILTERED
        case _ if is_too_long(said):  # llama.cpp has said so with a 500
            return ErrorCode.CONTEXT_TOO_LONG
        case _ if 400 <= status < 500 and status not in _PASSING:
            return ErrorCode.MODEL_REJECTED
        case _:
            return ErrorCode.MODEL_UNAVAILABLE


def _word(said: bytes) -> object:
    """The error's `code`, when the body is JSON and has one."""
    try:
        return _details(orjson.loads(said)).get("code")
    except orjson.JSONDecodeError:
        return None


def _details(body: Any) -> dict[str, Any]:
    """OpenAI's `error` object; or the body itself, which is one in the older form of vLLM and others."""
    if not isinstance(body, dict):
        return {}
    error = body if body.get("object") == "error" else body.get("error")
    return error if isinstance(error, dict) else {}
