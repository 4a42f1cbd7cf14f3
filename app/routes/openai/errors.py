"""Errors as OpenAI's protocol has them, so that its SDKs raise their own exceptions.

Everything below /v1 is routed by `OpenAIRoute`: what the service answers elsewhere with a problem document has the
same status and headers here, in the other shape; both are read from `app.problems.table`. `addresses` answers what no
route does. A failed job has a status here alone: elsewhere it is no error of the request that asks for it.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app.auth.dependencies import AdmittedRoute
from app.core.errors import ErrorCode, JobError
from app.problems import problem_of
from app.problems.details import ProblemDetails
from app.routes.openai.schemas import ErrorDetail, ErrorResponse

JOB_RETRY_SECONDS = 10
"""What Retry-After asks of a client whose job failed although it was tried several times."""

_STATUS = {
    ErrorCode.INDEX_UNAVAILABLE: 503,
    ErrorCode.MODEL_UNAVAILABLE: 503,
    ErrorCode.MODEL_NO_ANSWER: 503,
    ErrorCode.WORKER_LOST: 503,
    ErrorCode.MODEL_TIMEOUT: 504,
    ErrorCode.JOB_TIMEOUT: 504,
    ErrorCode.MODEL_RATE_LIMITED: 429,
}
"""Any other failed job is a 500: neither the client's key nor its request is at fault."""

_CODES = {
    "unauthorized": "invalid_api_key",
    "quota-exceeded": "rate_limit_exceeded",
    "token-budget": "insufficient_quota",
}
"""OpenAI's names for problems of ours."""


NOT_AGAIN = {"x-should-retry": "false"}
"""Tells the SDKs not to try again by themselves."""


class OpenAIError(Exception):
    """An answer in OpenAI's error shape. `param` is the field of the request that is at fault, `kind` its type where
    the status does not tell it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        kind: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = ErrorResponse(
            error=ErrorDetail(message=message, type=kind or _type(status), param=param, code=code)
        )


class OpenAIRoute(AdmittedRoute):
    """A route whose errors have OpenAI's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, its errors answered here; what nobody knows is left to the application."""
        handle = super().get_route_handler()

        async def handle_in_shape(request: Request) -> Response:
            try:
                return await handle(request)
            except OpenAIError as error:
                return answered(error)
            except Exception as error:
                problem = problem_of(request, error)
                if problem is None:
                    raise
                return answered(translated(problem, error))

        return handle_in_shape


def job_failed(error: JobError) -> OpenAIError:
    """What a failed job is to a client that waits for it.

    The SDKs are told not to try again by themselves: the job was, as often as it can help, and their attempts would
    multiply ours. Retry-After says when a person may.
    """
    status = _STATUS.get(error.code, 500)
    headers = dict(NOT_AGAIN)
    if error.retryable:
        headers["Retry-After"] = str(JOB_RETRY_SECONDS)
    code = "rate_limit_exceeded" if status == 429 else error.code.value
    return OpenAIError(status, error.message, code=code, headers=headers)


def job_cancelled() -> OpenAIError:
    """What a cancelled job is to a client that waits for it."""
    return OpenAIError(409, "The job was cancelled.", code="cancelled", headers=NOT_AGAIN)


def unsupported(param: str, message: str) -> OpenAIError:
    """The request asks for what this service can't do, and ignoring that would be wrong."""
    return OpenAIError(400, message, param=param, code="unsupported_parameter")


def _type(status: int) -> str:
    if status == 429:
        return "requests"
    return "server_error" if status >= 500 else "invalid_request_error"


def answered(error: OpenAIError) -> JSONResponse:
    """The answer that `error` is."""
    return JSONResponse(error.body.model_dump(), error.status, dict(error.headers) if error.headers else None)


def translated(problem: ProblemDetails, error: Exception) -> OpenAIError:
    """What elsewhere is `problem`, which came of `error`."""
    if problem.status == 422 and isinstance(error, RequestValidationError):
        return _invalid(error)
    status = 400 if problem.status == 422 else problem.status  # OpenAI has no 422
    code = _CODES.get(problem.kind, problem.kind.replace("-", "_"))
    if problem.kind == "token-budget":  # for hours, and the SDKs would try again within seconds
        return OpenAIError(
            status, problem.detail, code=code, kind=code, headers={**(problem.headers or {}), **NOT_AGAIN}
        )
    return OpenAIError(status, problem.detail, code=code, headers=problem.headers)


def _invalid(error: RequestValidationError) -> OpenAIError:
    """The first thing that is wrong. Only the field's name is told: what lies below may be the caller's words."""
    first = error.errors()[0]
    where, *path = first["loc"]
    param = str(path[0]) if path and isinstance(path[0], str) else str(where)
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    return OpenAIError(400, f"{param}: {first['msg']}", param=param, code=code)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of a route that answers these error statuses."""
    described: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorResponse, "description": _MEANING[status]} for status in statuses
    }
    return described | {"4XX": {"model": ErrorResponse, "description": "Any other error of the request"}}


_MEANING = {
    400: "The request is not JSON, is wrong, or asks for what this service does not do",
    401: "No key, or a wrong one",
    403: "Not for this role",
    404: "No such model or response, or it is not yours",
    409: "It has not stopped yet; try again",
    413: "The body is too large",
    415: "The body is not JSON",
    429: "Too many requests, here or at the model's provider; see Retry-After",
    500: "The job failed, and trying again does not help",
    503: "The queue is full or can't be reached, or a part that the answer needs is unavailable; see Retry-After",
    504: "The answer is not there in time; the job may go on",
}
