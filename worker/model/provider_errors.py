"""What the exceptions of OpenAI's client mean, for chat and embeddings alike."""

from typing import Any

import openai

from app.core.errors import ErrorCode, ServiceError

PROVIDER_ERRORS = (openai.OpenAIError, ValueError, TypeError, KeyError, IndexError, AttributeError)
"""What the clients raise: the last five at an answer that is not of OpenAI's protocol, say a proxy's page."""


def service_error(error: Exception) -> ServiceError:
    """`error` as a code, with the time that the provider asked us to wait."""
    return ServiceError(_code_of(error), retry_after_seconds=_retry_after_seconds(error))


def error_in_body(body: Any) -> ServiceError:
    """What an error means that a server sends within an answer: OpenAI's `error` object, or anything else."""
    error = body.get("error") if isinstance(body, dict) else None
    details = error if isinstance(error, dict) else {}
    words = {str(details.get(field)) for field in ("code", "type", "status")}
    codes = [code for word, code in _CODES.items() if word in words]
    return ServiceError(codes[0] if codes else ErrorCode.MODEL_UNAVAILABLE)


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


def _code_of(error: Exception) -> ErrorCode:
    match error:
        case openai.APITimeoutError():
            return ErrorCode.MODEL_TIMEOUT
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return ErrorCode.MODEL_AUTH_FAILED
        case openai.RateLimitError(code="insufficient_quota"):
            return ErrorCode.MODEL_REJECTED
        case openai.RateLimitError():
            return ErrorCode.MODEL_RATE_LIMITED
        case openai.BadRequestError(code="content_filter"):
            return ErrorCode.CONTENT_FILTERED
        case openai.APIStatusError(status_code=status) if 400 <= status < 500 and status not in (407, 408, 409):
            return ErrorCode.MODEL_REJECTED
        case _:
            return ErrorCode.MODEL_UNAVAILABLE


def _retry_after_seconds(error: Exception) -> float | None:
    """Retry-After (RFC 9110) in its form of a number; None for the form of a date, which no provider sends."""
    if not isinstance(error, openai.APIStatusError):
        return None
    value = error.response.headers.get("retry-after", "")
    return float(value) if value.replace(".", "", 1).isdigit() else None
