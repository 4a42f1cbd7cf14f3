"""What providers' exceptions mean, each in the shape that its package gives it."""

from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import pytest
from langchain_core import exceptions as langchain

from app.core.errors import ErrorCode, ServiceError
from worker.model.langchain_errors import service_error

STATUSES = {
    400: ErrorCode.MODEL_REJECTED,
    401: ErrorCode.MODEL_AUTH_FAILED,
    403: ErrorCode.MODEL_AUTH_FAILED,
    404: ErrorCode.MODEL_REJECTED,
    408: ErrorCode.MODEL_UNAVAILABLE,
    409: ErrorCode.MODEL_UNAVAILABLE,
    422: ErrorCode.MODEL_REJECTED,
    429: ErrorCode.MODEL_RATE_LIMITED,
    500: ErrorCode.MODEL_UNAVAILABLE,
    503: ErrorCode.MODEL_UNAVAILABLE,
    529: ErrorCode.MODEL_UNAVAILABLE,
}


def shaped(**attributes: Any) -> Exception:
    """An exception of some client library."""
    error = Exception("something")
    vars(error).update(attributes)
    return error


def wrapped(error: Exception) -> Exception:
    """As a package raises its client's."""
    outer = RuntimeError("Error calling model")
    outer.__cause__ = error
    return outer


SHAPES = {
    "anthropic, cohere, ollama": lambda status: shaped(status_code=status),
    "mistral": lambda status: shaped(response=SimpleNamespace(status_code=status)),
    "google": lambda status: shaped(code=status),
    "amazon": lambda status: shaped(response={"ResponseMetadata": {"HTTPStatusCode": status}}),
    "wrapped": lambda status: wrapped(shaped(code=status)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("status", STATUSES)
def test_a_status_has_a_code_wherever_it_stands(shape: str, status: int) -> None:
    assert service_error(SHAPES[shape](status)).code is STATUSES[status]


MODEL_ERRORS = {
    langchain.ModelError: ErrorCode.MODEL_UNAVAILABLE,
    langchain.ModelTimeoutError: ErrorCode.MODEL_TIMEOUT,
    langchain.ModelAuthenticationError: ErrorCode.MODEL_AUTH_FAILED,
    langchain.ModelPermissionDeniedError: ErrorCode.MODEL_AUTH_FAILED,
    langchain.ModelRateLimitError: ErrorCode.MODEL_RATE_LIMITED,
    langchain.ModelInvalidRequestError: ErrorCode.MODEL_REJECTED,
    langchain.ModelNotFoundError: ErrorCode.MODEL_REJECTED,
    langchain.ContextOverflowError: ErrorCode.CONTEXT_TOO_LONG,
    langchain.ModelAPIError: ErrorCode.MODEL_UNAVAILABLE,
    langchain.ModelConnectionError: ErrorCode.MODEL_UNAVAILABLE,
}


def test_each_of_langchains_own_classes_has_a_code() -> None:
    every = [
        each for each in vars(langchain).values() if isinstance(each, type) and issubclass(each, langchain.ModelError)
    ]
    assert {each: service_error(each("something")).code for each in every} == MODEL_ERRORS


class ReadTimeout(Exception):  # noqa: N818  as httpx, httpx2 and requests call theirs
    pass


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), ErrorCode.MODEL_TIMEOUT),
        (ReadTimeout(), ErrorCode.MODEL_TIMEOUT),
        (wrapped(ReadTimeout()), ErrorCode.MODEL_TIMEOUT),
        (httpx2.ConnectTimeout("x"), ErrorCode.MODEL_TIMEOUT),
        (ConnectionError("refused"), ErrorCode.MODEL_UNAVAILABLE),
        (httpx2.RemoteProtocolError("cut"), ErrorCode.MODEL_UNAVAILABLE),
        (ValueError("Did not find mistral_api_key"), ErrorCode.MODEL_AUTH_FAILED),
        (TypeError("Could not resolve authentication method"), ErrorCode.MODEL_AUTH_FAILED),
        (ValueError("No generation chunks were returned"), ErrorCode.MODEL_UNAVAILABLE),
        (shaped(code="content_filter", status_code=400), ErrorCode.CONTENT_FILTERED),
        (shaped(code="insufficient_quota", status_code=429), ErrorCode.MODEL_REJECTED),
        (shaped(status_code=-1), ErrorCode.MODEL_UNAVAILABLE),
        (shaped(status_code=200), ErrorCode.MODEL_UNAVAILABLE),
    ],
)
def test_what_has_no_status_is_told_by_its_kind(error: Exception, code: ErrorCode) -> None:
    assert service_error(error).code is code


HEADERS = {"Retry-After": "3.5"}


@pytest.mark.parametrize(
    "error",
    [
        shaped(status_code=429, response=SimpleNamespace(headers=httpx2.Headers(HEADERS))),
        shaped(status_code=429, headers=HEADERS),
        wrapped(shaped(status_code=429, response=SimpleNamespace(status_code=429, headers=HEADERS))),
        openai.RateLimitError(
            "m", response=httpx2.Response(429, headers=HEADERS, request=httpx2.Request("POST", "http://h")), body=None
        ),
    ],
)
def test_the_time_to_wait_is_passed_on(error: Exception) -> None:
    assert _facts(service_error(error)) == (ErrorCode.MODEL_RATE_LIMITED, 3.5)


@pytest.mark.parametrize("value", ["", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "1.2.3", "-1"])
def test_a_time_to_wait_that_is_no_number_is_none(value: str) -> None:
    error = shaped(status_code=429, headers={"retry-after": value})
    assert _facts(service_error(error)) == (ErrorCode.MODEL_RATE_LIMITED, None)


def _facts(error: ServiceError) -> tuple[ErrorCode, float | None]:
    return error.code, error.retry_after_seconds
