"""Qdrant's REST API on the path of a question: a few kept connections and no client library.

Importing qdrant-client costs a process 53 MB and over a second, and its models more CPU for each search than the
search. What a question needs are a few kinds of request, so they are spoken here.
"""

from http.client import HTTPException, HTTPResponse
from typing import Any

import orjson

from app.core.errors import ErrorCode, ServiceError
from app.core.logging import get_logger
from app.core.qdrant_addresses import NEXT_NODE, addresses
from worker.http.connection import Connections, Server, plain_headers
from worker.runtime.retry_after import retry_after_seconds

MAX_RESPONSE_BYTES = 64 * 2**20
"""More than any answer to a search that we send; whatever sends more is not Qdrant."""

KEY_REFUSED = (401, 403)
ASK_LATER = (408, 429)

log = get_logger(__name__)


class NotFoundError(Exception):
    """Qdrant has no such collection."""


class BadRequestError(Exception):
    """Qdrant does not take the request as the collection stands."""


class QdrantHttp:
    """Requests to one Qdrant. Opens no connection before the first; safe to share between threads.

    `url` may name several nodes: the one that answered last is asked first, and where it can't be reached, the next.
    Each request may be sent twice, so that it does not matter how far the first has come with it.
    """

    def __init__(self, url: str, *, api_key: str | None, timeout_seconds: float) -> None:
        headers = {"Content-Type": "application/json"} | ({"api-key": api_key} if api_key else {})
        self._nodes = [Connections(Server(node, headers), timeout_seconds) for node in addresses(url)]
        self._first = 0

    def get(self, path: str) -> Any:
        """The `result` of a GET; raises as `post` does."""
        return self._result(path, *self._ask("GET", path, b""))

    def post(self, path: str, body: Any) -> Any:
        """The `result` of a POST that may be sent twice, as it only reads or is a write that changes nothing twice.

        Raises `NotFoundError`, `BadRequestError`, or `ServiceError`: INDEX_UNAVAILABLE when Qdrant is unavailable or
        overloaded, or when what answers is not Qdrant; INDEX_AUTH_FAILED when it refuses our key.
        """
        return self._result(path, *self._ask("POST", path, orjson.dumps(body)))

    def close(self) -> None:
        """Close the connections that no request uses."""
        for node in self._nodes:
            node.close()

    def _ask(self, method: str, path: str, body: bytes) -> tuple[HTTPResponse, bytes]:
        start, count = self._first, len(self._nodes)
        failure: Exception | None = None
        for turn in range(count):
            at = (start + turn) % count
            try:
                with self._nodes[at].one() as connection:
                    response = connection.request(method, path, body)
                    content = _content(response)
            except (OSError, HTTPException) as error:
                failure = error
                if turn + 1 < count:
                    log.warning("qdrant_node_unavailable", node=at, reason=type(error).__name__)
                continue
            if response.status not in NEXT_NODE or turn + 1 == count:
                self._first = at
                return response, content
            log.warning("qdrant_node_unavailable", node=at, status=response.status)
        raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from failure

    def _result(self, path: str, response: HTTPResponse, content: bytes) -> Any:
        if response.status != 200:
            raise self._refusal(path, response)
        try:
            return orjson.loads(content)["result"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            log.warning("qdrant_answer_unreadable", path=path)
            raise ServiceError(ErrorCode.INDEX_UNAVAILABLE) from error

    def _refusal(self, path: str, response: HTTPResponse) -> Exception:
        """What a status other than 200 means."""
        status = response.status
        if status == 404:
            return NotFoundError(path)
        if status in KEY_REFUSED:
            log.error("qdrant_refused_our_key", status=status, path=path, setting="QDRANT_API_KEY")
            return ServiceError(ErrorCode.INDEX_AUTH_FAILED)
        if status < 500 and status not in ASK_LATER:
            log.error("qdrant_refused_request", status=status, path=path)
            return BadRequestError(path)
        return ServiceError(
            ErrorCode.INDEX_UNAVAILABLE, retry_after_seconds=retry_after_seconds(plain_headers(response))
        )


def _content(response: HTTPResponse) -> bytes:
    content = response.read(MAX_RESPONSE_BYTES)
    if not response.isclosed():
        raise HTTPException("the answer is cut off or too large")
    return content
