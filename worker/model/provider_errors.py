"""What the errors of a server of OpenAI's protocol mean: by status, and by the `error` object of its body."""

from typing import Any

import orjson

from app.core.errors import ErrorCode, ServiceError

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
    "context_length_exceeded": ErrorCode.MODEL_REJECTED,
    "invalid_request_error": ErrorCode.MODEL_REJECTED,
}
"""In the order of what they say when an error has several: OpenAI's words, and statuses as gateways put them."""


class StatusError(ServiceError):
    """A response whose status is not 200: what it means, its `status`, and what the server `said`."""

    def __init__(self, status: int, said: bytes, *, retry_after: str = "") -> None:
        super().__init__(_code_of(status, said), retry_after_seconds=_seconds(retry_after))
        self.status = status
        self.said = said


def error_in_body(body: Any) -> ServiceError:
    """What an error means that a server sends within an answer: OpenAI's `error` object, or anything else."""
    details = _details(body)
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
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _seconds(retry_after: str) -> float | None:
    """Retry-After (RFC 9110) in its form of a number; None for the form of a date, which no provider sends."""
    return float(retry_after) if retry_after.replace(".", "", 1).isdigit() else None
