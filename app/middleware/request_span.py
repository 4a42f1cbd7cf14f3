"""A span for each request that changes something, questions above all; health, metrics and polling have none.

What a caller wrote is never an attribute: the route's template stands for the path, and the query is left out.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from app.core.tracing.process import tracing

METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
TRACEPARENT = b"traceparent"


class RequestSpanMiddleware:
    """Traces a request until its answer has been sent whole, and binds its trace's id for the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on within its span."""
        if scope["type"] != "http" or scope["method"] not in METHODS:
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        traces = tracing()
        with traces.request(scope["method"], _given(scope)) as span:
            bind_contextvars(trace_id=traces.trace_id())
            try:
                await self._app(scope, receive, send_and_note)
            finally:
                span.answered(getattr(scope.get("route"), "path_format", None), status)


def _given(scope: Scope) -> str | None:
    """The header, when there is one: of several, none can be believed."""
    found = [value for name, value in scope["headers"] if name == TRACEPARENT]
    return found[0].decode("latin-1") if len(found) == 1 else None
