"""Calls to where OpenAI's client would call, with its address, headers and errors, over `worker.http.wire`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any

import httpx2
import openai
import orjson

from app.core.errors import ErrorCode, ServiceError
from worker.http.wire import CallFailedError, CallTimeoutError, OnResponse, Wire, pieces, plain_headers
from worker.model.provider_errors import PROVIDER_ERRORS, service_error


class OpenAiWire:
    """One server that speaks OpenAI's protocol. Safe to share between threads."""

    def __init__(
        self, client: openai.OpenAI, *, timeout_seconds: float, on_response: OnResponse | None = None
    ) -> None:
        self._client = client
        headers = {**client.default_headers, **client.auth_headers}
        self._wire = Wire(
            str(client.base_url),
            {name: value for name, value in headers.items() if isinstance(value, str)},  # else it is to be left out
            timeout_seconds=timeout_seconds,
            on_response=on_response,
        )

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    @contextmanager
    def post(self, path: str, payload: Mapping[str, Any]) -> Iterator[HTTPResponse]:
        """The response, when its status is 200; else raises OpenAI's exception for it."""
        with self._wire.post(path, orjson.dumps(payload)) as response:
            if response.status != httpx2.codes.OK:
                raise self._status_error(response)
            yield response

    def _status_error(self, response: HTTPResponse) -> openai.APIStatusError:
        # Of the headers only the one that is looked at: the others may speak of an encoding that is undone already.
        headers = {name: value for name, value in plain_headers(response).items() if name == "retry-after"}
        body = b"".join(pieces(response))
        return self._client._make_status_error_from_response(
            httpx2.Response(
                response.status,
                headers=headers,
                content=body,
                request=httpx2.Request("POST", self._client.base_url),
            )
        )


@contextmanager
def classified() -> Iterator[None]:
    """Turn whatever a call raises into a `ServiceError` with one of the model's codes."""
    try:
        yield
    except CallTimeoutError as error:
        raise ServiceError(ErrorCode.MODEL_TIMEOUT) from error
    except CallFailedError as error:
        raise ServiceError(ErrorCode.MODEL_UNAVAILABLE) from error
    except PROVIDER_ERRORS as error:
        raise service_error(error) from error
