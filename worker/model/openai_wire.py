"""Calls to a server that speaks OpenAI's protocol, over `worker.http.wire`: its address, our key, its errors.

OpenAI's client and LangChain's take a second to import, which a stock worker would spend on every question.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPResponse
from typing import Any

import orjson
from pydantic import SecretStr

from app.core.errors import ErrorCode, ServiceError
from worker.http.connection import plain_headers
from worker.http.wire import CallFailedError, CallTimeoutError, OnResponse, Wire, pieces
from worker.model.provider_errors import NOT_THE_PROTOCOL, StatusError

OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = SecretStr("none")
"""Servers without keys still get an Authorization header: OpenAI's clients insist on one, so they expect it."""
OK = 200

_ACCOUNT = {"OpenAI-Organization": ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION"), "OpenAI-Project": ("OPENAI_PROJECT_ID",)}
"""Headers that say which account pays, from the variables that OpenAI's and LangChain's clients read."""


class OpenAiWire:
    """One server that speaks OpenAI's protocol; `url` None: OpenAI's own. Safe to share between threads."""

    def __init__(
        self,
        url: str | None,
        key: SecretStr | None,
        *,
        timeout_seconds: float,
        on_response: OnResponse | None = None,
    ) -> None:
        headers = {
            "Authorization": f"Bearer {(key or NO_KEY).get_secret_value()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "rag-queue",
            **_account(),
        }
        self._wire = Wire(
            (url or OPENAI_URL).rstrip("/"), headers, timeout_seconds=timeout_seconds, on_response=on_response
        )

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def post(self, path: str, payload: Mapping[str, Any]) -> AbstractContextManager[HTTPResponse]:
        """The response, when its status is 200. Raises `ServiceError` with one of the model's codes, also for what
        happens within the context; a `StatusError` for any other status.
        """
        return self._ok(self._wire.post(path, orjson.dumps(payload)))

    def get(self, path: str) -> AbstractContextManager[HTTPResponse]:
        """As `post`, without a payload."""
        return self._ok(self._wire.get(path))

    @contextmanager
    def _ok(self, call: AbstractContextManager[HTTPResponse]) -> Iterator[HTTPResponse]:
        try:
            with call as response:
                if response.status != OK:
                    raise StatusError(response.status, b"".join(pieces(response)), plain_headers(response))
                yield response
        except CallTimeoutError as error:
            raise ServiceError(ErrorCode.MODEL_TIMEOUT) from error
        except CallFailedError as error:
            raise ServiceError(ErrorCode.MODEL_UNAVAILABLE) from error
        except NOT_THE_PROTOCOL as error:
            raise ServiceError(ErrorCode.MODEL_UNAVAILABLE) from error


def _account() -> dict[str, str]:
    given = {header: next(filter(None, map(os.environ.get, names)), None) for header, names in _ACCOUNT.items()}
    return {header: value for header, value in given.items() if value}
