"""What the exceptions of LangChain's provider packages mean: by LangChain's classes for them, else by their status.

Few packages raise the former yet, and each brings a client library with exceptions of its own. What these have in
common is how they carry HTTP's status and headers.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from langchain_core import exceptions as langchain

from app.core.errors import ErrorCode, ServiceError
from worker.model.context_errors import is_too_long
from worker.model.provider_errors import RefusedError
from worker.runtime.retry_after import retry_after_seconds

_CLASSES: dict[type[Exception], ErrorCode] = {
    langchain.ContextOverflowError: ErrorCode.CONTEXT_TOO_LONG,
    langchain.ModelTimeoutError: ErrorCode.MODEL_TIMEOUT,
    langchain.ModelAuthenticationError: ErrorCode.MODEL_AUTH_FAILED,
    langchain.ModelPermissionDeniedError: ErrorCode.MODEL_AUTH_FAILED,
    langchain.ModelRateLimitError: ErrorCode.MODEL_RATE_LIMITED,
    langchain.ModelInvalidRequestError: ErrorCode.MODEL_REJECTED,
    langchain.ModelNotFoundError: ErrorCode.MODEL_REJECTED,
    langchain.ModelAPIError: ErrorCode.MODEL_UNAVAILABLE,
    langchain.ModelConnectionError: ErrorCode.MODEL_UNAVAILABLE,
    TimeoutError: ErrorCode.MODEL_TIMEOUT,
}
_WORDS = {
    "content_filter": ErrorCode.CONTENT_FILTERED,
    "insufficient_quota": ErrorCode.MODEL_REJECTED,
    "context_length_exceeded": ErrorCode.CONTEXT_TOO_LONG,
}
"""What OpenAI's client and its like say in `code`, which means more than the status."""
_MAY_BE_TOO_LONG = (ErrorCode.MODEL_REJECTED, ErrorCode.MODEL_UNAVAILABLE, None)
"""What an error without a class or a word of its own may be whose message tells of the context's length."""
_STATUSES = {
    401: ErrorCode.MODEL_AUTH_FAILED,
    403: ErrorCode.MODEL_AUTH_FAILED,
    407: ErrorCode.MODEL_UNAVAILABLE,
    408: ErrorCode.MODEL_UNAVAILABLE,
    409: ErrorCode.MODEL_UNAVAILABLE,
    429: ErrorCode.MODEL_RATE_LIMITED,
}
_NO_KEY = re.compile(r"api.?key|authenticat|credential", re.IGNORECASE)
"""How clients say, before any call, that they were given none."""


@contextmanager
def classified() -> Iterator[None]:
    """Turn whatever a call raises into a `ServiceError` with one of the model's codes."""
    try:
        yield
    except Exception as error:  # each package has classes of its own, and an odd answer raises anything
        raise service_error(error) from error


def service_error(error: BaseException) -> ServiceError:
    """`error` as a code, with the time that the provider asked us to wait."""
    chain = tuple(_chain(error))
    code = next((code for each in chain if (code := _code_of(each)) is not None), ErrorCode.MODEL_UNAVAILABLE)
    seconds = next((seconds for each in chain if (seconds := _retry_after_seconds(each)) is not None), None)
    status = next((status for each in chain if (status := _status_of(each)) is not None), None)
    if status is None:
        return ServiceError(code, retry_after_seconds=seconds)
    return RefusedError(code, status, retry_after_seconds=seconds)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those that it was raised from: a package wraps its client's."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _code_of(error: BaseException) -> ErrorCode | None:
    code = _kind_of(error)
    said = str(error) if code in _MAY_BE_TOO_LONG else ""
    return ErrorCode.CONTEXT_TOO_LONG if is_too_long(said) else code


def _kind_of(error: BaseException) -> ErrorCode | None:
    if (code := _WORDS.get(str(getattr(error, "code", "")))) is not None:
        return code
    for known, code in _CLASSES.items():
        if isinstance(error, known):
            return code
    if (status := _status_of(error)) is not None:
        return _STATUSES.get(status, ErrorCode.MODEL_UNAVAILABLE if status >= 500 else ErrorCode.MODEL_REJECTED)
    if any("Timeout" in base.__name__ for base in type(error).__mro__):
        return ErrorCode.MODEL_TIMEOUT
    is_bare = isinstance(error, ValueError | TypeError)
    return ErrorCode.MODEL_AUTH_FAILED if is_bare and _NO_KEY.search(str(error)) else None


def _status_of(error: BaseException) -> int | None:
    """An HTTP status that is an error: OpenAI's and most clients' way, httpx's, Google's, Amazon's."""
    response = getattr(error, "response", None)
    amazon = response.get("ResponseMetadata") if isinstance(response, Mapping) else None
    told = (
        getattr(error, "status_code", None),
        getattr(response, "status_code", None),
        getattr(error, "code", None),
        amazon.get("HTTPStatusCode") if isinstance(amazon, Mapping) else None,
    )
    return next((status for status in told if isinstance(status, int) and 400 <= status < 600), None)


def _retry_after_seconds(error: BaseException) -> float | None:
    """What the headers of the response ask, which packages keep in two places."""
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or getattr(error, "headers", None)
    if not isinstance(headers, Mapping):
        return None
    return retry_after_seconds({str(name).lower(): str(value) for name, value in headers.items()})
