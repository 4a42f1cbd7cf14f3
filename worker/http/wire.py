"""Requests to a model's server on the path of a question: JSON there, and whatever comes back as it comes.

OpenAI's client would spend most of a worker's CPU on this: five times what the
request itself takes, and for an answer in pieces again as much for each piece.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPException, HTTPResponse, IncompleteRead

from worker.http.connection import Connections, Server, plain_headers
from worker.http.packed import UnpackingError, unpacked
from worker.runtime.deadlines import CallLimit
from worker.runtime.interrupts import own_calls

PIECE_BYTES = 65_536
BODY_BYTES_MAX = 64 * 2**20
"""More than any answer, or any batch of vectors; what sends more is no model."""

OnResponse = Callable[[int, Mapping[str, str]], None]
"""Told of each response's status and headers, before its body is read."""


class CallTimeoutError(Exception):
    """The server has not answered to the end in time."""


class CallFailedError(Exception):
    """The server could not be reached, has broken off, or has sent what can't be read."""


class Wire:
    """Calls one server. Opens no connection before the first call; safe to share between threads."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout_seconds: float,
        on_response: OnResponse | None = None,
    ) -> None:
        self._connections = Connections(Server(url, headers), timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._on_response = on_response

    def close(self) -> None:
        """Close the connections that no call uses."""
        self._connections.close()

    def post(self, path: str, body: bytes) -> AbstractContextManager[HTTPResponse]:
        """The server's response; read its body within the context. The whole takes `timeout_seconds` at most.

        Raises `CallTimeoutError` and `CallFailedError`, also for what happens within the context.
        """
        return self._called("POST", path, body)

    def get(self, path: str) -> AbstractContextManager[HTTPResponse]:
        """As `post`, without a body."""
        return self._called("GET", path, b"")

    @contextmanager
    def _called(self, method: str, path: str, body: bytes) -> Iterator[HTTPResponse]:
        limit: CallLimit | None = None
        try:
            with self._connections.one() as connection:
                limit = CallLimit(connection, self._timeout_seconds)
                with limit, own_calls().waiting(connection):
                    response = connection.request(method, path, body)
                    if self._on_response is not None:
                        self._on_response(response.status, plain_headers(response))
                    yield response
        except (OSError, HTTPException, UnpackingError) as error:
            if isinstance(error, TimeoutError) or (limit is not None and limit.has_fired):
                raise CallTimeoutError from error
            raise CallFailedError from error


def pieces(response: HTTPResponse) -> Iterator[bytes]:
    """The body as it comes, unpacked where a server or a proxy packs it though we ask it not to.

    Raises `CallFailedError` when it is longer than `BODY_BYTES_MAX`, or packed in a way that we do not know.
    """
    encoding = (response.headers.get("content-encoding") or "identity").strip().lower()
    return _plain(response) if encoding == "identity" else unpacked(_plain(response), encoding, BODY_BYTES_MAX)


def _plain(response: HTTPResponse) -> Iterator[bytes]:
    total = 0
    while piece := response.read1(PIECE_BYTES):
        total += len(piece)
        if total > BODY_BYTES_MAX:
            raise CallFailedError(f"more than {BODY_BYTES_MAX} bytes")
        yield piece
    if response.length:
        raise IncompleteRead(b"", response.length)
    response.read()  # the end: lets the connection go
