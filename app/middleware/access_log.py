"""One log line a request: what was asked for, by whom, and what came of it.

The route's template stands for the path, which has ids in it; what the caller wrote is never a field.
"""

from collections.abc import Callable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.logging import get_logger

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked for every few seconds by machines: their lines are for debugging, but of who is refused."""

Count = Callable[[str, str | None, int | None, float], None]
"""Told of each request: method, route's template, status, seconds."""

log = get_logger(__name__)


class AccessLogMiddleware:
    """Logs `request` when the response has been sent whole, streams too; `count` is told as much."""

    def __init__(self, app: ASGIApp, count: Count | None = None) -> None:
        self._app = app
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass `scope` on, and look at the response's status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int | None = None
        started = perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            seconds = perf_counter() - started
            route = getattr(scope.get("route"), "path_format", None)
            _write(scope, route, status, 1000 * seconds)
            if self._count is not None:
                self._count(scope["method"], route, status, seconds)


def _write(scope: Scope, route: str | None, status: int | None, milliseconds: float) -> None:
    principal = scope["state"].get("principal")
    is_refused = status is not None and 400 <= status < 500
    write = log.debug if route in PROBES and not is_refused else log.info
    write(
        "request",
        method=scope["method"],
        route=route,
        status=status,
        ms=round(milliseconds, 2),
        principal=principal and principal.key,
    )
