"""Each request has an id: the caller's X-Request-ID when it is a plain word, else a new one.

It stands in the response, in every log line of the request, and in `request.state.request_id` for the job.
"""

from os import urandom

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from app.core.contract import is_label

HEADER = b"x-request-id"


class RequestIdMiddleware:
    """Binds the request's id before anything else runs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on with its id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given(scope) or urandom(16).hex()
        scope.setdefault("state", {})["request_id"] = request_id
        bind_contextvars(request_id=request_id)
        header = (HEADER, request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        await self._app(scope, receive, send_with_id)


def _given(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == HEADER:
            given = value.decode("latin-1")
            return given if is_label(given) else None  # what goes with a job is a label
    return None
